"""How long a million requests take. Timed by ``pytest --benchmark-enable tests/benchmarks``; else run once."""

import numpy as np
import pytest

from credence.ssjf.model import EngineProfile
from credence.ssjf.world import poisson_arrivals, rate_for_load, simulate_arrays

# Prefill stalls decodes; an iteration costs by batch size and by context: nothing here can be skipped.
SHARED = EngineProfile(
    "shared",
    prefill_base_s=0.005,
    prefill_per_token_s=5e-5,
    decode_base_s=0.02,
    decode_per_sequence_s=1e-4,
    decode_per_context_token_s=1e-7,
    preemption="free",
)


@pytest.fixture(scope="module")
def lengths(request):
    # without timing, a tenth is enough to see that it runs
    timed = request.config.getoption("--benchmark-enable") or not request.config.getoption("--benchmark-disable")
    count = 1_000_000 if timed else 100_000
    rng = np.random.default_rng(0)
    prompt = np.clip(rng.lognormal(5, 1, count), 1, 4000).astype(np.int64)
    output = np.clip(rng.lognormal(4.8, 1, count), 1, 2000).astype(np.int64)
    return prompt, output


@pytest.mark.parametrize(
    ("policy", "batching", "slots"),
    [
        ("fcfs", "continuous", 16),
        ("fcfs", "continuous", 64),
        ("ssjf", "continuous", 16),
        ("ssjf", "continuous", 64),
        ("srpt", "continuous", 16),
        ("ssjf", "dynamic", 16),
        ("ssjf", "none", 1),
        ("ssjf", "none", 16),
    ],
)
def test_a_million_requests(benchmark, lengths, policy, batching, slots):
    prompt, output = lengths
    rng = np.random.default_rng(1)
    rate = rate_for_load(0.9, prompt, output, batching=batching, slots=slots, engine=SHARED)
    arrival = poisson_arrivals(output.size, rate, rng)
    predicted = output * rng.lognormal(0, 0.5, output.size)
    settings = {"policy": policy, "batching": batching, "slots": slots, "profile": SHARED}
    simulate_arrays(arrival[:10], prompt[:10], output[:10], predicted=predicted[:10], **settings)  # compile

    schedule = benchmark.pedantic(
        simulate_arrays, (arrival, prompt, output), settings | {"predicted": predicted}, rounds=3, iterations=1
    )
    assert np.all(schedule.end_s > schedule.start_s)
