"""Errors, paths, seeds, presets, theme, the table of papers, and the direction of imports."""

import ast
import tomllib
from pathlib import Path

import numpy as np
import pytest

from credence.bench import paths, presets, seeds, theme
from credence.bench.errors import InputError, choose
from credence.bench.papers import PAPERS

LIB = Path(__file__).parents[2] / "lib" / "credence"
ROOMS = ("data", "model", "infer", "baselines", "world", "evaluate", "figures")
AFTER_WORLD = {
    "ssjf": ("engine",),
    "bayesperf": ("schedule",),
    "kaleidoscope": ("diagnose", "testbed"),
    "drivefi": ("select",),
}


def test_choose_names_what_is_allowed_and_a_near_word():
    assert choose("a", ["a", "b"], "letter") == "a"
    with pytest.raises(InputError, match=r"unknown preset 'quik' \(did you mean 'quick'\?\); allowed: smoke, quick"):
        choose("quik", ["smoke", "quick"], "preset")


def test_presets():
    assert presets.pick("full", smoke=1, quick=2, full=3) == 3
    with pytest.raises(InputError, match="preset"):
        presets.pick("paper", smoke=1, quick=2, full=3)


def test_seeds_repeat_and_differ_by_axis():
    def draw(*axes):
        return seeds.generator(*axes).random(4)

    np.testing.assert_array_equal(draw(1, "arrivals", 0.8, 3), draw(1, "arrivals", 0.8, 3))
    others = [(2, "arrivals", 0.8, 3), (1, "lengths", 0.8, 3), (1, "arrivals", 0.9, 3), (1, "arrivals", 0.8, 4)]
    others += [(1, "arrivals", 3, 0.8), (1, "arrivals", 0.8), (1, "arrivals", 0.8, "3")]
    for axes in others:
        assert not np.array_equal(draw(*axes), draw(1, "arrivals", 0.8, 3)), axes


def test_seeds_do_not_depend_on_the_process():
    # a value written down: `hash()` of a text would change with every interpreter
    assert int(seeds.generator(7, "a", 1).integers(1 << 30)) == 984699360


def test_a_checkout_is_found_from_inside(checkout, monkeypatch):
    monkeypatch.chdir(checkout / "notebooks" / "ssjf")
    assert paths.root() == checkout
    assert paths.notebooks_dir() == checkout / "notebooks"
    monkeypatch.setenv("CREDENCE_MIRROR", "elsewhere/mirror")
    assert paths.mirror() == checkout / "elsewhere" / "mirror"
    monkeypatch.setenv("CREDENCE_MIRROR", "http://127.0.0.1:9/m/")
    assert paths.mirror() == "http://127.0.0.1:9/m"
    assert paths.shown(checkout / "data") == "data"


def test_a_package_outside_a_checkout_reads_its_resources_and_writes_here(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site" / "credence")
    monkeypatch.chdir(tmp_path)
    assert paths.checkout() is None
    assert paths.data_dir() == tmp_path / "site" / "credence" / "resources" / "data"
    assert paths.reports_dir() == tmp_path / "reports"


def test_colours_are_stable_and_valid():
    assert theme.colour("fcfs") == theme.colour("FCFS") == theme.COLOURS["FCFS"]
    assert theme.colour("a system of the reader's") == theme.colour("a system of the reader's")
    assert theme.band("#0072B2", 0.5) == "rgba(0,114,178,0.5)"


def test_every_paper_in_the_design_is_in_the_table():
    assert set(PAPERS) == {"bayesperf", "kaleidoscope", "ssjf", "drivefi"}
    for paper in PAPERS.values():
        assert paper.cli is None or paper.cli.startswith(f"credence.{paper.name}.")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("credence.")}


def test_the_bench_imports_no_paper():
    for path in (LIB / "bench").rglob("*.py"):
        for name in imports(path):
            assert name.split(".")[1] not in PAPERS, f"{path.name} imports {name}"


@pytest.mark.parametrize("paper", [p for p in PAPERS if (LIB / p).exists()])
def test_rooms_import_in_one_direction(paper):
    order = [*ROOMS[:5], *AFTER_WORLD[paper], *ROOMS[5:]]
    for path in (LIB / paper).rglob("*.py"):
        room = path.relative_to(LIB / paper).parts[0].removesuffix(".py")
        for name in imports(path):
            parts = name.split(".")
            assert parts[1] in ("bench", paper, "__version__"), f"{path.name} imports another paper: {name}"
            if parts[1] == paper and len(parts) > 2 and room in order and parts[2] in (*order, "cli"):
                assert parts[2] in order, f"{path.name} imports the command line"
                assert order.index(parts[2]) <= order.index(room), f"{room}/{path.name} imports {name}"
        assert room in (*order, "cli", "__init__") or room.startswith("cli_"), (
            f"{paper}/{room} is no room of the design"
        )


def test_files_stay_small():
    for path in [*LIB.rglob("*.py"), *Path(__file__).parents[1].rglob("*.py")]:
        assert len(path.read_text().splitlines()) <= 450, f"{path.name} is too long"


def test_what_a_run_may_import_is_declared():
    project = tomllib.loads((LIB.parents[1] / "pyproject.toml").read_text())["project"]
    assert project["name"] == "credence"
    assert project["requires-python"] == ">=3.12"
