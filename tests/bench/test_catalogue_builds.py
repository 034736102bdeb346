"""The builders: the mirror's form and the origin's form of a set give the same frame (made-up files)."""

import gzip

import numpy as np
import pytest

from credence.bench.catalogue_builds import READERS
from credence.bench.catalogue_content import content_hash


def written(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_azure_keeps_ticks_of_100_ns(tmp_path):
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 23:59:59.9999999,5,6\r\n2023-11-17 00:00:00.0000001,7,8"
    )
    frame = READERS["azure"]([written(tmp_path / "t.csv", text)])
    assert frame["arrival_s"].tolist() == [0.0, 2e-7]
    assert frame["output_tokens"].tolist() == [6, 8]


def test_mooncake_from_either_form(tmp_path):
    origin = "".join(
        f'{{"timestamp": {t}, "input_length": {i}, "output_length": {o}, "hash_ids": {ids}}}\n'
        for t, i, o, ids in ((0, 900, 42, [0, 7]), (2999, 5820, 8, [0, 1, 2]))
    )
    mirror = "timestamp_ms,input_length,output_length,n_hash_blocks\n0,900,42,2\n2999,5820,8,3\n"
    one = READERS["mooncake-jsonl"]([written(tmp_path / "trace.jsonl", origin)])
    other = READERS["mooncake-csv"]([written(tmp_path / "trace.csv.gz", mirror)])
    assert one["arrival_s"].tolist() == [0.0, 2.999]
    assert content_hash(one) == content_hash(other)


def test_authors_predictions_from_either_form(tmp_path):
    header = ",output_token_length,predicted_length,latency,model\n"
    binary = header + "0,40,0,0.02335500717163086,vicuna-13b\n1,499,1,0.010144233703613281,vicuna-13b\n"
    multi = header + "0,40,1,0.024014,vicuna-13b\n1,499,3,0.0104334,vicuna-13b\n"
    mirror = (
        "output_token_length,pred_binary_cls,pred_multi_cls,latency_ms_binary,latency_ms_multi\n"
        "40,0,1,23.355,24.014\n499,1,3,10.144,10.433\n"
    )
    files = [written(tmp_path / "b.csv", binary), written(tmp_path / "m.csv", multi)]
    one = READERS["join-two-predictions"](files)
    assert content_hash(one) == content_hash(READERS["csv"]([written(tmp_path / "p.csv.gz", mirror)]))
    written(files[1], multi.replace("499", "498"))
    with pytest.raises(ValueError, match="don't list the same requests"):
        READERS["join-two-predictions"](files)


def test_castillo_samples_become_ten_columns(tmp_path):
    samples = " ".join(str(10 * k) for k in range(10))
    text = f"prompt_id,output_tokens_10_samples,gen_time_s\na1,{samples},0.5\n"
    frame = READERS["castillo-lengths"]([written(tmp_path / "c.csv.gz", text)])
    assert frame.columns.tolist() == ["prompt_id", "gen_time_s", *(f"output_tokens_{k}" for k in range(10))]
    assert frame.iloc[0, 2:].tolist() == [10 * k for k in range(10)]


def test_csv_types_and_exact_decimals(tmp_path):
    text = "i,f,t\n-7,0.1,x\n9007199254740993,,\n0,1e-7,2 3\n"
    frame = READERS["csv"]([written(tmp_path / "a.csv", text)])
    assert frame["i"].tolist() == [-7, 9007199254740993, 0]  # beyond what a float holds
    assert frame["f"].fillna(-1).tolist() == [0.1, -1, 1e-7]
    assert frame["t"].tolist() == ["x", "", "2 3"]
    numbers = np.random.default_rng(1).random(300) * 10.0 ** np.arange(-150, 150)
    text = "x\n" + "".join(f"{float(number)!r}\n" for number in numbers)
    assert np.array_equal(READERS["csv"]([written(tmp_path / "b.csv", text)])["x"], numbers)


def test_json_lines(tmp_path):
    path = written(tmp_path / "p.jsonl.gz", '{"id": "1", "prompt": "é\\n"}\n\n{"id": "2", "prompt": "b"}\n')
    assert READERS["jsonl"]([path]).to_dict("list") == {"id": ["1", "2"], "prompt": ["é\n", "b"]}


def test_text_files_come_back_as_they_were(tmp_path):
    texts = ['{"a": "x\u2028y"}\r\n\n', "no end"]
    files = [tmp_path / name for name in ("b.json", "a.json")]
    for path, text in zip(files, texts, strict=True):
        path.write_bytes(text.encode())
    frame = READERS["text"](files)
    assert frame["file"].tolist() == [0, 0, 0, 1]
    assert ["\n".join(frame.loc[frame["file"] == k, "line"]) for k in (0, 1)] == texts


def test_csv_files_with_the_same_columns_are_one_table(tmp_path):
    one, two = written(tmp_path / "a.csv", "n,x\n1,2\n"), written(tmp_path / "b.csv", "n,x\n3,\n4,0.5\n")
    frame = READERS["csv-files"]([one, two])
    assert frame["file"].tolist() == [0, 1, 1]
    assert frame["n"].tolist() == [1, 3, 4]
    assert frame["x"].fillna(-1).tolist() == [2, -1, 0.5]
    with pytest.raises(ValueError, match="same columns"):
        READERS["csv-files"]([one, written(tmp_path / "c.csv", "n,y\n3,\n")])
