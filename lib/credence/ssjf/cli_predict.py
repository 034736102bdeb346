"""``credence ssjf predict``: answer lengths for a file of prompts, each with a band."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from credence.bench.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from credence.ssjf.data import PromptSet

# Imports of torch and pandas stand inside the functions, so that `credence --help` need not wait for them.
FOLDS = (2, 20)


def predict(
    prompts: Annotated[
        Path,
        typer.Argument(
            metavar="PROMPTS.jsonl", help='Lines {"id": …, "prompt": …[, "output_tokens": …]}, the last one optional.'
        ),
    ],
    out: Annotated[Path, typer.Option(help="CSV file to write: id, predicted, lo90, hi90 [tokens].")],
    train: Annotated[
        bool, typer.Option("--train", help="Learn from the lines with output_tokens, not from the project's own set.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of folds and training.")] = 0,
    encoder: Annotated[
        str | None,
        typer.Option(help="Folder or name of a DistilBERT or BERT (default: MiniLM-L6 in DistilBERT's architecture)."),
    ] = None,
    folds: Annotated[int, typer.Option(help="Models trained, each without one part of the prompts.")] = 3,
) -> None:
    """Predict how long the answers will be, with bands that hold 90 % of them.

    Every line gets a row, in the order of the file. With --train, a line with output_tokens is predicted by a model
    that has not seen it, nor a prompt of the same text; lines without are predicted by the mean of all models. Without
    --train, the models have learned from the answers of SmolLM2-135M-Instruct in git, which end at 384 tokens: their
    order means more than their numbers. Trained models are cached.
    """
    from credence.bench.tables import check_target, write_csv
    from credence.ssjf.data.answers import folds as split
    from credence.ssjf.data.answers import measured_answers, read_prompts, set_folds

    if seed < 0:
        raise InputError(f"--seed is {seed}; allowed: an integer >= 0")
    if not FOLDS[0] <= folds <= FOLDS[1]:
        raise InputError(f"--folds is {folds}; allowed: {FOLDS[0]} to {FOLDS[1]}")
    check_target(out, prompts)
    asked = read_prompts(prompts)
    if train:
        learned = _answered(asked, folds)
        fold = split(learned.group, folds, seed, evenly=True)
    else:
        learned = measured_answers()
        fold = set_folds(learned, folds, seed)
    frame, label = predictions(asked, learned, fold, _proxy(learned, seed, encoder))
    write_csv(frame, out)
    typer.echo(f"learned from {len(learned):,} prompts ({learned.title}); {label}", err=True)
    typer.echo(f"wrote {len(frame)} rows to {out}")


def _answered(asked: "PromptSet", folds: int) -> "PromptSet":
    """Return the prompts with a known length, or say that there are too few of them."""
    import numpy as np

    from credence.ssjf.evaluate.bands import LEAST

    rows = np.flatnonzero(np.isfinite(asked.lengths[:, 0]))
    texts = len(set(asked.group[rows]))
    if texts < max(LEAST, folds):
        raise InputError(
            f"{asked.name}: {texts} different prompts with output_tokens; allowed with --train: at least "
            f"{max(LEAST, folds)}"
        )
    if np.ptp(asked.lengths[rows, 0]) == 0:
        raise InputError(
            f"{asked.name}: all output_tokens are {asked.lengths[rows[0], 0]:g}; allowed: some that differ"
        )
    return asked.take(rows)


def predictions(
    asked: "PromptSet",
    learned: "PromptSet",
    fold: "np.ndarray",
    fit: "Callable[[np.ndarray], Callable[[list[str]], np.ndarray]]",
) -> "tuple[pd.DataFrame, str]":
    """Predict the answer lengths of some prompts.

    Parameters
    ----------
    asked : PromptSet
        Prompts to predict.
    learned : PromptSet
        Prompts with lengths to learn from; those of `asked` among them are predicted out of fold.
    fold [learned]
        Fold of each of them; same texts in the same fold.
    fit : callable
        From rows of `learned` to a model: prompts (list of str) to log-lengths [prompts]. Its attribute ``label``,
        if it has one, says what it is.

    Returns
    -------
    frame : pandas.DataFrame [asked, 4]
        ``id``, ``predicted``, ``lo90``, ``hi90`` [tokens, one decimal].
    label : str
        What predicted.
    """
    import numpy as np
    import pandas as pd

    from credence.ssjf.evaluate import bands

    found = bands.cross_fit(fit, learned.prompts, fold)
    limit = float(learned.limit or np.inf)
    band = bands.fit_band(found.predicted, learned.lengths[:, 0], limit)
    place = {name: row for row, name in enumerate(learned.prompt_id)} if learned.name == asked.name else {}
    known = np.array([place.get(name, -1) for name in asked.prompt_id])
    predicted = np.empty(len(asked))
    predicted[known >= 0] = found.predicted[known[known >= 0]]
    new = np.flatnonzero(known < 0)
    if new.size:
        predicted[new] = found.predict([asked.prompts[row] for row in new])
    low, high = band.ends(predicted)
    middle = np.clip(np.exp(predicted), 1, limit)
    frame = pd.DataFrame({"id": asked.prompt_id, "predicted": middle, "lo90": low, "hi90": high})
    return frame.round({"predicted": 1, "lo90": 1, "hi90": 1}), getattr(fit, "label", "")


def _proxy(learned: "PromptSet", seed: int, encoder: str | None):
    """Return what fits the proxy to some of the prompts: `fit` of `predictions`."""
    import numpy as np

    from credence.ssjf.infer.proxy import fast_settings
    from credence.ssjf.infer.proxy import predict as predict_with
    from credence.ssjf.infer.proxy_cache import trained
    from credence.ssjf.model.encoder import load_encoder

    loaded = load_encoder(encoder)
    settings = fast_settings(seed=seed)

    def fit(rows):
        model = trained(learned.take(rows), settings, loaded)
        return lambda prompts: np.log(predict_with(model, prompts)["tokens"].to_numpy())

    fit.label = f"{loaded.label}, head {settings.head}"
    return fit
