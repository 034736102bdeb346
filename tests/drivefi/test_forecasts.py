"""The 3-TBN asked about a whole pool, against single queries of the network and the stop's own formula."""

import numpy as np
import pytest

from credence.bench.seeds import generator
from credence.drivefi.data.variables import INDEX, VARIABLES, fault_types
from credence.drivefi.evaluate import race
from credence.drivefi.infer import tbn
from credence.drivefi.select import forecasts
from credence.drivefi.select.features import changes
from credence.drivefi.select.gp_selector import spread
from credence.drivefi.select.pool import Purse
from credence.drivefi.world import safety

TYPES = fault_types()


@pytest.fixture(scope="module")
def pool():
    return race.declared_pool(301, scenarios=("DS5",))


@pytest.fixture(scope="module")
def cpds(pool):
    chosen = spread(pool.view, 41, generator(0, "forecasts"), pool.view.active)
    return forecasts.train(pool.view, Purse(pool.simulate, 41, pool.logs), chosen)


def test_a_pools_forecast_is_single_queries_and_the_stops_formula(pool, cpds):
    golden, found = forecasts.delta(pool.view, cpds)
    run = pool.view.traces[0]
    period = run.time_s[1] - run.time_s[0]
    state = [INDEX[name] for name in ("vehicle_velocity", "vehicle_heading", "steer")]
    for fault in np.random.default_rng(5).choice(np.flatnonzero(pool.view.active & (pool.view.scene > 0)), 40):
        scene, kind = int(pool.view.scene[fault]), int(pool.view.type[fault])
        later = min(scene + 1, len(run.time_s) - 1)
        struck = INDEX[TYPES[kind].variable]
        window = run.values[[scene - 1, scene, later]]
        value = window[1, struck] + changes(run.values, TYPES)[scene, kind]
        answer = tbn.forecast(cpds[0], window[None], np.array([struck]), np.array([value]))[0, 1]
        speed, heading, steer = (answer - window[2])[state] + (
            run.speed_mps[later],
            run.heading_rad[later],
            run.steer_rad[later],
        )
        curvature = run.values[later, INDEX["lane_curvature"]]

        def stop(speed, heading, steer, curvature=curvature):
            return np.abs(safety.stop_displacement(speed, heading, np.tan(steer) / 2.8 - curvature, 8.0))

        plain = stop(run.speed_mps[later], run.heading_rad[later], run.steer_rad[later])
        faulty = stop(max(speed, 0.0), heading, np.clip(steer, -0.6, 0.6))
        expected = np.array([run.delta_along_m[later], run.delta_across_m[later]]) + plain - faulty
        # the way made beyond the golden run's in that slice is gone too
        expected[0] -= period * (max(speed, 0.0) - run.speed_mps[later])
        assert found[fault] == pytest.approx(expected, rel=1e-4, abs=1e-3), TYPES[kind].name
        assert golden[fault].tolist() == [run.delta_along_m[scene], run.delta_across_m[scene]]


def test_looking_further_finds_no_higher_delta(pool, cpds):
    near, far = (forecasts.delta(pool.view, cpds, horizon)[1] for horizon in (1, 5))
    assert (far <= near).all()
    assert (far < near).any()


def test_pedals_stay_within_their_range(pool, cpds):
    effect = forecasts.actuation(cpds[0], pool.view.traces)
    now = np.repeat(pool.view.traces[0].values[:, list(forecasts.PEDALS)], len(TYPES), axis=0) + effect
    for column, index in enumerate(forecasts.PEDALS):
        assert now[:, column].min() >= VARIABLES[index].low - 1e-12
        assert now[:, column].max() <= VARIABLES[index].high + 1e-12
    # full throttle is what it says, whatever the network
    kind = next(item.index for item in TYPES if item.name == "throttle=max")
    assert now[kind :: len(TYPES), 0] == pytest.approx(1.0)


def test_only_what_a_fault_sets_is_no_target(pool):
    faults = np.array([41 * 7 + 3, 41 * 9])
    found = forecasts.set_by(pool.view, faults, 225)
    assert found.sum() == 2
    assert found[0, 7, INDEX[TYPES[3].variable]]
    assert found[1, 9, INDEX[TYPES[0].variable]]


def test_what_is_unsafe_anyway_comes_last():
    golden = np.array([[1.0, 1.0], [1.0, -0.1], [2.0, 1.0]])
    predicted = np.array([[0.5, 0.2], [-9.0, 0.0], [3.0, -0.3]])
    assert np.argsort(forecasts.ranking(golden, predicted)).tolist() == [2, 0, 1]
