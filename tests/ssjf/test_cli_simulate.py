"""`credence ssjf simulate`: what it writes, prints and refuses."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from credence.bench.errors import InputError
from credence.ssjf.cli import app

HEADER = "arrival_s,prompt_tokens,output_tokens"
ROWS = ["0,10,100,3", "0.5,10,10,1", "1.0,5,20,2"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "requests.csv").write_text("\n".join([f"{HEADER},predicted", *ROWS]) + "\n")
    return tmp_path


def run(folder, *arguments, name="requests.csv"):
    """Run the sub-command; return its printed text, raising whatever it raised."""
    result = CliRunner().invoke(app, ["simulate", str(folder / name), *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def run_top(folder, *arguments):
    """Run the real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "credence.bench.cli", "ssjf", "simulate", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "100"},
    )


def test_defaults_are_first_come_first_served_on_one_slot(folder):
    run(folder, "--out", str(folder / "out.csv"))
    written = pd.read_csv(folder / "out.csv")
    assert list(written) == ["request", "start_s", "first_token_s", "end_s"]
    assert written["request"].tolist() == [0, 1, 2]
    assert written["start_s"].tolist() == pytest.approx([0, 2.1, 2.4])
    assert written["first_token_s"].tolist() == pytest.approx([0.12, 2.22, 2.52])
    assert written["end_s"].tolist() == pytest.approx([2.1, 2.4, 2.9])
    assert sorted(path.name for path in folder.iterdir()) == ["out.csv", "requests.csv"]


def test_policy_and_latency_change_the_order(folder):
    (folder / "swapped.csv").write_text(f"{HEADER},predicted\n0,0,10,1\n0.1,0,10,9\n0.2,0,10,2\n")
    run(folder, "--policy", "ssjf", "--out", str(folder / "out.csv"), name="swapped.csv")
    assert pd.read_csv(folder / "out.csv")["start_s"].tolist() == pytest.approx([0, 0.6, 0.3])
    run(folder, "--policy", "ssjf", "--predictor-latency", "1", "--out", str(folder / "out.csv"), name="swapped.csv")
    assert pd.read_csv(folder / "out.csv")["start_s"].tolist() == pytest.approx([1, 2, 3])


def test_every_policy_and_batching_runs(folder):
    from credence.ssjf.infer import POLICIES
    from credence.ssjf.world import BATCHING

    for policy in POLICIES:
        for batching in BATCHING:
            text = run(folder, "--policy", policy, "--batching", batching, "--slots", "2", "--aging", "1")
            assert "job completion [s]" in text
            assert "requests: 3" in text


def test_floats_survive_the_file(folder):
    rng = np.random.default_rng(0)
    arrival = np.cumsum(rng.exponential(1, 50))
    frame = pd.DataFrame({"arrival_s": arrival, "prompt_tokens": 1, "output_tokens": rng.integers(1, 90, 50)})
    frame.to_csv(folder / "many.csv", index=False)
    run(folder, "--out", str(folder / "out.csv"), name="many.csv")
    from credence.ssjf.world import simulate

    lines = (folder / "out.csv").read_text().splitlines()[1:]
    written = [[float(cell) for cell in line.split(",")] for line in lines]
    assert written == simulate(frame).to_numpy().tolist()


def test_the_seed_decides_the_random_order(folder):
    rows = "\n".join("0,0,10" for _ in range(12))
    (folder / "equal.csv").write_text(f"{HEADER}\n{rows}\n")
    written = []
    for seed in ("0", "0", "1"):
        run(folder, "--policy", "random", "--seed", seed, "--out", str(folder / "out.csv"), name="equal.csv")
        written.append((folder / "out.csv").read_text())
    assert written[0] == written[1] != written[2]


def test_other_columns_and_no_predictions_are_fine(folder):
    (folder / "more.csv").write_text(f"note,{HEADER}\nhello,0,1,2\n")
    assert "requests: 1" in run(folder, name="more.csv")


