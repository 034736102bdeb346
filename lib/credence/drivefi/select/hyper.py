"""Hyper-parameters of the fault process by maximum a posteriori, with GPyTorch's kernels and BoTorch's fitting."""

from __future__ import annotations

import warnings
from dataclasses import replace

import gpytorch
import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models.gpytorch import GPyTorchModel
from gpytorch.kernels import Kernel, MaternKernel, RBFKernel, ScaleKernel
from gpytorch.priors import LogNormalPrior

from credence.drivefi.select.gp import Hyper
from credence.drivefi.select.pool import PoolView


class SameRun(Kernel):
    """Correlation 1 for two scenes of the same run, else 0."""

    has_lengthscale = False

    def forward(self, x1, x2, diag=False, **params):
        """Return the correlation of two sets of runs' numbers."""
        if diag:
            return (x1[..., 0] == x2[..., 0]).to(x1)
        return (x1[..., :, None, 0] == x2[..., None, :, 0]).to(x1)


class Amplitude(Kernel):
    """Product of two faults' amplitudes, the last column of the inputs."""

    has_lengthscale = False

    def forward(self, x1, x2, diag=False, **params):
        """Return the product for two sets of faults."""
        if diag:
            return x1[..., 0] * x2[..., 0]
        return x1[..., :, None, 0] * x2[..., None, :, 0]


class Floored(Kernel):
    """A correlation that does not fall below a given one: shared + (1 - shared) times another kernel."""

    has_lengthscale = False

    def __init__(self, base: Kernel, shared: float):
        super().__init__()
        self.base, self.shared = base, shared

    def forward(self, x1, x2, diag=False, **params):
        """Return the correlation of two sets of faults."""
        found = self.base(x1, x2, diag=diag, **params)
        return self.shared + (1.0 - self.shared) * (found if diag else found.to_dense())


def inputs(pool: PoolView, rows: np.ndarray, amplitude: np.ndarray | None = None) -> np.ndarray:
    """Return what the kernel reads of faults [rows, columns]: scene, embedding, pair, run, position, amplitude."""
    size = np.ones(len(rows)) if amplitude is None else np.asarray(amplitude, float)[rows]
    scene = pool.scene[rows]
    place = np.stack([pool.run[scene], pool.position[scene]], axis=1)
    embedding = pool.fault_embedding[pool.type[rows]]
    return np.hstack([pool.scene_features[scene], embedding, pool.pair_features[rows], place, size[:, None]])


def kernel(pool: PoolView, prior: Hyper, spread: float = 0.7) -> tuple[Kernel, dict]:
    """Return the covariance of `gp.covariance` as a GPyTorch kernel over `inputs`, and its parts by name.

    Priors are log-normal about `prior`, `spread` wide; that is also where the search starts.
    """
    widths = (pool.scene_features.shape[1], pool.fault_embedding.shape[1], pool.pair_features.shape[1])
    ends = np.cumsum(widths)
    columns = [tuple(range(start, end)) for start, end in zip((0, *ends[:-1]), ends, strict=True)]
    run, place = int(ends[-1]), int(ends[-1]) + 1

    def prepared(made: Kernel, scale) -> Kernel:
        centre = torch.as_tensor(np.log(np.atleast_1d(scale)), dtype=torch.double)
        made.register_prior("lengthscale_prior", LogNormalPrior(centre, torch.full_like(centre, spread)), "lengthscale")
        made.lengthscale = torch.exp(centre)
        return made

    like = prepared(MaternKernel(1.5, ard_num_dims=widths[0], active_dims=columns[0]).double(), prior.scene)
    alike = prepared(RBFKernel(ard_num_dims=widths[1], active_dims=columns[1]).double(), prior.embedding)
    near = prepared(MaternKernel(1.5, active_dims=(place,)).double(), prior.along)
    same = SameRun(active_dims=(run,))
    parts = {"scene": like, "embedding": alike, "along": near}
    fault = Floored(alike, prior.shared)
    if widths[2]:
        parts["pair"] = prepared(RBFKernel(ard_num_dims=widths[2], active_dims=columns[2]).double(), prior.pair)
        fault = fault * parts["pair"]
    terms = [like * fault, near * same * fault]
    if prior.weight[2]:
        terms.append(near * same)
    total = None
    for number, term in enumerate(terms):
        made = ScaleKernel(term).double()
        centre = torch.tensor(np.log(max(prior.weight[number], 1e-6)), dtype=torch.double)
        made.register_prior("outputscale_prior", LogNormalPrior(centre, torch.tensor(1.0).double()), "outputscale")
        made.outputscale = torch.exp(centre)
        parts[f"weight{number}"] = made
        total = made if total is None else total + made
    return total * Amplitude(active_dims=(place + 1,)), parts


class _Model(gpytorch.models.ExactGP, GPyTorchModel):
    _num_outputs = 1

    def __init__(self, points, values, likelihood, covariance):
        super().__init__(points, values, likelihood)
        self.mean_module, self.covar_module = gpytorch.means.ZeroMean(), covariance

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


def refit(
    pool: PoolView,
    prior: Hyper,
    rows: np.ndarray,
    values: np.ndarray,
    amplitude: np.ndarray | None = None,
    steps: int = 30,
) -> Hyper:
    """Return the most probable hyper-parameters given simulated faults.

    Parameters
    ----------
    pool : PoolView
    prior : Hyper
        Centre of the priors, and start.
    rows : array of int [n]
        Simulated faults.
    values : array [n]
        Their targets; the mean of the process is zero.
    amplitude : array [faults], optional
        As in `gp.covariance`.
    steps : int
        Largest number of steps of L-BFGS.
    """
    covariance, parts = kernel(pool, prior)
    likelihood = gpytorch.likelihoods.GaussianLikelihood(
        noise_constraint=gpytorch.constraints.GreaterThan(1e-6)
    ).double()
    centre = torch.tensor(np.log(prior.noise), dtype=torch.double)
    likelihood.noise_covar.register_prior("noise_prior", LogNormalPrior(centre, torch.tensor(0.7).double()), "noise")
    likelihood.noise = torch.exp(centre)
    points = torch.as_tensor(inputs(pool, rows, amplitude))
    model = _Model(points, torch.as_tensor(values).double(), likelihood, covariance)
    bound = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    with warnings.catch_warnings():
        # stopping after `steps` is wanted: the next refit goes on from there
        warnings.simplefilter("ignore")
        fit_gpytorch_mll(bound, optimizer_kwargs={"options": {"maxiter": steps}})

    def scales(name: str) -> np.ndarray:
        return parts[name].lengthscale.detach().numpy().ravel().copy()

    weight = [float(parts[f"weight{i}"].outputscale.detach()) if f"weight{i}" in parts else 0.0 for i in range(3)]
    found = replace(prior, scene=scales("scene"), embedding=scales("embedding"), along=float(scales("along")[0]))
    pair = scales("pair") if "pair" in parts else prior.pair
    return replace(found, pair=pair, weight=np.array(weight), noise=float(likelihood.noise.detach()))
