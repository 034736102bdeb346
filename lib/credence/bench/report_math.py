r"""LaTeX to MathML at build time, so that a report needs neither a network nor megabytes of script.

latex2mathml does the parsing. What it leaves undone for a browser is done here: ``aligned`` and its relatives, the
bold and sans alphabets (MathML Core knows no ``mathvariant`` but ``normal``), column alignment, and safety: its text
is not escaped, so the tree is rebuilt from an allow-list. What cannot be rendered is shown as its source.
"""

import html
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

from latex2mathml.converter import convert_to_element


def words(text: str) -> frozenset[str]:
    """Return the words of `text`: a long list of names stays readable that way."""
    return frozenset(text.split())


_TAGS = words(
    """
    math mrow mi mn mo mtext mspace ms mfrac msqrt mroot mstyle mpadded mphantom mover munder munderover
    msub msup msubsup mmultiscripts mprescripts none mtable mtr mtd
    """
)
_ATTRIBUTES = words(
    """
    display displaystyle scriptlevel stretchy fence separator form accent accentunder movablelimits
    largeop symmetric minsize maxsize lspace rspace linethickness columnspan rowspan width height depth
    voffset
    """
)
_ALPHABETS = {
    "bold": "BOLD",
    "italic": "ITALIC",
    "bold-italic": "BOLD ITALIC",
    "double-struck": "DOUBLE-STRUCK",
    "script": "SCRIPT",
    "bold-script": "BOLD SCRIPT",
    "fraktur": "FRAKTUR",
    "sans-serif": "SANS-SERIF",
    "sans-serif-bold": "SANS-SERIF BOLD",
    "monospace": "MONOSPACE",
}
_CHILDREN = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "mover": 2, "munder": 2, "msubsup": 3, "munderover": 3}
_OPERATORS = {"~": "∼", "⌊": "⌊", "⌋": "⌋", "⌈": "⌈", "⌉": "⌉", "⟂": "⟂", "′": "′", "″": "″"}
_FUNCTIONS = words("log ln lg exp sin cos tan sinh cosh tanh max min sup inf lim arg det dim ker deg gcd")
_WITH_LIMITS = words("max min sup inf lim argmax argmin Pr det gcd")
# latex2mathml knows `split`, `align*` and `matrix`; the others differ only in numbering and outer spacing.
_ENVIRONMENTS = {
    "aligned": "align*",
    "alignedat": "align*",
    "align": "align*",
    "eqnarray": "align*",
    "eqnarray*": "align*",
    "gather": "matrix",
    "gather*": "matrix",
    "gathered": "matrix",
    "multline": "matrix",
    "multline*": "matrix",
    "dcases": "cases",
}


_KNOWN_ENVIRONMENTS = words(
    """
    align* split matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix array cases substack
    """
)


class _Unknown(ValueError):
    """LaTeX that has no MathML here."""


def _prepare(source: str) -> str:
    source = re.sub(r"(?<!\\)%.*", "", source)
    source = re.sub(r"\\(label|ref|eqref)\{[^}]*\}", "", source)
    source = re.sub(r"\\(nonumber|notag)\b", "", source)
    source = re.sub(r"\\(begin|end)\{equation\*?\}", "", source)
    source = re.sub(
        r"\\(begin|end)\{([a-z]+\*?)\}",
        lambda match: rf"\{match[1]}{{{_ENVIRONMENTS.get(match[2], match[2])}}}",
        source,
    )

    for name in re.findall(r"\\begin\{([^}]*)\}", source):
        if name not in _KNOWN_ENVIRONMENTS:
            raise _Unknown(name)

    def operator(match: re.Match) -> str:
        name = re.sub(r"\\[,;:! ]|\s+", "\u2009", match[1])
        return rf"\operatorname{{{name}}}"

    source = re.sub(r"\\operatorname\*?\s*\{([^{}]*)\}", operator, source)
    source = re.sub(r"\\mathop\s*\{\s*\\(?:mathrm|text|rm)\s*\{([^{}]*)\}\s*\}", operator, source)
    return source.strip()


def _letter(character: str, variant: str) -> str:
    """Return `character` from the Unicode alphabet that `variant` names, or itself where there is none."""
    alphabet = _ALPHABETS.get(variant)
    try:
        name = unicodedata.name(character)
    except ValueError:
        return character
    if alphabet is None:
        return character
    match = re.fullmatch(r"(?:LATIN|GREEK) (SMALL|CAPITAL) LETTER ([A-Z]+)", name)
    digit = re.fullmatch(r"DIGIT ([A-Z]+)", name)
    wanted = f"{match[1]} {match[2]}" if match else f"DIGIT {digit[1]}" if digit else None
    if wanted is None:
        return character
    for prefix in (f"MATHEMATICAL {alphabet}", alphabet):  # ℝ, ℒ … have names of their own
        try:
            return unicodedata.lookup(f"{prefix} {wanted}")
        except KeyError:
            continue
    return character