def test_without_out_nothing_is_written(folder):
    run(folder)
    assert [path.name for path in folder.iterdir()] == ["requests.csv"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{HEADER}\n0,1,2\n1,-1,2\n", ["row 1", "line 3", "prompt_tokens", "-1"]),
        (f"{HEADER}\n0,1,2\n\n1,1,nan\n", ["row 1", "line 4", "output_tokens", "nan"]),
        (f"{HEADER}\n0,1,2.5\n", ["row 0", "line 2", "output_tokens", "2.5"]),
        (f"{HEADER}\n0,1,2\ninf,1,2\n", ["row 1", "line 3", "arrival_s", "inf"]),
        (f"{HEADER}\n-0.5,1,2\n", ["row 0", "arrival_s", "-0.5"]),
        (f"{HEADER}\n1,1,2\n0.5,1,2\n", ["row 1", "line 3", "arrival_s", "0.5", "order of arrival"]),
        (f"{HEADER}\n0,,2\n", ["row 0", "line 2", "prompt_tokens"]),
        (f"{HEADER},predicted\n0,1,2,\n", ["row 0", "line 2", "predicted"]),
        ("arrival_s,prompt_tokens\n0,1\n", ["missing column", "output_tokens"]),
        ("", ["empty"]),
        (f"{HEADER}\n", ["no requests"]),
        ("\x00\x01binary", ["arrival_s"]),
    ],
)
def test_bad_files_are_refused_with_row_and_column(folder, text, expected):
    (folder / "bad.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        run(folder, "--out", str(folder / "out.csv"), name="bad.csv")
    for part in [*expected, "bad.csv", "allowed"]:
        assert part in str(caught.value)
    assert not (folder / "out.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--policy", "sfj"], "sjf"),
        (["--batching", "static"], "dynamic"),
        (["--profile", "nope"], "ssjf-paper"),
        (["--slots", "0"], "slots"),
        (["--slots", "1000000000"], "slots"),
        (["--aging", "-1"], "aging"),
        (["--aging", "nan"], "aging"),
        (["--predictor-latency", "inf"], "predictor_latency"),
        (["--batch-timeout", "-2"], "batch_timeout"),
        (["--seed", "-1"], "--seed"),
        (["--out", "no/such/folder/out.csv"], "--out"),
    ],
)
def test_bad_settings_are_refused(folder, arguments, expected):
    with pytest.raises(InputError, match="allowed") as caught:
        run(folder, *arguments)
    assert expected in str(caught.value)


@pytest.mark.parametrize("policy", ["ssjf", "psrpt"])
def test_a_policy_that_predicts_needs_predictions(folder, policy):
    (folder / "none.csv").write_text(f"{HEADER}\n0,1,2\n")
    with pytest.raises(InputError, match=r"missing column 'predicted'.*fcfs, sjf, srpt, mlfq, random"):
        run(folder, "--policy", policy, name="none.csv")


def test_the_requests_are_never_overwritten(folder):
    before = (folder / "requests.csv").read_text()
    with pytest.raises(InputError, match="file that is read"):
        run(folder, "--out", str(folder / "requests.csv"))
    with pytest.raises(InputError, match="not a file"):
        run(folder, "--out", str(folder))
    assert (folder / "requests.csv").read_text() == before


def test_a_failed_write_leaves_the_old_file(folder, monkeypatch):
    (folder / "out.csv").write_text("old")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="disk full"):
        run(folder, "--out", str(folder / "out.csv"))
    assert sorted(path.name for path in folder.iterdir()) == ["out.csv", "requests.csv"]
    assert (folder / "out.csv").read_text() == "old"


def test_the_command_ends_with_two_and_one_message(folder):
    (folder / "bad.csv").write_text(f"{HEADER}\n0,1,2\n1,x,2\n")
    result = run_top(folder, "bad.csv", "--out", "out.csv")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "row 1 (line 3)" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_command_works(folder):
    result = run_top(folder, "requests.csv", "--policy", "srpt", "--out", "out.csv")
    assert result.returncode == 0, result.stderr
    assert "wrote 3 rows to out.csv" in result.stdout
    assert len((folder / "out.csv").read_text().splitlines()) == 4
