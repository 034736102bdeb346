"""Mean error, bias and autocorrelation of estimates, as the case study takes them."""

import numpy as np
import pandas as pd
import pytest

from credence.bayesperf.data import traces
from credence.bayesperf.evaluate import metrics, pcie, pcie_errors
from credence.bench import catalogue
from credence.bench.errors import InputError


def test_figures_of_a_made_up_error_are_those_it_was_made_with():
    rng = np.random.default_rng(0)
    noise = np.zeros((20_000, 3))
    for k in range(1, len(noise)):
        noise[k] = 0.6 * noise[k - 1] + 0.8 * rng.standard_normal(3)
    truth = np.full(noise.shape, 1000.0)
    found = pcie_errors.error_figures(truth * (1 + 0.05 * np.array([1, -1, 1]) + 0.1 * noise), truth)
    assert found["bias"] == pytest.approx(0.05, abs=0.004)
    assert found["autocorrelation"] == pytest.approx(0.6, abs=0.02)
    z = np.abs(0.05 + 0.1 * rng.standard_normal(200_000)).mean()
    assert found["mean_error"] == pytest.approx(z, rel=0.03)


def test_the_mean_error_is_the_wape_of_the_events_that_happen():
    rng = np.random.default_rng(1)
    truth, estimate = rng.integers(1, 100, (50, 4)).astype(float), rng.integers(1, 100, (50, 4)).astype(float)
    truth[:, 2] = 0
    expected = np.delete(metrics.wape(np.delete(estimate, 2, 1), np.delete(truth, 2, 1)), [])
    assert pcie_errors.error_figures(estimate, truth)["mean_error"] == pytest.approx(expected.mean())


def test_an_error_that_never_varies_has_no_autocorrelation():
    truth = np.ones((10, 2))
    assert pcie_errors.error_figures(1.5 * truth, truth) == {"mean_error": 0.5, "bias": 0.5, "autocorrelation": 0.0}


@pytest.mark.parametrize(
    ("estimate", "truth", "named"),
    [
        (np.ones((5, 2)), np.ones((5, 3)), "shapes"),
        (np.ones((2, 2)), np.ones((2, 2)), "three slices"),
        (np.ones((5, 2)), np.zeros((5, 2)), "no event happens"),
    ],
)
def test_arrays_that_say_nothing_are_refused(estimate, truth, named):
    with pytest.raises(InputError, match=named):
        pcie_errors.error_figures(estimate, truth)


def test_a_row_a_system_is_pooled_over_programs():
    rows = [(p, s, 0.1 * k, 0.0, 0.5) for p in "ab" for k, s in enumerate(pcie_errors.SOURCES, start=len(p))]
    frame = pd.DataFrame(rows, columns=["program", "system", "mean_error", "bias", "autocorrelation"])
    found = pcie.checked_errors(pcie_errors.pooled(frame))
    assert found["mean_error"].tolist() == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.skipif(pcie.MEASURED not in catalogue.names(), reason="counter errors are not recorded yet")
def test_recorded_counter_errors_of_a_program_chosen_at_random_come_out_again():
    recorded = catalogue.frame(pcie.MEASURED)
    assert set(recorded["program"]) == set(traces.programs("qemu-x86", "test"))
    short = [p for p in traces.programs("qemu-x86", "test") if len(traces.trace("qemu-x86", p).counts) < 1000]
    program = short[np.random.default_rng().integers(len(short))]
    found = pcie_errors.program_errors(program).set_index("system")[["mean_error", "bias", "autocorrelation"]]
    before = recorded[recorded["program"] == program].set_index("system").loc[found.index, found.columns]
    # a schedule found by exchanges may turn on the last bit of a sum
    assert np.abs(found - before).to_numpy().max() < 0.02
