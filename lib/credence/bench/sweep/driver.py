"""``credence sweep``: compute what a grid still lacks, keep every point as it comes, write the table.

Every finished point is written at once by the process that called `run`, and never computed again while its
parameters and the source it came from stay the same: an interrupt, a killed worker or a failing point costs that point
only. Workers return rows, never paths, and find notebook, library and data among their own files.
"""

import json
import shlex
import sys
from pathlib import Path

from credence.bench import paths
from credence.bench.errors import InputError
from credence.bench.sweep import cluster, point, store
from credence.bench.sweep import grid as grids

SHOWN_FAILURES = 5


class SweepFailed(RuntimeError):
    """Some points were not computed; the others are kept and the next call tries the missing ones again.

    Attributes
    ----------
    failures : list of dict
        ``point_id``, ``parameters`` and the last ``lines`` of each point that raised.
    path : Path or None
        The table of the points that finished, if any did.
    """

    def __init__(self, failures: list[dict], path: Path | None, finished: int, total: int):
        self.failures, self.path = failures, path
        lost = total - finished - len(failures)
        text = f"{len(failures)} of {total} points failed" + (f", {lost} were not computed" if lost else "")
        super().__init__(f"{text}; the same command tries them again")


def _failure_text(failure: dict, lines: int | None = None) -> str:
    parameters = ", ".join(f"{name}={value!r}" for name, value in failure["parameters"].items())
    shown = failure["lines"] if lines is None else failure["lines"][-lines:]
    return "\n".join([f"point {failure['point_id']} failed ({parameters})", *(f"    {line}" for line in shown)])


def _settings(grid: grids.Grid, scheduler, jobs, out) -> tuple[Path, Path, str]:
    """Return the sweep's folder, the table's file and the command line, all checked before any work."""
    words = ["credence", "sweep", paths.shown(grid.path)]
    if scheduler is not None:
        words += ["--scheduler", cluster.address(scheduler)]
    if jobs is not None:
        if scheduler is not None:
            raise InputError(f"--jobs {jobs}: the scheduler has workers of its own; allowed: --jobs or --scheduler")
        if isinstance(jobs, bool) or not isinstance(jobs, int) or not 1 <= jobs <= 1024:
            raise InputError(f"--jobs {jobs!r}; allowed: 1..1024")
        words += ["--jobs", str(jobs)]
    folder = paths.reports_dir() / "sweeps" / grid.name
    table = folder / f"{grid.name}.parquet" if out is None else Path(out)
    if table.suffix != ".parquet" or table.is_dir():
        raise InputError(f"--out {str(out)!r}; allowed: a file whose name ends in .parquet")
    for place in (folder, table.parent):
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{paths.shown(place)} can't hold results: {error.strerror}; allowed: a folder") from None
    return folder, table, shlex.join(words)


def run(
    grid_path: str | Path,
    scheduler: str | None = None,
    jobs: int | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> Path:
    """Compute the points of a grid file that are not there yet, and write the table of all.

    Parameters
    ----------
    grid_path : str or Path
        See `credence.bench.sweep.grid`.
    scheduler : str, optional
        Address of a Dask scheduler, ``tcp://host:port``; by default a cluster is started on this machine's loopback.
        Whoever reaches a scheduler can run code on its workers, and they answer this process: name one you trust.
    jobs : int, optional
        Workers of the local cluster; by default one a core, never more than there are points to do.
    out : str or Path, optional
        The table, ``*.parquet``; by default ``reports/sweeps/<grid>/<grid>.parquet``.
    progress : bool
        Say on stderr what is done, to do and failing.

    Returns
    -------
    Path
        The table: one row a point and metric for a notebook (columns: its parameters, metric, value, the 5 % and 95 %
        quantiles of the draws as lo and hi, n_draws, kind, diagnostics_passed, missing_data), one row a returned row
        for a function (its parameters, what it returned); then point_id and seconds [s]. The schema's metadata holds
        a JSON ``credence``: grid, versions, fingerprint of the source, date, command, points and finished points.

    Raises
    ------
    InputError
        On a bad grid or argument, an unreachable scheduler, or workers that are not like this process.
    SweepFailed
        If points failed; the table of the others is written.
    KeyboardInterrupt
        Passed on, after the table of the points so far is written.
    """
    from tqdm import tqdm

    grid = grids.read(grid_path)
    folder, table, command = _settings(grid, scheduler, jobs, out)
    print_now = point.fingerprint(grid.kind, grid.target)
    kept = store.Store(folder, grid, print_now)
    wanted = {store.point_id(grid, print_now, parameters): parameters for parameters in grid.points}
    done = {name: content for name in wanted if (content := kept.read(name))}
    todo = {name: parameters for name, parameters in wanted.items() if name not in done}
    failures: list[dict] = []

    def say(text: str) -> None:
        if progress:
            tqdm.write(text, file=sys.stderr)

    def write_table() -> Path | None:
        if done:
            in_order = [done[name] for name in wanted if name in done]
            store.write_table(table, grid, print_now, in_order, command)
        return table if done else None

    say(f"{grid.name}: {len(wanted)} points of {grid.target}: {len(done)} done, {len(todo)} to do" + kept.why(todo))
    head = {"kind": grid.kind, "target": grid.target, "source": kept.source}
    tasks = {name: json.dumps(head | {"parameters": parameters}) for name, parameters in todo.items()}
    bar = tqdm(total=len(wanted), initial=len(done), unit="point", file=sys.stderr, disable=not (progress and todo))

    def ended(name: str, answer: dict) -> None:
        if "failure" in answer:
            failures.append({"point_id": name, "parameters": todo[name], "lines": answer["failure"]})
            if len(failures) <= SHOWN_FAILURES:
                say(_failure_text(failures[-1]))
        else:
            done[name] = kept.write(name, todo[name], answer)
        bar.update()

    try:
        if tasks:
            if scheduler is None:
                connection = cluster.local(jobs, len(tasks))
            else:
                connection = cluster.remote(scheduler, grid.kind, grid.target, print_now)
            with connection as client:
                cluster.collect(client, tasks, ended, say)
    except KeyboardInterrupt:
        # it may have come between writing a point and noting it
        done |= {name: content for name in todo if (content := kept.read(name))}
        write_table()
        say(f"interrupted: {len(done)} of {len(wanted)} points are kept; the same command computes the rest")
        raise
    finally:
        bar.close()
    written = write_table()
    if len(done) < len(wanted):
        raise SweepFailed(failures, written, len(done), len(wanted))
    say(f"written: {paths.shown(table)}")
    return table


def main(grid_path: str, scheduler: str | None = None, jobs: int | None = None, out: str | None = None) -> int:
    """Run a sweep for the command line; return 0, or 1 with a summary on stderr if points failed.

    Raises
    ------
    InputError, KeyboardInterrupt
        As `run`.
    """
    try:
        run(grid_path, scheduler, jobs, out)
    except SweepFailed as error:
        print(error, file=sys.stderr)
        for failure in error.failures[:SHOWN_FAILURES]:
            print("  " + _failure_text(failure, lines=1).replace("\n", "\n  "), file=sys.stderr)
        if (more := len(error.failures) - SHOWN_FAILURES) > 0:
            print(f"  and {more} more", file=sys.stderr)
        return 1
    return 0
