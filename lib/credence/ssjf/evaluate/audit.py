"""What each peculiarity of SSJF's released evaluation contributes to its headline.

The two headline quantities, as the released plots compute them: over the points of an axis, the mean of the mean time
in system (JCT) of FCFS and of SSJF give the *JCT cut*, the means of their throughputs the *throughput ratio*. A switch
changes both; :func:`shapley` shares the whole difference between "all as released" and "all off" among the switches.

Draws resample the requests (bootstrap over prompts), at the released size of 20 runs of 50 requests a point, with the
arrivals held fixed. They say how much another choice of prompts would move the numbers; more replications of the
simulation would not narrow them.
"""

from __future__ import annotations

from math import factorial

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.bench.progress import track
from credence.ssjf.world.released import ALL, POLICIES, QUARTER, measure, serve, service_s
from credence.ssjf.world.released_arrivals import AXES, JOBS, RUNS, Requests, arrival_times, authors_stream, draw
from credence.ssjf.world.released_quirks import (
    ALL_ON,
    DEFAULT_COSTS,
    KINDS,
    MODES,
    SWITCHES,
    Costs,
    Quirks,
    effective,
)

QUANTITIES = {"jct_cut": "JCT cut [%]", "throughput_ratio": "throughput ratio [1]", "p99_change": "p99 JCT change [%]"}
ARRIVAL_SWITCHES = ("d3", "d4", "d9")
FCFS_SWITCHES = ("d2", "d8", *ARRIVAL_SWITCHES)
# Mode and batch size of each cell of the released study that the notes re-ran.
CELLS = (
    ("none", 1),
    ("dynamic", 2),
    ("dynamic", 4),
    ("dynamic", 8),
    ("continuous", 2),
    ("continuous", 4),
    ("continuous", 8),
)


