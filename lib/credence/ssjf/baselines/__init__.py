"""What SSJF is compared with: keys that need no learning, and simpler ways to predict lengths (module ``lengths``)."""

from credence.ssjf.baselines.keys import (
    FIVE_CLASS_EDGES,
    ORACLES,
    UNINFORMED,
    class_key,
    noisy_key,
    prompt_length_key,
    scaled_key,
)

__all__ = [
    "FIVE_CLASS_EDGES",
    "ORACLES",
    "UNINFORMED",
    "class_key",
    "noisy_key",
    "prompt_length_key",
    "scaled_key",
]