def _look(element: ElementTree.Element) -> dict[str, str]:
    """Return the attributes for what MathML Core leaves to style sheets: cell alignment and negative space."""
    if element.tag == "mtd" and element.get("columnalign") in {"left", "right"}:
        return {"class": f"cell-{element.get('columnalign')}"}
    if element.tag == "mspace" and "negative" in (element.get("width") or ""):
        return {"style": "margin-left:-.167em"}
    return {}


def _rebuild(element: ElementTree.Element, display: bool) -> ElementTree.Element:
    """Return a copy of latex2mathml's tree with allowed tags, attributes and unescaped text only."""
    tag, text = element.tag, html.unescape(element.text or "")
    variant = element.get("mathvariant", "")
    if re.search(r"\\[A-Za-z]", text) or (tag == "mi" and text == "&"):
        raise _Unknown(text)
    if tag == "menclose":
        tag = "mrow"
    if tag == "mo" and len(element):  # \mathop around a group
        tag = "mrow"
    if tag not in _TAGS:
        raise _Unknown(tag)
    if tag == "mi" and text in _OPERATORS:
        tag, text = "mo", _OPERATORS[text]
    if tag == "mi" and text in _FUNCTIONS:
        tag = "mo"
    if display and tag == "msub" and re.sub(r"\W", "", html.unescape(element[0].text or "")) in _WITH_LIMITS:
        tag = "munder"
    if len(element) != _CHILDREN.get(tag, len(element)):
        raise _Unknown(f"half a {tag}")
    attributes = {key: value for key, value in element.attrib.items() if key in _ATTRIBUTES}
    attributes = _look(element) or attributes
    if variant == "normal" and tag == "mi":
        attributes["mathvariant"] = "normal"
    elif variant and tag in {"mi", "mn"}:
        text = "".join(_letter(character, variant) for character in text)
        if tag == "mi" and len(text) == 1 and variant == "bold":
            attributes["mathvariant"] = "normal"
    elif variant.startswith("bold"):
        attributes["style"] = "font-weight:700"
    elif variant == "italic":
        attributes["style"] = "font-style:italic"
    rebuilt = ElementTree.Element(tag, attributes)
    rebuilt.text = text
    for child in element:
        if child.tag == "mspace" and child.get("linebreak"):
            raise _Unknown("line break outside an environment")
        rebuilt.append(_rebuild(child, display))
        rebuilt[-1].tail = None
    _join_upright(rebuilt)
    _space_functions(rebuilt)
    return rebuilt


def _space_functions(parent: ElementTree.Element) -> None:
    """Set named functions close to their bracket, and a thin space before anything else, as TeX does."""
    for child, after in pairwise([*parent, None]):
        name = (child.text or "").replace("\u2009", "")
        if child.tag == "mo" and len(name) > 1 and name.isalpha():
            first = after
            while first is not None and len(first):
                first = first[0]
            bracket = first is not None and first.tag == "mo" and (first.text or "") in {"(", "[", "{", ""}
            child.attrib |= {"lspace": "0.167em", "rspace": "0" if bracket or parent.tag != "mrow" else "0.167em"}


def _join_upright(parent: ElementTree.Element) -> None:
    r"""Join the upright letters of ``\mathrm{max}`` into one word, spaced as a word."""
    if parent.tag != "mrow":
        return
    previous = None
    for child in list(parent):
        upright = child.tag == "mi" and child.get("mathvariant") == "normal" and (child.text or "").isascii()
        if upright and previous is not None:
            previous.text += child.text
            previous.attrib.pop("mathvariant", None)  # more than one letter is upright anyway
            parent.remove(child)
        else:
            previous = child if upright else None


def to_mathml(source: str, display: bool = False) -> str:
    r"""Return LaTeX `source` as MathML, or as readable source where it has no MathML.

    Parameters
    ----------
    source : str
        LaTeX without its ``$`` delimiters; environments (``aligned``, ``cases``, ``gather``, …) are allowed.
    display : bool
        A formula on a line of its own.

    Returns
    -------
    str
        A ``<math>`` element, safe to put into a page; for LaTeX that is not understood, a ``<code class="tex">``.
    """
    try:
        prepared = _prepare(source)
    except _Unknown:
        attempts = ()
    else:
        # A bare `\\` or `&` needs rows to stand in; the second attempt gives it some.
        attempts = (prepared, rf"\begin{{align*}}{prepared}\end{{align*}}")
    for attempt in attempts:
        try:
            tree = convert_to_element(attempt, display="block" if display else "inline")
        except Exception:  # whatever a parser may do with a half-typed formula, the page must be built
            continue
        try:
            rebuilt = _rebuild(tree, display)
        except _Unknown:
            continue
        rebuilt.set("display", "block" if display else "inline")
        rebuilt.set("alttext", " ".join(source.split()))
        return ElementTree.tostring(rebuilt, encoding="unicode", short_empty_elements=False)
    shown = html.escape(" ".join(source.split()))
    return f'<code class="tex{" tex-block" if display else ""}">{shown}</code>'
