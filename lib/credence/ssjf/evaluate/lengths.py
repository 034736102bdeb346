"""How well answer lengths are predicted: rank agreement, class scores and error against one held answer.

An answer is *censored* when it was cut off: its length is at least what is written, and otherwise unknown. No score
takes such a number for exact; each function says what it leaves out. Everything is a pure function of arrays, and every
score takes weights [draws, prompts] (how often a prompt was drawn), so that a bootstrap is one call. Nothing here
needs torch or scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.ssjf.data import PromptSet
from credence.ssjf.evaluate.prediction import length_class, table_scores

TARGETS = ("mean log of samples", "sample 1")
PERCENTILES = (25, 50, 75, 99)  # of SSJF's five classes
SCORES = ("tau", "accuracy", "macro_f1", "mae")
_BLOCK = 512  # prompts compared with all others at a time: bounds memory, not the result


def targets(answers: PromptSet, rows=slice(None), kind: str = "mean log of samples") -> np.ndarray:
    """Return what a predictor is fitted to, log tokens [rows].

    Parameters
    ----------
    answers
        Prompts and answer lengths.
    rows
        Positions or mask of the prompts wanted.
    kind
        ``"mean log of samples"``: mean over a prompt's samples, whose noise is smaller than one sample's; or
        ``"sample 1"``: the first sample alone, all that the paper had.

    Notes
    -----
    A censored answer enters with the length at which it was cut off: the target is then too small, by an unknown
    amount. (The fine-tuned proxy's losses treat it as a bound instead.) A length of 0 counts as 1.
    """
    lengths = answers.lengths[rows]
    if choose(kind, TARGETS, "target") == "sample 1":
        lengths = lengths[:, :1]
    if np.isnan(lengths).all(axis=1).any():
        raise InputError(f"{answers.name}: a prompt has no answer to learn from; allowed: rows with one at least")
    return np.nanmean(np.log(np.maximum(lengths, 1)), axis=1)


def kendall(
    truth: np.ndarray,
    key: np.ndarray,
    censored: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    within: np.ndarray | None = None,
) -> np.ndarray:
    r"""Return Kendall's tau-b of lengths and a predictor's key, for every row of weights.

    With the sign of a pair's difference in truth :math:`a_{ij}` and in key :math:`b_{ij}`,

    .. math:: \tau_b = \frac{\sum w_i w_j a_{ij} b_{ij}}
              {\sqrt{\sum w_i w_j |a_{ij}|}\sqrt{\sum w_i w_j |b_{ij}|}},

    all sums over the pairs whose order in truth is known. As in Harrell's concordance, a censored answer is only known
    to be longer: pairs of two censored answers, and pairs of a censored answer with one at least as long as its bound,
    are left out.

    Parameters
    ----------
    truth, key [prompts]
        Lengths and predictions, in any unit.
    censored [prompts]
        True where `truth` is a lower bound. Default: none.
    weights [draws, prompts]
        How often each prompt counts. A prompt and its copies are no pair. Default: once, one draw.
    within [prompts]
        Names; only pairs of prompts with the same one count, so that knowing the name is worth nothing.

    Returns
    -------
    ndarray [draws]
        -1..1; NaN where all pairs are tied.

    Notes
    -----
    The sums are quadratic forms in the weights, so all draws together are one matrix product: time grows as draws ×
    prompts², some 0.3 s for 400 draws of 2,600 prompts.
    """
    truth, key = np.asarray(truth, dtype=np.float64), np.asarray(key, dtype=np.float64)
    if truth.shape != key.shape or truth.ndim != 1 or not (np.isfinite(truth).all() and np.isfinite(key).all()):
        raise InputError(f"lengths {truth.shape} and keys {key.shape}: as many finite numbers of each are needed")
    late = np.zeros(len(truth), dtype=bool) if censored is None else np.asarray(censored, dtype=bool)
    weights = np.ones((1, len(truth))) if weights is None else np.asarray(weights)
    counts = weights.astype(np.float32)
    sums = np.zeros((3, len(weights)))
    for start in range(0, len(truth), _BLOCK):
        part = slice(start, start + _BLOCK)
        order = np.sign(truth[part, None] - truth)
        # a censored answer of the pair must be the one that is longer anyway
        known = (~late[part, None] | (~late & (order > 0))) & (~late | (~late[part, None] & (order < 0)))
        if within is not None:
            known &= within[part, None] == within
        ranked = np.sign(key[part, None] - key)
        for row, form in enumerate((order * ranked * known, np.abs(order) * known, np.abs(ranked) * known)):
            product = counts[:, part] @ form.astype(np.float32)
            sums[row] += np.einsum("dn,dn->d", product.astype(np.float64), weights)
    scale = np.sqrt(sums[1] * sums[2])
    return np.divide(sums[0], scale, out=np.full(len(weights), np.nan), where=scale > 0)


def bootstrap_weights(group: Sequence[str], draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each prompt is drawn, int [draws, prompts], when whole groups are drawn with replacement.

    Parameters
    ----------
    group [prompts]
        What is resampled: prompt names for prompts, families for families.
    draws
        Number of resamples.
    """
    names, row = np.unique(np.asarray(group, dtype=str), return_inverse=True)
    return rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)[:, row]


