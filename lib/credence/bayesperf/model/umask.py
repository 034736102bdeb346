"""Relations that follow from how events are programmed: the algebra of unit masks and counter masks.

Within one event code the bits of the mask choose what is counted. If the bits name separate things, an event whose
bits are the disjoint union of others' bits counts their sum, and one with fewer bits counts no more. A counter mask of
k counts cycles with at least k occurrences, so a larger one counts no more.

Three cases are none of this and are guarded. Fixed counters have a number where others have a mask: read as one,
REF_TSC would be INST + THREAD. Some masks have two dimensions, what is asked for and how it ends (:data:`OUTCOMES`).
And cycles (:func:`_counts_cycles`) with two things going on at once are counted once, so that they do not add up.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from credence.bayesperf.model.relation import Relation
from credence.bayesperf.model.vendor_files import EventCode

# Masks with two dimensions, by the first part of the event's name: which bits say how the request ended (L2: 0x20
# miss, 0xC0 hit; branches: 0x40 not taken, 0x80 taken) or which quality is asked for (0x10 STLB miss .. 0x80 any),
# while the other bits name the requests.
OUTCOMES = {
    "L2_RQSTS": 0xE0,
    "BR_INST_EXEC": 0xC0,
    "BR_MISP_EXEC": 0xC0,
    "MEM_INST_RETIRED": 0xF0,
    "MEM_UOPS_RETIRED": 0xF0,
}
# Of those, the bit that stands for all qualities, so that it holds every other one.
ANY_OUTCOME = {"MEM_INST_RETIRED": 0x80, "MEM_UOPS_RETIRED": 0x80}
# Codes whose counter mask repeats the mask: cycles in which all the named conditions hold, so more bits count less.
CONJUNCTIONS = ("CYCLE_ACTIVITY",)
# A union of more parts than this is no longer looked for.
MOST_PARTS = 10


def umask_relations(events: Iterable[EventCode], source: str) -> tuple[Relation, ...]:
    """Return the identities and inequalities that the events' masks imply.

    Parameters
    ----------
    events : iterable of EventCode
    source : str
        The file; each relation's source adds code and masks.

    Returns
    -------
    tuple of Relation
        Aliases, sums, then orders. Sums of sums are left out: each event is split into as few parts as possible.
    """
    events = tuple(events)
    fixed_codes = {event.code for event in events if event.fixed and int(event.code or "0", 16) == 0}
    groups: dict[tuple, dict[int, list[EventCode]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        if not event.fixed and event.code and event.code not in fixed_codes:
            groups[event.group][event.umask].append(event)
    found: list[Relation] = []
    for group in groups.values():
        found += _aliases(group, source)
        firsts = {mask: members[0] for mask, members in group.items()}
        sums = list(_sums(firsts, source))
        said = {(part, relation.events[0]) for relation in sums for part in relation.events[1:]}
        found += sums
        found += [order for order in _orders(firsts, source) if order.events not in said]  # a part of a sum: said
    found += _masked(groups, source)
    return tuple(found)


def _aliases(group: dict[int, list[EventCode]], source: str) -> Iterator[Relation]:
    for members in group.values():
        for other in members[1:]:
            numbers = [set(re.findall(r"[0-9]+", event.name)) for event in (members[0], other)]
            # 4_FLOPS and 8_FLOPS with one mask: a slip in the file, not one event
            if other.name != members[0].name and not (all(numbers) and numbers[0] != numbers[1]):
                yield _equal(members[0], [other], source, "two names of one event")


def _family(event: EventCode) -> str:
    return event.name.split(".")[0]


def _sums(group: dict[int, EventCode], source: str) -> Iterator[Relation]:
    """Yield ``whole = part + part + …`` for disjoint covers with the fewest parts."""
    for mask, whole in group.items():
        if mask == 0 or _counts_cycles(whole):
            continue
        outcome = OUTCOMES.get(_family(whole), 0)
        parts = [m for m in group if m and m != mask and m & ~mask == 0 and not _counts_cycles(group[m])]
        cover = _cover_two(mask, parts, outcome) if outcome else _cover(mask, sorted(parts, reverse=True))
        if cover:
            masks = " + ".join(f"{m:#04x}" for m in cover)
            yield _equal(whole, [group[m] for m in cover], source, f"mask {mask:#04x} = {masks}")


def _cover(rest: int, parts: list[int], longest: int = MOST_PARTS) -> list[int] | None:
    """Return the fewest disjoint masks, two at least, whose union is `rest`."""
    best: list[int] | None = None

    def extend(rest: int, start: int, taken: list[int]) -> None:
        nonlocal best
        if rest == 0:
            if len(taken) > 1 and (best is None or len(taken) < len(best)):
                best = taken
            return
        if len(taken) + 1 >= (len(best) if best else longest + 1):
            return
        for place in range(start, len(parts)):
            if parts[place] & ~rest == 0:
                extend(rest & ~parts[place], place + 1, [*taken, parts[place]])

    extend(rest, 0, [])
    return best


def _cover_two(mask: int, parts: list[int], outcome: int) -> list[int] | None:
    """The same where a mask is a rectangle: requests × outcomes; cells are what is disjoint."""
    cells = {part: _cells(part, outcome) for part in (mask, *parts)}
    numbers = {cell: 1 << place for place, cell in enumerate(sorted(cells[mask]))}
    if not numbers:
        return None
    bits = {part: sum(numbers[cell] for cell in cells[part]) for part in parts if cells[part]}
    back = {value: part for part, value in bits.items()}
    cover = _cover((1 << len(numbers)) - 1, sorted(back, reverse=True))
    return [back[value] for value in cover] if cover else None


def _cells(mask: int, outcome: int) -> set[tuple[int, int]]:
    single = [1 << bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    return {(a, b) for a in single if not a & outcome for b in single if b & outcome}


def _orders(group: dict[int, EventCode], source: str) -> Iterator[Relation]:
    """Yield ``part <= whole`` for masks within masks, without those that follow from others."""
    for mask, whole in group.items():
        if whole.edge:
            continue  # of two states that overlap, each may begin more often than their union
        inside = [m for m in group if _within(m, mask, whole, group[m])]
        for m in inside:
            if not any(_within(m, between, group[between], group[m]) for between in inside if between != m):
                smaller, larger = (whole, group[m]) if _family(whole) in CONJUNCTIONS else (group[m], whole)
                yield _less(smaller, larger, source, f"mask {m:#04x} within {mask:#04x}")


def _within(inner: int, outer: int, whole: EventCode, part: EventCode) -> bool:
    if not inner or inner == outer or _family(whole) != _family(part):
        return False
    family = _family(whole)
    if family in CONJUNCTIONS:
        return inner & ~outer == 0 and _conjunction(whole) and _conjunction(part)
    if family in ANY_OUTCOME:
        everything, outcome = ANY_OUTCOME[family], OUTCOMES[family]
        return outer & outcome == everything and inner & ~outcome & ~(outer & ~outcome) == 0 and bool(inner & outcome)
    if family in OUTCOMES:
        cells = _cells(inner, OUTCOMES[family])
        return bool(cells) and cells < _cells(outer, OUTCOMES[family])
    return inner & ~outer == 0


def _conjunction(event: EventCode) -> bool:
    return event.umask == event.counter_mask


def _masked(groups: dict[tuple, dict[int, list[EventCode]]], source: str) -> Iterator[Relation]:
    """Yield ``cycles with at least k <= cycles with at least j <= occurrences`` for k > j, and rises <= cycles."""
    plain: dict[tuple, list[EventCode]] = defaultdict(list)
    for group in groups.values():
        for members in group.values():
            event = members[0]
            if not event.inverted and _family(event) not in CONJUNCTIONS:
                plain[(event.unit, event.code, event.umask, event.any_thread)].append(event)
    for members in plain.values():
        steady = sorted((e for e in members if not e.edge), key=lambda e: e.counter_mask)
        for lower, higher in itertools.pairwise(steady):
            yield _less(higher, lower, source, f"counter mask {higher.counter_mask} after {lower.counter_mask}")
        for event in (e for e in members if e.edge):
            for other in (e for e in steady if e.counter_mask == max(event.counter_mask, 1)):
                yield _less(event, other, source, "rises of what is counted in cycles")
    # conjunctions have a group for every counter mask: compare across them
    cycles = [m[0] for group in groups.values() for m in group.values() if _family(m[0]) in CONJUNCTIONS]
    yield from _orders({e.umask: e for e in cycles if _conjunction(e)}, source)


def _counts_cycles(event: EventCode) -> bool:
    """Whether an event counts cycles of a state: two states at once count once, so such events do not add up."""
    name = event.name.upper()
    return event.counter_mask > 0 or "CYCLES" in name or "STALL" in name or name.endswith("_ACTIVE")


def _equal(whole: EventCode, parts: list[EventCode], source: str, why: str) -> Relation:
    terms = {whole.name: 1.0} | {part.name: -1.0 for part in parts}
    name = f"{whole.name} = " + " + ".join(part.name for part in parts)
    return Relation(name, "eq", terms, 0.0, f"{source}, {_place(whole)}: {why}")


def _less(smaller: EventCode, larger: EventCode, source: str, why: str) -> Relation:
    name = f"{smaller.name} <= {larger.name}"
    return Relation(name, "le", {smaller.name: 1.0, larger.name: -1.0}, 0.0, f"{source}, {_place(larger)}: {why}")


def _place(event: EventCode) -> str:
    return f"{event.unit} {event.code}".strip()
