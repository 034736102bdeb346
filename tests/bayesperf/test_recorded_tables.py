"""Recorded tables: each has a meaning for every column, and is entered as it lies in the project."""

import pandas as pd
import pytest

from bench import made_up_catalogue
from credence.bayesperf.evaluate import recorded
from credence.bench import catalogue
from credence.bench.errors import InputError


@pytest.mark.parametrize("which", recorded.TABLES)
def test_what_is_recorded_is_described(which):
    frame, table = recorded.read(which), recorded.TABLES[which]
    assert set(frame) <= set(table.columns)
    item = catalogue.entry(recorded.name_of(which))
    assert item.columns == {name: table.columns[name] for name in frame}
    assert item.title == table.title
    assert table.note in item.note


def test_a_study_is_put_into_the_project_without_its_times(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made_up_catalogue.write_catalogue(tmp_path)
    frame = pd.DataFrame({"machine": ["qemu-x86"], "wape": [0.12345678901], "seconds": [3.0]})
    text = recorded.write(frame, "errors", "2026-01-02")
    assert 'note = "Recorded 2026-01-02. Real programs' in text
    assert recorded.read("errors").to_dict("list") == {"machine": ["qemu-x86"], "wape": [0.123457]}
    with pytest.raises(InputError, match="column 'colour' has no meaning"):
        recorded.write(frame.assign(colour="red"), "errors")
    with pytest.raises(InputError, match="recorded table"):
        recorded.read("nothing")
