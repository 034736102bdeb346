"""Sampling the path model: NUTS, ADVI, and the binary Gibbs sampler of the released notebook.

Slow, and free of what makes the other ways fast: the exact posterior and the search are binary, this one has rates.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from credence.bench import diagnostics, seeds
from credence.bench.errors import InputError, choose
from credence.kaleidoscope.model.variants import ARTIFACT, Priors, Variant

if TYPE_CHECKING:
    import xarray

MODES = ("NUMBA", "FAST_COMPILE")


@dataclass(frozen=True, eq=False)
class Sampled:
    """Draws of every component's health.

    Attributes
    ----------
    components : numpy.ndarray [n]
        Ids of the components that were probed.
    health : numpy.ndarray [draws, n]
        Rates (Beta model), or 0 and 1 (Bernoulli form).
    tree : xarray.DataTree or None
        Group ``posterior`` with chains apart, where there are chains.
    gate : Gate or None
        R-hat, effective sample sizes, divergences.
    seconds, compile_seconds : float
        Processor time of sampling (tuning included), and of compilation before it.
    """

    components: np.ndarray
    health: np.ndarray
    tree: xarray.DataTree | None
    gate: diagnostics.Gate | None
    seconds: float
    compile_seconds: float

    def below(self, threshold: float = 0.9) -> np.ndarray:
        """P(health < threshold) [n]; failed, by the paper's rule, where it exceeds 0.75."""
        return (self.health < threshold).mean(axis=0)


def nuts(
    paths,
    window,
    priors: Priors | None = None,
    variant: Variant | None = None,
    *,
    health: tuple | None = None,
    chains: int = 4,
    draws: int = 500,
    tune: int = 500,
    seed: int = 0,
    target_accept: float = 0.8,
    mode: str = "NUMBA",
    name: str = "path model",
) -> Sampled:
    """Sample the Beta-Binomial path model with NUTS.

    Parameters
    ----------
    paths, window, priors, variant, health
        As in :func:`credence.kaleidoscope.model.paths.beta_binomial`.
    chains, draws, tune : int
        Chains (at least 2), draws kept of each, draws before them that adapt the steps.
    seed : int
    target_accept : float
    mode : str
        PyTensor's: "NUMBA" is fast to run, "FAST_COMPILE" is fast to compile: for small models.
    name : str
        What the diagnostics gate calls it.

    Raises
    ------
    InputError
        For fewer than two chains, or another mode.
    """
    if chains < 2:
        raise InputError(f"chains is {chains!r}; allowed: from 2, as R-hat compares chains")
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    from credence.kaleidoscope.model.paths import beta_binomial

    begin = time.process_time()
    model = beta_binomial(paths, window, priors, variant, health)
    components = np.array(model.coords["component"])
    density = model.logp_dlogp_function(ravel_inputs=True, mode=choose(mode, MODES, "mode"))
    density.set_extra_values({})
    density(np.zeros(len(components)))
    middle = time.process_time()

    def logp():
        def value(point):
            height, slope = density(np.array(point))
            return float(height), np.ascontiguousarray(slope, float)

        return value

    def expand(_seed1, _seed2, _chain):
        return lambda point: {"standard": point}

    # chains that start apart can disagree, which is what R-hat looks for; most components are up, so all start so
    starts = seeds.generator(seed, "kaleidoscope nuts", "starts")
    found = from_pyfunc(
        len(components),
        logp,
        expand,
        [np.dtype(float)],
        [(len(components),)],
        ["standard"],
        coords={"component": components},
        dims={"standard": ("component",)},
        make_initial_point_fn=lambda seed: starts.uniform(0, 1.5, len(components)),
    )
    tree = nutpie.sample(
        found,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=1,
        seed=int(seeds.generator(seed, "kaleidoscope nuts").integers(2**31)),
        target_accept=target_accept,
        save_warmup=False,
        progress_bar=False,
    )
    seconds = time.process_time() - middle
    standard = tree["posterior"]["standard"].values.reshape(-1, len(components))
    return Sampled(
        components,
        _health(standard, components, priors, health),
        tree,
        diagnostics.gate(tree, name),
        seconds,
        middle - begin,
    )


def advi(
    paths,
    window,
    priors: Priors | None = None,
    variant: Variant | None = None,
    *,
    steps: int = 10_000,
    draws: int = 2_000,
    seed: int = 0,
) -> Sampled:
    """Fit independent normals to the variables behind the healths: fast, and blind to "one of these two".

    Parameters
    ----------
    paths, window, priors, variant
        As in :func:`nuts`.
    steps : int
        Steps of stochastic gradient ascent.
    draws : int
        Draws from the fit.
    seed : int
    """
    import pymc as pm

    from credence.kaleidoscope.model.paths import beta_binomial

    begin = time.process_time()
    with _quiet(), beta_binomial(paths, window, priors, variant) as model:
        components = np.array(model.coords["component"])
        method = pm.ADVI(random_seed=seed, start={"standard": np.ones(len(components))})
        method.fit(2, progressbar=False)  # compiles
        middle = time.process_time()
        fit = method.fit(steps, progressbar=False, obj_optimizer=pm.adam(learning_rate=0.02))
        seconds = time.process_time() - middle
        mean, sd = fit.mean.eval(), fit.std.eval()
    rng = seeds.generator(seed, "kaleidoscope advi")
    standard = mean + sd * rng.standard_normal((draws, len(components)))
    return Sampled(components, _health(standard, components, priors, None), None, None, seconds, middle - begin)


def gibbs(
    paths,
    window,
    priors: Priors = ARTIFACT,
    variant: Variant | None = None,
    *,
    chains: int = 10,
    draws: int = 100,
    seed: int = 0,
) -> Sampled:
    """Run the released notebook's sampler: binary Gibbs-Metropolis, 10 chains of 100 draws, none discarded.

    Parameters
    ----------
    paths, window, priors, variant
        As in :func:`credence.kaleidoscope.model.paths.bernoulli`.
    chains, draws : int
    seed : int
    """
    import pymc as pm

    from credence.kaleidoscope.model.paths import bernoulli

    begin = time.process_time()
    with _quiet(), bernoulli(paths, window, priors, variant) as model:
        components = np.array(model.coords["component"])
        step = pm.BinaryGibbsMetropolis([model["up"]])
        middle = time.process_time()
        tree = pm.sample(
            draws,
            tune=0,
            chains=chains,
            cores=1,
            step=step,
            random_seed=seed,
            progressbar=False,
            compute_convergence_checks=False,
        )
    up = tree["posterior"]["up"].values.reshape(-1, len(components)).astype(float)
    return Sampled(components, up, tree, None, time.process_time() - middle, middle - begin)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without PyMC's messages about progress, which end up in notebooks."""
    log = logging.getLogger("pymc")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _health(standard: np.ndarray, components: np.ndarray, priors: Priors | None, health: tuple | None) -> np.ndarray:
    """Health from the standard normal variables of the model [draws, n]."""
    from credence.kaleidoscope.model.quantiles import logit_quantile

    priors = priors or Priors()
    a, b = ([value] * (components.max() + 1) for value in priors.health) if health is None else health
    logit = np.stack([logit_quantile(standard[:, i], a[c], b[c]) for i, c in enumerate(components)], axis=1)
    return 0.5 * (1 + np.tanh(0.5 * logit))
