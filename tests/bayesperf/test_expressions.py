from fractions import Fraction

import pytest

from credence.bayesperf.model.expressions import (
    Linear,
    Name,
    NotLinearError,
    Number,
    linear,
    names_of,
    parse,
    quoted,
    ratio,
    substitute,
)
from credence.bench.errors import InputError


def form(text, **values):
    return linear(substitute(parse(text), {name: Number(Fraction(value)) for name, value in values.items()}))


@pytest.mark.parametrize(
    ("text", "coefficients", "constant"),
    [
        ("A + B - C", {"A": 1, "B": 1, "C": -1}, 0),
        ("A - (B - C)", {"A": 1, "B": -1, "C": 1}, 0),
        ("-A + 3", {"A": -1}, 3),
        ("2 * A * 3 / 4", {"A": Fraction(3, 2)}, 0),
        ("0x10 * A + 1e2", {"A": 16}, 100),
        ("A if 1 > 0 else B", {"A": 1}, 0),
        ("A if 0 else B if 0 else C", {"C": 1}, 0),
        ("(A / 2) if 1 & 0 else A", {"A": 1}, 0),
        ("A / B * B", {"A": 1}, 0),
        ("(A + B) * 4 / 2 - A", {"A": 1, "B": 2}, 0),
        ("min_latency + else_if", {"min_latency": 1, "else_if": 1}, 0),
    ],
)
def test_linear_forms(text, coefficients, constant):
    found = form(text)
    assert (dict(found.coefficients), found.constant) == (coefficients, constant)


def test_precedence_and_order_of_names():
    assert form("A + B * 2 - C / 4").coefficients == {"A": 1, "B": 2, "C": Fraction(-1, 4)}
    assert form("A - B - C").coefficients == {"A": 1, "B": -1, "C": -1}
    assert list(names_of(parse("A + max(B, A) if C else D"))) == ["A", "B", "A", "C", "D"]


def test_ratios_are_kept_as_ratios():
    found = ratio(parse("100 * (1 - d_ratio(A, B + C)) - 100 * A / (B + C)"))
    assert found.denominator == Linear({"B": Fraction(1), "C": Fraction(1)})
    assert found.numerator == Linear({"B": Fraction(100), "C": Fraction(100), "A": Fraction(-200)})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("A * B", "product"),
        ("A / B + A / C", "different denominators"),
        ("A / 0", "division by 0"),
        ("A if B > 2 else C", "comparison of counts"),
        ("A if B else C", "condition"),
        ("min(A, B)", "min"),
        ("A % 2", "%"),
    ],
)
def test_what_is_no_ratio_says_why(text, says):
    with pytest.raises(NotLinearError, match=says):
        ratio(parse(text))


def test_metrics_in_metrics_are_put_in_and_circles_found():
    values = {"m": parse("n / CYCLES"), "n": parse("A + B")}
    assert list(names_of(substitute(parse("4 * m"), values))) == ["A", "B", "CYCLES"]
    with pytest.raises(InputError, match="m -> n -> m"):
        substitute(parse("m"), {"m": parse("n + 1"), "n": parse("m + 1")})
    assert substitute(Name("same"), {"same": Name("same")}) == Name("same")


@pytest.mark.parametrize("name", ["A.B_c:1@", "page-faults", "if", "x y", "a,b=1"])
def test_any_name_survives_writing_and_reading(name):
    assert parse(quoted(name)) == Name(name)


def test_names_as_the_kernel_writes_them():
    text = "UNC_M_CAS.RD + cha@X\\,filter\\=0x1@ + MSR:a - c6\\-residency"
    assert list(names_of(parse(text))) == ["UNC_M_CAS.RD", "cha@X,filter=0x1@", "MSR:a", "c6-residency"]


def test_one_side_only():
    with pytest.raises(InputError, match="relation sign"):
        parse("A = B")
