r"""Log-set difference (paper §V-B): delta = L_failed \ union of L_i over healthy peers, over lines that a rule marks.

Rules are regular expressions in a table ``name``, ``regex``, ``category`` separated by tabs; those of the project are
``data/kaleidoscope/log-rules.tsv``. A line counts by its template: numbers, addresses and hexadecimal words are times,
sectors and process ids, and would set every line apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from credence.bench import paths
from credence.bench.errors import InputError

NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8,}\b|\d+")
COLUMNS = ("name", "regex", "category")


@dataclass(frozen=True)
class Rule:
    """A kind of line that speaks of a failure.

    Attributes
    ----------
    name, category : str
    pattern : re.Pattern
        Searched for in a line, whatever its case.
    """

    name: str
    category: str
    pattern: re.Pattern


@dataclass(frozen=True)
class LogDifference:
    """What a failed component's log has and no healthy peer's.

    Attributes
    ----------
    lines : tuple of (Rule, str)
        Rule and first line of each template, in the order of the log.
    shared : int
        Marked templates that a healthy peer has too.
    """

    lines: tuple[tuple[Rule, str], ...]
    shared: int


def read_rules(path: str | Path | None = None) -> tuple[Rule, ...]:
    """Read rules: the project's, or a table of one's own.

    Parameters
    ----------
    path : path, optional
        Text with the columns ``name``, ``regex``, ``category``, separated by tabs, and a header.

    Raises
    ------
    InputError
        Naming line, column and what is allowed.
    """
    return _own_rules() if path is None else _read(Path(path), str(path))


@cache
def _own_rules() -> tuple[Rule, ...]:
    return _read(paths.data_dir() / "kaleidoscope" / "log-rules.tsv", "log-rules.tsv")


def _read(path: Path, name: str) -> tuple[Rule, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: {error}; allowed: a text file of rules") from None
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        raise InputError(f"{name}, line 1: {lines[:1]}; allowed: the header {' <tab> '.join(COLUMNS)}")
    rules = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != len(COLUMNS):
            raise InputError(f"{name}, line {number}: {len(cells)} columns; allowed: {len(COLUMNS)}, separated by tabs")
        rules.append(rule(*cells, where=f"{name}, line {number}, column 'regex'"))
    if not rules:
        raise InputError(f"{name}: no rule; allowed: at least one below the header")
    return tuple(rules)


def rule(name: str, regex: str, category: str, where: str = "rule") -> Rule:
    """Return a rule; a regular expression that is none is an InputError, said to be at `where`."""
    try:
        return Rule(name, category, re.compile(regex, re.IGNORECASE))
    except re.error as error:
        raise InputError(f"{where}: {regex!r}: {error}; allowed: a regular expression") from None


def template(line: str) -> str:
    """Return a line with its numbers left out."""
    return NUMBERS.sub("#", line)


def marked(lines: Iterable[str], rules: Sequence[Rule]) -> dict[str, tuple[Rule, str]]:
    """Return the first rule that marks each template, with the first such line; unmarked lines are left out."""
    found: dict[str, tuple[Rule, str]] = {}
    for line in lines:
        shape = template(line)
        if shape not in found:
            hit = next((each for each in rules if each.pattern.search(line)), None)
            if hit is not None:
                found[shape] = (hit, line)
    return found


def difference(
    failed: Iterable[str], peers: Iterable[Iterable[str]], rules: Sequence[Rule] | None = None
) -> LogDifference:
    """Return what the log of a failed component has that no healthy peer's has.

    Parameters
    ----------
    failed : iterable of str
        Its lines.
    peers : iterable of iterables of str
        Lines of each healthy peer.
    rules : sequence of Rule, optional
    """
    rules = read_rules() if rules is None else rules
    own = marked(failed, rules)
    others = set().union(*(marked(lines, rules) for lines in peers))
    return LogDifference(tuple(hit for shape, hit in own.items() if shape not in others), len(own.keys() & others))
