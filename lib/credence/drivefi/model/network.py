"""The paper's 3-TBN in PyMC, to be read beside its equations (§II-C, §III-B, eq. 8 and 10).

`learning_model` has the conditionals' coefficients as unknowns: its posterior's mode is what `infer.tbn.fit` computes
in closed form. `slices_model` is the fitted network over three slices; `intervene` cuts the arrows into the faulty
node with ``pymc.do`` and observes what the fault cannot have changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from credence.bench.errors import InputError
from credence.drivefi.model.structure import Structure, descendants, node, unrolled

if TYPE_CHECKING:
    import pymc as pm

# a node without noise in the training runs has no density; its spread is set to this share of its values' [1]
LEAST_SPREAD = 1e-6


def learning_model(graph: Structure, runs: np.ndarray, child: str, width: float = 1e3) -> pm.Model:
    """Return the model of one conditional: Pr(x | parents) = Normal(mu . parents + c, sigma) (eq. 10).

    Parameters
    ----------
    graph : Structure
        The network's graph.
    runs : array [runs, scenes, variables]
        Logged runs.
    child : str
        Variable whose conditional it is; its parents in the same slice and in the slice before are the inputs.
    width : float
        Standard deviation of the priors on standardised coefficients; wide, as the paper has none [1].
    """
    import pymc as pm

    at = graph.index(child)
    now, before = runs[:, 1:].reshape(-1, runs.shape[2]), runs[:, :-1].reshape(-1, runs.shape[2])
    inputs = np.hstack([now[:, list(graph.within[at])], before[:, list(graph.between[at])]])
    names = [*(f"{graph.variables[p]}[k]" for p in graph.within[at])]
    names += [f"{graph.variables[p]}[k-1]" for p in graph.between[at]]
    scale = np.where(inputs.std(axis=0) > 0, inputs.std(axis=0), 1.0)
    spread = max(float(now[:, at].std()), LEAST_SPREAD)
    with pm.Model(coords={"parent": names, "row": np.arange(len(inputs))}) as model:
        parents = pm.Data("parents", inputs, dims=("row", "parent"))
        weight = pm.Normal("standard_mu", 0.0, width, dims="parent")
        mu = pm.Deterministic("mu", weight * spread / scale, dims="parent")
        intercept = pm.Normal("intercept", float(now[:, at].mean()), width * spread)
        # flat on (0, inf): the mode of sigma is then the maximum of the likelihood
        sigma = pm.HalfFlat("sigma")
        pm.Normal(child, intercept + parents @ mu, sigma, observed=now[:, at], dims="row")
    return model


def slices_model(cpds) -> pm.Model:
    """Return the fitted network over slices k-1, k and k+1, every node a normal distribution.

    Parameters
    ----------
    cpds : Conditionals
        From ``credence.drivefi.infer.tbn.fit`` (or anything with its fields).
    """
    import pymc as pm

    graph = cpds.graph
    sigma = np.maximum(cpds.sigma, LEAST_SPREAD * (1 + np.abs(cpds.intercept)))
    with pm.Model() as model:
        nodes = {}
        for name, parents in unrolled(graph).items():
            variable, step = name.split("[", 1)
            child = graph.index(variable)
            if not parents:  # first slice: observed before anything is asked
                nodes[name] = pm.Normal(name, 0.0, 1e3)
                continue
            mean = cpds.intercept[child]
            for parent in graph.within[child]:
                mean = mean + cpds.within[child, parent] * nodes[f"{graph.variables[parent]}[{step}"]
            earlier = "k-1]" if step == "k]" else "k]"
            for parent in graph.between[child]:
                mean = mean + cpds.between[child, parent] * nodes[f"{graph.variables[parent]}[{earlier}"]
            nodes[name] = pm.Normal(name, mean, sigma[child])
    return model


def intervene(model: pm.Model, graph: Structure, golden: np.ndarray, variable: str, value: float) -> pm.Model:
    """Return the network under do(variable = value) in slice k, given what the fault cannot have changed (eq. 8).

    Parameters
    ----------
    model : pymc.Model
        From `slices_model`.
    graph : Structure
        The same network's graph.
    golden : array [3, variables]
        Golden values of slices k-1, k and k+1; of the last nothing is used.
    variable : str
        Set by the fault, in slice k.
    value : float
        What it is set to.
    """
    import pymc as pm

    if golden.shape != (3, len(graph.variables)):
        raise InputError(f"golden: shape {golden.shape}; allowed: [3, {len(graph.variables)}]")
    target = node(variable, 1)
    changed = descendants(unrolled(graph), target) | {target}
    seen = {node(name, 0): golden[0, i] for i, name in enumerate(graph.variables)}
    seen |= {node(name, 1): golden[1, i] for i, name in enumerate(graph.variables) if node(name, 1) not in changed}
    cut = pm.do(model, {target: float(value)})
    return pm.observe(cut, {name: float(found) for name, found in seen.items()})
