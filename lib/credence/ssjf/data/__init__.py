"""Read the inputs of the SSJF study into tidy frames."""

from credence.ssjf.data.answers import (
    CASTILLO_MODEL,
    PromptSet,
    castillo_all_models,
    castillo_chat,
    castillo_models,
    folds,
    halueval,
    measured_answers,
    read_prompts,
    set_folds,
)
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
    "CASTILLO_MODEL",
    "VLLM_SETUPS",
    "PromptSet",
    "azure",
    "castillo",
    "castillo_all_models",
    "castillo_chat",
    "castillo_models",
    "folds",
    "generate",
    "halueval",
    "measured_answers",
    "mooncake",
    "read_prompts",
    "read_requests",
    "set_folds",
    "simulated_bursty",
    "simulated_chat",
    "splitwise",
    "validate_requests",
    "vicuna_predictions",
    "vllm_runs",
]
