"""Tables of commands: the target is checked first, and written whole or not at all."""

import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.bench.tables import check_target, write_csv, write_parquet


def test_a_target_that_cannot_be_written_is_refused(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("a\n1\n")
    check_target(tmp_path / "out.csv", source)
    check_target(source)
    with pytest.raises(InputError, match="is the file that is read"):
        check_target(tmp_path / "." / "in.csv", source)
    for bad in (tmp_path, tmp_path / "missing" / "out.csv"):
        with pytest.raises(InputError, match="not a file in an existing folder"):
            check_target(bad)


def test_what_is_written_reads_back_the_same(tmp_path):
    frame = pd.DataFrame({"a": [0.1, 1 / 3], "b": ["x,y", "ü"]})
    write_csv(frame, tmp_path / "out.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out.csv"), frame)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_folder_in_the_way_is_an_error_with_its_name(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(InputError, match=r"out\.csv"):
        write_csv(pd.DataFrame({"a": [1]}), tmp_path / "out.csv")


def test_parquet_reads_back_the_same_and_leaves_nothing_beside(tmp_path):
    frame = pd.DataFrame({"a": [0.1, 1 / 3], "b": ["x,y", "ü"]}, index=[7, 8])
    write_parquet(frame, tmp_path / "new" / "out.parquet", compression="zstd")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "new" / "out.parquet"), frame.reset_index(drop=True))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.parquet"]
