"""Bring the file of a data set to this machine: from git, the mirror, the cache, or the set's own origin."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from credence.bench import paths
from credence.bench.catalogue_builds import READERS
from credence.bench.catalogue_content import content_hash
from credence.bench.catalogue_entries import Entry
from credence.bench.errors import InputError

# [s] to connect, and between two pieces of an answer; a machine without a network must fail soon.
TIMEOUT = (10, 60)


def cached_mirror_file(file: str) -> Path:
    """Return where a copy of one of the mirror's files is kept; it need not exist."""
    return paths.cache_dir() / "mirror" / file


def built_file(entry: Entry) -> Path:
    """Return where the set built from its origin is kept; the content hash in its name retires old builds."""
    return paths.cache_dir() / "built" / f"{entry.name}-{entry.sha256_content[:12]}.parquet"


def local_copies(entry: Entry) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Name every copy of a set that is on this machine, the one to use first in front.

    Yields
    ------
    (place, files)
        ``"git"``, ``"mirror"`` (a folder), ``"cache"`` (a copy of the mirror's files) or ``"built"`` (one file); a copy
        that lacks a file is none.
    """
    names = [file for file, _ in entry.files]
    if entry.in_git:
        candidates = [("git", [paths.data_dir() / file for file in names])]
    else:
        mirror = paths.mirror()
        candidates = [("mirror", [mirror / file for file in names])] if isinstance(mirror, Path) else []
        candidates += [("cache", [cached_mirror_file(file) for file in names]), ("built", [built_file(entry)])]
    for place, files in candidates:
        if all(path.is_file() for path in files):
            yield place, tuple(files)


def fetch(entry: Entry) -> tuple[str, tuple[Path, ...]]:
    """Return a checked copy of a set's files, downloading them if they aren't here.

    Returns
    -------
    (place, files)
        As in :func:`local_copies`. A ``"built"`` file is checked by its content only, when it is read.

    Raises
    ------
    InputError
        A wrong hash, or no way to get the set: one message with the set, its origin and ``CREDENCE_MIRROR``.
    """
    for place, files in local_copies(entry):
        if place != "built":
            check_files(entry, files, place)
        return place, files
    if entry.in_git:
        raise InputError(
            f"data set {entry.name!r}: data/{entry.files_text} is missing from this checkout or installation; "
            f"it comes with the project ({entry.origin_text})"
        )
    failures = []
    mirror = paths.mirror()
    if isinstance(mirror, str):
        try:
            return "cache", tuple(
                download(f"{mirror}/{file}", sha256, cached_mirror_file(file), entry) for file, sha256 in entry.files
            )
        except OSError as error:  # every network failure of requests, 404 included
            failures.append(f"the mirror did not deliver it ({_reason(error)})")
    elif mirror is not None:
        failures.append(f"the mirror folder has no {entry.files_text}")
    else:
        failures.append("CREDENCE_MIRROR is not set")
    if not entry.origin_files:
        reason = "the hash of its file is not known" if entry.build else "this is a reduced form of its files"
        failures.append(f"it can't be built from its origin ({reason})")
    else:
        try:
            return "built", (build_from_origin(entry),)
        except OSError as error:
            failures.append(f"its origin did not deliver it ({_reason(error)})")
    raise InputError(
        f"data set {entry.name!r} is not here: {'; '.join(failures)}. Origin: {entry.origin_text}. "
        f"Set CREDENCE_MIRROR to a folder or address that holds {entry.files_text}"
    )


def check_files(entry: Entry, files: Sequence[Path], place: str) -> None:
    """Refuse a file whose SHA-256 isn't the catalogue's."""
    for path, (file, sha256) in zip(files, entry.files, strict=True):
        found = file_hash(path)
        if found != sha256:
            hint = f" (delete {path} to fetch it again)" if place == "cache" else ""
            raise InputError(
                f"data set {entry.name!r}: the file {file} ({place}) is refused, its SHA-256 is {found}; "
                f"allowed: {sha256}{hint}"
            )


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file [64 hexadecimal digits]."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def download(url: str, sha256: str, target: Path, entry: Entry) -> Path:
    """Download one file with a known hash to `target`.

    Raises
    ------
    InputError
        If what came has another hash; it is not kept.
    OSError
        If nothing came (``requests.RequestException`` is one).
    """
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        fetched = pooch.retrieve(
            url=url,
            known_hash=f"sha256:{sha256}",
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT),
        )
    except ValueError as error:
        if isinstance(error, OSError):  # requests.JSONDecodeError and its kin are both
            raise
        raise InputError(
            f"data set {entry.name!r}: what {url} delivered is refused, its SHA-256 is not the catalogue's {sha256}"
        ) from error
    return Path(fetched)


def build_from_origin(entry: Entry) -> Path:
    """Download a set's origin files, build the set, check its content, and keep it as parquet in the cache.

    Raises
    ------
    InputError
        If an origin file has another hash, or the content built isn't the catalogue's.
    OSError
        If an origin file could not be had.
    """
    folder = paths.cache_dir() / "origin" / entry.name
    files = [
        download(url, sha256, folder / f"{number}-{url.rsplit('/', 1)[-1]}", entry)
        for number, (url, sha256) in enumerate(entry.origin_files)
    ]
    frame = build(entry, entry.build, files, "built from its origin")
    target = built_file(entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".partial", delete=False) as stream:
        partial = Path(stream.name)
    try:  # a reader of the cache must never meet half a file
        frame.to_parquet(partial, index=False)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def build(entry: Entry, builder: str, files: Sequence[Path], place: str) -> pd.DataFrame:
    """Read a set's files into its frame and refuse content that isn't the catalogue's."""
    try:
        frame = READERS[builder](files)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"data set {entry.name!r} ({place}): can't be read ({error})") from error
    problems = content_problems(entry, frame)
    if problems:
        raise InputError(f"data set {entry.name!r} ({place}) is refused: {'; '.join(problems)}")
    return frame


def content_problems(entry: Entry, frame: pd.DataFrame) -> list[str]:
    """Say in what a frame differs from its catalogue entry; an empty list when it is the same."""
    problems = []
    if list(frame.columns) != list(entry.columns):
        problems.append(f"its columns are {', '.join(map(str, frame.columns))}; allowed: {', '.join(entry.columns)}")
    if len(frame) != entry.rows:
        problems.append(f"it has {len(frame)} rows; allowed: {entry.rows}")
    found = content_hash(frame)
    if found != entry.sha256_content:
        problems.append(f"the SHA-256 of its content is {found}; allowed: {entry.sha256_content}")
    return problems


def _reason(error: OSError) -> str:
    response = getattr(error, "response", None)
    return f"HTTP {response.status_code}" if response is not None else type(error).__name__
