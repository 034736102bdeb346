"""Finished runs as HTML reports that open offline, and the claims board of all papers as their index.

A report is a page of our own around the executed notebook: prose with formulas as MathML, folded code, figures drawn
by one shared ``assets/plotly.min.js``. Equal runs give equal bytes: no time of building, no path, no host goes in.
"""

import json
import re
import shutil
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from credence.bench import claims, report_claims, report_figures, report_html, report_notebook, thumbnail
from credence.bench.errors import InputError
from credence.bench.papers import PAPERS
from credence.bench.report_check import check

__all__ = ["MOST_BYTES", "build", "check"]

MOST_BYTES = 1_000_000
MARK = '<meta name="generator" content="credence">'
ASSETS, PLOTLY = "assets", "plotly.min.js"


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("credence.bench", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["out_link"] = lambda address: Markup(report_html.out_link(str(address)))
    environment.filters["scrub"] = lambda text: report_html.scrub(str(text))
    environment.filters["breakable"] = _breakable
    environment.globals["asset"] = _asset
    return environment


def _breakable(text: str) -> Markup:
    """Return `text` escaped, with places where a long path may break its line."""
    return Markup(re.sub(r"(?<=\w)([/_])(?=\w)", r"\1<wbr>", str(escape(text))))


@cache
def _asset(name: str) -> Markup:
    """Return a style sheet or script of ours, to stand inside the page."""
    return Markup((resources.files("credence.bench") / "templates" / name).read_text(encoding="utf-8").strip())


@cache
def _plotly_source() -> str:
    return (resources.files("plotly") / "package_data" / PLOTLY).read_text(encoding="utf-8")


def _record(run: Path) -> dict:
    path = Path(run) / "record.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"run {Path(run).name}: record.json cannot be read ({type(error).__name__})") from None
    if missing := [key for key in ("paper", "notebook", "run_id") if not record.get(key)]:
        raise InputError(f"run {Path(run).name}: record.json lacks {', '.join(missing)}")
    return record


def _key(record: dict) -> str:
    return f"{record['paper']}/{record['notebook']}"


def _preferred(record: dict) -> tuple:
    """Sort key, as in `runner.latest_runs`: default parameters, then other presets than smoke, then the newest."""
    return (bool(record.get("default_parameters")), record.get("preset") != "smoke", str(record.get("started", "")))


def _name_files(records: list[dict]) -> dict[str, str]:
    """Return run id to file name below ``out``: the preferred default run of a notebook gets the bare name."""
    names, bare = {}, set()
    for record in sorted(records, key=_preferred, reverse=True):
        base = f"{record['paper']}/{Path(record['notebook']).name}"
        if record.get("default_parameters", False) and base not in bare:
            bare.add(base)
            names[record["run_id"]] = f"{base}.html"
        else:
            names[record["run_id"]] = f"{base}-{record['run_id']}.html"
    return names


def _minutes(record: dict) -> str:
    seconds = float(record.get("seconds") or 0)
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _moment(record: dict, finished: bool = False) -> str:
    """Return when a run started (or ended), to the minute [UTC], or an empty string."""
    try:
        moment = datetime.fromisoformat(str(record.get("started")))
    except ValueError:
        return ""
    if finished:
        moment += timedelta(seconds=float(record.get("seconds") or 0))
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _kinds(record: dict) -> list[str]:
    """Return the kinds of evidence in a run, the strongest first."""
    used = {item.get("kind") for item in [*record.get("data", []), *record.get("metrics", {}).values()]}
    return [kind for kind in claims.KINDS if kind in used]


def _board(records: list[dict], paper: str | None = None) -> list[dict]:
    return claims.board({_key(record): record for record in records}, paper)


def _shown(record: dict) -> dict:
    """Return a record's own words as a page may show them."""
    return {
        **{key: record.get(key) for key in ("paper", "notebook", "run_id", "preset", "seed")},
        "title": record.get("title") or record["notebook"],
        "claim_sentence": record.get("claim_sentence") or "",
        "parameters": {key: report_html.scrub(str(value)) for key, value in record.get("parameters", {}).items()},
        "default_parameters": bool(record.get("default_parameters")),
        "data": record.get("data", []),
        "missing_data": record.get("missing_data", []),
        "diagnostics": record.get("diagnostics", []),
        "versions": record.get("versions", {}),
        "command": report_html.scrub(record.get("command") or ""),
        "minutes": _minutes(record),
        "started": _moment(record),
        "kinds": _kinds(record),
    }


def _page(record: dict, run: Path, rows: list[dict], single_file: bool, small: bool) -> str:
    taken = {"claims", "provenance", "contents"}
    notebook = report_notebook.read(run / "executed.ipynb")
    body = report_notebook.convert(notebook, taken, small)
    shared = {key: template for figure in body.figures for key, template in figure.templates.items()}
    paper = PAPERS.get(record["paper"])
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            record=_shown(record),
            paper=paper,
            title=Markup(body.title) if body.title else _shown(record)["title"],
            plain_title=report_html.plain(body.title) or _shown(record)["title"],
            lede=Markup(body.lede),
            blocks=[Markup(block) if isinstance(block, str) else block for block in body.blocks],
            contents=[(level, address, Markup(label)) for level, address, label in body.contents],
            figures=body.figures,
            templates=Markup(report_figures.safe_json(shared)),
            payload=lambda figure: Markup(figure.payload),
            claims=[report_claims.view(row) for row in rows],
            plotly=Markup(_plotly_source().replace("</script", "<\\/script")) if single_file else None,
            small=small,
            is_figure=lambda block: isinstance(block, report_figures.Figure),
        )
    )


