"""Metric expressions of vendors as trees: Intel's formulas, the kernel's ``MetricExpr``, and relations of users.

One grammar reads all of them: sums, products, comparisons, ``a if b else c`` and function calls over names. A name is
an event, another metric, an alias or a constant of the machine; :func:`substitute` puts in what it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

import lark

from credence.bench.errors import InputError

# Names as the kernel's own lexer takes them: letters, digits and _ . : @ ?, and behind a backslash also - , = /
# (``cpu@EVENT\,cmask\=1@``). Anything else needs quotes.
_PLAIN = r"#?[A-Za-z_](?:[A-Za-z0-9_.:@?]|\\[-,=\/])*"
_GRAMMAR = rf"""
    start: expression | sides
    sides: expression SIDE expression
    SIDE: "==" | "=" | "<=" | ">="

    ?expression: either
        | either "if" either "else" expression -> choice
    ?either: both | either OR both -> operation
    ?both: compared | both AND compared -> operation
    ?compared: sum | compared ORDER sum -> operation
    ?sum: product | sum SIGN product -> operation
    ?product: signed | product TIMES signed -> operation
    ?signed: atom | "-" signed -> negative | "+" signed
    ?atom: NUMBER -> number
        | NAME -> name
        | QUOTED -> quoted
        | NAME "(" expression ("," expression)* ")" -> call
        | "(" expression ")"

    OR: "|" | "^"
    AND: "&"
    ORDER: "<" | ">"
    SIGN: "+" | "-"
    TIMES: "*" | "/" | "%"
    NUMBER: /0[xX][0-9a-fA-F]+|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?/
    NAME: /{_PLAIN}/
    QUOTED: /'[^'\n]+'/
    %ignore /\s+/
