"""``credence data``: see which data sets there are, get them, check them."""

from __future__ import annotations

import typer

app = typer.Typer(help="The data catalogue: list, get and verify data sets.", no_args_is_help=True)


@app.command("list")
def list_sets(paper: str | None = typer.Option(None, help="Only the data sets of this paper.")) -> None:
    """List the data sets: kind, size, licence, and where each one is."""
    from credence.bench import catalogue
    from credence.bench.errors import choose
    from credence.bench.papers import PAPERS

    if paper is not None:
        choose(paper, PAPERS, "paper")
    rows = []
    for name in catalogue.names(paper):
        item = catalogue.entry(name)
        rows.append((name, item.kind, f"{item.rows:,}", _size(item.bytes), item.licence, _place(item)))
    _table(("name", "kind", "rows", "size", "licence", "where"), rows, right=(2, 3))


@app.command("get")
def get_sets(name: str = typer.Argument(help="A data set, or 'all'.")) -> None:
    """Bring a data set (or all of them) to this machine and say where it is."""
    from credence.bench import catalogue
    from credence.bench.errors import InputError

    if name != "all":
        print(catalogue.get(name))
        return
    rows = []
    for each in catalogue.names():
        try:
            rows.append((each, "ok", str(catalogue.get(each))))
        except InputError as error:
            rows.append((each, "failed", str(error)))
    _table(("name", "status", "file, or what is missing"), rows)
    if any(status == "failed" for _, status, _ in rows):
        raise typer.Exit(1)


@app.command("verify")
def verify_sets(
    name: str = typer.Argument("all", help="A data set, or 'all'."),
    anew: bool = typer.Option(False, "--anew", help="Also make simulated sets anew and compare."),
) -> None:
    """Check hashes and content of every copy on this machine; exit code 1 if anything is wrong."""
    from credence.bench import catalogue

    chosen = catalogue.names() if name == "all" else [name]
    found = [catalogue.verify(each, anew) for each in chosen]
    rows = [(v.name, v.status, "\n".join(v.problems) or ", ".join(v.places) or "-") for v in found]
    _table(("name", "status", "copies read, or what is wrong"), rows)
    # A third-party set that isn't here is no fault, unless it is the one that was asked for.
    if any(v.status == "wrong" or (name != "all" and v.status == "not here") for v in found):
        raise typer.Exit(1)


def _place(item) -> str:
    from credence.bench import catalogue_fetch

    places = [place for place, _ in catalogue_fetch.local_copies(item)]
    return places[0] if places else "not here"


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def _table(titles, rows, right=()) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for position, title in enumerate(titles):
        # The name is what the next command needs, whole.
        justify = "right" if position in right else "left"
        table.add_column(title, justify=justify, overflow="fold", no_wrap=position == 0 or position in right)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a bracket in a name is no markup
    Console().print(table)
