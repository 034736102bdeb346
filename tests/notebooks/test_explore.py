"""What-if notebooks: they run from top to bottom, and nothing of a session is stored in them."""

import nbclient
import nbformat
import pytest

from credence.bench import notebooks, paths

EXPLORE = sorted((paths.notebooks_dir() / "explore").glob("*.ipynb"))
LIMIT = 180  # [s] for a cell, on a busy machine


@pytest.mark.parametrize("path", EXPLORE, ids=lambda path: path.stem)
def test_a_what_if_notebook_runs_and_shows_a_figure(path):
    executed = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    client = nbclient.NotebookClient(executed, timeout=LIMIT, kernel_name="python3", resources=place)
    # nbclient plays the front end of output widgets, and its answer to the kernel can swallow the kernel's own reply
    # (both use one socket, whose wake-up comes once): it then waits for ever. Unplayed, their outputs land in the cell.
    client.comm_open_handlers.clear()
    client.execute(env=notebooks.smoke_environment())
    shown = [kind for cell in executed.cells for o in cell.get("outputs", []) for kind in o.get("data", {})]
    assert "application/vnd.plotly.v1+json" in shown


@pytest.mark.parametrize("path", EXPLORE, ids=lambda path: path.stem)
def test_a_what_if_notebook_stores_nothing(path):
    content = nbformat.read(path, as_version=4)
    code = [cell for cell in content.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert "widgets" not in content.metadata
    assert content.metadata.kernelspec.name == "python3"
