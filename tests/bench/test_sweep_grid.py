"""A grid file either gives its points in order, or one error naming file, key, value and what is allowed."""

import sys
import textwrap

import pytest

import credence.ssjf
from credence.bench.errors import InputError
from credence.bench.sweep import grid as grids

TASKS = "credence.ssjf.sweep_tasks"


@pytest.fixture(autouse=True)
def _tasks(monkeypatch):
    from bench import sweep_tasks

    monkeypatch.setattr(credence.ssjf, "__path__", [*credence.ssjf.__path__, sweep_tasks.FOLDER])
    yield
    sys.modules.pop(TASKS, None)
    vars(credence.ssjf).pop("sweep_tasks", None)


@pytest.fixture
def write(checkout):
    def write(text: str, name: str = "g.grid.yaml"):
        path = checkout / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_cross_product_in_file_order(write):
    grid = grids.read(
        write(f"""
        function: {TASKS}:draws
        parameters: {{kind: [high, low], x: [1, 2.5]}}
        fixed: {{sort: true}}
        seeds: [3, 1]
        """)
    )
    assert (grid.name, grid.kind, grid.target, grid.paper) == ("g", "function", f"{TASKS}:draws", "ssjf")
    assert [(p["kind"], p["x"], p["seed"]) for p in grid.points] == [
        (kind, x, seed) for kind in ("high", "low") for x in (1.0, 2.5) for seed in (3, 1)
    ]
    assert {p["sort"] for p in grid.points} == {True}
    assert all(type(p["x"]) is float for p in grid.points)


def test_notebook_points_hold_all_its_parameters(write):
    grid = grids.read(write("notebook: ssjf/toy\npreset: smoke\nseeds: [7]\n"))
    assert (grid.kind, grid.target, grid.paper) == ("notebook", "ssjf/toy", "ssjf")
    assert grid.points == ({"preset": "smoke", "seed": 7, "mode": "fine"},)


def test_preset_reaches_a_function_that_takes_one(write):
    grid = grids.read(write(f"function: {TASKS}:preset_size\npreset: full\nparameters: {{x: [1]}}\n"))
    assert grid.points == ({"preset": "full", "x": 1},)


def test_numbers_as_people_write_them(write):
    grid = grids.read(write(f"function: {TASKS}:draws\nparameters: {{x: [1e3, 2e-3, -1.5E+2, .5]}}\n"))
    assert [p["x"] for p in grid.points] == [1000.0, 0.002, -150.0, 0.5]


def test_found_below_the_notebooks(write, checkout, monkeypatch):
    write("notebook: ssjf/toy\nseeds: [1]\n", "notebooks/ssjf/a.grid.yaml")
    assert grids.read("ssjf/a.grid.yaml").name == "a"
    with pytest.raises(InputError, match=r"'b\.yaml'.*no such file.*ssjf/a\.grid\.yaml"):
        grids.read("b.yaml")


