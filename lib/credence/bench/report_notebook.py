"""An executed notebook as the body of a page: prose, folded code, cleaned outputs, figures, table of contents."""

import ast
import base64
import html
import re
from dataclasses import dataclass, field

import nbformat
from nbconvert.filters import strip_ansi
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from credence.bench import report_figures, report_html
from credence.bench.errors import InputError

_LONG = 40  # lines of printed output shown before it is folded
_HEADING = re.compile(r"<h([1-6])>(.*?)</h\1>", re.DOTALL)
_HIDDEN_CELL = {"remove-cell", "hide-cell", "remove_cell", "hide_cell"}
_HIDDEN_INPUT = {"remove-input", "remove_input"}
_HIDDEN_OUTPUT = {"remove-output", "hide-output", "remove_output", "remove-all-outputs"}


@dataclass
class Body:
    """A page's body.

    Attributes
    ----------
    title, lede : str
        HTML of the notebook's heading, and of what its first cell says below it.
    blocks : list of str or Figure
        In reading order.
    contents : list of (level, id, label)
        Headings of levels 2 and 3; labels are HTML.
    figures : list of Figure
        Those among the blocks.
    defaults : dict of str to str
        The parameters cell's names and values, as source.
    """

    title: str = ""
    lede: str = ""
    blocks: list = field(default_factory=list)
    contents: list[tuple[int, str, str]] = field(default_factory=list)
    figures: list[report_figures.Figure] = field(default_factory=list)
    defaults: dict[str, str] = field(default_factory=dict)


def read(path) -> nbformat.NotebookNode:
    """Return the notebook at `path`, brought to the current format.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise InputError(f"run {path.parent.name}: {path.name} cannot be read ({type(error).__name__})") from None


def _text(value) -> str:
    return "".join(value) if isinstance(value, list) else str(value)


def _headings(fragment: str, body: Body, taken: set[str]) -> str:
    """Return `fragment` with addresses on its headings, which join the table of contents."""

    def mark(match: re.Match) -> str:
        # a notebook has one H1, the page's title; a second one is a section like the others
        level, label = max(2, int(match[1])), match[2].strip()
        address = report_html.slug(report_html.plain(re.sub(r"<math.*?</math>", " ", label, flags=re.DOTALL)), taken)
        if level <= 3:
            body.contents.append((level, address, label))
        return f'<h{level} id="{address}"><a class="anchor" href="#{address}">{label}</a></h{level}>'

    return _HEADING.sub(mark, fragment)


def _first_comment(source: str) -> str:
    """Return what a folded cell says of itself: its leading comment, else its first line."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    if not lines:
        return ""
    comment = re.sub(r"^[#%\s]+", "", lines[0]) if lines[0].startswith("#") else lines[0]
    return comment if len(comment) <= 78 else comment[:77].rstrip() + "…"


def code(source: str, label: str = "code", shown: bool = False) -> str:
    """Return a code cell, folded unless `shown`, with the parameters of pygments' classes for colour."""
    source = report_html.scrub(source)
    marked = highlight(source, PythonLexer(stripall=False), HtmlFormatter(nowrap=True))
    hint = "" if shown else html.escape(_first_comment(source))
    return (
        f'<details class="code"{" open" if shown else ""}><summary><span>{html.escape(label)}</span> '
        f"<small>{hint}</small></summary><pre><code>{marked.rstrip()}</code></pre></details>"
    )


def _printed(text: str, kind: str) -> str:
    # a progress bar rewrites its line; only what it ended with is worth reading
    lines = [line.rsplit("\r", 1)[-1] for line in strip_ansi(text).replace("\r\n", "\n").split("\n")]
    text = report_html.scrub("\n".join(lines)).strip("\n")
    if not text.strip():
        return ""
    block = f'<pre class="{kind}" tabindex="0">{html.escape(text)}</pre>'
    count = text.count("\n") + 1
    if kind == "messages" or count > _LONG:
        label = "messages" if kind == "messages" else "printed"
        lines_word = "line" if count == 1 else "lines"
        return (
            f'<details class="folded"><summary>{label} <small>{count} {lines_word}</small></summary>{block}</details>'
        )
    return block


def _image(kind: str, data: str) -> str:
    if kind == "image/svg+xml":
        data = base64.b64encode(report_html.scrub(data).encode()).decode("ascii")
    return f'<p class="picture"><img src="data:{kind};base64,{"".join(data.split())}" alt="output of the cell"></p>'


