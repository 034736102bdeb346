"""Fits of engine profiles: known costs come back, the held-out part is really held out, the committed numbers refit."""

import os
import tomllib

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.ssjf import data
from credence.ssjf.infer import profile_fits
from credence.ssjf.infer.shared_work import shared_work
from credence.ssjf.model import profiles
from credence.ssjf.model.profiles import EngineProfile, decode_s, prefill_s

RNG = np.random.default_rng

COSTS = {
    "prefill_base_s": 0.01,
    "prefill_per_token_s": 5e-5,
    "decode_base_s": 0.02,
    "decode_per_sequence_s": 2e-4,
    "decode_per_context_token_s": 1e-7,
}


def test_known_costs_come_back_and_none_is_negative():
    terms = RNG(1).uniform(1, 100, (60, 3))
    seconds = terms @ [0.5, 0.0, 2.0]
    assert profile_fits.non_negative_fit(terms, seconds) == pytest.approx([0.5, 0, 2], abs=1e-6)
    noisy = terms @ [0.5, -0.01, 2.0]
    costs = profile_fits.non_negative_fit(terms, noisy)
    assert (costs >= 0).all()
    assert costs[1] == 0


def test_error_summary_of_a_known_sample():
    found = profile_fits.error_summary(np.array([0.1, -0.1, 0.3, -0.3]), RNG(2))
    assert found["mean_abs"] == pytest.approx(0.2)
    assert found["bias"] == pytest.approx(0.0)
    assert found["mean_abs_lo"] < 0.2 < found["mean_abs_hi"]
    assert found["p95_abs"] == pytest.approx(0.3)


# -- the splitwise table ------------------------------------------------------------------------------------------


def made_up_table(distort=None):
    """A table in the form of data.splitwise() whose times follow known piecewise costs exactly."""
    rows = [(128 * 2**k, 1, 128) for k in range(7)]
    rows += [(512, 2**k, 128) for k in range(7)]
    rows += [(512, 1, 128 * 2**k) for k in range(7)]
    table = pd.DataFrame(sorted(set(rows)), columns=["prompt_tokens", "batch", "output_limit"])
    total = table["prompt_tokens"] * table["batch"]
    table["generated_tokens"] = table["output_limit"].clip(upper=300)
    table["prompt_s"] = 0.03 + 5e-5 * total + 1e-4 * (total - 2048).clip(lower=0)
    context = total + table["batch"] * table["generated_tokens"] / 2
    table["token_s"] = 0.02 + 1e-4 * table["batch"] + 4e-4 * (table["batch"] - 16).clip(lower=0) + 2e-7 * context
    if distort is not None:
        table.loc[distort(table), ["prompt_s", "token_s"]] *= 3
    odd_one_out = table.assign(prompt_s=table["prompt_s"] * 50, token_s=table["token_s"] * 50)
    table = pd.concat([table, table, odd_one_out], ignore_index=True)  # medians must not mind one bad repeat in three
    return table.assign(model="m", gpu="g", tensor_parallel=8)


def test_splitwise_costs_come_back():
    fit = profile_fits.fit_splitwise(made_up_table(), "m", "g", 8, "made-up", RNG(3))
    assert fit.rows["error"].abs().max() < 1e-3
    assert prefill_s(fit.profile, 4096) == pytest.approx(0.03 + 5e-5 * 4096 + 1e-4 * 2048, rel=1e-3)
    assert decode_s(fit.profile, 32, 20_000) == pytest.approx(0.02 + 32e-4 + 16 * 4e-4 + 4e-3, rel=1e-3)


def test_splitwise_fit_sees_every_second_size_only():
    # Whatever is done to the other sizes, the profile stays; and the judgement sees it.
    def other(table):
        return (table["batch"] == 8) | (table["prompt_tokens"] == 1024) | (table["output_limit"] == 256)

    clean = profile_fits.fit_splitwise(made_up_table(), "m", "g", 8, "made-up", RNG(3))
    fit = profile_fits.fit_splitwise(made_up_table(other), "m", "g", 8, "made-up", RNG(3))
    assert fit.profile == clean.profile
    assert set(fit.rows.loc[fit.rows["part"] == "fit", "batch"]) == {1, 4, 16, 64}
    assert fit.profile.fit["decode"]["units"] == 9
    assert fit.profile.fit["decode"]["mean_abs"] == pytest.approx(3 / 9 * 2 / 3, abs=0.01)


