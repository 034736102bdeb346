"""The generative model of multiplexed counters in PyMC: what the paper's factor graph says, as one joint density.

Reading from causes to data: the program moves (`moves`: coordinates z of every slice, a priori a sum of stationary
autoregressions); identities turn the few coordinates into counts of all events (`count`; an exact identity cannot be
violated, because it is solved); counters show some cells with noise (`measured`: Student-t with N - 1 degrees of
freedom, section 4.2, or normal); soft identities and inequalities are further observations.

The moves are sampled in the coordinates in which a Gaussian approximation of the posterior is a standard normal (see
`Whitening`). That is a change of variables, no change of the model: NUTS then has nearly round shapes to explore, where
it did not converge in the counts themselves (notes, section 5.1: median effective sample size 9).
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pytensor.tensor.linalg import solve_triangular

from credence.bayesperf.model.window import Window, gaussian, prior_covariance, root

# Prior standard deviations of the logarithms of the free scales.
AMPLITUDE_SD = 0.5
NOISE_SD = 0.3


class Whitening(Transform):
    """``z = guess + guess_root @ w``: an affine change of variables for the sampler, so that w is nearly normal.

    Guess and root are inputs of the variable that is transformed (PyMC wants them there), its last two.
    """

    name = "whitened"
    ndim_supp = 1

    def forward(self, value, *inputs):
        """Return w at z."""
        guess, guess_root = inputs[-2:]
        return solve_triangular(guess_root, value - guess, lower=True, b_ndim=1)

    def backward(self, value, *inputs):
        """Return z at w."""
        guess, guess_root = inputs[-2:]
        return guess + guess_root @ value

    def log_jac_det(self, value, *inputs):
        """Return the log determinant of dz/dw, which w does not change."""
        return pt.log(pt.diagonal(inputs[-1])).sum()


def _moves_logp(value, factor, prior_root, guess, guess_root):
    """Return the log density of ``factor * (prior_root @ (standard normal))``; the guess is no part of the model.

    The factor stays apart from the root, so that a gradient costs products with vectors only.
    """
    white = solve_triangular(prior_root, value / factor, lower=True, b_ndim=1)
    constant = 0.5 * np.log(2 * np.pi) * value.shape[0]
    return -0.5 * (white**2).sum() - pt.log(pt.diagonal(prior_root)).sum() - pt.log(factor).sum() - constant


def _moves_draw(factor, prior_root, guess, guess_root, rng=None, size=None):
    return factor * (prior_root @ rng.standard_normal(len(prior_root)))


def coords(window: Window) -> dict[str, list]:
    """Return the coordinates of the model's named dimensions."""
    directions = [f"direction {k}" for k in range(window.rank)]
    moves = [f"slice {t}, {name}" for t in range(window.slices) for name in directions]
    return {
        "slice": list(range(window.slices)),
        "event": list(window.events),
        "direction": directions,
        "move": moves,
        "source": moves,
        "cell": [f"slice {t}, {window.events[e]}" for t, e in zip(window.slot, window.event, strict=True)],
        "identity": list(range(len(window.soft_rows))),
        "inequality": list(range(len(window.below_rows))),
    }


def data(window: Window) -> dict[str, np.ndarray]:
    """Return the values of the model's data containers: new measurements need no new compilation.

    Returns
    -------
    dict
        ``value`` and ``spread`` [cells], ``prior_root`` [moves, moves], ``guess`` [moves], ``guess_root``
        [moves, moves].
    """
    guess, covariance = gaussian(window)
    return {
        "value": np.asarray(window.value, float),
        "spread": np.asarray(window.spread, float),
        "prior_root": root(prior_covariance(window)),
        "guess": guess,
        "guess_root": root(covariance),
    }


def build(window: Window, free_scales: bool = False) -> pm.Model:
    """Build the model of a window.

    Parameters
    ----------
    window : Window
    free_scales : bool
        Also infer how strongly the program moves in each direction (`amplitude`, a factor on the prior standard
        deviation) and how noisy the counters are (`noise`, a factor on the spread). False takes both as the window has
        them: found by marginal likelihood, as in the paper ("Theta by MLE").

    Returns
    -------
    pymc.Model
        Free variables ``moves`` [move] (and ``log_amplitude`` [direction], ``log_noise``); ``count`` [slice, event] in
        counts per slice; observed ``measured`` [cell] in relative counts, ``soft_identity`` [slice, identity] and
        ``order`` [slice, inequality] where the window has some.
    """
    places, values = coords(window), data(window)
    used = {name: place for name, place in places.items() if len(place)}
    with pm.Model(coords=used) as model:
        value = pm.Data("value", values["value"], dims="cell")
        spread = pm.Data("spread", values["spread"], dims="cell")
        prior_root = pm.Data("prior_root", values["prior_root"], dims=("move", "source"))
        guess = pm.Data("guess", values["guess"], dims="move")
        guess_root = pm.Data("guess_root", values["guess_root"], dims=("move", "source"))
        noise, factor = 1.0, np.ones(window.slices * window.rank)
        if free_scales:
            log_amplitude = pm.Normal("log_amplitude", 0, AMPLITUDE_SD, dims="direction")
            factor = pt.tile(pt.exp(log_amplitude), window.slices)
            noise = pt.exp(pm.Normal("log_noise", 0, NOISE_SD))
        moves = pm.CustomDist(
            "moves",
            factor,
            prior_root,
            guess,
            guess_root,
            logp=_moves_logp,
            random=_moves_draw,
            signature="(m),(m,m),(m),(m,m)->(m)",
            transform=Whitening(),
            initval=values["guess"],
            dims="move",
        )
        relative = window.offset + moves.reshape((window.slices, window.rank)) @ window.basis.T
        pm.Deterministic("count", relative * window.scale, dims=("slice", "event"))
        seen = relative[window.slot, window.event]
        if window.degrees is None:
            pm.Normal("measured", seen, noise * spread, observed=value, dims="cell")
        else:
            pm.StudentT("measured", window.degrees, mu=seen, sigma=noise * spread, observed=value, dims="cell")
        if len(window.soft_rows):
            target = np.tile(window.soft_value, (window.slices, 1))
            held = relative @ window.soft_rows.T
            pm.Normal("soft_identity", held, window.softness, observed=target, dims=("slice", "identity"))
        if len(window.below_rows):
            # an inequality is a censored observation: all that was seen is that it does not exceed the bound
            bound = np.tile(window.bound, (window.slices, 1))
            height = pm.Normal.dist(relative @ window.below_rows.T, window.margin)
            pm.Censored("order", height, bound, None, observed=bound, dims=("slice", "inequality"))
    return model
