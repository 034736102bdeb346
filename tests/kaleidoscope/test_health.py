"""What people are told: states, sets, rates; what a probe plan can tell apart; priors over time."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.kaleidoscope.infer import health, identifiability, temporal
from credence.kaleidoscope.model.variants import Priors, Variant

CLIENTS, NET, MDS, SERVERS, TARGETS = (0, 1), 2, 3, (4, 5), (6, 7)


def small(routers=0):
    """Two clients, a network, a metadata server, one pair with two targets; routers in one group."""
    cells = list(itertools.product(CLIENTS, TARGETS))
    series = np.array([[c, NET, MDS, t] for c, t in cells] + [[c, NET, MDS, -1] for c in CLIENTS], np.int32)
    groups = np.full((6, 2), -1, np.int32)
    groups[:4, 0] = 0
    members = np.full((2, 4), -1, np.int32)
    members[0, :2] = SERVERS
    kinds = np.array([0, 0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 5], np.int8)[: 8 + routers]
    if routers:
        members[1, :routers] = 8 + np.arange(routers)
        groups[:4, 1] = 1
    return SimpleNamespace(series=series, groups=groups, members=members, lnet=np.array([False, True]), kinds=kinds)


# a failed path that lets nearly all probes through is rare
PRIORS = Priors(down=(1, 4))


def seen(succeeded, sent=30):
    succeeded = np.asarray(succeeded)
    return SimpleNamespace(
        sent=np.full(len(succeeded), sent), succeeded=succeeded, missing=np.zeros(len(succeeded), int)
    )


def test_one_target_is_down_and_the_rest_is_up():
    table = health(small(), seen([3, 30, 4, 30, 30, 30]))
    assert table.state[6] == "down"
    assert table["rank"][6] == 1
    assert (table.state.drop(6) == "up").all()
    assert (table["set"] == 0).all()
    # 7 of 60 probes through it, all else is up
    assert table.rate[6] == pytest.approx(7.5 / 61, rel=1e-3)
    assert table.lo90[6] < 7 / 60 < table.hi90[6]
    assert table.rate[0] == pytest.approx(60.5 / 61, rel=1e-3)


def test_both_targets_or_both_servers_is_a_set_and_not_a_guess():
    table = health(small(), seen([3, 2, 4, 5, 30, 30]), PRIORS)
    assert (table.state[[4, 5, 6, 7]] == "ambiguous").all()
    assert table["set"][4] > 0
    assert set(np.flatnonzero(table["set"] == table["set"][4])) == {4, 5, 6, 7}
    assert table.p_up[4] == pytest.approx(0.5, abs=0.01)
    assert (table.state[[0, 1, 2, 3]] == "up").all()


def test_what_a_dead_metadata_server_hides_is_not_called_up():
    table = health(small(), seen([1, 2, 0, 3, 2, 0]))
    # network and metadata server are crossed by the very same cells
    assert set(np.flatnonzero(table["set"] == table["set"][2])) == {2, 3}
    assert (table.state[[4, 5, 6, 7]] == "ambiguous").all()
    assert len(set(table["set"][[4, 5, 6, 7]])) == 1
    assert table.lo90[6] < 0.02
    assert table.hi90[6] > 0.98


def test_one_of_four_routers_in_turn_is_a_set():
    table = health(small(4), seen([22, 23, 21, 24, 30, 30]), variant=Variant(lnet="mixture"))
    assert table.p_up[8:].to_numpy() == pytest.approx(0.75, abs=0.02)
    assert set(table["set"][8:]) == {1}
    assert (table.state[:8] == "up").all()


def test_identifiability_of_a_small_plan():
    found = identifiability(small(), k=2)
    assert found.sets == ((NET, MDS),)
    assert found.hidden == SERVERS
    assert found.unprobed == ()
    assert found.level[NET] == 0
    assert found.level[6] == 1  # alone it is seen, behind a dead network it is not
    confused = {frozenset(pair) for pair in found.confused}
    assert any(SERVERS in pair for pair in confused)


def test_pairs_of_components_by_brute_force():
    paths = small()
    fails = {}
    for down in [(), *((i,) for i in range(8)), *itertools.combinations(range(8), 2)]:
        cells = []
        for row, groups in zip(paths.series, paths.groups, strict=True):
            dead = bool(set(row.tolist()) & set(down)) or (groups[0] == 0 and set(SERVERS) <= set(down))
            cells.append(dead)
        fails.setdefault(tuple(cells), []).append(set(down))
    unsure = set()
    for same in fails.values():
        unsure |= set.union(*same) - set.intersection(*same)
    level = identifiability(paths, k=2).level
    assert {i for i in range(8) if level[i] < 2} == unsure | set(SERVERS)


def test_suggests_the_probe_that_tells_most_apart():
    paths = small()
    candidates = SimpleNamespace(
        series=np.array([[0, NET, -1], [0, MDS, -1], [0, 6, -1]], np.int32),
        groups=np.full((3, 1), -1, np.int32),
        members=paths.members,
        lnet=paths.lnet,
    )
    found = identifiability(paths, candidates)
    assert found.suggested in (0, 1)
    assert found.resolves == 1
    assert identifiability(paths, SimpleNamespace(**{**vars(candidates), "series": paths.series})).suggested is None
    with pytest.raises(InputError, match="k is 3"):
        identifiability(paths, k=3)


def test_prior_of_the_next_window():
    base = np.array([0.999, 0.9])
    assert temporal.next_prior(base, base) == pytest.approx(base)
    after = temporal.next_prior(np.array([0.0, 1.0]), base, fault_windows=4)
    assert after == pytest.approx([1 / 4, 0.9 + 0.1 * (1 - 1 / 3.6)])
    with pytest.raises(InputError, match="fault_windows"):
        temporal.next_prior(base, base, 1.0)


def test_moments_are_matched_and_forgotten():
    draws = np.random.default_rng(0).beta(8.0, 2.0, (200_000, 1))
    a, b = temporal.update(draws, (10, 0.1), keep=1.0)
    assert (a[0], b[0]) == (pytest.approx(8, rel=0.02), pytest.approx(2, rel=0.02))
    assert temporal.update(draws, (10, 0.1), keep=0.0)[0] == pytest.approx([10.0])
    with pytest.raises(InputError, match="keep"):
        temporal.update(draws, (1, 1), keep=1.5)
