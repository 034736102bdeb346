"""Schedules: validity, and the fast variance against the joint Gaussian of all slices."""

import itertools

import numpy as np
import pytest

from bayesperf.made_up_world import EVENTS, FIXED, RELATIONS, MadeUpRelation, counts, pmu
from credence.bayesperf.schedule import (
    a_optimal,
    basis_rotation,
    expected_error,
    linux_round_robin,
    markov_blanket,
    opening_group,
    repeat,
)
from credence.bayesperf.schedule.blanket import blanket, connect, factor_graph, shortest_path
from credence.bayesperf.schedule.constraints import as_groups, as_schedule
from credence.bayesperf.schedule.expectation import LEAST, case_of, coordinates, expected_sd
from credence.bayesperf.schedule.optimal import open_rank, see_everything
from credence.bench.errors import InputError


def dense_sd(found, schedule, around):
    """Condition the joint Gaussian of all slices on everything measured."""
    slices, states = (2 * around + 1) * len(schedule), found.transition.size
    time = np.arange(slices)
    kept = found.transition[None, None] ** np.abs(time[:, None] - time)[..., None]
    joint = np.einsum("tui,ij->tiuj", kept, found.stationary).reshape(slices * states, -1)
    rows, noise = [], []
    for t, event in itertools.product(time, range(len(found.events))):
        if schedule[t % len(schedule), event]:
            row = np.zeros((slices, states))
            row[t] = found.outputs[event]
            rows.append(row.ravel())
            noise.append(found.noise[event])
    rows = np.array(rows)
    gain = joint @ rows.T @ np.linalg.inv(rows @ joint @ rows.T + np.diag(noise))
    after = (joint - gain @ rows @ joint).reshape(slices, states, slices, states)
    middle = range(around * len(schedule), (around + 1) * len(schedule))
    return np.array([np.sqrt(np.diag(found.outputs @ after[t, :, t] @ found.outputs.T)) for t in middle])


def test_expected_sd_is_the_joint_gaussian():
    found = case_of(counts(), EVENTS, RELATIONS)
    assert found.rank == len(EVENTS) - 2
    schedule = linux_round_robin(EVENTS, pmu())
    np.testing.assert_allclose(expected_sd(found, schedule, 3), dense_sd(found, schedule, 1), atol=1e-9)


def test_expected_error_is_what_a_gaussian_program_shows():
    found, rng = case_of(counts(), EVENTS, RELATIONS), np.random.default_rng(0)
    everything = as_schedule([EVENTS[1:]], EVENTS, pmu(6))
    error = expected_error(found, everything)
    # measured every slice: nothing but the read noise is left, and the identities average some of it away
    assert np.all(error <= 1.0001 * np.sqrt(2 / np.pi) * np.sqrt(found.noise))
    assert np.all(expected_error([found, found], linux_round_robin(EVENTS, pmu())) > error)
    assert rng is not None


def test_a_case_is_the_smoothers_chain_to_first_order():
    made = counts()
    found = case_of(made, EVENTS, RELATIONS, level=0)
    level = made.mean(axis=0)
    # a small change of the basis counts moves all others as the identities say
    change = found.expansion @ np.array([0.01, -0.02, 0.03, 0.01, 0.02])
    for relation in RELATIONS[:2]:
        row = np.array([relation.coefficients.get(event, 0.0) for event in EVENTS]) * level
        assert abs(row @ change) < 1e-9 * np.abs(row).max()
    basis = [int(np.flatnonzero(np.all(found.expansion == unit, axis=1))[0]) for unit in np.eye(found.rank)]
    logs = np.log(made[:, basis] / level[basis] + 0.2)
    np.testing.assert_allclose(
        np.diag(found.covariances.sum(axis=0)), logs.var(axis=0) + len(found.covariances) * LEAST**2, rtol=0.02
    )


def test_a_basis_rotation_counts_as_many_events_as_are_open():
    basis = coordinates(EVENTS, RELATIONS, counts().mean(axis=0)).basis
    schedule = basis_rotation(EVENTS, pmu(2), basis)
    assert schedule.shape == (2, 7)
    assert schedule[:, 0].all()
    assert schedule[:, 1:].any(axis=0).sum() == 4
    assert open_rank(basis, schedule.any(axis=0)) == 0


