"""The closed form against DoWhy's structural causal model, on the stack's own network as the selectors train it.

DoWhy needs the peers' environment (`make peers`); without it these tests are skipped.
"""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.drivefi import infer
from credence.drivefi.data.variables import INDEX, VARIABLES, fault_effect, fault_types
from credence.drivefi.infer import tbn
from credence.drivefi.model import structure as graphs
from credence.drivefi.select.peers import peers_python
from credence.drivefi.world import simulate

SCRIPT = Path(infer.__file__).with_name("peer_gcm.py")
GRAPH = graphs.structure(VARIABLES)
NODES = graphs.unrolled(GRAPH)
TYPES = fault_types()
TRAINING_SCENE = 60
SCENES = (20, 90, 170)  # k of the queries; every fault type in one of them
# relative to a variable's size or, below 1, absolute: rounding of two orders of summation
EXACT = 1e-12
FEWER = 4  # every fourth query is also answered by samples
DRAWS = 4000
DRAWN = 5  # standard errors of a mean: some 500 means are compared


def asked(program, told):
    """Return what a program of the peers' environment answers; it finds none of this process' packages."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(program, input=told, capture_output=True, text=True, env=clean, timeout=300, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def peer():
    """The Python that has DoWhy."""
    try:
        python = peers_python()
    except InputError as error:
        pytest.skip(f"no DoWhy to compare with: {error}")
    if asked([python, "-c", "import importlib.util as u; raise SystemExit(u.find_spec('dowhy') is None)"], "")[0]:
        pytest.skip(f"no DoWhy to compare with in {python}; run `make peers`")
    return python


@pytest.fixture(scope="module")
def golden():
    return simulate.golden("DS5", 0).values


@pytest.fixture(scope="module")
def trained(golden):
    """The network, trained on a golden run and one run of each fault type."""
    every = np.arange(len(TYPES))
    faults = simulate.Faults(np.full(len(TYPES), TRAINING_SCENE), every, np.ones_like(every))
    runs = np.concatenate([golden[None], simulate.traces("DS5", 0, faults)])
    forced = np.zeros(runs.shape, bool)
    forced[1 + every, TRAINING_SCENE, [INDEX[item.variable] for item in TYPES]] = True
    return tbn.fit(GRAPH, runs, forced)


@pytest.fixture(scope="module")
def queries(golden):
    """Golden values of three slices [41, 3, variables], the variable that each fault sets, and to what."""
    scene = np.resize(SCENES, len(TYPES))
    variable = np.array([INDEX[item.variable] for item in TYPES])
    values = np.stack([golden[k - 1 : k + 2] for k in scene])
    effects = [fault_effect(VARIABLES[at], item.value) for at, item in zip(variable, TYPES, strict=True)]
    # a fault that leaves the golden value as it is would prove nothing: moved a little from there
    set_to = np.array([x * v[1, i] if s else x for (s, x), v, i in zip(effects, values, variable, strict=True)])
    return values, variable, np.where(set_to == values[range(len(TYPES)), 1, variable], set_to + 0.3, set_to)


def mechanisms(cpds):
    """Return the unrolled network as the program wants it."""
    found = {}
    for name, parents in NODES.items():
        child, step = GRAPH.index(name.split("[")[0]), name.split("[")[1]
        weights = {
            parent: float(
                (cpds.within if parent.endswith(f"[{step}") else cpds.between)[child, GRAPH.index(parent.split("[")[0])]
            )
            for parent in parents
        }
        found[name] = {"weights": weights, "intercept": float(cpds.intercept[child]), "sigma": float(cpds.sigma[child])}
    return found


def by_node(values):
    return dict(zip(NODES, values.ravel().tolist(), strict=True))


def target(variable):
    return graphs.node(GRAPH.variables[variable], 1)


def what_is_seen(values, variable, value):
    """Return O_k^(f) of eq. 8 and the fault, by node: golden values up to slice k but of what the fault acts on."""
    changed = graphs.descendants(NODES, target(variable))
    seen = {name: x for name, x in by_node(values).items() if not name.endswith("[k+1]") and name not in changed}
    return seen | {target(variable): float(value)}


@pytest.fixture(scope="module")
def answers(peer, trained, queries):
    every = list(zip(*queries, strict=True))
    told = {
        "nodes": mechanisms(trained),
        "counterfactual": [{"observed": by_node(v), "do": {target(i): float(x)}} for v, i, x in every],
        # all of what is seen is set from outside: it has no cause among what is asked for, so that this is conditioning
        "interventional": [{"do": what_is_seen(*query)} for query in every[::FEWER]],
        "draws": DRAWS,
        "seed": 1,
    }
    code, out, problems = asked([peer, SCRIPT], json.dumps(told))
    assert code == 0, problems
    return json.loads(out)


@pytest.fixture(scope="module")
def counterfactuals(answers):
    """DoWhy's slices k and k+1 of every query [41, 2, variables]."""
    found = [[answer[name] for name in NODES] for answer in answers["counterfactual"]]
    return np.array(found).reshape(len(TYPES), 3, -1)[:, 1:]


