"""The paper's learned scheduler (section 6.3): a 36-16-16-2 ReLU actor beside a 36-16-16-1 critic, many at once.

A decision ends with its shuffle, so the return is its one reward and the advantage is reward − V(s). Every reader of
every scenario seed has a network of its own; all of them are trained side by side as one stack of matrices, on one
thread. Seeds draw their own random numbers, readers of a seed share them: the same world, the same first weights, the
same luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from credence.bayesperf.world import pcie
from credence.bench import seeds
from credence.bench.errors import InputError
from credence.bench.progress import track

WIDTHS = (pcie.INPUTS, 16, 16)  # the paper's; then 2 for the actor, 1 for the critic
BLOCK = 500  # iterations after which other programs come


@dataclass(frozen=True)
class Learning:
    """Hyper-parameters, chosen with exact counts (`pcie.tune_learning`) and then frozen.

    Attributes
    ----------
    rate : float
        Step size of Adam.
    entropy : float
        Weight of the policy's entropy.
    critic : float
        Weight of the critic's squared error.
    environments : int
        Programs side by side, so decisions in an iteration.
    """

    rate: float = 3e-3
    entropy: float = 0.0
    critic: float = 0.5
    environments: int = 16


@dataclass(frozen=True)
class Trained:
    """What training left behind.

    Attributes
    ----------
    iteration : int array [points]
        Gradient steps made when the loss was taken, from 0.
    loss : array [readers, seeds, points]
        Expected excess of a shuffle's time under the policy, over that of an untrained one which takes either card, on
        1,600 decisions of programs that nobody was trained on: 1 is what one starts from, 0 a shuffle always alone.
    actor : list of torch.Tensor
        Weights [networks, in, out] and biases [networks, 1, out] in turn; a network is reader × seeds + seed.
    """

    iteration: np.ndarray
    loss: np.ndarray
    actor: list[torch.Tensor]


def first_weights(seed: int, outputs: int, name: str) -> list[np.ndarray]:
    """Return He-initialised weights and zero biases of one network, the last layer a hundredth: it starts undecided."""
    rng = seeds.generator(seed, "pcie", "weights", name)
    found = []
    for fan_in, fan_out in zip(WIDTHS, (*WIDTHS[1:], outputs), strict=True):
        scale = np.sqrt(2 / fan_in) * (0.01 if fan_out == outputs else 1.0)
        found += [scale * rng.standard_normal((fan_in, fan_out)), np.zeros((1, fan_out))]
    return [array.astype(np.float32) for array in found]


def stack(seed_list: Sequence[int], readers: int, outputs: int, name: str) -> list[torch.Tensor]:
    """Return the first weights of all networks, [readers × seeds, in, out] and [readers × seeds, 1, out] in turn."""
    each = [first_weights(seed, outputs, name) for seed in seed_list]
    layers = (np.tile(np.stack(layer), (readers, 1, 1)) for layer in zip(*each, strict=True))
    return [torch.from_numpy(layer).requires_grad_() for layer in layers]


def forward(weights: Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """Return the outputs [networks, rows, outputs] of a stack of ReLU networks for inputs [networks, rows, INPUTS]."""
    hidden = inputs
    for layer in range(0, len(weights), 2):
        hidden = torch.baddbmm(weights[layer + 1], hidden, weights[layer])
        hidden = torch.relu(hidden) if layer < len(weights) - 2 else hidden
    return hidden


def _block(number: int, seed_list, errors, environments: int, steps: int, setting) -> tuple[torch.Tensor, ...]:
    """Return inputs, excess and draws, each [steps, networks, environments] and then INPUTS, LINKS and nothing."""
    seen, excess, draws = [], [], []
    for seed in seed_list:
        happened = pcie.scenario(seed, f"training {number}", environments, steps, setting)
        counts = pcie.counted(happened, errors, seeds.generator(seed, "pcie", "errors", number))
        seen.append(pcie.inputs(happened, counts))
        excess.append(happened.excess)
        draws.append(seeds.generator(seed, "pcie", "choice", number).random((environments, steps), dtype=np.float32))
    networks = len(errors) * len(seed_list)
    stacked = np.stack(seen, axis=1).transpose(3, 0, 1, 2, 4).reshape(steps, networks, environments, -1)
    shared = np.tile(np.stack(excess).transpose(2, 0, 1, 3), (1, len(errors), 1, 1))
    chance = np.tile(np.stack(draws).transpose(2, 0, 1), (1, len(errors), 1))
    return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in (stacked, shared, chance))


def train(
    seed_list: Sequence[int],
    errors: Sequence[pcie.CounterError],
    iterations: int,
    learning: Learning | None = None,
    setting: pcie.Setting | None = None,
    every: int = 10,
) -> Trained:
    """Train one scheduler for every reader and seed.

    Parameters
    ----------
    seed_list : sequence of int
        Scenario seeds.
    errors : sequence of CounterError
        The readers.
    iterations : int
        Gradient steps, a multiple of `every`; each is one decision in every environment.
    learning : Learning or None
        None: the frozen ones.
    setting : Setting or None
        The world.
    every : int
        Gradient steps from one point of the loss to the next.

    Raises
    ------
    InputError
        For no seed or reader, or a number of iterations that is no multiple of `every`.
    """
    if not len(seed_list) or not len(errors):
        raise InputError(f"{len(seed_list)} seeds and {len(errors)} readers; allowed: one or more of each")
    if iterations < every or iterations % every:
        raise InputError(f"iterations is {iterations}; allowed: a multiple of {every}, at which the loss is taken")
    learning = learning or Learning()
    torch.set_num_threads(1)  # the matrices are tiny
    actor = stack(seed_list, len(errors), 2, "actor")
    critic = stack(seed_list, len(errors), 1, "critic")
    optimizer = torch.optim.Adam([*actor, *critic], lr=learning.rate, foreach=True)
    check = _check(seed_list, errors, setting)
    points = [_loss(actor, *check)]
    for number in track(range(-(-iterations // BLOCK)), "training"):
        steps = min(BLOCK, iterations - number * BLOCK)
        seen, excess, draws = _block(number, seed_list, errors, learning.environments, steps, setting)
        for step in range(steps):
            _step(actor, critic, optimizer, seen[step], excess[step], draws[step], learning)
            if (number * BLOCK + step + 1) % every == 0:
                points.append(_loss(actor, *check))
    loss = np.stack(points, axis=-1).reshape(len(errors), len(seed_list), -1)
    return Trained(every * np.arange(len(points)), loss, [weight.detach() for weight in actor])


def _check(seed_list, errors, setting) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs [networks, decisions, INPUTS] and excess [networks, decisions, LINKS] that the loss is taken on.

    Every eighth slice of 64 programs: neighbouring slices tell the same story.
    """
    seen, excess = [], []
    for seed in seed_list:
        happened, given = fresh_inputs(seed, "check", errors, 208, 64, setting)
        seen.append(given[:, :, 8::8].reshape(len(errors), -1, pcie.INPUTS))
        excess.append(happened.excess[:, 8::8].reshape(-1, pcie.LINKS))
    shared = np.tile(np.stack(excess), (len(errors), 1, 1))
    return torch.from_numpy(np.concatenate(np.stack(seen, axis=1))), torch.from_numpy(shared)


