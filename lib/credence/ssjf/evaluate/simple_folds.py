"""Out-of-fold predictions of everything simpler than the proxy, tuned on training folds only.

``python -m credence.ssjf.evaluate.simple_folds own --out FOLDER`` writes one parquet file a predictor, as soon as it is
done; files that are there are not made again. What `recorded_lengths` gathers goes into git.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.bench.tables import write_parquet
from credence.ssjf.baselines import lengths as simple
from credence.ssjf.data.answers import PromptSet, castillo_chat, measured_answers, set_folds
from credence.ssjf.evaluate import lengths

SETS = {"own": measured_answers, "castillo": castillo_chat}
# Vectors of a language model are wide: weaker penalties than these never won on training prompts.
PENALTIES = (300.0, 1000.0, 3000.0, 10000.0, 30000.0)
MIDDLE = 2  # of `engine.hidden.LAYERS`: layer 18


def fits(answers: PromptSet, encoder_states: np.ndarray, model_states: np.ndarray) -> dict[str, tuple[Callable, str]]:
    """Return each predictor's fit function and what it learns: the first answer, or the mean log of all.

    Parameters
    ----------
    answers : PromptSet
        The set; inner folds keep its groups together.
    encoder_states [prompts, width]
        Of the encoder, not trained (`infer.frozen`).
    model_states [prompts, layers, width]
        Of the language model (`engine.hidden`).
    """
    group = dict(zip(answers.prompts, answers.group, strict=True))

    def grouped(fit: Callable, **more) -> Callable:
        return lambda texts, target, weight=None: fit(
            texts, target, weight, group=[group[text] for text in texts], **more
        )

    def ridge(states: np.ndarray, **more) -> Callable:
        table = simple.lookup(answers.prompts, states.reshape(len(answers), -1).astype(np.float64))
        return grouped(simple.embedding_ridge, embed=table, **more)

    words = partial(simple.tfidf_ridge, settings=simple.TextSettings(lexical=True))
    encoder = ridge(encoder_states)
    layer = ridge(model_states[:, MIDDLE], penalties=PENALTIES)
    one, all_of_them = "sample 1", "mean log of samples"
    return {
        "prompt length, isotonic": (simple.prompt_length, one),
        "TF-IDF ridge, one answer, as the notes": (simple.tfidf_ridge, one),
        "TF-IDF ridge, untuned": (simple.tfidf_ridge, all_of_them),
        "TF-IDF ridge, tuned": (grouped(simple.tfidf_tuned), all_of_them),
        "TF-IDF + hand-made features, ridge": (words, all_of_them),
        "frozen MiniLM, ridge": (encoder, all_of_them),
        "frozen SmolLM2, layer 18, ridge": (layer, all_of_them),
        "frozen SmolLM2, five layers, ridge": (ridge(model_states, penalties=PENALTIES), all_of_them),
        "stack: TF-IDF + frozen MiniLM": (
            grouped(simple.stacked, members={"words": words, "encoder": encoder}),
            all_of_them,
        ),
        "stack: TF-IDF + frozen MiniLM + SmolLM2": (
            grouped(simple.stacked, members={"words": words, "encoder": encoder, "model": layer}),
            all_of_them,
        ),
    }


def cross_predict(answers: PromptSet, fold: np.ndarray, fit: Callable, target: str) -> np.ndarray:
    """Return out-of-fold predicted log lengths [prompts]."""
    found = np.empty(len(answers))
    learned = lengths.targets(answers, kind=target)
    for number in np.unique(fold):
        rows, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        predictor = fit([answers.prompts[row] for row in rows], learned[rows])
        found[held] = predictor([answers.prompts[row] for row in held])
    return found


def record(answers: PromptSet, out: Path, states: Callable[[], tuple[np.ndarray, np.ndarray]]) -> None:
    """Write the rows of every predictor whose file is not there yet.

    Parameters
    ----------
    answers : PromptSet
        The set.
    out : Path
        Folder of the files.
    states : callable
        Returns the encoder's and the model's states; called once, if anything is missing.
    """
    fold, found = set_folds(answers), None
    names = list(fits(answers, np.zeros((len(answers), 1)), np.zeros((len(answers), MIDDLE + 1, 1))))
    for place, name in enumerate(names):
        file = out / f"simple-{answers.name}-{place}.parquet"
        if file.is_file():
            continue
        found = found or fits(answers, *states())
        key = cross_predict(answers, fold, *found[name])
        told = {"set": answers.name, "prompt_id": answers.prompt_id.astype(str), "predictor": name, "fold": fold}
        write_parquet(pd.DataFrame(told | {"seed": 0, "key": key, "tokens": np.exp(key)}), file, compression="zstd")
        print(f"{answers.name}: {name}", file=sys.stderr, flush=True)


def frozen_states(answers: PromptSet) -> tuple[np.ndarray, np.ndarray]:
    """Return the states of the encoder and of the language model for the prompts of a set (minutes)."""
    from credence.ssjf.engine.hidden import last_states
    from credence.ssjf.infer.frozen import mean_states
    from credence.ssjf.model.encoder import load_encoder

    return mean_states(load_encoder(), answers.prompts), last_states(answers.prompts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict every prompt of a set out of fold with every simple predictor."""
    parser = argparse.ArgumentParser(prog="python -m credence.ssjf.evaluate.simple_folds", description=main.__doc__)
    parser.add_argument("set", choices=tuple(SETS))
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished predictors")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(given.threads)
    try:
        answers = SETS[given.set]()
        given.out.mkdir(parents=True, exist_ok=True)
        record(answers, given.out, lambda: frozen_states(answers))
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
