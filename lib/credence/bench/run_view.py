"""What a person sees of a batch of runs: why each runs, how far it is, and, where one failed, all that helps."""

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from credence.bench.runner import Batch, Result, Task


def announce(tasks: list[Task], console: Console) -> None:
    """Print for each task whether it runs, and why."""
    for task in tasks:
        if task.done:
            console.print(f"{task.notebook.key}: unchanged since run {task.run_id}, skipped", markup=False)
        else:
            console.print(f"{task.notebook.key}: runs ({'; '.join(task.reasons)})", markup=False)


def failure(result: Result, console: Console) -> None:
    """Print one screen about a failed run: notebook, cell, last lines, parameters, the command to run it again."""
    found, task = result.failure, result.task
    # counted from one, the cell with the injected parameters among them, as in the executed notebook
    place = "" if found["cell"] is None else f", cell {found['cell'] + 1}"
    console.rule(f"failed: {task.notebook.key}{place}", style="red")
    if found["source"]:
        console.print("\n".join(found["source"].splitlines()[:8]), markup=False, style="dim")
    console.print("\n".join(found["lines"]), markup=False)
    console.print(found["error"], markup=False, style="bold")
    console.print(f"parameters: {task.parameters}", markup=False)
    console.print(f"notebook as far as it got: {found['folder']}", markup=False)
    console.print(f"run it again: {task.command}", markup=False, soft_wrap=True)


def summary(results: list[Result], console: Console) -> None:
    """Print one line a run: state, minutes, run id."""
    table = Table(title="runs", title_justify="left")
    for name in ("notebook", "preset", "state", "minutes", "run"):
        table.add_column(name)
    for result in results:
        task = result.task
        minutes = f"{result.seconds / 60:.1f}" if result.seconds else ""
        table.add_row(task.notebook.key, str(task.parameters.get("preset", "")), result.state, minutes, task.run_id)
    console.print(table)


def run(tasks: list[Task], jobs: int, console: Console) -> int:
    """Run the tasks and show how they go; return the exit code (1: at least one failed)."""
    announce(tasks, console)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("cell {task.completed:.0f}/{task.total:.0f}"))
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        lines: dict[str, int] = {}

        def moved(task: Task, cell: int, cells: int) -> None:
            if task.run_id not in lines:
                lines[task.run_id] = bar.add_task(task.notebook.key, total=cells)
            bar.update(lines[task.run_id], completed=cell, total=cells)

        def ended(result: Result) -> None:
            if result.task.run_id in lines:
                bar.remove_task(lines.pop(result.task.run_id))
            console.print(f"{result.task.notebook.key}: {result.state} after {result.seconds:.0f} s", markup=False)

        results = Batch(jobs, moved).run(tasks, ended)
    for result in results:
        if result.state == "failed":
            failure(result, console)
    summary(results, console)
    return 1 if any(result.state == "failed" for result in results) else 0
