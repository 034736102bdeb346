"""Code and notebooks are formatted and lint-clean, and git holds nothing that does not belong there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("words", [("check",), ("format", "--check")])
def test_ruff_finds_nothing(words):
    done = subprocess.run([sys.executable, "-m", "ruff", *words, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_tracked_files_are_small_and_name_no_machine():
    total = 0
    for path in tracked():
        if not path.is_file():
            continue
        size = path.stat().st_size
        total += size
        assert size < 3_000_000, f"{path.name}: {size} bytes"
        if path.suffix in {".py", ".toml", ".md", ".ipynb", ".yml", ".yaml", ".cff", ".css", ".js", ".j2"}:
            found = re.search(r"(?<![\w.])/(root|work|home/[a-z]\w*)/", path.read_text())
            # tests make paths up to see them scrubbed
            assert not found or "tests" in path.parts, f"{path.name} names {found[0]}"
    assert total < 40_000_000
