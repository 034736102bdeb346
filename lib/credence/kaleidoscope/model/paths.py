"""The paper's Beta-Binomial path model and the released notebook's Bernoulli form, in PyMC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from credence.kaleidoscope.model.cells import counts
from credence.kaleidoscope.model.quantiles import health_logit
from credence.kaleidoscope.model.variants import Priors, Variant


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts of a window by distinct path: cells that cross the same things have the same success rate.

    Attributes
    ----------
    components : numpy.ndarray [n]
        Component ids that some cell crosses; all positions below are positions in it.
    series : numpy.ndarray [paths, S]
        Components in series; n fills up.
    groups : numpy.ndarray [paths, G]
        Rows of `members`; their number fills up.
    members : numpy.ndarray [groups, M]
        Members; n fills up.
    lnet : numpy.ndarray [groups]
    succeeded, failed : numpy.ndarray [paths]
    """

    components: np.ndarray
    series: np.ndarray
    groups: np.ndarray
    members: np.ndarray
    lnet: np.ndarray
    succeeded: np.ndarray
    failed: np.ndarray


def tally(paths, window, variant: Variant) -> Tally:
    """Sum the counts of a window by distinct path."""
    succeeded, failed = counts(window, variant)
    both = np.concatenate([np.sort(paths.series, axis=1), np.sort(paths.groups, axis=1)], axis=1)
    rows, which = np.unique(both, axis=0, return_inverse=True)
    series, groups = np.split(rows, [paths.series.shape[1]], axis=1)
    used = np.unique(groups[groups >= 0])
    inside = np.concatenate([series.ravel(), paths.members[used].ravel()])
    components = np.unique(inside[inside >= 0])
    place = np.full(len(paths.kinds) + 1, len(components))
    place[components] = np.arange(len(components))
    of_group = np.full(len(paths.members) + 1, len(used))
    of_group[used] = np.arange(len(used))
    return Tally(
        components,
        place[series],
        of_group[groups],
        place[paths.members[used]],
        np.asarray(paths.lnet, bool)[used],
        np.bincount(which.ravel(), succeeded),
        np.bincount(which.ravel(), failed),
    )


def beta_binomial(
    paths, window, priors: Priors | None = None, variant: Variant | None = None, health: tuple | None = None
) -> pm.Model:
    r"""Build the paper's model (§V-A).

    .. math::

        X_i \sim \mathrm{Beta}(a_i, b_i), \qquad
        Y_p \sim \mathrm{Binomial}(N_p, A_p), \qquad
        A_p = \prod_{i \in p} X_i \prod_{g \in p} R_g

    with R = 1 - (1 - X_1)(1 - X_2) for a pair of servers, 1 - prod (1 - X_l) for a group of routers (variant "or"), or
    their mean (variant "mixture").

    Parameters
    ----------
    paths : Paths
    window : Window
    priors : Priors, optional
        ``health`` is Beta(a, b) of every component.
    variant : Variant, optional
    health : tuple of numpy.ndarray [components], optional
        a and b of each component instead: what :func:`credence.kaleidoscope.infer.temporal.update` returns.

    Returns
    -------
    pymc.Model
        Free variable ``standard`` [component], normal, of which the health is the quantile; ``health`` [component] and
        ``path_rate`` [path] follow from it.
    """
    priors, variant = priors or Priors(), variant or Variant()
    seen = tally(paths, window, variant)
    n = len(seen.components)
    a, b = health if health is not None else (np.full(len(paths.kinds), value) for value in priors.health)
    a, b = np.asarray(a, float)[seen.components], np.asarray(b, float)[seen.components]
    coords = {"component": seen.components.tolist(), "path": np.arange(len(seen.series)).tolist()}
    with pm.Model(coords=coords) as model:
        succeeded = pm.Data("succeeded", seen.succeeded.astype(float), dims="path")
        failed = pm.Data("failed", seen.failed.astype(float), dims="path")
        standard = pm.Normal("standard", dims="component")
        logit = health_logit(standard, a, b)  # logit of X ~ Beta(a, b)
        pm.Deterministic("health", pt.sigmoid(logit), dims="component")
        log_up = pt.concatenate([-pt.softplus(-logit), [0.0]])  # log X; what fills rows up is always up in series,
        log_down = pt.concatenate([-pt.softplus(logit), [0.0]])  # log(1 - X), and never up in a group
        log_path = log_up[seen.series].sum(axis=1)
        if len(seen.members):
            one_up = pt.log1mexp(pt.minimum(log_down[seen.members].sum(axis=1), -1e-12))
            all_up = log_up[seen.members].sum(axis=1)
            share_up = pt.log(pt.where(seen.members < n, pt.exp(log_up[seen.members]), 0.0).sum(axis=1))
            share_up -= np.log((seen.members < n).sum(axis=1))
            group = share_up if variant.lnet == "mixture" else one_up
            group = pt.where(seen.lnet, group, one_up if variant.pair else all_up)
            log_path += pt.concatenate([group, [0.0]])[seen.groups].sum(axis=1)
        log_path = pt.minimum(log_path, -1e-30)
        pm.Deterministic("path_rate", pt.exp(log_path), dims="path")
        pm.Potential("counts", (succeeded * log_path + failed * pt.log1mexp(log_path)).sum())
    return model


def bernoulli(paths, window, priors: Priors, variant: Variant | None = None) -> pm.Model:
    """Build the form of the released notebook: up or down, and the log of a linear mix of counts.

    ``log(A succeeded + 1e-9 + (1 - A) failed + 1e-9)`` for every cell, where the paper has a Binomial.

    Parameters
    ----------
    paths, window
    priors : Priors
        ``p_up`` is used.
    variant : Variant, optional

    Returns
    -------
    pymc.Model
        Free variable ``up`` [component], 0 or 1.
    """
    variant = variant or Variant(missing="failed")
    succeeded, failed = counts(window, variant)
    used = np.unique(paths.groups[paths.groups >= 0])
    inside = np.concatenate([paths.series.ravel(), paths.members[used].ravel()])
    components = np.unique(inside[inside >= 0])
    place = np.full(len(paths.kinds) + 1, len(components))
    place[components] = np.arange(len(components))
    of_group = np.full(len(paths.members) + 1, len(used))
    of_group[used] = np.arange(len(used))
    members = place[paths.members[used]]
    with pm.Model(coords={"component": components.tolist()}) as model:
        up = pm.Bernoulli("up", priors.of_components(paths.kinds)[components], dims="component")
        works = pt.concatenate([up, [1]])[place[paths.series]].prod(axis=1)
        if len(used):
            member = pt.concatenate([up, [0]])[members]
            size = (members < len(components)).sum(axis=1)
            one_up = 1 - (1 - member).prod(axis=1)
            group = member.sum(axis=1) / size if variant.lnet == "mixture" else one_up
            pair = one_up if variant.pair else pt.eq(member.sum(axis=1), size)
            group = pt.where(np.asarray(paths.lnet, bool)[used], group, pair)
            works = works * pt.concatenate([group, [1]])[of_group[paths.groups]].prod(axis=1)
        pm.Potential("counts", pt.log(works * succeeded + 1e-9 + (1 - works) * failed + 1e-9).sum())
    return model
