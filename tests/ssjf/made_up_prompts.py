"""Prompts that tell how long their answer is, a tokenizer of letters and an encoder of two small layers, for tests."""

import numpy as np
import torch
from transformers import DistilBertConfig, DistilBertModel

from credence.ssjf.data.answers import PromptSet
from credence.ssjf.model.encoder import Encoder, weights_digest

LIMIT = 400


class Letters:
    """A tokenizer with one word piece a letter."""

    cls_token_id, sep_token_id, pad_token_id = 1, 2, 0

    def __call__(self, texts, **_):
        return {"input_ids": [[3 + ord(letter) % 40 for letter in text] for text in texts]}


def small_encoder():
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=50, max_position_embeddings=64, n_layers=2, n_heads=2, dim=32, hidden_dim=32, dropout=0.0
    )
    model = DistilBertModel(config).eval()
    return Encoder(model, Letters(), "small", weights_digest(model))


ENCODER = small_encoder()


def made_up(count=48, seed=0):
    """Prompts whose letter tells the length of the answer."""
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 6, count)
    prompts = [chr(ord("a") + number) * int(rng.integers(3, 9)) + "?" for number in level]
    lengths = np.round(np.exp(2.5 + 0.7 * level[:, None] + 0.05 * rng.normal(size=(count, 2))))
    censored = lengths >= LIMIT
    names = np.array([f"p{number}" for number in range(count)], dtype=object)
    return PromptSet(
        "made-up", "made up", "simulated", names, prompts, np.minimum(lengths, LIMIT), censored, names, LIMIT
    )
