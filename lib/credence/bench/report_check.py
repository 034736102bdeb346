"""The contract of the built pages, checked on the files themselves: what is wrong with a report, in one line each."""

import json
import re
from pathlib import Path

from bs4 import BeautifulSoup

from credence.bench import report_html
from credence.bench.report_figures import decode

MOST_BYTES = 1_000_000
_LEAST_TEXT = 200  # characters; a page with fewer is blank
_ADDRESS = re.compile(r"^\s*(?:https?:)?//", re.IGNORECASE)
_LOADING = ("src", "href", "srcset", "poster", "action", "data", "formaction", "xlink:href", "background", "ping")
_IN_CSS = re.compile(r"@import|url\(\s*['\"]?\s*(?:https?:)?//", re.IGNORECASE)
_CARTESIAN = {"scatter", "scattergl", "bar", "heatmap", "contour", "histogram", "histogram2d", "box", "violin"}
_NOT_ARRAYS = {"customdata", "ids", "text", "hovertext", "colorscale"}


def _axis_key(reference: str | None, letter: str) -> str:
    return f"{letter}axis{(reference or letter)[1:]}"


def _title(axis: dict) -> str:
    title = axis.get("title")
    return report_html.plain(str(title if isinstance(title, str) else (title or {}).get("text") or ""))


def _is_numeric(value) -> bool:
    array = decode(value)
    if array.size == 0:
        return False
    return all(isinstance(item, int | float) or hasattr(item, "dtype") for item in array.ravel()[:50].tolist())


def _has_points(trace: dict) -> bool:
    return any(
        decode(value).size
        for key, value in trace.items()
        if key not in _NOT_ARRAYS and (isinstance(value, list) or (isinstance(value, dict) and "bdata" in value))
    )


def _figure_problems(name: str, figure: dict) -> list[str]:
    """Return what is wrong with a figure: no points, or numbers along an axis without a title and unit."""
    traces, layout = figure.get("data") or [], figure.get("layout") or {}
    if not any(_has_points(trace) for trace in traces):
        return [f"{name}: no points"]
    problems, titled, numeric = [], set(), set()
    for trace in traces:
        if trace.get("type", "scatter") not in _CARTESIAN:
            continue
        for letter in "xy":
            key = _axis_key(trace.get(f"{letter}axis"), letter)
            axis = layout.get(key) or {}
            title = _title(axis)
            if title:
                titled.add(letter)
            numbers = letter not in trace or _is_numeric(trace[letter])
            if numbers and axis.get("visible") is not False and axis.get("showticklabels") is not False:
                numeric.add(letter)
            if title and numbers and not re.search(r"\[[^\]]+\]", title):
                problems.append(f"{name}: axis title {title!r} has no unit in [brackets]")
    # in a grid of panels only the outer axes carry titles, so one for each direction is asked for
    problems += [f"{name}: {letter} axis without title and unit" for letter in sorted(numeric - titled)]
    return sorted(set(problems))


def _network_problems(soup: BeautifulSoup) -> list[str]:
    problems = []
    for element in soup.find_all(True):
        for attribute in _LOADING:
            value = element.get(attribute)
            if isinstance(value, str) and _ADDRESS.match(value):
                problems.append(f"external host in <{element.name} {attribute}>: {value[:60]}")
        style = element.get("style") or (element.string if element.name == "style" else "") or ""
        if _IN_CSS.search(style):
            problems.append(f"external host in the style of <{element.name}>")
    return problems


def _path_problems(soup: BeautifulSoup) -> list[str]:
    """Return machine paths in the words of a page and in its attributes; arrays' base64 and plotly.js are no words."""
    words = [str(text) for text in soup.find_all(string=True) if text.parent.name not in {"script", "style"}]
    words += [value for element in soup.find_all(True) for value in map(str, element.attrs.values())]
    words += [
        re.sub(r'"bdata":"[^"]*"', "", script.string or "")
        for script in soup.find_all("script", type="application/json")
    ]
    found = [text for text in words if report_html.scrub(text) != text]
    return [f"machine path or host name: {' '.join(text.split())[:80]}" for text in found]


