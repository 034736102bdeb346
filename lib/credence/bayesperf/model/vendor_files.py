"""What vendors' files say: event codes, metrics and presets, as records of parsed files (:mod:`..data.vendor`).

Intel's perfmon JSON (BSD-3-Clause), the kernel's pmu-events JSON (GPL-2.0) and PAPI's preset table (BSD style). The
files are never in git; what is read from them are facts: names, codes, masks, coefficients.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from credence.bayesperf.model import expressions
from credence.bayesperf.model.expressions import Expression, Linear
from credence.bench.errors import InputError


@dataclass(frozen=True)
class EventCode:
    """How an event is programmed.

    Attributes
    ----------
    name : str
    group : tuple
        Unit, event code, counter mask, inverted, edge, any thread: events are comparable within a group only.
    unit : str
        Unit of the chip; empty for the core.
    code : str
    umask : int
        Bits that choose what of the event is counted.
    counter_mask : int
        0: occurrences are counted; k: cycles with at least k of them.
    inverted, edge, any_thread : bool
    fixed : bool
        Counted by a counter of its own; its code and umask are no masks then.
    """

    name: str
    unit: str
    code: str
    umask: int
    counter_mask: int
    inverted: bool
    edge: bool
    any_thread: bool
    fixed: bool

    @property
    def group(self) -> tuple:
        """What two events must share to be compared by their umasks."""
        return (self.unit, self.code, self.counter_mask, self.inverted, self.edge, self.any_thread)


@dataclass(frozen=True)
class Metric:
    """A metric: a named expression of events (aliases are resolved) and of other metrics.

    Attributes
    ----------
    name : str
    expression : Expression
    group : str
        The file's category.
    parent : str
        Metric above it in the tree; empty if there is none.
    level : int
        Depth in the tree from 1; 0 where the file says nothing.
    percent : bool
        A share, in percent or of 1.
    """

    name: str
    expression: Expression
    group: str
    parent: str
    level: int
    percent: bool


def _entries(document: Any, field: str, file: str) -> list[dict]:
    entries = document.get(field) if isinstance(document, dict) else document
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"vendor file {file}: no list of {field}; allowed: Intel's or the kernel's layout")
    return entries


def event_codes(document: Any, file: str) -> tuple[EventCode, ...]:
    """Read the events of a file, without deprecated ones, those with two codes, and those that need another register.

    Parameters
    ----------
    document : dict or list
        The file, parsed.
    file : str
        Its name, for messages.

    Raises
    ------
    InputError
        For a file that is no list of events, or a mask that is no number.
    """
    return tuple(
        _event(entry, file)
        for entry in _entries(document, "Events", file)
        if "EventName" in entry
        and entry.get("Deprecated", "0") != "1"
        and "," not in entry.get("EventCode", "")
        and not any(_is_set(entry, field) for field in ("MSRIndex", "Filter", "ExtSel", "PortMask", "FCMask"))
    )


def _event(entry: dict, file: str) -> EventCode:
    try:
        return EventCode(
            name=entry["EventName"],
            unit=entry.get("Unit", ""),
            code=entry.get("EventCode", "").lower(),
            umask=int(entry.get("UMask") or "0", 16),
            counter_mask=int(entry.get("CounterMask") or "0", 0),
            inverted=_is_set(entry, "Invert"),
            edge=_is_set(entry, "EdgeDetect"),
            any_thread=_is_set(entry, "AnyThread"),
            fixed="fixed" in entry.get("Counter", "").lower(),
        )
    except ValueError as error:
        raise InputError(
            f"vendor file {file}, event {entry['EventName']!r}: {error}; allowed: masks as numbers"
        ) from error


def _is_set(entry: dict, field: str) -> bool:
    return str(entry.get(field) or "0").strip().lower() not in ("0", "0x0", "0x00", "null", "na", "na,na", "")


def metrics(document: Any, file: str) -> tuple[Metric, ...]:
    """Read the metrics of a file, Intel's (``Formula`` over aliases) or the kernel's (``MetricExpr``).

    Parameters
    ----------
    document : dict or list
        The file, parsed.
    file : str
        Its name, for messages.

    Raises
    ------
    InputError
        For a file that is no list of metrics, or an expression that cannot be read, naming the metric.
    """
    found = []
    for entry in _entries(document, "Metrics", file):
        text = entry.get("Formula") or entry.get("MetricExpr")
        if text is None:
            continue
        name = entry.get("MetricName", "")
        try:
            expression = expressions.parse(text)
        except InputError as error:
            raise InputError(f"vendor file {file}, metric {name!r}: {error}") from None
        unit = f"{entry.get('UnitOfMeasure', '')} {entry.get('ScaleUnit', '')}"
        found.append(
            Metric(
                name=name,
                expression=expressions.substitute(expression, _aliases(entry)),
                group=entry.get("Category") or entry.get("MetricGroup") or "",
                parent=entry.get("ParentCategory") or "",
                level=int(entry.get("Level") or 0),
                percent="percent" in unit or "100%" in unit or name.endswith("_percent"),
            )
        )
    return tuple(found)


def _aliases(entry: dict) -> dict[str, Expression]:
    pairs = [*entry.get("Events", ()), *entry.get("Constants", ())]
    return {pair["Alias"]: _meaning(pair["Name"]) for pair in pairs}


def _meaning(name: str) -> Expression:
    try:
        return expressions.Number(Fraction(name))
    except ValueError:
        return expressions.Name(name)


def presets(lines: Iterable[str], cpus: Collection[str]) -> dict[str, Linear]:
    """Read PAPI's presets of a CPU as sums of native events; presets that are no such sum are left out.

    Parameters
    ----------
    lines : iterable of str
        Of ``papi_events.csv``.
    cpus : collection of str
        PAPI's names of the CPU (``skx``); a preset counts if the block that it stands in is for one of them. Of two
        definitions the later one counts, as in PAPI.

    Raises
    ------
    InputError
        If no block is for these names.
    """
    found: dict[str, Linear] = {}
    block: set[str] = set()
    inside = met = False
    for line in lines:
        fields = [field.strip() for field in line.split("#")[0].split(",") if field.strip()]
        if not fields:
            continue
        if fields[0] == "CPU":
            block = set() if inside else block
            inside = False
            block.add(fields[1])
            met = met or fields[1] in cpus
        elif fields[0] == "PRESET":
            inside = True
            form = _preset(fields[2], fields[3:]) if not block.isdisjoint(cpus) else None
            if form is not None:
                found[fields[1]] = form
    if not met:
        raise InputError(f"PAPI's presets: nothing for {', '.join(cpus)}; allowed: CPUs that it lists")
    return found


def _preset(kind: str, fields: list[str]) -> Linear | None:
    if kind == "NOT_DERIVED" and fields:
        return _one(fields[0])
    if kind in ("DERIVED_ADD", "DERIVED_SUB") and fields:
        total = _one(fields[0])
        for field in fields[1:]:
            total = total.plus(_one(field)) if kind == "DERIVED_ADD" else total.minus(_one(field))
        return total
    if kind == "DERIVED_POSTFIX" and len(fields) > 1:
        return _postfix(fields[0], [_one(field) for field in fields[1:]])
    return None


def _one(event: str) -> Linear:
    return Linear({event: Fraction(1)})


def _postfix(program: str, operands: list[Linear]) -> Linear | None:
    """Return a postfix program (``N0|N1|2|*|+|``) as a linear form; None if it is none."""
    stack: list[Linear] = []
    for word in program.strip("|").split("|"):
        if word.startswith("N") and word[1:].isdigit() and int(word[1:]) < len(operands):
            stack.append(operands[int(word[1:])])
        elif word in ("+", "-", "*") and len(stack) > 1:
            right, left = stack.pop(), stack.pop()
            if word == "*" and not (left.is_constant or right.is_constant):
                return None
            if word == "*":
                stack.append(left.times(right.constant) if right.is_constant else right.times(left.constant))
            else:
                stack.append(left.plus(right) if word == "+" else left.minus(right))
        elif word.replace(".", "", 1).isdigit():
            stack.append(Linear({}, Fraction(word)))
        else:
            return None
    return stack[0] if len(stack) == 1 else None
