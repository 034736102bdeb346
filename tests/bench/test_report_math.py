import xml.etree.ElementTree as ElementTree

import pytest

from credence.bench.report_math import to_mathml

UNDERSTOOD = [
    r"\mathbb{E}[W] = \frac{\lambda\,\mathbb{E}[S^2]}{2(1-\rho)}",
    r"\begin{aligned} a &= b \\ c &\le d \end{aligned}",
    r"\begin{align} a &= b \nonumber \\ c &= d \label{eq:c} \end{align}",
    r"\begin{equation*} a = b \end{equation*}",
    r"\begin{gather} a \\ b \end{gather}",
    r"\begin{cases} 1 & x > 0 \\ 0 & \text{else} \end{cases}",
    r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}",
    r"\left\lVert x \right\rVert_2 \cdot \left.\frac{a}{b}\right|_x",
    r"\hat{\tau} \sim \mathcal{N}(0, \sigma^2), \quad \boldsymbol{\theta}",
    r"\sum_{i=1}^{n} x_i \ge 30\,\% \implies \Pr\!\left(A \mid B\right)",
    r"a &= b \\ c &= d",
    r"\mathrm{do}(x), \operatorname{Var}(X), \argmax_x f(x)",
]


@pytest.mark.parametrize("source", UNDERSTOOD)
def test_common_latex_is_understood(source):
    tree = ElementTree.fromstring(to_mathml(source, True))
    assert tree.tag == "math"
    assert tree.get("display") == "block"
    shown = "".join(tree.itertext())
    assert "\\" not in shown
    assert "&" not in shown


@pytest.mark.parametrize(
    "source", [r"\unknownmacro{x}", r"x^{", r"\left( x", r"\frac{1", r"\begin{nothing} x \end{nothing}"]
)
def test_what_is_not_understood_is_shown_as_its_source(source):
    shown = to_mathml(source)
    assert shown.startswith('<code class="tex">')
    assert source.replace("<", "&lt;") in shown


def test_aligned_rows_keep_their_sides():
    tree = ElementTree.fromstring(to_mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}"))
    cells = tree.findall(".//mtr/mtd")
    assert [cell.get("class") for cell in cells] == ["cell-right", "cell-left"] * 2


def test_alphabets_become_letters_of_unicode():
    assert "𝐱" in to_mathml(r"\mathbf{x}")
    assert "𝜽" in to_mathml(r"\boldsymbol{\theta}")
    assert "𝟙" in to_mathml(r"\mathbb{1}")
    assert "ℝ" in to_mathml(r"\mathbb{R}")
    assert "<mi>max</mi>" in to_mathml(r"\lambda_{\mathrm{max}}").replace(' mathvariant="normal"', "")


def test_limits_stand_below_only_in_display():
    assert "<munder>" in to_mathml(r"\max_x f", True)
    assert "<msub>" in to_mathml(r"\max_x f", False)


@pytest.mark.parametrize(
    "source",
    [r"\text{<script>alert(1)</script>}", r"\href{javascript:alert(1)}{x}", r"\text{</math><img src=x onerror=a()>}"],
)
def test_formulas_carry_no_markup_of_their_author(source):
    shown = to_mathml(source)
    assert "<script" not in shown
    assert "<img" not in shown
    assert " href" not in shown


def test_the_source_stays_readable_for_those_who_do_not_see_it():
    assert 'alttext="a &lt; b"' in to_mathml("a <\n b")