def class_ends(lengths: np.ndarray, censored: np.ndarray) -> np.ndarray:
    """Return the upper ends [classes] of the length classes, from training answers.

    Percentiles 25, 50, 75 and 99 of all samples there are, then infinity: five classes. An end at or beyond the
    shortest censored answer would part lengths nobody knows; it is dropped, and there are fewer classes.

    Parameters
    ----------
    lengths, censored [prompts, samples]
        Training answers [tokens], NaN where there is none.
    """
    there = lengths[np.isfinite(lengths)]
    if there.size == 0:
        raise InputError("no training answers to take percentiles of")
    ends = np.unique(np.percentile(there, PERCENTILES))
    cut = lengths[censored]
    return np.append(ends[ends < cut.min()] if cut.size else ends, np.inf)


def class_scores(
    truth: np.ndarray,
    predicted: np.ndarray,
    ends: np.ndarray,
    censored: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return accuracy and macro-F1 of predicted classes, for every row of weights.

    Parameters
    ----------
    truth [prompts]
        Lengths [tokens]. A censored one whose class is not known (its bound is not beyond the last end) is left out.
    predicted [prompts]
        Classes, from 0.
    ends [classes]
        Upper ends [tokens], see :func:`class_ends`.
    censored [prompts], weights [draws, prompts]
        As in :func:`kendall`.

    Returns
    -------
    dict
        ``accuracy`` and ``macro_f1`` [draws]: shares 0..1; NaN when no prompt is left.
    """
    truth, predicted = np.asarray(truth, dtype=float), np.asarray(predicted)
    count = len(ends)
    if len(predicted) and (predicted.min() < 0 or predicted.max() >= count):
        raise InputError(f"predicted classes {predicted.min()}..{predicted.max()}: 0..{count - 1} are allowed")
    weights = np.ones((1, len(truth))) if weights is None else np.asarray(weights)
    if count == 1:  # one class only: nothing to tell apart
        return {name: np.full(len(weights), np.nan) for name in ("accuracy", "macro_f1")}
    classes = length_class(truth, ends)
    keep = np.ones(len(truth), dtype=bool)
    if censored is not None:
        keep = ~np.asarray(censored, dtype=bool) | (truth > ends[-2])
    cell = np.eye(count * count)[(classes * count + predicted)[keep]]
    tables = (weights[:, keep] @ cell).reshape(len(weights), count, count)
    some = tables.sum(axis=(1, 2)) > 0
    result = {name: np.full(len(weights), np.nan) for name in ("accuracy", "macro_f1")}
    for name in result:
        result[name][some] = table_scores(tables[some])[name]
    return result


def cross_validated(
    answers: PromptSet,
    fold: np.ndarray,
    key: np.ndarray,
    tokens: np.ndarray | None = None,
    predicted_class: np.ndarray | None = None,
    *,
    sample: int = 0,
    weights: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return the scores of out-of-fold predictions against one held answer per prompt, averaged over folds.

    Parameters
    ----------
    answers
        Prompts and answers.
    fold [prompts]
        Fold in which a prompt was predicted; class ends come from the answers of all other folds.
    key [prompts]
        What requests would be ordered by.
    tokens [prompts]
        Predicted lengths [tokens]; None, or NaN anywhere, for a key without a unit: no class or error scores then.
    predicted_class [prompts]
        Classes predicted directly; default: the class of `tokens`.
    sample
        Index of the held answer: 0 is "sample 1". Prompts without it are left out.
    weights [draws, prompts]
        As in :func:`kendall`.

    Returns
    -------
    dict of str to ndarray
        ``tau``, ``accuracy``, ``macro_f1``, ``mae`` [draws] (mean over folds; mae in tokens, over uncensored answers)
        and ``tau_by_fold`` [draws, folds].
    """
    if not len(answers) == len(fold) == len(key):
        raise InputError(f"{len(answers)} prompts, {len(fold)} folds, {len(key)} keys: as many of each are needed")
    truth, late = answers.lengths[:, sample], answers.censored[:, sample]
    weights = np.ones((1, len(answers))) if weights is None else np.asarray(weights)
    has_unit = tokens is not None and np.isfinite(tokens).all()
    found: dict[str, list[np.ndarray]] = {name: [] for name in SCORES}
    for number in np.unique(fold):
        rows = np.flatnonzero((fold == number) & np.isfinite(truth))
        if len(rows) == 0:
            raise InputError(f"fold {number} has no prompt with sample {sample}")
        part = weights[:, rows]
        found["tau"].append(kendall(truth[rows], key[rows], late[rows], part))
        nothing = np.full(len(weights), np.nan)
        classes = {"accuracy": nothing, "macro_f1": nothing}
        if has_unit or predicted_class is not None:
            ends = class_ends(answers.lengths[fold != number], answers.censored[fold != number])
            called = length_class(tokens[rows], ends) if predicted_class is None else predicted_class[rows]
            classes = class_scores(truth[rows], called, ends, late[rows], part)
        for name, values in classes.items():
            found[name].append(values)
        found["mae"].append(_mae(truth[rows], tokens[rows], late[rows], part) if has_unit else nothing)
    return {name: np.mean(values, axis=0) for name, values in found.items()} | {
        "tau_by_fold": np.transpose(found["tau"])
    }


def _mae(truth, tokens, censored, weights):
    known = ~censored
    total = weights[:, known].sum(axis=1)
    errors = weights[:, known] @ np.abs(truth - tokens)[known]
    return np.divide(errors, total, out=np.full(len(weights), np.nan), where=total > 0)


def score_row(values: dict[str, np.ndarray], draws: dict[str, np.ndarray], level: float = 0.95) -> dict[str, float]:
    """Return point scores with bootstrap ends: ``tau``, ``tau_lo``, ``tau_hi``, ``accuracy`` and so on.

    Parameters
    ----------
    values, draws
        From :func:`cross_validated` without weights, and with those of :func:`bootstrap_weights`.
    level
        Probability between the two ends, quantiles of the draws.
    """
    row = {}
    ends = [(1 - level) / 2, (1 + level) / 2]
    for name in SCORES:
        there = draws[name][np.isfinite(draws[name])]
        lo, hi = np.quantile(there, ends) if there.size else (np.nan, np.nan)
        row |= {name: float(values[name][0]), f"{name}_lo": float(lo), f"{name}_hi": float(hi)}
    return row


def align(rows: pd.DataFrame, answers: PromptSet, predictor: str) -> pd.DataFrame:
    """Return one predictor's recorded out-of-fold predictions in the order of a set's prompts.

    Parameters
    ----------
    rows [records, 7]
        ``set``, ``prompt_id``, ``predictor``, ``fold``, ``seed``, ``key``, ``tokens``.
    answers
        The set.
    predictor
        Name of the predictor; several seeds of it are averaged (keys and tokens each).

    Returns
    -------
    pandas.DataFrame [prompts, 3]
        ``fold``, ``key``, ``tokens``; index: prompt_id.

    Raises
    ------
    InputError
        If the predictor is not there, prompts are missing, or the seeds disagree about the folds.
    """
    rows = rows[rows["set"] == answers.name]
    rows = rows[rows["predictor"] == choose(predictor, sorted(rows["predictor"].unique()), "predictor")]
    by_prompt = rows.groupby("prompt_id")
    missing = ~pd.Index(answers.prompt_id).isin(list(by_prompt.groups))
    if missing.any():
        raise InputError(f"{predictor}: no prediction for {missing.sum()} of {len(answers)} prompts of {answers.name}")
    if (by_prompt["fold"].nunique() > 1).any():
        raise InputError(f"{predictor}: a prompt is in two folds")
    return by_prompt[["fold", "key", "tokens"]].mean().loc[answers.prompt_id].astype({"fold": np.int64})


def other_samples(answers: PromptSet, sample: int = 0) -> np.ndarray:
    """Return the mean of a prompt's other answers [prompts], tokens: the best a prompt's text could tell, nearly.

    A censored answer counts as long as it was when cut off. NaN where there is no other answer.
    """
    others = np.delete(answers.lengths, sample, axis=1)
    count = np.isfinite(others).sum(axis=1)
    return np.divide(np.nansum(others, axis=1), count, out=np.full(len(answers), np.nan), where=count > 0)


def ceiling(answers: PromptSet, sample: int = 0, fold: np.ndarray | None = None) -> dict[str, float]:
    """Return how far prediction of one answer can go at all, since answers to one prompt differ.

    Parameters
    ----------
    answers
        Prompts with two answers or more; the others are left out.
    sample
        Index of the answer to predict.
    fold [prompts]
        Average over these folds, as :func:`cross_validated` does. Default: all prompts together.

    Returns
    -------
    dict
        ``ceiling`` (tau of the mean of the other answers), ``one_vs_one`` (tau of a single other answer, mean over
        them), ``within_cv`` (standard deviation over mean of a prompt's answers, mean over prompts without censored
        ones), ``prompts`` (how many could be used).
    """
    truth, best = answers.lengths[:, sample], other_samples(answers, sample)
    fold = np.zeros(len(answers), dtype=int) if fold is None else np.asarray(fold)
    late = answers.censored[:, sample]

    def agreement(key):
        rows = np.isfinite(truth) & np.isfinite(key)
        parts = [rows & (fold == number) for number in np.unique(fold[rows])]
        return np.mean([kendall(truth[part], key[part], late[part])[0] for part in parts])

    usable = np.isfinite(truth) & np.isfinite(best)
    if not usable.any():
        raise InputError(f"{answers.name}: no prompt has two answers; allowed: sets with several answers to a prompt")
    others = [key for key in np.delete(answers.lengths, sample, axis=1).T if np.isfinite(key).any()]
    spread = np.isfinite(answers.lengths).sum(axis=1) > 1
    exact = answers.lengths[spread & ~answers.censored.any(axis=1)]
    variation = np.nanstd(exact, axis=1, ddof=1) / np.maximum(np.nanmean(exact, axis=1), 1) if len(exact) else [np.nan]
    return {
        "ceiling": float(agreement(best)),
        "one_vs_one": float(np.mean([agreement(key) for key in others])),
        "within_cv": float(np.mean(variation)),
        "prompts": int(usable.sum()),
    }


def template_check(answers: PromptSet, template: Sequence[str] | None = None, sample: int = 0) -> dict[str, float]:
    """Return how much of the ceiling is reached by knowing a prompt's template and nothing else.

    A set whose lengths follow from the template would reward recognising templates. Both keys below know the family,
    which a predictor judged by families never does.

    Parameters
    ----------
    answers
        Prompts with several answers each.
    template [prompts]
        Names of the templates. Default: the groups.
    sample
        Index of the answer to predict.

    Returns
    -------
    dict
        ``tau``: key is the mean log length of the template's other prompts; ``tau_upper``: of all its prompts, itself
        included (which is too good, as the first is too bad: leaving a long answer out lowers its own key);
        ``ceiling`` as in :func:`ceiling`, on the same prompts; ``share``: tau_upper / ceiling, to be below one half.
    """
    rows = np.isfinite(answers.lengths[:, sample]) & np.isfinite(other_samples(answers, sample))
    template = np.asarray(answers.group if template is None else template, dtype=str)
    level = pd.Series(targets(answers))
    groups = level.groupby(template)
    total, count = groups.transform("sum"), groups.transform("size")
    apart = ((total - level) / (count - 1).clip(lower=1)).where(count > 1, level.mean()).to_numpy()
    truth, late = answers.lengths[rows, sample], answers.censored[rows, sample]
    upper = float(kendall(truth, (total / count).to_numpy()[rows], late)[0])
    top = ceiling(answers.take(rows), sample)["ceiling"]
    return {
        "tau": float(kendall(truth, apart[rows], late)[0]),
        "tau_upper": upper,
        "ceiling": top,
        "share": upper / top,
    }