def _report(record: dict, run: Path, rows: list[dict], single_file: bool) -> str:
    page = _page(record, run, rows, single_file, small=False)
    if not single_file and len(page.encode()) > MOST_BYTES:
        page = _page(record, run, rows, single_file, small=True)
    return page


def _card(record: dict, name: str, variants: list[tuple[dict, str]]) -> dict:
    figures = record.get("figures", [])
    main = next((figure for figure in figures if figure.get("main")), figures[0] if figures else {})
    label = f"thumbnail: {report_html.plain(str(main.get('title') or 'main figure'))}"
    own = _shown(record)
    defaults = own["parameters"]
    shown_variants = []
    for other, link in variants:
        changed = {k: v for k, v in _shown(other)["parameters"].items() if defaults.get(k) != v}
        words = ", ".join(f"{key} = {value}" for key, value in changed.items()) or f"preset {other.get('preset')}"
        shown_variants.append({"link": link, "words": words, "run_id": other["run_id"]})
    return own | {
        "link": name,
        "thumbnail": Markup(thumbnail.svg(main.get("thumbnail") or {}, label=label)),
        "variants": shown_variants,
    }


def _headline(views: list[dict]) -> str:
    if not views:
        return "No claims are registered yet."
    tally = {entry["verdict"]: entry["count"] for entry in report_claims.counts(views)}
    capped = sum(view["capped"] for view in views)
    parts = []
    for verdict, count in tally.items():
        if count:
            aside = f" ({capped} of them hold in our simulation)" if verdict == "trend only" and capped else ""
            parts.append(f"{count} {verdict}{aside}")
    papers = len({view["paper"] for view in views})
    claim_word, paper_word = ("claim" if len(views) == 1 else "claims"), ("paper" if papers == 1 else "papers")
    return f"{len(views)} {claim_word} of {papers} {paper_word}: {', '.join(parts)}."


def _paper_lines(views: list[dict], cards: list[dict]) -> list[dict]:
    lines = []
    for name, paper in PAPERS.items():
        own = [view for view in views if view["paper"] == name]
        reports = [card for card in cards if card["paper"] == name]
        claim_words = f"{len(own)} claim{'' if len(own) == 1 else 's'}"
        if reports:
            state = f"{len(reports)} report{'' if len(reports) == 1 else 's'}, {claim_words}"
        elif own:
            state = f"not run: {claim_words} registered, no finished run here"
        else:
            state = "planned: no notebooks and no claims registered yet"
        lines.append({"paper": paper, "state": state, "run": bool(reports), "counts": report_claims.counts(own)})
    return lines


