"""The paper's figures as numbers, to compare with and to calibrate the simulator on."""

from __future__ import annotations

import pandas as pd

from credence.bench import paper_figures
from credence.bench.errors import choose

FIGURES = {
    "fig4": "fig4_failure_duration_hist",
    "fig5": "fig5_wrex_latency_hist",
    "fig6": "fig6_completion_time_cdf",
    "fig7": "fig7_disk_await_hist",
    "fig8": "fig8_heavy_io_duration_hist",
    "fig9-load": "fig9_load_hist",
    "fig9-time": "fig9_load_vs_completion_time",
}


def paper_figure(name: str) -> pd.DataFrame:
    """Return the values of one of the paper's figures.

    Parameters
    ----------
    name : str
        One of :data:`FIGURES`.

    Returns
    -------
    pandas.DataFrame
        Columns and units: ``data/paper_figures/kaleidoscope/README.md``.

    Raises
    ------
    InputError
        For another name.
    """
    return paper_figures.table("kaleidoscope", FIGURES[choose(name, FIGURES, "figure of the paper")])
