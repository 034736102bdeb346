"""Claims on errors: what is computed from a study, on a made-up study whose numbers are known."""

import itertools

import numpy as np
import pandas as pd
import pytest

from credence.bayesperf.evaluate import errors, study
from credence.bench import claims
from credence.bench.errors import InputError

SIZES = (10, 15, 20, 25, 30, 35)
LEVEL = {method: 0.1 * (k + 2) for k, method in enumerate(study.BASELINES)}


@pytest.fixture(scope="module")
def frame():
    rows = []
    for machine, counters in (("qemu-x86", 4), ("qemu-x86", 8), ("qemu-ppc64", 4)):
        for schedule, methods in errors.METHODS.items():
            for method, n, program in itertools.product(methods, SIZES, "abcd"):
                wape = LEVEL.get(method, 0.1) + 0.001 * n + 0.01 * (program == "d")
                row = {"machine": machine, "program": program, "n": n, "counters": counters, "schedule": schedule}
                row |= {"method": method, "split": "train" if program == "c" else "test", "wape": wape}
                row |= {"dtw_paper": wape / 2, "judged": 100 * n, "coverage_90": 0.8 if program == "d" else 0.95}
                rows.append(row)
    return pd.DataFrame(rows)


def test_metrics_are_means_over_test_programs(frame):
    found = errors.claim_metrics(frame, draws=300)
    assert found["wape_4_10"].mean() == pytest.approx(100 * (0.1 + 0.01 + 0.01 / 3), abs=0.15)
    assert found["least_margin_8"] == pytest.approx(np.full(300, 100 * (LEVEL["Linux"] - 0.1)))
    assert found["linux_rise_10_35"] == pytest.approx(np.full(300, 2.5))
    ratio = (0.1 + 0.0225 + 0.01 / 3) / (0.2 + 0.0225 + 0.01 / 3)
    assert found["correct_ratio"].mean() == pytest.approx(ratio, abs=0.02)
    assert found["dtw_35"].mean() == pytest.approx(50 * (0.1 + 0.035 + 0.01 / 3), abs=0.15)
    assert found["coverage90_mean"].mean() == pytest.approx(0.9, abs=0.01)
    assert found["coverage90_worst_distance"].max() == pytest.approx(0.1)


def test_every_claim_of_the_two_notebooks_has_its_metric(frame):
    found = errors.claim_metrics(frame, draws=20) | errors.workload_metrics(frame, draws=20)
    notebooks = ("bayesperf/error_vs_events", "bayesperf/workloads")
    wanted = {claim.metric for claim in claims.registry("bayesperf") if claim.notebook in notebooks}
    assert wanted <= set(found)


def test_factors_compare_with_the_baselines_of_their_own_rotation(frame):
    found = errors.workload_metrics(frame, draws=200)
    assert found["wape_factor_x86"].mean() == pytest.approx(0.2133 / 0.1133, rel=0.03)
    assert found["dtw_factor_counterminer_ppc64"].mean() > found["dtw_factor_ppc64"].mean()


def test_coverage_is_pooled_over_cells(frame):
    covered = errors.coverage_by_program(frame).set_index(["machine", "program"])
    assert covered.loc[("qemu-x86", "d"), "coverage"] == pytest.approx(0.8)
    assert covered.loc[("qemu-x86", "a"), "cells"] == 2 * 100 * sum(SIZES)
    assert errors.off_nominal(np.array([0.75, 0.9, 0.99])) == pytest.approx([0.15, 0, 0.15])


def test_a_hole_in_the_study_is_named(frame):
    holed = frame.drop(frame.index[(frame["method"] == errors.OURS) & (frame["n"] == 20) & (frame["program"] == "a")])
    with pytest.raises(InputError, match="every program with every list size"):
        errors.claim_metrics(holed, draws=5)


def test_lines_have_an_interval_over_programs(frame):
    part = frame[(frame["machine"] == "qemu-x86") & (frame["counters"] == 4)]
    lines = errors.over_size(part, "wape", {"Linux": ("Linux", "linux"), "ours": (errors.OURS, "optimal")})
    assert len(lines) == 12
    assert (lines["lo"] <= lines["mean"]).all()
    assert (lines["mean"] <= lines["hi"]).all()
    assert lines.loc[lines["system"] == "Linux", "mean"].iloc[0] == pytest.approx(100 * (0.2 + 0.01 + 0.0025))


def test_parts_cover_the_goals():
    found = errors.parts("qemu-x86")
    assert {(part.counters, part.n) for part in found if part.schedule == "optimal"} >= set(errors.GOALS)
    assert len({(p.program, p.n, p.counters, p.schedule) for p in found}) == len(found)
