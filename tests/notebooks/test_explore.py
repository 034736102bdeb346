"""What-if notebooks: they run from top to bottom, and nothing of a session is stored in them."""

import subprocess
import sys

import nbformat
import pytest

from credence.bench import notebooks, paths

EXPLORE = sorted((paths.notebooks_dir() / "explore").glob("*.ipynb"))


@pytest.mark.parametrize("path", EXPLORE, ids=lambda path: path.stem)
def test_a_what_if_notebook_runs_and_shows_a_figure(path, tmp_path):
    words = [
        sys.executable,
        "-m",
        "nbconvert",
        "--to",
        "notebook",
        "--execute",
        "--output-dir",
        str(tmp_path),
        str(path),
    ]
    done = subprocess.run(words, cwd=path.parent, env=notebooks.smoke_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    executed = nbformat.read(tmp_path / path.name, as_version=4)
    # what a widget draws lies in its state, not in a cell
    states = executed.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
    shown = [kind for s in states for o in s["state"].get("outputs", []) for kind in o.get("data", {})]
    assert "application/vnd.plotly.v1+json" in shown


@pytest.mark.parametrize("path", EXPLORE, ids=lambda path: path.stem)
def test_a_what_if_notebook_stores_nothing(path):
    content = nbformat.read(path, as_version=4)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert "widgets" not in content.metadata
    assert content.metadata.kernelspec.name == "python3"
