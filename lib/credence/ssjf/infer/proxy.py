"""Train the proxy that predicts how long an answer will be, and predict with it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from credence.bench import seeds
from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.ssjf.infer.proxy_settings import Settings, fast_settings, paper_settings
from credence.ssjf.model.encoder import Encoder, load_encoder
from credence.ssjf.model.heads import Head, Targets, listwise_loss, make_head, quantile_tokens
from credence.ssjf.model.network import ProxyNet, padded, token_mask, word_pieces

__all__ = [
    "Calibration",
    "Proxy",
    "Settings",
    "calibrate",
    "fast_settings",
    "frame_of",
    "head_output",
    "paper_settings",
    "predict",
    "train",
    "validation_rows",
]

# Batches of similar prompt lengths are cut from pools of this many batches: little padding, and still random company.
POOL = 8
PREDICT_BATCH = 32


@dataclass(frozen=True)
class Calibration:
    """What the validation part says about a trained head, so that it can name tokens and an interval.

    Attributes
    ----------
    keys, tokens : tuple of float
        Steps of an increasing map from the key to tokens; empty for a head that names tokens itself.
    low, high : float
        The 5 % and 95 % quantiles of log(answer) - log(bound below), log(answer) - log(bound above) on validation
        answers; the bounds are the prediction itself, or the quantile head's own 5 % and 95 %.
    limit : float
        Longest answer [tokens] an interval may name.
    """

    keys: tuple[float, ...]
    tokens: tuple[float, ...]
    low: float
    high: float
    limit: float


@dataclass
class Proxy:
    """A trained proxy.

    Attributes
    ----------
    net : ProxyNet
        In evaluation mode.
    tokenizer : transformers.PreTrainedTokenizerBase
    head : Head
    settings : Settings
    calibration : Calibration
    label : str
        What the encoder's weights are.
    diagnostics : dict
        ``epochs``: a record of loss and validation tau for each; ``seconds``, ``best_epoch``, sizes of both parts.
    """

    net: ProxyNet
    tokenizer: object
    head: Head
    settings: Settings
    calibration: Calibration
    label: str
    diagnostics: dict = field(default_factory=dict)


def train(
    prompts: Sequence[str],
    lengths: np.ndarray,
    censored: np.ndarray | None = None,
    settings: Settings | None = None,
    validation: np.ndarray | None = None,
    encoder: Encoder | None = None,
    auxiliary: np.ndarray | None = None,
    limit: float | None = None,
) -> Proxy:
    """Train a proxy.

    Parameters
    ----------
    prompts [prompts]
        Texts.
    lengths : ndarray [prompts, samples]
        Lengths of their answers [tokens], NaN for a missing sample.
    censored : ndarray of bool [prompts, samples], optional
        Answers that were cut off; none by default.
    settings : Settings, optional
        :func:`fast_settings` by default.
    validation : ndarray of bool [prompts], optional
        Prompts that choose the epoch and calibrate tokens and intervals, and are not learned from; by default every
        tenth at random. Keep prompts of a group on one side: :func:`validation_rows`.
    encoder : Encoder, optional
        MiniLM-L6 by default; it is copied, not changed.
    auxiliary : ndarray [prompts, targets], optional
        Further targets, NaN for missing: mean log lengths of other models' answers to the same prompts.
    limit : float, optional
        Longest possible answer [tokens]; twice the longest seen by default.

    Returns
    -------
    Proxy

    Raises
    ------
    InputError
        When sizes don't match or a part would be empty.
    """
    settings = settings or fast_settings()
    encoder = encoder or load_encoder()
    lengths, censored, validation = _checked(prompts, lengths, censored, settings, validation)
    started = time.perf_counter()
    pieces = word_pieces(encoder.tokenizer, prompts, settings.max_tokens, settings.cut)
    head = make_head(settings.head, lengths[~validation])
    wanted = None if auxiliary is None or settings.auxiliary <= 0 else _standardised(auxiliary, ~validation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        net = ProxyNet(
            encoder.copy_model(),
            head.width,
            settings.pooling,
            0 if wanted is None else wanted.shape[1],
        )
        targets, further = Targets.of(lengths, censored), _Auxiliary.of(wanted)
        data = _Data(pieces, targets, further, encoder.tokenizer.pad_token_id, settings.frozen_layers)
        if settings.frozen_layers >= 0 and settings.tuned_epochs > 0:
            data.states.extend(_lower_states(net, encoder, pieces, settings.frozen_layers))
        diagnostics = _fit(net, head, data, np.flatnonzero(~validation), np.flatnonzero(validation), settings)
    net.eval()
    net.auxiliary = None
    output = head_output(net, [pieces[row] for row in np.flatnonzero(validation)], data.pad)
    calibration = calibrate(head, output, lengths[validation], censored[validation], limit or 2 * np.nanmax(lengths))
    diagnostics |= {
        "seconds": time.perf_counter() - started,
        "training_prompts": int((~validation).sum()),
        "validation_prompts": int(validation.sum()),
    }
    return Proxy(net, encoder.tokenizer, head, settings, calibration, encoder.label, diagnostics)


def _checked(prompts, lengths, censored, settings, validation):
    lengths = np.asarray(lengths, dtype=np.float64)
    if lengths.ndim != 2 or len(lengths) != len(prompts):
        raise InputError(f"lengths have shape {list(lengths.shape)}; allowed: [{len(prompts)} prompts, samples]")
    censored = np.zeros(lengths.shape, dtype=bool) if censored is None else np.asarray(censored, dtype=bool)
    if settings.samples == "first":
        lengths, censored = lengths[:, :1], censored[:, :1]
    if validation is None:
        validation = validation_rows(np.arange(len(prompts)), 0.1, settings.seed)
    validation = np.asarray(validation, dtype=bool)
    known = np.isfinite(lengths).any(axis=1)
    for part, rows in {"training": ~validation & known, "validation": validation & known}.items():
        if rows.sum() < 2:
            raise InputError(f"{part} part has {rows.sum()} prompts with a known answer length; allowed: 2 or more")
    return lengths, censored, validation


def _standardised(auxiliary: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Return the columns less their mean over the training part, in its standard deviations; empty ones left out."""
    known = np.isfinite(auxiliary) & training[:, None]
    values = auxiliary[:, known.sum(axis=0) > 1]
    seen = np.where(training[:, None], values, np.nan)
    return (values - np.nanmean(seen, axis=0)) / np.maximum(np.nanstd(seen, axis=0), 1e-3)


