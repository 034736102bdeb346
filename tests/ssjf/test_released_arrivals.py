import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.ssjf.world.released_arrivals import AXES, TWO_CLASSES, Requests, arrival_times, draw
from credence.ssjf.world.released_quirks import ALL_OFF, ALL_ON, KINDS

TRACE = np.cumsum(np.random.default_rng(5).exponential(0.2, 400)).round(6)
REQUESTS = Requests(np.arange(10, 110), np.arange(100) % 5)


def test_every_arrival_kind_has_an_axis():
    assert tuple(AXES) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_numbers_and_runs_differ(kind):
    first = arrival_times(kind, 2.0, 3, 20, ALL_ON, 4, TRACE)
    np.testing.assert_array_equal(first, arrival_times(kind, 2.0, 3, 20, ALL_ON, 4, TRACE))
    np.testing.assert_array_equal(first[:2], arrival_times(kind, 2.0, 2, 20, ALL_ON, 4, TRACE))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, arrival_times(kind, 2.0, 3, 20, ALL_ON, 5, TRACE))
    assert (np.diff(first, axis=1) >= 0).all()


def test_d9_floors_the_same_poisson_process():
    whole, exact = (arrival_times("poisson", 5.0, 40, 50, q, 1) for q in (ALL_ON, ALL_ON.but(d9=False)))
    np.testing.assert_array_equal(whole, np.floor(exact))
    assert np.diff(exact, axis=1).mean() == pytest.approx(1 / 5, rel=0.1)  # 1960 gaps: 0.1 is four standard errors
    counts = np.bincount(whole[whole < 8].astype(int), minlength=8) / 40  # 50 jobs at 5/s last longer than 8 s
    assert counts.mean() == pytest.approx(5, abs=0.6)


def test_d4_sorts_the_same_gaps():
    on, off = (arrival_times("gamma", 3.0, 5, 50, q, 1) for q in (ALL_ON, ALL_ON.but(d4=False)))
    gaps_on, gaps_off = (np.diff(a, axis=1, prepend=0) for a in (on, off))
    assert (np.diff(gaps_on, axis=1) >= -1e-9).all()
    assert not (np.diff(gaps_off, axis=1) >= 0).all()
    np.testing.assert_allclose(np.sort(gaps_off, axis=1), gaps_on, atol=1e-6)


def test_gamma_gaps_have_the_stated_rate_and_variation():
    gaps = np.diff(arrival_times("gamma", 2.0, 400, 50, ALL_OFF, 1), axis=1)
    assert gaps.mean() == pytest.approx(1 / 0.03, rel=0.06)  # 19,600 gaps, CV 2: 0.06 is four standard errors
    assert gaps.std() / gaps.mean() == pytest.approx(2, rel=0.12)


def test_d3_takes_milliseconds_for_seconds():
    on, off = (arrival_times("azure", 10.0, 5, 30, q, 1, TRACE) for q in (ALL_ON, ALL_ON.but(d3=False)))
    np.testing.assert_allclose(on, 1000 * off, atol=0.15 + 0.1)  # whole ms / 10, then rounded to 0.1
    assert (on[:, 0] == 0).all()
    assert (off[:, 0] == 0).all()
    np.testing.assert_array_equal(on, on.round(1))
    # the stretch is one of the trace's, with its true gaps
    assert any(np.allclose(TRACE[k : k + 30] - TRACE[k], 10 * off[0]) for k in range(len(TRACE) - 29))


def test_draws_are_independent_bootstrap_samples():
    rows = draw(REQUESTS, "gamma", runs=4, jobs=6, draws=3, seed=2)
    assert rows.shape == (3, 5, 4, 6)
    assert rows.min() >= 0
    assert rows.max() < 100
    np.testing.assert_array_equal(rows[:2], draw(REQUESTS, "gamma", runs=4, jobs=6, draws=2, seed=2))
    assert not np.array_equal(rows[0], rows[1])


def test_belief_is_the_middle_of_the_predicted_class():
    assert Requests(np.array([5, 5]), np.array([0, 1]), TWO_CLASSES).belief_s.tolist() == pytest.approx(
        [0.1 + 0.02 * 70.5, 0.1 + 0.02 * 322]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("uniform", 1.0), "unknown arrival kind"),
        (("poisson", 0.0), r"arrival rate \[1/s\] 0.0"),
        (("gamma", float("nan")), "finite number > 0"),
        (("poisson", 1.0, 0), "at least 1 run"),
        (("azure", 1.0), "not 0"),
        (("azure", 1.0, 2, 50, ALL_ON, 0, TRACE[:49]), "not 49"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        arrival_times(*arguments)


def test_bad_requests_are_refused():
    with pytest.raises(InputError, match="2 lengths and 1 classes"):
        Requests(np.array([1, 2]), np.array([0]))
    with pytest.raises(InputError, match=r"0\.\.5: 0\.\.4 are allowed"):
        Requests(np.array([1, 2]), np.array([0, 5]))
    with pytest.raises(InputError, match="draws = 0"):
        draw(REQUESTS, "gamma", draws=0)
