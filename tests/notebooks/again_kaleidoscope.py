"""Claims on Kaleidoscope, computed again: the recorded tables, resampled with other and fewer draws."""

from functools import cache

import numpy as np

DRAWS = 200


@cache
def production_metrics():
    from credence.kaleidoscope.evaluate import production_tables as tables

    return tables.metrics(tables.read("issues"), tables.read("quiet"), DRAWS, seed=1)


@cache
def cause_metrics():
    from credence.kaleidoscope.evaluate import production_causes
    from credence.kaleidoscope.evaluate import production_tables as tables

    return production_causes.metrics(tables.read("causes"), DRAWS, seed=1)


@cache
def disk_metrics():
    from credence.kaleidoscope.data import storage_sets
    from credence.kaleidoscope.evaluate import diagnosing as study

    disks, group = storage_sets.perseus_disks(), ["cluster", "host"]
    tried = disks["cluster"] == study.CHOSEN_ON
    judged = study.among_peers(disks[~tried], "latency_us", group, failed="slow")
    slow, host = judged["slow"].to_numpy(bool), (judged["cluster"] + judged["host"].astype(str)).to_numpy()
    found = {}
    for name, least in (("lof", 0.0), ("ratio", study.chosen(disks[tried], "latency_us", group))):
        shares = study.share_draws(study.called(judged, 1.5, least), slow, host, DRAWS, 1)
        found |= {f"{name}_{key}": values for key, values in shares.items()}
    return found


def edison_named():
    from credence.kaleidoscope.data import storage_sets
    from credence.kaleidoscope.evaluate import diagnosing as study

    return study.bad_target(storage_sets.edison_files(), 20, 1, storage_sets.BAD_OST)[1].mean()


@cache
def window_metrics():
    from credence.kaleidoscope.evaluate import incident_answers

    return incident_answers.metrics(incident_answers.read(), DRAWS, seed=1)


def mean_of(metrics, name):
    return lambda: metrics()[name].mean()


AGAIN = {
    name: mean_of(metrics, name)
    for metrics, names in (
        (
            production_metrics,
            "localised detected_in_ten_minutes recall_over_netbouncer recall_over_netbouncer_tuned "
            "alarms_over_netbouncer false_alarms_over_netbouncer_same_recall partial_router_first_window",
        ),
        (cause_metrics, "root_cause root_cause_reliability root_cause_overload"),
    )
    for name in names.split()
}

WINDOWS = ("windows_found", "windows_extra")
AGAIN |= {name: mean_of(window_metrics, name) for name in WINDOWS}

DISKS = ("lof_recall", "lof_precision", "ratio_precision")
AGAIN |= {name: mean_of(disk_metrics, name) for name in DISKS} | {"edison_named": edison_named}
NEEDS = dict.fromkeys(DISKS, ("perseus-disks", "perseus-slow-disks")) | {"edison_named": ("edison-bad-ost",)}


def flagged_right():
    from credence.kaleidoscope.evaluate import confidence

    count = 150  # as at the preset quick
    table = confidence.confidences(confidence.small_graph(), confidence.JUDGED, count=count, seed=0)
    return confidence.draws_of_right(table, count, np.random.default_rng(1), DRAWS).mean()


AGAIN |= {"flagged_right": flagged_right}


@cache
def testbed_metrics():
    from credence.kaleidoscope.evaluate import testbed
    from credence.kaleidoscope.evaluate import testbed_tables as study

    known = testbed.calibrate(study.calibration_pings())
    return study.metrics(testbed.study(study.judged_runs(3), known)[0], DRAWS, seed=1)


TESTBED = ("testbed_localised", "testbed_root_cause", "testbed_throughput")
AGAIN |= {name: mean_of(testbed_metrics, name) for name in TESTBED}
# nearly all draws are the same: their mean lies above the interval
AGAIN |= {"testbed_detection_windows": lambda: np.median(testbed_metrics()["testbed_detection_windows"])}

# Metrics without a function above, and why.
NOT_AGAIN: dict[str, str] = {
    "blamed_behind_dead_mds": "NUTS takes a minute; tests/kaleidoscope has the exact posterior's"
}
