"""Everything that predicts the lengths of one set, scored side by side, and the metrics that claims are judged by."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from credence.ssjf.data import PromptSet
from credence.ssjf.data.answers import set_folds
from credence.ssjf.evaluate import lengths, recorded_lengths
from credence.ssjf.evaluate.length_runs import PLAIN, PROMPT_LENGTH, stacked
from credence.ssjf.evaluate.recorded_lengths import CEILING

# Fixed before the first judged run: what the claims compare. The proxy's settings were chosen on training parts.
PROXY = "proxy: quantile, fast"
WORDS = "TF-IDF ridge, tuned"
RANKING, REGRESSION = "proxy: listwise, fast", "proxy: log-mse, fast"
FAST, PAPER = "proxy: l1, fast", "proxy: l1, paper"
STATES = "frozen SmolLM2, five layers, ridge"
WITH_WORDS = "stack: proxy + TF-IDF"
WITH_STATES = "stack: proxy + TF-IDF + frozen SmolLM2"
STACKS = {WITH_WORDS: (PROXY, WORDS), WITH_STATES: (PROXY, WORDS, STATES)}
JUDGED = (PROXY, WORDS, STATES, RANKING, REGRESSION, FAST, PAPER, PROMPT_LENGTH, *STACKS)

_PROXY_NAME = re.compile(r"proxy: (?P<head>[\w-]+), (?P<schedule>paper|fast)(?P<more>.*)")


class Study(NamedTuple):
    """One set with all its predictors.

    Attributes
    ----------
    answers, fold
        The set, and the fold of each prompt.
    runs : dict
        Predictor -> one frame a seed with ``fold``, ``key``, ``tokens`` [prompts].
    scores : pandas.DataFrame
        As of `recorded_lengths.score`, and ``kind`` (a colour of the figures), ``recorded``, ``head``, ``schedule``.
    draws : dict
        Predictor -> score -> draws over prompts.
    """

    answers: PromptSet
    fold: np.ndarray
    runs: dict[str, list[pd.DataFrame]]
    scores: pd.DataFrame
    draws: dict[str, dict[str, np.ndarray]]

    @property
    def shown(self) -> str:
        """The predictor that figures of single predictions show: the proxy, or, where none is recorded, TF-IDF."""
        return PROXY if PROXY in self.runs else PLAIN

    def tau(self) -> dict[str, float]:
        """Return the tau of each predictor."""
        return dict(zip(self.scores["predictor"], self.scores["tau"], strict=True))


def describe(predictor: str) -> dict:
    """Return ``kind``, ``head`` and ``schedule`` that a predictor's name tells; the last two None where it has none."""
    if predictor == CEILING:
        return {"kind": "ceiling", "head": None, "schedule": None}
    if predictor.startswith("stack"):
        return {"kind": "stack", "head": None, "schedule": None}
    found = _PROXY_NAME.fullmatch(predictor)
    plain = found is not None and not found["more"]
    kind = "proxy" if predictor.startswith("proxy") else "baseline"
    return {"kind": kind, "head": found["head"] if plain else None, "schedule": found["schedule"] if plain else None}