def _loss(actor, seen: torch.Tensor, excess: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        policy = torch.softmax(forward(actor, seen), dim=-1)
        return ((policy * excess).sum(dim=(1, 2)) / (0.5 * excess.sum(dim=(1, 2)))).numpy()


def _step(actor, critic, optimizer, seen, excess, draws, learning: Learning) -> None:
    """Make one gradient step of every network."""
    log_policy = torch.log_softmax(forward(actor, seen), dim=-1)
    value = forward(critic, seen).squeeze(-1)
    card = (draws >= log_policy.detach()[..., 0].exp()).long().unsqueeze(-1)
    reward = -excess.gather(-1, card).squeeze(-1)
    advantage = reward - value.detach()
    chosen = log_policy.gather(-1, card).squeeze(-1)
    entropy = -(log_policy.exp() * log_policy).sum(-1)
    wrong = learning.critic * (value - reward) ** 2
    # the mean over decisions, summed over networks: each sees only its own gradient
    total = (wrong - advantage * chosen - learning.entropy * entropy).mean(1).sum()
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    optimizer.step()


def shuffle_times(
    trained: Trained,
    seed_list: Sequence[int],
    errors: Sequence[pcie.CounterError],
    steps: int = 1000,
    environments: int = 16,
    setting: pcie.Setting | None = None,
) -> np.ndarray:
    """Return the mean time of a shuffle [readers, seeds] [ms] on new programs, by the policy's likelier card."""
    found = np.empty((len(errors), len(seed_list)))
    for column, seed in enumerate(seed_list):
        happened, seen = fresh_inputs(seed, "test", errors, steps, environments, setting)
        rows = [reader * len(seed_list) + column for reader in range(len(errors))]
        with torch.no_grad():
            mine = [weight[rows] for weight in trained.actor]
            card = forward(mine, torch.from_numpy(seen.reshape(len(errors), -1, pcie.INPUTS))).argmax(-1).numpy()
        found[:, column] = [mean_time(happened, choice.reshape(environments, steps)) for choice in card]
    return found


def fresh_inputs(
    seed: int, purpose: str, errors, steps: int, environments: int, setting=None
) -> tuple[pcie.Scenario, np.ndarray]:
    """Return programs that nobody was trained on, and the inputs [readers, environments, steps, INPUTS] they give."""
    happened = pcie.scenario(seed, purpose, environments, steps, setting)
    counts = pcie.counted(happened, errors, seeds.generator(seed, "pcie", "errors", purpose))
    return happened, pcie.inputs(happened, counts)


def mean_time(happened: pcie.Scenario, card: np.ndarray) -> float:
    """Return the mean time of a shuffle [ms] when each goes out through `card` [environments, steps]."""
    excess = np.take_along_axis(happened.excess, card[..., None], axis=-1)[..., 0]
    return float((happened.isolated * (1 + excess)).mean())


def unscheduled_time(seed: int, steps: int = 1000, environments: int = 16, setting=None) -> float:
    """Return the mean time [ms] of the shuffles of `shuffle_times`, each through the card of its own NUMA node."""
    happened = pcie.scenario(seed, "test", environments, steps, setting)
    return mean_time(happened, happened.local)