class Evaluation:
    """The released evaluation over bootstrap draws of the requests; what was simulated once is kept.

    Parameters
    ----------
    requests : Requests
        Lengths and predicted classes to draw from.
    trace_s [requests], optional
        True arrival times [s] of the trace that the Azure axis replays.
    draws, runs, jobs : int
        Bootstrap draws, and the size of the released study at one point of an axis.
    seed : int
        Seed of arrivals and draws.
    costs : Costs
        Price of batching and preemption where D8 and D7 are off.
    shares : sequence of float
        Shares of completions [%] at which throughput is taken.
    """

    def __init__(
        self,
        requests: Requests,
        trace_s: np.ndarray | None = None,
        *,
        draws: int = 100,
        runs: int = RUNS,
        jobs: int = JOBS,
        seed: int = 0,
        costs: Costs = DEFAULT_COSTS,
        shares=(QUARTER, ALL),
    ):
        self.requests, self.trace_s, self.costs, self.seed = requests, trace_s, costs, seed
        self.draws, self.runs, self.jobs = draws, runs, jobs
        self.shares = tuple(float(share) for share in shares)
        self._arrivals: dict = {}
        self._rows: dict = {}
        self._means: dict = {}

    @classmethod
    def with_authors_stream(cls, requests: Requests, trace_s: np.ndarray | None = None) -> Evaluation:
        """Return the one study that the program itself runs: its own random numbers, arrivals as released."""
        study = cls(requests, trace_s, draws=1)
        for kind, (arrivals, rows) in authors_stream(requests, trace_s).items():
            study._arrivals[study._arrival_key(kind, ALL_ON)] = arrivals
            study._rows[kind] = rows[None]
        return study

    @property
    def kinds(self) -> tuple[str, ...]:
        """Arrival kinds that can be run: Azure only with a trace."""
        return tuple(kind for kind in KINDS if kind != "azure" or self.trace_s is not None)

    def arrivals(self, kind: str, quirks: Quirks) -> np.ndarray:
        """Return arrival times [points, runs, jobs] [s]."""
        key = self._arrival_key(kind, quirks)
        if key not in self._arrivals:
            self._arrivals[key] = np.stack(
                [arrival_times(kind, x, self.runs, self.jobs, quirks, self.seed, self.trace_s) for x in AXES[kind]]
            )
        return self._arrivals[key]

    @staticmethod
    def _arrival_key(kind, quirks):
        return (kind, *(getattr(quirks, name) for name in ARRIVAL_SWITCHES))

    def rows(self, kind: str) -> np.ndarray:
        """Return the requests [draws, points, runs, jobs] that every policy and every switch position sees."""
        if kind not in self._rows:
            self._rows[kind] = draw(self.requests, kind, self.runs, self.jobs, self.draws, self.seed)
        return self._rows[kind]

    def means(self, kind: str, mode: str, slots: int, policy: str, quirks: Quirks = ALL_ON) -> dict[str, np.ndarray]:
        """Return a policy's metrics, averaged over the runs of each point.

        Returns
        -------
        dict of str to numpy.ndarray
            ``served`` [1], ``jct`` [s] and ``p99`` [s] are [draws, points], ``throughput`` [1/s] is
            [draws, points, shares].
        """
        acting = effective(mode, kind)
        if policy == "FCFS":
            acting = tuple(name for name in acting if name in FCFS_SWITCHES)
        key = (kind, mode, 1 if mode == "none" else slots, policy, *((n, getattr(quirks, n)) for n in acting))
        if key not in self._means:
            self._means[key] = self._serve(kind, mode, slots, policy, quirks)
        return self._means[key]

    def _serve(self, kind, mode, slots, policy, quirks):
        rows = self.rows(kind)
        arrival = np.broadcast_to(self.arrivals(kind, quirks), rows.shape).reshape(-1, self.jobs)
        service, predicted, belief = (
            values[rows].reshape(-1, self.jobs)
            for values in (service_s(self.requests.tokens), self.requests.predicted, self.requests.belief_s)
        )
        end = serve(arrival, service, policy, mode, slots, quirks, predicted, belief, self.costs)
        found = measure(arrival, end, self.shares)
        return {name: v.reshape(*rows.shape[:3], *v.shape[1:]).mean(axis=2) for name, v in found.items()}

    def compare(
        self, kind: str, mode: str, slots: int, quirks: Quirks = ALL_ON, policy: str = "SSJF"
    ) -> dict[str, np.ndarray]:
        """Return what `policy` gains over FCFS, as the released plots average it.

        Returns
        -------
        dict of str to numpy.ndarray
            ``jct_cut`` [%] and ``p99_change`` [%, positive is worse] are [draws]; ``ratios`` [draws, shares] are
            throughput ratios at each share of completions; ``throughput_ratio`` [draws] is the one that switch D1
            selects; ``served`` [draws] is the mean number of jobs that `policy` served.
        """
        if not {QUARTER, ALL} <= set(self.shares):
            raise InputError(f"shares {self.shares}: {QUARTER:g} and {ALL:g} must be among them")
        fcfs, other = (self.means(kind, mode, slots, name, quirks) for name in ("FCFS", policy))
        ratio = {name: other[name].mean(axis=1) / fcfs[name].mean(axis=1) for name in ("jct", "p99", "throughput")}
        place = self.shares.index(QUARTER if quirks.d1 else ALL)
        return {
            "jct_cut": 100 * (1 - ratio["jct"]),
            "p99_change": 100 * (ratio["p99"] - 1),
            "ratios": ratio["throughput"],
            "throughput_ratio": ratio["throughput"][:, place],
            "served": other["served"].mean(axis=1),
        }

    def subsets(self, kind: str, mode: str, slots: int, quantity: str) -> np.ndarray:
        """Return a headline quantity [512, draws] for every subset of switches that is on (bit 0 is D1)."""
        choose(quantity, QUANTITIES, "quantity")
        return np.stack(
            [
                self.compare(kind, mode, slots, Quirks.of_bits(b))[quantity]
                for b in track(range(2 ** len(SWITCHES)), "switch positions")
            ]
        )