def validation_rows(group: Sequence, share: float, seed: int) -> np.ndarray:
    """Return a mask [rows] of about `share` of the rows, whole groups only, at least one group on each side."""
    names, place = np.unique(np.asarray(group, dtype=str), return_inverse=True)
    order = seeds.generator(seed, "proxy validation").permutation(len(names))
    count = np.bincount(place)[order].cumsum()
    wanted = int(np.searchsorted(count, share * len(place))) + 1
    return np.isin(place, order[: min(max(wanted, 1), max(len(names) - 1, 1))])


@dataclass(frozen=True)
class _Auxiliary:
    values: torch.Tensor
    known: torch.Tensor

    @classmethod
    def of(cls, values: np.ndarray | None) -> _Auxiliary | None:
        if values is None:
            return None
        known = np.isfinite(values)
        return cls(torch.from_numpy(np.where(known, values, 0.0).astype(np.float32)), torch.from_numpy(known))

    def loss(self, output: torch.Tensor, rows) -> torch.Tensor:
        known = self.known[rows]
        return (known * (output - self.values[rows]) ** 2).sum() / known.sum().clamp(min=1)


@dataclass(frozen=True)
class _Data:
    pieces: list[np.ndarray]
    targets: Targets
    auxiliary: _Auxiliary | None
    pad: int
    frozen_layers: int
    states: list[torch.Tensor] = field(default_factory=list)

    def summary(self, net: ProxyNet, rows) -> torch.Tensor:
        """Return the encoder's summary [rows, dim], from the frozen layers' states where they are known."""
        if not self.states:
            return net.summary(*padded([self.pieces[row] for row in rows], self.pad))
        states = torch.nn.utils.rnn.pad_sequence([self.states[row] for row in rows], batch_first=True)
        return net.upper(states, token_mask([len(self.pieces[row]) for row in rows]), self.frozen_layers)


def _lower_states(net: ProxyNet, encoder: Encoder, pieces: list[np.ndarray], layers: int) -> list[torch.Tensor]:
    """Return the states [tokens, dim] of each prompt after the frozen layers; kept for the encoder's next training."""
    net.eval()
    known = encoder.frozen_states
    missing = [row for row, one in enumerate(pieces) if (layers, one.tobytes()) not in known]
    for rows in _by_size([pieces[row] for row in missing]):
        chosen = [missing[row] for row in rows]
        with torch.no_grad():
            states = net.lower(*padded([pieces[row] for row in chosen], encoder.tokenizer.pad_token_id), layers)
        for row, one in zip(chosen, states, strict=True):
            known[layers, pieces[row].tobytes()] = one[: len(pieces[row])].clone()
    return [known[layers, one.tobytes()] for one in pieces]


