"""What the proxy predicts with: the heads of the paper, a listwise one and a quantile one, each with its loss.

Every head reads the encoder's summary of a prompt and gives ``output`` [prompts, width]. A prompt may have several
sampled answers, so targets are y [prompts, samples] in tokens; a missing sample is left out, and samples of a prompt
share that prompt's weight. An answer that was cut off at y is *censored*: its true length is only known to be > y. No
head may be punished for predicting a longer answer than y there, which each loss below states in its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch.nn import functional

from credence.bench.errors import InputError, choose

# The release's class ends are percentiles of its training lengths (preprocess_dataset.py, single round: 42, 141, 294
# and 503 tokens), and its "binary" task has three classes, ended by the second and the last.
FIVE_CLASS_PERCENTILES = (25, 50, 75, 99)
BINARY_PERCENTILES = (50, 99)
QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
MIDDLE = QUANTILES.index(0.5)


@dataclass(frozen=True)
class Scale:
    """What a head must know of the training lengths; nothing of a test answer enters.

    Attributes
    ----------
    centre, spread : float
        Median and standard deviation [tokens].
    log_centre, log_spread : float
        Mean and standard deviation of the natural logarithm.
    ends : tuple of float
        Lower ends of the classes 1, 2, … [tokens]; empty for heads without classes.
    class_tokens : tuple of float
        Mean length in each class [tokens].
    class_weights : tuple of float
        1 / number of training answers in the class, the release's weights, scaled to a mean of 1.
    """

    centre: float
    spread: float
    log_centre: float
    log_spread: float
    ends: tuple[float, ...] = ()
    class_tokens: tuple[float, ...] = ()
    class_weights: tuple[float, ...] = ()

    def to_dict(self) -> dict:
        """Return the fields as plain numbers, for JSON."""
        return asdict(self)


def fit_scale(lengths: np.ndarray, percentiles: tuple[int, ...] = ()) -> Scale:
    """Return the scale of training lengths [prompts, samples] in tokens, NaN for missing; cut ones count as they are.

    Raises
    ------
    InputError
        When there is no length at all.
    """
    values = np.maximum(lengths[np.isfinite(lengths)], 1.0)
    if values.size == 0:
        raise InputError("no answer length to learn from; allowed: at least one known length")
    logs = np.log(values)
    ends = np.percentile(values, percentiles) if percentiles else np.empty(0)
    # equal ends would leave a class empty for ever: answers cut off at one limit can pile up there
    ends = np.unique(ends)
    place = np.searchsorted(ends, values, side="right")
    count = np.bincount(place, minlength=len(ends) + 1).astype(np.float64)
    total = np.bincount(place, weights=values, minlength=len(ends) + 1)
    edges = np.concatenate([[values.min()], ends])
    weights = 1 / np.maximum(count, 1)
    return Scale(
        centre=float(np.median(values)),
        spread=float(max(values.std(), 1.0)),
        log_centre=float(logs.mean()),
        log_spread=float(max(logs.std(), 1e-3)),
        ends=tuple(ends.tolist()) if percentiles else (),
        class_tokens=tuple(np.where(count > 0, total / np.maximum(count, 1), edges).tolist()) if percentiles else (),
        class_weights=tuple((weights / weights.mean()).tolist()) if percentiles else (),
    )


@dataclass(frozen=True)
class Targets:
    """A batch of answers: lengths [tokens], whether cut off, whether there at all; each [prompts, samples]."""

    lengths: torch.Tensor
    censored: torch.Tensor
    known: torch.Tensor

    @classmethod
    def of(cls, lengths: np.ndarray, censored: np.ndarray) -> Targets:
        """Return the targets of arrays [prompts, samples]; NaN marks a missing sample."""
        known = np.isfinite(lengths)
        return cls(
            torch.from_numpy(np.where(known, np.maximum(lengths, 1.0), 1.0).astype(np.float32)),
            torch.from_numpy(np.asarray(censored, dtype=bool) & known),
            torch.from_numpy(known),
        )

    def take(self, rows) -> Targets:
        """Return the targets of some prompts."""
        return Targets(self.lengths[rows], self.censored[rows], self.known[rows])


def _mean(loss: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean over the samples of a prompt, then over prompts that have any."""
    count = known.sum(1)
    each = torch.where(known, loss, 0.0).sum(1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


def _one_sided(error: torch.Tensor, censored: torch.Tensor) -> torch.Tensor:
    """Keep only the part of an error (prediction - bound) that a cut answer proves: a prediction that is too short."""
    return torch.where(censored, error.clamp(max=0.0), error)


def absolute_loss(output: torch.Tensor, y: torch.Tensor, targets: Targets) -> torch.Tensor:
    """L1: mean |f - y|; for a cut answer max(0, y - f). `y` [prompts, samples] in the unit of `output`."""
    return _mean(_one_sided(output[:, :1] - y, targets.censored).abs(), targets.known)


def squared_loss(output: torch.Tensor, y: torch.Tensor, targets: Targets) -> torch.Tensor:
    """MSE: mean (f - y)²; for a cut answer max(0, y - f)². `y` [prompts, samples] in the unit of `output`."""
    return _mean(_one_sided(output[:, :1] - y, targets.censored) ** 2, targets.known)


def class_loss(output: torch.Tensor, place: torch.Tensor, weights: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Negative log-likelihood -w_c log p_c; for a cut answer -w_c log(p_c + p_(c+1) + …), its class or any longer one.

    Divided by the sum of the weights, as torch's NLLLoss in the release. `place` [prompts, samples] holds classes c.
    """
    log_p = functional.log_softmax(output, dim=1)
    at_least = torch.flip(torch.logcumsumexp(torch.flip(log_p, [1]), dim=1), [1])
    chosen = torch.where(targets.censored, at_least.gather(1, place), log_p.gather(1, place))
    weight = weights[place] * targets.known / targets.known.sum(1, keepdim=True).clamp(min=1)
    return -(weight * chosen).sum() / weight.sum().clamp(min=1e-12)


def listwise_loss(score: torch.Tensor, targets: Targets) -> torch.Tensor:
    """ListMLE: minus the log-likelihood of the batch's true order, the shortest answer drawn first.

    With scores s [prompts], higher for longer answers, the chance that request i is drawn next among those left is
    exp(-s_i) / Σ_(j left) exp(-s_j) (Plackett-Luce), and the loss is the mean of its negative logarithm over the draws.
    A cut answer stays among those left until the end and is never drawn itself, because nothing is known of its place
    behind: with that, ListMLE is Cox's partial likelihood, where censoring is exact as long as every answer has the
    same limit. Each sample of the prompts gives an order of its own. Ties are broken by place in the batch.
    """
    # a cut answer goes behind an answer that ended at the very limit
    order = torch.argsort(targets.lengths + 0.5 * targets.censored, dim=0, stable=True)
    drawn = (targets.known & ~targets.censored).gather(0, order)
    # a missing sample is as good as never left; -inf would turn the gradient of an empty column into NaN
    left = torch.where(targets.known.gather(0, order), -score[order], -1e9)
    after = torch.flip(torch.logcumsumexp(torch.flip(left, [0]), dim=0), [0])
    loss = torch.where(drawn, after - left, 0.0)
    return loss.sum() / drawn.sum().clamp(min=1)


def pinball_loss(output: torch.Tensor, y: torch.Tensor, quantiles: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Pinball loss, summed over quantiles: max(q (y - f), (q - 1)(y - f)).

    For a cut answer f enters as min(f, y), as in Powell's censored quantile regression, which leaves q max(0, y - f).
    `output` [prompts, quantiles], `y` [prompts, samples].
    """
    error = y[:, :, None] - output[:, None, :]
    error = torch.where(targets.censored[:, :, None], error.clamp(min=0.0), error)
    return _mean(torch.maximum(quantiles * error, (quantiles - 1) * error).sum(2), targets.known)


@dataclass(frozen=True)
class Head:
    """A head bound to the scale of its training lengths.

    Attributes
    ----------
    name : str
        One of :data:`HEADS`.
    width : int
        Numbers it gives for each prompt.
    loss : callable
        ``loss(output [prompts, width], Targets)`` -> scalar.
    key : callable
        ``key(output)`` [prompts], higher for longer answers: what a shortest-job-first queue orders by, differentiable.
    tokens : callable or None
        ``tokens(output)`` [prompts] in tokens; None for a head that knows an order only.
    label : callable or None
        ``label(output)`` [prompts], the class it predicts; None for a head without classes.
    """

    name: str
    width: int
    scale: Scale
    loss: Callable
    key: Callable
    tokens: Callable | None
    label: Callable | None = None


HEADS = {
    "l1": "regression on tokens, L1 loss (paper)",
    "mse": "regression on tokens, MSE loss (paper)",
    "log-mse": "regression on log tokens, MSE loss (ours)",
    "binary": "the release's binary task: three classes, ended by the median and the 99th percentile (paper)",
    "five-class": "five classes by percentiles 25, 50, 75 and 99 (paper)",
    "ordinal-l1": "regression on the number of the five classes, L1 loss (paper)",
    "ordinal-mse": "regression on the number of the five classes, MSE loss (paper)",
    "listwise": "ranking by ListMLE, as vllm-ltr",
    "quantile": "seven quantiles of log tokens by pinball losses",
}


def make_head(name: str, lengths: np.ndarray) -> Head:
    """Return a head with the scale of training lengths [prompts, samples] in tokens (NaN: missing).

    Raises
    ------
    InputError
        For an unknown name.
    """
    choose(name, HEADS, "head")
    percentiles = {"binary": BINARY_PERCENTILES, "five-class": FIVE_CLASS_PERCENTILES}.get(name, ())
    if name.startswith("ordinal"):
        percentiles = FIVE_CLASS_PERCENTILES
    return bind_head(name, fit_scale(lengths, percentiles))


def bind_head(name: str, scale: Scale) -> Head:
    """Return a head with a known scale, as stored beside trained weights."""
    choose(name, HEADS, "head")
    if name in ("l1", "mse"):
        return _tokens_head(name, scale)
    if name == "log-mse":
        return _log_head(scale)
    if name in ("binary", "five-class"):
        return _class_head(name, scale)
    if name.startswith("ordinal"):
        return _ordinal_head(name, scale)
    if name == "listwise":
        return _listwise_head(scale)
    return _quantile_head(scale)


def _tokens_head(name: str, scale: Scale) -> Head:
    # The output is (tokens - median) / standard deviation: the release's loss up to a factor, and within a small data
    # set's few hundred steps of 1e-5 a raw output would hardly leave 0 tokens.
    unit = absolute_loss if name == "l1" else squared_loss

    def loss(output, targets):
        return unit(output, (targets.lengths - scale.centre) / scale.spread, targets)

    def tokens(output):
        return (output[:, 0] * scale.spread + scale.centre).clamp(min=1.0)

    return Head(name, 1, scale, loss, lambda output: output[:, 0], tokens)


def _log_head(scale: Scale) -> Head:
    def loss(output, targets):
        return squared_loss(output, (targets.lengths.log() - scale.log_centre) / scale.log_spread, targets)

    def tokens(output):
        return (output[:, 0] * scale.log_spread + scale.log_centre).exp().clamp(min=1.0)

    return Head("log-mse", 1, scale, loss, lambda output: output[:, 0], tokens)


def _places(scale: Scale, lengths: torch.Tensor) -> torch.Tensor:
    return torch.bucketize(lengths, torch.tensor(scale.ends), right=True)


def _class_head(name: str, scale: Scale) -> Head:
    weights, means = torch.tensor(scale.class_weights), torch.tensor(scale.class_tokens)
    numbers = torch.arange(len(means), dtype=torch.float32)

    def loss(output, targets):
        return class_loss(output, _places(scale, targets.lengths), weights, targets)

    def key(output):
        # the expected class; the release orders by the likeliest class, which ties most of the queue
        return functional.softmax(output, dim=1) @ numbers

    def tokens(output):
        return functional.softmax(output, dim=1) @ means

    return Head(name, len(means), scale, loss, key, tokens, lambda output: output.argmax(dim=1))


def _ordinal_head(name: str, scale: Scale) -> Head:
    unit = absolute_loss if name == "ordinal-l1" else squared_loss
    last = len(scale.ends)
    means = torch.tensor(scale.class_tokens)

    # the output is the class number less the middle one, so that a fresh head starts in the middle
    def loss(output, targets):
        return unit(output, _places(scale, targets.lengths) - last / 2, targets)

    def tokens(output):
        # between the means of the two classes around it
        number = (output[:, 0] + last / 2).clamp(0, last)
        low = number.floor().long().clamp(max=max(last - 1, 0))
        return torch.lerp(means[low], means[(low + 1).clamp(max=last)], number - low)

    def label(output):
        return (output[:, 0] + last / 2).round().clamp(0, last).long()

    return Head(name, 1, scale, loss, lambda output: output[:, 0], tokens, label)


def _listwise_head(scale: Scale) -> Head:
    def loss(output, targets):
        return listwise_loss(output[:, 0], targets)

    return Head("listwise", 1, scale, loss, lambda output: output[:, 0], None)


def _quantile_head(scale: Scale) -> Head:
    quantiles = torch.tensor(QUANTILES)

    def loss(output, targets):
        return pinball_loss(output, (targets.lengths.log() - scale.log_centre) / scale.log_spread, quantiles, targets)

    def tokens(output):
        return (output[:, MIDDLE] * scale.log_spread + scale.log_centre).exp().clamp(min=1.0)

    return Head("quantile", len(QUANTILES), scale, loss, lambda output: output[:, MIDDLE], tokens)


def quantile_tokens(head: Head, output: torch.Tensor, quantile: float) -> torch.Tensor:
    """Return one of :data:`QUANTILES` of the answer's length [prompts] in tokens; crossing quantiles are sorted."""
    if head.name != "quantile" or quantile not in QUANTILES:
        raise InputError(f"quantile {quantile} of head {head.name!r}; allowed: {QUANTILES} of 'quantile'")
    chosen = output.sort(dim=1).values[:, QUANTILES.index(quantile)]
    return (chosen * head.scale.log_spread + head.scale.log_centre).exp().clamp(min=1.0)
