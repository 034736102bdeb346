"""Claims on BayesPerf, computed again: the recorded studies, resampled with other and fewer draws."""

from functools import cache

import pandas as pd

DRAWS = 200


@cache
def error_metrics():
    from credence.bayesperf.evaluate import errors

    return errors.claim_metrics(errors.recorded(), DRAWS, seed=1)


@cache
def workload_metrics():
    from credence.bayesperf.evaluate import errors

    return errors.workload_metrics(errors.recorded(), 10, DRAWS, seed=1)


@cache
def audit_shares():
    from credence.bayesperf.evaluate import recorded, window_story

    return window_story.audit_shares(recorded.read("audit"), "all events", DRAWS, 1)


@cache
def pcie_metrics() -> dict[str, pd.Series]:
    from credence.bayesperf.evaluate import pcie, pcie_recorded

    runs = pcie_recorded.read("runs")
    plain = runs[(runs["break"] == pcie_recorded.NONE) & (runs["errors"] == "measured")]
    return pcie.claim_metrics(plain, DRAWS, 1)


def mean_of(metrics, name):
    return lambda: metrics()[name].mean()


AGAIN = {
    name: mean_of(metrics, name)
    for metrics, names in (
        (
            error_metrics,
            "wape_4_10 wape_4_20 wape_8_10 wape_8_15 wape_8_20 least_margin_4 least_margin_8 linux_wape_35 "
            "linux_rise_10_35 coverage90_mean coverage90_worst_distance correct_ratio dtw_35",
        ),
        (
            workload_metrics,
            "dtw_bayesperf_ppc64 dtw_linux_ppc64 dtw_factor_x86 dtw_factor_ppc64 dtw_factor_counterminer_x86 "
            "wape_factor_x86",
        ),
        (audit_shares, "true_believed wrong_found"),
        (
            pcie_metrics,
            "pcie_iterations_cut pcie_iterations_cut_counterminer pcie_iterations_cut_accelerator "
            "pcie_shuffle_cut_filtering pcie_shuffle_cut_learning pcie_scheduler_cut_filtering "
            "pcie_scheduler_cut_learning",
        ),
    )
    for name in names.split()
}
# times of the machine that they were taken on
NOT_AGAIN = {"read_ratio", "update_ratio"}
# a minute and a half of third-party logs; tests/bayesperf/test_third_party.py has a part of them
NOT_AGAIN |= {"order_cut", "emon_coverage90"}