FUNCTION = f"function: {TASKS}:draws"
BAD = {
    "no mapping": ("[1, 2]", r"mapping with keys notebook, function.*not list"),
    "empty": ("", "not NoneType"),
    "no yaml": ("a: [1", "not readable as YAML"),
    "a tag": ("notebook: !!python/object/apply:os.getpid []", "not readable as YAML"),
    "unknown key": (
        f"{FUNCTION}\nparameter: {{x: [1]}}",
        r"did you mean 'parameters'.*allowed: notebook",
    ),
    "key twice": (f"{FUNCTION}\nparameters: {{x: [1]}}\nparameters: {{x: [2]}}", "'parameters' stands twice"),
    "axis twice": (f"{FUNCTION}\nparameters:\n  x: [1]\n  x: [2]", "'x' stands twice"),
    "no target": ("parameters: {x: [1]}", "exactly one of notebook, function"),
    "two targets": (f"{FUNCTION}\nnotebook: ssjf/toy\nseeds: [1]", "exactly one of notebook, function"),
    "unknown notebook": ("notebook: ssjf/toi\nseeds: [1]", "'ssjf/toi' .*did you mean 'ssjf/toy'"),
    "notebook elsewhere": ("notebook: ../ssjf/toy\nseeds: [1]", r"unknown notebook .*allowed: ssjf/toy"),
    "notebook as list": ("notebook: [ssjf/toy]\nseeds: [1]", r"unknown notebook .*allowed: ssjf/toy"),
    "unknown parameter": (
        "notebook: ssjf/toy\nparameters: {sede: [1]}",
        r"parameters\.sede.*did you mean 'seed'",
    ),
    "wrong type": ("notebook: ssjf/toy\nseeds: [1, two]", r"key 'seeds': 'two' is str; allowed: int in 0\.\.100"),
    "a bool is no int": ("notebook: ssjf/toy\nseeds: [true]", "True is bool; allowed: int"),
    "out of range": ("notebook: ssjf/toy\nseeds: [101]", r"key 'seeds': 101 is out of range; allowed: int in 0\.\.100"),
    "no such word": (
        "notebook: ssjf/toy\nparameters: {mode: [fine, loud]}",
        r"parameters\.mode' 'loud'; allowed: fine",
    ),
    "bad preset": (
        "notebook: ssjf/toy\npreset: fast\nseeds: [1]",
        r"key 'preset'.*'fast'; allowed: smoke, quick",
    ),
    "preset twice": ("notebook: ssjf/toy\npreset: smoke\nfixed: {preset: full}\nseeds: [1]", "key of its own"),
    "preset not taken": (f"{FUNCTION}\npreset: smoke\nseeds: [1]", "parameter of .*key 'preset'.*'preset'"),
    "one value": ("notebook: ssjf/toy\nparameters: {seed: 1}", r"parameters\.seed': 1; allowed: a list"),
    "empty axis": ("notebook: ssjf/toy\nparameters: {seed: []}", r"parameters\.seed': \[\]; allowed: a list"),
    "empty seeds": ("notebook: ssjf/toy\nseeds: []", r"key 'seeds': \[\]; allowed: a list"),
    "empty parameters": ("notebook: ssjf/toy\nparameters: {}", "key 'parameters': {}; allowed: a mapping"),
    "parameters as list": ("notebook: ssjf/toy\nparameters: [seed]", "key 'parameters': .*; allowed: a mapping"),
    "nothing varies": ("notebook: ssjf/toy\nfixed: {seed: 1}", "nothing varies"),
    "point twice": (f"{FUNCTION}\nparameters: {{x: [1, 2, 1.0]}}", r"parameters\.x': 1\.0 stands twice"),
    "fixed and swept": ("notebook: ssjf/toy\nfixed: {seed: 1}\nseeds: [2]", "'seed' is fixed as well"),
    "seeds and seed": ("notebook: ssjf/toy\nparameters: {seed: [1]}\nseeds: [2]", "say the same"),
    "not a number": (f"{FUNCTION}\nparameters: {{x: [.nan]}}", "nan is not finite"),
    "a list in a scalar": (f"{FUNCTION}\nparameters: {{x: [[1]]}}", r"\[1\] is list; allowed: float"),
    "a date": (f"{FUNCTION}\nfixed: {{kind: 2024-01-01}}\nseeds: [1]", "is date; allowed: low | high"),
    "no literal": (f"{FUNCTION}\nparameters: {{kind: [mid]}}", "'mid'.*allowed: low, high"),
    "64 bits": (f"{FUNCTION}\nparameters: {{x: [1]}}\nseeds: [99999999999999999999]", "does not fit into 64 bits"),
    "too many": (f"{FUNCTION}\nparameters: {{x: {list(range(400))}}}\nseeds: {list(range(400))}", "160000 points"),
    "missing argument": (f"{FUNCTION}\nseeds: [1]", "needs a value for x"),
    "null": (f"{FUNCTION}\nparameters: {{x: [null]}}", "None is not allowed"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_grid(write, case):
    text, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        grids.read(write(text))
    assert "g.grid.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("os:system", "allowed: a function of a paper"),
        ("credence.bench.runner:kill_tree", "paper .*'bench'.*allowed: bayesperf"),
        ("credence.ssjf:x", "allowed: a function of a paper"),
        ("credence.ssjf.sweep_tasks", "allowed: a function of a paper"),
        ("credence.ssjf..sweep_tasks:draws", "allowed: a function of a paper"),
        (f"{TASKS}:draws.__globals__", "allowed: a function of a paper"),
        (f"{TASKS}:_private", "allowed: a function of a paper"),
        (f"{TASKS}:__import__", "allowed: a function of a paper"),
        (f"{TASKS}:imported_from_elsewhere", "unknown function"),
        (f"{TASKS}:os", "unknown function"),
        (f"{TASKS}:drows", "did you mean 'draws'"),
        ("credence.ssjf.nowhere:draws", "can't be imported"),
        ("credence.physics.x:draws", "paper .*'physics'.*allowed: bayesperf, kaleidoscope, ssjf, drivefi"),
        ("[1]", "allowed: a function of a paper"),
        (f"{TASKS}:unannotated", "parameter 'x'.*can't give; allowed: int, float"),
        (f"{TASKS}:starred", "allowed: functions whose parameters all have names"),
    ],
)
def test_bad_function(write, target, message):
    with pytest.raises(InputError, match=message) as caught:
        grids.read(write(f"function: {target}\nparameters: {{x: [1]}}\n"))
    assert "g.grid.yaml" in str(caught.value)


def test_bad_files(checkout, write):
    with pytest.raises(InputError, match="no such file"):
        grids.read(checkout)
    (checkout / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"b\.yaml: can't be read"):
        grids.read(checkout / "b.yaml")
    path = write("notebook: ssjf/toy\nseeds: [1]\n", "a b.yaml")
    with pytest.raises(InputError, match=r"a b\.yaml: the file's name becomes a folder"):
        grids.read(path)


def test_examples_in_the_repository_are_valid():
    from credence.bench import paths

    found = sorted(paths.notebooks_dir().rglob("*.grid.yaml"))
    for path in found:
        assert len(grids.read(path).points) > 1
