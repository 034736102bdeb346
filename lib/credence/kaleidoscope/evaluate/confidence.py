"""What a confidence is worth: how often is a component down that is said to be down with so much confidence?

Windows are drawn with faults from the prior, so that a model that is right is calibrated, by Bayes' theorem; then the
world breaks the model, more and more.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from credence.bench import seeds
from credence.kaleidoscope.data.topology import KINDS
from credence.kaleidoscope.infer import exact_posterior, index, plan
from credence.kaleidoscope.model.variants import Priors
from credence.kaleidoscope.world.grown import METADATA, NETWORKS, Grown, grow, observe

# from 1 %: below, only what is down is kept in a table of confidences
BINS = np.array([0.01, 0.05, 0.15, 0.35, 0.55, 0.75, 0.9, 0.99, 1.0])
CONFIDENT = 0.75  # the paper's rule (§V-A)
EASED = 1 - 0.177  # success rate under failure by the digitised Fig. 6


@dataclass(frozen=True)
class Break:
    """How a world departs from the model; the defaults are the model.

    Attributes
    ----------
    dispersion : float
        Working cells' losses are multiplied by Gamma(1/d, d).
    shared : bool
        A component that is down has one success rate for all its cells: 0 for a share `hard` of them, else Beta of
        mean 82.3 % (Fig. 6), as in the two-year replay.
    hard : float
    more_faults : float
        Faults are so many times as frequent as the prior says.
    missing : float
        Share of probes never launched.
    sent : int
        Probes of every cell in a window: 5 are five minutes, 1 is one.
    """

    dispersion: float = 0.0
    shared: bool = False
    hard: float = 0.5
    more_faults: float = 1.0
    missing: float = 0.0
    sent: int = 5


# judged by the claim; chosen before the run: what the two-year replay has by default, as far as it applies
JUDGED = Break(dispersion=1.0, shared=True, hard=0.5, missing=0.002)


def draw_faults(graph: Grown, priors: Priors, rng: np.random.Generator, more: float = 1.0) -> np.ndarray:
    """Draw ids of what is down [n] from the prior, each component on its own."""
    down = (1 - priors.of_components(graph.paths.kinds)) * more
    return np.flatnonzero(rng.random(graph.components) < down)


def windows(graph: Grown, broken: Break, priors: Priors, count: int, seed: int):
    """Yield `count` pairs of what is down [n] and a window.

    Faults and losses of window number w are the same at every strength of a break.
    """
    for w in range(count):
        rng = seeds.generator(seed, "kaleidoscope confidence", w)
        down = draw_faults(graph, priors, rng, broken.more_faults)
        own = None
        if broken.shared:
            soft = rng.beta(2 * EASED / (1 - EASED), 2, len(down))
            own = np.where(rng.random(len(down)) < broken.hard, 0.0, soft)
        words = {"sent": broken.sent, "dispersion": broken.dispersion, "missing": broken.missing, "own": own}
        words |= {"up_rate": priors.up_rate, "failed": priors.down, "strength": priors.up_strength}
        yield down, observe(graph, down, rng, **words)


def visible(graph: Grown, down: np.ndarray) -> np.ndarray:
    """Return which components make any cell fail, as they are [components]: one server of a pair does not."""
    state = np.zeros(graph.components, bool)
    state[down] = True
    members = graph.paths.members
    state[members[~state[members].all(axis=1)]] = False
    return state


def confidences(
    graph: Grown,
    broken: Break,
    priors: Priors | None = None,
    count: int = 100,
    seed: int = 0,
    world: Priors | None = None,
) -> pd.DataFrame:
    """Return one row for every component that is suspect (1 % or more) or down, in every window.

    Parameters
    ----------
    graph : Grown
    broken : Break
    priors : Priors, optional
        Of the model.
    count, seed : int
        Windows.
    world : Priors, optional
        From which the world is drawn; the model's by default.

    Returns
    -------
    pandas.DataFrame
        ``window``, ``component``, ``kind``, ``p_down``, ``down`` (of a server: with its partner).
    """
    priors = priors or Priors()
    order = _plan(graph)
    rows = []
    for w, (down, window) in enumerate(windows(graph, broken, world or priors, count, seed)):
        p_down = 1 - exact_posterior(order, window, priors).p_up
        truth = np.zeros(graph.components, bool)
        truth[down] = True
        seen = visible(graph, down)
        # a lone dead server is invisible: its posterior is its prior, and neither a hit nor a miss
        kept = np.flatnonzero((p_down >= 0.01) | seen)
        rows.append(pd.DataFrame({"window": w, "component": kept, "p_down": p_down[kept], "down": truth[kept]}))
    table = pd.concat(rows, ignore_index=True)
    return table.assign(kind=np.array(KINDS)[graph.paths.kinds[table["component"]]])


@functools.lru_cache(maxsize=2)
def _plan(graph: Grown):
    return plan(index(graph.paths))


def by_confidence(table: pd.DataFrame, bins: np.ndarray = BINS) -> pd.DataFrame:
    """Return, by bin of confidence: mean confidence, frequency of being down with its 90 % interval, number."""
    from scipy.special import betaincinv

    table = table[table["p_down"] >= bins[0]]
    inside = np.clip(np.searchsorted(bins, table["p_down"], side="right") - 1, 0, len(bins) - 2)
    found = table.groupby(inside).agg(confidence=("p_down", "mean"), down=("down", "sum"), count=("down", "size"))
    k, n = found["down"].to_numpy(float), found["count"].to_numpy(float)
    frame = found.assign(
        frequency=k / n, lo=betaincinv(k + 0.5, n - k + 0.5, 0.05), hi=betaincinv(k + 0.5, n - k + 0.5, 0.95)
    )
    return frame.reset_index(names="bin")


def rule(table: pd.DataFrame, confident: float = CONFIDENT) -> dict[str, float]:
    """Return the rule in numbers: of those flagged the share that is down, of those down the share that is flagged."""
    flagged = table["p_down"] > confident
    down = table["down"]
    loss = -np.log(np.where(down, table["p_down"], 1 - table["p_down"]).clip(1e-12))
    return {
        "flagged": float(flagged.sum()),
        "right": float(down[flagged].mean()) if flagged.any() else np.nan,
        "found": float(flagged[down].mean()) if down.any() else np.nan,
        "log_loss": float(loss.mean()) if len(loss) else np.nan,
    }


def draws_of_right(table: pd.DataFrame, windows_drawn: int, rng: np.random.Generator, draws: int = 2000) -> np.ndarray:
    """Return draws of the share of those flagged that are down, resampling windows [draws], in percent."""
    flagged = table[table["p_down"] > CONFIDENT]
    right = np.bincount(flagged["window"], flagged["down"], windows_drawn)
    count = np.bincount(flagged["window"], minlength=windows_drawn)
    weight = rng.multinomial(windows_drawn, np.full(windows_drawn, 1 / windows_drawn), draws)
    total = weight @ count
    return 100 * (weight @ right)[total > 0] / total[total > 0]


def strengths(graph: Grown, count: int, seed: int, priors: Mapping[str, Priors] | None = None) -> pd.DataFrame:
    """Return the rule's numbers by strength of each break, one at a time: ``what``, ``strength``, ``priors``."""
    plain = Break()
    breaks = {
        "dispersion": [replace(plain, dispersion=d) for d in (0.0, 1.0, 4.0, 16.0)],
        "one rate a component, share lost whole": [replace(plain, shared=True, hard=h) for h in (1.0, 0.5, 0.0)],
        "faults, times the prior": [replace(plain, more_faults=m) for m in (0.1, 1.0, 10.0)],
        "missing": [replace(plain, missing=m) for m in (0.0, 0.1, 0.3)],
    }
    values = {
        "dispersion": lambda b: b.dispersion,
        "one rate a component, share lost whole": lambda b: b.hard,
        "faults, times the prior": lambda b: b.more_faults,
        "missing": lambda b: b.missing,
    }
    rows = []
    for name, each in (priors or {"default": Priors()}).items():
        for what, list_of in breaks.items():
            for broken in list_of:
                table = confidences(graph, broken, each, count, seed, Priors())
                rows.append({"priors": name, "what": what, "strength": values[what](broken)} | rule(table))
    return pd.DataFrame(rows)


