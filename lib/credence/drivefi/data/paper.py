"""The paper's own values (``data/paper_figures/drivefi``, described there)."""

import pandas as pd

from credence.bench import paths
from credence.bench.errors import choose


def paper_values(table: str) -> pd.DataFrame:
    """Return a table of values that the paper prints.

    Parameters
    ----------
    table : str
        A file's name in ``data/paper_figures/drivefi`` without its ending; columns and units are described there.
    """
    folder = paths.data_dir() / "paper_figures" / "drivefi"
    choose(table, sorted(path.stem for path in folder.glob("*.csv")), "table of the paper's values")
    return pd.read_csv(folder / f"{table}.csv")