def test_linux_gives_every_event_its_turn():
    schedule = linux_round_robin(EVENTS, pmu(4))
    assert schedule.shape == (3, 7)
    assert schedule[:, 0].all()
    np.testing.assert_array_equal(schedule[:, 1:].sum(axis=0), 2)
    assert as_groups(schedule, EVENTS, pmu(4))[0] == ["LOADS", "HITS", "MISSES", "FAR"]
    sliding = linux_round_robin(EVENTS, pmu(2), step=1)
    assert as_groups(sliding, EVENTS, pmu(2))[:2] == [["LOADS", "HITS"], ["HITS", "MISSES"]]
    assert len(sliding) == 6
    assert linux_round_robin(EVENTS, pmu(6)).all()
    assert linux_round_robin(FIXED, pmu(2)).all()
    with pytest.raises(InputError, match="step"):
        linux_round_robin(EVENTS, pmu(), step=0)


def test_events_tied_to_one_counter_are_never_together():
    tied = pmu(3, LOADS=(0,), FAR=(0,))
    for schedule in (linux_round_robin(EVENTS, tied), markov_blanket(EVENTS, tied, RELATIONS)):
        assert schedule.any(axis=0).all()
        assert not (schedule[:, 1] & schedule[:, 4]).any()
        as_groups(schedule, EVENTS, tied)
    with pytest.raises(InputError, match="does not fit"):
        as_schedule([["LOADS", "FAR"]], EVENTS, tied)
    with pytest.raises(InputError, match="fits on none"):
        linux_round_robin(EVENTS, pmu(1, NEAR=()))
    with pytest.raises(InputError, match="twice"):
        linux_round_robin(("A", "A"), 2)


def test_a_schedule_is_laid_over_a_run():
    schedule = linux_round_robin(EVENTS, pmu(2))
    run = repeat(schedule, 8, start=1)
    np.testing.assert_array_equal(run[0], schedule[1])
    np.testing.assert_array_equal(run[2], schedule[0])
    assert repeat(schedule, 0).shape == (0, 7)


def test_neighbouring_groups_overlap_as_in_figure_2():
    events = tuple("abcdef")
    ties = [MadeUpRelation("eq", **{pair[0]: 1.0, pair[1]: -1.0}) for pair in ("ab", "ae", "ed")]
    schedule = markov_blanket(events, 3, ties)
    groups = as_groups(schedule, events, pmu(3))
    assert schedule.any(axis=0).all()
    assert len(groups) == 3
    for before, after in itertools.pairwise(groups):
        assert set(before) & set(after)


def naive_distance(graph, start, end):
    frontier, seen, steps = {start}, {start}, 0
    while end not in frontier:
        frontier = {other for event in frontier for other in graph[event]} - seen
        if not frontier:
            return None
        seen |= frontier
        steps += 1
    return steps


def test_shortest_paths_are_shortest():
    rng = np.random.default_rng(3)
    events = [f"e{i}" for i in range(12)]
    ties = [MadeUpRelation("eq", **dict.fromkeys(rng.choice(events, 2, replace=False), 1.0)) for _ in range(14)]
    graph = factor_graph(events, ties)
    for start, end in itertools.combinations(events, 2):
        path, distance = shortest_path(start, {end}, graph), naive_distance(graph, start, end)
        assert (path is None) == (distance is None)
        if path is not None:
            assert len(path) == distance + 1
            assert all(b in graph[a] for a, b in itertools.pairwise(path))


def test_groups_far_apart_are_connected_and_pruned():
    events = tuple("abcdefg")
    chain = [MadeUpRelation("eq", **{x: 1.0, y: -1.0}) for x, y in itertools.pairwise(events)]
    graph = factor_graph(events, chain)
    assert blanket(["d"], graph) == frozenset("cde")
    between = connect(["a"], ["g"], graph, pmu(1))
    assert between == [["b"], ["c"], ["d"], ["e"], ["f"]]
    # a star: both ends of two paths share their middle, one step is enough
    star = [MadeUpRelation("eq", **{x: 1.0, "m": -1.0}) for x in "abcd"]
    assert connect(["a", "b"], ["c", "d"], factor_graph(tuple("abcdm"), star), pmu(1)) == [["m"]]
    lonely = factor_graph(events, [])
    assert connect(["a"], ["g"], lonely, pmu(1)) == []
    assert markov_blanket(events, 2, [], share=0).any(axis=0).all()


