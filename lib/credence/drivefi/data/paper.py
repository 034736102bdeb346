"""The paper's own values (``data/paper_figures/drivefi``, described there)."""

import pandas as pd

from credence.bench import paper_figures


def paper_values(table: str) -> pd.DataFrame:
    """Return a table of values that the paper prints.

    Parameters
    ----------
    table : str
        A file's name in ``data/paper_figures/drivefi`` without its ending; columns and units are described there.

    Raises
    ------
    InputError
        For another table.
    """
    return paper_figures.table("drivefi", table)
