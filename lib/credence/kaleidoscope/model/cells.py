"""Log-likelihood of a cell's counts, given which share of its path is dead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, roots_jacobi

from credence.bench.errors import InputError
from credence.kaleidoscope.model.variants import Priors, Variant

TABLE_LIMIT = 1_000_000
NODES = 64


@dataclass(frozen=True, eq=False)
class CellTable:
    """Log-likelihoods by distinct pair of counts.

    Attributes
    ----------
    code : numpy.ndarray [cells]
        Row of ``values`` of each cell, uint16 or int32.
    values : numpy.ndarray [rows, shares]
        Log-likelihood without binomial coefficients; column 0: the path works, column 1: it has failed, further
        columns: the share of dead routers of `shares`.
    """

    code: np.ndarray
    values: np.ndarray


def counts(window, variant: Variant) -> tuple[np.ndarray, np.ndarray]:
    """Return what the model sees of a window: succeeded and failed probes, int32 [cells] each.

    Raises
    ------
    InputError
        For counts that cannot be.
    """
    succeeded = np.ascontiguousarray(window.succeeded, dtype=np.int32)
    failed = np.asarray(window.sent, dtype=np.int32) - succeeded
    if variant.missing == "missing":
        failed = failed - np.asarray(window.missing, dtype=np.int32)
    wrong = np.flatnonzero((succeeded < 0) | (failed < 0))
    if wrong.size:
        k = int(wrong[0])
        raise InputError(
            f"cell {k}: {window.sent[k]} sent, {window.succeeded[k]} succeeded, {window.missing[k]} missing; "
            "allowed: none negative, sent >= succeeded + missing"
        )
    return succeeded, np.ascontiguousarray(failed)


def log_likelihoods(succeeded, failed, priors: Priors, shares) -> np.ndarray:
    """Return log-likelihoods of counts for given shares of dead routers.

    Parameters
    ----------
    succeeded, failed : numpy.ndarray [n]
    priors : Priors
    shares : sequence of float
        Share of the routers of a path that are dead, in [0, 1]: 0 works, 1 has failed.

    Returns
    -------
    numpy.ndarray [n, shares]
        Without binomial coefficients. A failed path's rate is integrated out:
        B(a + k, b + f) / B(a, b). Between the two, a probe meets a dead router with probability s, so that the rate
        is (1 - s) p + s theta: a polynomial in theta, which Gauss-Jacobi quadrature integrates exactly as long as
        there are fewer than 128 probes in a cell.
    """
    k, f = np.asarray(succeeded, float), np.asarray(failed, float)
    result = np.empty((len(k), len(shares)))
    for column, share in enumerate(shares):
        if priors.likelihood == "artifact":
            result[:, column] = np.log((1 - share) * k + share * f + 2e-9)
        elif share == 0:
            result[:, column] = _working(k, f, priors)
        elif share == 1:
            a, b = priors.down
            result[:, column] = betaln(a + k, b + f) - betaln(a, b)
        else:
            result[:, column] = _mixed(k, f, share, priors)
    return result


def _working(k, f, priors: Priors) -> np.ndarray:
    if priors.up_strength is None:
        return k * np.log(priors.up_rate) + f * np.log1p(-priors.up_rate)
    a, b = priors.up_strength * priors.up_rate, priors.up_strength * (1 - priors.up_rate)
    return betaln(a + k, b + f) - betaln(a, b)


def _mixed(k, f, share: float, priors: Priors) -> np.ndarray:
    lost, lost_weight = _beta_nodes(*priors.down, NODES)
    if priors.up_strength is None:
        kept, kept_weight = np.array([priors.up_rate]), np.ones(1)
    else:
        a, b = priors.up_strength * priors.up_rate, priors.up_strength * (1 - priors.up_rate)
        kept, kept_weight = _beta_nodes(a, b, NODES // 2)
    rate = ((1 - share) * kept[:, None] + share * lost).ravel()
    weight = (kept_weight[:, None] * lost_weight).ravel()
    terms = k[:, None] * np.log(rate) + f[:, None] * np.log1p(-rate) + np.log(weight)
    top = terms.max(axis=1)
    return top + np.log(np.exp(terms - top[:, None]).sum(axis=1))


def _beta_nodes(a: float, b: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss-Jacobi quadrature over Beta(a, b)."""
    nodes, weights = roots_jacobi(count, b - 1, a - 1)
    return (nodes + 1) / 2, weights / weights.sum()


def cell_table(succeeded: np.ndarray, failed: np.ndarray, priors: Priors, shares) -> CellTable:
    """Return log-likelihoods of cells by table; few pairs of counts occur, however many cells there are.

    Parameters
    ----------
    succeeded, failed : numpy.ndarray [cells]
        Or of any shape; ``code`` has the same.
    priors : Priors
    shares : sequence of float
        Starts with 0 and 1.
    """
    most_k = int(succeeded.max(initial=0)) + 1
    most_f = int(failed.max(initial=0)) + 1
    if most_k * most_f <= TABLE_LIMIT:
        code = succeeded.astype(np.int32) * np.int32(most_f) + failed
        k, f = np.divmod(np.arange(most_k * most_f), most_f)
    else:
        pairs = succeeded.astype(np.int64) * most_f + failed
        distinct, code = np.unique(pairs, return_inverse=True)
        code = code.reshape(pairs.shape).astype(np.int32)
        k, f = np.divmod(distinct, most_f)
    return CellTable(code.astype(code_type(len(k))), log_likelihoods(k, f, priors, shares))


def code_type(rows: int) -> type:
    """Return the integer type of positions in a table: the search of many cells is bound by reading them."""
    return np.uint16 if rows <= 65_536 else np.int32
