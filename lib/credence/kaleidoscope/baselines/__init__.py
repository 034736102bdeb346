"""Localisation by others, written from their papers: NetBouncer, Flock, Sherlock, 007, and a plain threshold.

Each is called ``method(paths, window, settings) -> Blame``; its settings are a frozen record whose defaults are the
published ones. ``paths`` may be a :class:`~credence.kaleidoscope.baselines.crossing.Crossing`, built once.
"""

from credence.kaleidoscope.baselines.crossing import Blame, Crossing, crossing
from credence.kaleidoscope.baselines.explain import Flock, Sherlock, flock, sherlock
from credence.kaleidoscope.baselines.netbouncer import NetBouncer, netbouncer
from credence.kaleidoscope.baselines.votes import Threshold, Vote007, threshold, vote007

METHODS = {
    "NetBouncer": (netbouncer, NetBouncer()),
    "Flock": (flock, Flock()),
    "Sherlock": (sherlock, Sherlock()),
    "007": (vote007, Vote007()),
    "threshold": (threshold, Threshold()),
}

__all__ = [
    "METHODS", "Blame", "Crossing", "Flock", "NetBouncer", "Sherlock", "Threshold", "Vote007",
    "crossing", "flock", "netbouncer", "sherlock", "threshold", "vote007",
]  # fmt: skip
