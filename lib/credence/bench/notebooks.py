"""The notebooks as files in git: the smoke copies that tests run, the outputs that are stored, the rules they keep."""

import ast
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from credence.bench import parameters, paths, runner
from credence.bench.errors import InputError

CHECKED = "nbval-check-output"
MAX_BYTES = 200_000
MAX_FUNCTION_LINES = 10


def smoke_copy(source: Path, folder: Path) -> Path:
    """Write a copy of a notebook with ``preset = "smoke"`` injected and return its path (nbval cannot inject)."""
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    copy = parameterize_notebook(load_notebook_node(str(source)), {"preset": "smoke"})
    copy.metadata.pop("papermill", None)
    path = folder / source.name
    nbformat.write(copy, path)
    return path


def smoke_environment() -> dict[str, str]:
    """Return the environment of a smoke run: no mirror, no run folder, quiet."""
    dropped = ("CREDENCE_MIRROR", "CREDENCE_RUN_DIR", "CREDENCE_NOTEBOOK")
    return {k: v for k, v in runner.environment(1).items() if k not in dropped}


def smoke_settings(folder: Path, key: str) -> dict[str, str]:
    """Return the environment of a smoke run that leaves its record in `folder`."""
    return smoke_environment() | {"CREDENCE_RUN_DIR": str(folder), "CREDENCE_NOTEBOOK": key}


def _execute(path: Path, key: str) -> None:
    """Run a notebook in place, in a process of its own; its record lands beside it."""
    words = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", path.name]
    environment = smoke_settings(path.parent, key)
    done = subprocess.run(words, cwd=path.parent, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{path.name} fails at the smoke preset:\n" + "\n".join(done.stderr.splitlines()[-15:]))


def strip(content: nbformat.NotebookNode) -> None:
    """Drop from a notebook everything that is not in git: outputs but the checked ones, counts, session metadata."""
    for cell in content.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "jupyter")}
        if cell.cell_type == "code":
            checked = CHECKED in cell.metadata.get("tags", [])
            cell.outputs = cell.outputs if checked else []
            # nbval takes outputs without a count for those of another run; any constant will do
            cell.execution_count = 1 if cell.outputs else None
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output["execution_count"] = 1
    kept = {"credence", "kernelspec", "language_info"}
    content.metadata = nbformat.from_dict({k: v for k, v in content.metadata.items() if k in kept})
    content.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content.metadata["language_info"] = {"name": "python"}


def refresh(notebook: runner.Notebook) -> bool:
    """Run a notebook at the smoke preset and write back the outputs of its checked cells; True if they changed.

    What it recorded goes to ``tests/notebooks/expected``, where a test compares with tolerances.
    """
    before = notebook.path.read_text()
    content = nbformat.read(notebook.path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="credence-") as scratch:
        copy = smoke_copy(notebook.path, Path(scratch))
        _execute(copy, notebook.key)
        executed = {c.id: c for c in nbformat.read(copy, as_version=4).cells}
        _store_expected(notebook.key, Path(scratch) / "record.json")
    for cell in content.cells:
        if CHECKED in cell.metadata.get("tags", []):
            cell.outputs = executed[cell.id].outputs
    strip(content)
    text = nbformat.writes(content) + "\n"
    if text != before:
        notebook.path.write_text(text)
    return text != before


def _store_expected(key: str, path: Path) -> None:
    folder = paths.root() / "tests" / "notebooks" / "expected"
    if not folder.is_dir() or not path.exists():
        return
    metrics = json.loads(path.read_text())["metrics"]
    lines = [f"# What {key} records at smoke; written by `credence notebooks refresh`.", "relative_tolerance = 0.02"]
    lines += ["", "[values]", *(f"{name} = {metric['value']:.6g}" for name, metric in metrics.items())]
    (folder / f"{key.replace('/', '-')}.toml").write_text("\n".join(lines) + "\n")


def _first_words(cell) -> str:
    return cell.source.strip().splitlines()[0] if cell.source.strip() else ""


def problems(notebook: runner.Notebook) -> list[str]:
    """Return what keeps a notebook from being as design and style ask; an empty list if nothing does."""
    found = []
    content = nbformat.read(notebook.path, as_version=4)
    code = [c for c in content.cells if c.cell_type == "code"]
    text = [c for c in content.cells if c.cell_type == "markdown"]
    if not text or content.cells[0].cell_type != "markdown" or not _first_words(content.cells[0]).startswith("# "):
        found.append("the first cell is not an H1 title")
    elif "ollows" not in content.cells[0].source or "iffer" not in content.cells[0].source:
        found.append("the first cell does not say what it follows and where it differs")
    if sum(line.startswith("# ") for c in text for line in c.source.splitlines()) != 1:
        found.append("there is not exactly one H1")
    if not any("does not show" in c.source for c in text):
        found.append("no part says what this does and does not show")
    try:
        read = parameters.read(notebook.path)
        if not read or read[0].name != "preset":
            found.append("the first parameter is not `preset`")
        found += [f"parameter {p.name} has no comment" for p in read if not p.help]
    except InputError as error:
        found.append(str(error))
    checked = [c for c in code if CHECKED in c.metadata.get("tags", [])]
    if len(checked) != 1:
        found.append(f"{len(checked)} cells tagged {CHECKED}; exactly 1 is needed")
    for cell in code:
        if cell.outputs and cell not in checked:
            found.append(f"stored output in cell {_first_words(cell)!r}")
        if cell.execution_count is not None and cell not in checked:
            found.append(f"stored execution count in cell {_first_words(cell)!r}")
        found += _long_functions(cell.source)
    for cell in checked:
        if not cell.outputs or any(o.output_type != "stream" or o.name != "stdout" for o in cell.outputs):
            found.append("the checked cell must store printed text only; run `credence notebooks refresh`")
    source = "\n".join(c.source for c in code)
    found += [f"no {word}" for word in ("record(", "versions(", "main=True") if word not in source]
    for name in ("title", "claim", "order", "minutes", "data"):
        if name not in notebook.info:
            found.append(f"metadata 'credence' has no {name!r}")
    if content.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("its kernel is not 'python3', which every environment has")
    if (size := os.path.getsize(notebook.path)) > MAX_BYTES:
        found.append(f"{size} bytes; allowed: {MAX_BYTES}")
    return found


def _long_functions(source: str) -> list[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [f"a cell is not plain Python: {error}"]
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [
        f"function {f.name} has {f.end_lineno - f.lineno + 1} lines; allowed: {MAX_FUNCTION_LINES} (lib is the place)"
        for f in functions
        if f.end_lineno - f.lineno + 1 > MAX_FUNCTION_LINES
    ]
