"""The Gaussian-process fault selector: a process over margins, asked batch by batch which faults to simulate next.

The paper has no Gaussian process; this selector is an addition, raced against the paper's engine. Each part of the
margin (gap, lane) has a process of its own for its deviation from the golden run's, so that "no effect" is the prior
mean. Where a model predicts margins (the 3-TBN), its prediction is the mean function and the process learns what is
left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from credence.drivefi.select import acquire
from credence.drivefi.select.gp import Hyper, PoolProcess
from credence.drivefi.select.pool import PoolView, Purse

# golden margins below this are not told apart [m]
LEAST_UNIT_M = 0.05


@dataclass(frozen=True)
class Settings:
    """How the selector works; defaults were chosen on scenario seeds 0 to 9.

    Attributes
    ----------
    acquisition : str
        One of ``acquire.ACQUISITIONS``, or several joined by ``+``: batches take turns.
    kappa : float
        Deviations below the mean at which a bound lies.
    first : int
        Faults drawn at random, spread over types, before the process is asked.
    batch : int
        Faults a batch.
    cap, scene_cap : int
        Faults of one type, and of one scene, in a batch; 0: no cap.
    patience : int
        Simulations without a hazard after which a fault type is given up in a scenario; 0: never
        (`acquire.worth_more`).
    refits : tuple of int
        Numbers of simulated faults after which hyper-parameters are fitted anew.
    prediction : float
        Weight of the predicted margin as mean function; 0: prior mean "no effect".
    ceiling : tuple of float
        Margins by part are clipped here [m]: how far a run stays from what is far off says little.
    lane_rows : int
        Simulated faults after which the second process (lane) is brought up to date; the first always is.
    floor : float
        Share of the golden margin, at most 0, below which all runs are alike: by how much a run is unsafe says little.
    """

    acquisition: str = "diverse"
    kappa: float = 1.5
    first: int = 60
    batch: int = 12
    cap: int = 4
    scene_cap: int = 0
    patience: int = 0
    refits: tuple[int, ...] = (60, 120, 240)
    prediction: float = 0.0
    ceiling: tuple[float, ...] = (10.0, 0.8)
    lane_rows: int = 48
    floor: float = -0.5
    rise: float = 0.2
    amplitude: tuple[float, ...] = (1.5, 2.0)
    amplitude_power: tuple[float, ...] = (0.5, 1.0)
    amplitude_range: tuple[float, float] = (0.02, 0.8)
    along: float = 6.0
    embedding: float = 1.0
    scene: float = 3.0
    pair: float = 1.0
    weight: tuple[float, float, float] = (0.5, 0.3, 0.2)
    noise: float = 0.01
    shared: float = 0.3


@dataclass
class Story:
    """What a run of the selector looked like from within, for figures.

    Attributes
    ----------
    mean, deviation : array [faults, parts]
        Last posterior of the margin's parts [m].
    predicted : array [faults, parts]
        What the 3-TBN says of the margin's parts [m]; None without one.
    hyper : list of Hyper
        Last hyper-parameters, one a part.
    """

    mean: np.ndarray | None = None
    deviation: np.ndarray | None = None
    predicted: np.ndarray | None = None
    hyper: list[Hyper] = field(default_factory=list)


def start(pool: PoolView, settings: Settings) -> Hyper:
    """Return the hyper-parameters that the search starts from, the centre of their priors."""
    return Hyper(
        scene=np.full(pool.scene_features.shape[1], settings.scene),
        embedding=np.full(pool.fault_embedding.shape[1], settings.embedding),
        pair=np.full(pool.pair_features.shape[1], settings.pair),
        along=settings.along,
        weight=np.array(settings.weight),
        noise=settings.noise,
        shared=settings.shared,
    )


def spread(pool: PoolView, size: int, rng: np.random.Generator, open_: np.ndarray) -> np.ndarray:
    """Return `size` open faults at random, each type and each run about equally often."""
    order = rng.permutation(np.flatnonzero(open_))
    kind, run = pool.type[order], pool.run[pool.scene[order]]
    # the n-th fault of its type and the n-th of its run come in the n-th round
    turn = np.maximum(_turn(kind) * len(np.unique(kind)), _turn(run) * len(np.unique(run)))
    return order[np.argsort(turn, kind="stable")][:size]


def _turn(labels: np.ndarray) -> np.ndarray:
    order = np.argsort(labels, kind="stable")
    first = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0])
    found = np.empty(len(labels), int)
    found[order] = np.arange(len(labels)) - np.repeat(first, np.diff(np.r_[first, len(labels)]))
    return found


def gaussian_process(
    pool: PoolView, purse: Purse, rng: np.random.Generator, settings: Settings | None = None, story: Story | None = None
) -> None:
    """Simulate faults of the pool until the purse is empty, those first that the process finds worth it.

    Parameters
    ----------
    pool, purse, rng
        As for every selector.
    settings : Settings, optional
    story : Story, optional
        Filled in.
    """
    settings = settings or Settings()
    open_ = pool.active.copy()
    open_[purse.order] = False
    first = spread(pool, max(0, min(settings.first - len(purse.order), purse.left)), rng, open_)
    if len(first):
        purse.parts(first)
    golden = pool.golden[pool.run[pool.scene]]
    parts = golden.shape[1]
    # margins are counted in golden margins of the run: 1 is no effect, 0 critical, in a tight scene as in a wide one
    ceiling = np.array(settings.ceiling[:parts])
    unit = np.clip(golden, LEAST_UNIT_M, ceiling)
    amplitude = [None] * parts
    if settings.amplitude and pool.amplitude is not None:
        expected = np.array(settings.amplitude) * pool.amplitude ** np.array(settings.amplitude_power)
        amplitude = list(np.clip(expected, *settings.amplitude_range).T)
    lift = np.zeros_like(unit)
    if settings.prediction and pool.predicted is not None:
        lift = settings.prediction * (np.clip(pool.predicted / unit, settings.floor, 1.0) - 1.0)

    def targets(rows: np.ndarray) -> np.ndarray:
        return (
            np.clip(np.minimum(purse.parts(rows), ceiling) / unit[rows], settings.floor, 1.0 + settings.rise)
            - 1.0
            - lift[rows]
        )

    hyper = [start(pool, settings) for _ in range(parts)]

    def told(rows: np.ndarray, values: np.ndarray) -> list[PoolProcess]:
        found = [PoolProcess(pool, h, 1, a) for h, a in zip(hyper, amplitude, strict=True)]
        for i, process in enumerate(found):
            process.add(rows, values[:, i : i + 1])
        return found

    refits = list(settings.refits)
    processes: list[PoolProcess] = []
    waiting = np.empty(0, int)
    arm = pool.run[pool.scene] * len(pool.fault_embedding) + pool.type
    turns = cycle(settings.acquisition.split("+"))
    while purse.left:
        rows = np.array(purse.order)
        due = [limit for limit in refits if limit <= len(rows)]
        if due or not processes:
            values = targets(rows)
            if due:
                refits = [limit for limit in refits if limit > len(rows)]
                hyper = [
                    _refitted(pool, hyper[i], rows, values[:, i], start(pool, settings), amplitude[i])
                    for i in range(parts)
                ]
            waiting = np.empty(0, int)
            processes = told(rows, values)
        mean, deviation = posterior(processes, 1.0 + lift)
        open_ = pool.active.copy()
        open_[rows] = False
        best = float((purse.parts(rows) / unit[rows]).min())
        acquisition = next(turns)
        scores = acquire.score(acquisition, mean, deviation, best, settings.kappa)
        worth = open_ & acquire.worth_more(arm, rows, purse.margins(rows) <= 0, settings.patience)
        open_ = worth if worth.any() else open_
        capped = acquisition == "diverse"
        size = min(settings.batch, purse.left)
        cap = settings.cap if capped else 0
        picked = acquire.batch(scores, open_, size, pool.type, cap, pool.scene, settings.scene_cap if capped else 0)
        if not len(picked):
            break
        purse.parts(picked)
        processes[0].add(picked, targets(picked)[:, :1])
        # what holds for the lane changes little from batch to batch; adding many rows at once reads the pool once
        waiting = np.append(waiting, picked)
        if len(waiting) >= settings.lane_rows or not purse.left:
            for i, process in enumerate(processes[1:], 1):
                process.add(waiting, targets(waiting)[:, i : i + 1])
            waiting = np.empty(0, int)
    if story is not None:
        if not processes:  # the first faults, drawn at random, were all that the budget was for
            rows = np.array(purse.order, int)
            processes = told(rows, targets(rows))
        mean, deviation = posterior(processes, 1.0 + lift)
        story.mean, story.deviation, story.hyper = mean * unit, deviation * unit, hyper
        story.predicted = pool.predicted


def posterior(processes: list[PoolProcess], expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and deviations of the margin's parts [faults, parts], in units of the targets' scale."""
    mean = np.stack([p.mean[:, 0] for p in processes], axis=1) + expected
    return mean, np.sqrt(np.stack([p.variance for p in processes], axis=1))


def _refitted(pool: PoolView, hyper: Hyper, rows: np.ndarray, values: np.ndarray, centre: Hyper, amplitude) -> Hyper:
    """Return hyper-parameters fitted to what is known; unchanged while nothing has an effect yet."""
    if np.abs(values).max() < 1e-3:
        return hyper
    from credence.drivefi.select.hyper import refit

    return refit(pool, centre, rows, values, amplitude)
