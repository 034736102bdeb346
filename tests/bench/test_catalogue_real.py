"""The project's own catalogue: every set here has the bytes and the content that are written down."""

import os

import pytest

from credence.bench import catalogue

NAMES = catalogue.names()
third_party = [
    pytest.mark.third_party,
    pytest.mark.skipif(not os.environ.get("CREDENCE_MIRROR"), reason="CREDENCE_MIRROR is not set"),
]


def test_every_kind_is_there_and_says_what_a_data_card_says():
    kinds = {catalogue.entry(name).kind for name in NAMES}
    assert {"third party", "simulated"} <= kinds
    for name in NAMES:
        item = catalogue.entry(name)
        assert item.note, f"{name}: a data card names its limits"
        if item.kind == "simulated":
            assert "simulated" in item.title.lower(), name
            assert "generated, not measured" in item.note


@pytest.mark.parametrize("name", [name for name in NAMES if catalogue.entry(name).in_git])
def test_sets_in_git_verify(name):
    assert catalogue.verify(name).problems == ()
    assert catalogue.entry(name).bytes == catalogue.get(name).stat().st_size


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=third_party) for name in NAMES if not catalogue.entry(name).in_git]
)
def test_third_party_sets_verify(name):
    path = catalogue.get(name)
    assert catalogue.verify(name).status == "ok"
    item = catalogue.entry(name)
    folder = path.parent if path.is_file() else path
    assert item.bytes == sum((folder / file.rsplit("/", 1)[-1]).stat().st_size for file, _ in item.files)
