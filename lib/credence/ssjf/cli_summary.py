"""What was served, as a table in the terminal."""


def show_summary(title: str, result: dict[str, float], preemptions: int) -> None:
    """Print a summary in the terminal.

    Parameters
    ----------
    title : str
        What was served.
    result : dict
        Of ``evaluate.metrics.summary``.
    preemptions : int
        Requests put back.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Text, because a file name or a unit in brackets is no markup
    table = Table(title=Text(title), title_justify="left")
    table.add_column("")
    for column in ("mean", "p50", "p95", "p99"):
        table.add_column(column, justify="right")
    rows = {"job completion [s]": "jct_s", "wait [s]": "wait_s", "first token [s]": "ttft_s", "slowdown": "slowdown"}
    for label, name in rows.items():
        table.add_row(Text(label), *(f"{result[f'{part}_{name}']:.4g}" for part in ("mean", "p50", "p95", "p99")))
    console = Console()
    console.print(table)
    done = ", ".join(f"{result[f'throughput_{share}']:.4g} at {share} %" for share in (25, 50, 75, 100))
    lines = {
        "requests": f"{result['requests']:,}, all done after {result['makespan_s']:.6g} s",
        "longest wait": f"{result['longest_wait_s']:.4g} s",
        "Jain index of slowdowns": f"{result['jain_slowdown']:.3f}",
        "preemptions": f"{preemptions:,}",
        "completions per second": done,
    }
    for label, text in lines.items():
        console.print(f"{label}: {text}", highlight=False, markup=False)
