"""Inference: exact posterior by conditioning, search for the likeliest explanation, sampling, identifiability."""

from credence.kaleidoscope.infer.exact import Posterior, exact_posterior
from credence.kaleidoscope.infer.health import health
from credence.kaleidoscope.infer.identify import Identifiability, identifiability
from credence.kaleidoscope.infer.index import Index, index
from credence.kaleidoscope.infer.search import Explanation, Ready, down_components, map_search, map_windows, ready
from credence.kaleidoscope.infer.tree import Plan, plan

__all__ = [
    "Explanation",
    "Identifiability",
    "Index",
    "Plan",
    "Posterior",
    "Ready",
    "down_components",
    "exact_posterior",
    "health",
    "identifiability",
    "index",
    "map_search",
    "map_windows",
    "plan",
    "ready",
]