def candidates() -> dict[str, Priors]:
    """Return the priors among which the default is chosen."""
    found = {}
    for down in ((0.5, 0.5), (1.0, 1.0), (0.5, 1.5), (2.0, 1.0), (1.0, 4.0)):
        for strength in (None, 50.0):
            shown = f"failed Beta({down[0]:g}, {down[1]:g})" + ("" if strength is None else ", working cells uneven")
            found[shown] = Priors(down=down, up_strength=strength)
    return found


def evidence(order, seen, options: Mapping[str, Priors]) -> pd.DataFrame:
    """Return the log evidence of every window under every prior: ``priors``, ``window``, ``log_evidence``.

    Parameters
    ----------
    order : Plan
    seen : sequence of Window
    options : mapping of str to Priors
    """
    rows = [
        (name, w, exact_posterior(order, window, priors).log_evidence)
        for name, priors in options.items()
        for w, window in enumerate(seen)
    ]
    return pd.DataFrame(rows, columns=["priors", "window", "log_evidence"])


def training_windows(count: int, span: int, seed: int = 1001):
    """Return windows of the two-year replay's training world: plan of the exact sum, issue windows, quiet windows.

    Parameters
    ----------
    count : int
        Most windows of either sort.
    span : int
        Among so many windows from the beginning.
    seed : int
        Of the training world; the judged one has another.
    """
    from credence.kaleidoscope.evaluate import contest, production
    from credence.kaleidoscope.world import windows as world

    here = production.scene()
    events = contest.timetable(here.full, seed, 1)
    succeeded, missing = world.month(here.full, here.what, events, 0, seed, windows=span)[:2]
    busy = np.zeros(span, bool)
    for row in events[events["issue"]].itertuples():
        busy[row.first : row.last] = True
    rng = seeds.generator(seed, "kaleidoscope evidence")
    chosen = (rng.permutation(np.flatnonzero(each))[:count] for each in (busy, ~busy))
    paths = here.small.paths(here.what.client, here.what.target, here.what.operation)
    seen = ([here.what.window(succeeded[k], missing[k]) for k in each] for each in chosen)
    return plan(index(paths)), *seen


