"""The closed form against a known network, against pgmpy, and against the mode of the PyMC model."""

from types import SimpleNamespace

import numpy as np
import pytest

import drivefi.made_up_world as world
from credence.bench.errors import InputError
from credence.drivefi.infer import tbn
from credence.drivefi.model import network
from credence.drivefi.model import structure as graphs

VARIABLES = (
    SimpleNamespace(name="speed", parents=(), previous=("speed", "pedal")),
    SimpleNamespace(name="plan", parents=("speed",), previous=("plan",)),
    SimpleNamespace(name="pedal", parents=("plan", "speed"), previous=("pedal",)),
)
GRAPH = graphs.structure(VARIABLES)
TRUE = tbn.Conditionals(
    GRAPH,
    within=np.array([[0, 0, 0], [-0.5, 0, 0], [0.1, 0.7, 0]]),
    between=np.array([[0.9, 0, 0.3], [0, 0.4, 0], [0, 0, 0.2]]),
    intercept=np.array([1.0, 2.0, -0.5]),
    sigma=np.array([0.1, 0.2, 0.05]),
)


def draw(cpds, runs, scenes, seed, do=None):
    """Ancestral sampling, one variable at a time; do = (scene, variable, value)."""
    rng = np.random.default_rng(seed)
    size = len(cpds.intercept)
    found = np.zeros((runs, scenes, size))
    before = rng.normal(0, 1, (runs, size))
    for k in range(scenes):
        for child in range(size):
            mean = found[:, k] @ cpds.within[child] + before @ cpds.between[child] + cpds.intercept[child]
            found[:, k, child] = mean + cpds.sigma[child] * rng.normal(size=runs)
            if do and do[0] == k and do[1] == child:
                found[:, k, child] = do[2]
        before = found[:, k]
    return found


def test_the_graph_follows_the_declaration():
    parents = graphs.unrolled(GRAPH)
    assert parents["pedal[k]"] == ("speed[k]", "plan[k]", "pedal[k-1]")
    assert parents["speed[k+1]"] == ("speed[k]", "pedal[k]")
    assert graphs.cut(parents, ["pedal[k]"])["pedal[k]"] == ()
    assert graphs.descendants(parents, "pedal[k]") == {"pedal[k+1]", "speed[k+1]", "plan[k+1]"}
    first = SimpleNamespace(name="a", parents=("b",), previous=())
    with pytest.raises(InputError, match="stands after it"):
        graphs.structure((first, SimpleNamespace(name="b", parents=(), previous=())))


def test_least_squares_finds_a_known_network():
    found = tbn.fit(GRAPH, draw(TRUE, 200, 50, 1))
    for name in ("within", "between", "intercept", "sigma"):
        assert np.allclose(getattr(found, name), getattr(TRUE, name), atol=0.03), name


def test_a_value_set_by_a_fault_is_no_target():
    runs = draw(TRUE, 200, 30, 2, do=(10, 2, 30.0))
    forced = np.zeros(runs.shape, bool)
    forced[:, 10, 2] = True
    found = tbn.fit(GRAPH, runs, forced)
    assert np.allclose(found.within, TRUE.within, atol=0.03)
    assert np.allclose(found.sigma, TRUE.sigma, atol=0.01)
    assert tbn.fit(GRAPH, runs).sigma[2] > 1  # what ignoring it would give


def test_do_agrees_with_simulated_interventions():
    runs = draw(TRUE, 40_000, 4, 3, do=(2, 1, 5.0))
    start = draw(TRUE, 40_000, 4, 3)  # same random numbers: the golden runs
    golden = start[:, 1:]
    kept = tbn.forecast(TRUE, golden, np.full(len(golden), 1), np.full(len(golden), 5.0))
    assert np.allclose(kept, runs[:, 2:], atol=1e-9)  # residuals kept: the counterfactual itself
    mean = tbn.forecast(TRUE, golden, np.full(len(golden), 1), np.full(len(golden), 5.0), abduct=False)
    error = runs[:, 3] - mean[:, 1]
    assert np.abs(error.mean(axis=0)).max() < 0.005
    assert error[:, 0].std() < 1.1 * np.hypot(TRUE.sigma[0], 0.3 * TRUE.sigma[2])


def test_do_of_the_golden_value_changes_nothing():
    golden = draw(TRUE, 5, 3, 4)
    found = tbn.forecast(TRUE, golden, np.arange(5) % 3, golden[np.arange(5), 1, np.arange(5) % 3])
    assert np.allclose(found, golden[:, 1:])


def test_the_table_of_answers_is_the_forecast():
    golden = draw(TRUE, 6, 3, 5)
    variable, value = np.arange(6) % 3, np.linspace(-1, 1, 6)
    table = tbn.answers(TRUE, (0, 2))
    found = tbn.query(table, variable, value - golden[np.arange(6), 1, variable])
    assert np.allclose(golden[:, 2][:, [0, 2]] + found, tbn.forecast(TRUE, golden, variable, value)[:, 1][:, [0, 2]])