def test_a_optimal_beats_rotation_and_wastes_no_counter_on_what_follows():
    cases = [case_of(counts(seed=seed), EVENTS, RELATIONS, level=0) for seed in (1, 2)]
    weights = np.array([event not in FIXED for event in EVENTS], float)
    assert case_of(counts(), EVENTS, RELATIONS).decays.size == cases[0].decays.size + 1
    schedule = a_optimal(cases, pmu(2), period=6, tries=40, rng=np.random.default_rng(0))
    as_groups(schedule, EVENTS, pmu(2))
    assert open_rank(cases[0].expansion, schedule.any(axis=0)) == 0
    rotation = linux_round_robin(EVENTS, pmu(2))
    assert weights @ expected_error(cases, schedule) < 0.9 * weights @ expected_error(cases, rotation)
    greedy = a_optimal(cases, pmu(2), period=6)
    assert weights @ expected_error(cases, schedule) <= weights @ expected_error(cases, greedy)
    # four open dimensions besides the fixed counter: with four counters nothing but noise is left
    assert np.all(expected_error(cases, a_optimal(cases, pmu(4), period=4)) < 0.03)


def test_the_best_small_schedule_is_found():
    found, machine = case_of(counts(), EVENTS, RELATIONS), pmu(1)
    weights = np.array([event not in FIXED for event in EVENTS], float) / 6
    blind = min(
        open_rank(found.expansion, as_schedule([[a], [b]], EVENTS, machine).any(axis=0))
        for a, b in itertools.product(EVENTS[1:], repeat=2)
    )
    best = min(
        weights @ expected_error(found, schedule)
        for a, b in itertools.product(EVENTS[1:], repeat=2)
        if open_rank(found.expansion, (schedule := as_schedule([[a], [b]], EVENTS, machine)).any(axis=0)) == blind
    )
    chosen = a_optimal(found, machine, period=2, tries=60, rng=np.random.default_rng(0))
    assert weights @ expected_error(found, chosen) == pytest.approx(best, rel=1e-3)


def test_unseen_dimensions_are_put_in():
    found = case_of(counts(), EVENTS, RELATIONS)
    blind = as_schedule([["LOADS", "HITS"], ["LOADS", "MISSES"], ["HITS", "LOADS"]], EVENTS, pmu(2))
    assert open_rank(found.expansion, blind.any(axis=0)) == 2
    seen = see_everything(blind, [found], pmu(2))
    assert open_rank(found.expansion, seen.any(axis=0)) == 0
    as_groups(seen, EVENTS, pmu(2))


def test_bad_input_is_named():
    found = case_of(counts(), EVENTS, RELATIONS)
    with pytest.raises(InputError, match="period"):
        a_optimal(found, pmu(), period=0)
    with pytest.raises(InputError, match="cases"):
        a_optimal([], pmu())
    with pytest.raises(InputError, match="shape"):
        expected_sd(found, np.ones((2, 3), bool))
    with pytest.raises(InputError, match="counters"):
        linux_round_robin(EVENTS, 0)


def test_the_first_slice_counts_what_bursts_there_once():
    made = [counts(seed=seed) for seed in (1, 2, 3)]
    for program in made:
        # FAR and MISSES burst together, BRANCHES by itself: one counter for the two, one for the third
        program[0, [3, 4]] = 0.9 * program.sum(axis=0)[[3, 4]]
        program[0, 6] = 0.5 * program[:, 6].sum()
    made[1][0, 6] *= 3
    group = opening_group(made, EVENTS, pmu(2))
    assert len(set(group) & {"MISSES", "FAR"}) == 1
    assert "BRANCHES" in group
    cases = [case_of(program, EVENTS, RELATIONS) for program in made]
    schedule = a_optimal(cases, pmu(2), period=5, tries=20, rng=np.random.default_rng(0), opening=group)
    assert sorted(as_groups(schedule, EVENTS, pmu(2))[0]) == sorted(group)
    assert open_rank(cases[0].expansion, schedule.any(axis=0)) == 0
