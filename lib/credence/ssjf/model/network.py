"""The proxy as one network: encoder, summary of the tokens, the paper's two hidden layers, the head's output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from credence.bench.errors import InputError, choose

POOLINGS = ("first", "mean")
CUTS = ("tail", "head and tail")
HIDDEN = 128


class ProxyNet(nn.Module):
    """Encoder -> summary -> Linear(128) -> ReLU -> Linear(128) -> ReLU -> Linear(width), as in the release.

    Parameters
    ----------
    encoder : transformers.DistilBertModel
    width : int
        Numbers of the head's output.
    pooling : str
        ``"first"``: the first token's state, as in the release; ``"mean"``: the mean over tokens, what MiniLM-L6 was
        trained for.
    auxiliary : int
        Further outputs learned beside the head's and not used afterwards: log lengths of other models' answers.
    """

    def __init__(self, encoder, width: int, pooling: str = "first", auxiliary: int = 0):
        super().__init__()
        self.encoder = encoder
        self.pooling = choose(pooling, POOLINGS, "pooling")
        self.body = nn.Sequential(
            nn.Linear(encoder.config.dim, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
        )
        self.out = nn.Linear(HIDDEN, width)
        self.auxiliary = nn.Linear(HIDDEN, auxiliary) if auxiliary else None

    def lower(self, ids: torch.Tensor, mask: torch.Tensor, layers: int) -> torch.Tensor:
        """Return the token states [prompts, tokens, dim] after the lowest `layers` of word pieces [prompts, tokens]."""
        return self._through(self.encoder.embeddings(ids), mask, slice(0, layers))

    def upper(self, states: torch.Tensor, mask: torch.Tensor, layers: int) -> torch.Tensor:
        """Return the summary [prompts, dim] of token states that left the lowest `layers`; `mask` is 1 for tokens."""
        states = self._through(states, mask, slice(layers, None))
        if self.pooling == "first":
            return states[:, 0]
        weight = mask.unsqueeze(2).to(states.dtype)
        return (states * weight).sum(1) / weight.sum(1)

    def summary(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the encoder's summary [prompts, dim] of word pieces `ids` [prompts, tokens]; `mask`: 1 for tokens."""
        return self.upper(self.lower(ids, mask, 0), mask, 0)

    def _through(self, states: torch.Tensor, mask: torch.Tensor, layers: slice) -> torch.Tensor:
        # a batch without padding needs no mask, and attention is faster without one
        seen = None if bool(mask.all()) else mask.bool()[:, None, None, :].expand(-1, 1, mask.shape[1], -1)
        for layer in self.encoder.transformer.layer[layers]:
            states = layer(states, seen)
        return states

    def heads(self, summary: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the head's output [prompts, width] and the auxiliary one [prompts, auxiliary] or None."""
        hidden = self.body(summary)
        return self.out(hidden), self.auxiliary(hidden) if self.auxiliary is not None else None

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the head's output [prompts, width]."""
        return self.heads(self.summary(ids, mask))[0]


def word_pieces(tokenizer, prompts: Sequence[str], max_tokens: int, cut: str = "tail") -> list[np.ndarray]:
    """Return the word pieces of each prompt, with the marks of beginning and end.

    Parameters
    ----------
    max_tokens : int
        Longest result, marks included, from 3.
    cut : str
        What stays of a longer prompt: ``"tail"``, the last word pieces (the release's default), or
        ``"head and tail"``, a quarter from its beginning and the rest from its end (the release's other way).
    """
    choose(cut, CUTS, "cut")
    if max_tokens < 3:
        raise InputError(f"max_tokens is {max_tokens}; allowed: 3 or more")
    if not len(prompts):
        return []
    room = max_tokens - 2
    ahead = room // 4 if cut == "head and tail" else 0
    pieces = tokenizer(list(prompts), add_special_tokens=False, verbose=False)["input_ids"]
    result = []
    for row in pieces:
        kept = row if len(row) <= room else row[:ahead] + row[len(row) - (room - ahead) :]
        result.append(np.array([tokenizer.cls_token_id, *kept, tokenizer.sep_token_id], dtype=np.int64))
    return result


def padded(pieces: Sequence[np.ndarray], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return word pieces as ids and mask, each [prompts, longest]."""
    longest = max(len(row) for row in pieces)
    ids = np.full((len(pieces), longest), pad, dtype=np.int64)
    for place, row in enumerate(pieces):
        ids[place, : len(row)] = row
    return torch.from_numpy(ids), token_mask([len(row) for row in pieces])


def token_mask(sizes: Sequence[int]) -> torch.Tensor:
    """Return the mask [prompts, longest]: 1 for the tokens of prompts of `sizes` word pieces, 0 for padding."""
    sizes = np.asarray(sizes)
    return torch.from_numpy((np.arange(sizes.max()) < sizes[:, None]).astype(np.int64))
