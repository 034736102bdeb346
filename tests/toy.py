"""A made-up checkout with one notebook and one claim, for tests of the workbench."""

from pathlib import Path

import nbformat

CLAIM = """
[[claim]]
id = "ssjf.toy"
statement = "The toy reaches two."
where = "nowhere"
metric = "toy_metric"
unit = "s"
paper_value = 2.0
relation = "between"
target = 2.0
band = [0.5, 5.0]
null = 0.0
effect = "above"
resampling_unit = "toy"
notebook = "ssjf/toy"
"""

TOY = {
    "parameters": 'preset: str = "quick"  # [smoke|quick|full] size\nseed: int = 0  # [0..100] seed\n'
    'mode: str = "fine"  # [fine|raise|silent|hang|die|nofigure] how the toy behaves',
    "work": "import os, signal, time\n"
    "import plotly.graph_objects as go\n"
    "from credence.bench.record import figure, record, versions\n"
    'if mode == "raise":\n    raise ValueError("the toy broke at seed " + str(seed))\n'
    'if mode == "die":\n    os.kill(os.getpid(), signal.SIGKILL)\n'
    'if mode == "hang":\n'
    '    open(os.environ["CREDENCE_TEST_FLAG"], "w").write(str(os.getpid()))\n'
    "    while True:\n        time.sleep(0.05)",
    "figure": "fig = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))\n"
    'if mode != "nofigure":\n    figure(fig, "toy", "a toy", main=True)',
    "record": 'if mode != "silent":\n    record("measured", toy_metric=[1.0, 2.0, 3.0 + seed])',
}


def toy_notebook() -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_markdown_cell("# Toy\n\nFollows nothing; differs in everything.")]
    for name, source in TOY.items():
        tags = ["parameters"] if name == "parameters" else []
        cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
    info = {"title": "Toy", "claim": "A toy works.", "order": 1, "minutes": {"smoke": 0.1}, "data": []}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"credence": info, "kernelspec": kernel})


SETTINGS = ("CREDENCE_MIRROR", "CREDENCE_REPORTS", "CREDENCE_RUN_DIR", "CREDENCE_NOTEBOOK")


def build_checkout(tree: Path) -> None:
    """Write a checkout with one toy notebook, ``ssjf/toy``, and one claim on it."""
    for folder in ("lib/credence", "notebooks/ssjf", "data/claims", "data/recorded", "reports"):
        (tree / folder).mkdir(parents=True)
    (tree / "pyproject.toml").write_text('[project]\nname = "credence"\n')
    (tree / "lib/credence/__init__.py").write_text("")
    (tree / "data/catalogue.toml").write_text("")
    (tree / "README.md").write_text("")
    (tree / "data/claims/ssjf.toml").write_text(CLAIM)
    nbformat.write(toy_notebook(), tree / "notebooks/ssjf/toy.ipynb")


def enter(tree: Path, monkeypatch) -> Path:
    """Make `tree` the working directory, with no settings of the machine in force."""
    monkeypatch.chdir(tree)
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CREDENCE_CACHE", str(tree.parent / "cache"))
    return tree
