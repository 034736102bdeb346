"""The check every file of requests passes: what is refused, and how well the message says where."""

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.ssjf.data import read_requests, requests, validate_requests

GOOD = "arrival_s,prompt_tokens,output_tokens,predicted\n0.0,10,3,1.5\n0.25,0,0,-2\n0.25,7,12,9e3\n"


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "requests.csv"
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


def test_reads_values_and_types_exactly(tmp_path):
    frame = read_requests(written(tmp_path, GOOD))
    assert list(frame.columns) == ["arrival_s", "prompt_tokens", "output_tokens", "predicted"]
    assert frame.dtypes.astype(str).tolist() == ["float64", "int64", "int64", "float64"]
    assert frame.to_numpy().tolist() == [[0.0, 10, 3, 1.5], [0.25, 0, 0, -2], [0.25, 7, 12, 9000]]


def test_floats_survive_to_the_last_bit(tmp_path):
    times = np.sort(np.random.default_rng(5).random(200)) * 1e5
    text = "arrival_s,prompt_tokens,output_tokens\n" + "".join(f"{float(t)!r},1,1\n" for t in times)
    assert np.array_equal(read_requests(written(tmp_path, text))["arrival_s"].to_numpy(), times)


def test_quick_and_careful_reading_agree(tmp_path, monkeypatch):
    rng = np.random.default_rng(6)
    times = np.cumsum(rng.exponential(size=300)) * 1e3
    text = "note,output_tokens,arrival_s,predicted,prompt_tokens\ntwo lines,3,0,-1e-300,4\n\n" + "".join(
        f"{k},{rng.integers(0, 10**6)},{float(t)!r},{float(rng.normal() * 10.0 ** rng.integers(-20, 20))!r},7\n"
        for k, t in enumerate(times)
    )
    path = written(tmp_path, text)
    quick = read_requests(path)
    assert requests._read_quickly(path) is not None
    monkeypatch.setattr(requests, "_read_quickly", lambda _: None)
    pd.testing.assert_frame_equal(quick, read_requests(path), check_exact=True)


def test_tolerates_what_spreadsheets_write(tmp_path):
    text = 'note, arrival_s,output_tokens,prompt_tokens\r\n"a, b",0,"3.0",4\r\n\r\nx, 1 ,5,6\r\n\r\n'
    frame = read_requests(written(tmp_path, text, "utf-8-sig"))
    assert frame.to_dict("list") == {
        "arrival_s": [0.0, 1.0],
        "prompt_tokens": [4, 6],
        "output_tokens": [3, 5],
    }


@pytest.mark.parametrize(
    ("row", "column", "shown"),
    [
        ("-1,1,1", "arrival_s", "'-1'"),
        ("nan,1,1", "arrival_s", "'nan'"),
        ("inf,1,1", "arrival_s", "'inf'"),
        (",1,1", "arrival_s", "''"),
        ("9,-3,1", "prompt_tokens", "'-3'"),
        ("9,1.5,1", "prompt_tokens", "'1.5'"),
        ("9,NaN,1", "prompt_tokens", "'NaN'"),
        ("9,1,-inf", "output_tokens", "'-inf'"),
        ("9,1,many", "output_tokens", "'many'"),
        ("9,1,1_000", "output_tokens", "'1_000'"),
        ("9,1,1e300", "output_tokens", "'1e300'"),
    ],
)
def test_a_bad_cell_is_named_by_row_line_column_and_value(tmp_path, row, column, shown):
    # A blank line and a quoted line break stand before it: line number and row number must part company.
    text = f'arrival_s,prompt_tokens,output_tokens,note\n1,1,1,"two\nlines"\n\n2,1,1,\n{row},\n3,1,1,\n'
    with pytest.raises(InputError) as caught:
        read_requests(written(tmp_path, text))
    message = str(caught.value)
    assert "row 2 (line 6)" in message
    assert f"column {column!r}" in message
    assert shown in message
    assert "allowed: a" in message


def test_the_first_bad_row_is_reported_whatever_its_column(tmp_path):
    text = "arrival_s,prompt_tokens,output_tokens\n0,1,1\n1,1,x\n-1,1,1\n"
    with pytest.raises(InputError, match=r"row 1 \(line 3\), column 'output_tokens'"):
        read_requests(written(tmp_path, text))


def test_unsorted_arrivals(tmp_path):
    text = "arrival_s,prompt_tokens,output_tokens\n0,1,1\n2,1,1\n1.5,1,1\n"
    with pytest.raises(InputError, match=r"row 2 \(line 4\), column 'arrival_s': 1.5 is earlier than 2"):
        read_requests(written(tmp_path, text))


def test_bad_prediction(tmp_path):
    with pytest.raises(InputError, match=r"row 1 \(line 3\), column 'predicted': '\?' .* a finite number"):
        read_requests(written(tmp_path, GOOD.replace("-2", "?")))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("arrival_s,prompt_tokens,output_tokens\n", "no requests"),
        ("arrival_s,prompt_tokens\n1,2\n", "missing column 'output_tokens'"),
        ("arrival_s,prompt_tokens,output_tokens,arrival_s\n1,2,3,4\n", "'arrival_s' appears 2 times"),
        ("arrival_s,prompt_tokens,output_tokens\n1,2\n", r"row 0 \(line 2\) has 2 values; allowed: 3"),
        (b"PK\x03\x04\xff\xfe\x00\x93", "not a CSV file"),
        (b'arrival_s,prompt_tokens,output_tokens\n"1,2,3\n', "not a CSV file"),
        ('arrival_s,prompt_tokens,output_tokens\n1,2,3\n2,3,"4', "not a CSV file"),
        ("some text about requests\nmore\n", "missing column"),
    ],
)
def test_not_a_file_of_requests(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read_requests(written(tmp_path, content))


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match=r"absent\.csv: no such file"):
        read_requests(tmp_path / "absent.csv")


def test_frames_are_checked_like_files():
    frame = pd.DataFrame({"arrival_s": [0.0, 1.0], "prompt_tokens": [1, 2], "output_tokens": [3.0, 4.5]})
    with pytest.raises(InputError, match=r"made up: row 1, column 'output_tokens': 4\.5 is not allowed"):
        validate_requests(frame, "made up")
    for column, values in [
        ("prompt_tokens", [True, False]),
        ("arrival_s", pd.to_datetime(["2026-01-01", "2026-01-02"])),
        ("arrival_s", [None, 1.0]),
    ]:
        with pytest.raises(InputError, match=f"row 0, column '{column}'"):
            validate_requests(frame.assign(output_tokens=1, **{column: values}))


def test_validation_leaves_the_given_frame_alone():
    frame = pd.DataFrame({"arrival_s": [0, 1], "prompt_tokens": [1.0, 2.0], "output_tokens": [3, 4]}, index=[8, 9])
    before = frame.copy()
    checked = validate_requests(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert checked.index.tolist() == [0, 1]
    checked.loc[0, "arrival_s"] = -5.0
    pd.testing.assert_frame_equal(frame, before)
