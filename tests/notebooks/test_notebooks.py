"""Every notebook: its rules, nbval at the smoke preset, and the numbers it records there, with tolerances."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from credence.bench import notebooks, runner

KEYS = list(runner.notebooks())
EXPECTED = Path(__file__).parent / "expected"


@pytest.mark.parametrize("key", KEYS)
def test_a_notebook_keeps_the_rules(key):
    assert notebooks.problems(runner.notebooks()[key]) == []


@pytest.mark.parametrize("key", KEYS)
def test_nbval_at_smoke_and_recorded_values(key, tmp_path):
    """nbval compares the checked cell's text; what the same run recorded is compared with tolerances."""
    copy = notebooks.smoke_copy(runner.notebooks()[key].path, tmp_path)
    environment = notebooks.smoke_settings(tmp_path, key)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--nbval-lax"]
    words += ["--nbval-cell-timeout=180", copy.name]  # its own limit is half an hour
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:]
    record = json.loads((tmp_path / "record.json").read_text())
    found = {name: metric["value"] for name, metric in record["metrics"].items()}
    path = EXPECTED / f"{key.replace('/', '-')}.toml"
    assert path.exists(), f"{path.name} is missing: run `credence notebooks refresh {key}`"
    expected = tomllib.loads(path.read_text())
    assert set(found) == set(expected["values"]), "the notebook records other metrics than expected"
    relative = expected["relative_tolerance"]
    wrong = {
        k: (found[k], v) for k, v in expected["values"].items() if found[k] != pytest.approx(v, rel=relative, abs=1e-6)
    }
    assert not wrong, f"(found, expected): {wrong}"


def test_every_paper_with_notebooks_has_claims_judged_by_them():
    from credence.bench import claims

    for claim in claims.registry():
        assert claim.notebook in KEYS, f"{claim.id} names {claim.notebook}"
