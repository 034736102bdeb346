"""The content hash: blind to files and to pandas' spelling, sensitive to everything a reader would call content."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from credence.bench.catalogue_content import content_hash
from credence.bench.errors import InputError

FRAME = pd.DataFrame({"n": [1, 2, 3], "x": [0.5, np.nan, -2.0], "t": ["a", None, "é,"], "b": [True, False, True]})
REFERENCE = content_hash(FRAME)


def test_canonical_form_is_as_documented():
    def number(value):
        return int(value).to_bytes(8, "little", signed=True)

    by_hand = b"credence-content-1\n" + number(2) + number(2)
    by_hand += number(1) + b"n" + b"i" + number(-1) + number(258)
    by_hand += number(2) + "é".encode() + b"s" + number(1) + number(-1) + b"z"
    frame = pd.DataFrame({"n": [-1, 258], "é": ["z", None]})
    assert content_hash(frame) == hashlib.sha256(by_hand).hexdigest()


@pytest.mark.parametrize(
    "same",
    [
        FRAME.set_index(pd.Index([7, 8, 9])),
        FRAME.astype({"n": "int8"}),
        FRAME.astype({"n": "uint16"}),
        FRAME.astype({"n": "Int64", "x": "Float64", "b": "boolean"}),
        FRAME.astype({"t": object}),
        FRAME.astype({"t": "string[python]"}),
    ],
)
def test_blind_to_index_width_and_spelling_of_types(same):
    assert content_hash(same) == REFERENCE


def test_blind_to_the_file_format(tmp_path):
    FRAME.to_parquet(tmp_path / "a.parquet", compression="gzip")
    assert content_hash(pd.read_parquet(tmp_path / "a.parquet")) == REFERENCE


@pytest.mark.parametrize(
    "other",
    [
        FRAME.assign(n=[1, 2, 4]),
        FRAME.assign(x=[0.5, np.nan, np.nextafter(-2.0, 0)]),
        FRAME.assign(x=[0.5, 0.0, -2.0]),
        FRAME.assign(t=["a", "", "é,"]),
        FRAME.assign(t=["", "a", "é,"]),
        FRAME.assign(b=[True, True, True]),
        FRAME.assign(n=FRAME["n"].astype(float)),
        FRAME.assign(b=FRAME["b"].astype(int)),
        FRAME.rename(columns={"n": "m"}),
        FRAME[["x", "n", "t", "b"]],
        FRAME[["n", "x", "t"]],
        FRAME.iloc[[1, 0, 2]],
        FRAME.iloc[:2],
    ],
)
def test_sensitive_to_values_names_types_and_order(other):
    assert content_hash(other) != REFERENCE


def test_text_cannot_slide_between_cells_or_columns():
    def texts(left, right):
        return content_hash(pd.DataFrame({"l": left, "r": right}, dtype="str"))

    seen = {texts(["ab", "c"], ["d", ""]), texts(["a", "bc"], ["d", ""]), texts(["a", "b"], ["cd", ""])}
    assert len(seen) == 3


def test_zero_and_minus_zero_differ():
    assert content_hash(pd.DataFrame({"x": [0.0]})) != content_hash(pd.DataFrame({"x": [-0.0]}))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"when": pd.to_datetime(["2026-01-01"])}), "'when' of type datetime64"),
        (pd.DataFrame({"mixed": ["a", 1]}, dtype=object), "'mixed' mixes text with int"),
        (pd.DataFrame({"gap": pd.array([1, None], dtype="Int64")}), "'gap'"),
        (pd.DataFrame({"big": np.array([2**63], dtype=np.uint64)}), "'big'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' appears more than once"),
        (pd.DataFrame({3: [1]}), "column name 3 is not text"),
    ],
)
def test_refuses_what_has_no_canonical_form(frame, words):
    with pytest.raises(InputError, match=words):
        content_hash(frame)
