"""A progress bar for long loops: in a terminal and in JupyterLab, never in a run's saved notebook or a log."""

import os
from collections.abc import Iterable, Iterator


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def track[Item](items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Return an iterator over `items` that shows how far it is, once it has taken two seconds.

    Parameters
    ----------
    items : iterable
        What the loop goes over.
    what : str
        Label of the bar.
    total : int, optional
        Number of items, where `items` has no length.
    """
    from tqdm.auto import tqdm

    # the runner sets TQDM_DISABLE; a kernel's stream is no terminal, so there the bar has to be asked for
    quiet = True if os.environ.get("CREDENCE_RUN_DIR") or os.environ.get("TQDM_DISABLE") else None
    if quiet is None and _in_notebook():
        quiet = False
    return tqdm(items, desc=what, total=total, leave=False, delay=2, disable=quiet)
