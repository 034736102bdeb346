"""Windows of probes: who probes what, and how many come back, month by month.

Five minutes of probes as in the paper (§IV-A): 26,640 of them, from 6 clients to 432 targets (write existing, ten a
cell), to two targets of each file system (create and write) and to the three metadata servers (remove).

A probe's chance is the product over its client, its networks, its metadata server and its storage unit (router, server
and target of one number) of what each loses; on top the world breaks the model on purpose, see :class:`Breaks`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from credence.bench import seeds
from credence.bench.errors import InputError
from credence.kaleidoscope.data.probes import Window
from credence.kaleidoscope.data.topology import OPERATIONS
from credence.kaleidoscope.world import calibration, issues
from credence.kaleidoscope.world.issues import MONTH

WREX_SENT, CRWR_SENT, RMEX_SENT = 10, 10, 20
# Length of a spell of usual load between 5 and 65, windows: fixes how often one starts, not how many there are.
SPELL = 3.0


@dataclass(frozen=True)
class Breaks:
    """How strongly the world departs from the model; 0 is never.

    Attributes
    ----------
    dispersion : float
        A cell's loss in a window is multiplied by Gamma(1/d, d), of mean 1 and variance d: losses come in bursts.
    correlation : float
        Standard deviation of the logarithm of what all cells of a client, and all of a file system, share in a window.
    blocked : float
        Share of the lost probes that are missing instead of failed: their launcher was still waiting for the last one.
    missing : float
        Share of probes that are missing whatever their path.
    absent : float
        Share of windows in which a client sends nothing (its node left the pool).
    round_robin : float
        Share of router faults that lose their turns (a quarter of the probes); the other groups fail over, losing
        nothing.
    """

    dispersion: float = 1.0
    correlation: float = 0.5
    blocked: float = 0.1
    missing: float = 0.002
    absent: float = 0.002
    round_robin: float = 1.0

    def __post_init__(self):
        for name in ("blocked", "missing", "absent", "round_robin"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)!r}; allowed: 0 to 1")
        for name in ("dispersion", "correlation"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)!r}; allowed: 0 and above")


NO_BREAKS = Breaks(0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Plan:
    """Who probes what.

    Attributes
    ----------
    client, target, operation, sent : numpy.ndarray [cells]
        As in :class:`~credence.kaleidoscope.data.probes.Window`.
    factors : numpy.ndarray [cells, 5]
        Positions in the loss vector: client, first network, second network (or the place that never loses), metadata
        server, storage unit (or that place).
    """

    client: np.ndarray
    target: np.ndarray
    operation: np.ndarray
    sent: np.ndarray
    factors: np.ndarray

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.client)

    def window(self, succeeded, missing) -> Window:
        """Return counts [cells] as a window."""
        return Window(self.client, self.target, self.operation, self.sent,
                      np.asarray(succeeded, np.int64), np.asarray(missing, np.int64))  # fmt: skip


def plan(system) -> Plan:
    """Return the paper's plan of probes on Blue Waters' topology (``bluewaters`` or ``bluewaters-lnet``)."""
    clients, targets, metadata = (system.of_kind(kind) for kind in ("client", "target", "metadata"))
    sample = np.concatenate([np.flatnonzero([of(system, t) == m for t in targets])[:2] for m in metadata])
    parts = (("wrex", targets, WREX_SENT), ("crwr", targets[sample], CRWR_SENT), ("rmex", metadata, RMEX_SENT))
    rows = [(c, t, OPERATIONS.index(op), n) for op, ends, n in parts for c in clients for t in ends]
    client, target, operation, sent = np.array(rows, dtype=np.int64).T
    places = loss_places(system)
    nowhere = len(places)
    factors = np.full((len(rows), 5), nowhere, np.int32)
    for k, (c, t, _, _) in enumerate(rows):
        crossed = [int(v) for v in system.client_series[c] if v >= 0]
        nets = [v for v in crossed if system.kinds[v] == "network"]
        factors[k, 0] = places[int(c)]
        factors[k, 1 : 1 + len(nets)] = [places[v] for v in nets]
        is_metadata = system.kinds[t] == "metadata"
        factors[k, 3] = places[int(t) if is_metadata else of(system, t)]
        if not is_metadata:
            factors[k, 4] = places[int(t)]
    return Plan(client.astype(np.int32), target.astype(np.int32), operation.astype(np.int8), sent, factors)


def of(system, target: int) -> int:
    """Return the metadata server of a target."""
    return next(int(v) for v in system.target_series[target] if v >= 0 and system.kinds[v] == "metadata")


def loss_places(system) -> dict[int, int]:
    """Return the position in a loss vector of every client, network, metadata server and target, by component id."""
    order = [int(v) for kind in ("client", "network", "metadata", "target") for v in system.of_kind(kind)]
    return {component: k for k, component in enumerate(order)}


def losses(system, events, first: int, windows: int) -> np.ndarray:
    """Return what every place loses in each window through events [windows, places + 1]; the last place never does.

    Parameters
    ----------
    events : pandas.DataFrame
        From :func:`~credence.kaleidoscope.world.issues.timetable`.
    first : int
        Number of the first window.
    """
    places = loss_places(system)
    targets = system.of_kind("target")
    table = np.zeros((windows, len(places) + 1), np.float32)
    here = events[(events["last"] > first) & (events["first"] < first + windows)]
    for row in here.itertuples():
        span = slice(max(row.first - first, 0), min(row.last - first, windows))
        hit = issues.units_hit(system, row.culprit, row.fault)
        where = [places[int(targets[j])] for j in hit] or [places[row.culprit]]
        table[span, where] = 1 - (1 - table[span, where]) * (1 - row.loss)
    return table


def month(system, what: Plan, events, number: int, seed: int, breaks: Breaks | None = None, windows: int = MONTH):
    """Simulate one month.

    Parameters
    ----------
    system : Topology
    what : Plan
    events : pandas.DataFrame
    number : int
        0 for the first.
    seed : int
        Months draw from streams of their own: each can be had alone.
    breaks : Breaks, optional
    windows : int
        Only the first so many.

    Returns
    -------
    succeeded, missing : numpy.ndarray [windows, cells]
        int8.
    strain : numpy.ndarray [windows, units]
        Share of probes that each storage unit loses by its usual load (Fig. 9, from 5 to 65); no event of the table.
    """
    rng = seeds.generator(seed, "kaleidoscope windows", number)
    table = losses(system, routed(events, breaks or Breaks(), seed), number * MONTH, windows)
    return draw(what, table, breaks or Breaks(), rng)


def routed(events, breaks: Breaks, seed: int):
    """Return the events without the router faults that fail over."""
    if breaks.round_robin >= 1:
        return events
    draws = seeds.generator(seed, "kaleidoscope routers").random(len(events))
    return events[(events["fault"] != "router") | (draws < breaks.round_robin)]


def draw(what: Plan, table: np.ndarray, breaks: Breaks, rng: np.random.Generator):
    """Draw windows, given what events lose [windows, places + 1]; result as for :func:`month`."""
    usual = calibration.draw_loads(4096, rng, calibration.IDLE_LOAD, calibration.OVERLOAD)
    share = calibration.share_of_loads(calibration.IDLE_LOAD, calibration.OVERLOAD)
    strain = calibration.loss_at_load(usual)
    idle = calibration.shares_lost()["normal"] - share * strain.mean()
    units = np.unique(what.factors[:, 4])
    return _draw(
        table, what.factors, what.sent, units[units < table.shape[1] - 1].astype(np.int64), strain, share / SPELL,
        SPELL, idle, breaks.dispersion, breaks.correlation, breaks.blocked, breaks.missing, breaks.absent, rng,
    )  # fmt: skip


@njit(cache=True)
def _binomial(n, p, rng):
    """Draw a binomial number by inversion; n is small."""
    if p <= 0:
        return 0
    if p >= 1:
        return n
    if p > 0.5:
        return n - _binomial(n, 1 - p, rng)
    u = rng.random()
    odds = p / (1 - p)
    term = (1 - p) ** n
    k = 0
    while u > term and k < n:
        u -= term
        term *= odds * (n - k) / (k + 1)
        k += 1
    return k


@njit(cache=True)
def _draw(
    table, factors, sent, units, strain, starts, spell, idle, dispersion, correlation, blocked, gone, absent, rng
):
    windows, cells = table.shape[0], len(sent)
    succeeded = np.empty((windows, cells), np.int8)
    missing = np.empty((windows, cells), np.int8)
    strain_of = np.zeros((windows, len(units)), np.float32)
    places = table.shape[1]
    loss = np.zeros(places)
    left = np.zeros(places, np.int32)
    strained = np.zeros(places)
    shared = np.ones(places)
    away = np.zeros(places, np.bool_)
    clients = factors[:, 0].max() + 1
    for w in range(windows):
        for u in units:
            if left[u] > 0:
                left[u] -= 1
            elif rng.random() < starts:
                left[u] = 1 + int(rng.exponential(spell - 0.5))
                strained[u] = strain[int(rng.random() * len(strain))]
            usual = strained[u] if left[u] > 0 else 0.0
            strain_of[w, u - units[0]] = usual
            loss[u] = 1 - (1 - usual) * (1 - table[w, u])
        for p in range(places):
            if p < units[0]:
                loss[p] = table[w, p]
                # normalised to mean 1, so that a break changes how losses scatter and not how many there are
                shared[p] = np.exp(correlation * rng.standard_normal() - correlation**2 / 2) if correlation > 0 else 1.0
                away[p] = p < clients and rng.random() < absent
        for c in range(cells):
            n = sent[c]
            if away[factors[c, 0]]:
                succeeded[w, c], missing[w, c] = 0, n
                continue
            base = idle * shared[factors[c, 0]] * shared[factors[c, 3]]
            if dispersion > 0:
                base *= rng.gamma(1 / dispersion, dispersion)
            kept = 1 - min(base, 1.0)
            for j in range(5):
                kept *= 1 - loss[factors[c, j]]
            lost = _binomial(n, 1 - kept, rng)
            never = _binomial(n - lost, gone, rng)  # missing whatever their path
            waiting = _binomial(lost, blocked, rng) if lost > 0 else 0
            succeeded[w, c] = n - lost - never
            missing[w, c] = never + waiting
    return succeeded, missing, strain_of
