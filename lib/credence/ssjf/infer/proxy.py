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
from credence.ssjf.infer.proxy_settings import Settings, fast_settings, paper_settings
from credence.ssjf.infer.proxy_training import Auxiliary, Data, by_size, fit, lower_states
from credence.ssjf.model.encoder import Encoder, load_encoder
from credence.ssjf.model.heads import Head, Targets, make_head, quantile_tokens
from credence.ssjf.model.network import ProxyNet, padded, word_pieces

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
        targets, further = Targets.of(lengths, censored), Auxiliary.of(wanted)
        data = Data(pieces, targets, further, encoder.tokenizer.pad_token_id, settings.frozen_layers)
        if settings.frozen_layers >= 0 and settings.tuned_epochs > 0:
            data.states.extend(lower_states(net, encoder, pieces, settings.frozen_layers))
        diagnostics = fit(net, head, data, np.flatnonzero(~validation), np.flatnonzero(validation), settings)
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


def head_output(net: ProxyNet, pieces: Sequence[np.ndarray], pad: int) -> torch.Tensor:
    """Return the head's output [prompts, width] of word pieces, in batches of similar length."""
    result = torch.empty(len(pieces), net.out.out_features)
    with torch.no_grad():
        for rows in by_size(pieces):
            result[rows] = net(*padded([pieces[row] for row in rows], pad))
    return result


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
        steps_up = IsotonicRegression(out_of_bounds="clip").fit(key[row], np.log(values[row, column]))
        keys = tuple(steps_up.X_thresholds_.tolist())
        steps = tuple(np.exp(steps_up.y_thresholds_).tolist())
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
