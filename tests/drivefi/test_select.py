"""Selectors on a small made-up world: purses are not overdrawn, the process is exact and beats chance."""

from dataclasses import replace

import numpy as np
import pytest

import drivefi.made_up_world as world
from credence.bench.errors import InputError
from credence.drivefi.select import acquire, completion, gp_selector, searchers, simple
from credence.drivefi.select.gp import Hyper, PoolProcess, covariance, prior_variance
from credence.drivefi.select.pool import BudgetSpent, Purse

VIEW, MARGINS, GOLDEN = world.pool()
CRITICAL = MARGINS.min(axis=1) <= 0
HYPER = Hyper(np.full(6, 2.0), np.full(7, 1.0), np.empty(0), 5.0, np.array([0.4, 0.4, 0.2]), 0.01, 0.2)
SETTINGS = gp_selector.Settings(
    first=20, batch=8, refits=(), weight=(0.5, 0.4, 0.1), amplitude=(1.0, 1.0), kappa=0.05, ceiling=(10.0, 0.8)
)


def purse(budget):
    return Purse(lambda faults: MARGINS[faults], budget)


def process_selector(pool, paid, rng):
    gp_selector.gaussian_process(pool, paid, rng, SETTINGS)


def test_the_made_up_world_is_worth_searching():
    assert 0.01 < CRITICAL.mean() < 0.2
    assert MARGINS[VIEW.type == 0].std() > 0


def test_a_purse_counts_new_faults_once_and_refuses_more():
    paid = purse(3)
    assert np.array_equal(paid.parts([4, 4, 7]), MARGINS[[4, 4, 7]])
    assert paid.left == 1
    paid.margins([7, 4])
    assert paid.left == 1
    with pytest.raises(BudgetSpent):
        paid.margins([1, 2])
    assert paid.order == [4, 7]


def test_a_simulation_that_answers_nonsense_is_refused():
    with pytest.raises(InputError, match="finite"):
        Purse(lambda faults: np.full((len(faults), 2), np.nan), 5).parts([0])


@pytest.mark.parametrize(
    "selector",
    [simple.random, simple.exhaustive, searchers.tpe, searchers.taliro, completion.srmf, process_selector],
)
def test_every_selector_spends_its_budget_on_different_faults(selector):
    paid = purse(60)
    selector(VIEW, paid, np.random.default_rng(1))
    assert len(paid.order) == len(set(paid.order)) == 60
    again = purse(60)
    selector(VIEW, again, np.random.default_rng(1))
    assert again.order == paid.order


def naive(rows, values):
    """The textbook posterior, all at once, in float64."""
    everything = np.arange(len(VIEW))
    k = covariance(VIEW, HYPER, rows, rows).astype(float) + HYPER.noise * np.eye(len(rows))
    cross = covariance(VIEW, HYPER, rows, everything).astype(float)
    mean = cross.T @ np.linalg.solve(k, values)
    variance = prior_variance(HYPER) - np.einsum("ij,ij->j", cross, np.linalg.solve(k, cross))
    return mean, variance


def test_a_process_grown_in_batches_is_the_textbook_one():
    rng = np.random.default_rng(2)
    rows = rng.choice(len(VIEW), 90, replace=False)
    values = rng.normal(size=(90, 1))
    process = PoolProcess(VIEW, HYPER)
    for part in np.array_split(np.arange(90), 4):
        process.add(rows[part], values[part])
    mean, variance = naive(rows, values)
    assert np.allclose(process.mean, mean, atol=2e-3)
    assert np.allclose(process.variance, variance, atol=2e-3)


def test_the_covariance_is_the_sum_it_claims_to_be():
    rows = np.array([3, 400, 1200])
    found = covariance(VIEW, HYPER, rows, rows)
    for a, one in enumerate(rows):
        for b, two in enumerate(rows):
            s, t = VIEW.scene[one], VIEW.scene[two]
            far = np.sqrt(3) * np.linalg.norm((VIEW.scene_features[s] - VIEW.scene_features[t]) / HYPER.scene)
            along = np.sqrt(3) * abs(VIEW.position[s] - VIEW.position[t]) / HYPER.along
            near = (1 + along) * np.exp(-along) * (VIEW.run[s] == VIEW.run[t])
            gap = VIEW.fault_embedding[VIEW.type[one]] - VIEW.fault_embedding[VIEW.type[two]]
            alike = 0.2 + 0.8 * np.exp(-0.5 * gap @ gap)
            wanted = (0.4 * (1 + far) * np.exp(-far) + 0.4 * near) * alike + 0.2 * near
            assert found[a, b] == pytest.approx(wanted, abs=1e-5)


def test_gpytorch_computes_the_same_covariance():
    hyper = pytest.importorskip("credence.drivefi.select.hyper")
    torch = pytest.importorskip("torch")
    rows = np.array([3, 400, 1200, 1201])
    size = np.linspace(0.2, 0.9, len(VIEW))
    kernel, _ = hyper.kernel(VIEW, HYPER)
    points = torch.as_tensor(hyper.inputs(VIEW, rows, size))
    ours = covariance(VIEW, HYPER, rows, rows, size)
    assert np.allclose(kernel(points).to_dense().detach().numpy(), ours, atol=1e-5)


