"""Prompts with the lengths of the answers they got: what a length predictor learns from and is judged on.

Every source comes as a :class:`PromptSet`: texts, one row of sampled answer lengths each, which of them were cut off,
and the group that must not be torn apart by a split.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import catalogue
from credence.bench.errors import InputError
from credence.ssjf.data.requests import LARGEST_TOKEN_COUNT
from credence.ssjf.data.sources import CASTILLO_CAP, castillo

CASTILLO_MODEL = "mistralai--Mixtral-8x7B-Instruct-v0.1"
# The chat collections whose texts may be passed on (CASTILLO's third, ShareGPT, comes without them).
CASTILLO_CHAT = ("Alpaca", "DollyDataset")

_PIECE = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class PromptSet:
    """Prompts and the lengths of their sampled answers.

    Attributes
    ----------
    name, title : str
        Name in the catalogue (or path) and a title for headings.
    kind : str
        ``"measured"``, ``"third party"``, ``"simulated"``, or ``"own file"`` for a user's.
    prompt_id [prompts]
        Unique names.
    prompts [prompts]
        Texts.
    lengths [prompts, samples]
        Answer lengths [`unit`]; NaN where there is no such sample.
    censored [prompts, samples]
        True where the answer was cut off: it is at least as long as `lengths` says, and its true length is unknown.
    group [prompts]
        What a fold keeps together: the template family, or the prompt itself.
    limit
        Length at which answers were cut off [`unit`]; None for no such limit.
    unit : str
        What lengths count.
    """

    name: str
    title: str
    kind: str
    prompt_id: np.ndarray
    prompts: list[str]
    lengths: np.ndarray
    censored: np.ndarray
    group: np.ndarray
    limit: int | None = None
    unit: str = "tokens"

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows) -> PromptSet:
        """Return the set of some prompts only: `rows` are positions or a mask [prompts]."""
        rows = np.arange(len(self))[rows]
        return PromptSet(
            name=self.name,
            title=self.title,
            kind=self.kind,
            prompt_id=self.prompt_id[rows],
            prompts=[self.prompts[row] for row in rows],
            lengths=self.lengths[rows],
            censored=self.censored[rows],
            group=self.group[rows],
            limit=self.limit,
            unit=self.unit,
        )


def measured_answers() -> PromptSet:
    """Read the answers of SmolLM2-135M-Instruct measured by this project; a group is a template family.

    Answers were sampled in turns, so that later samples may be missing (NaN) for some prompts.
    """
    return _measured(catalogue.frame("ssjf-smollm2-lengths"))


def _measured(frame: pd.DataFrame) -> PromptSet:
    prompts = frame.drop_duplicates("prompt_id").sort_values("prompt_id")
    table = frame.pivot(index="prompt_id", columns="sample", values=["output_tokens", "censored"])
    table = table.loc[prompts["prompt_id"]]
    lengths = table["output_tokens"].sort_index(axis=1).to_numpy(dtype=np.float64, na_value=np.nan)
    flags = table["censored"].sort_index(axis=1).to_numpy(dtype=np.float64, na_value=0.0)
    limits = frame.loc[frame["censored"], "output_tokens"]
    return PromptSet(
        name="ssjf-smollm2-lengths",
        title="SmolLM2-135M-Instruct, prompts and answers of this project",
        kind="measured",
        prompt_id=_texts(prompts["prompt_id"]),
        prompts=prompts["prompt"].tolist(),
        lengths=lengths,
        censored=flags.astype(bool),
        group=_texts(prompts["family"]),
        limit=int(limits.max()) if len(limits) else None,
    )


def castillo_chat(model: str = CASTILLO_MODEL) -> PromptSet:
    """Read CASTILLO's chat prompts with the ten answer lengths of one model; a group is a prompt.

    Parameters
    ----------
    model
        One of the names in CASTILLO's column ``model``.

    Returns
    -------
    PromptSet
        Alpaca and Dolly prompts, for Mixtral 2,600. Answers at CASTILLO's cap of 15,001 tokens ran away: censored.

    Raises
    ------
    InputError
        For an unknown model, or a set that isn't to be had.
    """
    rows, samples = castillo(models=[model], datasets=CASTILLO_CHAT, drop_runaway=False)
    texts = catalogue.frame("castillo-prompts").set_index("prompt_id")["prompt"]
    there = rows["prompt_id"].isin(texts.index).to_numpy()
    rows, samples = rows[there], samples[there]
    prompt_id = _texts(rows["prompt_id"])
    return PromptSet(
        name="castillo-lengths",
        title=f"CASTILLO, {model.partition('--')[2]}, Alpaca and Dolly prompts",
        kind="third party",
        prompt_id=prompt_id,
        prompts=texts.loc[prompt_id].tolist(),
        lengths=samples.astype(np.float64),
        censored=samples >= CASTILLO_CAP,
        group=prompt_id,
        limit=CASTILLO_CAP,
    )


def castillo_models() -> list[str]:
    """Return the names of the models that answered CASTILLO's prompts, sorted."""
    return sorted(catalogue.frame("castillo-lengths")["model"].unique())


