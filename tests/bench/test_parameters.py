import nbformat
import pytest

from credence.bench import parameters
from credence.bench.errors import InputError

CELL = """preset: str = "quick"  # [smoke|quick|full] size of the study
load: float = 0.8  # [0.05..0.99] offered load
slots: list[int] = [1, 4]  # [1..64] slots
horizon: int | None = None  # [1..] stop after so many requests
verbose: bool = False  # print more
levels: list[float] = [
    0.5,
    0.9,
]  # [0..1] spread over lines"""


@pytest.fixture
def notebook(tmp_path):
    def write(source=CELL, tags=("parameters",)):
        path = tmp_path / "study.ipynb"
        cells = [nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    return write


def test_reads_name_type_range_and_help(notebook):
    found = {p.name: p for p in parameters.read(notebook())}
    assert list(found) == ["preset", "load", "slots", "horizon", "verbose", "levels"]
    assert found["preset"].words == ("smoke", "quick", "full")
    assert (found["load"].low, found["load"].high, found["load"].help) == (0.05, 0.99, "offered load")
    assert (found["horizon"].low, found["horizon"].high) == (1, None)
    assert found["levels"].default == [0.5, 0.9]
    assert found["levels"].help == "spread over lines"


def test_defaults_stand_and_given_values_replace_them(notebook):
    values = parameters.validate(notebook(), {"load": 0.5, "slots": [8], "horizon": 10})
    assert values == {
        "preset": "quick",
        "load": 0.5,
        "slots": [8],
        "horizon": 10,
        "verbose": False,
        "levels": [0.5, 0.9],
    }


def test_whole_number_stands_for_a_float(notebook):
    values = parameters.validate(notebook(CELL.replace("0.05..0.99", "0..1")), {"load": 1})
    assert isinstance(values["load"], float)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"laod": 0.5}, ["'laod'", "did you mean 'load'", "slots"]),
        ({"load": 1.5}, ["'load'", "1.5", "0.05..0.99"]),
        ({"load": float("nan")}, ["'load'", "nan"]),
        ({"load": "high"}, ["'load'", "'high'", "float"]),
        ({"load": True}, ["'load'", "True", "bool"]),
        ({"slots": 4}, ["'slots'", "4", "list[int]"]),
        ({"slots": [4, 65]}, ["'slots'", "65", "1..64"]),
        ({"slots": [4.5]}, ["'slots'", "4.5"]),
        ({"preset": "quik"}, ["'quik'", "did you mean 'quick'"]),
        ({"load": None}, ["'load'", "None"]),
        ({"verbose": 1}, ["'verbose'", "1"]),
    ],
)
def test_bad_values_are_named_with_place_and_what_is_allowed(notebook, given, words):
    with pytest.raises(InputError) as caught:
        parameters.validate(notebook(), given)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("load = 0.8", "no type"),
        ("load: float = compute()", "literal"),
        ("load: float = 2.0  # [0..1] too large a default", "out of range"),
        ("load: float = 0.1  # [a..b] no numbers", "no number"),
        ("import os", "only assignments"),
        ("load: float = (", "not Python"),
        ("load: complex = 1  # what", "complex"),
    ],
)
def test_a_notebook_author_s_mistake_is_named(notebook, source, word):
    with pytest.raises(InputError, match=word):
        parameters.read(notebook(source))


def test_a_notebook_without_the_cell_is_refused(notebook, tmp_path):
    with pytest.raises(InputError, match="0 cells tagged"):
        parameters.read(notebook(tags=()))
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{")
    with pytest.raises(InputError, match="can't be read"):
        parameters.read(broken)


@pytest.mark.parametrize(
    ("text", "value"),
    [("load=0.5", 0.5), ("slots=[1, 2]", [1, 2]), ("rate=1e-3", 1e-3), ("name=fcfs", "fcfs"), ("x=null", None)],
)
def test_command_line_values_are_yaml(text, value):
    assert parameters.parse(text)[1] == value


@pytest.mark.parametrize("text", ["load", "=3", "a b=3", "x=[1"])
def test_unreadable_command_line_values(text):
    with pytest.raises(InputError, match="-p"):
        parameters.parse(text)


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "3", "1: 2"])
def test_unreadable_parameter_files(tmp_path, content):
    path = tmp_path / "p.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=r"p\.yaml"):
        parameters.load_file(path)
    with pytest.raises(InputError, match="no such file"):
        parameters.load_file(tmp_path / "none.yaml")
