"""The measured pings and the paper's figures, which are in git; third-party sets where CREDENCE_MIRROR names them."""

import os

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.kaleidoscope.data import incidents, log_lines, storage_sets
from credence.kaleidoscope.data.measured import COLUMNS, RUNS, log_windows, measured_log
from credence.kaleidoscope.data.paper import FIGURES, paper_figure
from credence.kaleidoscope.data.topology import OPERATIONS, topology

third_party = [
    pytest.mark.third_party,
    pytest.mark.skipif(not os.environ.get("CREDENCE_MIRROR"), reason="CREDENCE_MIRROR is not set"),
]


def test_every_run_is_in_the_log():
    log = measured_log()
    assert tuple(log.columns) == COLUMNS
    assert {(run.run, run.fault) for run in RUNS.values()} == set(zip(log["run"], log["fault"], strict=True))
    assert set(log["operation"]) == set(OPERATIONS)
    assert (log["errno"] == 0).all()
    with pytest.raises(InputError, match="unknown run 'stopC'"):
        measured_log("stopC")


# Longest write to the path that was hit, and to any other [ms], as read off the raw logs once by another program.
@pytest.mark.parametrize(
    ("run", "hit", "longest", "others"), [("stopB", "ost_B", 4099, 17), ("slowA2", "ost_A", 824, 29)]
)
def test_a_fault_shows_where_it_was_put(run, hit, longest, others):
    log = measured_log(run)
    writes = log[log["operation"] == "wrex"]
    slow = 1e3 * writes.groupby("target")["latency_s"].max()
    assert slow[hit] == pytest.approx(longest, abs=1)
    assert slow.drop(hit).max() == pytest.approx(others, abs=1)


def test_windows_count_what_the_log_holds():
    log, system = measured_log("stopM"), topology("moosefs")
    (window,) = log_windows(log, 0.25)
    assert window.sent.sum() == len(log)
    assert window.failed.sum() == (log["latency_s"] > 0.25).sum() > 0
    removals = window.operation == OPERATIONS.index("rmex")
    assert {system.components[k] for k in window.target[removals]} == {"mds"}
    assert sum(w.sent.sum() for w in log_windows(log, 0.25, 2.0)) == len(log)
    only = log_windows(log, 0.25, operations=("wrex",))[0]
    assert only.sent.sum() == (log["operation"] == "wrex").sum()
    system.paths(window.client, window.target, window.operation)  # every cell can be


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_the_paper_are_numbers(name):
    figure = paper_figure(name)
    assert len(figure) >= 10
    assert np.isfinite(figure.select_dtypes("number")).all(axis=None)


def test_completion_times_give_back_the_paper_s_ratio():
    def mean(condition):
        points = paper_figure("fig6").query("condition == @condition")
        return float(np.sum(points["completion_time_s"] * np.diff(points["cdf"], prepend=0.0)))

    assert mean("failure") / mean("normal") == pytest.approx(52.7, rel=0.03)


class TestThirdParty:
    pytestmark = third_party

    def test_the_authors_name_few_components(self):
        system = topology("bluewaters")
        named = [set(incidents.incident(name).authors) for name in incidents.incidents()]
        assert named == [
            {"scratch_ost_208", "projects_mds"},
            {"projects_ost_2"},
            {"client3"},
            {"ib_net", "scratch_mds"},
        ]
        assert set().union(*named) <= set(system.components)

    def test_windows_of_blue_waters_are_clients_0_to_4_by_432_targets(self):
        system = topology("bluewaters")
        found = incidents.incident("2018-08-14T18:55")
        window = incidents.incident_window(found)
        assert window.cells == 5 * 432
        assert {system.components[k] for k in window.client} == {f"client{k}" for k in range(5)}
        share = window.failed / window.sent
        at = window.target == system.ids["scratch_ost_208"]
        assert share[at].tolist() == [0.6, 0.6, 0.4, 0.8, 0.8]
        assert share == pytest.approx(
            np.concatenate([found.failed_fraction[k].ravel() for k in found.failed_fraction]), abs=1e-4
        )

    def test_rows_read_as_missing_have_not_failed(self):
        found = incidents.incident("2017-05-17T04:40")
        failed, missing = (incidents.incident_window(found, missing_rows=how) for how in (False, True))
        assert missing.missing.sum() == 432 * 5
        assert failed.failed.sum() == missing.failed.sum() + missing.missing.sum()

    def test_rules_and_lines(self):
        rules = log_lines.released_rules()
        assert rules["library"].value_counts().to_dict() == {"all": 558, "network": 130}
        assert log_lines.sample_lines().shape == (120, 2)

    def test_target_14_of_edison_is_slow(self):
        median = storage_sets.edison_files().groupby("target")["MiB_per_s"].median()
        assert median.idxmin() == storage_sets.BAD_OST
        assert median.drop(storage_sets.BAD_OST).min() > 30 * median[storage_sets.BAD_OST]

    def test_perseus_has_52_slow_disks_that_are_slower_than_their_peers(self):
        disks = storage_sets.perseus_disks()
        ratio = disks["latency_us"] / storage_sets.host_median(disks)
        assert (len(disks), int(disks["slow"].sum())) == (1880, 52)
        assert ((ratio > 1.2) == disks["slow"]).all()

    def test_three_servers_hold_two_targets(self):
        maps = storage_sets.ost_maps()
        held = maps.groupby(["time_s", "file_system", "server"])["target"].nunique()
        assert held[held > 1].reset_index().groupby(["file_system", "server"]).size().tolist() == [70, 70, 70]

    def test_the_year_has_186_columns(self):
        assert storage_sets.tokio_year("edison").shape == (7500, 186)
        assert storage_sets.tokio_year("cori").shape == (11232, 186)
