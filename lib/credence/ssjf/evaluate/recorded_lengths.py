"""Recorded out-of-fold predictions: written once, scored in every run.

Training every head on every fold takes an hour and is done at ``full``. What the models then predicted for prompts they
had not seen is kept in ``data/ssjf/recorded-predictions.parquet``: identifiers and our numbers, no texts and no true
lengths. Scores are computed anew from it wherever the answers are at hand.

``python -m credence.ssjf.evaluate.recorded_lengths FOLDER`` gathers the parquet files below a folder into that file and
enters it into the catalogue.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import catalogue, catalogue_entries, paths, seeds
from credence.bench.errors import InputError, choose
from credence.bench.progress import track
from credence.bench.tables import write_parquet
from credence.ssjf.data import PromptSet, castillo
from credence.ssjf.evaluate import lengths

NAME = "ssjf-recorded-predictions"
COLUMNS = ("set", "prompt_id", "predictor", "fold", "seed", "key", "tokens")
LEVEL = 0.90
CEILING = "noise ceiling"


def gather(folder: Path) -> pd.DataFrame:
    """Return the predictions in all parquet files below a folder, checked and in a fixed order.

    Raises
    ------
    InputError
        For a file without a needed column, a number that is not finite, or a prompt predicted twice by the same
        predictor and seed; names the file or the rows.
    """
    files = sorted(Path(folder).rglob("*.parquet"))
    if not files:
        raise InputError(f"{folder}: no parquet files; allowed: a folder with out-of-fold predictions")
    parts = []
    for path in files:
        part = pd.read_parquet(path)
        if missing := [name for name in COLUMNS if name not in part]:
            raise InputError(f"{path.name}: no column {', '.join(missing)}; allowed: {', '.join(COLUMNS)}")
        if not np.isfinite(part["key"].astype(float)).all():
            raise InputError(f"{path.name}: a key is not finite; allowed: finite numbers")
        parts.append(part[list(COLUMNS)])
    rows = pd.concat(parts, ignore_index=True)
    identity = ["set", "predictor", "seed", "prompt_id"]
    if (twice := rows.duplicated(identity)).any():
        first = rows.loc[twice, identity].iloc[0].to_dict()
        raise InputError(f"{int(twice.sum())} predictions are there twice, the first {first}; allowed: each once")
    kinds = {"fold": "int64", "seed": "int64", "key": "float32", "tokens": "float32"}
    rows = rows.astype(kinds | dict.fromkeys(("set", "predictor", "prompt_id"), str))
    return rows.sort_values(identity, ignore_index=True)


def write(rows: pd.DataFrame, target: Path) -> None:
    """Write predictions as parquet."""
    write_parquet(rows, target, compression="zstd", compression_level=19)


FIELDS = {
    "name": NAME,
    "title": "Out-of-fold predictions of answer lengths: our proxies and simpler predictors, measured here",
    "paper": "ssjf",
    "kind": "measured-here",
    "generator": "python -m credence.ssjf.infer.proxy_folds SET --out FOLDER --heads … --schedule …; "
    "python -m credence.ssjf.evaluate.simple_folds SET --out FOLDER; "
    "python -m credence.ssjf.evaluate.recorded_lengths FOLDER",
}
NOTE = (
    "Numbers of ours only: identifiers of prompts, no texts, no true lengths. A prompt was predicted by a model that "
    "had not seen it (own set: nor any prompt of its family); five folds. Encoder of the proxies: DistilBERT "
    "architecture, MiniLM-L6 weights."
)
MEANINGS = {
    "set": "set of prompts, by its name in this catalogue [name]",
    "prompt_id": "the set's name of the prompt [name]",
    "predictor": "what predicted: head and schedule of a proxy, or a simpler predictor [name]",
    "fold": "fold that held the prompt [index]",
    "seed": "seed of the training [1]",
    "key": "what a queue would be ordered by, higher for longer; comparable within predictor, seed and fold [1]",
    "tokens": "predicted length; missing for a key without a unit [tokens]",
}


def read() -> pd.DataFrame:
    """Return the recorded predictions, a row a set, predictor, seed and prompt; none where nothing is recorded yet."""
    return catalogue.frame(NAME) if NAME in catalogue.names() else pd.DataFrame(columns=list(COLUMNS))


def predictors(rows: pd.DataFrame, answers: PromptSet) -> list[str]:
    """Return the names of the predictors recorded for a set, in alphabetical order."""
    return sorted(rows.loc[rows["set"] == answers.name, "predictor"].unique())


def by_seed(rows: pd.DataFrame, answers: PromptSet, predictor: str) -> list[pd.DataFrame]:
    """Return one predictor's out-of-fold predictions, a frame a seed (`lengths.align`), seeds ascending."""
    mine = rows[(rows["set"] == answers.name) & (rows["predictor"] == predictor)]
    if mine.empty:
        choose(predictor, predictors(rows, answers), "predictor")
    return [lengths.align(part, answers, predictor) for _, part in mine.groupby("seed")]


def prompt_tokens(answers: PromptSet) -> np.ndarray:
    """Return the length of each prompt [prompts] in the tokens of the model that answered it (HaluEval: in words).

    Raises
    ------
    InputError
        For a set whose prompts were not counted.
    """
    if answers.name == "ssjf-smollm2-lengths":
        frame = catalogue.frame(answers.name).drop_duplicates("prompt_id").set_index("prompt_id")["prompt_tokens"]
    elif answers.name == "castillo-lengths":
        frame = castillo()[0].drop_duplicates("prompt_id").set_index("prompt_id")["input_tokens"]
    elif answers.name == "halueval-general":
        return np.array([len(prompt.split()) for prompt in answers.prompts])
    else:
        known = "ssjf-smollm2-lengths, castillo-lengths, halueval-general"
        raise InputError(f"{answers.name}: prompts not counted; allowed: {known}")
    return frame.reindex(answers.prompt_id).fillna(frame.median()).to_numpy().astype(np.int64)


