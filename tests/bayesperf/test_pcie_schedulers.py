"""Both schedulers of the case study against naive ones, and what they must be able to learn."""

import numpy as np
import pytest
import torch

from credence.bayesperf.evaluate import pcie_filtering as filtering
from credence.bayesperf.evaluate import pcie_training as training
from credence.bayesperf.world import pcie
from credence.bench.errors import InputError

EXACT = pcie.CounterError("exact", 0.0)
BLIND = pcie.CounterError("blind", 5.0)
NOISY = pcie.CounterError("noisy", 0.4, 0.1, 0.5)


def one_network(seed, error, iterations, learning):
    """The same training with plain torch modules, one network at a time."""

    def network(outputs, name):
        layers = []
        weights = training.first_weights(seed, outputs, name)
        for weight, bias in zip(weights[::2], weights[1::2], strict=True):
            linear = torch.nn.Linear(*weight.shape)
            linear.weight.data, linear.bias.data = torch.from_numpy(weight.T.copy()), torch.from_numpy(bias[0])
            layers += [linear, torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    actor, critic = network(2, "actor"), network(1, "critic")
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=learning.rate)
    seen, excess, draws = training._block(0, [seed], [error], learning.environments, iterations, None)
    for x, lost, chance in zip(seen[:, 0], excess[:, 0], draws[:, 0], strict=True):
        policy = torch.distributions.Categorical(logits=actor(x))
        card = (chance >= policy.probs[:, 0]).long()
        reward = -lost[torch.arange(len(card)), card]
        value = critic(x)[:, 0]
        gain = (reward - value.detach()) * policy.log_prob(card) + learning.entropy * policy.entropy()
        optimizer.zero_grad()
        (learning.critic * (value - reward) ** 2 - gain).mean().backward()
        optimizer.step()
    return actor


def test_networks_trained_side_by_side_are_those_trained_alone():
    learning = training.Learning(entropy=0.02)
    found = training.train([4, 5], [EXACT, NOISY], 10, learning)
    for row, (error, seed) in enumerate([(EXACT, 4), (EXACT, 5), (NOISY, 4), (NOISY, 5)]):
        alone = one_network(seed, error, 10, learning)
        for layer, weight in zip(alone[::2], found.actor[::2], strict=True):
            assert torch.allclose(layer.weight.T, weight[row], atol=1e-4)


def test_the_network_is_the_papers():
    shapes = [weight.shape for weight in training.first_weights(0, 2, "actor")]
    assert shapes == [(36, 16), (1, 16), (16, 16), (1, 16), (16, 2), (1, 2)]


def test_a_seed_learns_the_same_whoever_learns_beside_it():
    together = training.train([6, 7], [EXACT, NOISY], 60)
    alone = training.train([7], [NOISY], 60)
    assert np.allclose(together.loss[1, 1], alone.loss[0, 0], atol=2e-3)


def test_exact_counts_are_learned_from_and_blind_ones_are_not():
    found = training.train([8], [EXACT, BLIND], 300)
    assert found.loss[:, 0, 0] == pytest.approx(1.0, abs=0.03)
    exact, blind = found.loss[:, 0, -5:].mean(axis=1)
    assert exact < 0.6
    assert blind > exact + 0.1
    times = training.shuffle_times(found, [8], [EXACT, BLIND], 200)
    assert times[0, 0] < times[1, 0]
    assert times[0, 0] < training.unscheduled_time(8, 200)


def test_training_refuses_what_it_cannot_do():
    with pytest.raises(InputError, match="0 seeds"):
        training.train([], [EXACT], 20)
    with pytest.raises(InputError, match=r"iterations is 25.*multiple of 10"):
        training.train([1], [EXACT], 25)


def test_mean_time_is_that_of_the_cards_taken():
    happened = pcie.scenario(1, "a", 2, 3)
    card = np.array([[0, 1, 0], [1, 1, 0]])
    found = [happened.isolated[e, s] * (1 + happened.excess[e, s, card[e, s]]) for e in range(2) for s in range(3)]
    assert training.mean_time(happened, card) == pytest.approx(np.mean(found), rel=1e-5)


def test_ridge_by_rows_is_ridge_row_by_row():
    rng = np.random.default_rng(0)
    table, others = rng.standard_normal((7, 9)), rng.standard_normal((9, 3))
    known = rng.random((7, 9)) < 0.6
    found = filtering._solve(table, known.astype(float), others, 2.0)
    for row in range(7):
        a, b = others[known[row]], table[row, known[row]]
        assert np.allclose(found[row], np.linalg.solve(a.T @ a + 2 * np.eye(3), a.T @ b))


def test_a_low_rank_matrix_is_filled_in():
    rng = np.random.default_rng(1)
    table = rng.standard_normal((300, 2)) @ rng.standard_normal((2, 20)) + 3
    known = rng.random(table.shape) < 0.5
    factors = filtering.factorise(table[:250], known[:250], filtering.Filtering(2, 0.01), sweeps=40)
    wrong = filtering.fill(factors, table[250:], known[250:], 0.01) - table[250:]
    assert np.sqrt((wrong**2).mean()) < 0.1 * table.std()
    hidden = np.where(known, table, np.nan)
    again = filtering.factorise(hidden[:250], known[:250], filtering.Filtering(2, 0.01), sweeps=40)
    assert np.allclose(again.columns, factors.columns), "what is not known was looked at"


def test_filtering_helps_and_blind_counts_help_less():
    seeds = [1, 2]
    exact, blind = filtering.shuffle_times(seeds, [EXACT, BLIND])
    none = filtering.unscheduled_times(seeds)
    assert (exact < none).all()
    assert exact.mean() < blind.mean()


def test_filtering_refuses_what_it_cannot_do():
    with pytest.raises(InputError, match=r"sparsity is 1\.2"):
        filtering.shuffle_times([1], [EXACT], sparsity=1.2)
    known = np.ones((5, 3), bool)
    known[1:, 2] = False
    with pytest.raises(InputError, match="column 2 has 1 known"):
        filtering.factorise(np.zeros((5, 3)), known, filtering.Filtering())


@pytest.mark.slow
def test_the_frozen_numbers_of_filtering_are_those_that_cross_validation_chooses():
    from credence.bayesperf.evaluate.pcie import TUNING_SEEDS

    found = filtering.tune(TUNING_SEEDS)
    assert min(found, key=found.get) == (filtering.Filtering().rank, filtering.Filtering().penalty)
