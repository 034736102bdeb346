"""What papers print, as numbers (``data/paper_figures``; each folder's README tells columns, units and how they were
read off).
"""

from __future__ import annotations

import pandas as pd

from credence.bench import paths
from credence.bench.errors import choose


def tables(paper: str) -> list[str]:
    """Return the names of a paper's tables.

    Parameters
    ----------
    paper : str
        A folder of ``data/paper_figures``.

    Raises
    ------
    InputError
        If no table of such a paper is stored.
    """
    folder = paths.data_dir() / "paper_figures"
    choose(paper, sorted(path.name for path in folder.iterdir() if path.is_dir()), "paper with printed values")
    return sorted(path.stem for path in (folder / paper).glob("*.csv"))


def table(paper: str, name: str) -> pd.DataFrame:
    """Return one of a paper's tables.

    Parameters
    ----------
    paper : str
        A folder of ``data/paper_figures``.
    name : str
        One of its `tables`.

    Raises
    ------
    InputError
        For another paper or table.
    """
    choose(name, tables(paper), f"table of values that the {paper} paper prints")
    return pd.read_csv(paths.data_dir() / "paper_figures" / paper / f"{name}.csv")
