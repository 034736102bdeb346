"""Length predictors trained in this run: simple ones on every fold, the proxy on one, and across language models.

What is trained here stands beside what is recorded (`recorded_lengths`), on the same folds, so that a live number can
be compared with its recorded row. torch is imported only where the proxy is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.ssjf.baselines import lengths as simple
from credence.ssjf.data import PromptSet
from credence.ssjf.evaluate import bands, lengths, worth
from credence.ssjf.evaluate.recorded_lengths import prompt_tokens

PLAIN = "TF-IDF ridge, as the notes"
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
        For `PROMPT_LENGTH` the raw number of characters, as an engine would order by it (its tokens are those of an
        isotonic fit), and for `PLAIN` a ridge on TF-IDF.
    """
    found = {}
    for name, fit in ((PROMPT_LENGTH, simple.prompt_length), (PLAIN, simple.tfidf_ridge)):
        predicted = bands.cross_fit(fit_simple(answers, fit), answers.prompts, fold).predicted
        found[name] = frame(fold, predicted, answers)
    found[PROMPT_LENGTH]["key"] = [float(len(prompt)) for prompt in answers.prompts]
    return found


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


def serve(
    answers: PromptSet,
    predictions: Mapping[str, pd.DataFrame],
    taus: Mapping[str, float],
    latencies: Mapping[str, float],
    **setting,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Serve a set's requests by made-up predictors of every tau, and by real out-of-fold predictions.

    Keys of different folds come from different models and need not share a scale: within each fold a key is replaced by
    its rank, which keeps what tau (a mean over folds) measures.

    Parameters
    ----------
    answers
        The set; its first answers happen.
    predictions : mapping of str to pandas.DataFrame
        ``fold`` and ``key`` [prompts] by predictor.
    taus, latencies : mapping of str to float
        Measured tau [1] and time of a prediction [s] by predictor.
    **setting
        As for `worth.curve_draws`: ``load``, ``slots``, ``engine``, ``count``, ``draws``, ``seed``.

    Returns
    -------
    curve, served, marks : pandas.DataFrame
        `worth.curve_draws` at no latency, `worth.served_draws`, and `worth.against_curve` of the two.
    """
    source = worth.population(prompt_tokens(answers), answers.lengths[:, 0])
    curve = worth.curve_draws(source, **setting)
    keys = {name: fold_ranks(run) for name, run in predictions.items()}
    keys["oracle"] = answers.lengths[:, 0]
    served = worth.served_draws(source, keys, latencies, **setting)
    return curve, served, worth.against_curve(curve, served, {**taus, "oracle": 1.0})


def fold_ranks(run: pd.DataFrame) -> np.ndarray:
    """Return the rank of each key within its fold, 0..1 [prompts]; ties share their mean rank."""
    return run.groupby("fold")["key"].rank(pct=True).to_numpy()


def shift_matrix(
    sets: Mapping[str, PromptSet],
    fit: Callable[[PromptSet], Callable] = fit_simple,
    fold_of: Callable[[PromptSet], np.ndarray] | None = None,
    numbers: Sequence[int] = (0, 1, 2, 3, 4),
) -> pd.DataFrame:
    """Train on one language model's answers and order the requests of every other.

    A prompt is in the same fold for all models, so that no model's answer to a test prompt was learned from.

    Parameters
    ----------
    sets : mapping of str to PromptSet
        Short name of a language model, and its prompts and answers.
    fit : callable
        From a set to what `bands.cross_fit` takes; `fit_simple`, or `fit_proxy` with settings.
    fold_of : callable
        From a set to its folds [prompts]; by the hash of the prompt's name by default.
    numbers : sequence of int
        Test folds used; tau is their mean.

    Returns
    -------
    pandas.DataFrame
        A row a pair: ``train``, ``serve``, ``tau``.
    """
    from credence.ssjf.data.answers import set_folds

    folds = {name: (fold_of or set_folds)(answers) for name, answers in sets.items()}
    rows = []
    for train, learned in track(sets.items(), "models", total=len(sets)):
        for number in numbers:
            model = fit(learned)(np.flatnonzero(folds[train] != number))
            for serve_by, answers in sets.items():
                held = answers.take(folds[serve_by] == number)
                key = model(held.prompts)
                tau = float(lengths.kendall(held.lengths[:, 0], key, held.censored[:, 0])[0])
                rows.append({"train": train, "serve": serve_by, "fold": number, "tau": tau})
    return pd.DataFrame(rows).groupby(["train", "serve"], sort=False, as_index=False)["tau"].mean()


def fit_proxy(settings, encoder=None) -> Callable[[PromptSet], Callable]:
    """Return `shift_matrix`'s `fit` for the proxy: from a set to what `bands.cross_fit` takes."""
    return partial(_fit_proxy, settings, encoder)


def _fit_proxy(settings, encoder, answers: PromptSet) -> Callable:
    from credence.ssjf.infer import proxy

    def fitted(rows):
        part = answers.take(rows)
        held = proxy.validation_rows(part.group, 0.1, settings.seed)
        limit = None if answers.limit is None else float(answers.limit)
        trained = proxy.train(part.prompts, part.lengths, part.censored, settings, held, encoder, limit=limit)
        return lambda prompts: np.log(proxy.predict(trained, prompts)["tokens"].to_numpy())

    return fitted
