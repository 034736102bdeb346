"""The paper's model: components, paths, counts of probes."""

from credence.kaleidoscope.model.variants import ARTIFACT, Priors, Variant

__all__ = ["ARTIFACT", "Priors", "Variant"]
