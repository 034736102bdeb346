"""What relations say about the events of a list that is not closed: everything else is eliminated, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd, lcm

from credence.bayesperf.model.relation import Relation

# A row: coefficients by event, right-hand side, and how much of each given relation is in it.
_Row = tuple[dict[str, Fraction], Fraction, dict[int, Fraction]]


def eliminated(relations: Iterable[Relation], events: Sequence[str]) -> tuple[Relation, ...]:
    """Return the consequences of relations that speak of the listed events only.

    A user's list is seldom closed: ``MISS = A + B`` says nothing of a list without B, but together with ``B = C`` it
    does. Identities are row-reduced in rational numbers with the unlisted events first, which gives all their linear
    consequences. Inequalities get the identities put in; then an unlisted event that only makes the smaller side larger
    is dropped, because counts are never negative (``A = B + C`` without C: ``B <= A``). That is sound, not complete.

    Parameters
    ----------
    relations : iterable of Relation
    events : sequence of str
        Listed events.

    Returns
    -------
    tuple of Relation
        Identities first: those given that speak of listed events only and are independent of each other, then those
        derived; then inequalities. The name of a derived relation says from which ones it comes.
    """
    relations, listed = tuple(relations), set(events)
    equal = [(number, relation) for number, relation in enumerate(relations) if relation.kind == "eq"]
    rows = [_row(number, relation) for number, relation in equal]
    inside = [row for row, (_, relation) in zip(rows, equal, strict=True) if listed.issuperset(relation.events)]
    outside = [row for row, (_, relation) in zip(rows, equal, strict=True) if not listed.issuperset(relation.events)]

    kept: list[Relation] = []
    known: dict[str, _Row] = {}  # reduced rows over listed events, by pivot: what has been said already
    for row in inside:
        if _insert(row, known, _by_place(events)):
            kept.append(relations[next(iter(row[2]))])
    pivots: dict[str, _Row] = {}
    over = [row for row in (_solve_out(row, pivots, listed) for row in outside) if row is not None]
    for row in over:
        if _insert(row, known, _by_place(events)):
            kept.append(_named(row, "eq", relations))
    return (*kept, *_inequalities(relations, rows, pivots, listed, kept))


def _row(number: int, relation: Relation) -> _Row:
    coefficients = {event: Fraction(c).limit_denominator(10**9) for event, c in relation.coefficients.items()}
    return coefficients, Fraction(relation.constant).limit_denominator(10**9), {number: Fraction(1)}


def _plus(row: _Row, factor: Fraction, other: _Row) -> _Row:
    """Return row + factor · other."""
    terms = dict(row[0])
    for event, c in other[0].items():
        terms[event] = terms.get(event, Fraction(0)) + factor * c
    parts = dict(row[2])
    for number, c in other[2].items():
        parts[number] = parts.get(number, Fraction(0)) + factor * c
    return (
        {event: c for event, c in terms.items() if c},
        row[1] + factor * other[1],
        {number: c for number, c in parts.items() if c},
    )


def _without(row: _Row, pivots: dict[str, _Row]) -> _Row:
    """Return the row with every pivot event eliminated."""
    while True:
        hit = next((event for event in row[0] if event in pivots), None)
        if hit is None:
            return row
        other = pivots[hit]
        row = _plus(row, -row[0][hit] / other[0][hit], other)


def _by_place(events: Sequence[str]):
    place = {event: number for number, event in enumerate(events)}
    return lambda row: max(row[0], key=place.__getitem__)


def _insert(row: _Row, pivots: dict[str, _Row], choose) -> bool:
    """Add a row to a reduced set unless it follows from it; whether it was new."""
    row = _without(row, pivots)
    if not row[0]:
        return False
    pivot = choose(row)
    for event, other in list(pivots.items()):
        if pivot in other[0]:
            pivots[event] = _plus(other, -other[0][pivot] / row[0][pivot], row)
    pivots[pivot] = row
    return True


def _solve_out(row: _Row, pivots: dict[str, _Row], listed: set[str]) -> _Row | None:
    """Use a row to solve for an unlisted event; return it when it has none left: a consequence on the list."""
    row = _without(row, pivots)
    if not row[0]:
        return None
    unlisted = [event for event in row[0] if event not in listed]
    if not unlisted:
        return row
    _insert(row, pivots, lambda found: min(e for e in found[0] if e not in listed))
    return None


def _inequalities(relations, rows, pivots, listed, kept) -> list[Relation]:
    """Return inequalities on the list: given, or from identities with unlisted parts."""
    candidates = []
    for number, relation in enumerate(relations):
        if relation.kind == "le":
            row = _row(number, relation)
            candidates += [row, _without(row, pivots)]
    for row in (*rows, *pivots.values()):
        if not listed.issuperset(row[0]):
            candidates += [row, _plus(({}, Fraction(0), {}), Fraction(-1), row)]
    found: dict[tuple, Relation] = {}
    for terms, constant, parts in candidates:
        # x >= 0: a positive term on the smaller side may go; a negative one may not
        if any(c < 0 for event, c in terms.items() if event not in listed):
            continue
        rest = {event: c for event, c in terms.items() if event in listed}
        if not any(c > 0 for c in rest.values()):
            continue  # says only that counts are not negative
        if all(c > 0 for c in rest.values()) and constant == 0:
            continue  # a sum of counts is 0: true of events that never happen, of no use as an order
        relation = _named((rest, constant, parts), "le", relations)
        key = (frozenset(_scaled(rest).items()), constant)
        if key not in found or len(relation.name) < len(found[key].name):
            found[key] = relation
    orders = list(found.values())
    stronger = [*orders, *kept]
    return [order for order in orders if not any(_follows(order, other) for other in stronger if other is not order)]


def _follows(order: Relation, other: Relation) -> bool:
    """Whether an inequality says no more than another relation that has further terms on its smaller side."""
    shared = [event for event, c in order.coefficients.items() if c < 0 and event in other.coefficients]
    for event in shared[:1]:
        factor = order.coefficients[event] / other.coefficients[event]
        if (factor < 0 and other.kind == "le") or abs(order.constant - factor * other.constant) > 1e-9:
            return False
        terms = dict.fromkeys((*order.coefficients, *other.coefficients))
        rest = [factor * other.coefficients.get(e, 0.0) - order.coefficients.get(e, 0.0) for e in terms]
        return all(c >= -1e-9 for c in rest) and any(c > 1e-9 for c in rest)
    return False


def _scaled(terms: dict[str, Fraction]) -> dict[str, Fraction]:
    size = sum(abs(c) for c in terms.values())
    return {event: c / size for event, c in terms.items()}


def _named(row: _Row, kind: str, relations) -> Relation:
    terms, constant, parts = row
    used = [relations[number] for number in sorted(parts)]
    if len(used) == 1 and _same(used[0], kind, terms, constant):
        return used[0]
    # whole numbers without a common factor: relations that a person can read
    denominators, numerators = [c.denominator for c in terms.values()], [c.numerator for c in terms.values()]
    scale = Fraction(lcm(*denominators), gcd(*numerators))
    if kind == "eq" and next(iter(terms.values())) < 0:
        scale = -scale
    coefficients = {event: float(c * scale) for event, c in terms.items()}
    sources = "; ".join(dict.fromkeys(relation.source for relation in used if relation.source))
    name = "from " + " & ".join(relation.name for relation in used)
    return Relation(name, kind, coefficients, float(constant * scale), sources)


def _same(relation: Relation, kind: str, terms: dict[str, Fraction], constant: Fraction) -> bool:
    given = _row(0, relation)
    return relation.kind == kind and given[0] == terms and given[1] == constant
