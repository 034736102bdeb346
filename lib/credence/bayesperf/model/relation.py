"""One linear relation between events, and how it is read.

A relation says ``sum(coefficient · count) = constant`` or ``<= constant`` of the counts of the same stretch of
time. They are the factors of the paper's graph (section 3), and the one thing that joins events that are never counted
together.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from credence.bench.errors import InputError, choose

KINDS = ("eq", "le")


@dataclass(frozen=True)
class Relation:
    """One linear relation.

    Attributes
    ----------
    name : str
        What reports call it.
    kind : str
        ``"eq"``: the sum equals the constant; ``"le"``: it is at most the constant.
    coefficients : dict of str to float
        Of each event; none is 0.
    constant : float
        Right-hand side [events].
    source : str
        Where it comes from, so that a reader can look it up.
    """

    name: str
    kind: str
    coefficients: Mapping[str, float]
    constant: float = 0.0
    source: str = ""

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(f"relation {self.name!r}: kind is {self.kind!r}; allowed: eq, le")
        if not self.coefficients or not all(np.isfinite(c) and c != 0 for c in self.coefficients.values()):
            raise InputError(
                f"relation {self.name!r}: coefficients {dict(self.coefficients)}; "
                "allowed: one event or more that do not cancel, with finite factors"
            )
        if not np.isfinite(self.constant):
            raise InputError(f"relation {self.name!r}: constant is {self.constant}; allowed: a finite number")

    @property
    def events(self) -> tuple[str, ...]:
        """Events that it relates, in the order of the expression."""
        return tuple(self.coefficients)

    @property
    def expression(self) -> str:
        """The relation as text that :func:`parse_relation` reads back: positive terms on the left."""
        left = [(event, c) for event, c in self.coefficients.items() if c > 0]
        right = [(event, -c) for event, c in self.coefficients.items() if c < 0]
        sides = [_side(left, -self.constant if self.constant < 0 else 0.0), _side(right, max(self.constant, 0.0))]
        if not left and self.kind == "eq":
            sides.reverse()
        return f"{sides[0]} {'=' if self.kind == 'eq' else '<='} {sides[1]}"

    def residual(self, counts: np.ndarray, events: Sequence[str]) -> np.ndarray:
        """Return left side minus right side [...] for counts [..., events]; 0 where an identity holds exactly."""
        columns = [list(events).index(event) for event in self.coefficients]
        return np.asarray(counts)[..., columns] @ np.array(list(self.coefficients.values())) - self.constant


def parse_relation(expression: str, name: str = "", source: str = "", events: Collection[str] = ()) -> Relation:
    """Read a relation such as ``A = B + 2*C`` or ``A <= B - 3``.

    Parameters
    ----------
    expression : str
        Two linear expressions of events with ``=``, ``<=`` or ``>=`` between them. A name with characters other than
        letters, digits and ``_ . : @`` stands in single quotes (``'page-faults'``) or is one of `events`.
    name : str
        Name of the relation; the expression itself when empty.
    source : str
        Where it comes from.
    events : collection of str
        Names that need no quotes whatever they contain.

    Raises
    ------
    InputError
        For text that is no relation, or not linear in the events.
    """
    from credence.bayesperf.model import expressions  # the parser is needed only where text is read

    try:
        kind, left, right = expressions.parse_sides(expression, events)
        form = expressions.linear(left).minus(expressions.linear(right))
        if kind == ">=":
            form = form.times(Fraction(-1))
        coefficients = {event: float(c) for event, c in form.coefficients.items() if c}
        found = "eq" if kind == "=" else "le"
        return Relation(name or expression, found, coefficients, float(-form.constant), source)
    except InputError as error:
        if not name or name == expression:
            raise
        raise InputError(f"relation {name!r}: {error}") from None


def read_relations(path: Path, events: Collection[str] = ()) -> tuple[Relation, ...]:
    """Read a table of relations: TOML, ``[[relation]]`` with name, kind, expression, source.

    Parameters
    ----------
    path : Path
    events : collection of str
        As of :func:`parse_relation`: the events of a log, for example.

    Raises
    ------
    InputError
        For a file that cannot be read, an entry with a missing, unknown or wrong field, or a name that is there twice.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"relations {path.name}: {reason}; allowed: a TOML file with [[relation]]") from error
    entries = document.get("relation")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(
            f"relations {path.name}: no [[relation]]; allowed: entries with name, kind, expression, source"
        )
    found, names = [], set()
    for number, entry in enumerate(entries, 1):
        where = f"relations {path.name}, [[relation]] {number}"
        found.append(_entry(entry, where, events))
        if found[-1].name in names:
            raise InputError(f"{where}: name {found[-1].name!r} is there twice; allowed: one relation a name")
        names.add(found[-1].name)
    return tuple(found)


def _entry(entry: dict, where: str, events: Collection[str]) -> Relation:
    allowed = ("name", "kind", "expression", "source")
    for field, value in entry.items():
        choose(field, allowed, f"field in {where}")
        if not isinstance(value, str):
            raise InputError(f"{where}: {field} is {value!r}; allowed: text in quotes")
    for field in ("kind", "expression"):
        if field not in entry:
            raise InputError(f"{where}: no {field}; allowed: name, kind, expression, source")
    kind = choose(entry["kind"], KINDS, f"kind in {where}")
    name = entry.get("name", entry["expression"])
    try:
        relation = parse_relation(entry["expression"], name, entry.get("source", ""), events)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if relation.kind != kind:
        raise InputError(f"{where}: kind is {kind!r}, but expression is {entry['expression']!r}; allowed: eq with =")
    return relation


def _side(terms: list[tuple[str, float]], constant: float) -> str:
    from credence.bayesperf.model.expressions import quoted

    texts = [quoted(event) if c == 1 else f"{_number(c)}*{quoted(event)}" for event, c in terms]
    if constant or not texts:
        texts.append(_number(constant))
    return " + ".join(texts)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def relations_text(relations, heading: str = "") -> str:
    """Return relations as the TOML that :func:`read_relations` reads, after `heading` as comment lines."""
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for relation in relations:
        lines += ["", "[[relation]]"]
        fields = {"name": relation.name, "kind": relation.kind, "expression": relation.expression}
        if relation.source:
            fields["source"] = relation.source
        lines += [f"{field} = {json.dumps(value, ensure_ascii=False)}" for field, value in fields.items()]
    return "\n".join(lines).lstrip("\n") + "\n"