def score(
    answers: PromptSet, predictions: Mapping[str, Sequence[pd.DataFrame]], draws: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, dict[str, np.ndarray]]]:
    """Score out-of-fold predictions against the first answer to each prompt.

    Parameters
    ----------
    answers
        The set.
    predictions : mapping of str to sequence of pandas.DataFrame
        Predictor, and for each of its seeds ``fold``, ``key``, ``tokens`` [prompts] in the order of the set. Scores
        are averaged over seeds; a prompt's predictions are not (that would be another predictor, an ensemble).
    draws, seed : int
        Bootstrap resamples of prompts, the same ones for every predictor.

    Returns
    -------
    frame : pandas.DataFrame
        A row a predictor: ``set``, ``predictor``, ``tau``, ``accuracy``, ``macro_f1``, ``mae`` [tokens], each with
        ``_lo`` and ``_hi`` (90 %), ``seeds``, ``prompts``.
    draws : dict
        Predictor -> score -> ndarray [draws].
    """
    weights = lengths.bootstrap_weights(answers.prompt_id, draws, seeds.generator(seed, "bootstrap", answers.name))
    rows, found = [], {}
    for name, runs in track(predictions.items(), "predictors", total=len(predictions)):
        results = [
            [
                lengths.cross_validated(answers, *_columns(run), weights=chosen)
                for chosen in (None, weights)
            ]
            for run in runs
        ]  # fmt: skip
        value, drawn = ({k: np.mean([r[part][k] for r in results], axis=0) for k in lengths.SCORES} for part in (0, 1))
        head = {"set": answers.name, "predictor": name}
        more = {"seeds": len(runs), "prompts": len(answers)}
        rows.append(head | lengths.score_row(value, drawn, LEVEL) | more)
        found[name] = drawn
    return pd.DataFrame(rows), found


def _columns(run: pd.DataFrame) -> tuple:
    return tuple(run[name].to_numpy() for name in ("fold", "key", "tokens"))


def ceiling_set(answers: PromptSet, fold: np.ndarray) -> tuple[PromptSet, pd.DataFrame]:
    """Return the prompts with two answers or more, and the mean of the other answers as if it were a prediction."""
    best = lengths.other_samples(answers)
    rows = np.flatnonzero(np.isfinite(best) & np.isfinite(answers.lengths[:, 0]))
    part = answers.take(rows)
    index = pd.Index(part.prompt_id, name="prompt_id")
    return part, pd.DataFrame({"fold": np.asarray(fold)[rows], "key": best[rows], "tokens": best[rows]}, index=index)


def family_share_draws(answers: PromptSet, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Return draws over prompts of what the template family alone reaches, as a share of the noise ceiling [draws].

    The family's mean log-length, the prompt itself included: the better of the two keys of `lengths.template_check`.
    """
    best = lengths.other_samples(answers)
    rows = np.flatnonzero(np.isfinite(best) & np.isfinite(answers.lengths[:, 0]))
    level = pd.Series(lengths.targets(answers)).groupby(np.asarray(answers.group, dtype=str)).transform("mean")
    truth, late = answers.lengths[rows, 0], answers.censored[rows, 0]
    rng = seeds.generator(seed, "bootstrap family", answers.name)
    weights = lengths.bootstrap_weights(answers.prompt_id[rows], draws, rng)
    reached = (lengths.kendall(truth, key[rows], late, weights) for key in (level.to_numpy(), best))
    return np.divide(*reached)


def binary_draws(answers: PromptSet, runs: Sequence[pd.DataFrame], draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Return draws over prompts of the share told right from left of the median training length [draws].

    The median is that of all answers of the other folds; an answer counts as called right if its predicted length
    lies on its side. Censored answers below the median, whose side is not known, are left out.
    """
    weights = lengths.bootstrap_weights(answers.prompt_id, draws, seeds.generator(seed, "bootstrap", answers.name))
    truth, late = answers.lengths[:, 0], answers.censored[:, 0]
    found = []
    for run in runs:
        shares = []
        for number in np.unique(run["fold"]):
            other = answers.lengths[(run["fold"] != number).to_numpy()]
            ends = np.array([np.nanmedian(other), np.inf])
            rows = np.flatnonzero((run["fold"] == number).to_numpy() & np.isfinite(truth))
            called = (run["tokens"].to_numpy()[rows] > ends[0]).astype(int)
            part = lengths.class_scores(truth[rows], called, ends, late[rows], weights[:, rows])
            shares.append(part["accuracy"])
        found.append(np.mean(shares, axis=0))
    return np.mean(found, axis=0)


def main(arguments: list[str] | None = None) -> None:
    """Gather a folder of out-of-fold predictions into the file in git, and enter it into the catalogue."""
    parser = argparse.ArgumentParser(prog="python -m credence.ssjf.evaluate.recorded_lengths", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    try:
        rows = gather(given.folder)
    except InputError as error:
        sys.exit(f"error: {error}")
    target = paths.data_dir() / "ssjf" / "recorded-predictions.parquet"
    write(rows, target)
    today = datetime.now(UTC).date().isoformat()
    catalogue_entries.enter(target, FIELDS | {"note": f"Recorded {today}. {NOTE}"}, MEANINGS)
    print(rows.groupby(["set", "predictor", "seed"]).size().to_string())


if __name__ == "__main__":
    main()