def test_an_unknown_set_up_is_refused():
    with pytest.raises(InputError, match=r"unknown splitwise set-up 'm/g/4' .*allowed: m/g/8"):
        profile_fits.fit_splitwise(made_up_table(), "m", "g", 4, "made-up", RNG(3))


# -- measured runs ------------------------------------------------------------------------------------------------


def served(prompt, output, arrival, slots, stalls=()):
    """Serve requests one iteration at a time at ``COSTS``, prompts mixed in; pairs in `stalls` skip a request's turn.

    A stall (request, iterations) takes the request out of the batch for that many iterations after its 20th token.
    """
    stalls = dict(stalls)
    now, waiting, running = 0.0, list(range(len(prompt))), {}
    start, first, end = (np.full(len(prompt), np.nan) for _ in range(3))
    while waiting or running:
        if not running:
            now = max(now, arrival[waiting[0]])
        admitted = []
        while waiting and len(running) + len(admitted) < slots and arrival[waiting[0]] <= now:
            admitted.append(waiting.pop(0))
        start[admitted] = now
        active = []
        for request in running:
            if running[request] == 20 and stalls.get(request, 0) > 0:
                stalls[request] -= 1
            else:
                active.append(request)
        context = sum(prompt[request] + running[request] for request in active)
        tokens = sum(prompt[request] for request in admitted)
        now += COSTS["prefill_base_s"] * len(admitted) + COSTS["prefill_per_token_s"] * tokens
        if active:
            now += COSTS["decode_base_s"] + COSTS["decode_per_sequence_s"] * len(active)
            now += COSTS["decode_per_context_token_s"] * context
        for request in active:
            running[request] += 1
            if running[request] == output[request]:
                end[request] = now
                del running[request]
        for request in admitted:
            first[request], running[request] = now, 1
    table = {"request": range(len(prompt)), "prompt_tokens": prompt, "output_tokens": output, "arrival_s": arrival}
    return pd.DataFrame(table | {"start_s": start, "first_token_s": first, "end_s": end})


def made_up_run(stalls=(), requests=160, slots=24):
    rng = RNG(4)
    prompt, output = rng.integers(50, 3000, requests), rng.integers(60, 400, requests)
    return served(prompt, output, np.sort(rng.uniform(0, 60, requests)), slots, stalls)


@pytest.fixture(scope="module")
def run():
    return made_up_run()


def test_shared_work_counts_what_was_in_the_iterations():
    # Two requests side by side for the whole of both lives, then one alone: everything can be counted by hand.
    run = served([100, 100], [31, 51], [0.0, 0.0], slots=2)
    work = shared_work(run)
    assert work["iterations"].tolist() == [30, 50]
    assert work["batch_sum"].tolist() == pytest.approx([60, 80], rel=1e-3)
    assert work["context_sum"][0] == pytest.approx(2 * sum(101 + k for k in range(30)), rel=0.01)
    assert work["share"].tolist() == pytest.approx([1, 1], rel=1e-3)
    assert work["prefills"].tolist() == [0, 0]


def test_costs_of_a_run_come_back(run):
    fit = profile_fits.fit_vllm(run, "made-up", RNG(5))
    assert fit.profile.fit["decode"]["mean_abs"] < 0.005
    assert fit.profile.decode_base_s == pytest.approx(COSTS["decode_base_s"], rel=0.05)
    assert fit.profile.decode_per_sequence_s == pytest.approx(COSTS["decode_per_sequence_s"], rel=0.15)
    ours, true = (decode_s(p, 20, 30_000) for p in (fit.profile, EngineProfile("true", **COSTS)))
    assert ours == pytest.approx(true, rel=0.01)
    assert prefill_s(fit.profile, 1500) == pytest.approx(0.085, rel=0.05)


def test_the_odd_requests_are_held_out(run):
    fit = profile_fits.fit_vllm(run, "made-up", RNG(5))
    assert set(fit.rows.loc[fit.rows["part"] == "held out", "request"] % 2) == {1}
    work = shared_work(run)
    even = (run["request"] % 2 == 0).to_numpy()
    terms = work[list(profile_fits.VLLM_TERMS)].to_numpy()
    costs = profile_fits.non_negative_fit(terms[even], work["decode_s"].to_numpy()[even])
    fields = list(profile_fits.VLLM_TERMS.values())
    assert [getattr(fit.profile, name) for name in fields] == pytest.approx(costs.tolist())


