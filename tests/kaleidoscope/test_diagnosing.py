"""The evaluation of diagnosis on made-up systems whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from credence.kaleidoscope.diagnose import Settings, diagnose, outlier
from credence.kaleidoscope.evaluate import diagnosing as study
from credence.kaleidoscope.figures import diagnose as figures

GROUP = ["cluster", "host"]


@pytest.fixture(scope="module")
def disks():
    rng = np.random.default_rng(4)
    rows = []
    for host in range(12):
        latency = 70 + 10 * rng.random() + rng.random(12)
        slow = np.zeros(12, bool)
        if host % 3 == 0:
            slow[5], latency[5] = True, latency[5] * 1.4
        rows += [("AB"[host % 2], host, k, latency[k], slow[k]) for k in range(12)]
    return pd.DataFrame(rows, columns=["cluster", "host", "disk", "latency_us", "slow"])


def test_one_fit_a_group_says_what_comparing_one_by_one_says(disks):
    table = study.among_peers(disks, "latency_us", GROUP, 4)
    for host in (0, 1):
        rows = table[table["host"] == host].reset_index(drop=True)
        for k in (2, 5, 7):
            alone = outlier(rows["latency_us"].to_numpy(), k, neighbours=4)
            assert alone.lof == study.called(rows, 1.5)[k]
            assert rows["peer_ratio"][k] == pytest.approx(alone.peer_ratio)


def test_slow_disks_are_found_and_a_peer_ratio_spares_the_others(disks):
    table = study.among_peers(disks, "latency_us", GROUP, 4)
    true = table["slow"].to_numpy()
    assert study.scores(study.called(table, 1.5), true)[0] == 100
    assert study.scores(study.called(table, 1.5, 1.2), true) == (100, 100)
    assert np.isnan(study.scores(np.zeros(3, bool), np.zeros(3, bool))).all()
    assert 1 < study.chosen(disks, "latency_us", GROUP) < 1.4


def test_two_that_failed_alike_hide_each_other_unless_they_are_known_to_have_failed(disks):
    twins = disks.copy()
    pair = (twins["host"] == 1) & twins["disk"].isin([3, 4])
    twins.loc[pair, "slow"] = True
    twins.loc[pair, "latency_us"] = [150.0, 150.2]
    everybody, healthy = (study.among_peers(twins, "latency_us", GROUP, 1, how) for how in ("", "slow"))
    chosen = (healthy["host"] == 1) & healthy["disk"].isin([3, 4])
    assert not study.called(everybody, 1.5)[chosen].any()
    assert study.called(healthy, 1.5)[chosen].all()
    row = healthy[chosen].iloc[0]
    rest = twins[(twins["host"] == 1) & ~pair]["latency_us"]
    alone = outlier(np.append(row["latency_us"], rest), 0, neighbours=1)
    assert row["factor_ratio"] == pytest.approx(alone.factor / alone.largest)


def test_equal_values_raise_no_warning():
    assert outlier([5.0, *[0.0] * 8]).lof
    assert not outlier([0.0] * 9).lof


def test_draws_resample_hosts(disks):
    table = study.among_peers(disks, "latency_us", GROUP, 4)
    said = study.called(table, 1.5)
    draws = study.share_draws(said, table["slow"].to_numpy(), table["host"].to_numpy(), 200, 0)
    recall, precision = study.scores(said, table["slow"].to_numpy())
    assert draws["recall"].mean() == pytest.approx(recall, abs=2)
    assert draws["precision"].mean() == pytest.approx(precision, abs=8)


def test_the_bad_target_is_named_and_well_ones_are_not():
    rng = np.random.default_rng(1)
    rows = [(t, (0.5 if t == 3 else 20) * rng.uniform(0.9, 1.1)) for t in range(12) for _ in range(10)]
    files = pd.DataFrame(rows, columns=["target", "MiB_per_s"])
    table, named = study.bad_target(files, 20, 0, expected=3)
    assert 3 in table.loc[table["called"], "target"].tolist()
    assert table.set_index("target")["peer_ratio"].idxmax() == 3
    assert set(named) <= {0.0, 1.0}
    assert len(figures.targets(table).data) == 1


def test_shares_over_settings_are_those_of_the_rule_itself():
    found = study.simulated_shares(16, ratios=(1.5, 3.0), neighbourhoods=(5,)).set_index("ratio")
    for ratio in (1.5, 3.0):
        right = {"reliability": [], "overload": []}
        for k in range(16):
            cause, seen = study.simulated_issue(k)
            said = diagnose(seen.logs[0], seen.logs[1:], seen.metrics, Settings(ratio=ratio, neighbours=5)).cause
            right[cause].append(said == cause)
        for cause, values in right.items():
            assert found.loc[ratio, cause] == pytest.approx(100 * np.mean(values))


def test_slow_probes_of_a_made_up_year():
    rng = np.random.default_rng(2)
    n = 200
    slow = rng.random(n) < 0.15
    frame = pd.DataFrame({name: rng.uniform(1, 2, n) for name in study.TOKIO_METRICS})
    frame.loc[slow, "fs_max_mds_cpu"] = 60.0
    frame = frame.assign(
        darshan_app="a/ior",
        _file_system="scratch",
        darshan_tot_bytes_written_posix=1,
        darshan_agg_perf_by_slowest_posix=np.where(slow, 10.0, 100.0),
        darshan_start_time=np.arange(n),
    )
    found = study.slow_probes(frame, most=20, peers=15).set_index("metric")
    assert found.loc["metadata server, processor", "slow"] == 100
    assert found.loc["metadata server, processor", "usual"] < 60
    assert found.loc["any of them", "slow"] == 100
    assert len(figures.probes(found.reset_index()).data) == 2


def test_rules_on_lines_count_what_cannot_be_read():
    lines = pd.DataFrame({"line": ["I/O error, dev sda, sector 9", "hello", "beep"]})
    rules = [
        ("all", "1", "beep", "t", "c", "g"),
        ("all", "2", "(", "t", "c", "g"),
        ("network", "3", "hello", "t", "c", "g"),
    ]
    released = pd.DataFrame(rules, columns=["library", "rule", "regex", "tag", "category", "group"])
    found = study.rules_on_lines(lines, released).set_index("library")
    assert found["marked"].round().tolist() == [33, 33]
    assert found.loc["released", ["rules", "unreadable"]].tolist() == [1, 1]


def test_figures_are_drawn(disks):
    table = study.among_peers(disks, "latency_us", GROUP, 4)
    assert len(figures.disks(table, 1.5, 1.2).data) == 2
    over = study.over_settings(disks, "latency_us", GROUP)
    assert len(figures.settings(over, {"recall": "recall", "precision": "precision"}, 1.5).data) == 2 * 4
