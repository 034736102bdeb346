"""Length predictors trained in this run: simple ones on every fold, the proxy on one, or every head on all of them.

What is trained here stands beside what is recorded (`recorded_lengths`), on the same folds, so that a live number can
be compared with its recorded row. torch is imported only where the proxy is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from credence.bench import paths, seeds
from credence.bench.errors import InputError
from credence.ssjf.baselines import lengths as simple
from credence.ssjf.data import PromptSet
from credence.ssjf.evaluate import bands, lengths, recorded_lengths

PLAIN = "TF-IDF ridge, untuned"
PROMPT_LENGTH = "prompt length"
LOWEST, HIGHEST = 0.0, 12.0  # of predicted log-lengths: a straight line may leave the world of answers


def frame(fold: np.ndarray, predicted: np.ndarray, answers: PromptSet) -> pd.DataFrame:
    """Return predicted log-lengths [prompts] as ``fold``, ``key``, ``tokens``, in the order of the set."""
    tokens = np.exp(np.clip(predicted, LOWEST, HIGHEST))
    columns = {"fold": np.asarray(fold), "key": predicted, "tokens": np.minimum(tokens, answers.limit or np.inf)}
    return pd.DataFrame(columns, index=pd.Index(answers.prompt_id, name="prompt_id"))


def fit_simple(answers: PromptSet, fit: Callable = simple.tfidf_ridge) -> Callable:
    """Return what `bands.cross_fit` needs: a simple predictor fitted to the mean log-length of some of the prompts."""

    def fitted(rows):
        return fit([answers.prompts[row] for row in rows], lengths.targets(answers, rows))

    return fitted


def out_of_fold(answers: PromptSet, fold: np.ndarray) -> dict[str, pd.DataFrame]:
    """Train the predictors that take a second and predict every prompt out of fold.

    Returns
    -------
    dict of str to pandas.DataFrame
        For `PROMPT_LENGTH` the key is the prompt's own number of tokens, as an engine would order by it (predicted
        tokens are those of an isotonic fit); for `PLAIN` a ridge on TF-IDF.
    """
    found = {}
    for name, fit in ((PROMPT_LENGTH, simple.prompt_length), (PLAIN, simple.tfidf_ridge)):
        predicted = bands.cross_fit(fit_simple(answers, fit), answers.prompts, fold).predicted
        found[name] = frame(fold, predicted, answers)
    found[PROMPT_LENGTH]["key"] = recorded_lengths.prompt_tokens(answers).astype(float)
    return found


def stacked(answers: PromptSet, members: Sequence[Sequence[pd.DataFrame]]) -> pd.DataFrame:
    """Combine out-of-fold predictions with weights >= 0, fitted for each fold to the answers of the other folds.

    Keys are standardised within a fold, which needs no answers, since keys of some heads have no unit.

    Parameters
    ----------
    answers : PromptSet
        The set.
    members : sequence of sequence of pandas.DataFrame
        Of each predictor one frame a seed with ``fold``, ``key`` [prompts]; keys are averaged over seeds first.

    Returns
    -------
    pandas.DataFrame [prompts]
        ``fold``, ``key`` (predicted log length) and ``tokens``; ``attrs["shares"]`` has the mean weights [members].
    """
    from scipy.optimize import nnls

    first = members[0][0]
    fold, target = first["fold"].to_numpy(), lengths.targets(answers)
    keys = np.column_stack([np.mean([_standardised(run) for run in runs], axis=0) for runs in members])
    predicted, shares = np.empty(len(first)), []
    for number in np.unique(fold):
        other, held = fold != number, fold == number
        level = target[other].mean()
        weights, _ = nnls(keys[other], target[other] - level)
        predicted[held] = level + keys[held] @ weights
        shares.append(weights)
    found = frame(fold, predicted, answers)
    found.attrs["shares"] = np.mean(shares, axis=0)
    return found


def _standardised(run: pd.DataFrame) -> np.ndarray:
    by_fold = run.groupby("fold")["key"]
    return ((run["key"] - by_fold.transform("mean")) / by_fold.transform("std").replace(0, 1)).to_numpy()


class Trained(NamedTuple):
    """A proxy trained on all folds but one: predictions for that fold, the proxy, and how the training went."""

    predictions: pd.DataFrame
    proxy: object
    epochs: pd.DataFrame


def train_fold(answers: PromptSet, fold: np.ndarray, number: int, settings, encoder=None) -> Trained:
    """Train the proxy without one fold and predict that fold.

    Parameters
    ----------
    answers
        The set.
    fold [prompts]
        Folds; groups are whole.
    number : int
        Fold to keep out.
    settings : credence.ssjf.infer.proxy.Settings
        Head and schedule; its seed is also that of the validation part (a tenth, whole groups).
    encoder : credence.ssjf.model.encoder.Encoder, optional
        MiniLM-L6 by default.

    Returns
    -------
    Trained
        ``predictions`` [prompts of the fold]: ``fold``, ``key``, ``tokens``, ``lo90``, ``hi90``; ``epochs``: a row an
        epoch with ``epoch``, ``loss``, ``validation_tau``, ``seconds`` (evenly divided).
    """
    from credence.ssjf.infer import proxy

    fold = np.asarray(fold)
    learned, held = answers.take(fold != number), answers.take(fold == number)
    if not len(learned) or not len(held):
        raise InputError(f"fold {number} holds {len(held)} of {len(answers)} prompts; allowed: one of {set(fold)}")
    validation = proxy.validation_rows(learned.group, 0.1, settings.seed)
    limit = None if answers.limit is None else float(answers.limit)
    trained = proxy.train(
        learned.prompts, learned.lengths, learned.censored, settings, validation, encoder, limit=limit
    )
    found = proxy.predict(trained, held.prompts)
    found.insert(0, "fold", number)
    found.index = pd.Index(held.prompt_id, name="prompt_id")
    epochs = pd.DataFrame(trained.diagnostics["epochs"])
    epochs["seconds"] = trained.diagnostics["seconds"] * epochs["epoch"] / len(epochs)
    return Trained(found, trained, epochs)


def banded(answers: PromptSet, run: pd.DataFrame) -> pd.DataFrame:
    """Return out-of-fold predictions with bands calibrated on the other folds only.

    Parameters
    ----------
    answers
        The set.
    run : pandas.DataFrame [prompts]
        ``fold``, ``tokens``.

    Returns
    -------
    pandas.DataFrame [prompts]
        ``predicted``, ``lo90``, ``hi90``, ``tokens`` (the first answer, as produced) [tokens], ``censored``.
    """
    limit = float(answers.limit or np.inf)
    truth, fold = answers.lengths[:, 0], run["fold"].to_numpy()
    logs = np.log(np.maximum(run["tokens"].to_numpy(), 1.0))
    low, high = np.empty(len(run)), np.empty(len(run))
    for number in np.unique(fold):
        band = bands.fit_band(logs[fold != number], truth[fold != number], limit)
        low[fold == number], high[fold == number] = band.ends(logs[fold == number])
    columns = {
        "predicted": np.exp(logs),
        "lo90": low,
        "hi90": high,
        "tokens": truth,
        "censored": answers.censored[:, 0],
    }
    return pd.DataFrame(columns, index=run.index)


def beside_recorded(
    answers: PromptSet, predictions: pd.DataFrame, recorded: pd.DataFrame, predictor: str, draws: int = 400
) -> pd.DataFrame:
    """Return tau of this run's predictions beside that of the recorded ones, on the same prompts.

    Parameters
    ----------
    answers
        The whole set.
    predictions : pandas.DataFrame
        This run's ``key`` of some prompts, by prompt_id.
    recorded : pandas.DataFrame
        Recorded rows; a predictor that is not among them is shown as missing.
    predictor : str
        Name of the recorded predictor.
    draws : int
        Bootstrap resamples of the prompts.

    Returns
    -------
    pandas.DataFrame
        A row each for ``this run`` and ``recorded``: ``tau``, ``lo``, ``hi`` (90 % over prompts), ``prompts``.
    """
    place = pd.Index(answers.prompt_id).get_indexer(predictions.index)
    part = answers.take(place)
    weights = lengths.bootstrap_weights(part.prompt_id, draws, seeds.generator(0, "beside", answers.name))
    keys = {"this run": predictions["key"].to_numpy()}
    if predictor in recorded_lengths.predictors(recorded, answers):
        keys["recorded"] = recorded_lengths.by_seed(recorded, answers, predictor)[0]["key"].to_numpy()[place]
    rows = {}
    for name, key in keys.items():
        value, drawn = (
            lengths.kendall(part.lengths[:, 0], key, part.censored[:, 0], chosen) for chosen in (None, weights)
        )
        low, high = np.nanquantile(drawn, [0.05, 0.95])
        rows[name] = {"tau": value[0], "lo": low, "hi": high, "prompts": len(part)}
    return pd.DataFrame.from_dict(rows, orient="index")


def in_order(predictions: pd.DataFrame) -> bool:
    """Return whether every prediction lies in its band, and all are finite lengths of at least one token."""
    inside = (predictions["lo90"] <= predictions["tokens"]) & (predictions["tokens"] <= predictions["hi90"])
    return bool(inside.all() and np.isfinite(predictions["tokens"]).all() and (predictions["lo90"] >= 1).all())


def every_head(answers: PromptSet, fold: np.ndarray, encoder=None, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Train every head under both schedules on every fold: hours, resumed fold by fold.

    As recorded: on CASTILLO the fast schedule learns other models' answers to the training prompts beside.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``fold``, ``key``, ``tokens`` [prompts] by predictor, in the order of the set.
    """
    from credence.ssjf.infer import proxy, proxy_folds
    from credence.ssjf.model.heads import HEADS

    further = proxy_folds.other_models(answers) if answers.name == "castillo-lengths" else None
    found = {}
    for head in HEADS:
        for schedule, make in (("fast", proxy.fast_settings), ("paper", proxy.paper_settings)):
            name, auxiliary = f"proxy: {head}, {schedule}", further if schedule == "fast" else None
            place = (paths.cache_dir() / "proxy folds", name, encoder, auxiliary)
            rows = proxy_folds.cross_validate(answers, make(head, seed=seed), fold, *place)
            found[name] = rows.set_index("prompt_id").loc[answers.prompt_id, ["fold", "key", "tokens"]]
    return found
