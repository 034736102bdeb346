"""Recorded verdicts: one randomly chosen claim a run is computed again and must fall into its recorded interval.

How, is said for each paper in ``again_<paper>.py``: ``AGAIN`` holds a function without arguments for each metric,
``NOT_AGAIN`` the metrics for which there is none, with the reason, ``NEEDS`` data sets without which a metric cannot be
had. The evaluation is the notebook's own at the recorded size, with fewer draws: their mean varies less than one does.
"""

import importlib
from pathlib import Path

import numpy as np

from credence.bench import catalogue, claims

MODULES = {path.stem.removeprefix("again_"): path.stem for path in sorted(Path(__file__).parent.glob("again_*.py"))}
AGAIN = {paper: importlib.import_module(f"notebooks.{name}") for paper, name in MODULES.items()}


def test_every_recorded_claim_can_be_computed_again():
    recorded = {(row["paper"], row["metric"]) for row in claims.recorded().values()}
    assert recorded
    known = {(paper, metric) for paper, module in AGAIN.items() for metric in (*module.AGAIN, *module.NOT_AGAIN)}
    assert recorded <= known


def test_one_recorded_claim_chosen_at_random_comes_out_again():
    rows = [
        row
        for row in claims.recorded().values()
        if row["metric"] in AGAIN[row["paper"]].AGAIN
        and all(catalogue.available(name) for name in getattr(AGAIN[row["paper"]], "NEEDS", {}).get(row["metric"], ()))
    ]
    row = rows[np.random.default_rng().integers(len(rows))]
    again = AGAIN[row["paper"]].AGAIN[row["metric"]]()
    # printed numbers are rounded, and a metric that never varies has an interval of no width
    slack = 1e-6 + 0.05 * (row["hi"] - row["lo"])
    assert row["lo"] - slack <= again <= row["hi"] + slack, (row["id"], again, row["lo"], row["hi"])