def apart(mine, other):
    """Return the largest difference, relative to sizes above 1."""
    return np.max(np.abs(mine - other) / np.maximum(np.abs(other), 1.0))


def test_the_queries_are_many_and_their_answers_move(trained, queries):
    values, variable, value = queries
    moved = np.abs(tbn.forecast(trained, *queries) - values[:, 1:])
    assert len(value) == 41
    assert len(set(variable)) >= 10
    # most faults act beyond the variable they set, and into the next slice
    assert ((moved[:, 0] > 1e-3).sum(axis=1) > 1).sum() > 20
    assert ((moved[:, 1] > 1e-3).sum(axis=1) > 1).sum() > 20


def test_the_closed_form_is_dowhys_counterfactual(trained, queries, counterfactuals):
    assert apart(tbn.forecast(trained, *queries), counterfactuals) < EXACT


def test_the_table_of_answers_is_dowhys_counterfactual(trained, queries, counterfactuals):
    values, variable, value = queries
    outputs = tuple(INDEX[name] for name in ("vehicle_velocity", "vehicle_heading", "throttle", "brake", "steer"))
    change = value - values[range(len(value)), 1, variable]
    found = values[:, 2][:, outputs] + tbn.query(tbn.answers(trained, outputs), variable, change)
    assert apart(found, counterfactuals[:, 1][:, outputs]) < EXACT


@pytest.mark.parametrize("where", ["within", "between"])
def test_a_wrong_sign_of_any_weight_that_matters_is_seen(where, trained, queries, counterfactuals):
    moved = np.abs(tbn.forecast(trained, *queries) - queries[0][:, 1:])[:, 0].max(axis=0)
    weights = getattr(trained, where)
    matters = np.argwhere(np.abs(weights) * moved > 1e-5)
    assert len(matters) > 20
    for child, parent in matters:
        wrong = weights.copy()
        wrong[child, parent] *= -1
        changed = tbn.forecast(replace(trained, **{where: wrong}), *queries)
        assert apart(changed, counterfactuals) > 100 * EXACT, (GRAPH.variables[child], GRAPH.variables[parent])


def test_a_dropped_residual_is_seen(trained, queries, counterfactuals):
    assert apart(tbn.forecast(trained, *queries, abduct=False), counterfactuals) > 1e-3


def out_of_line(mine, answers):
    """Return the largest distance from DoWhy's sample means in slices k and k+1, relative to the one allowed."""
    found = {
        part: np.array([[answer[part][name] for name in NODES] for answer in answers["interventional"]])
        for part in ("mean", "deviation")
    }
    mean, deviation = (found[part].reshape(len(mine), 3, -1)[:, 1:] for part in ("mean", "deviation"))
    assert ((deviation[:, 1] > 0).sum(axis=1) > 10).all()
    allowed = DRAWN * deviation / np.sqrt(DRAWS) + EXACT * np.maximum(np.abs(mean), 1.0)
    return np.max(np.abs(mine - mean) / allowed)


def test_without_residuals_it_is_dowhys_interventional_mean(trained, queries, answers):
    some = [part[::FEWER] for part in queries]
    assert out_of_line(tbn.forecast(trained, *some, abduct=False), answers) < 1
    assert out_of_line(tbn.forecast(trained, *some), answers) > 10
    shifted = replace(trained, intercept=trained.intercept + 0.3 * trained.sigma)
    assert out_of_line(tbn.forecast(shifted, *some, abduct=False), answers) > 1
