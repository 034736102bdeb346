"""The data catalogue: what every data set is, where it comes from, and its checked content.

``data/catalogue.toml`` describes each set. Sets measured or simulated by this project are in git below ``data/``.
Third-party sets never are: they come from the folder or address that ``CREDENCE_MIRROR`` names, else from the cache
(``CREDENCE_CACHE``), else they are built from their origin where the origin's hash is known. However a set comes, the
hash over its column names and values (:func:`content_hash`) must be the catalogue's.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from credence.bench import catalogue_fetch, paths, seeds
from credence.bench.catalogue_content import content_hash
from credence.bench.catalogue_entries import Entry, read_entries
from credence.bench.errors import InputError, choose

if TYPE_CHECKING:
    import datasets

__all__ = [
    "Entry",
    "Verification",
    "available",
    "content_hash",
    "entry",
    "frame",
    "get",
    "load",
    "names",
    "regenerate",
    "used",
    "verify",
]

# What this process has read: a run's record lists it.
used: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class Verification:
    """What a check of one data set found.

    Attributes
    ----------
    name
        The set.
    places
        The copies that were checked: git, mirror, cache, built, made anew.
    problems
        What is wrong, one text each.
    """

    name: str
    places: tuple[str, ...]
    problems: tuple[str, ...] = field(default=())

    @property
    def status(self) -> str:
        """``"ok"``, ``"wrong"``, or ``"not here"`` when there is nothing to check."""
        if self.problems:
            return "wrong"
        return "ok" if self.places else "not here"


def names(paper: str | None = None) -> list[str]:
    """Return the names of all data sets, or of those of one paper, in the order of the catalogue."""
    return [name for name, item in read_entries().items() if paper in (None, item.paper)]


def entry(name: str) -> Entry:
    """Return the catalogue's entry of a set; an unknown name is an InputError listing the known ones."""
    return read_entries()[choose(name, names(), "data set")]


def available(name: str) -> bool:
    """Whether a set can be read with no network: it is in git, in a local mirror folder, or in the cache."""
    return any(True for _ in catalogue_fetch.local_copies(entry(name)))


def get(name: str) -> Path:
    """Return a checked file of a set (the folder of its files if it has several), downloading or building it if needed.

    Raises
    ------
    InputError
        A wrong hash, or no way to get the set: one message naming the set, its origin and ``CREDENCE_MIRROR``.
    """
    place, files = catalogue_fetch.fetch(entry(name))
    if place == "built":
        _read(entry(name), place, files)
    return files[0] if len(files) == 1 else files[0].parent


def frame(name: str) -> pd.DataFrame:
    """Return a set as a frame whose content has the catalogue's hash, and note in :data:`used` that it was read.

    Returns
    -------
    pandas.DataFrame [rows, columns]
        Columns and units as in ``entry(name).columns``.

    Raises
    ------
    InputError
        As :func:`get`, or if the content is not the catalogue's.
    """
    item = entry(name)
    result = _read(item, *catalogue_fetch.fetch(item))
    used[name] = {
        "name": item.name,
        "title": item.title,
        "kind": item.kind,
        "sha256": item.sha256_content,
        "rows": item.rows,
        "licence": item.licence,
        "note": item.note,
    }
    return result


def load(name: str) -> datasets.Dataset:
    """Return a set as a Hugging Face ``datasets.Dataset`` (same rows, columns and checks as :func:`frame`)."""
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"data set {name!r}: load() needs the package 'datasets', which is not installed; "
            "frame() gives the same rows without it"
        ) from error
    item = entry(name)
    info = datasets.DatasetInfo(description=item.title, citation=item.citation, license=item.licence)
    return datasets.Dataset.from_pandas(frame(name), info=info, preserve_index=False)


def regenerate(name: str) -> pd.DataFrame:
    """Make a simulated set anew: its generator, called with the random generator that belongs to its seed and name.

    Raises
    ------
    InputError
        If the set is not simulated, or its generator doesn't exist.
    """
    item = entry(name)
    if item.kind != "simulated":
        raise InputError(f"data set {name!r} is {item.kind}; allowed: a simulated one, only those can be made anew")
    module, function = item.generator.split(":")
    try:  # by name, as papers are: the bench imports none of them
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"data set {name!r}: no generator {item.generator!r} ({error})") from error
    return make(seeds.generator(item.seed, name))


def verify(name: str, anew: bool = False) -> Verification:
    """Check every copy of a set on this machine: file hash, columns, rows and content hash. No network is used.

    Parameters
    ----------
    name
        The set.
    anew
        Also make a simulated set anew; that must give the same content.

    Returns
    -------
    Verification
        Problems are collected, not raised.
    """
    item = entry(name)
    places, problems = [], []
    for place, files in catalogue_fetch.local_copies(item):
        places.append(place)
        try:
            if place != "built":
                catalogue_fetch.check_files(item, files, place)
            _read(item, place, files)
        except InputError as error:
            problems.append(str(error))
    if item.in_git and not places:
        problems.append(f"data set {name!r}: {paths.shown(paths.data_dir() / item.files_text)} is missing")
    if anew and item.kind == "simulated":
        places.append("made anew")
        try:
            problems += [f"made anew: {text}" for text in catalogue_fetch.content_problems(item, regenerate(name))]
        except InputError as error:
            problems.append(str(error))
    return Verification(name, tuple(places), tuple(problems))


def _read(item: Entry, place: str, files: tuple[Path, ...]) -> pd.DataFrame:
    reader = "parquet" if place == "built" else item.reader
    return catalogue_fetch.build(item, reader, files, place)
