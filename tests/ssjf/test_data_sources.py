"""The readers, on the sets in git always and on third-party sets where a mirror is."""

import os

import numpy as np
import pytest
from scipy import stats

from credence.bench import catalogue
from credence.bench.errors import InputError
from credence.ssjf import data
from credence.ssjf.data import generators

third_party = pytest.mark.third_party
needs_mirror = pytest.mark.skipif(not os.environ.get("CREDENCE_MIRROR"), reason="CREDENCE_MIRROR is not set")


@pytest.mark.parametrize("name", list(generators.GENERATORS))
def test_simulated_sets_come_out_the_same_from_generator_and_seed(name):
    item = catalogue.entry(name)
    assert item.generator == f"{generators.__name__}:{generators.GENERATORS[name].__name__}"
    assert catalogue.verify(name, anew=True).problems == ()
    other = data.generate(name, item.seed + 1)
    assert catalogue.content_hash(other) != item.sha256_content


def accuracy_figures(frame):
    length, five = frame["output_token_length"], frame["pred_multi_cls"]
    binary = frame["pred_binary_cls"]
    return {
        "five-class accuracy": (np.digitize(length, generators.FIVE_CLASS_CUTS) == five).mean(),
        "five-class tau": stats.kendalltau(length, five).statistic,
        "binary accuracy": ((binary > 0) == (length > 141)).mean(),
        "binary tau": stats.kendalltau(length, binary).statistic,
    }


def check_published_figures(frame, tolerance):
    length = frame["output_token_length"]
    assert length.mean() == pytest.approx(176.8, abs=1)
    quantiles = length.quantile([0.25, 0.5, 0.75, 0.9, 0.95, 0.99]).tolist()
    assert quantiles == pytest.approx([41, 140, 294, 397, 447, 502], abs=1)
    assert (length.min(), length.max()) == (2, 511)
    figures = accuracy_figures(frame)
    published = {
        "five-class accuracy": 0.601,
        "five-class tau": 0.635,
        "binary accuracy": 0.833,
        "binary tau": 0.567,
    }
    assert figures == pytest.approx(published, abs=tolerance)
    assert frame["latency_ms_binary"].mean() == pytest.approx(7.75, abs=0.05)
    assert frame["latency_ms_multi"].mean() == pytest.approx(7.89, abs=0.05)


def test_stand_in_matches_what_is_published_about_the_authors_file():
    check_published_figures(data.vicuna_predictions("ssjf-simulated-vicuna"), tolerance=0.015)


@third_party
@needs_mirror
def test_authors_file_has_the_published_figures():
    frame = data.vicuna_predictions()
    assert len(frame) == 85_482
    check_published_figures(frame, tolerance=0.0015)


def test_simulated_chat_has_a_tail_and_prompts_of_unlike_risk():
    rows, samples = data.simulated_chat()
    assert samples.shape == (len(rows), 10)
    assert (samples > 512).mean() > 0.15
    spread = samples.std(axis=1) / samples.mean(axis=1)
    assert np.quantile(spread, 0.9) > 4 * np.quantile(spread, 0.1)
    others = samples[:, 1:].mean(axis=1)
    assert 0.75 < stats.kendalltau(samples[:, 0], others).statistic < 0.85
    assert 0.50 < stats.kendalltau(samples[:, 0], rows["predicted_tokens"]).statistic < 0.60
    assert abs(stats.kendalltau(samples[:, 0], rows["prompt_tokens"]).statistic) < 0.05


def test_simulated_bursty_is_an_hour_of_bursts():
    frame = data.simulated_bursty()
    gaps = np.diff(frame["arrival_s"])
    assert 3500 < frame["arrival_s"].iloc[-1] < 3600
    assert gaps.std() / gaps.mean() > 4
    per_minute = np.bincount((frame["arrival_s"] // 60).astype(int), minlength=60)
    assert per_minute.max() > 5 * max(np.median(per_minute), 1)
    assert frame["output_tokens"].median() < 20 < 80 < frame["output_tokens"].quantile(0.95)


def test_classes_keep_the_probabilities_of_their_row_whatever_the_pull():
    rng = np.random.default_rng(3)
    given, level = rng.integers(0, 2, 40_000), rng.random(40_000)
    table = ((0.7, 0.3, 0.0), (0.1, 0.2, 0.7))
    drawn = generators._draw_classes(given, level, table, 0.8, rng)
    for row in (0, 1):
        found = np.bincount(drawn[given == row], minlength=3) / (given == row).sum()
        assert found == pytest.approx(table[row], abs=0.01)
        assert stats.kendalltau(level[given == row], drawn[given == row]).statistic > 0.4


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="unknown Azure trace 'chat'"):
        data.azure("chat")
    with pytest.raises(InputError, match="unknown set of predictions"):
        data.vicuna_predictions("azure-llm-2023-conv")


@third_party
@needs_mirror
@pytest.mark.parametrize(
    ("kind", "requests", "rate", "cv"), [("conv", 19_366, 5.53, 1.09), ("code", 8_819, 2.57, 13.2)]
)
def test_azure_runs_for_an_hour_in_true_seconds(kind, requests, rate, cv):
    frame = data.azure(kind)
    gaps = np.diff(frame["arrival_s"])
    assert len(frame) == requests
    assert 1 / gaps.mean() == pytest.approx(rate, abs=0.01)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, abs=0.05)


@third_party
@needs_mirror
def test_mooncake():
    frame = data.mooncake()
    assert frame["arrival_s"].iloc[-1] == pytest.approx(3537, abs=1)
    assert frame["output_tokens"].mean() == pytest.approx(343, abs=1)


@third_party
@needs_mirror
def test_splitwise_in_seconds():
    frame = data.splitwise()
    assert set(frame["model"]) == {"llama2-70b", "bloom-176b"}
    alone = frame[(frame["model"] == "llama2-70b") & (frame["batch"] == 1)]
    assert alone["token_s"].between(0.01, 0.1).all()
    # Ten times the limit, hardly more tokens: generation ended by itself.
    long = frame[frame["output_limit"] == 8192]
    assert 100 < long["generated_tokens"].min() <= long["generated_tokens"].max() < 5000
    assert frame[frame["output_limit"] == 128]["generated_tokens"].median() == 128


@third_party
@needs_mirror
def test_vllm_runs_are_ordered_in_time():
    frame = data.vllm_runs()
    assert frame.groupby("setup").size().to_dict() == dict.fromkeys(sorted(data.VLLM_SETUPS.index), 300)
    for before, after in (("arrival_s", "start_s"), ("start_s", "first_token_s"), ("first_token_s", "end_s")):
        assert (frame[before] <= frame[after]).all()


@third_party
@needs_mirror
def test_castillo_choice_and_runaways():
    chosen = {"models": ["meta-llama--Llama-3.2-1B-Instruct"], "datasets": ["Alpaca", "DollyDataset"]}
    rows, samples = data.castillo(**chosen)
    _, everything = data.castillo(**chosen, drop_runaway=False)
    assert samples.shape == (len(rows), 10)
    assert samples.max() < data.CASTILLO_CAP <= everything.max()
    assert len(samples) == (everything < data.CASTILLO_CAP).all(axis=1).sum()
    with pytest.raises(InputError, match="unknown CASTILLO model 'gpt'"):
        data.castillo(models="gpt")
