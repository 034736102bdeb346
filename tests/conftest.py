"""Fixtures for all tests: a small checkout of its own, so that no test touches the real reports."""

import os
import shutil
from pathlib import Path

import pytest

from toy import build_checkout, enter


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A small checkout of its own, as the working directory."""
    build_checkout(tmp_path / "tree")
    return enter(tmp_path / "tree", monkeypatch)


@pytest.fixture
def mirror() -> Path:
    """The folder of third-party files; tests that need it are marked ``third_party``."""
    setting = os.environ.get("CREDENCE_MIRROR", "")
    if not setting or not Path(setting).is_dir():
        pytest.skip("needs the third-party files: CREDENCE_MIRROR is not set to a folder")
    return Path(setting)


def pytest_collection_modifyitems(items):
    """Skip what this machine cannot do, saying why."""
    has_mirror = Path(os.environ.get("CREDENCE_MIRROR") or "/nonexistent").is_dir()
    has_browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    for item in items:
        if item.get_closest_marker("third_party") and not has_mirror:
            item.add_marker(pytest.mark.skip(reason="third-party files: CREDENCE_MIRROR names no folder"))
        if item.get_closest_marker("chromium") and not has_browser:
            item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))