def behind_a_dead_metadata_server(graph: Grown, number: int = 0):
    """Return a window in which only the first metadata server is down, its id, and what hangs on it [n]."""
    rng = seeds.generator(number, "kaleidoscope dead metadata server")
    server = graph.clients + NETWORKS
    window = observe(graph, np.array([server]), rng, own=np.zeros(1))
    first_server = graph.clients + NETWORKS + METADATA
    pairs = np.unique(graph.paths.groups[(graph.paths.series == server).any(axis=1), 0])
    servers = first_server + np.concatenate([2 * pairs, 2 * pairs + 1])
    return window, server, np.concatenate([servers, servers + 2 * graph.pairs])


def first_priors(graph: Grown, shapes, count: int, **sampling_words) -> pd.DataFrame:
    """Return what NUTS blames behind a dead metadata server under several first priors of health.

    Parameters
    ----------
    graph : Grown
    shapes : sequence of tuple of float
        Beta(a, b).
    count : int
        Windows.
    **sampling_words
        Of :func:`credence.kaleidoscope.infer.sampling.nuts`.

    Returns
    -------
    pandas.DataFrame
        ``method``, ``window``, ``blamed`` (of what hangs on it: P(health < 0.9) > 75 %), ``hidden`` (how many hang on
        it), ``server`` (is the metadata server blamed); the exact binary posterior as one more method.
    """
    from credence.kaleidoscope.infer import sampling

    rows = []
    for w in range(count):
        window, server, behind = behind_a_dead_metadata_server(graph, w)
        for a, b in shapes:
            name = f"health Beta({a:g}, {b:g}), window {w}"
            found = sampling.nuts(graph.paths, window, Priors(health=(a, b)), name=name, **sampling_words)
            flagged = found.components[found.below() > CONFIDENT]
            rows.append((f"NUTS, Beta({a:g}, {b:g})", w, np.isin(behind, flagged).sum(), server in flagged))
        p_down = 1 - exact_posterior(graph.paths, window).p_up
        rows.append(("exact, binary", w, (p_down[behind] > CONFIDENT).sum(), p_down[server] > CONFIDENT))
    frame = pd.DataFrame(rows, columns=["method", "window", "blamed", "server"])
    return frame.assign(hidden=len(behind))


def small_graph() -> Grown:
    """Return the graph of Blue Waters' size: 875 components, 2,592 cells."""
    return grow(6, 216)


def real_evidence() -> pd.DataFrame:
    """Return :func:`evidence` of the four real windows (third party), missing pings counted as failed."""
    from credence.kaleidoscope.data import incidents
    from credence.kaleidoscope.data.topology import topology

    seen = [incidents.incident_window(incidents.incident(name)) for name in incidents.incidents()]
    paths = topology("bluewaters").paths(seen[0].client, seen[0].target, seen[0].operation)
    return evidence(plan(index(paths)), seen, candidates())