def study(
    answers: PromptSet,
    recorded: pd.DataFrame,
    live: Mapping[str, pd.DataFrame] | None = None,
    only: Collection[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Study:
    """Score recorded and live predictors of a set, with the noise ceiling on top.

    Parameters
    ----------
    answers
        The set.
    recorded : pandas.DataFrame
        `recorded_lengths`' rows, of any sets.
    live : mapping of str to pandas.DataFrame
        Out-of-fold predictions made in this run; they take the place of recorded ones of the same name.
    only : collection of str
        Score no others.
    draws, seed : int
        Bootstrap over prompts.
    """
    fold, live = set_folds(answers), dict(live or {})
    names = [*live, *(name for name in recorded_lengths.predictors(recorded, answers) if name not in live)]
    names = [name for name in names if only is None or name in only]
    runs = {n: [live[n]] if n in live else recorded_lengths.by_seed(recorded, answers, n) for n in names}
    for name, members in STACKS.items():
        if (only is None or name in only) and all(member in runs for member in members):
            runs[name] = [stacked(answers, [runs[member] for member in members])]
    scores, drawn = recorded_lengths.score(answers, runs, draws, seed)
    if (only is None or CEILING in only) and np.isfinite(lengths.other_samples(answers)).any():
        part, best = recorded_lengths.ceiling_set(answers, fold)
        top, top_draws = recorded_lengths.score(part, {CEILING: [best]}, draws, seed)
        scores, drawn = pd.concat([scores, top], ignore_index=True), drawn | top_draws
    told = pd.DataFrame([describe(name) for name in scores["predictor"]])
    scores = pd.concat([scores, told], axis=1)
    scores["recorded"] = [name not in live and name != CEILING for name in scores["predictor"]]
    return Study(answers, fold, runs, scores, drawn)


def ladder(found: Study) -> pd.DataFrame:
    """Return what the main figure draws: ``set``, ``predictor``, ``kind``, ``tau``, ``lo``, ``hi``, ``recorded``."""
    columns = ["set", "predictor", "kind", "tau", "tau_lo", "tau_hi", "recorded"]
    return found.scores[columns].rename(columns={"tau_lo": "lo", "tau_hi": "hi"})


def heads(found: Study) -> pd.DataFrame:
    """Return tau by head and schedule, one row a plain proxy."""
    rows = found.scores[found.scores["head"].notna()]
    return rows[["set", "head", "schedule", "tau", "tau_lo", "tau_hi"]].rename(columns={"tau_lo": "lo", "tau_hi": "hi"})


def table(found: Study) -> pd.DataFrame:
    """Return the scores of a set for a reader: each with its 90 % interval, best tau first."""

    def words(row, name, digits):
        low, high = row[f"{name}_lo"], row[f"{name}_hi"]
        return "–" if np.isnan(row[name]) else f"{row[name]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    columns = {"Kendall's tau": ("tau", 3), "accuracy, 5 classes": ("accuracy", 3), "macro-F1": ("macro_f1", 3)}
    columns["MAE [tokens]"] = ("mae", 0)
    rows = found.scores.sort_values("tau", ascending=False)
    cells = {title: [words(row, *what) for _, row in rows.iterrows()] for title, what in columns.items()}
    where = ["recorded" if recorded else "this run" for recorded in rows["recorded"]]
    extra = {"seeds": rows["seeds"].to_numpy(), "from": where}
    return pd.DataFrame(cells | extra, index=pd.Index(rows["predictor"], name="predictor"))


def claim_metrics(found: Study, ending: str) -> dict[str, np.ndarray]:
    """Return the metrics of the claims that a set's predictors allow, draws over prompts.

    Parameters
    ----------
    found : Study
        Scored predictors; metrics of those that are missing are left out.
    ending : str
        ``own`` or ``castillo``: end of the metrics' names.
    """
    draws = found.draws
    metrics = {}
    if PROXY in draws:
        metrics[f"proxy_tau_{ending}"] = draws[PROXY]["tau"]
        metrics[f"accuracy_five_{ending}"] = draws[PROXY]["accuracy"]
        count = len(draws[PROXY]["tau"])
        metrics[f"accuracy_binary_{ending}"] = recorded_lengths.binary_draws(found.answers, found.runs[PROXY], count)
    for name, better, worse in (
        ("proxy_minus_tfidf", PROXY, WORDS),
        ("ranking_minus_regression", RANKING, REGRESSION),
        ("fast_minus_paper", FAST, PAPER),
        ("proxy_minus_states", PROXY, STATES),
    ):
        if better in draws and worse in draws:
            metrics[f"{name}_{ending}"] = draws[better]["tau"] - draws[worse]["tau"]
    if WITH_STATES in draws:
        metrics[f"stack_tau_{ending}"] = draws[WITH_STATES]["tau"]
    if PROMPT_LENGTH in draws:
        metrics[f"prompt_length_tau_{ending}"] = draws[PROMPT_LENGTH]["tau"]
    return {name: values for name, values in metrics.items() if np.isfinite(values).all()}


def predictability(answers: PromptSet) -> dict[str, float | int | str]:
    """Return how far the lengths of a set can be predicted at all, for a table: see `lengths.ceiling`."""
    there = np.isfinite(answers.lengths)
    found = {
        "prompts": len(answers),
        "answers": int(there.sum()),
        "median length": float(np.nanmedian(answers.lengths)),
        "unit of length": answers.unit,
        "cut off [%]": round(100 * float(answers.censored[there].mean()), 1),
    }
    if not np.isfinite(lengths.other_samples(answers)).any():
        return found | {"prompts with two answers or more": 0}
    top = lengths.ceiling(answers, fold=set_folds(answers))
    return found | {
        "prompts with two answers or more": top["prompts"],
        "tau of the mean of the others": round(top["ceiling"], 3),
        "tau of one other": round(top["one_vs_one"], 3),
        "spread within a prompt, sd / mean": round(top["within_cv"], 2),
    }


def spread(answers: PromptSet) -> np.ndarray:
    """Return sd over mean of a prompt's answers, for prompts with two or more and none cut off."""
    rows = (np.isfinite(answers.lengths).sum(axis=1) > 1) & ~answers.censored.any(axis=1)
    exact = answers.lengths[rows]
    return np.nanstd(exact, axis=1, ddof=1) / np.maximum(np.nanmean(exact, axis=1), 1)
