"""All selectors by name, as the race and the command line know them: (pool, purse, rng), filling the purse.

``SELECTORS`` do all their work within the budget. `TRAINED_FREE` are the same with the training runs of the 3-TBN given
to them, for the second table of the race, where that is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from credence.drivefi.infer import tbn
from credence.drivefi.select import completion, forecasts, frozen, peers, searchers, sensitivity, simple
from credence.drivefi.select.gp_selector import Story, gaussian_process, spread
from credence.drivefi.select.pool import PoolView, Purse

Selector = Callable[[PoolView, Purse, np.random.Generator], np.ndarray | None]
ROLLING_SLICES = 15


def three_slices(
    pool: PoolView,
    purse: Purse,
    rng: np.random.Generator,
    train: float = 0.25,
    horizon: int = 1,
    by_regime: bool = False,
) -> np.ndarray:
    """The paper's engine: train the 3-TBN on random faults, simulate what it predicts to be critical (eq. 1).

    Parameters
    ----------
    pool, purse, rng
        As for every selector.
    train : float
        Share of the budget spent on training runs, spread over fault types.
    horizon : int
        Slices forecast; 1 is the paper's.
    by_regime : bool
        Conditionals of their own for each regime.

    Returns
    -------
    array [faults]
        Predicted safety potential [m].
    """
    size = min(purse.left, int(train * purse.budget))
    cpds = forecasts.train(pool, purse, spread(pool, size, rng, pool.active), by_regime)
    golden, predicted = forecasts.delta(pool, cpds, horizon)
    rank = np.where(pool.active, forecasts.ranking(golden, predicted), 2e6)
    simple.lowest_first(rank, purse, rng)
    return predicted.min(axis=1)


def informed(pool: PoolView, purse: Purse, rng: np.random.Generator, size: int) -> tuple[PoolView, tbn.Conditionals]:
    """Return the pool with what a 3-TBN adds to it, trained on `size` faults paid from the purse.

    That is: actuation effects as pair features, expected sizes of effects, and predicted margins.
    """
    first = spread(pool, min(size, purse.left), rng, pool.active)
    cpds = forecasts.train(pool, purse, first)
    pool = forecasts.with_effects(pool, cpds[0])
    pool = replace(pool, amplitude=sensitivity.expected(sensitivity.terms(pool), frozen.coefficients()))
    return forecasts.with_prediction(pool, *forecasts.delta(pool, cpds, ROLLING_SLICES)), cpds[0]


def process(
    pool: PoolView, purse: Purse, rng: np.random.Generator, story: Story | None = None, plain: bool = False, **changes
) -> np.ndarray:
    """The Gaussian-process selector with frozen settings, some of them changed.

    Parameters
    ----------
    pool, purse, rng
        As for every selector.
    story : Story, optional
        Filled in.
    plain : bool
        True: without the 3-TBN's effects and without expected sizes: what a process knows that has its kernel and
        settings, but nothing of the truth, from the tuning seeds.
    **changes
        Of `Settings`.

    Returns
    -------
    array [faults]
        Margins in the last posterior's mean [m].
    """
    settings = replace(frozen.settings(), **changes)
    if plain:
        settings = replace(settings, amplitude=(), pair=settings.pair[: pool.pair_features.shape[1]])
    else:
        pool = informed(pool, purse, rng, settings.first)[0]
    story = Story() if story is None else story
    gaussian_process(pool, purse, rng, settings, story)
    return story.mean.min(axis=1)


def expected_size(pool: PoolView, purse: Purse, rng: np.random.Generator) -> np.ndarray:
    """Control of the process: simulate in the order of the expected size of the effect alone, without learning."""
    pool = informed(pool, purse, rng, frozen.settings().first)[0]
    found = -np.where(pool.active, pool.amplitude[:, 0], 0.0)
    simple.lowest_first(found, purse, rng)
    return pool.golden[pool.run[pool.scene]].min(axis=1) * (1.0 + found)


def by_size(search: Selector, pool: PoolView, purse: Purse, rng: np.random.Generator, keep: float = 4.0) -> None:
    """Let an optimiser of others search the faults in the order of the size of effect that is expected of them.

    So it has what the process knows from the tuning seeds; the training runs behind it are paid as there.

    Parameters
    ----------
    search : callable
        (pool, purse, rng), searching over runs, positions and types.
    pool, purse, rng
        As for every selector.
    keep : float
        Faults of the list, in budgets.
    """
    pool = informed(pool, purse, rng, frozen.settings().first)[0]
    size = np.where(pool.active, pool.amplitude[:, 0], 0.0)
    size[purse.order] = 0.0
    listed = np.argsort(-size, kind="stable")[: int(keep * purse.budget)]
    places, none = np.arange(len(listed)), np.zeros(len(listed), int)
    # one run of one fault type, whose position is the place on the list
    line = PoolView(
        pool.scene_features[pool.scene[listed]],
        np.zeros((1, 1)),
        pool.pair_features[listed],
        places,
        none,
        none,
        places,
        pool.golden.max(axis=0, keepdims=True),
        np.ones(len(listed), bool),
    )
    search(line, Purse(lambda found: purse.parts(listed[found]), min(purse.left, len(listed))), rng)


def _by_size(search: Selector) -> Selector:
    return lambda pool, purse, rng: by_size(search, pool, purse, rng)


def _process(**changes) -> Selector:
    return lambda pool, purse, rng: process(pool, purse, rng, **changes)


SELECTORS: dict[str, Selector] = {
    "random": simple.random,
    "exhaustive": simple.exhaustive,
    "tbn": three_slices,
    "tbn-rolling": lambda pool, purse, rng: three_slices(pool, purse, rng, horizon=ROLLING_SLICES),
    "tbn-regimes": lambda pool, purse, rng: three_slices(pool, purse, rng, horizon=ROLLING_SLICES, by_regime=True),
    "gp": process,
    "gp-impatient": _process(patience=0),
    "gp-lcb": _process(acquisition="lcb", kappa=1.5),
    "gp-diverse": _process(acquisition="diverse", kappa=0.05, cap=3),
    "gp-ei": _process(acquisition="ei"),
    "gp-straddle": _process(acquisition="straddle", kappa=1.5),
    "gp-refit": _process(refits=(100, 200, 300)),
    "gp-mean": _process(prediction=1.0),
    "gp-plain": _process(plain=True),
    "size": expected_size,
    "tpe": searchers.tpe,
    "taliro": searchers.taliro,
    "srmf": completion.srmf,
    "verifai": peers.verifai,
    "tpe-size": _by_size(searchers.tpe),
    "taliro-size": _by_size(searchers.taliro),
    "verifai-size": _by_size(peers.verifai),
}