def test_refitting_finds_a_longer_scale_where_there_is_one():
    hyper = pytest.importorskip("credence.drivefi.select.hyper")
    rng = np.random.default_rng(3)
    rows = rng.choice(len(VIEW), 80, replace=False)
    long = replace(HYPER, along=30.0, weight=np.array([0.01, 1.0, 0.01]))
    k = covariance(VIEW, long, rows, rows).astype(float) + 1e-6 * np.eye(80)
    values = np.linalg.cholesky(k) @ rng.normal(size=80)
    found = hyper.refit(VIEW, HYPER, rows, values, steps=20)
    assert found.along > 8.0
    assert found.weight[1] > found.weight[0]


def test_the_process_finds_more_than_chance_and_more_kinds():
    paid = purse(150)
    story = gp_selector.Story()
    gp_selector.gaussian_process(VIEW, paid, np.random.default_rng(4), SETTINGS, story)
    chance = 150 * CRITICAL.mean()
    assert CRITICAL[paid.order].sum() > 3 * chance
    assert story.mean.shape == (len(VIEW), 2)
    assert (story.deviation > 0).all()


def test_faults_that_change_nothing_are_not_simulated():
    view = replace(VIEW, active=VIEW.type != 0)
    paid = purse(100)
    gp_selector.gaussian_process(view, paid, np.random.default_rng(5), SETTINGS)
    assert not (view.type[paid.order] == 0).any()


def test_acquisitions_prefer_what_they_say():
    mean = np.array([[1.0, 1.0], [0.1, 1.0], [0.1, 1.0], [-0.5, 1.0]])
    deviation = np.array([[0.9, 0.1], [0.01, 0.1], [0.5, 0.1], [0.1, 0.1]])
    chosen = {name: int(np.argmax(acquire.score(name, mean, deviation, 0.0, 1.5))) for name in acquire.ACQUISITIONS}
    assert chosen["pfail"] == chosen["ei"] == 3
    assert chosen["straddle"] == 2  # on the boundary and unsure
    certain = acquire.score("diverse", mean, deviation, 0.0, 0.05)
    assert np.argsort(-certain)[0] == 3
    assert certain[2] > certain[1]  # nearly critical for certain is no find
    with pytest.raises(InputError, match="lcb"):
        acquire.score("ucb", mean, deviation, 0.0, 1.0)


def test_an_arm_is_given_up_when_its_hazards_no_longer_pay_for_its_misses():
    rng = np.random.default_rng(8)
    arm, hazardous = rng.integers(0, 6, 300), rng.random(300) < 0.2
    for size in (0, 20, 60, 150):
        known = rng.choice(300, size, replace=False)
        found = acquire.worth_more(arm, known, hazardous[known], 3)
        for fault in range(300):
            left = 3
            for other in known:
                if arm[other] == arm[fault]:
                    left += 3 if hazardous[other] else -1
            assert found[fault] == (left > 0)
    assert acquire.worth_more(arm, known, hazardous[known], 0).all()


def test_patience_leaves_arms_that_bring_nothing():
    spent = {}
    for patience in (0, 2):
        paid = purse(120)
        settings = replace(SETTINGS, acquisition="lcb", patience=patience)
        gp_selector.gaussian_process(VIEW, paid, np.random.default_rng(1), settings)
        rows = np.array(paid.order)
        arm = VIEW.run[VIEW.scene[rows]] * len(VIEW.fault_embedding) + VIEW.type[rows]
        misses = np.bincount(arm, ~CRITICAL[rows]) - np.bincount(arm, CRITICAL[rows]) * patience
        spent[patience] = misses.max()
    assert spent[2] < spent[0]


def test_acquisitions_joined_take_turns():
    both, alone = purse(60), purse(60)
    for paid, name in ((both, "lcb+straddle"), (alone, "lcb")):
        gp_selector.gaussian_process(VIEW, paid, np.random.default_rng(1), replace(SETTINGS, acquisition=name))
    assert both.order[:28] == alone.order[:28]  # twenty at random, one batch by the bound
    assert both.order != alone.order


def test_a_batch_keeps_to_its_caps():
    scores = np.arange(10.0)
    kind, scene = np.array([0] * 6 + [1] * 4), np.arange(10) // 2
    picked = acquire.batch(scores, np.ones(10, bool), 5, kind, 2)
    assert sorted(picked.tolist()) == [4, 5, 8, 9]
    assert len(acquire.batch(scores, np.ones(10, bool), 5, kind, 0, scene, 1)) == 5
    assert acquire.batch(scores, scores < 3, 5, kind, 0).tolist() == [2, 1, 0]


def test_completion_restores_a_low_rank_matrix():
    rng = np.random.default_rng(6)
    run = np.repeat([0, 1], 40)
    left = np.stack([np.sin(np.arange(80) / 9.0), (run == 1) * 1.0], axis=1)
    whole = left @ rng.normal(size=(2, 12))
    scene, kind = (part.ravel() for part in np.indices(whole.shape))
    seen = rng.random(scene.size) < 0.3
    found = completion.complete(
        scene[seen], kind[seen], whole[scene[seen], kind[seen]], run, 12, rank=3, smooth=0.1, ridge=0.01, rounds=20
    )
    assert np.abs(found - whole).mean() < 0.15 * np.abs(whole).mean()