def test_preempted_requests_are_found_and_do_not_spoil_the_fit():
    stalled = {7: 150, 40: 200, 41: 250, 90: 180}
    run = made_up_run(stalled.items())
    work = shared_work(run)
    assert set(run.loc[work["share"] < 0.9, "request"]) == set(stalled)
    fit = profile_fits.fit_vllm(run, "made-up", RNG(5))
    assert fit.profile.fit["decode_not_preempted"]["mean_abs"] < 0.01
    assert fit.profile.fit["decode"]["mean_abs"] > fit.profile.fit["decode_not_preempted"]["mean_abs"]
    assert fit.profile.decode_base_s == pytest.approx(COSTS["decode_base_s"], rel=0.1)


def test_judgement_by_simulation_compares_the_held_out_requests(run):
    seen = {}

    def simulate(requests, **settings):
        seen.update(settings, columns=list(requests.columns))
        slower = run["arrival_s"] + 1.1 * (run["end_s"] - run["arrival_s"])
        first = run["arrival_s"] + 0.8 * (run["first_token_s"] - run["arrival_s"])
        return pd.DataFrame({"end_s": slower.where(run["request"] % 2 == 1, 0.0), "first_token_s": first})

    profile = EngineProfile("made-up", **COSTS)
    found = profile_fits.judge_by_simulation(run, profile, 24, simulate)
    assert found["jct_error"] == pytest.approx(0.1)
    assert found["jct_mean_abs_error"] == pytest.approx(0.1)
    assert found["ttft_error"] == pytest.approx(-0.2)
    assert seen["columns"] == ["arrival_s", "prompt_tokens", "output_tokens"]
    assert (seen["policy"], seen["batching"], seen["slots"]) == ("fcfs", "continuous", 24)


# -- what is committed --------------------------------------------------------------------------------------------


def test_a_profile_survives_the_file_format(run):
    profile = profile_fits.fit_vllm(run, "made-up", RNG(5), kv_tokens=9000).profile
    profile.fit["slots"] = 24
    (read,) = tomllib.loads(profile_fits.as_toml(profile))["profile"]
    again = EngineProfile(**read)
    assert again == profile
    assert again.fit["decode"] == pytest.approx(profile.fit["decode"], rel=1e-3)
    assert again.fit["slots"] == 24


NAMES = [*profile_fits.SPLITWISE_PROFILES, *profile_fits.VLLM_PROFILES]
third_party = [
    pytest.mark.third_party,
    pytest.mark.skipif(not os.environ.get("CREDENCE_MIRROR"), reason="CREDENCE_MIRROR is not set"),
]


@pytest.mark.parametrize("name", NAMES)
def test_fitted_profiles_are_committed_with_source_and_errors(name):
    profile = profiles()[name]
    assert profile.kind == "third party"
    assert profile.licence == "MIT"
    assert "commit" in profile.source
    assert "judged" in profile.source
    assert 0 < profile.fit["decode"]["mean_abs_lo"] < profile.fit["decode"]["mean_abs_hi"] < 0.1


@pytest.mark.parametrize("name", [pytest.param(name, marks=third_party) for name in NAMES])
def test_committed_profiles_refit(name):
    fit = profile_fits.refit(name)
    committed = profiles()[name]
    for field in ("title", "source", "licence", "note", "kv_tokens"):
        assert getattr(fit.profile, field) == getattr(committed, field)
    for field in profile_fits.VLLM_TERMS.values():
        assert getattr(fit.profile, field) == pytest.approx(getattr(committed, field), rel=0.01, abs=1e-9)
    for field in ("prefill_table", "decode_table"):
        ours, theirs = getattr(fit.profile, field) or (), getattr(committed, field) or ()
        assert np.array(ours) == pytest.approx(np.array(theirs), rel=0.01)
    for quantity, summary in fit.profile.fit.items():
        assert summary == pytest.approx(committed.fit[quantity], rel=0.05, abs=1e-3)


@pytest.mark.parametrize("name", [pytest.param(name, marks=third_party) for name in profile_fits.VLLM_PROFILES])
def test_committed_profiles_simulate_the_measured_run(name):
    from credence.ssjf.world import simulate

    runs, profile = data.vllm_runs(), profiles()[name]
    run = runs[runs["setup"] == profile_fits.VLLM_PROFILES[name]]
    found = profile_fits.judge_by_simulation(run, profile, profile.fit["slots"], simulate)
    assert found == pytest.approx(profile.fit["simulated_run"], abs=0.002, rel=0.001)
    assert abs(found["jct_error"]) < 0.05
