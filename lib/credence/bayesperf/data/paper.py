"""The paper's own figures, digitised (``data/paper_figures/bayesperf``, described there)."""

from __future__ import annotations

import pandas as pd

from credence.bench import paper_figures
from credence.bench.errors import choose

FIGURES = {
    "fig1": "fig1_error_vs_multiplexed",
    "fig3": "fig3_read_latency_cycles",
    "fig6": "fig6_fig7_hibench_error",
    "fig7": "fig6_fig7_hibench_error",
    "fig8": "fig8_scaling_kmeans",
    "fig9": "fig9_pcie_bandwidth",
    "fig10": "fig10_training_loss",
}

# Fig 6's workloads that a traced program bears the name of; the others of its 28 have no counterpart.
WORKLOADS = {
    "Sort": "sort",
    "WordCount": "wordcount",
    "TeraSort": "terasort",
    "Bayes": "bayes",
    "KMeans": "kmeans",
    "GMM": "gmm",
    "LR": "lr",
    "ALS": "als",
    "GBT": "gbt",
    "Linear": "linear",
    "PCA": "pca",
    "RF": "rf",
    "SVM": "svm",
    "SVD": "svd",
    "Scan": "scan",
    "Join": "join",
    "Aggregate": "aggregate",
    "PageRank": "pagerank",
    "NutchIndexing": "nutchindexing",
    "NWeight": "nweight",
}


def paper_figure(name: str) -> pd.DataFrame:
    """Return the values of one of the paper's figures.

    Parameters
    ----------
    name : str
        ``"fig1"``, ``"fig3"``, ``"fig6"``, ``"fig7"``, ``"fig8"``, ``"fig9"`` or ``"fig10"``.

    Returns
    -------
    pandas.DataFrame
        Columns and units: ``data/paper_figures/bayesperf/README.md``.

    Raises
    ------
    InputError
        For another name.
    """
    return paper_figures.table("bayesperf", FIGURES[choose(name, FIGURES, "figure of the paper")])
