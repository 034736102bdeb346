"""The baselines: each against a naive oracle or a case that has one answer."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.kaleidoscope import baselines
from credence.kaleidoscope.baselines import explain
from credence.kaleidoscope.baselines.netbouncer import descend
from credence.kaleidoscope.data.topology import topology

TUNED = {
    "NetBouncer": baselines.NetBouncer(threshold=0.9, groups="node", missing="missing"),
    "Flock": baselines.Flock(groups="node", missing="missing"),
    "Sherlock": baselines.Sherlock(groups="node", missing="missing"),
    "007": baselines.Vote007(least=0.02, per_probe=True, groups="node", missing="missing"),
    "threshold": baselines.Threshold(rate=0.4, groups="node", missing="missing"),
}


@pytest.fixture(scope="module")
def plan():
    system = topology("bluewaters")
    clients, targets = np.meshgrid(system.of_kind("client"), system.of_kind("target"), indexing="ij")
    return system, system.paths(clients.ravel(), targets.ravel(), "wrex")


def window_with(paths, down, rng, lost=1.0):
    crossed = np.isin(paths.series, down).any(axis=1)
    rate = np.where(crossed, 1 - lost, 0.9972)
    sent = np.full(paths.cells, 10)
    return SimpleNamespace(sent=sent, succeeded=rng.binomial(sent, rate), missing=np.zeros_like(sent))


def random_case(rng, cells=12, width=3, count=6):
    nodes = np.array([rng.choice(count, width, replace=False) for _ in range(cells)], dtype=np.int32)
    nodes[rng.random(cells) < 0.3, -1] = -1
    sent = np.full(cells, 8)
    return nodes, SimpleNamespace(sent=sent, succeeded=rng.binomial(sent, 0.6), missing=np.zeros(cells, int))


def as_crossing(nodes, count):
    from credence.kaleidoscope.baselines.crossing import Crossing
    from credence.kaleidoscope.infer.index import by_variable

    return Crossing(nodes, *by_variable(nodes, count), tuple((v,) for v in range(count)), count)


def posterior_of(down, nodes, window, settings, count):
    failed = np.isin(nodes, list(down)).any(axis=1)
    lost = np.where(failed, settings.loss_down, settings.loss_up)
    k, f = window.succeeded, window.sent - window.succeeded
    prior = len(down) * np.log(settings.p_down) + (count - len(down)) * np.log1p(-settings.p_down)
    return (k * np.log1p(-lost) + f * np.log(lost)).sum() + prior


@pytest.mark.parametrize("faults", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_sherlock_finds_the_likeliest_of_all_small_sets(seed, faults):
    nodes, window = random_case(np.random.default_rng(seed))
    settings = baselines.Sherlock(faults=faults, loss_up=0.1)
    found = baselines.sherlock(as_crossing(nodes, 6), window, settings)
    sets = [c for n in range(faults + 1) for c in itertools.combinations(range(6), n)]
    best = max(posterior_of(s, nodes, window, settings, 6) for s in sets)
    assert posterior_of(found.down, nodes, window, settings, 6) == pytest.approx(best)


@pytest.mark.parametrize("removals", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_flock_takes_the_best_single_step_each_time(seed, removals):
    nodes, window = random_case(np.random.default_rng(seed))
    settings = baselines.Flock(loss_up=0.1, removals=removals)
    found = baselines.flock(as_crossing(nodes, 6), window, settings)
    down: set[int] = set()
    while True:
        now = posterior_of(down, nodes, window, settings, 6)
        steps = [down ^ {v} for v in range(6) if removals or v not in down]
        best = max(steps, key=lambda s: posterior_of(s, nodes, window, settings, 6), default=down)
        if posterior_of(best, nodes, window, settings, 6) <= now + 1e-9:
            break
        down = best
    assert set(found.down) == down


def test_netbouncer_ends_where_no_single_rate_can_be_improved():
    rng = np.random.default_rng(3)
    nodes, _ = random_case(rng, cells=20)
    found = as_crossing(nodes, 6)
    rate = rng.uniform(0.3, 0.99, 20)
    x = descend(found.nodes, found.start, found.cells, rate, np.ones(20, bool), 1.0, 1e-12, 5000, 1.0)

    def objective(y):
        product = np.prod(np.where(nodes >= 0, y[nodes], 1.0), axis=1)
        return ((rate - product) ** 2).sum() + (y * (1 - y)).sum()

    here = objective(x)
    for v in range(6):
        for value in np.linspace(0, 1, 101):
            other = x.copy()
            other[v] = value
            assert objective(other) >= here - 1e-9


@pytest.mark.parametrize("name", TUNED)
@pytest.mark.parametrize("culprit", ["scratch_ost_208", "projects_ost_2"])
def test_a_dead_target_is_named_alone(plan, name, culprit):
    system, paths = plan
    down = system.index([culprit])
    window = window_with(paths, down, np.random.default_rng(1))
    blame = baselines.METHODS[name][0](paths, window, TUNED[name])
    assert blame.down == tuple(down)
    assert blame.scores[down[0]] == blame.scores[paths.kinds == paths.kinds[down[0]]].max()


@pytest.mark.parametrize("name", ["Flock", "Sherlock"])
def test_a_dead_metadata_server_explains_all_its_targets(plan, name):
    system, paths = plan
    down = system.index(["projects_mds"])
    blame = baselines.METHODS[name][0](paths, window_with(paths, down, np.random.default_rng(1)), TUNED[name])
    assert blame.down == tuple(down)


def test_the_plain_threshold_blames_everything_behind_a_dead_metadata_server(plan):
    system, paths = plan
    window = window_with(paths, system.index(["projects_mds"]), np.random.default_rng(1))
    down = baselines.threshold(paths, window, TUNED["threshold"]).down
    assert set(system.index([f"projects_ost_{k}" for k in range(36)])) < set(down)


def test_as_published_votes_name_first_what_is_on_every_path(plan):
    system, paths = plan
    window = window_with(paths, system.index(["scratch_ost_208"]), np.random.default_rng(1))
    assert baselines.vote007(paths, window).down[0] == system.index(["ib_net"])[0]


def test_missing_probes_are_failed_as_published_and_left_out_when_tuned(plan):
    system, paths = plan
    window = window_with(paths, [], np.random.default_rng(1))
    absent = paths.series[:, 0] == system.index(["client3"])[0]
    window.missing = np.where(absent, window.sent, 0)
    window.succeeded = np.where(absent, 0, window.succeeded)
    assert system.index(["client3"])[0] in baselines.flock(paths, window).down
    assert baselines.flock(paths, window, TUNED["Flock"]).down == ()


def test_a_pair_is_one_node_or_two(plan):
    _, paths = plan
    assert baselines.crossing(paths, "series").nodes.shape[1] == baselines.crossing(paths, "node").nodes.shape[1] + 1
    with pytest.raises(InputError, match="reading of a group"):
        baselines.crossing(paths, "parallel")


def test_settings_out_of_range_are_refused(plan):
    _, paths = plan
    window = window_with(paths, [], np.random.default_rng(1))
    with pytest.raises(InputError, match="faults is 4"):
        baselines.sherlock(paths, window, baselines.Sherlock(faults=4))
    with pytest.raises(InputError, match="loss_up"):
        explain.flock(paths, window, baselines.Flock(loss_up=0.0))
