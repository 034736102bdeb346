"""What the world takes from the paper's digitised figures: losses, loads and durations.

A probe is lost if it isn't complete within a second (paper §IV-A). Normal and failed operation give the shares of
Fig. 6; the load of a server gives the share through the mean and the 99th percentile of Fig. 9; how long events last
is Fig. 4.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.optimize import brentq

from credence.kaleidoscope.data.paper import paper_figure

SERVICE_LEVEL_S = 1.0
WINDOW_MIN = 5
# Fig. 9's first bin ends here: nothing runs but the usual
IDLE_LOAD = 5.0
# above it Fig. 9 has 0.18 % of its samples: 0.8 of 432 servers at any time, as many as the 25,427 raw overloads of
# Fig. 4's length give (0.6)
OVERLOAD = 65.0
# completion time of an unhindered probe, the median of Fig. 6 [s]
FAST_S = 0.045


@functools.cache
def shares_lost() -> dict[str, float]:
    """Return the share of probes that take more than a second in normal and in failed operation (Fig. 6)."""
    frame = paper_figure("fig6")
    found = {}
    for condition, rows in frame.groupby("condition"):
        within = rows[rows["completion_time_s"] <= SERVICE_LEVEL_S]
        found[str(condition)] = float(1 - within["cdf"].max())
    return found


@functools.cache
def _load_curve() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return load, slow share and mean of the slow ones [s] that give Fig. 9's mean and 99th percentile.

    Completion time = an unhindered probe, or with probability q an exponential delay of mean tau on top: two unknowns,
    two values. A log-normal can't have a 99th percentile of 15 means, which Fig. 9 has at load 100.
    """
    frame = paper_figure("fig9-time").pivot(index="loadavg_1min", columns="stat", values="completion_time_s")
    load, slow, delay = [], [], []
    for x, row in frame.iterrows():
        extra, far = row["avg"] - FAST_S, row["p99"]

        def excess(tau, extra=extra, far=far):
            return extra / tau * np.exp(-(far - FAST_S) / tau) - 0.01

        # the left-hand side rises up to tau = far: the smaller root, if there is one, else its top
        top = far - FAST_S
        tau = brentq(excess, far / 60, top) if excess(top) > 0 else top
        load.append(float(x))
        slow.append(min(1.0, extra / tau))
        delay.append(tau)
    return np.array(load), np.array(slow), np.array(delay)


def loss_at_load(load) -> np.ndarray:
    """Return P(a probe takes more than a second) at a load average of its server, read off Fig. 9.

    Parameters
    ----------
    load : array_like
        One-minute load average; beyond 300, where the figure ends, the last value holds.
    """
    at, slow, delay = _load_curve()
    loss = slow * np.exp(-(SERVICE_LEVEL_S - FAST_S) / delay)
    return np.interp(np.asarray(load, float), at, np.maximum.accumulate(loss))


@functools.cache
def load_histogram() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lower ends, upper ends and shares of Fig. 9's load histogram, the first bin cut at 0."""
    frame = paper_figure("fig9-load")
    count = frame["count"].to_numpy()
    return np.maximum(frame["load_lo"].to_numpy(), 0), frame["load_hi"].to_numpy(), count / count.sum()


def draw_loads(count: int, rng: np.random.Generator, above: float = OVERLOAD, below: float = np.inf) -> np.ndarray:
    """Draw load averages between two limits from Fig. 9's histogram [count]; uniform within a bin."""
    low, high, share = load_histogram()
    keep = (low >= above - 1e-9) & (high <= below + 1e-9)
    chosen = rng.choice(np.flatnonzero(keep), size=count, p=share[keep] / share[keep].sum())
    return rng.uniform(low[chosen], high[chosen])


def share_of_loads(above: float, below: float = np.inf) -> float:
    """Return the share of Fig. 9's samples between two limits, which are ends of its bins."""
    low, high, share = load_histogram()
    return float(share[(low >= above - 1e-9) & (high <= below + 1e-9)].sum())


@functools.cache
def base_loss() -> float:
    """Return the loss that no load explains: Fig. 6's normal loss less what Fig. 9's loads below an overload give."""
    low, high, share = load_histogram()
    usual = high <= OVERLOAD + 1e-9
    by_load = (share[usual] * loss_at_load((low[usual] + high[usual]) / 2)).sum() / share[usual].sum()
    return float(shares_lost()["normal"] - by_load)


@functools.cache
def _duration_bins() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frame = paper_figure("fig4")
    count = np.round(frame["count"].to_numpy())
    low, high = np.maximum(frame["bin_lo_min"].to_numpy(), 0), frame["bin_hi_min"].to_numpy()
    return low, high, count / count.sum()


def draw_durations(count: int, rng: np.random.Generator, longer_than: float = 0.0) -> np.ndarray:
    """Draw how long events last [min] from Fig. 4 [count], only those above a limit.

    Uniform within a bin: its first (0 to 24 min, 98 % of all events) then has the median of 12 min that the text gives.
    """
    low, high, share = _duration_bins()
    start = np.maximum(low, longer_than)
    weight = share * np.maximum(high - start, 0) / (high - low)
    chosen = rng.choice(len(share), size=count, p=weight / weight.sum())
    return rng.uniform(start[chosen], high[chosen])
