"""environment.yml is what pyproject.toml says, in a form that conda and pip read the same way."""

import shutil
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from credence.bench import environment, paths
from credence.bench.errors import InputError


def project(**changes) -> dict:
    base = {
        "name": "credence",
        "requires-python": ">=3.12",
        "dependencies": ["numpy>=2.4", 'tomli>=2; python_version < "3.11"', "dask[array]>=2026.8"],
        "optional-dependencies": {"test": ["pytest>=9"]},
    }
    return {"project": {**base, **changes}}


def pip_list(text: str) -> list[str]:
    (section,) = [item["pip"] for item in yaml.safe_load(text)["dependencies"] if isinstance(item, dict)]
    return section


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    for name in ("pyproject.toml", "environment.yml"):
        shutil.copy(paths.checkout() / name, tmp_path / name)
    monkeypatch.setattr(paths, "checkout", lambda: tmp_path)
    return tmp_path


def test_committed_file_follows_pyproject():
    environment.check()


def test_committed_file_holds_every_dependency_once():
    root = paths.checkout()
    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    text = (root / "environment.yml").read_text()
    *listed, last = pip_list(text)
    assert listed == declared
    assert last == "-e .[test]"
    assert "not solved with conda here" in text.splitlines()[0]


def test_requirements_survive_yaml():
    content = yaml.safe_load(environment.render(project()))
    assert content["name"] == "credence"
    assert content["channels"] == ["conda-forge"]
    assert content["dependencies"][:2] == ["python>=3.12", "pip"]
    *listed, _ = content["dependencies"][2]["pip"]
    for text, wanted in zip(listed, project()["project"]["dependencies"], strict=True):
        assert Requirement(text) == Requirement(wanted)


def test_python_bounds():
    text = environment.render(project(**{"requires-python": ">=3.12, <3.15"}))
    assert yaml.safe_load(text)["dependencies"][0] == "python>=3.12,<3.15"
    with pytest.raises(InputError, match=r"requires-python = 'new'.*allowed"):
        environment.render(project(**{"requires-python": "new"}))


@pytest.mark.parametrize("key", ["dependencies", "requires-python", "optional-dependencies"])
def test_missing_key_is_named(key):
    content = project()
    del content["project"][key]
    with pytest.raises(InputError, match=key):
        environment.render(content)


def test_drift_is_an_error_and_writing_cures_it(checkout):
    source = checkout / "pyproject.toml"
    source.write_text(source.read_text().replace('"tqdm>=', '"added>=1",\n  "tqdm>='))
    with pytest.raises(InputError, match=r"line \d+: .*tqdm.*'.*added>=1"):
        environment.main(check=True)
    environment.main(check=False)
    environment.main(check=True)
    assert "added>=1" in pip_list((checkout / "environment.yml").read_text())


@pytest.mark.parametrize("content", [None, "", "name: credence\n"])
def test_missing_or_cut_file(checkout, content):
    target = checkout / "environment.yml"
    target.unlink()
    if content is not None:
        target.write_text(content)
    with pytest.raises(InputError, match=r"environment\.yml"):
        environment.main(check=True)


def test_outside_a_checkout(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "checkout", lambda: None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="inside a clone"):
        environment.main()


def test_broken_pyproject(checkout):
    (checkout / "pyproject.toml").write_text("[project\n")
    with pytest.raises(InputError, match="not readable as TOML"):
        environment.main()
