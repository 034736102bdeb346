import nbformat
import pytest

from credence.bench import notebooks, runner
from credence.bench.errors import InputError


@pytest.fixture
def toy(checkout):
    return lambda: runner.notebooks()["ssjf/toy"]


def rewrite(checkout, change):
    path = checkout / "notebooks/ssjf/toy.ipynb"
    content = nbformat.read(path, as_version=4)
    change(content)
    nbformat.write(content, path)
    return path


def add_checked(content):
    cell = nbformat.v4.new_code_cell('print(f"preset {preset}, seed {seed}")', metadata={"tags": [notebooks.CHECKED]})
    content.cells.append(cell)


def test_refresh_stores_only_the_checked_text_at_smoke(checkout, toy):
    path = rewrite(checkout, add_checked)
    assert notebooks.refresh(toy())
    content = nbformat.read(path, as_version=4)
    assert [c.outputs for c in content.cells if c.cell_type == "code" and c.outputs] == [content.cells[-1].outputs]
    assert content.cells[-1].outputs[0].text == "preset smoke, seed 0\n"
    assert [c.execution_count for c in content.cells if c.get("execution_count")] == [1]
    # the committed default stays, and nothing is left to refresh
    assert 'preset: str = "quick"' in content.cells[1].source
    assert not notebooks.refresh(toy())


def test_refresh_of_a_broken_notebook_keeps_the_file(checkout, toy):
    def breaks(content):
        content.cells[2].source = "1 / 0"

    path = rewrite(checkout, breaks)
    before = path.read_text()
    with pytest.raises(InputError, match="ZeroDivisionError"):
        notebooks.refresh(toy())
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda c: c.cells.pop(0), "H1"),
        (lambda c: c.cells.insert(0, nbformat.v4.new_markdown_cell("# Toy")), "differs"),
        (lambda c: c.cells.insert(1, nbformat.v4.new_markdown_cell("# Another")), "exactly one H1"),
        (lambda c: c.cells.pop(1), "0 cells tagged 'parameters'"),
        (lambda c: c.cells[2].update(execution_count=4), "stored execution count"),
        (
            lambda c: c.cells[2].update(outputs=[nbformat.v4.new_output("stream", text="x")]),
            "stored output",
        ),
        (
            lambda c: c.cells[2].update(source="def f():\n" + "    x = 1\n" * 12),
            "function f has 13 lines",
        ),
        (lambda c: c.metadata.update(kernelspec={"name": "mine"}), "kernel"),
        (lambda c: c.metadata["credence"].pop("claim"), "'claim'"),
        (lambda c: c.cells[1].update(source="seed: int = 0  # [0..1] seed"), "not `preset`"),
        (lambda c: c.cells[1].update(source='preset: str = "quick"  # [smoke|quick|full]'), "no comment"),
    ],
)
def test_each_rule_can_be_broken(checkout, toy, change, word):
    assert not any(word in problem for problem in notebooks.problems(toy()))
    rewrite(checkout, change)
    assert any(word in problem for problem in notebooks.problems(toy()))
