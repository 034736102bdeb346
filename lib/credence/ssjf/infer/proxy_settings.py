"""How a proxy is trained: the release's schedule, and a faster one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from credence.bench.errors import InputError, choose
from credence.ssjf.model.heads import HEADS
from credence.ssjf.model.network import CUTS, POOLINGS

SAMPLES = ("all", "first")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Settings:
    """How a proxy is trained; every field is part of its cache key.

    Attributes
    ----------
    head : str
        One of :data:`credence.ssjf.model.heads.HEADS`.
    epochs : int
        Passes over the training part.
    tuned_epochs : int
        Passes in which the encoder learns too; it is frozen afterwards.
    encoder_lr, head_lr : float
        Peak learning rates of AdamW while the encoder is tuned: of its last layer, and of everything above it.
    frozen_lr : float
        Learning rate of what is above the encoder once that is frozen.
    layer_decay : float
        Factor of the learning rate from each layer to the one below it.
    warm_up : float
        Share of the steps in which the rates rise linearly; then they fall linearly to 0.
    frozen_layers : int
        Number of lowest layers that never learn, so that their states are computed once (without dropout); 0: only the
        embeddings are frozen; -1: nothing is.
    batch : int
        Prompts a step.
    max_tokens, cut : int, str
        What the encoder sees of a long prompt, see :func:`~credence.ssjf.model.network.word_pieces`.
    pooling : str
        ``"first"`` or ``"mean"``.
    samples : str
        Targets: ``"all"`` sampled answers of a prompt, or only the ``"first"`` (the paper's single answer).
    ranking, auxiliary : float
        Weights of a listwise loss on the head's key and of the auxiliary targets' loss beside the head's own.
    stop_early : bool
        Keep the epoch with the highest Kendall tau on the validation part instead of the last.
    weight_decay : float
        Of AdamW.
    precision : str
        Of matrix products in training: ``"float32"``, or ``"bfloat16"``, twice as fast on recent CPUs.
    seed : int
        Of the head's first weights, the order of batches and dropout.
    """

    head: str = "quantile"
    epochs: int = 5
    tuned_epochs: int = 5
    encoder_lr: float = 2e-4
    head_lr: float = 1e-3
    frozen_lr: float = 1e-3
    layer_decay: float = 0.9
    warm_up: float = 0.1
    frozen_layers: int = 3
    batch: int = 16
    max_tokens: int = 128
    cut: str = "head and tail"
    pooling: str = "mean"
    samples: str = "all"
    ranking: float = 0.0
    auxiliary: float = 0.5
    stop_early: bool = True
    weight_decay: float = 0.01
    precision: str = "bfloat16"
    seed: int = 0

    def __post_init__(self):
        choose(self.head, HEADS, "head")
        choose(self.cut, CUTS, "cut")
        choose(self.pooling, POOLINGS, "pooling")
        choose(self.samples, SAMPLES, "samples")
        choose(self.precision, PRECISIONS, "precision")
        for name, least in {"epochs": 1, "tuned_epochs": 0, "batch": 2, "max_tokens": 3}.items():
            if getattr(self, name) < least:
                raise InputError(f"settings: {name} is {getattr(self, name)}; allowed: {least} or more")


def paper_settings(head: str = "l1", **changes) -> Settings:
    """Return the release's schedule: encoder tuned 3 epochs at 1e-5, then frozen 3 at 1e-4; one answer a prompt.

    Batch 16, first token's state, the last 512 word pieces, linear decay without warm-up, no early stopping
    (repository LLM-serving-with-proxy-models, output-token-len-prediction/latency_prediction.py).
    """
    paper = Settings(
        head=head,
        epochs=6,
        tuned_epochs=3,
        encoder_lr=1e-5,
        head_lr=1e-5,
        frozen_lr=1e-4,
        layer_decay=1.0,
        warm_up=0.0,
        frozen_layers=-1,
        batch=16,
        max_tokens=512,
        cut="tail",
        pooling="first",
        samples="first",
        ranking=0.0,
        auxiliary=0.0,
        stop_early=False,
        precision="float32",
    )
    return dataclasses.replace(paper, **changes)


def fast_settings(head: str = "quantile", **changes) -> Settings:
    """Return this project's schedule: higher layer-wise rates, warm-up, all answers of a prompt, early stopping.

    The lowest three layers stay frozen. The quantile head learns a listwise loss beside its own; the other heads learn
    their own alone, so that heads can be compared. Chosen on a part of the training prompts of CASTILLO's fold 0.
    """
    ranking = 0.5 if head == "quantile" else 0.0
    return dataclasses.replace(Settings(head=head, ranking=ranking), **changes)