def test_pgmpy_gives_the_same_means():
    pandas = pytest.importorskip("pandas")
    models = pytest.importorskip("pgmpy.models")
    parents = graphs.unrolled(GRAPH)
    runs = draw(TRUE, 4000, 3, 6)
    rows = pandas.DataFrame(runs.reshape(4000, -1), columns=list(parents))
    peer = models.LinearGaussianBayesianNetwork([(p, child) for child, found in parents.items() for p in found])
    peer.fit(rows)
    mine = tbn.fit(GRAPH, runs)
    at = {name: i for i, name in enumerate(GRAPH.variables)}
    # homogeneous in time: both slices train one conditional here, two in the peer
    for child in ("speed[k]", "plan[k]", "pedal[k+1]"):
        cpd = peer.get_cpds(child)
        row = at[child.split("[")[0]]
        for parent, weight in zip(cpd.evidence, np.asarray(cpd.beta)[1:], strict=True):
            same = parent.split("[")[1] == child.split("[")[1]
            ours = (mine.within if same else mine.between)[row, at[parent.split("[")[0]]]
            assert abs(ours - weight) < 0.05, (child, parent)


def peer_forecast(cpds, golden, variable, value):
    """Mean of the cut network given what is no descendant, by conditioning one joint normal distribution."""
    parents = graphs.cut(graphs.unrolled(GRAPH), [graphs.node(variable, 1)])
    names = list(parents)
    weight, offset, spread = np.zeros((9, 9)), np.zeros(9), np.ones(9)
    for row, name in enumerate(names):
        child = GRAPH.index(name.split("[")[0])
        if name == graphs.node(variable, 1):
            offset[row], spread[row] = value, 1e-9
        elif parents[name]:
            offset[row], spread[row] = cpds.intercept[child], cpds.sigma[child]
        for parent in parents[name]:
            same = parent.split("[")[1] == name.split("[")[1]
            source = (cpds.within if same else cpds.between)[child, GRAPH.index(parent.split("[")[0])]
            weight[row, names.index(parent)] = source
    total = np.linalg.inv(np.eye(9) - weight)
    mean, cov = total @ offset, total @ np.diag(spread**2) @ total.T
    changed = graphs.descendants(graphs.unrolled(GRAPH), graphs.node(variable, 1))
    seen = [i for i, name in enumerate(names) if not name.endswith("k+1]") and name not in changed]
    asked = [i for i in range(9) if i not in seen]
    values = golden.reshape(-1).copy()
    values[names.index(graphs.node(variable, 1))] = value
    gain = cov[np.ix_(asked, seen)] @ np.linalg.pinv(cov[np.ix_(seen, seen)], rcond=1e-14)
    values[asked] = mean[asked] + gain @ (values[seen] - mean[seen])
    return values.reshape(3, 3)[1:]


@pytest.mark.parametrize("variable", ["speed", "plan", "pedal"])
def test_mean_propagation_is_conditioning_of_the_cut_network(variable):
    golden = draw(TRUE, 1, 3, 7)
    found = tbn.forecast(TRUE, golden, np.array([GRAPH.index(variable)]), np.array([3.0]), abduct=False)[0]
    assert np.allclose(found, peer_forecast(TRUE, golden[0], variable, 3.0), atol=1e-4)


def mode_of(model):
    """Return the posterior's mode as plain arrays by name."""
    pm = pytest.importorskip("pymc")
    found = pm.find_MAP(model=model, progressbar=False, return_inferencedata=True, jitter=False)
    return {name: np.squeeze(values.to_numpy()) for name, values in found["posterior"].data_vars.items()}


def test_pymc_has_its_mode_where_the_closed_form_is():
    golden = draw(TRUE, 1, 3, 8)
    model = network.slices_model(TRUE)
    asked = network.intervene(model, GRAPH, golden[0], "plan", 4.0)
    mode = mode_of(asked)
    found = tbn.forecast(TRUE, golden, np.array([1]), np.array([4.0]), abduct=False)[0]
    for step in (1, 2):
        for child, name in enumerate(GRAPH.variables):
            if graphs.node(name, step) in mode:
                assert abs(mode[graphs.node(name, step)] - found[step - 1, child]) < 1e-3, (name, step)


def test_pymc_learns_what_least_squares_learns():
    runs = draw(TRUE, 20, 20, 9)
    mode = mode_of(network.learning_model(GRAPH, runs, "pedal"))
    found = tbn.fit(GRAPH, runs)
    assert np.allclose(mode["mu"], [*found.within[2, :2], found.between[2, 2]], atol=1e-3)
    assert abs(float(mode["sigma"]) - found.sigma[2]) < 1e-3


def test_bad_runs_are_refused():
    with pytest.raises(InputError, match="shape"):
        tbn.fit(GRAPH, np.zeros((2, 5, 4)))
    with pytest.raises(InputError, match="not finite"):
        tbn.fit(GRAPH, np.full((2, 5, 3), np.nan))
    with pytest.raises(InputError, match="at least"):
        tbn.fit(GRAPH, np.zeros((1, 2, 3)))


def test_a_variable_that_never_moves_has_no_influence():
    runs = draw(TRUE, 20, 20, 10)
    runs[:, :, 1] = 2.0
    assert np.allclose(tbn.fit(GRAPH, runs).within[2, 1], 0.0)


def test_the_made_up_world_can_be_learned():
    golden = world.pool(2)[2]
    found = tbn.fit(graphs.structure(world.VARIABLES), golden)
    assert found.between[0, 0] == pytest.approx(1.0, abs=0.05)
    assert found.between[0, 4] == pytest.approx(world.DT, abs=0.05)
