"""Optimisers of others as selectors: Optuna's TPE and psy-taliro's dual annealing, on the same pool and purse."""

from __future__ import annotations

import warnings

import numpy as np

from credence.drivefi.select.pool import BudgetSpent, PoolView, Purse

# proposals that were simulated before are free; a search that has narrowed down may make nothing else
PROPOSALS_PER_SIMULATION = 20


def grid(pool: PoolView) -> np.ndarray:
    """Return the fault at each run, position and type: int [runs, positions, types], -1 where there is none."""
    run, place = pool.run[pool.scene], pool.position[pool.scene]
    found = np.full((run.max() + 1, place.max() + 1, pool.type.max() + 1), -1)
    found[run, place, pool.type] = np.arange(len(pool))
    return found


def tpe(pool: PoolView, purse: Purse, rng: np.random.Generator, multivariate: bool = False, startup: int = 10) -> None:
    """Let Optuna's tree-structured Parzen estimator propose run, scene and fault type.

    Parameters
    ----------
    pool, purse, rng
        As for every selector.
    multivariate : bool
        One joint density of the three; Optuna's own default is False.
    startup : int
        Trials at random before the estimator is asked; Optuna's own default is 10.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    place = grid(pool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        seed = int(rng.integers(2**31))
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=multivariate, n_startup_trials=startup)
    study = optuna.create_study(sampler=sampler)
    for _ in range(3 * purse.budget):
        if not purse.left:
            return
        trial = study.ask()
        run = trial.suggest_categorical("run", list(range(place.shape[0])))
        kind = trial.suggest_categorical("type", list(range(place.shape[2])))
        fault = place[run, trial.suggest_int("scene", 0, place.shape[1] - 1), kind]
        if fault < 0:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, float(purse.margins([fault])[0]))
    # it proposes what it knows: what is left goes to faults at random
    fresh = np.setdiff1d(np.flatnonzero(pool.active), purse.order)
    purse.margins(rng.choice(fresh, min(purse.left, len(fresh)), replace=False))


def taliro(pool: PoolView, purse: Purse, rng: np.random.Generator) -> None:
    """Let psy-taliro's dual annealing minimise the margin over run, scene and type in the unit cube, restarted as
    needed.
    """
    from staliro.optimizers import DualAnnealing, Interval, Optimizer

    place = grid(pool)
    shape = np.array(place.shape)

    class _Margin:
        def eval_sample(self, sample) -> float:
            at = np.minimum((np.array(sample.values) * shape).astype(int), shape - 1)
            fault = place[tuple(at)]
            return float(purse.margins([fault])[0]) if fault >= 0 else float(pool.golden.max())

    while purse.left:
        before = len(purse.order)
        bounds = [Interval(0.0, 1.0)] * 3
        params = Optimizer.Params(int(rng.integers(1, 2**31)), PROPOSALS_PER_SIMULATION * purse.left, bounds)
        try:
            DualAnnealing().optimize(_Margin(), params)
        except BudgetSpent:
            return
        if len(purse.order) == before:
            return
