"""The study: parts are evaluated once, all methods see one replay, and oracles are what they say."""

import numpy as np
import pandas as pd
import pytest

from bayesperf.made_up_world import EVENTS, RELATIONS, counts, pmu
from credence.bayesperf.data.observations import Observations
from credence.bayesperf.evaluate import oracle, study
from credence.bayesperf.evaluate.study import Part
from credence.bayesperf.schedule import linux_round_robin, repeat
from credence.bench.errors import InputError

PART = Part("qemu-x86", "openssl", 6, 4, "linux")


def test_a_part_gives_one_row_per_method():
    found = study.evaluate(PART, ["Linux", "plain Kalman", "oracle covariance"])
    assert list(found["method"]) == ["Linux", "plain Kalman", "oracle covariance"]
    assert set(found["split"]) == {"train"}
    assert (found["dtw"] <= found["wape"] + 1e-12).all()
    assert found["crps"].isna().tolist() == [True, False, False]
    assert found["wape"].iloc[2] < found["wape"].iloc[0]
    assert found["coverage_90"].iloc[1:].between(0, 1).all()
    assert (found["coverage_50"].iloc[1:] <= found["coverage_95"].iloc[1:]).all()
    assert (found["width_50"].iloc[1:] < found["width_95"].iloc[1:]).all()
    cells = found.iloc[2]
    assert cells["judged"] == sum(cells[name] for name in found.columns if name.startswith("cells_"))


def test_all_schedules_see_the_same_run_and_the_truth_is_exact():
    one, other = (study.prepare(Part("qemu-x86", "openssl", 6, 4, name)) for name in ("linux", "overlap"))
    both = one.observations.on & other.observations.on
    assert both[:, :2].all()
    np.testing.assert_array_equal(one.observations.mean[both], other.observations.mean[both])
    quiet = study.prepare(Part("qemu-x86", "openssl", 6, 4, "linux", read_noise=0, skid=0))
    np.testing.assert_allclose(quiet.observations.mean[quiet.observations.on], quiet.truth[quiet.observations.on])
    assert quiet.observations.on[:, 2:].sum(axis=1).max() == 4


def test_a_training_program_is_judged_without_itself():
    assert "openssl" not in study.prepare(PART).prior.source
    assert "openssl" in study.prepare(Part("qemu-x86", "sort", 6, 4, "linux")).prior.source


def test_dropped_identities_are_not_told():
    told = study.prepare(Part("qemu-x86", "openssl", 6, 4, "linux")).relations
    identities = sum(relation.kind == "eq" for relation in told)
    assert identities
    fewer = study.prepare(Part("qemu-x86", "openssl", 6, 4, "linux", dropped=1)).relations
    assert sum(relation.kind == "eq" for relation in fewer) == identities - 1
    with pytest.raises(InputError, match="dropped"):
        study.prepare(Part("qemu-x86", "openssl", 6, 4, "linux", dropped=99))


def test_finished_parts_are_not_done_again(tmp_path, monkeypatch):
    done = []

    def evaluate(part, methods):
        done.append(part)
        return pd.DataFrame([{"machine": part.machine, "n": part.n, "method": name} for name in methods])

    monkeypatch.setattr(study, "evaluate", evaluate)
    parts = [PART, Part("qemu-x86", "openssl", 5, 4, "linux")]
    first = study.study(parts[:1], tmp_path, ["Linux"])
    both = study.study(parts, tmp_path, ["Linux"])
    assert done == parts
    assert list(both["n"]) == [6, 5]
    pd.testing.assert_frame_equal(first, both.iloc[:1])
    study.study(parts[:1], tmp_path, ["Linux"], version="other settings")
    assert len(done) == 3


def test_parts_are_the_programs_of_a_split():
    parts = study.judged_parts("qemu-ppc64", {4: (10, 20), 8: (10,)}, "train", schedule="linux")
    assert len(parts) == 9
    assert {part.schedule for part in parts} == {"linux"}
    with pytest.raises(InputError, match="schedule"):
        study.prepare(Part("qemu-x86", "openssl", 6, 4, "random"))
    with pytest.raises(InputError, match="method"):
        study.evaluate(PART, ["guess"])


def test_a_summary_is_the_mean_over_programs():
    frame = pd.DataFrame(
        {
            "machine": "m", "counters": 4, "n": [5, 5, 6], "schedule": "linux", "program": list("aba"),
            "method": "Linux", "wape": [0.1, 0.3, 0.5],
        }
    )  # fmt: skip
    assert study.summary(frame)["Linux"].tolist() == pytest.approx([0.2, 0.5])


def test_oracles_are_exact_where_everything_is_measured_and_close_where_not():
    truth = counts(80)
    for number, limit in ((6, 3e-3), (3, 0.2)):
        on = repeat(linux_round_robin(EVENTS, pmu(number)), 80)
        mean = np.where(on, truth, np.nan)
        observations = Observations(EVENTS, mean, mean * 0, 4, mean * 0)
        known = oracle.knowing_covariance(observations, truth, RELATIONS)
        for estimate, sd in ((known.mean, known.sd), oracle.knowing_transition(observations, truth, RELATIONS)):
            assert np.all(np.abs(estimate - truth).sum(axis=0) <= limit * truth.sum(axis=0))
            # identities hold in the estimate itself
            np.testing.assert_allclose(estimate[:, 1], estimate[:, 2] + estimate[:, 3], rtol=1e-8)
            assert np.all(sd >= 0)
