"""The model broken on purpose, and keys made of samples."""

import numpy as np
import pytest
from scipy import stats

from credence.bench import seeds
from credence.bench.errors import InputError
from credence.ssjf import data
from credence.ssjf.evaluate import breaks, maps, sample_keys


@pytest.fixture(scope="module")
def source():
    return maps.population("ssjf-simulated-vicuna")


@pytest.fixture(scope="module")
def nominal(source):
    return maps.nominal_taus(source, [breaks.TAU])


def broken(name, strength, source, nominal, count=4000, load=0.9):
    return breaks.broken(name, strength, source, nominal, load=load, count=count, draw=0, seed=0)


@pytest.mark.parametrize("name", list(breaks.STRENGTHS))
def test_the_first_strength_of_every_break_is_the_maps_own_workload(name, source, nominal):
    work, rate, settings = broken(name, breaks.STRENGTHS[name][0], source, nominal)
    plain, plain_rate, _ = broken("burst", 1.0, source, nominal)
    assert rate == pytest.approx(plain_rate)
    assert not any(settings.values())
    assert np.array_equal(work.output_tokens, plain.output_tokens)
    assert np.array_equal(work.keys[breaks.TAU], plain.keys[breaks.TAU])


@pytest.mark.parametrize("name", list(breaks.STRENGTHS))
def test_no_break_changes_the_offered_load(name, source, nominal):
    strength = breaks.STRENGTHS[name][2]
    work, rate, _ = broken(name, strength, source, nominal, count=60_000)
    assert rate * np.mean(0.1 + 0.02 * work.output_tokens) == pytest.approx(0.9, rel=0.03)


def test_spells_correlate_neighbours_and_keep_every_request(source, nominal):
    work = maps.workload(source, nominal, 8000, 0, 0)
    spells = breaks.clumped(work, 0.9, np.random.default_rng(1))
    pairs = sorted(zip(work.output_tokens, work.keys[breaks.TAU], strict=True))
    assert sorted(zip(spells.output_tokens, spells.keys[breaks.TAU], strict=True)) == pairs
    scores = stats.norm.ppf(stats.rankdata(spells.output_tokens) / 8001)
    assert np.corrcoef(scores[1:], scores[:-1])[0, 1] == pytest.approx(0.9, abs=0.02)


def test_unforeseen_lengths_keep_the_mean_and_lower_tau():
    lengths = np.full(200_000, 200)
    found = breaks.unforeseen(lengths, 0.5, np.random.default_rng(0))
    assert found.mean() == pytest.approx(200, rel=0.01)
    assert np.log(found).std() == pytest.approx(0.5, rel=0.02)


def test_unfinished_work_is_lindleys_recursion():
    rng = np.random.default_rng(5)
    arrival, service = np.cumsum(rng.exponential(1.0, 300)), rng.exponential(0.9, 300)
    work, expected = 0.0, []
    for k in range(300):
        work = max(0.0, work - (arrival[k] - arrival[k - 1] if k else 0.0))
        expected.append(work)
        work += service[k]
    assert np.allclose(breaks.unfinished_work(arrival, service), expected)


def test_predictions_go_missing_only_when_busy(source, nominal):
    work, rate, _ = broken("burst", 1.0, source, nominal)
    service = 0.1 + 0.02 * work.output_tokens
    key = breaks.forgetful(work, rate, 1.0, service, np.random.default_rng(0)).keys[breaks.TAU]
    lost = key != work.keys[breaks.TAU]
    found = breaks.unfinished_work(np.cumsum(work.gaps / rate), service)
    assert 0.45 < lost.mean() <= 0.5
    assert found[lost].min() > np.median(found)
    assert np.unique(key[lost]).size == 1


def test_losing_predictions_when_busy_breaks_the_claim_and_bursts_do_not(source):
    strengths = {"missing": (0.0, 1.0), "burst": (1.0, 4.0)}
    frame = breaks.break_frame(breaks.break_draws(source, strengths, loads=(0.9,), count=3000, draws=4))
    cut = frame.set_index(["break", "strength"])["cut"]
    assert cut["missing", 0.0] > 30 > cut["missing", 1.0]
    assert cut["burst", 4.0] > cut["burst", 1.0] == cut["missing", 0.0]


def test_an_unknown_break_is_refused(source, nominal):
    with pytest.raises(InputError, match="wind"):
        broken("wind", 1.0, source, nominal)


def test_keys_of_samples_lie_between_one_sample_and_the_truth():
    rows, samples = data.simulated_chat()
    draws = sample_keys.key_draws(rows["prompt_tokens"].to_numpy(), samples, count=4000, draws=4)
    mean = sample_keys.key_frame(draws).set_index("key")["mean_s"]
    assert list(mean.index) == [*sample_keys.KEYS, "oracle"]
    assert mean["oracle"] < mean["mean"] < mean["one sample"]
    against = sample_keys.against_mean(draws).set_index("key")
    assert against.loc["mean", ["mean_change", "p99_change", "mean_change_lo"]].tolist() == [0, 0, 0]
    assert against.loc["oracle", "mean_change_hi"] < 0 < against.loc["one sample", "mean_change"]


def test_the_same_seed_gives_the_same_draws():
    rows, samples = data.simulated_chat()
    prompt = rows["prompt_tokens"].to_numpy()
    first, again = (sample_keys.key_draws(prompt, samples, count=300, draws=2, seed=5) for _ in range(2))
    assert first.equals(again)
    assert not first.equals(sample_keys.key_draws(prompt, samples, count=300, draws=2, seed=6))
    assert seeds.generator(5, "keys", 0).random() != seeds.generator(6, "keys", 0).random()