def players(values: np.ndarray) -> int:
    """Return n for a table of 2^n subsets.

    Raises
    ------
    InputError
        If the first axis is no power of two, or 1.
    """
    n = len(values).bit_length() - 1
    if len(values) != 2**n or n < 1:
        raise InputError(f"{len(values)} subsets: 2, 4, 8, ... are needed, one value for each subset of the players")
    return n


def shapley(values: np.ndarray) -> np.ndarray:
    r"""Return exact Shapley values.

    .. math:: \phi_i = \sum_{S \not\ni i} \frac{|S|!\,(n - |S| - 1)!}{n!}\,[v(S \cup \{i\}) - v(S)]

    Parameters
    ----------
    values [2^n, ...]
        v(S) with S in binary: bit i is player i.

    Returns
    -------
    numpy.ndarray [n, ...]
        Shares that sum to v(all) - v(none).
    """
    values = np.asarray(values, dtype=float)
    n = players(values)
    subset = np.arange(2**n)
    size = np.bitwise_count(subset)
    weight = np.array([factorial(k) * factorial(n - k - 1) / factorial(n) for k in range(n)])
    shares = []
    for bit in 1 << np.arange(n):
        without = subset[(subset & bit) == 0]
        shares.append(np.tensordot(weight[size[without]], values[without | bit] - values[without], axes=1))
    return np.stack(shares)