def _output(output, body: Body, taken: set[str], small: bool) -> str | report_figures.Figure:
    """Return one output as clean HTML, or as a figure."""
    if output.output_type == "stream":
        return _printed(_text(output.text), "messages" if output.name == "stderr" else "printed")
    if output.output_type == "error":
        lines = "\n".join(map(str, output.get("traceback", []))) or f"{output.ename}: {output.evalue}"
        return _printed(lines, "error").replace('class="folded"', 'class="folded failed" open')
    data = output.get("data", {})
    if report_figures.MIMETYPE in data:
        bundle = data[report_figures.MIMETYPE]
        if report_figures.needs_network(bundle):
            return '<p class="aside">A map that needs a map service; it is shown in the notebook only.</p>'
        figure = report_figures.build(bundle, len(body.figures) + 1, taken, small)
        body.figures.append(figure)
        return figure
    if "text/html" in data:
        cleaned = report_html.sanitise(_text(data["text/html"]))
        if report_html.plain(cleaned) or "<img" in cleaned:
            return f'<div class="result">{cleaned}</div>'
    if "text/latex" in data:
        return report_html.latex_output(_text(data["text/latex"]))
    if "text/markdown" in data:
        return _headings(report_html.markdown(_text(data["text/markdown"])), body, taken)
    for kind in ("image/png", "image/jpeg", "image/svg+xml"):
        if kind in data:
            return _image(kind, _text(data[kind]))
    if "application/vnd.jupyter.widget-view+json" in data:
        return ""
    return _printed(_text(data.get("text/plain", "")), "printed")


def _joined_streams(outputs: list) -> list:
    """Return outputs with neighbouring pieces of one stream joined; kernels cut them where they like."""
    joined = []
    for output in outputs:
        last = joined[-1] if joined else None
        both = last is not None and last.output_type == output.output_type == "stream"
        if both and last.name == output.name:
            joined[-1] = nbformat.from_dict({**last, "text": _text(last.text) + _text(output.text)})
        else:
            joined.append(output)
    return joined


def _title(source: str) -> tuple[str, str]:
    """Return heading and the rest of a notebook's first markdown cell, or no heading."""
    match = re.match(r"\s*#\s+(.+?)\s*(?:\n|$)", source)
    return (match[1], source[match.end() :]) if match else ("", source)


def convert(notebook: nbformat.NotebookNode, taken: set[str], small: bool = False) -> Body:
    """Return an executed notebook as the body of a page.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        With its outputs. Cells tagged ``remove-cell``, ``remove-input`` or ``hide-output`` are left out so far.
    taken : set of str
        Addresses that the page uses already; those of headings and figures join it.
    small : bool
        Store figures' numbers with 7 digits, for a page that would pass its size limit.
    """
    body = Body()
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if tags & _HIDDEN_CELL:
            continue
        source = _text(cell.source).strip("\n")
        if cell.cell_type == "markdown":
            if not body.title and not body.blocks:
                heading, source = _title(source)
                if heading:
                    body.title = re.sub(r"^<p>|</p>\s*$", "", report_html.markdown(heading).strip())
                    opening, *rest = re.split(r"(?m)^(?=##)", source.strip(), maxsplit=1)
                    body.lede, source = report_html.markdown(opening), "".join(rest)
            if source.strip():
                body.blocks.append(f'<div class="prose">{_headings(report_html.markdown(source), body, taken)}</div>')
        elif cell.cell_type == "code":
            _code_cell(cell, source, tags, body, taken, small)
    return body


def _assignments(source: str) -> dict[str, str]:
    """Return the simple assignments of a parameters cell: name to value, both as source."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return {}
    found = {}
    for statement in statements:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and getattr(statement, "value", None) is not None:
            found[targets[0].id] = ast.unparse(statement.value)
    return found


def _injected(source: str, defaults: dict[str, str]) -> str:
    """Return those of a run's injected parameters that differ from the defaults; papermill injects them all."""
    given = _assignments(source)
    return "\n".join(f"{name} = {value}" for name, value in given.items() if defaults.get(name) != value)


def _code_cell(cell, source: str, tags: set[str], body: Body, taken: set[str], small: bool) -> None:
    if source.strip() and not tags & _HIDDEN_INPUT:
        if "injected-parameters" in tags:
            changed = _injected(source, body.defaults)
            if changed:
                body.blocks.append(code(changed, "parameters of this run", shown=True))
        elif "parameters" in tags:
            body.defaults = _assignments(source)
            body.blocks.append(code(source, "parameters", shown=True))
        else:
            body.blocks.append(code(source))
    if tags & _HIDDEN_OUTPUT:
        return
    for output in _joined_streams(cell.get("outputs", [])):
        part = _output(output, body, taken, small)
        if part:
            body.blocks.append(part)
