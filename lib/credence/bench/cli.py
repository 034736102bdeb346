"""The command line ``credence``. Bad input ends with exit code 2 and one message; a failed run with 1."""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from credence import __version__
from credence.bench.errors import InputError, choose
from credence.bench.papers import PAPERS

app = typer.Typer(
    help="Re-run systems papers and see, claim by claim, how much to believe them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
notebooks_app = typer.Typer(help="The notebooks as files in git.", no_args_is_help=True)
INTERRUPTED = 130  # as a shell reports SIGINT
out = Console()
err = Console(stderr=True, highlight=False)


def _version(value: bool) -> None:
    if value:
        out.print(f"credence {__version__}")
        raise typer.Exit


@app.callback()
def _main(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False) -> None:
    pass


@app.command("list")
def list_() -> None:
    """Show papers, notebooks, presets and the minutes to expect."""
    from credence.bench import parameters, runner
    from credence.bench.presets import PRESETS

    known = runner.notebooks()
    table = Table(title="notebooks", title_justify="left")
    for name in ("paper", "notebook", "what it shows"):
        table.add_column(name, overflow="fold")
    for preset in PRESETS:
        table.add_column(f"{preset}\n[min]", justify="right")
    table.add_column("parameters", overflow="fold")
    for item in known.values():
        minutes = item.info.get("minutes", {})
        names = ", ".join(p.name for p in parameters.read(item.path) if p.name != "preset")
        table.add_row(
            PAPERS[item.paper].short,
            item.key,
            item.info.get("title", ""),
            *(f"{minutes[p]:g}" if p in minutes else "?" for p in PRESETS),
            names,
        )
    out.print(table)
    for paper in PAPERS.values():
        if not any(item.paper == paper.name for item in known.values()):
            out.print(f"{paper.short} ({paper.venue}): no notebooks yet")


@app.command()
def run(
    target: Annotated[list[str] | None, typer.Argument(help="notebooks (paper/name), papers, or all (default)")] = None,
    preset: Annotated[str | None, typer.Option(help="smoke, quick or full; each notebook's default is quick")] = None,
    parameter: Annotated[list[str] | None, typer.Option("-p", help="name=value; may be repeated")] = None,
    file: Annotated[Path | None, typer.Option("-f", help="YAML file of parameters")] = None,
    jobs: Annotated[int, typer.Option(help="runs at a time")] = 1,
    force: Annotated[bool, typer.Option(help="run again what is unchanged")] = False,
) -> None:
    """Run notebooks; what has not changed since its last run is skipped."""
    from credence.bench import parameters, run_view, runner
    from credence.bench.presets import PRESETS

    if not 1 <= jobs <= 256:
        raise InputError(f"--jobs {jobs}; allowed: 1 to 256")
    given = parameters.load_file(file) if file else {}
    for text in parameter or []:
        name, value = parameters.parse(text)
        given[name] = value
    if preset is not None:
        given["preset"] = choose(preset, PRESETS, "preset")
    chosen = {notebook.path: notebook for name in target or ["all"] for notebook in runner.select(name)}
    tasks = runner.plan(list(chosen.values()), given, force)
    raise typer.Exit(run_view.run(tasks, jobs, err))


@app.command()
def sweep(
    grid: Annotated[Path, typer.Argument(help="grid file (YAML)")],
    scheduler: Annotated[str | None, typer.Option(help="address of a Dask scheduler, tcp://host:port")] = None,
    jobs: Annotated[int | None, typer.Option(help="workers of the local cluster")] = None,
    out_file: Annotated[Path | None, typer.Option("--out", help="parquet file to write")] = None,
) -> None:
    """Run a grid of parameters on a local Dask cluster, or on any scheduler."""
    from credence.bench import sweep as sweeping

    raise typer.Exit(sweeping.main(grid, scheduler, jobs, out_file))


@app.command()
def report(
    single_file: Annotated[bool, typer.Option("--single-file", help="carry plotly inside each page")] = False,
    to: Annotated[Path | None, typer.Option("--out", help="folder to write; default: reports")] = None,
) -> None:
    """Build the HTML reports of the finished runs, and the claims board index.html."""
    from credence.bench import paths, runner
    from credence.bench import report as building

    # beside each notebook's run of record, those with parameters of the reader's own get a page too
    own = [folder for folder, record in runner.finished() if not record["default_parameters"]]
    runs = [*runner.latest_runs().values(), *own]
    if not runs:
        raise InputError(f"no finished run below {paths.shown(paths.runs_dir())}; run `credence run` first")
    folder = to or paths.reports_dir()
    pages = building.build(runs, folder, single_file=single_file)
    trouble = building.check(folder)
    out.print(f"wrote {len(pages)} pages; open {paths.shown(folder / 'index.html')}")
    for line in trouble:
        err.print(f"report problem: {line}", markup=False)
    raise typer.Exit(1 if trouble else 0)


@app.command()
def claims(
    paper: Annotated[str | None, typer.Argument(help="one paper; default: all")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON array")] = False,
    freeze: Annotated[bool, typer.Option(help="store this paper's present verdicts and update README")] = False,
) -> None:
    """Show every claim with its verdict, ours and the paper's value."""
    from credence.bench import claims as registry
    from credence.bench import recorded, runner

    if paper is not None:
        choose(paper, PAPERS, "paper")
    if freeze:
        if paper is None:
            raise InputError(f"--freeze needs a paper: {', '.join(PAPERS)}")
        out.print(f"froze {recorded.freeze(paper)} claims of {paper}")
        return
    rows = registry.board(runner.latest_records(), paper)
    if as_json:
        # plain print: rich would wrap lines and colour numbers
        print(json.dumps(registry.as_json(rows), indent=1, ensure_ascii=False, allow_nan=False))
        return
    table = Table(title="claims", title_justify="left", expand=True)
    for name, ratio in {
        "claim": 3,
        "statement": 8,
        "paper": 2,
        r"ours \[90 %]": 3,
        "P": 1,
        "verdict": 3,
        "data": 2,
    }.items():
        table.add_column(name, overflow="fold", ratio=ratio)
    for row in rows:
        text = registry.words(row)
        cells = (row["id"], row["statement"], *text.values(), row["data_kind"] or "")
        # brackets of an interval are no markup
        table.add_row(*(cell.replace("[", r"\[") for cell in cells))
    out.print(table)


@notebooks_app.command()
def refresh(target: Annotated[str, typer.Argument(help="notebook, paper or all")] = "all") -> None:
    """Run notebooks at the smoke preset and store the outputs of their checked cells."""
    from credence.bench import notebooks, runner

    for item in runner.select(target):
        changed = notebooks.refresh(item)
        out.print(f"{item.key}: {'updated' if changed else 'unchanged'}")


@notebooks_app.command()
def check(target: Annotated[str, typer.Argument(help="notebook, paper or all")] = "all") -> None:
    """Say where a notebook is not as it should be: order, tags, stored outputs, long functions."""
    from credence.bench import notebooks, runner

    bad = [(item.key, problem) for item in runner.select(target) for problem in notebooks.problems(item)]
    for key, problem in bad:
        out.print(f"{key}: {problem}", markup=False)
    if not bad:
        out.print("no problems")
    raise typer.Exit(1 if bad else 0)


@app.command()
def environment(check_only: Annotated[bool, typer.Option("--check", help="only say whether it is up to date")] = False):
    """Generate environment.yml from pyproject.toml."""
    from credence.bench import environment as generating

    raise typer.Exit(generating.main(check=check_only) or 0)


def _add_apps() -> None:
    """Attach the sub-commands; their modules import what is heavy only when a command runs."""
    app.add_typer(notebooks_app, name="notebooks")
    rows = [("data", "credence.bench.data_cli:app", "Data sets: list, get, verify.")]
    rows += [(p.name, p.cli, f"{p.short} on your own data.") for p in PAPERS.values() if p.cli]
    for name, address, text in rows:
        module, attribute = address.split(":")
        app.add_typer(getattr(importlib.import_module(module), attribute), name=name, help=text)


def main() -> None:
    """Entry point: run a command; one message and exit code 2 for bad input, 130 for Ctrl-C."""
    try:
        _add_apps()
        app()
    except InputError as error:
        err.print(f"error: {error}", markup=False, soft_wrap=True)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as end:
        # typer turns Ctrl-C into a silent exit with this code
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        err.print("interrupted; finished runs are kept, and the same command goes on from here")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # the reader of our output went away (`| head`); say nothing more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