"""
FUNCTIONS = ("min", "max", "d_ratio", "source_count", "has_event", "strcmp_cpuid_str")


@dataclass(frozen=True)
class Number:
    """A constant, exact."""

    value: Fraction


@dataclass(frozen=True)
class Name:
    """An event, a metric, an alias or a constant of the machine."""

    name: str


@dataclass(frozen=True)
class Operation:
    """An operator or function (``+ - * / % | ^ & < > if min max …``) over its operands, in the order of the text.

    ``if`` has the operands value, condition, otherwise.
    """

    operator: str
    operands: tuple[Expression, ...]


Expression = Number | Name | Operation


@cache
def _parser() -> lark.Lark:
    return lark.Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)


class _Builder(lark.Transformer):
    def number(self, items):
        text = str(items[0])
        return Number(Fraction(int(text, 16)) if text[:2].lower() == "0x" else Fraction(text))

    def name(self, items):
        return Name(str(items[0]).replace("\\", ""))

    def quoted(self, items):
        return Name(str(items[0])[1:-1])

    def negative(self, items):
        return Operation("-", (Number(Fraction(0)), items[0]))

    def signed(self, items):
        return items[0]

    def operation(self, items):
        return Operation(str(items[1]), (items[0], items[2]))

    def choice(self, items):
        return Operation("if", tuple(items))

    def call(self, items):
        function = str(items[0])
        if function not in FUNCTIONS:
            raise InputError(f"unknown function {function!r}; allowed: {', '.join(FUNCTIONS)}")
        return Operation(function, tuple(items[1:]))

    def sides(self, items):
        return tuple(items)

    def start(self, items):
        return items[0]


def parse(text: str, names: Collection[str] = ()) -> Expression:
    """Read an expression.

    Parameters
    ----------
    text : str
        With single backslashes, as a JSON reader returns it.
    names : collection of str
        Names that need no quotes whatever they contain.

    Raises
    ------
    InputError
        Naming the text, and the place where reading stopped.
    """
    found = _read(text, names)
    if isinstance(found, tuple):
        raise InputError(f"expression {text!r}: has a relation sign; allowed: one side only")
    return found


def parse_sides(text: str, names: Collection[str] = ()) -> tuple[str, Expression, Expression]:
    """Read a relation; return its sign (``=``, ``<=`` or ``>=``) and both sides. Errors as of :func:`parse`."""
    found = _read(text, names)
    if not isinstance(found, tuple):
        raise InputError(f"expression {text!r}: no relation sign; allowed: two sides with =, <= or >= between them")
    left, sign, right = found
    return "=" if sign == "==" else str(sign), left, right


def _read(text: str, names: Collection[str]):
    parser = _parser()
    written = _with_quotes(text, names)
    try:
        return _Builder().transform(parser.parse(written))
    except lark.exceptions.VisitError as error:
        if isinstance(error.orig_exc, InputError):
            raise InputError(f"expression {_short(text)!r}: {error.orig_exc}") from None
        raise
    except lark.exceptions.UnexpectedInput as error:
        at_end = getattr(getattr(error, "token", None), "type", "") == "$END"
        rest = "its end" if at_end else repr(_short(written[error.pos_in_stream :], 30))
        raise InputError(
            f"expression {_short(text)!r}: cannot be read from {rest} on; "
            "allowed: sums and products of events (names with other characters than letters, digits and _ . : @ in "
            "single quotes)"
        ) from None


def _with_quotes(text: str, names: Collection[str]) -> str:
    """Put known names with unusual characters into quotes, the longest first."""
    special = sorted((name for name in names if not re.fullmatch(_PLAIN, name)), key=len, reverse=True)
    if not special:
        return text
    pattern = "|".join(map(re.escape, special))
    # what is quoted already stays; a known name inside a longer word is not that name
    return re.sub(rf"'[^']*'|(?<![\w.:@-])(?:{pattern})(?![\w.:@-])", _quote_match, text)


def _quote_match(match: re.Match) -> str:
    return match.group() if match.group().startswith("'") else f"'{match.group()}'"


def _short(text: str, length: int = 120) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def quoted(name: str) -> str:
    """Return a name as it stands in an expression: in quotes if it must."""
    plain = re.fullmatch(_PLAIN, name) and name not in ("if", "else") and "\\" not in name
    return name if plain else f"'{name}'"


def names_of(expression: Expression) -> Iterator[str]:
    """Yield every name of an expression, in the order of the text, as often as it stands there."""
    if isinstance(expression, Name):
        yield expression.name
    elif isinstance(expression, Operation):
        for operand in expression.operands:
            yield from names_of(operand)


def substitute(expression: Expression, values: Mapping[str, Expression]) -> Expression:
    """Return the expression with names replaced by what they stand for, through any depth.

    Raises
    ------
    InputError
        If a name stands for something that contains itself.
    """
    return _substituted(expression, values, ())


def _substituted(expression, values, open_names):
    if isinstance(expression, Name):
        name = expression.name
        if name not in values or values[name] == expression:
            return expression
        if name in open_names:
            raise InputError(f"metric {name!r} is defined by itself ({' -> '.join((*open_names, name))})")
        return _substituted(values[name], values, (*open_names, name))
    if isinstance(expression, Operation):
        operands = tuple(_substituted(operand, values, open_names) for operand in expression.operands)
        return Operation(expression.operator, operands)
    return expression


class NotLinearError(InputError):
    """An expression that is no linear form (or no ratio of two) of its names."""


@dataclass(frozen=True)
class Linear:
    """``constant + sum(coefficient · name)``, exact."""

    coefficients: Mapping[str, Fraction] = field(default_factory=dict)
    constant: Fraction = Fraction(0)

    @property
    def is_constant(self) -> bool:
        """Whether no name is left."""
        return not any(self.coefficients.values())

    def times(self, factor: Fraction) -> Linear:
        """Return the form times a number."""
        return Linear({n: c * factor for n, c in self.coefficients.items() if c * factor}, self.constant * factor)

    def plus(self, other: Linear) -> Linear:
        """Return the sum of two forms."""
        total = dict(self.coefficients)
        for name, c in other.coefficients.items():
            total[name] = total.get(name, Fraction(0)) + c
        return Linear({n: c for n, c in total.items() if c}, self.constant + other.constant)

    def minus(self, other: Linear) -> Linear:
        """Return the difference of two forms."""
        return self.plus(other.times(Fraction(-1)))


@dataclass(frozen=True)
class Ratio:
    """``numerator / denominator``, both linear."""

    numerator: Linear
    denominator: Linear = Linear({}, Fraction(1))


def linear(expression: Expression) -> Linear:
    """Return an expression as a linear form.

    Raises
    ------
    NotLinearError
        If it isn't one.
    """
    found = ratio(expression)
    if not found.denominator.is_constant:
        raise NotLinearError("a count is divided by a count; allowed: sums of counts times numbers")
    return found.numerator.times(1 / found.denominator.constant)


def ratio(expression: Expression) -> Ratio:
    """Return an expression as the ratio of two linear forms.

    Sums of ratios over the same denominator are one ratio; ``d_ratio`` is a quotient; a condition that is a number
    chooses its branch.

    Raises
    ------
    NotLinearError
        If it is none: a product of events, ``min``, sums over different denominators, a division by 0.
    """
    if isinstance(expression, Number):
        return Ratio(Linear({}, expression.value))
    if isinstance(expression, Name):
        return Ratio(Linear({expression.name: Fraction(1)}))
    if expression.operator == "if":
        value, condition, otherwise = expression.operands
        return ratio(value if _truth(condition) else otherwise)
    if expression.operator in ("+", "-", "*", "/", "d_ratio", "<", ">", "|", "&"):
        return _combine(expression.operator, *(ratio(operand) for operand in expression.operands))
    raise NotLinearError(f"{expression.operator} is not linear; allowed: sums of counts times numbers")


def _truth(condition: Expression) -> bool:
    found = ratio(condition)
    if found.numerator.is_constant and found.denominator.is_constant:
        return bool(found.numerator.constant)
    raise NotLinearError("a condition depends on counts; allowed: sums of counts times numbers")


def _combine(operator: str, left: Ratio, right: Ratio) -> Ratio:
    if operator in ("+", "-"):
        return _added(left, right.numerator.times(Fraction(-1 if operator == "-" else 1)), right.denominator)
    if operator == "*":
        return _multiplied(left, right)
    if operator in ("/", "d_ratio"):
        if right.numerator.is_constant and right.numerator.constant == 0:
            raise NotLinearError("a division by 0")
        return _multiplied(left, Ratio(right.denominator, right.numerator))
    sides = [linear_value(left), linear_value(right)]
    result = {"<": sides[0] < sides[1], ">": sides[0] > sides[1]}
    logic = {"|": bool(sides[0]) or bool(sides[1]), "&": bool(sides[0]) and bool(sides[1])}
    return Ratio(Linear({}, Fraction(int({**result, **logic}[operator]))))


def linear_value(found: Ratio) -> Fraction:
    """Return the value of a ratio of constants, or raise NotLinearError."""
    if not (found.numerator.is_constant and found.denominator.is_constant):
        raise NotLinearError("a comparison of counts; allowed: sums of counts times numbers")
    return found.numerator.constant / found.denominator.constant


def _added(left: Ratio, numerator: Linear, denominator: Linear) -> Ratio:
    factor = _proportion(denominator, left.denominator)
    if factor is not None:
        return Ratio(left.numerator.plus(numerator.times(factor)), left.denominator)
    if left.numerator.is_constant and left.denominator.is_constant:  # 1 - A/B = (B - A)/B
        value = left.numerator.constant / left.denominator.constant
        return Ratio(denominator.times(value).plus(numerator), denominator)
    if numerator.is_constant and denominator.is_constant:
        value = numerator.constant / denominator.constant
        return Ratio(left.numerator.plus(left.denominator.times(value)), left.denominator)
    raise NotLinearError("a sum of ratios with different denominators")


def _proportion(one: Linear, other: Linear) -> Fraction | None:
    """Return f such that f · one = other, or None."""
    if not one.coefficients:
        return other.constant / one.constant if not other.coefficients and one.constant else None
    first = next(iter(one.coefficients))
    if not other.coefficients.get(first):
        return None
    factor = other.coefficients[first] / one.coefficients[first]
    return factor if one.times(factor) == other else None


def _multiplied(left: Ratio, right: Ratio) -> Ratio:
    # cancel what stands above and below, then at most one factor may still depend on counts
    for one, other in ((left, right), (right, left)):
        factor = None if one.numerator.is_constant else _proportion(other.denominator, one.numerator)
        if factor is not None:
            return Ratio(other.numerator.times(factor), one.denominator)
    return Ratio(_product(left.numerator, right.numerator), _product(left.denominator, right.denominator))


def _product(one: Linear, other: Linear) -> Linear:
    if one.is_constant:
        return other.times(one.constant)
    if other.is_constant:
        return one.times(other.constant)
    raise NotLinearError("a product of counts; allowed: sums of counts times numbers")
