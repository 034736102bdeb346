"""The exact posterior against enumeration of every state of every component."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp

from credence.bench.errors import InputError
from credence.kaleidoscope.infer import exact_posterior, index, plan, tree
from credence.kaleidoscope.model.cells import counts, log_likelihoods
from credence.kaleidoscope.model.variants import ARTIFACT, Priors, Variant
from kaleidoscope.random_graphs import EVEN, enumerate_states, graph, naive_cell, window

VARIANTS = (Variant(), Variant(lnet="mixture"), Variant(pair=False), Variant(missing="failed"))


def example(seed, variant, singles=None, groups=(3, 2)):
    rng = np.random.default_rng(seed)
    groups = list(groups)
    paths = graph(rng, singles or int(rng.integers(3, 10 - sum(groups))), groups, int(rng.integers(5, 25)))
    paths.groups[:, 1] = -1  # a cell crosses one group, so that routers in turn are allowed
    up = (rng.random(len(paths.kinds)) > 0.2).astype(float)
    return paths, window(rng, paths, up, variant)


def check_cells(paths, found, else_up, states, weight, variant, conditions):
    """P(all else works) of every cell and variable, from the weights of all states."""
    broken = np.zeros((len(states), found.variables), bool)
    for v in range(found.variables):
        dead = (states[:, found.member[v][found.member[v] >= 0]] == 0).sum(axis=1)
        broken[:, v] = dead >= found.fatal[v]
    for c in range(paths.cells):
        for j, v in enumerate(found.cell_variables[c]):
            others = [u for u in found.cell_variables[c] if u >= 0 and u != v]
            if v >= 0 and not conditions:  # with conditions it is a product of two exact parts
                assert else_up[c, j] == pytest.approx(weight[~broken[:, others].any(axis=1)].sum(), abs=1e-10)


@pytest.mark.parametrize("most", [(300_000,), (40,), (8,)], ids=["one tree", "some conditions", "many conditions"])
@pytest.mark.parametrize("variant", VARIANTS, ids=["or", "mixture", "no pairs", "missing failed"])
def test_equals_enumeration(variant, most, monkeypatch):
    monkeypatch.setattr(tree, "limits", lambda variables: most)
    conditions = 0
    for seed in range(4):
        paths, seen = example(seed, variant, groups=([2], [3, 2], [], [2, 2])[seed])
        priors = Priors(
            p_up=dict.fromkeys(["client", "target", "router"], 0.8), up_rate=0.95, down=(0.7, 1.3), up_strength=None
        )
        found = exact_posterior(paths, seen, priors, variant, by_cell=True)
        conditions += len(found.conditioned)
        states, values = enumerate_states(paths, counts(seen, variant), priors, variant)
        total = logsumexp(values)
        weight = np.exp(values - total)
        assert found.log_evidence == pytest.approx(total, abs=1e-10)
        assert np.abs(found.p_up - weight @ states).max() < 1e-10
        check_cells(paths, index(paths, variant), found.else_up, states, weight, variant, len(found.conditioned))
        for g, row in enumerate(paths.members):
            if (paths.groups == g).any():
                dead = (states[:, row[row >= 0]] == 0).sum(axis=1)
                expected = np.bincount(dead, weight, found.dead.shape[1])
                assert np.abs(found.dead[g] - expected).max() < 1e-10
    assert (conditions > 0) == (most[0] < 300_000)


def test_fourteen_components():
    paths, seen = example(1, Variant(), singles=9, groups=(3, 2))
    states, values = enumerate_states(paths, counts(seen, Variant()))
    assert states.shape == (2**14, 14)
    assert np.abs(exact_posterior(paths, seen, EVEN).p_up - np.exp(values - logsumexp(values)) @ states).max() < 1e-10


def test_own_priors_of_group_members():
    paths, seen = example(2, Variant(lnet="mixture"), singles=4, groups=(3,))
    own = np.random.default_rng(5).uniform(0.5, 0.99, len(paths.kinds))
    states, values = enumerate_states(paths, counts(seen, Variant()), variant=Variant(lnet="mixture"))
    values = values - np.log(np.where(states == 1, 0.999, 0.001)).sum(axis=1)
    values = values + np.log(np.where(states == 1, own, 1 - own)).sum(axis=1)
    found = exact_posterior(paths, seen, EVEN, Variant(lnet="mixture"), p_up=own)
    assert np.abs(found.p_up - np.exp(values - logsumexp(values)) @ states).max() < 1e-10


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 1])
def test_cell_by_which_probes_met_a_dead_router(share):
    priors = Priors(down=(0.5, 1.5), up_strength=None)
    for k, f in itertools.product(range(4), repeat=2):
        assert log_likelihoods([k], [f], priors, [share])[0, 0] == pytest.approx(naive_cell(k, f, share, priors))


def test_artifact_form_is_the_log_of_a_linear_mix():
    values = log_likelihoods([5, 0, 2], [0, 5, 3], ARTIFACT, [0, 1])
    assert np.exp(values) == pytest.approx(np.array([[5, 0], [0, 5], [2, 3]]), abs=1e-8)


def test_uneven_cells_allow_a_stray_failure():
    loose = log_likelihoods([3], [2], Priors(up_strength=20), [0])
    assert loose > log_likelihoods([3], [2], EVEN, [0]) + 2


def test_what_is_not_probed_keeps_its_prior():
    paths, seen = example(3, Variant(), singles=4, groups=(2,))
    paths.kinds = np.append(paths.kinds, np.int8(4)).astype(np.int8)
    assert exact_posterior(paths, seen, Priors(p_up={"target": 0.9})).p_up[-1] == pytest.approx(0.9)


def test_refusals():
    paths, seen = example(0, Variant())
    with pytest.raises(InputError, match="10 sent, 11 succeeded"):
        exact_posterior(paths, SimpleNamespace(sent=[10], succeeded=[11], missing=[0]))
    with pytest.raises(InputError, match="a window of 1 cells"):
        exact_posterior(paths, SimpleNamespace(sent=[10], succeeded=[9], missing=[0]))
    with pytest.raises(InputError, match="stands in two groups"):
        index(SimpleNamespace(**{**vars(paths), "members": np.array([[0, 1], [1, 2]], np.int32)}))
    with pytest.raises(InputError, match="the same variant"):
        exact_posterior(plan(index(paths)), seen, variant=Variant(pair=False))
    with pytest.raises(InputError, match="numbers between 0 and 1"):
        exact_posterior(paths, seen, p_up=np.ones(3))
    with pytest.raises(InputError, match="unknown kind of component"):
        Priors(p_up={"tape": 0.5})


def test_too_entangled_says_so(monkeypatch):
    monkeypatch.setattr(tree, "limits", lambda variables: (4,))
    monkeypatch.setattr(tree, "MOST_GLOBAL", 2)
    with pytest.raises(InputError, match="do not come apart"):
        plan(index(example(0, Variant(), singles=6)[0]))


def test_routers_in_turn_over_uneven_cells():
    # two-dimensional quadrature by brute force: rates of the working and of the failed path
    from scipy.stats import beta

    priors = Priors(down=(2.0, 3.0), up_strength=30, up_rate=0.9)
    grid = (np.arange(2000) + 0.5) / 2000
    work, fail = beta(27, 3).pdf(grid) / 2000, beta(2, 3).pdf(grid) / 2000
    rate = 0.75 * grid[:, None] + 0.25 * grid
    expected = (work[:, None] * fail * rate**7 * (1 - rate) ** 3).sum()
    assert np.exp(log_likelihoods([7], [3], priors, [0.25])[0, 0]) == pytest.approx(expected, rel=1e-4)
