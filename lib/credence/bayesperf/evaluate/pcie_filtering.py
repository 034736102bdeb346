"""The paper's other scheduler (section 6.3): collaborative filtering, as Paragon fills in what was never measured.

Rows are shuffles, columns their 36 inputs and what they lost on either card. Most entries are missing, and of a new
shuffle both losses are. A low-rank matrix fills them in, by regularised alternating least squares; the card with the
smaller predicted loss is taken. The paper does not print its matrix; this reading of it has its sparsity (75 %) and its
three folds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from credence.bayesperf.world import pcie
from credence.bench import seeds
from credence.bench.errors import InputError

SPARSITY = 0.75
SPARSITIES = (0.3, 0.45, 0.6, 0.75, 0.8)  # the paper swept 30 to 80 %
FOLDS = 3
COLUMNS = pcie.INPUTS + pcie.LINKS


@dataclass(frozen=True)
class Filtering:
    """Hyper-parameters, chosen by three-fold cross-validation with exact counts (`tune`) and then frozen.

    Attributes
    ----------
    rank : int
        Of the matrix that fills in.
    penalty : float
        On the squared factors.
    """

    rank: int = 8
    penalty: float = 10.0


@dataclass(frozen=True)
class Factors:
    """A fitted matrix: entry ≈ mean + scale · (row factor · column factor).

    Attributes
    ----------
    mean, scale : array [columns]
    columns : array [columns, rank]
    """

    mean: np.ndarray
    scale: np.ndarray
    columns: np.ndarray


def _solve(table: np.ndarray, known: np.ndarray, others: np.ndarray, penalty: float) -> np.ndarray:
    """Return ridge solutions [rows, rank]: known entries of each row of `table` on `others` [columns, rank]."""
    square = np.einsum("rc,ck,cl->rkl", known, others, others, optimize=True)
    square += penalty * np.eye(others.shape[1])
    return np.linalg.solve(square, ((known * table) @ others)[..., None])[..., 0]


def factorise(table: np.ndarray, known: np.ndarray, filtering: Filtering, sweeps: int = 12) -> Factors:
    """Fit a low-rank matrix to the known entries of `table`.

    Parameters
    ----------
    table : array [rows, columns]
        Entries; what is not known is not looked at.
    known : bool array [rows, columns]
    filtering : Filtering
    sweeps : int
        Of alternating least squares, from the same start every time.

    Raises
    ------
    InputError
        For a column with fewer than two known entries.
    """
    count = known.sum(axis=0)
    if (count < 2).any():
        raise InputError(f"column {int(np.argmin(count))} has {count.min()} known entries; allowed: two or more")
    mean = np.where(known, table, 0).sum(axis=0) / count
    scale = np.sqrt(np.where(known, (table - mean) ** 2, 0).sum(axis=0) / count)
    scale = np.where(scale > 0, scale, 1.0)
    centred, weight = np.where(known, (table - mean) / scale, 0.0), known.astype(float)
    columns = np.random.default_rng(0).standard_normal((table.shape[1], filtering.rank)) / filtering.rank**0.5
    for _ in range(sweeps):
        rows = _solve(centred, weight, columns, filtering.penalty)
        columns = _solve(centred.T, weight.T, rows, filtering.penalty)
    return Factors(mean, scale, columns)


def fill(factors: Factors, table: np.ndarray, known: np.ndarray, penalty: float) -> np.ndarray:
    """Return all entries of new rows [rows, columns] from those that are known."""
    centred = np.where(known, (table - factors.mean) / factors.scale, 0.0)
    rows = _solve(centred, known.astype(float), factors.columns, penalty)
    return factors.mean + factors.scale * (rows @ factors.columns.T)


def _table(happened: pcie.Scenario, seen: np.ndarray) -> np.ndarray:
    """Return every eighth slice of all programs as a row: inputs, then the excess on either card."""
    parts = (seen[:, 8::8].reshape(-1, pcie.INPUTS), happened.excess[:, 8::8].reshape(-1, pcie.LINKS))
    return np.concatenate(parts, axis=1).astype(float)


def _tables(seed: int, purpose: str, errors, programs: int, setting) -> tuple[pcie.Scenario, list[np.ndarray]]:
    happened = pcie.scenario(seed, f"filtering {purpose}", programs, 208, setting)
    counts = pcie.counted(happened, errors, seeds.generator(seed, "pcie", "errors", f"filtering {purpose}"))
    return happened, [_table(happened, seen) for seen in pcie.inputs(happened, counts)]


def _known(seed: int, purpose: str, shape: tuple[int, int], sparsity: float) -> np.ndarray:
    return seeds.generator(seed, "pcie", "known", purpose).random(shape) >= sparsity


def shuffle_times(
    seed_list: Iterable[int],
    errors: Sequence[pcie.CounterError],
    filtering: Filtering | None = None,
    sparsity: float = SPARSITY,
    programs: int = 40,
    setting: pcie.Setting | None = None,
) -> np.ndarray:
    """Return the mean time of a shuffle [readers, seeds] [ms]: cards by collaborative filtering.

    Parameters
    ----------
    seed_list : iterable of int
        Scenario seeds.
    errors : sequence of CounterError
        The readers.
    filtering : Filtering or None
        None: the frozen ones.
    sparsity : float
        Share of entries that are missing, 0..0.95: of past shuffles, and of the inputs of new ones.
    programs : int
        Programs whose shuffles are known, 25 of each; as many others are scheduled.
    setting : Setting or None
        The world.
    """
    if not 0 <= sparsity <= 0.95:
        raise InputError(f"sparsity is {sparsity!r}; allowed: 0 to 0.95")
    filtering = filtering or Filtering()
    found = []
    for seed in seed_list:
        past = _tables(seed, "past", errors, programs, setting)[1]
        happened, new = _tables(seed, "new", errors, programs, setting)
        known = _known(seed, "past", past[0].shape, sparsity)
        given = _known(seed, "new", new[0].shape, sparsity)
        given[:, pcie.INPUTS :] = False  # what it will lose is the question
        local, alone = (array[:, 8::8].ravel() for array in (happened.local, happened.isolated))
        row = []
        for table, asked in zip(past, new, strict=True):
            factors = factorise(table, known, filtering)
            guess = fill(factors, asked, given, filtering.penalty)[:, pcie.INPUTS :]
            card = np.where(guess[:, 0] == guess[:, 1], local, guess.argmin(axis=1))
            excess = np.take_along_axis(asked[:, pcie.INPUTS :], card[:, None], axis=1)[:, 0]
            row.append((alone * (1 + excess)).mean())
        found.append(row)
    return np.array(found).T


def unscheduled_times(seed_list: Iterable[int], programs: int = 40, setting=None) -> np.ndarray:
    """Return the mean time [seeds] [ms] of the same shuffles when each leaves by the card of its own NUMA node."""
    exact = [pcie.CounterError("exact", 0.0)]
    found = []
    for seed in seed_list:
        happened = _tables(seed, "new", exact, programs, setting)[0]
        excess = np.take_along_axis(happened.excess, happened.local[..., None], axis=-1)[..., 0]
        found.append((happened.isolated * (1 + excess))[:, 8::8].mean())
    return np.array(found)


def tune(seed_list: Iterable[int], ranks=(2, 4, 8), penalties=(0.3, 1.0, 3.0, 10.0, 30.0), programs: int = 40) -> dict:
    """Return the mean squared error of held-out losses by (rank, penalty): three folds, exact counts, 75 % missing."""
    found = {}
    exact = [pcie.CounterError("exact", 0.0)]
    for seed in seed_list:
        table = _tables(seed, "past", exact, programs, None)[1][0]
        known = _known(seed, "past", table.shape, SPARSITY)
        fold = seeds.generator(seed, "pcie", "folds").integers(FOLDS, size=table.shape)
        for rank, penalty in product(ranks, penalties):
            filtering = Filtering(rank, penalty)
            for held in range(FOLDS):
                kept = known & (fold != held)
                asked = known & (fold == held)
                asked[:, : pcie.INPUTS] = False
                guess = fill(factorise(table, kept, filtering), table, kept, penalty)
                found.setdefault((rank, penalty), []).append(((guess - table)[asked] ** 2).mean())
    return {key: float(np.mean(values)) for key, values in found.items()}