def castillo_all_models(prompt_id: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return what all of CASTILLO's models answered to some prompts: further targets to learn from.

    Whoever trains on these must leave out every model's answers to a test prompt.

    Parameters
    ----------
    prompt_id [prompts]
        CASTILLO's names of the prompts.

    Returns
    -------
    models : list of str
        Sorted.
    lengths : ndarray [prompts, models, 10]
        Answer lengths [tokens], CASTILLO_CAP for a runaway; NaN where a model was not asked.
    """
    rows, samples = castillo(datasets=CASTILLO_CHAT, drop_runaway=False)
    models = sorted(rows["model"].unique())
    place = pd.Index(prompt_id).get_indexer(rows["prompt_id"])
    lengths = np.full((len(prompt_id), len(models), samples.shape[1]), np.nan)
    column = pd.Index(models).get_indexer(rows["model"])
    lengths[place[place >= 0], column[place >= 0]] = samples[place >= 0]
    return models, lengths


def halueval() -> PromptSet:
    """Read HaluEval's user prompts with the length of ChatGPT's one answer; a group is a prompt.

    ChatGPT's tokenizer is not at hand, so the length counts words and punctuation marks (about 0.9 of its tokens).
    The origin kept short answers only: none is longer than 149 words.
    """
    frame = catalogue.frame("halueval-general")
    lengths = np.array([[float(len(_PIECE.findall(text)))] for text in frame["response"]])
    # two rows of the origin share the identifier "ID"
    repeated = frame["id"].duplicated(keep=False)
    names = frame["id"].where(~repeated, [f"row-{row}" for row in range(len(frame))])
    prompt_id = np.array([f"halueval-{name}" for name in names], dtype=object)
    return PromptSet(
        name="halueval-general",
        title="HaluEval, ChatGPT, user prompts",
        kind="third party",
        prompt_id=prompt_id,
        prompts=frame["prompt"].tolist(),
        lengths=lengths,
        censored=np.zeros(lengths.shape, dtype=bool),
        group=prompt_id,
        unit="words and punctuation marks",
    )


def read_prompts(path: str | Path) -> PromptSet:
    """Read a user's prompts from JSON lines ``{"id": …, "prompt": …[, "output_tokens": …]}``.

    Parameters
    ----------
    path
        UTF-8 text, one object per line; blank lines are skipped. ``id`` is a text or an integer, unique;
        ``output_tokens`` an integer from 1, or null or absent for a prompt not answered yet. Other names are ignored.

    Returns
    -------
    PromptSet
        One sample each (NaN where there is none); a group is all prompts of the same text, whatever its case and
        spacing, so that no prompt is learned from and judged on.

    Raises
    ------
    InputError
        Naming file, line, name, value and what is allowed.
    """
    path = Path(path)
    try:
        # not splitlines(): a text may hold line separators of Unicode, which JSON need not escape
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); allowed: JSON lines in UTF-8") from error
    seen: dict[str, int] = {}
    prompts, lengths = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{path}: line {number}"
        name, prompt, length = _record(line, place)
        if name in seen:
            raise InputError(f"{place}: id {name!r} is that of line {seen[name]}; allowed: every id once")
        seen[name] = number
        prompts.append(prompt)
        lengths.append([length])
    if not prompts:
        raise InputError(f'{path}: no prompts; allowed: at least one line {{"id": …, "prompt": …}}')
    first: dict[str, str] = {}
    group = [first.setdefault(_plain(prompt), name) for name, prompt in zip(seen, prompts, strict=True)]
    return PromptSet(
        name=path.name,
        title=path.name,
        kind="own file",
        prompt_id=np.array(list(seen), dtype=object),
        prompts=prompts,
        lengths=np.array(lengths),
        censored=np.zeros((len(prompts), 1), dtype=bool),
        group=np.array(group, dtype=object),
    )


def _record(line: str, place: str) -> tuple[str, str, float]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not JSON ({error}); allowed: one object per line") from error
    if not isinstance(record, dict):
        raise InputError(f'{place}: {_shown(record)} is no object; allowed: {{"id": …, "prompt": …}}')
    for name in ("id", "prompt"):
        if name not in record:
            raise InputError(f"{place}: {name!r} is missing; allowed: id and prompt, and optionally output_tokens")
    name, prompt, length = record["id"], record["prompt"], record.get("output_tokens")
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise InputError(f"{place}: id is {_shown(name)}; allowed: a text that isn't empty, or an integer")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError(f"{place}: prompt is {_shown(prompt)}; allowed: a text that isn't empty")
    if not prompt.isascii() and any("\ud800" <= letter <= "\udfff" for letter in prompt):
        raise InputError(f"{place}: prompt holds half a character (a lone surrogate); allowed: Unicode text")
    if length is None:
        return str(name), prompt, np.nan
    whole = isinstance(length, int | float) and not isinstance(length, bool) and length == length // 1
    if not whole or not 1 <= length <= LARGEST_TOKEN_COUNT:
        raise InputError(
            f"{place}: output_tokens is {_shown(length)}; allowed: an integer from 1 to {LARGEST_TOKEN_COUNT}, or null"
        )
    return str(name), prompt, float(length)


def folds(group: Sequence[str], folds: int = 5, seed: int = 0, evenly: bool = False) -> np.ndarray:
    """Put every row into one fold, rows of the same group into the same.

    Parameters
    ----------
    group [rows]
        Names; nothing else of a row counts.
    folds : int
        Number of folds, from 2.
    seed : int
        Another seed, another split.
    evenly : bool
        False: the hash of its name alone decides where a group goes, so that a prompt is in the same fold whatever
        other prompts there are (for every model of CASTILLO); sizes then vary as coin flips do. True: the groups
        present are dealt out in the order of their hashes, so that folds differ by one group at most: for a few
        large groups, such as families.

    Returns
    -------
    ndarray of int [rows]
        0 … folds - 1; the order of the rows does not matter.

    Raises
    ------
    InputError
        For fewer than two folds, or fewer groups than folds when dealt out.
    """
    if folds < 2:
        raise InputError(f"folds is {folds}; allowed: 2 or more")
    names, row = np.unique(np.asarray(group, dtype=str), return_inverse=True)
    hashes = [hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest() for name in names]
    if not evenly:
        return np.array([int.from_bytes(value, "big") % folds for value in hashes], dtype=np.int64)[row]
    if len(names) < folds:
        raise InputError(f"{len(names)} groups cannot fill {folds} folds; allowed: at least as many groups as folds")
    place = np.empty(len(names), dtype=np.int64)
    place[sorted(range(len(names)), key=hashes.__getitem__)] = np.arange(len(names)) % folds
    return place[row]


def set_folds(answers: PromptSet, count: int = 5, seed: int = 0) -> np.ndarray:
    """Return the folds [prompts] of a set: dealt evenly where groups are larger than a prompt, else by hash alone."""
    grouped = answers.kind == "measured"
    return folds(answers.group, count, seed, evenly=grouped)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _texts(column: pd.Series) -> np.ndarray:
    return column.astype(str).to_numpy(dtype=object)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
