"""States of an encoder that was not trained for lengths: what its ridge baseline sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from credence.bench.errors import InputError
from credence.ssjf.model.encoder import Encoder
from credence.ssjf.model.network import padded, word_pieces

MAX_TOKENS = 256


def mean_states(encoder: Encoder, prompts: Sequence[str], layer: int = 4, batch: int = 32) -> np.ndarray:
    """Return the mean of a layer's states over the tokens of each prompt.

    Parameters
    ----------
    encoder : Encoder
        See :func:`~credence.ssjf.model.encoder.load_encoder`.
    prompts : sequence of str
        Texts; of long ones the first and the last word pieces, 256 in all.
    layer : int
        After which layer; 0 is the embedding.
    batch : int
        Texts at once, of similar length.

    Returns
    -------
    ndarray [prompts, width], float32

    Raises
    ------
    InputError
        For a layer that the encoder does not have.
    """
    model = encoder.copy_model().eval()
    if not 0 <= layer <= model.config.n_layers:
        raise InputError(f"layer {layer}; allowed: 0..{model.config.n_layers}")
    pieces = word_pieces(encoder.tokenizer, prompts, MAX_TOKENS, "head and tail")
    order = np.argsort([len(row) for row in pieces], kind="stable")
    found = np.empty((len(prompts), model.config.dim), dtype=np.float32)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        ids, mask = padded([pieces[row] for row in rows], encoder.tokenizer.pad_token_id)
        with torch.inference_mode():
            states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[layer]
        weight = mask.to(states.dtype)[:, :, None]
        found[rows] = ((states * weight).sum(1) / weight.sum(1)).numpy()
    return found