def _data_lines(records: list[dict]) -> list[dict]:
    """Return the data sets that the reports read, each once, with the notebooks that read it."""
    lines: dict[str, dict] = {}
    for record in records:
        for item in record.get("data", []):
            line = lines.setdefault(item["name"], {**item, "readers": []})
            if record["notebook"] not in line["readers"]:
                line["readers"].append(record["notebook"])
    order = {kind: place for place, kind in enumerate(claims.KINDS)}
    return sorted(lines.values(), key=lambda line: (order.get(line.get("kind"), 9), line["name"]))


def _index(records: list[dict], names: dict[str, str], rows: list[dict]) -> str:
    links = {_key(record): names[record["run_id"]] for record in records}
    main = {}
    for record in sorted(records, key=lambda record: names[record["run_id"]] != f"{_key(record)}.html"):
        main.setdefault(_key(record), record)
    order = list(PAPERS)
    keys = sorted(main, key=lambda key: (order.index(key.split("/")[0]) if key.split("/")[0] in order else 99, key))
    cards = []
    for key in keys:
        record = main[key]
        links[key] = names[record["run_id"]]
        others = [(r, names[r["run_id"]]) for r in records if _key(r) == key and r is not record]
        cards.append(_card(record, names[record["run_id"]], others))
    views = [report_claims.view(row, links.get(row.get("notebook") or "", "")) for row in rows]
    return (
        _templates()
        .get_template("index.html.j2")
        .render(
            headline=_headline(views),
            counts=report_claims.counts(views),
            papers=_paper_lines(views, cards),
            short={name: paper.short for name, paper in PAPERS.items()},
            claims=views,
            ledger=[view for view in views if view["discrepancy"] or view["cause"]],
            inconsistencies=[item for item in claims.inconsistencies() if any(v["paper"] == item.paper for v in views)],
            cards=cards,
            data=_data_lines(records),
            newest=max((_moment(record, finished=True) for record in records), default=""),
            missing=sorted({name for record in records for name in record.get("missing_data", [])}),
            kinds=[kind for kind in claims.KINDS if any(view["data_kind"] == kind for view in views)],
            versions=max(records, key=lambda r: str(r.get("started", "")))["versions"] if records else {},
        )
    )


def build(runs: list[Path], out: Path, single_file: bool = False, rows: list[dict] | None = None) -> list[Path]:
    """Write a report for every run, and the claims board.

    Parameters
    ----------
    runs : list of Path
        Folders of finished runs, each with executed.ipynb and record.json.
    out : Path
        Folder to write: ``<paper>/<notebook>.html`` (default parameters), ``<paper>/<notebook>-<run_id>.html``
        (others), ``index.html``, ``assets/plotly.min.js``.
    single_file : bool
        Put plotly.js into every report, so that one file can be mailed (about 5 MB each).
    rows : list of dict, optional
        Board rows (`credence.bench.claims.board`); by default computed from the runs.

    Returns
    -------
    list of Path
        The pages written, the index first.

    Raises
    ------
    InputError
        If a run's record or notebook cannot be read.
    """
    out = Path(out)
    records = [_record(Path(run)) for run in runs]
    folder = {record["run_id"]: Path(run) for record, run in zip(records, runs, strict=True)}
    names = _name_files(records)
    main = [record for record in records if names[record["run_id"]] == f"{_key(record)}.html"]
    all_rows = _board(main) if rows is None else rows
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for record in records:
        if rows is None and record not in main:
            own = _board([record], record["paper"])
        else:
            own = all_rows
        own = [row for row in own if row.get("notebook") == _key(record)]
        page = out / names[record["run_id"]]
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_report(record, folder[record["run_id"]], own, single_file), encoding="utf-8")
        written.append(page)
    if not single_file:
        _write_plotly(out / ASSETS)
    _remove_stale(out, {*written})
    index = out / "index.html"
    index.write_text(_index(records, names, all_rows), encoding="utf-8")
    return [index, *written]


def _remove_stale(out: Path, written: set[Path]) -> None:
    """Remove reports that an earlier build left and no run stands behind now; only pages of ours, by their mark."""
    for paper in PAPERS:
        for page in (out / paper).glob("*.html"):
            if page not in written and MARK in page.read_text(encoding="utf-8", errors="replace")[:1000]:
                page.unlink()


def _write_plotly(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / PLOTLY
    with resources.as_file(resources.files("plotly") / "package_data" / PLOTLY) as source:
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
