"""Rolling forecasts and networks by regime, against loops that carry one deviation slice by slice."""

from dataclasses import replace

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.drivefi.infer import rolling
from drivefi.test_tbn import GRAPH, TRUE, draw

OTHER = replace(TRUE, within=-0.5 * TRUE.within, between=0.8 * TRUE.between)
CPDS = (TRUE, OTHER)
REGIME = np.array([0, 1, 1, 0, 1])
OUTPUTS = (0, 2)


def slice_of(cpds, start):
    """Solve x = W x + start, one variable at a time in the graph's order."""
    found = np.zeros(3)
    for child in range(3):
        found[child] = start[child] + cpds.within[child] @ found
    return found


@pytest.mark.parametrize("held", [False, True])
def test_responses_are_deviations_carried_one_by_one(held):
    found = rolling.responses(CPDS, REGIME, 4, OUTPUTS, held)
    assert found.shape == (5, 3, 5, 2)
    for scene in range(5):
        for variable in range(3):
            # a unit is added to the variable; what reads it in the same slice follows
            moved = slice_of(CPDS[REGIME[scene]], np.eye(3)[variable])
            assert found[scene, variable, 0] == pytest.approx(moved[list(OUTPUTS)], abs=1e-6)
            for ahead in range(1, 5):
                cpds = CPDS[REGIME[min(scene + ahead, 4)]]
                if held and ahead > 1:
                    moved = np.array([moved[0], 0.0, moved[2]])
                moved = slice_of(cpds, cpds.between @ moved)
                assert found[scene, variable, ahead] == pytest.approx(moved[list(OUTPUTS)], abs=1e-6)


def test_an_unstable_network_does_not_overflow():
    wild = replace(TRUE, between=50.0 * np.eye(3))
    found = rolling.responses([wild], np.zeros(3, int), 200, (0,))
    assert np.isfinite(found).all()
    assert np.abs(found).max() == 1e6


def test_deviations_are_responses_times_the_change():
    response = rolling.responses(CPDS, REGIME, 2, OUTPUTS)
    found = rolling.deviations(response, np.array([3, 0]), np.array([1, 2]), np.array([2.0, -0.5]))
    assert np.allclose(found[0], 2.0 * response[3, 1])
    assert np.allclose(found[1], -0.5 * response[0, 2])


def test_a_regime_with_scenes_enough_gets_its_own_network():
    runs = np.concatenate([draw(TRUE, 1, 2000, 1), draw(OTHER, 1, 2000, 2)])
    regime = np.repeat([[0], [1]], 2000, axis=1)
    own = rolling.fit_regimes(GRAPH, runs, regime)
    for cpds, true in zip(own, CPDS, strict=True):
        assert cpds.within == pytest.approx(true.within, abs=0.1)
        assert cpds.between == pytest.approx(true.between, abs=0.1)
    # one scene of a third regime is too few: all scenes together stand for it
    regime[1, -1] = 2
    third = rolling.fit_regimes(GRAPH, runs, regime)[2]
    both = rolling.fit_regimes(GRAPH, runs, np.zeros_like(regime))[0]
    assert np.array_equal(third.within, both.within)
    assert not np.allclose(third.within, own[1].within, atol=0.1)


def test_regimes_are_numbered_by_obstacle_and_brake():
    seen, braking = np.array([False, True, False, True]), np.array([False, False, True, True])
    assert rolling.regimes(np.zeros((4, 7)), seen, braking).tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match=r"shape \(4,\); allowed.*\(5,\)"):
        rolling.regimes(np.zeros((5, 7)), seen, braking)
    with pytest.raises(InputError, match="horizon 0"):
        rolling.responses([TRUE], np.zeros(3, int), 0, (0,))
