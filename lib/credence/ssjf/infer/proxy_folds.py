"""Out-of-fold predictions of proxies: every finished fold is written at once, so that a study can be resumed."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.bench.tables import write_parquet
from credence.ssjf.data.answers import (
    CASTILLO_MODEL,
    PromptSet,
    castillo_all_models,
    castillo_chat,
    measured_answers,
    set_folds,
)
from credence.ssjf.infer.proxy import Settings, fast_settings, paper_settings, predict, train, validation_rows
from credence.ssjf.infer.proxy_cache import cache_key
from credence.ssjf.model.encoder import Encoder, load_encoder

COLUMNS = ("set", "prompt_id", "predictor", "fold", "seed", "key", "tokens", "lo90", "hi90", "label")
TIMING_COLUMNS = ("set", "predictor", "fold", "seed", "encoder", "seconds", "best_epoch", "validation_tau")


def cross_validate(
    answers: PromptSet,
    settings: Settings,
    fold: np.ndarray,
    out: Path,
    predictor: str,
    encoder: Encoder | None = None,
    auxiliary: np.ndarray | None = None,
    only: Sequence[int] | None = None,
    validation_share: float = 0.1,
) -> pd.DataFrame:
    """Train on all folds but one and predict that one, for each fold.

    A fold whose file stands in `out`, made from the same data, settings, split and encoder, is read instead.

    Parameters
    ----------
    answers : PromptSet
        Prompts with their answers.
    settings : Settings
        Of every fold's training.
    fold [prompts]
        Fold of each prompt.
    out : Path
        Folder: one parquet file and one line of timings a finished fold.
    predictor : str
        Name in the rows.
    encoder : Encoder, optional
        MiniLM-L6 by default.
    auxiliary [prompts, targets], optional
        See :func:`~credence.ssjf.infer.proxy.train`; those of test prompts are not used.
    only : sequence of int, optional
        These folds; all by default.
    validation_share : float
        Share of a training part, whole groups, that chooses the epoch and calibrates.

    Returns
    -------
    pandas.DataFrame
        ``set``, ``prompt_id``, ``predictor``, ``fold``, ``seed``, ``key``, ``tokens``, ``lo90``, ``hi90`` [tokens],
        ``label`` (class, -1 without); a row a prompt of the folds asked for.
    """
    encoder = encoder or load_encoder()
    fold = np.asarray(fold)
    if len(fold) != len(answers):
        raise InputError(f"{len(fold)} folds for {len(answers)} prompts; allowed: as many of each")
    parts = []
    for number in np.unique(fold) if only is None else only:
        rows = np.flatnonzero(fold != number)
        part = answers.take(rows)
        further = None if auxiliary is None else np.asarray(auxiliary)[rows]
        validation = validation_rows(part.group, validation_share, settings.seed)
        held = answers.take(fold == number)
        digest = cache_key(part, settings, encoder, validation, further)
        file = Path(out) / f"{_plain(answers.name)}-{_plain(predictor)}-{settings.seed}-{number}-{digest}.parquet"
        if not file.is_file():
            proxy = train(
                part.prompts, part.lengths, part.censored, settings, validation, encoder, further, answers.limit
            )
            frame = _rows(held, predict(proxy, held.prompts), predictor, int(number), settings.seed)
            write_parquet(frame, file)
            _time(proxy, answers.name, predictor, int(number), Path(out))
        parts.append(pd.read_parquet(file))
    return pd.concat(parts, ignore_index=True)


def _rows(held: PromptSet, predicted: pd.DataFrame, predictor: str, number: int, seed: int) -> pd.DataFrame:
    frame = predicted.assign(
        set=held.name, prompt_id=held.prompt_id.astype(str), predictor=predictor, fold=number, seed=seed
    )
    if "label" not in frame:
        frame["label"] = -1
    return frame[list(COLUMNS)]


def _time(proxy, name: str, predictor: str, number: int, out: Path) -> None:
    found = proxy.diagnostics
    values = (name, predictor, number, proxy.settings.seed, proxy.label, round(found["seconds"], 1))
    values += (found["best_epoch"], round(found["validation_tau"], 4))
    file = out / "timings.csv"
    line = pd.DataFrame([values], columns=list(TIMING_COLUMNS))
    line.to_csv(file, mode="a", header=not file.exists(), index=False)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def other_models(answers: PromptSet, model: str = CASTILLO_MODEL) -> np.ndarray:
    """Return the mean log lengths [prompts, models] of other models' answers to CASTILLO's prompts; NaN: not asked."""
    models, lengths = castillo_all_models(answers.prompt_id)
    lengths = np.delete(lengths, models.index(model), axis=1)
    known = np.isfinite(lengths)
    logs = np.where(known, np.log(np.maximum(np.where(known, lengths, 1.0), 1.0)), 0.0).sum(axis=2)
    count = known.sum(axis=2)
    return np.where(count > 0, logs / np.maximum(count, 1), np.nan)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study of a set from the command line: ``python -m credence.ssjf.infer.proxy_folds own --out FOLDER``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("set", choices=("own", "castillo"))
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished folds")
    parser.add_argument("--heads", default="quantile", help="names of heads, separated by commas")
    parser.add_argument("--schedule", choices=("fast", "paper"), default="fast")
    parser.add_argument("--seeds", default="0", help="numbers, separated by commas")
    parser.add_argument("--folds", default="0,1,2,3,4", help="which of the five folds")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(chosen.threads)
    answers = measured_answers() if chosen.set == "own" else castillo_chat()
    further = other_models(answers) if chosen.set == "castillo" and chosen.schedule == "fast" else None
    make = fast_settings if chosen.schedule == "fast" else paper_settings
    encoder = load_encoder()
    for seed in chosen.seeds.split(","):
        for head in chosen.heads.split(","):
            settings = dataclasses.replace(make(head), seed=int(seed))
            numbers = [int(number) for number in chosen.folds.split(",")]
            name = f"proxy: {head}, {chosen.schedule}"
            cross_validate(answers, settings, set_folds(answers), chosen.out, name, encoder, further, numbers)


if __name__ == "__main__":
    main()
