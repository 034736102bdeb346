import numpy as np
import pandas as pd
import pytest

from credence.bench import catalogue, seeds
from credence.bench.errors import InputError
from credence.ssjf.evaluate import steady
from credence.ssjf.figures import schedule as figures


@pytest.fixture(scope="module")
def source():
    return steady.population(catalogue.frame("ssjf-simulated-vicuna"))


SMALL = steady.Setting(count=400)


def test_a_class_stands_for_the_middle_of_its_range():
    frame = pd.DataFrame({"output_token_length": [5, 100, 511], "pred_multi_cls": [0, 1, 4]})
    found = steady.population(frame, prompt_tokens=7)
    assert found["predicted"].tolist() == [21.0, 91.5, 507.5]
    assert found["prompt_tokens"].tolist() == [7, 7, 7]


@pytest.mark.parametrize("load", [0.0, 1.0, -0.5, 1.5])
def test_a_load_without_a_steady_state_is_refused(load):
    with pytest.raises(InputError, match="steady state"):
        steady.Setting(load=load)


def test_all_systems_serve_the_same_workloads(source):
    first = steady.draw_requests(source, SMALL, seeds.generator(3, "steady", "none", 0))
    again = steady.draw_requests(source, SMALL, seeds.generator(3, "steady", "none", 0))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    offered = (0.1 + 0.02 * source["output_tokens"].mean()) * 400 / first["arrival_s"][-1]
    assert offered == pytest.approx(0.8, rel=0.2)


def test_work_is_conserved_and_the_oracle_is_best(source):
    frame = steady.compare_policies(source, steady.Setting(load=0.9, count=2000, warm_up=0.0), 2, seed=0)
    means = frame.groupby("system")["mean_jct_s"].mean()
    assert means["SRPT"] < means["SJF (oracle)"] < means["SSJF"] < means["FCFS"]
    # non-preemptive orders that do not look at the length leave the mean where it is, up to noise
    assert means["random"] == pytest.approx(means["FCFS"], rel=0.15)


def test_changes_are_against_the_same_draw():
    rows = [
        {"draw": d, "system": s, **dict.fromkeys(steady.QUANTITIES, v)}
        for d, s, v in ((0, "FCFS", 10.0), (1, "FCFS", 20.0), (0, "SSJF", 5.0), (1, "SSJF", 15.0))
    ]
    found = steady.changes(pd.DataFrame(rows)).query("system == 'SSJF'")
    assert found["mean_cut"].tolist() == [50.0, 25.0]
    assert found["p99_change"].tolist() == [-50.0, -25.0]
    assert found["longest_wait_ratio"].tolist() == [0.5, 0.75]


def test_intervals_cover_ninety_per_cent():
    frame = pd.DataFrame({"system": "SSJF", "mean_cut": np.arange(101.0)})
    row = steady.intervals(frame, ["system"], ["mean_cut"]).iloc[0]
    assert (row["mean"], row["lo"], row["hi"]) == (50, 5, 95)


def test_an_aging_guard_bounds_the_longest_wait(source):
    setting = steady.Setting(load=0.9, count=2000)
    found = steady.along(source, setting, "aging", (0.0, 20.0), 2, seed=1)
    ratio = found.groupby("aging")["longest_wait_ratio"].mean()
    assert ratio[20.0] < ratio[0.0]


def test_a_slow_predictor_takes_the_gain_back(source):
    found = steady.along(source, SMALL, "predictor_latency", (0.0, 3.0), 3, seed=1)
    cut = found.groupby("predictor_latency")["mean_cut"].mean()
    assert cut[3.0] < cut[0.0] - 5


def test_the_simulator_agrees_with_theory(source):
    frame = steady.check_theory(source, (0.5,), draws=6, seed=2, count=8000)
    assert set(frame["system"]) == {"FCFS", "SJF (oracle)", "SRPT"}
    np.testing.assert_allclose(frame["mean_jct_s"], frame["theory"], rtol=0.05)


def test_a_busy_period_is_the_same_span_in_any_order(source):
    frame = steady.explain(source, steady.Setting(load=0.8, count=5000), seed=0)
    ends = frame.groupby("system")["end_s"].max()
    assert ends["FCFS"] == pytest.approx(ends["SSJF"])
    assert 16 <= len(frame) / 2 <= 28
    fcfs = frame[frame["system"] == "FCFS"].sort_values("start_s")
    np.testing.assert_allclose(fcfs["start_s"].iloc[1:], fcfs["end_s"].iloc[:-1])
    with pytest.raises(InputError, match="no busy period"):
        steady.explain(source, steady.Setting(load=0.05, count=200), seed=0)


def test_fit_errors_are_those_of_the_profiles():
    from credence.ssjf import model

    table = steady.fit_errors(model.profiles())
    assert "ssjf-paper" not in table.index
    fit = model.profile("vllm-rtxpro6000-llama3-8b").fit
    row = table.loc["vllm-rtxpro6000-llama3-8b"]
    assert row["decode [%]"] == pytest.approx(100 * fit["decode"]["mean_abs"])
    assert row["mean JCT of the simulated run [%]"] == pytest.approx(100 * fit["simulated_run"]["jct_error"])


def titles(fig):
    axes = [value for key, value in fig.to_dict()["layout"].items() if key.startswith(("xaxis", "yaxis"))]
    return [axis["title"]["text"] for axis in axes if axis.get("title", {}).get("text")]


def test_figures_have_units_on_every_axis_and_the_paper_s_range(source):
    frame = steady.compare_policies(source, SMALL, 2, seed=0)
    both = pd.concat([steady.changes(frame).assign(mode=mode) for mode in ("none", "dynamic")])
    changes = steady.intervals(both, ["mode", "system"], ["mean_cut", "p99_change"])
    engines = changes.assign(profile="an engine", load=0.8)
    aged = steady.intervals(
        steady.along(source, SMALL, "aging", (0.0, 9.0), 2, seed=0), ["aging"], ["mean_cut", "longest_wait_ratio"]
    )
    late = steady.intervals(
        steady.along(source, SMALL, "predictor_latency", (0.01, 0.1), 2, seed=0), ["predictor_latency"], ["mean_cut"]
    )
    main = figures.cuts_by_mode(changes, 0.8)
    drawn = [
        main,
        figures.theory_check(steady.check_theory(source, (0.5,), 1, 0, 500)),
        figures.gantt(steady.explain(source, steady.Setting(count=5000), seed=0)),
        figures.tail(pd.DataFrame({"system": "FCFS", "jct_s": np.arange(1.0, 100.0)})),
        figures.aging_trade_off(aged),
        figures.predictor_latency(late, {"measured": 0.01}),
        figures.engines(engines),
    ]
    for fig in drawn:
        found = titles(fig)
        assert found
        assert all("[" in text for text in found), found
    assert "paper: SSJF 30.5–39.6 %" in [trace.name for trace in main.data]
    # one scale a row: a small effect must look small beside a large one
    assert main.layout.xaxis.range == main.layout.xaxis2.range
    assert main.layout.xaxis3.range != main.layout.xaxis.range
