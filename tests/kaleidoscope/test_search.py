"""The search against enumeration, and its incremental sums against sums from scratch."""

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.kaleidoscope.infer import index, map_search, map_windows, ready, search
from credence.kaleidoscope.infer import search_kernels as kernels
from credence.kaleidoscope.infer.search import down_components
from credence.kaleidoscope.model.cells import cell_table, counts
from credence.kaleidoscope.model.variants import Priors, Variant
from kaleidoscope.random_graphs import enumerate_states, graph, window

VARIANTS = (Variant(), Variant(lnet="mixture"), Variant(pair=False))


def example(seed, variant):
    rng = np.random.default_rng(seed)
    groups = ([], [2], [3, 2], [2, 2])[seed % 4]
    paths = graph(rng, int(rng.integers(3, 10 - sum(groups))), groups, int(rng.integers(5, 25)), mixed_one=True)
    up = (rng.random(len(paths.kinds)) > 0.2).astype(float)
    up_or_not = float(rng.choice([0.999, 0.9, 0.7]))
    priors = Priors(p_up=dict.fromkeys(("client", "server", "target", "router"), up_or_not), up_strength=None)
    return paths, window(rng, paths, up, variant), priors


def test_finds_the_mode_that_enumeration_finds():
    found, graphs = 0, 120
    for seed in range(graphs):
        variant = VARIANTS[seed % 3]
        paths, seen, priors = example(seed, variant)
        explanation = map_search(paths, seen, priors, variant)
        states, values = enumerate_states(paths, counts(seen, variant), priors, variant)
        assert explanation.log_posterior <= values.max() + 1e-9
        found += explanation.log_posterior > values.max() - 1e-9
        # what it says is down has the posterior it says
        state = np.ones(len(paths.kinds), int)
        state[list(explanation.down)] = 0
        for g, dead in explanation.dead.items():
            state[paths.members[g][paths.members[g] >= 0][:dead]] = 0
        assert values[(states == state).all(axis=1)] == pytest.approx(explanation.log_posterior, abs=1e-9)
        assert values[-0] == pytest.approx(explanation.log_all_up, abs=1e-9)
    assert found >= 0.99 * graphs


@pytest.mark.parametrize("variant", VARIANTS)
def test_incremental_sums_equal_sums_from_scratch(variant):
    rng = np.random.default_rng(3)
    paths, seen, priors = example(2, variant)
    found = index(paths, variant)
    cells = cell_table(*counts(seen, variant), priors, found.shares)
    odds = found.log_odds(found.priors_up(priors))
    frame = search._frame(found, cells.code, cells.values, odds)
    height = np.zeros((found.variables, found.column.shape[1]))
    gain = np.zeros(found.variables)
    state = search._state(found, paths.cells, gain, height)
    level = state[0]
    kernels.base(frame, state)
    for _ in range(60):
        v = int(rng.integers(found.variables))
        target = int(rng.integers(found.size[v] + 1)) if found.mixed[v] else int(rng.choice([0, found.fatal[v]]))
        kernels.move(v, target, frame, state)
        fatal = level >= found.fatal
        for u in range(found.variables):
            expected = np.zeros(found.column.shape[1])
            for c in found.cells[found.start[u] : found.start[u + 1]]:
                others = [w for w in found.cell_variables[c] if w >= 0 and w != u]
                if fatal[others].any():
                    continue
                live = [found.column[w, level[w]] for w in others if found.mixed[w]]
                row = cells.values[cells.code[c]]
                expected += row[found.column[u]] if found.mixed[u] else row[1] - row[live[0] if live else 0]
            if found.mixed[u]:
                assert height[u, : found.size[u] + 1] == pytest.approx(expected[: found.size[u] + 1])
            else:
                assert gain[u] == pytest.approx(expected[0])


@pytest.mark.parametrize("variant", VARIANTS)
def test_many_windows_are_the_same_as_one_by_one(variant):
    rng = np.random.default_rng(8)
    paths, _, priors = example(2, variant)
    windows = [window(rng, paths, (rng.random(len(paths.kinds)) > 0.1).astype(float), variant) for _ in range(12)]
    seen = [counts(each, variant) for each in windows]
    prepared = ready(paths, priors, variant, usual=np.full(paths.cells, 5))
    levels, totals = map_windows(prepared, np.array([k for k, _ in seen]), np.array([f for _, f in seen]))
    for each, level, total in zip(windows, levels, totals, strict=True):
        one = map_search(paths, each, priors, variant)
        assert total == pytest.approx(one.log_posterior, abs=1e-9)
        assert down_components(prepared.index, level, prepared.p_up) == (one.down, one.dead)
        assert map_search(prepared, each).log_posterior == pytest.approx(total, abs=1e-9)


def test_greedy_alone_is_wrong_where_a_swap_is_needed():
    # two targets behind one network fail; adding the network first looks best, until both targets explain more
    from types import SimpleNamespace

    series = np.array([[0, 1], [0, 2], [0, 3]], np.int32)
    none = np.full((3, 0), -1, np.int32)
    kinds = np.array([1, 4, 4, 4], np.int8)
    paths = SimpleNamespace(
        series=series, groups=none, members=np.zeros((0, 0), np.int32), lnet=np.zeros(0, bool), kinds=kinds
    )
    seen = SimpleNamespace(sent=np.full(3, 20), succeeded=np.array([2, 2, 20]), missing=np.zeros(3, int))
    found = map_search(paths, seen, Priors(down=(1, 4)))
    assert found.down == (1, 2)
    assert all(other.log_odds < 0 for other in found.alternatives)


def test_refuses_more_probes_than_made_ready_for():
    paths, seen, priors = example(1, Variant())
    seen.sent = seen.sent * 100
    with pytest.raises(InputError, match="more than 16 probes"):
        map_search(ready(paths, priors), seen)
