"""Read the inputs of the SSJF study into tidy frames."""

from credence.ssjf.data.generators import generate
from credence.ssjf.data.requests import read_requests, validate_requests
from credence.ssjf.data.sources import (
    CASTILLO_CAP,
    VLLM_SETUPS,
    azure,
    castillo,
    mooncake,
    simulated_bursty,
    simulated_chat,
    splitwise,
    vicuna_predictions,
    vllm_runs,
)

__all__ = [
    "CASTILLO_CAP",
    "VLLM_SETUPS",
    "azure",
    "castillo",
    "generate",
    "mooncake",
    "read_requests",
    "simulated_bursty",
    "simulated_chat",
    "splitwise",
    "validate_requests",
    "vicuna_predictions",
    "vllm_runs",
]
