"""`credence ssjf predict`: what it writes and refuses, and that its bands hold nine in ten answers."""

import json

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from credence.bench.errors import InputError
from credence.ssjf import cli_predict

WORDS = {"list": 5.2, "name": 1.5, "essay": 6.0, "why": 4.0}


def write(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def lines(count, seed=0, answered=True):
    """Prompts whose first word tells the mean of the log-length; spread 0.5."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        word = rng.choice(list(WORDS))
        row = {"id": f"p{seed}-{number}", "prompt": f"{word} about {rng.integers(10**9)}"}
        if answered:
            row["output_tokens"] = int(max(1, np.exp(WORDS[word] + 0.5 * rng.standard_normal())))
        rows.append(row)
    return rows


def stand_in(learned, seed, encoder):
    """A model of the same interface as the proxy, in no time: the mean of prompts with the same first word."""

    def fit(rows):
        frame = pd.DataFrame({"word": [learned.prompts[r].split()[0] for r in rows]})
        logs = np.log(learned.lengths[rows, 0])
        mean = pd.Series(logs).groupby(frame["word"]).mean()
        return lambda prompts: pd.Series([p.split()[0] for p in prompts]).map(mean).fillna(logs.mean()).to_numpy()

    fit.label = "a stand-in"
    return fit


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(cli_predict, "_proxy", stand_in)


def run(*arguments):
    app = typer.Typer()
    app.command()(cli_predict.predict)
    result = CliRunner().invoke(app, [str(item) for item in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("fast")
def test_every_line_gets_a_row_in_the_files_order(tmp_path):
    rows = lines(200) + lines(50, seed=1, answered=False)
    np.random.default_rng(0).shuffle(rows)
    text = run(write(tmp_path / "p.jsonl", rows), "--train", "--out", tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found) == ["id", "predicted", "lo90", "hi90"]
    assert found["id"].tolist() == [row["id"] for row in rows]
    assert (found["lo90"] <= found["predicted"]).all()
    assert (found["predicted"] <= found["hi90"]).all()
    assert "wrote 250 rows" in text
    assert "learned from 200 prompts (p.jsonl); a stand-in" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "p.jsonl"]


@pytest.mark.usefixtures("fast")
def test_bands_hold_nine_in_ten_of_answers_not_seen(tmp_path):
    """Both those out of fold and those of new prompts, over several files."""
    known, new = [], []
    for seed in range(8):
        rows, later = lines(150, seed), lines(150, seed + 100)
        asked = rows + [{k: v for k, v in row.items() if k != "output_tokens"} for row in later]
        run(write(tmp_path / "p.jsonl", asked), "--train", "--out", tmp_path / "out.csv")
        found = pd.read_csv(tmp_path / "out.csv")
        truth = np.array([row["output_tokens"] for row in rows + later])
        inside = (truth >= found["lo90"] - 0.05) & (truth <= found["hi90"] + 0.05)
        known.append(inside[:150].mean())
        new.append(inside[150:].mean())
        # bands that are merely wide would hold too
        assert (found["hi90"] / found["lo90"]).median() < 10
    assert np.mean(known) == pytest.approx(0.9, abs=0.025)
    assert np.mean(new) == pytest.approx(0.9, abs=0.03)


@pytest.mark.usefixtures("fast")
def test_a_repeated_text_is_not_predicted_by_a_model_that_saw_it(tmp_path):
    rows = lines(80) + [
        {"id": f"same{k}", "prompt": "unique words HERE" if k % 2 else "Unique  words here", "output_tokens": 5000}
        for k in range(6)
    ]
    run(write(tmp_path / "p.jsonl", rows), "--train", "--out", tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv").set_index("id")
    assert (found.loc[[f"same{k}" for k in range(6)], "predicted"] < 1000).all()


@pytest.mark.usefixtures("fast")
def test_without_train_lengths_are_not_looked_at(tmp_path):
    rows = lines(10)
    run(write(tmp_path / "a.jsonl", rows), "--out", tmp_path / "a.csv")
    bare = [{k: v for k, v in row.items() if k != "output_tokens"} for row in rows]
    run(write(tmp_path / "b.jsonl", bare), "--out", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert pd.read_csv(tmp_path / "a.csv")["hi90"].max() <= 384  # where the answers it learned from were cut off


@pytest.mark.usefixtures("fast")
def test_the_seed_deals_the_folds(tmp_path):
    path = write(tmp_path / "p.jsonl", lines(60))
    written = []
    for seed in (0, 0, 1):
        run(path, "--train", "--seed", seed, "--out", tmp_path / "out.csv")
        written.append((tmp_path / "out.csv").read_text())
    assert written[0] == written[1] != written[2]


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("rows", "words", "message"),
    [
        (lines(60), ["--seed", "-1"], "--seed is -1"),
        (lines(60), ["--folds", "1"], "--folds is 1; allowed: 2 to 20"),
        (lines(39), ["--train"], r"39 different prompts with output_tokens; allowed with --train: at least 40"),
        (lines(60, answered=False), ["--train"], "0 different prompts"),
        ([{**row, "output_tokens": 7} for row in lines(60)], ["--train"], "all output_tokens are 7"),
        ([{**row, "prompt": "the same"} for row in lines(60)], ["--train"], "1 different prompts"),
        ([{"id": "a"}], [], "line 1: 'prompt' is missing"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, rows, words, message):
    path = write(tmp_path / "p.jsonl", rows)
    with pytest.raises(InputError, match=message):
        run(path, "--out", tmp_path / "out.csv", *words)
    assert [item.name for item in tmp_path.iterdir()] == ["p.jsonl"]


def test_a_target_that_is_the_input_or_lies_nowhere_is_refused_before_any_work(tmp_path):
    path = write(tmp_path / "p.jsonl", lines(60))
    with pytest.raises(InputError, match="allowed: another path"):
        run(path, "--out", path)
    with pytest.raises(InputError, match="not a file in an existing folder"):
        run(path, "--out", tmp_path / "nowhere" / "out.csv")
    with pytest.raises(InputError, match="cannot be read"):
        run(tmp_path / "no.jsonl", "--out", tmp_path / "out.csv")
