"""Text of unknown origin made fit for a report: markdown and HTML cleaned, machine paths and external hosts taken out.

Order matters: markdown is rendered with its formulas taken out, the result is cleaned by bleach, and only then do the
formulas (built from an allow-list of their own) return. Nothing that a notebook or a user's file says can reach the
page as a script, a form, or a request to a host.
"""

import getpass
import html
import re
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import bleach
from bleach.css_sanitizer import CSSSanitizer
from bs4 import BeautifulSoup
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from credence.bench import paths
from credence.bench.report_math import to_mathml, words

_TAGS = words(
    """
    a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure h1 h2
    h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody
    td tfoot th thead tr u ul var
    """
)
_DROPPED = words(
    """
    script style iframe object embed form input button textarea select link meta base template noscript
    """
)
_STYLES = words(
    """
    background-color border-left border-radius color font-size font-style font-weight min-width padding
    text-align text-decoration vertical-align white-space width
    """
)
_ATTRIBUTES = {
    "*": ["class", "style", "title"],
    "a": ["href"],
    "img": ["src", "alt", "width", "height"],
    "td": ["colspan", "rowspan"],
    "th": ["colspan", "rowspan", "scope"],
    "ol": ["start"],
    "details": ["open"],
}
_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
_PLACEHOLDER = "\ue000{}\ue001"
_MACHINE_PATH = re.compile(
    r"(?<![\w.+/=~-])(?:file://)?/(?:home|root|tmp|work|Users|mnt|media|opt|srv|var|private|usr/local|usr/lib)/"
    r"""(?:[^\s"'<>:;,)(\]\[/]+/)*(?P<last>[^\s"'<>:;,)(\]\[/]*)"""
)
_WINDOWS_PATH = re.compile(r"""\b[A-Za-z]:\\(?:[^\s"'<>:;,\\]+\\)*(?P<last>[^\s"'<>:;,\\]*)""")


def _own_places() -> list[tuple[str, str]]:
    """Return this machine's folders and what to call them, the longest first."""
    root, home = str(paths.root()), str(Path.home())
    places = {root + "/": "", root: ".", sys.prefix: "…", home: "~"}
    return sorted(((place, name) for place, name in places.items() if len(place) > 3), key=lambda row: -len(row[0]))


def scrub(text: str) -> str:
    """Return `text` without folders of the machine that built it; the last part of a path stays."""
    if "/" in text or "\\" in text:
        for place, name in _own_places():
            # only as a whole path: `/homely` does not begin with `/home`
            ending = "" if place.endswith("/") else r"(?![\w.-])"
            text = re.sub(rf"(?<![\w/.]){re.escape(place)}{ending}", lambda _, name=name: name, text)
        text = _MACHINE_PATH.sub(lambda match: "…/" + match["last"], text)
        text = _WINDOWS_PATH.sub(lambda match: "…/" + match["last"], text)
    host = socket.gethostname()
    # a host called `paper` would take words out of the text; those named by machines carry digits
    if len(host) > 3 and any(character.isdigit() for character in host):
        text = re.sub(rf"\b{re.escape(host)}\b", "this-machine", text)
    user = getpass.getuser()
    return re.sub(rf"\b{re.escape(user)}@(?=[\w-]+)", "user@", text)