def _fit(net: ProxyNet, head: Head, data: _Data, training, validation, settings: Settings) -> dict:
    rng = seeds.generator(settings.seed, "proxy batches")
    sizes = np.array([len(row) for row in data.pieces])
    steps = -(-len(training) // settings.batch)
    optimiser, rates = _optimiser(net, settings)
    summaries = None
    records, best, best_tau = [], None, -np.inf
    truth = _middle(data.targets, validation)
    for epoch in track(range(settings.epochs), f"proxy {settings.head}"):
        tuned = epoch < settings.tuned_epochs
        if not tuned and summaries is None:
            net.encoder.requires_grad_(False)
            # a frozen encoder says the same in every epoch (its dropout is off here, on in the release)
            summaries = _summaries(net, data)
        net.train()
        losses = []
        for step, rows in enumerate(_batches(training, sizes, settings.batch, rng)):
            progress = (epoch * steps + step) / (settings.epochs * steps)
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = (rate if tuned else settings.frozen_lr * group["above"]) * _slope(progress, settings)
            with torch.autocast("cpu", torch.bfloat16, enabled=tuned and settings.precision == "bfloat16"):
                summary = data.summary(net, rows) if tuned else summaries[rows]
            output, further = net.heads(summary.float())
            targets = data.targets.take(rows)
            loss = head.loss(output, targets)
            if settings.ranking > 0:
                loss = loss + settings.ranking * listwise_loss(head.key(output), targets)
            if further is not None:
                loss = loss + settings.auxiliary * data.auxiliary.loss(further, rows)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            losses.append(float(loss.detach()))
        net.eval()
        output = _validation_output(net, data, validation, summaries)
        tau = _tau(head.key(output).numpy(), truth)
        records.append({"epoch": epoch + 1, "loss": float(np.mean(losses)), "validation_tau": tau})
        if settings.stop_early and tau > best_tau:
            best_tau, best = tau, {name: tensor.clone() for name, tensor in net.state_dict().items()}
    if best is not None:
        net.load_state_dict(best)
    taus = [record["validation_tau"] for record in records]
    chosen = int(np.argmax(taus)) + 1 if settings.stop_early else settings.epochs
    return {"epochs": records, "best_epoch": chosen, "validation_tau": taus[chosen - 1]}


def _validation_output(net: ProxyNet, data: _Data, validation, summaries: torch.Tensor | None) -> torch.Tensor:
    with torch.no_grad():
        if summaries is not None:
            return net.heads(summaries[validation])[0]
        result = torch.empty(len(validation), net.out.out_features)
        for rows in _by_size([data.pieces[row] for row in validation]):
            result[rows] = net.heads(data.summary(net, validation[rows]))[0]
    return result


def _optimiser(net: ProxyNet, settings: Settings):
    layers = list(net.encoder.transformer.layer)
    if settings.frozen_layers >= 0:
        net.encoder.embeddings.requires_grad_(False)
        for layer in layers[: settings.frozen_layers]:
            layer.requires_grad_(False)
    above = [*net.body.parameters(), *net.out.parameters()]
    above += [] if net.auxiliary is None else [*net.auxiliary.parameters()]
    groups, rates = [{"params": above, "above": 1.0}], [settings.head_lr]
    for depth, part in enumerate([*reversed(layers), net.encoder.embeddings]):
        learned = [parameter for parameter in part.parameters() if parameter.requires_grad]
        if learned:
            groups.append({"params": learned, "above": 0.0})
            rates.append(settings.encoder_lr * settings.layer_decay**depth)
    return torch.optim.AdamW(groups, lr=settings.head_lr, weight_decay=settings.weight_decay, fused=True), rates


def _slope(progress: float, settings: Settings) -> float:
    if progress < settings.warm_up:
        return progress / settings.warm_up
    return (1 - progress) / (1 - settings.warm_up)


def _batches(rows: np.ndarray, sizes: np.ndarray, batch: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the rows in random batches of similar prompt length."""
    rows = rng.permutation(rows)
    pools = [rows[start : start + POOL * batch] for start in range(0, len(rows), POOL * batch)]
    result = []
    for pool in pools:
        pool = pool[np.argsort(sizes[pool], kind="stable")]
        result += [pool[start : start + batch] for start in range(0, len(pool), batch)]
    return [result[place] for place in rng.permutation(len(result))]


def _summaries(net: ProxyNet, data: _Data) -> torch.Tensor:
    net.eval()
    result = torch.empty(len(data.pieces), net.encoder.config.dim)
    for rows in _by_size(data.pieces):
        with torch.no_grad():
            result[rows] = data.summary(net, rows)
    return result


def _by_size(pieces: Sequence[np.ndarray], batch: int = PREDICT_BATCH) -> list[np.ndarray]:
    order = np.argsort([len(row) for row in pieces], kind="stable")
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def head_output(net: ProxyNet, pieces: Sequence[np.ndarray], pad: int) -> torch.Tensor:
    """Return the head's output [prompts, width] of word pieces, in batches of similar length."""
    result = torch.empty(len(pieces), net.out.out_features)
    with torch.no_grad():
        for rows in _by_size(pieces):
            result[rows] = net(*padded([pieces[row] for row in rows], pad))
    return result


def _middle(targets: Targets, rows) -> np.ndarray:
    """Mean log length of a prompt's samples; cut ones as they are."""
    chosen = targets.take(rows)
    known = chosen.known.numpy()
    logs = np.where(known, np.log(chosen.lengths.numpy()), 0.0).sum(1)
    return np.where(known.any(1), logs / np.maximum(known.sum(1), 1), np.nan)


def _tau(key: np.ndarray, truth: np.ndarray) -> float:
    from scipy.stats import kendalltau

    there = np.isfinite(truth)
    if np.ptp(key[there]) == 0 or np.ptp(truth[there]) == 0:
        return 0.0
    return float(kendalltau(key[there], truth[there]).statistic)


def calibrate(head: Head, output: torch.Tensor, lengths: np.ndarray, censored: np.ndarray, limit: float) -> Calibration:
    """Return what the validation answers say about a head's tokens and its interval.

    The interval is conformal: its ends are moved, on the log scale, to where 5 % of the validation answers lie beyond
    each. A cut answer counts as beyond every upper end, so the interval then reaches `limit` where it must.
    """
    values = np.where(np.isfinite(lengths), np.maximum(lengths, 1.0), np.nan)
    known = np.isfinite(values)
    keys, steps = (), ()
    if head.tokens is None:
        from sklearn.isotonic import IsotonicRegression

        row, column = np.nonzero(known)
        key = head.key(output).numpy().astype(np.float64)
        fit = IsotonicRegression(out_of_bounds="clip").fit(key[row], np.log(values[row, column]))
        keys = tuple(fit.X_thresholds_.tolist())
        steps = tuple(np.exp(fit.y_thresholds_).tolist())
    raw = Calibration(keys, steps, 0.0, 0.0, float(limit))
    low, high = _bounds(head, output, raw)
    below = np.sort((np.log(values) - np.log(low)[:, None])[known])
    above = np.where(censored, np.inf, np.log(values) - np.log(high)[:, None])
    above = np.sort(above[known])
    count = len(below)
    # the ranks that give at least 95 % on each side for a further answer
    low_shift = below[max(int(np.floor(0.05 * (count + 1))) - 1, 0)]
    high_shift = above[min(int(np.ceil(0.95 * (count + 1))) - 1, count - 1)]
    return dataclasses.replace(raw, low=float(low_shift), high=float(min(high_shift, np.log(limit))))


def _tokens(head: Head, output: torch.Tensor, calibration: Calibration) -> np.ndarray:
    if head.tokens is None:
        logs = np.interp(head.key(output).numpy(), calibration.keys, np.log(calibration.tokens))
        return np.exp(logs)
    return head.tokens(output).numpy().astype(np.float64)


def _bounds(head: Head, output: torch.Tensor, calibration: Calibration) -> tuple[np.ndarray, np.ndarray]:
    if head.name == "quantile":
        low, high = (quantile_tokens(head, output, level).numpy().astype(np.float64) for level in (0.05, 0.95))
    else:
        low = high = _tokens(head, output, calibration)
    return np.maximum(low * np.exp(calibration.low), 1.0), high * np.exp(calibration.high)


def predict(proxy: Proxy, prompts: Sequence[str]) -> pd.DataFrame:
    """Predict the answer lengths of prompts.

    Returns
    -------
    pandas.DataFrame [prompts, 4 or 5]
        ``key``, the number to order by (higher: longer; no unit); ``tokens``, the predicted length [tokens]; ``lo90``
        and ``hi90``, an interval [tokens] meant to hold 90 % of answers; ``label``, the predicted class, for heads
        with classes.
    """
    settings = proxy.settings
    pieces = word_pieces(proxy.tokenizer, prompts, settings.max_tokens, settings.cut)
    return frame_of(proxy, head_output(proxy.net, pieces, proxy.tokenizer.pad_token_id))


def frame_of(proxy: Proxy, output: torch.Tensor) -> pd.DataFrame:
    """Return the columns of :func:`predict` for a head's output [prompts, width]."""
    head, calibration = proxy.head, proxy.calibration
    tokens = np.minimum(_tokens(head, output, calibration), calibration.limit)
    low, high = _bounds(head, output, calibration)
    columns = {
        "key": head.key(output).numpy().astype(np.float64),
        "tokens": tokens,
        "lo90": np.minimum(low, tokens),
        "hi90": np.minimum(np.maximum(high, tokens), calibration.limit),
    }
    if head.label is not None:
        columns["label"] = head.label(output).numpy()
    return pd.DataFrame(columns)
