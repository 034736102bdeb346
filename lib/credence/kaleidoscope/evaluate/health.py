"""The health of every component in a window, by name: what ``credence kaleidoscope localise`` writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from credence.kaleidoscope import infer
from credence.kaleidoscope.data.probes import Window
from credence.kaleidoscope.data.topology import Paths, Topology
from credence.kaleidoscope.model.variants import Priors, Variant

# A component that is hidden behind a dead one keeps its prior and is no suspect, nor is one that is almost surely up.
SUSPECT_BELOW = 0.95

STATES = ("up", "ambiguous", "down")
COLUMNS = ("component", "kind", "p_healthy", "rate", "lo90", "hi90", "state", "set", "rank")


@dataclass(frozen=True, eq=False)
class Health:
    """What one window says.

    Attributes
    ----------
    table : pandas.DataFrame [components, 9]
        ``component``, ``kind``; ``p_healthy`` P(up | data) in the binary model; ``rate``, ``lo90``, ``hi90``: success
        rate of the probes through it for which all else works, and its 90 % interval (equal tails); ``state`` up, down
        or ambiguous; ``set``: id shared by components that the data cannot tell apart, else empty; ``rank``: 1 for the
        most suspect.
    dead_routers : pandas.DataFrame [groups of routers probed, 3]
        ``group``, ``members``, ``dead``: expected number of dead ones.
    hidden : int
        Components that are probed, but of which nothing can be told: what else their probes cross is down.
    log_evidence : float
    """

    table: pd.DataFrame
    dead_routers: pd.DataFrame
    hidden: int
    log_evidence: float

    @property
    def suspects(self) -> pd.DataFrame:
        """Rows of components that are likely not up, the most suspect first."""
        rows = self.table[(self.table["state"] != "up") & (self.table["p_healthy"] < SUSPECT_BELOW)]
        return rows.sort_values("rank")


def health(system: Topology, window: Window, priors: Priors | None = None, variant: Variant | None = None) -> Health:
    """Judge every component of a topology by the probes of one window.

    Parameters
    ----------
    system, window
        The topology, and counts of probes on it.
    priors, variant
        The binary model's, by default those of :class:`Priors` and :class:`Variant`.
    """
    priors = priors or Priors()
    paths = system.paths(window.client, window.target, window.operation)
    order = infer.plan(infer.index(paths, variant or Variant()))
    posterior = infer.exact_posterior(order, window, priors, by_cell=True)
    found = infer.health(order, window, priors, posterior=posterior)
    table = pd.DataFrame(
        {
            "component": system.components,
            "kind": system.kinds,
            "p_healthy": found["p_up"].to_numpy(float),
            "rate": found["rate"].to_numpy(float),
            "lo90": found["lo90"].to_numpy(float),
            "hi90": found["hi90"].to_numpy(float),
            "state": found["state"].to_numpy(str),
            "set": set_names(found["set"].to_numpy(int), found["p_up"].to_numpy(float)),
            "rank": found["rank"].to_numpy(int),
        }
    )
    unclear = (table["state"] == "ambiguous") & (table["p_healthy"] >= SUSPECT_BELOW)
    hidden = int((unclear & crossed(paths)).sum())
    return Health(table, _routers(system, paths, posterior), hidden, float(posterior.log_evidence))


def crossed(paths: Paths) -> np.ndarray:
    """Return which components any probe crosses: bool [components]."""
    found = np.zeros(paths.components, bool)
    found[paths.series[paths.series >= 0]] = True
    members = paths.members[np.unique(paths.groups[paths.groups >= 0])]
    found[members[members >= 0]] = True
    return found


def set_names(number: np.ndarray, p_up: np.ndarray) -> np.ndarray:
    """Name the sets of more than one component s1, s2, … in order of suspicion; others have no name [components]."""
    names = np.full(len(number), "", dtype=object)
    found, counts = np.unique(number[number > 0], return_counts=True)
    lowest = {int(each): p_up[number == each].min() for each in found[counts > 1]}
    for position, each in enumerate(sorted(lowest, key=lowest.__getitem__), 1):
        names[number == each] = f"s{position}"
    return names


def _routers(system: Topology, paths: Paths, posterior) -> pd.DataFrame:
    used = np.unique(paths.groups[paths.groups >= 0])
    used = used[paths.lnet[used]]
    return pd.DataFrame(
        {
            "group": [system.groups[group].name for group in used],
            "members": (paths.members[used] >= 0).sum(axis=1),
            "dead": posterior.dead_routers_per_group[used],
        }
    )
