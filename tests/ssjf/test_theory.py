"""The simulator against queueing theory, over a million requests; and theory against itself."""

import numpy as np
import pytest
from scipy import stats

from credence.bench.errors import InputError
from credence.ssjf.evaluate.metrics import batch_means
from credence.ssjf.model import EngineProfile, profile
from credence.ssjf.model.profiles import service_s
from credence.ssjf.model.queueing import (
    cobham_waits,
    empirical_atoms,
    pollaczek_khinchine_wait,
    sjf_wait,
    srpt_response,
    srpt_response_continuous,
)
from credence.ssjf.world import poisson_arrivals, simulate_arrays

COUNT = 1_000_000
WARMUP = 20_000
LENGTHS = np.array([20, 60, 110, 180, 260, 420])
SHARES = np.array([0.25, 0.2, 0.2, 0.15, 0.12, 0.08])


def drawn(load, engine, seed, lengths=LENGTHS, shares=SHARES):
    """Arrivals and lengths of a stationary stream, its rate, and the atoms of its service time."""
    rng = np.random.default_rng(seed)
    output = rng.choice(lengths, size=COUNT, p=shares)
    service = service_s(engine, np.zeros_like(lengths), lengths)
    rate = load / np.sum(shares * service)
    return poisson_arrivals(COUNT, rate, rng), output, rate, service


def assert_within_four_errors(values, expected):
    mean, error = batch_means(values[WARMUP:])
    assert error < 0.05 * expected, "too noisy to mean anything"
    assert abs(mean - expected) < 4 * error, f"{mean:.4f} ± {error:.4f}, theory {expected:.4f}"


@pytest.mark.parametrize("load", [0.5, 0.8])
@pytest.mark.parametrize("batching", ["none", "continuous", "dynamic"])
def test_first_come_first_served_is_pollaczek_khinchine(load, batching):
    arrival, output, rate, service = drawn(load, profile("ssjf-paper"), seed=1)
    schedule = simulate_arrays(arrival, np.zeros(COUNT), output, batching=batching)
    assert_within_four_errors(schedule.start_s - arrival, pollaczek_khinchine_wait(rate, service, SHARES))


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_shared_iterations_with_one_slot_are_a_single_server_too(load):
    engine = EngineProfile("one", prefill_base_s=0.1, decode_base_s=0.02)
    arrival, output, rate, service = drawn(load, engine, seed=2)
    schedule = simulate_arrays(arrival, np.zeros(COUNT), output, batching="continuous", profile=engine)
    assert_within_four_errors(schedule.start_s - arrival, pollaczek_khinchine_wait(rate, service, SHARES))


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_shortest_first_is_cobham(load):
    arrival, output, rate, service = drawn(load, profile("ssjf-paper"), seed=3)
    schedule = simulate_arrays(arrival, np.zeros(COUNT), output, policy="sjf")
    wait = schedule.start_s - arrival
    assert_within_four_errors(wait, sjf_wait(rate, service, SHARES))
    for length, expected in zip(LENGTHS, cobham_waits(rate, SHARES, service, service**2), strict=True):
        chosen = wait[output == length][WARMUP // 20 :]
        mean, error = batch_means(chosen)
        assert abs(mean - expected) < 4 * error


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_shortest_remaining_is_schrage_miller(load):
    # no prefill, so that the tokens that remain are the time that remains; one token is 0.3 % of the mean service
    engine = EngineProfile("bare", decode_base_s=0.01, prefill="overlapped", prefill_emits_token=False)
    lengths = np.arange(10, 1500, 10)
    shares = stats.expon(scale=300).pdf(lengths)
    shares /= shares.sum()
    arrival, output, rate, service = drawn(load, engine, seed=4, lengths=lengths, shares=shares)
    assert engine.decode_base_s <= 0.01 * np.sum(shares * service)
    schedule = simulate_arrays(arrival, np.zeros(COUNT), output, policy="srpt", profile=engine)
    assert_within_four_errors(schedule.end_s - arrival, srpt_response(rate, service, shares))


def test_shares_of_classes_and_single_class_agree():
    assert cobham_waits(0.5, [1.0], [1.0], [2.0])[0] == pytest.approx(pollaczek_khinchine_wait(0.5, [0, 2], [0.5, 0.5]))


def test_conservation_law_of_non_preemptive_orders():
    # Kleinrock: Σ ρ_k W_k does not depend on the order of the classes
    share, mean = np.array([0.2, 0.3, 0.5]), np.array([0.5, 2.0, 1.0])
    load = 0.6 * share * mean
    best_first = np.sum(load * cobham_waits(0.6, share, mean, mean**2))
    turned = np.sum(load[::-1] * cobham_waits(0.6, share[::-1], mean[::-1], mean[::-1] ** 2))
    assert best_first == pytest.approx(turned)


@pytest.mark.parametrize(("load", "known"), [(0.5, 1.42537), (0.8, 2.35277)])
def test_discrete_and_continuous_srpt_agree_for_exponential_service(load, known):
    steps = 50_000
    atoms = stats.expon().ppf((np.arange(steps) + 0.5) / steps)
    assert srpt_response(load, atoms, np.full(steps, 1 / steps)) == pytest.approx(known, rel=1e-4)
    assert srpt_response_continuous(load, stats.expon()) == pytest.approx(known, rel=1e-4)


def test_srpt_with_one_length_is_first_come_first_served():
    # nothing is ever strictly shorter but the running one
    assert srpt_response(0.7, [1.0], [1.0]) == pytest.approx(1 + pollaczek_khinchine_wait(0.7, [1.0], [1.0]))


def test_atoms_of_a_sample():
    values, frequency = empirical_atoms([3.0, 1.0, 3.0, 3.0])
    assert values.tolist() == [1.0, 3.0]
    assert frequency.tolist() == [0.25, 0.75]


@pytest.mark.parametrize("rate", [0.0, -1.0, 1.0, 2.0])
def test_a_load_outside_zero_to_one_is_refused(rate):
    for formula in (pollaczek_khinchine_wait, sjf_wait, srpt_response):
        with pytest.raises(InputError, match="load"):
            formula(rate, [1.0], [1.0])


@pytest.mark.parametrize(
    ("service", "probability"), [([1.0], [0.5]), ([-1.0], [1.0]), ([1.0, 2.0], [1.0]), ([], []), ([1.0], [-1.0])]
)
def test_a_distribution_that_is_none_is_refused(service, probability):
    with pytest.raises(InputError, match="allowed"):
        pollaczek_khinchine_wait(0.1, service, probability)
