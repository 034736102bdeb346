"""A set's real out-of-fold predictions in the simulator, on the set's own lengths, each charged its own time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from credence.bench import catalogue
from credence.ssjf import data
from credence.ssjf.data import PromptSet
from credence.ssjf.evaluate import lengths, maps, worth
from credence.ssjf.evaluate.length_runs import PLAIN, PROMPT_LENGTH
from credence.ssjf.evaluate.length_study import PROXY, WORDS, Study, describe
from credence.ssjf.evaluate.recorded_lengths import CEILING, prompt_tokens

AUTHORS = "authors' five classes"
ORACLE = "oracle"
MANY_SLOTS = "vllm-rtxpro6000-llama3-8b"


def served_runs(found: Study) -> dict[str, pd.DataFrame]:
    """Return the predictors worth serving, of those a study has: ``fold`` and ``key`` [prompts] by name.

    Prompt length, both TF-IDF ridges, the proxy, whatever combines several, and the ceiling where every prompt has
    another answer. Not what reads a language model's states: nobody measured the time of that.
    """
    names = [name for name in (PROMPT_LENGTH, PLAIN, WORDS, PROXY) if name in found.runs]
    names += [name for name in found.runs if describe(name)["kind"] == "stack" and "SmolLM2" not in name]
    runs = {name: found.runs[name][0] for name in names}
    best = lengths.other_samples(found.answers)
    if np.isfinite(best).all():
        runs[CEILING] = pd.DataFrame({"fold": 0, "key": best}, index=pd.Index(found.answers.prompt_id))
    return runs


def charged(runs: Mapping[str, pd.DataFrame], proxy_s: float) -> dict[str, float]:
    """Return the time of a prediction [s] by predictor: the proxy's for whatever runs an encoder, else none."""
    return {name: proxy_s for name in runs if describe(name)["kind"] in ("proxy", "stack")}


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
    keys[ORACLE] = answers.lengths[:, 0]
    served = worth.served_draws(source, keys, latencies, **setting)
    return curve, served, worth.against_curve(curve, served, {**taus, ORACLE: 1.0})


def fold_ranks(run: pd.DataFrame) -> np.ndarray:
    """Return the rank of each key within its fold, 0..1 [prompts]; ties share their mean rank."""
    return run.groupby("fold")["key"].rank(pct=True).to_numpy()


def serve_authors(**setting) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Serve the authors' five-class predictions on their own lengths (the simulated stand-in where those are missing).

    Parameters
    ----------
    **setting
        As for `worth.curve_draws`.

    Returns
    -------
    curve, marks : pandas.DataFrame
        As of `serve`.
    """
    name = "ssjf-vicuna13b-predictions"
    name = name if catalogue.available(name) else "ssjf-simulated-vicuna"
    given = maps.population(name)
    seconds = float(data.vicuna_predictions(name)["latency_ms_multi"].mean()) / 1000
    source = worth.population(given["prompt_tokens"], given["output_tokens"])
    curve = worth.curve_draws(source, **setting)
    keys = {AUTHORS: given["predicted"].to_numpy(), ORACLE: given["output_tokens"].to_numpy()}
    served = worth.served_draws(source, keys, {AUTHORS: seconds}, **setting)
    tau = float(stats.kendalltau(given["output_tokens"], given["predicted"]).statistic)
    return curve, worth.against_curve(curve, served, {AUTHORS: tau, ORACLE: 1.0})


def marked(marks: pd.DataFrame, title: str) -> pd.DataFrame:
    """Return marks with the columns ``set`` and ``kind`` that the figure needs."""
    kinds = {AUTHORS: "authors", ORACLE: "ceiling"}
    return marks.assign(set=title, kind=[kinds.get(n) or describe(n)["kind"] for n in marks["predictor"]])


def cut_draws(served: pd.DataFrame, predictor: str = PROXY) -> np.ndarray:
    """Return the cut of one predictor's workloads [draws] in %."""
    return served.loc[served["predictor"] == predictor].sort_values("draw")["cut"].to_numpy()


def latency_cost(found: Study, seconds: float, predictor: str = PROXY, **size) -> np.ndarray:
    """Return what charging a predictor its time takes back of the cut where 64 requests are served at a time.

    Parameters
    ----------
    found : Study
        Whose prompts, lengths and predictions.
    seconds : float
        Time of a prediction [s].
    predictor : str
        Which one.
    **size
        ``count``, ``draws``, ``seed`` as for `worth.curve_draws`; its ``load`` gives way to the set-up's own.

    Returns
    -------
    ndarray [draws]
        Points of the cut, workload by workload.
    """
    source = worth.population(prompt_tokens(found.answers), found.answers.lengths[:, 0])
    key = fold_ranks(found.runs[predictor][0])
    setting = size | worth.SETUPS[MANY_SLOTS] | {"engine": MANY_SLOTS}
    names = ("free", "charged")
    served = worth.served_draws(source, dict.fromkeys(names, key), {"charged": seconds}, **setting)
    return np.subtract(*(cut_draws(served, name) for name in names))