def scrub_tree(value):
    """Return nested lists and dictionaries with every string scrubbed, but for the bytes of arrays."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list):
        return [scrub_tree(item) for item in value]
    if isinstance(value, dict):
        return {key: item if key == "bdata" else scrub_tree(item) for key, item in value.items()}
    return value


def out_link(address: str, label: str | None = None) -> str:
    """Return a link that names its address but is no request: report.js makes an anchor of it when the page is read."""
    shown = re.sub(r"^https?://", "", address.strip())
    shown = re.sub(r"^doi:", "doi.org/", shown)
    shown = re.sub(r"^arXiv:", "arxiv.org/abs/", shown, flags=re.IGNORECASE)
    return f'<span class="out" data-address="{html.escape(shown)}">{label or html.escape(shown)}</span>'


def sanitise(fragment: str) -> str:
    """Return an HTML fragment without scripts, styles, forms, handlers, remote images and direct links to hosts.

    Parameters
    ----------
    fragment : str
        HTML from a notebook's output or markdown.

    Returns
    -------
    str
        Balanced HTML; tables are wrapped so that they scroll inside the page.
    """
    soup = BeautifulSoup(fragment, "html.parser")
    for element in soup.find_all(list(_DROPPED)):
        element.decompose()
    for image in soup.find_all("img"):
        if not _IMAGE.fullmatch(image.get("src", "")):
            image.replace_with(f"[image: {image.get('alt') or 'not stored in the report'}]")
    # pandas sets the borders by attribute and marks its frames by a class; the page has a style of its own
    cleaned = bleach.clean(
        str(soup),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        protocols={"http", "https", "data", "mailto"},
        strip=True,
        strip_comments=True,
        css_sanitizer=CSSSanitizer(allowed_css_properties=_STYLES),
    )
    soup = BeautifulSoup(cleaned, "html.parser")
    for anchor in soup.find_all("a"):
        address = anchor.get("href", "")
        if re.match(r"https?://", address):
            anchor.replace_with(BeautifulSoup(out_link(address, anchor.decode_contents()), "html.parser"))
        elif urlsplit(address).scheme or not address.startswith("#"):
            # files beside the notebook are not beside the report
            anchor.unwrap()
    for table in soup.find_all("table"):
        if table.find_parent("table") is None:
            table.wrap(soup.new_tag("div", attrs={"class": "table-scroll", "tabindex": "0", "role": "region"}))
    for node in list(soup.find_all(string=True)):
        scrubbed = scrub(str(node))
        if scrubbed != node:
            node.replace_with(scrubbed)
    return str(soup)


class _Renderer(IPythonRenderer):
    """nbconvert's markdown with formulas set aside as placeholders."""

    def __init__(self):
        super().__init__(escape=False, exclude_anchor_links=True, allow_harmful_protocols=False)
        self.formulas: list[str] = []

    def _set_aside(self, source: str, display: bool) -> str:
        self.formulas.append(to_mathml(source, display))
        return _PLACEHOLDER.format(len(self.formulas) - 1)

    def block_math(self, body: str) -> str:
        return self._set_aside(body, True)

    def inline_math(self, body: str) -> str:
        return self._set_aside(body, False)

    def latex_environment(self, name: str, body: str) -> str:
        return self._set_aside(rf"\begin{{{name}}}{body}\end{{{name}}}", True)

    def block_mermaidjs(self, code: str) -> str:
        return f"<pre>{html.escape(code)}</pre>"

    def _embed_image_or_attachment(self, src: str) -> str:
        return src  # sanitise decides; a missing attachment must not stop the build


def markdown(source: str) -> str:
    r"""Return markdown as clean HTML with its formulas (``$..$``, ``$$..$$``, ``\begin..``) as MathML."""
    renderer = _Renderer()
    source = source.replace("\ue000", "").replace("\ue001", "")
    cleaned = sanitise(MarkdownWithMath(renderer=renderer).render(source))
    return re.sub("\ue000(\\d+)\ue001", lambda match: renderer.formulas[int(match[1])], cleaned)


def latex_output(source: str) -> str:
    """Return a ``text/latex`` output as MathML, its delimiters taken off."""
    bare = re.sub(r"^\s*(\$\$?|\\\[|\\displaystyle)|(\$\$?|\\\])\s*$", "", source.strip())
    bare = re.sub(r"^\s*\\displaystyle\b", "", bare)
    return f"<p>{to_mathml(bare, True)}</p>"


def plain(fragment: str) -> str:
    """Return the words of an HTML fragment (plotly's titles use a little HTML)."""
    return " ".join(html.unescape(re.sub(r"<br\s*/?>|<[^>]*>", " ", fragment)).split())


def slug(text: str, taken: set[str] | None = None) -> str:
    """Return a stable address inside the page for `text`, unlike those already `taken` (which it joins)."""
    base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "section"
    name, count = base, 1
    while taken is not None and name in taken:
        count += 1
        name = f"{base}-{count}"
    if taken is not None:
        taken.add(name)
    return name
