"""`smooth` with the paper's Student-t noise and with inequalities: the same as its oracles, window and sampler."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bayesperf.made_up_runs import EVENTS, IDENTITIES, made_up, relation
from bayesperf.made_up_windows import made_up as made_up_window
from bayesperf.test_student_oracle import gibbs
from credence.bayesperf.data.observations import from_readings
from credence.bayesperf.infer import Settings, smooth
from credence.bayesperf.infer.windows import by_mixture, fast, window_of
from credence.bench.errors import InputError

LINEAR = Settings(scale="linear", decays=(0.9, 0.5), iterations=4)
ORDER = relation("le", TAKEN=1, NTAKEN=-1.0)


@pytest.fixture
def observations():
    """Four noisy readings a slice; in one slice a reading of one event is far off."""
    _, truth, on = made_up(np.random.default_rng(3), slices=24)
    rng = np.random.default_rng(4)
    readings = truth[:, None, :] / 4 * (1 + 0.03 * rng.standard_normal((24, 4, 6)))
    readings[10, 2, 0] *= 3
    return from_readings(EVENTS, np.maximum(readings, 0), on)


@pytest.mark.parametrize(("student", "orders"), [(True, False), (False, True), (True, True)])
def test_a_run_is_the_window_that_is_as_long(observations, student, orders):
    settings = replace(LINEAR, student=student, orders=orders)
    done = smooth(observations, (*IDENTITIES, ORDER), settings)
    relations = (ORDER,) if orders else ()
    noise = "student" if student else "normal"
    window = window_of(
        done.learned, observations, settings=settings, noise=noise, relations=relations, nonnegative=orders
    )
    mean, sd = fast(window)
    np.testing.assert_allclose(done.mean, mean, rtol=1e-5, atol=1e-5 * mean.max())
    np.testing.assert_allclose(done.sd, sd, rtol=1e-4, atol=1e-6 * mean.max())
    plain = smooth(observations, IDENTITIES, LINEAR, learned=done.learned)
    assert np.abs(plain.mean - done.mean).max() > 0.01 * plain.sd.max()  # it does something


def test_student_noise_agrees_with_the_sampler(observations):
    short = from_readings(EVENTS, np.ones((6, 4, 6)), np.zeros((6, 6), bool))
    parts = {name: getattr(observations, name)[7:13] for name in ("mean", "variance_of_mean", "sd_reading")}
    short = replace(short, **parts)
    settings = replace(LINEAR, student=True)
    done = smooth(short, IDENTITIES, settings)
    mean, sd = gibbs(window_of(done.learned, short, settings=settings, noise="student"), np.random.default_rng(0), 3000)
    assert np.abs((done.mean - mean) / sd).max() < 0.1
    assert np.abs(done.sd / sd - 1).max() < 0.1
    sampled = smooth(short, IDENTITIES, settings, learned=done.learned, rng=np.random.default_rng(1))
    assert np.abs((sampled.mean - mean) / sd).max() < 0.1
    assert np.abs(sampled.sd / sd - 1).max() < 0.1


def test_a_reading_far_off_is_told_from_a_burst(observations):
    """The slice's own readings disagree: with Student-t noise its count is believed less."""
    mean = {on: smooth(observations, IDENTITIES, replace(LINEAR, student=on)).mean for on in (False, True)}
    seen = observations.mean[10, 0]
    assert abs(mean[True][10, 0] - seen) > 5 * abs(mean[False][10, 0] - seen)


def test_orders_are_kept_that_would_be_broken(observations):
    order = relation("le", MISS=1, HIT=-0.051)  # just broken on average
    before = smooth(observations, IDENTITIES, LINEAR).mean
    after = smooth(observations, (*IDENTITIES, order), replace(LINEAR, orders=True)).mean
    broken = [(m[:, 2] > 0.051 * m[:, 1]).mean() for m in (before, after)]
    assert broken[1] < 0.25 * broken[0]
    assert (after > 0).all()


def test_two_samplers_agree_on_a_cell_that_is_an_outlier_or_a_burst():
    window = made_up_window(5, degrees=3.0)
    value = window.value.copy()
    value[4] += 0.5
    window = replace(window, value=value)
    mean, sd = gibbs(window, np.random.default_rng(0))
    found = by_mixture(window, np.random.default_rng(1), 2000)  # both change slowly from one explanation to the other
    assert np.sqrt(np.mean(((found[0] - mean) / sd) ** 2)) < 0.15
    assert np.median(np.abs(found[1] / sd - 1)) < 0.06
    with pytest.raises(InputError, match="allowed: Student-t noise"):
        by_mixture(made_up_window(5), np.random.default_rng(1), 10)


def test_what_cannot_be_done_is_refused(observations):
    with pytest.raises(InputError, match="allowed: scale 'linear'"):
        smooth(observations, IDENTITIES, Settings(student=True))
    two = from_readings(EVENTS, np.ones((4, 2, 6)), np.ones((4, 6), bool))
    with pytest.raises(InputError, match="3 or more"):
        smooth(two, (), replace(LINEAR, student=True))
    with pytest.raises(InputError, match="only with student"):
        smooth(observations, IDENTITIES, LINEAR, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="allowed: scale 'linear'"):
        smooth(SimpleNamespace(events=EVENTS, mean=observations.mean), (ORDER,), Settings(orders=True))
