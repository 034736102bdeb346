"""Schedules chosen by replay: candidates fit, what is recorded is read back, exchanges only ever help."""

import numpy as np
import pytest

from bayesperf.made_up_world import EVENTS, RELATIONS, counts, pmu
from credence.bayesperf.evaluate import planned, study
from credence.bayesperf.schedule.constraints import as_groups, as_schedule
from credence.bayesperf.schedule.expectation import coordinates
from credence.bayesperf.schedule.optimal import open_rank
from credence.bench import paths
from credence.bench.errors import InputError

PROGRAMS = [counts(seed=seed) for seed in (1, 2)]


@pytest.mark.parametrize("name", planned.CANDIDATES)
def test_every_candidate_fits_and_sees_everything(name, monkeypatch):
    monkeypatch.setattr(planned, "TRIES", 5)
    found = planned.candidate(name, PROGRAMS, EVENTS, RELATIONS, pmu(2), (1,))
    as_groups(found, EVENTS, pmu(2))
    assert open_rank(coordinates(EVENTS, RELATIONS, PROGRAMS[0].mean(axis=0)).basis, found.any(axis=0)) == 0
    np.testing.assert_array_equal(found, planned.candidate(name, PROGRAMS, EVENTS, RELATIONS, pmu(2), (1,)))


def test_exchanges_are_kept_only_if_they_help():
    wanted = as_schedule([["LOADS", "FAR"], ["NEAR", "BRANCHES"]], EVENTS, pmu(2))
    start = as_schedule([["LOADS", "HITS"], ["NEAR", "HITS"]], EVENTS, pmu(2))

    def error(schedule):
        return float((schedule != wanted).sum())

    found, left = planned.refined(start, EVENTS, pmu(2), error, 200, np.random.default_rng(0))
    np.testing.assert_array_equal(found, wanted)
    assert left == 0


def test_what_is_recorded_is_read_back(tmp_path, monkeypatch):
    groups = [["LOADS", "STORES"], ["BR_ALL"]]
    text = planned.entry("qemu-x86", 10, 2, "rotation", {"rotation": 0.123}, groups)
    (tmp_path / "bayesperf").mkdir()
    (tmp_path / "bayesperf" / planned.FILE).write_text(planned.HEAD + "\n" + text)
    monkeypatch.setattr(paths, "data_dir", lambda: tmp_path)
    planned.recorded.cache_clear()
    try:
        assert planned.recorded("qemu-x86", 10, 2) == (("LOADS", "STORES"), ("BR_ALL",))
        assert planned.recorded("qemu-x86", 15, 2) is None
    finally:
        planned.recorded.cache_clear()
    with pytest.raises(InputError, match="STORES"):
        planned.planned("qemu-x86", ("LOADS", "BR_ALL"), pmu(2), groups)


def test_the_studys_schedule_sees_everything():
    for n, counters in ((10, 4), (20, 8)):
        machine, events, relations = study.listed("qemu-x86", n, counters)
        schedule = study.find_schedule("qemu-x86", n, counters, "optimal")
        as_groups(schedule, events, machine)
        scale = study.training_counts("qemu-x86", events)["pca"].mean(axis=0)
        assert open_rank(coordinates(events, relations, scale).basis, schedule.any(axis=0)) == 0
