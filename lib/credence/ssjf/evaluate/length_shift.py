"""Trained on one language model's answers, serving another's requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.ssjf.data import PromptSet
from credence.ssjf.data.answers import castillo_chat, castillo_models, set_folds
from credence.ssjf.evaluate import lengths
from credence.ssjf.evaluate.length_runs import fit_simple

SIMPLE, FITTED = "TF-IDF ridge", "the proxy"


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


def shifts(models: Sequence[str], settings=None, encoder=None, numbers: Sequence[int] = (0, 1, 2)) -> pd.DataFrame:
    """Return the shift matrices of some of CASTILLO's language models.

    Parameters
    ----------
    models : sequence of str
        Parts of their names, such as ``"Llama-3.1-8B"``; each must tell one model.
    settings : credence.ssjf.infer.proxy.Settings, optional
        Train the proxy, too; minutes a model and fold.
    encoder : credence.ssjf.model.encoder.Encoder, optional
        For the proxy.
    numbers : sequence of int
        Test folds (of 5).

    Returns
    -------
    pandas.DataFrame
        ``predictor``, ``train``, ``serve``, ``tau``.
    """
    sets = {}
    for part in models:
        names = [name for name in castillo_models() if part in name]
        if len(names) != 1:
            raise InputError(
                f"model {part!r} is in {len(names)} names; allowed: parts of {', '.join(castillo_models())}"
            )
        sets[part] = castillo_chat(names[0])
    found = [shift_matrix(sets, numbers=numbers).assign(predictor=SIMPLE)]
    if settings is not None:
        fit = fit_proxy(settings, encoder)
        found.append(shift_matrix(sets, fit, numbers=numbers).assign(predictor=FITTED))
    return pd.concat(found, ignore_index=True)