def _script_problems(soup: BeautifulSoup) -> list[str]:
    problems = []
    for element in soup.find_all(True):
        problems += [f"handler {name} on <{element.name}>" for name in element.attrs if name.lower().startswith("on")]
        for attribute in ("href", "src"):
            if str(element.get(attribute, "")).strip().lower().startswith("javascript:"):
                problems.append(f"script in <{element.name} {attribute}>")
    if soup.find(["iframe", "object", "embed", "base"]):
        problems.append("a frame, object or base element")
    return problems


def _target_problems(soup: BeautifulSoup, page: Path) -> list[str]:
    problems = []
    for element, attribute in ((e, a) for e in soup.find_all(True) for a in ("href", "src") if e.get(a)):
        target = element[attribute]
        if target.startswith(("data:", "#")) or _ADDRESS.match(target):
            continue
        if not (page.parent / target.split("#")[0]).is_file():
            problems.append(f"<{element.name} {attribute}={target!r}> leads nowhere")
    ids = [element["id"] for element in soup.find_all(id=True)]
    problems += [f"id {name!r} appears twice" for name in sorted({i for i in ids if ids.count(i) > 1})]
    problems += [
        f"link to #{target} leads nowhere"
        for target in sorted({a["href"][1:] for a in soup.find_all("a", href=re.compile(r"^#."))} - set(ids))
    ]
    return problems


def _report_problems(soup: BeautifulSoup) -> list[str]:
    problems = []
    for selector, what in (
        ("#claims ~ .table-scroll table.claims, .no-claims", "claims table"),
        (".toc a", "table of contents"),
        (".provenance", "provenance box"),
        (".plotly-figure", "figure"),
        ("h1", "title"),
    ):
        if not soup.select(selector):
            problems.append(f"no {what}")
    for place in soup.select(".plotly-figure"):
        script = soup.find("script", id=place.get("data-figure"))
        if script is None or not script.string:
            problems.append(f"{place.get('id')}: no data")
            continue
        problems += _figure_problems(place.get("id", "figure"), json.loads(script.string))
    return problems


def check_page(page: Path, index: bool = False) -> list[str]:
    """Return what is wrong with one page, without its name.

    Parameters
    ----------
    page : Path
        An HTML file.
    index : bool
        True for the claims board, which has no figures and no provenance of its own.
    """
    page = Path(page)
    text = page.read_text(encoding="utf-8")
    single_file = "* plotly.js v" in text
    problems = []
    if len(text.encode()) > MOST_BYTES and not single_file:
        problems.append(f"{len(text.encode()):,} bytes; allowed: {MOST_BYTES:,}")
    soup = BeautifulSoup(text, "html.parser")
    words = [str(piece) for piece in soup.find_all(string=True) if piece.parent.name not in {"script", "style"}]
    if len(" ".join("".join(words).split())) < _LEAST_TEXT:
        problems.append("blank")
    problems += _network_problems(soup) + _path_problems(soup) + _script_problems(soup) + _target_problems(soup, page)
    return problems if index else problems + _report_problems(soup)


def check(out: Path) -> list[str]:
    """Return what is wrong with the built pages below `out`, one line a problem; empty if all is well.

    Parameters
    ----------
    out : Path
        The folder that `credence.bench.report.build` wrote.
    """
    out = Path(out)
    index = out / "index.html"
    problems = [] if index.is_file() else ["index.html: not there"]
    # runs/ holds what notebooks left behind, not pages of ours
    pages = [page for page in sorted(out.rglob("*.html")) if page.relative_to(out).parts[0] not in {"runs", "assets"}]
    for page in pages:
        problems += [f"{page.relative_to(out)}: {problem}" for problem in check_page(page, page == index)]
    return problems
