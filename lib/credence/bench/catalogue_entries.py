"""The catalogue file: one checked entry for every data set the project knows."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from credence.bench import catalogue_builds, paths
from credence.bench.catalogue_content import content_hash
from credence.bench.errors import InputError
from credence.bench.papers import PAPERS
from credence.bench.record import write_atomic

# As written in the file -> as shown to readers.
KINDS = {"measured-here": "measured", "third-party": "third party", "simulated": "simulated"}

REQUIRED = {
    "name": str,
    "title": str,
    "paper": str,
    "kind": str,
    "licence": str,
    "citation": str,
    "bytes": int,
    "rows": int,
    "columns": dict,
    "file": (str, list),
    "reader": str,
    "sha256_mirror": (str, list),
    "sha256_content": str,
}
OPTIONAL = {"origin": dict, "build": str, "sha256_origin": (str, list), "generator": str, "seed": int, "note": str}
REQUIRED_BY_KIND = {"third-party": ("origin",), "simulated": ("generator", "seed"), "measured-here": ("generator",)}
ORIGIN_FIELDS = ("repository", "path", "commit", "url")


@dataclass(frozen=True)
class Entry:
    """One data set of the catalogue.

    Attributes
    ----------
    name, title, paper
        Identifier, one line for readers, and the paper package that uses it.
    kind
        ``"measured"`` (by this project, in git), ``"third party"`` (never in git) or ``"simulated"`` (in git).
    licence, citation, note
        Terms, whom to name, and what a reader must know: limits, what was changed, why an origin can't be used.
    bytes, rows, columns
        Size of ``file`` or of all of them [bytes], number of rows, and for every column its meaning with the unit in
        brackets.
    file, reader
        The file below the mirror (third party; several files of one folder are a tuple) or below ``data/``, and the
        function that reads it.
    origin, build
        ``repository``, ``path``, ``commit``, ``url`` (path and url are lists when there are several files), and the
        function that builds the set from those files; no ``build`` means the origin can't be used directly.
    sha256_mirror, sha256_origin, sha256_content
        Hash of (each) ``file``; of each origin file (empty: the set can't be built from its origin); of the content.
    generator, seed
        ``module:function`` and its seed (simulated), or the command that measured it.
    """

    name: str
    title: str
    paper: str
    kind: str
    licence: str
    citation: str
    bytes: int
    rows: int
    columns: dict[str, str]
    file: str | tuple[str, ...]
    reader: str
    sha256_mirror: str | tuple[str, ...]
    sha256_content: str
    origin: dict[str, Any] = field(default_factory=dict)
    build: str = ""
    sha256_origin: str | tuple[str, ...] = ""
    generator: str = ""
    seed: int | None = None
    note: str = ""

    @property
    def in_git(self) -> bool:
        """Whether the file is part of the project."""
        return self.kind != "third party"

    @property
    def files(self) -> list[tuple[str, str]]:
        """Path below the mirror or below ``data/``, and SHA-256, of every file of the set."""
        return list(zip(_listed(self.file), _listed(self.sha256_mirror), strict=True))

    @property
    def files_text(self) -> str:
        """The set's files in words for a message."""
        names = _listed(self.file)
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"

    @property
    def origin_files(self) -> list[tuple[str, str]]:
        """Address and SHA-256 of every origin file; empty when the set can't be built from its origin."""
        hashes = (self.sha256_origin,) if isinstance(self.sha256_origin, str) else self.sha256_origin
        if not self.build or not hashes or not all(hashes):
            return []
        return list(zip(_listed(self.origin["url"]), hashes, strict=True))

    @property
    def origin_text(self) -> str:
        """Where the set comes from, in words for a message."""
        if not self.origin:
            return f"generator {self.generator}" + (f", seed {self.seed}" if self.seed is not None else "")
        where = ", ".join(_listed(self.origin["path"]))
        return f"{self.origin['repository']}:{where} at commit {self.origin['commit']}"


def read_entries() -> dict[str, Entry]:
    """Read and check ``data/catalogue.toml``.

    Returns
    -------
    dict
        Entry by name, in the order of the file.

    Raises
    ------
    InputError
        Naming the entry and the field that is wrong, and what is allowed.
    """
    path = paths.data_dir() / "catalogue.toml"
    if not path.is_file():
        raise InputError("data/catalogue.toml: no such file; allowed: the catalogue of a Credence checkout")
    return _read_entries(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _read_entries(path: Path, _modified: int) -> dict[str, Entry]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"data/catalogue.toml: not TOML ({error})") from error
    rows = document.get("dataset", [])
    if not isinstance(rows, list) or set(document) - {"dataset"}:
        raise InputError("data/catalogue.toml: allowed at the top level: [[dataset]] tables only")
    entries: dict[str, Entry] = {}
    for number, row in enumerate(rows):
        entry = _checked(row, number, path.parent)
        if entry.name in entries:
            raise InputError(f"data/catalogue.toml: entry {entry.name!r}, field 'name': appears twice; allowed: once")
        entries[entry.name] = entry
    return entries


def _checked(row: Mapping[str, Any], number: int, data: Path) -> Entry:
    label = repr(row.get("name", f"number {number}"))

    def refuse(name: str, problem: str) -> InputError:
        return InputError(f"data/catalogue.toml: entry {label}, field {name!r}: {problem}")

    types = REQUIRED | OPTIONAL
    for name, value in row.items():
        if name not in types:
            raise refuse(name, f"unknown; allowed: {', '.join(types)}")
        if not isinstance(value, types[name]) or isinstance(value, bool):
            raise refuse(name, f"{value!r} is of the wrong type")
    kind = row.get("kind", "")
    if "kind" in row and kind not in KINDS:
        raise refuse("kind", f"{kind!r}; allowed: {', '.join(KINDS)}")
    for name in (*REQUIRED, *REQUIRED_BY_KIND.get(kind, ())):
        if name not in row or row[name] in ("", {}):
            raise refuse(name, "missing or empty")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", row["name"]):
        raise refuse("name", "allowed: small letters, digits and hyphens")
    if row["paper"] not in PAPERS:
        raise refuse("paper", f"{row['paper']!r}; allowed: {', '.join(PAPERS)}")
    for name in ("bytes", "rows"):
        if row[name] <= 0:
            raise refuse(name, f"{row[name]}; allowed: a positive integer")
    for name in ("reader", "build"):
        if row.get(name) and row[name] not in catalogue_builds.READERS:
            raise refuse(name, f"{row[name]!r}; allowed: {', '.join(catalogue_builds.READERS)}")
    for column, meaning in row["columns"].items():
        if not (isinstance(meaning, str) and re.search(r"\[.+\]$", meaning)):
            raise refuse("columns", f"{column!r} needs a description ending in its unit in brackets")
    files = _listed(row["file"])
    for text in files:
        file = PurePosixPath(str(text))
        if not isinstance(text, str) or file.is_absolute() or ".." in file.parts or "\\" in text:
            raise refuse("file", f"{text!r}; allowed: a path below the mirror or below data/")
        if file.parent != PurePosixPath(files[0]).parent or (len(files) > 1 and kind != "third-party"):
            raise refuse("file", f"{text!r}; allowed: one file, or (third party) several of one folder")
    if len(files) != len(_listed(row["sha256_mirror"])) or not files:
        raise refuse("sha256_mirror", f"{len(_listed(row['sha256_mirror']))} hashes for {len(files)} files")
    hashes = row.get("sha256_origin", "")
    for name, values in (
        ("sha256_mirror", _listed(row["sha256_mirror"])),
        ("sha256_content", [row["sha256_content"]]),
        ("sha256_origin", _listed(hashes)),
    ):
        for value in values:
            if not re.fullmatch(r"[0-9a-f]{64}", str(value)) and (name != "sha256_origin" or value != ""):
                raise refuse(name, f"{value!r}; allowed: 64 hexadecimal digits")
    if kind == "third-party":
        _check_origin(row, refuse, data)
    if kind == "simulated" and not re.fullmatch(r"credence(\.\w+)+:\w+", row["generator"]):
        raise refuse("generator", f"{row['generator']!r}; allowed: credence.module:function")
    fields = dict(row) | {"kind": KINDS[kind]}
    for name in ("file", "sha256_mirror", "sha256_origin"):
        if isinstance(fields.get(name), list):
            fields[name] = tuple(fields[name])
    return Entry(**fields)


def _check_origin(row: Mapping[str, Any], refuse, data: Path) -> None:
    origin = row["origin"]
    for name in ORIGIN_FIELDS:
        if not origin.get(name) and not (name == "url" and not row.get("build")):
            raise refuse(f"origin.{name}", "missing or empty")
    for name in origin:
        if name not in ORIGIN_FIELDS:
            raise refuse(f"origin.{name}", f"unknown; allowed: {', '.join(ORIGIN_FIELDS)}")
    hashes, urls = _listed(row.get("sha256_origin", "")), _listed(origin.get("url", ""))
    if any(hashes) and not row.get("build"):
        raise refuse("build", "missing; allowed with sha256_origin: the function that builds the set")
    if any(hashes) and len(hashes) != len(urls):
        raise refuse("sha256_origin", f"{len(hashes)} hashes for {len(urls)} addresses")
    for url in urls:
        if url and not re.match(r"https?://", url):
            raise refuse("origin.url", f"{url!r}; allowed: an address with http or https")
    for file in _listed(row["file"]):
        if (data / file).exists():
            raise refuse("file", f"data/{file} lies in the project; third-party files are never in git")


def _listed(value: str | list[str] | tuple[str, ...]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


# Fields of an entry as they are written, and what sets that this project made or measured have in common.
ORDER = (*list(REQUIRED)[:6], "file", "reader", "bytes", "rows", "sha256_mirror", "sha256_content", *OPTIONAL)
OWN = {"licence": "BSD-3-Clause", "citation": "the Credence developers", "reader": "parquet"}


def facts(path: Path) -> dict[str, Any]:
    """Return what an entry says about a parquet file: ``bytes``, ``rows``, ``sha256_mirror``, ``sha256_content``."""
    raw, frame = Path(path).read_bytes(), pd.read_parquet(path)
    return {
        "bytes": len(raw),
        "rows": len(frame),
        "sha256_mirror": hashlib.sha256(raw).hexdigest(),
        "sha256_content": content_hash(frame),
    }


def entry_text(fields: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """Return an entry as TOML.

    Parameters
    ----------
    fields
        All but the columns: texts and integers.
    columns
        Meaning of every column, its unit in brackets.
    """
    lines = ["[[dataset]]", *(f"{name} = {_toml(fields[name])}" for name in ORDER if name in fields)]
    lines.append("[dataset.columns]")
    for name, meaning in columns.items():
        bare = re.fullmatch(r"[A-Za-z0-9_-]+", name)
        lines.append(f"{name if bare else _toml(name)} = {_toml(meaning)}")
    return "\n".join(lines) + "\n"


def entered(text: str, entry: str) -> str:
    """Return the catalogue's `text` with `entry` in place of the older one of that name, else at its end."""
    name = tomllib.loads(entry)["dataset"][0]["name"]
    parts = re.split(r"(?m)^(?=\[\[dataset\]\])", text)
    places = [n for n, part in enumerate(parts) if re.search(rf'(?m)\A\[\[dataset\]\]\nname = "{name}"$', part)]
    if places:
        parts[places[0]] = entry
    else:
        parts.append(entry)
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def enter(path: Path, fields: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """Enter a parquet file below ``data/`` into the catalogue of the checkout; return the entry.

    Parameters
    ----------
    path : Path
        The file, already written. Its size, rows and hashes are taken from it.
    fields
        ``name``, ``title``, ``paper``, ``kind``, ``generator`` and whatever else is to be said; `OWN` where not given.
    columns
        Meaning of every column, its unit in brackets; columns that the file lacks are left out.

    Raises
    ------
    InputError
        For a column without a meaning; names it.
    """
    place = paths.data_dir() / "catalogue.toml"
    present = pd.read_parquet(path).columns
    if nameless := [name for name in present if name not in columns]:
        raise InputError(f"{Path(path).name}: column {nameless[0]!r} has no meaning; allowed: {', '.join(columns)}")
    file = Path(path).resolve().relative_to(paths.data_dir().resolve()).as_posix()
    text = entry_text(OWN | dict(fields) | {"file": file} | facts(path), {name: columns[name] for name in present})
    write_atomic(place, entered(place.read_text(encoding="utf-8"), text))
    return text


def _toml(value: str | int) -> str:
    """Return a text or integer as TOML; JSON writes texts the same way, but for the character 0x7f."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