def one_at_a_time(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what each switch does alone: turned off with all others on, and turned on with all others off.

    Parameters
    ----------
    values [2^n, ...]
        As for :func:`shapley`.

    Returns
    -------
    tuple of numpy.ndarray [n, ...]
        v(all) - v(all but i), and v(i alone) - v(none).
    """
    values = np.asarray(values, dtype=float)
    bits = 1 << np.arange(players(values))
    return values[-1] - values[(len(values) - 1) ^ bits], values[bits] - values[0]


def interval(draws: np.ndarray, level: float = 0.9) -> tuple[float, float, float]:
    """Return mean, and ends of the equal-tailed interval of `draws` [draws] (90 %), in their unit."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(np.mean(draws)), float(low), float(high)


def effects(values: np.ndarray) -> pd.DataFrame:
    """Return the effect of every switch on a quantity, three ways.

    Parameters
    ----------
    values [512, draws]
        From :meth:`Evaluation.subsets`.

    Returns
    -------
    pandas.DataFrame [27, 6]
        ``switch``, ``title``, ``method`` (``Shapley``, ``all others on``, ``all others off``), ``effect`` of its being
        on, ``lo``, ``hi`` (90 %), in the quantity's unit.
    """
    from_on, from_off = one_at_a_time(values)
    methods = {"Shapley": shapley(values), "all others on": from_on, "all others off": from_off}
    rows = [
        (switch.key, switch.title, method, *interval(table[i]))
        for method, table in methods.items()
        for i, switch in enumerate(SWITCHES.values())
    ]
    return pd.DataFrame(rows, columns=["switch", "title", "method", "effect", "lo", "hi"])


def waterfall(values: np.ndarray) -> pd.DataFrame:
    """Return the steps from "as released" to "all switches off", in order of size.

    Parameters
    ----------
    values [512, draws]
        From :meth:`Evaluation.subsets`.

    Returns
    -------
    pandas.DataFrame
        First and last row are the two ends, the rows between them one switch each, its Shapley value taken away
        (those below 1 % of the larger end together as ``others``): ``label``, ``switch`` (empty for an end), ``start``
        and ``end`` of the bar, ``lo`` and ``hi`` of the end or of the step (90 %), in the quantity's unit.
    """
    shares = shapley(values)
    size = np.abs(shares.mean(axis=1))
    large = size > 0.01 * np.abs(values[[0, -1]].mean(axis=1)).max()
    titles, level = list(SWITCHES.values()), float(values[-1].mean())
    rows = [("as released", "", 0.0, *interval(values[-1]))]
    parts = [
        (f"{titles[i].key.upper()} {titles[i].title}", titles[i].key, -shares[i]) for i in np.argsort(-size) if large[i]
    ]
    if np.abs(shares[~large]).max(initial=0) > 1e-9:
        parts.append(("the others", "others", -shares[~large].sum(axis=0)))
    for label, switch, change in parts:
        step, low, high = interval(change)
        rows.append((label, switch, level, level + step, low, high))
        level += step
    rows.append(("all off", "", 0.0, *interval(values[0])))
    return pd.DataFrame(rows, columns=["label", "switch", "start", "end", "lo", "hi"])


def curves(evaluation: Evaluation, mode: str, slots: int, quirks: Quirks = ALL_ON) -> pd.DataFrame:
    """Return what the released line plots show: JCT and throughput of each policy at each point of each axis.

    Returns
    -------
    pandas.DataFrame
        ``arrivals``, ``x``, ``policy``, ``jct``, ``jct_lo``, ``jct_hi`` [s], ``p99`` [s], ``throughput`` [1/s] at 25 %.
    """
    rows = []
    place = evaluation.shares.index(QUARTER)
    for kind in evaluation.kinds:
        for policy in POLICIES:
            found = evaluation.means(kind, mode, slots, policy, quirks)
            for i, x in enumerate(AXES[kind]):
                throughput = found["throughput"][:, i, place].mean()
                rows.append((kind, x, policy, *interval(found["jct"][:, i]), found["p99"][:, i].mean(), throughput))
    columns = ["arrivals", "x", "policy", "jct", "jct_lo", "jct_hi", "p99", "throughput"]
    return pd.DataFrame(rows, columns=columns)


def table(
    evaluation: Evaluation, quirks: Quirks = ALL_ON, cells=CELLS, policies=("SSJF", "SJF (oracle)")
) -> pd.DataFrame:
    """Return the released evaluation's table: one row for each cell, arrival kind and policy.

    Returns
    -------
    pandas.DataFrame
        ``mode``, ``slots``, ``arrivals``, ``policy``; ``jct_cut``, ``jct_cut_lo``, ``jct_cut_hi`` [%]; ``ratio_25``
        and ``ratio_100`` [1]; ``p99_change`` [%]; ``served`` [jobs of 50].
    """
    rows = []
    for mode, slots in cells:
        choose(mode, MODES, "mode")
        for kind in evaluation.kinds:
            for policy in policies:
                found = evaluation.compare(kind, mode, slots, quirks, policy)
                quarter, whole = (found["ratios"][:, evaluation.shares.index(s)].mean() for s in (QUARTER, ALL))
                rest = (quarter, whole, found["p99_change"].mean(), found["served"].mean())
                rows.append((mode, slots, kind, policy, *interval(found["jct_cut"]), *rest))
    columns = ["mode", "slots", "arrivals", "policy", "jct_cut", "jct_cut_lo", "jct_cut_hi", "ratio_25", "ratio_100"]
    return pd.DataFrame(rows, columns=[*columns, "p99_change", "served"])


def by_share(evaluation: Evaluation, kind: str, mode: str, slots: int, quirks: Quirks = ALL_ON) -> pd.DataFrame:
    """Return the throughput ratio against the share of completions at which it is taken.

    Returns
    -------
    pandas.DataFrame [shares, 4]
        ``share`` [%], ``ratio``, ``lo``, ``hi`` [1] (90 % over prompts).
    """
    ratios = evaluation.compare(kind, mode, slots, quirks)["ratios"]
    rows = [(share, *interval(ratios[:, i])) for i, share in enumerate(evaluation.shares)]
    return pd.DataFrame(rows, columns=["share", "ratio", "lo", "hi"])
