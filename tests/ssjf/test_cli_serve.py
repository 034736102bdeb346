"""`credence ssjf serve-trace`: the file it reads, what it refuses, and the rows it writes, with a made-up model."""

import json

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from credence.bench.errors import InputError
from credence.ssjf import cli_serve, world
from credence.ssjf.cli_serve import read_trace, serve_requests, serve_trace
from credence.ssjf.infer import policy
from credence.ssjf.model import EngineProfile
from ssjf.made_up_engine import Clock, ProfileModel

PROFILE = EngineProfile(name="made-up", prefill_base_s=0.1, prefill_per_token_s=0.001, decode_base_s=0.05)
GOOD = {"id": "a", "arrival_s": 0.5, "prompt": "Say something."}


def written(folder, *rows):
    path = folder / "requests.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


def test_a_file_of_requests_is_read(tmp_path):
    path = written(tmp_path, GOOD, "", GOOD | {"id": 7, "arrival_s": 1, "max_new_tokens": 5, "predicted": 12})
    frame = read_trace(path)
    assert frame["id"].tolist() == ["a", "7"]
    assert frame["line"].tolist() == [1, 3]
    assert frame["max_new_tokens"].tolist() == [384, 5]
    assert np.isnan(frame["predicted"].iloc[0])
    assert frame["predicted"].iloc[1] == 12


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 2: no JSON"),
        ("[1]", "line 2: list; allowed: an object"),
        ({"id": "b", "prompt": "x"}, "line 2: no 'arrival_s'"),
        (GOOD, "line 2: id 'a' appears twice"),
        (GOOD | {"id": "b", "arrival_s": 0.4}, "line 2: arrival_s 0.4 after 0.5"),
        (GOOD | {"id": "b", "arrival_s": -1}, "line 2: arrival_s is -1; allowed: a finite number >= 0"),
        (GOOD | {"id": "b", "arrival_s": True}, "line 2: arrival_s is True"),
        (GOOD | {"id": "b", "prompt": "  "}, "line 2: prompt is '  '"),
        (GOOD | {"id": "b", "max_new_tokens": 0}, "line 2: max_new_tokens is 0"),
        (GOOD | {"id": "b", "predicted": "long"}, "line 2: predicted is 'long'"),
    ],
)
def test_a_bad_line_is_named(tmp_path, row, message):
    with pytest.raises(InputError) as caught:
        read_trace(written(tmp_path, GOOD, row))
    assert message in str(caught.value)


def test_an_empty_or_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no requests"):
        read_trace(written(tmp_path, ""))
    with pytest.raises(InputError, match="cannot be read"):
        read_trace(tmp_path / "nowhere.jsonl")


def lengths_of(asked):
    """The made-up model answers with as many tokens as a prompt's first token says."""
    return [[len(text)] + [2] * 9 for text in asked["prompt"]]


def test_the_rows_are_those_of_simulate(tmp_path):
    rows = [GOOD | {"id": str(i), "arrival_s": i / 4, "prompt": "x" * (9 - i), "predicted": 9 - i} for i in range(6)]
    asked = read_trace(written(tmp_path, *rows))
    clock = Clock()
    backend = ProfileModel(clock, PROFILE, 2)
    frame = serve_requests(asked, lengths_of(asked), backend, policy("ssjf"), slots=2, aging=0.0, seed=0, clock=clock)
    assert frame["output_tokens"].tolist() == [9, 8, 7, 6, 5, 4]
    # an answer that ends by itself takes one pass more than it has tokens
    requests = frame[["arrival_s", "prompt_tokens", "predicted"]].assign(output_tokens=frame["output_tokens"] + 1)
    expected = world.simulate(requests, "ssjf", batching="continuous", slots=2, profile=PROFILE)
    pd.testing.assert_frame_equal(frame[list(expected.columns)], expected, check_exact=False, atol=1e-6)
    assert frame["id"].tolist() == list("012345")


def command():
    app = typer.Typer()
    app.command()(serve_trace)
    return app


def run(*arguments):
    result = CliRunner().invoke(command(), [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_serves_and_writes(tmp_path, monkeypatch):
    from credence.ssjf import model

    class Instant(ProfileModel):
        """Takes no time: the command's clock is the wall's."""

        def __init__(self, slots):
            super().__init__(Clock(), PROFILE, slots)

    monkeypatch.setattr(cli_serve, "_backend", lambda asked, slots, *_: (Instant(slots), lengths_of(asked)))
    monkeypatch.setattr(model, "profile", lambda name: PROFILE)
    path = written(tmp_path, GOOD | {"arrival_s": 0}, GOOD | {"id": "b", "arrival_s": 0, "max_new_tokens": 3})
    out = tmp_path / "served.csv"
    text = run(path, "--out", out, "--slots", 1)
    assert "wrote 2 rows" in text
    frame = pd.read_csv(out)
    assert frame.columns[:4].tolist() == ["request", "start_s", "first_token_s", "end_s"]
    assert frame["output_tokens"].tolist() == [14, 3]
    assert frame["censored"].tolist() == [False, True]
    assert (frame["end_s"] >= frame["first_token_s"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policy", "sjf"), "knows how long an answer will be"),
        (("--policy", "ssjf"), "line 1: no 'predicted'"),
        (("--policy", "lifo"), "policy"),
        (("--slots", "0"), "--slots is 0"),
        (("--threads", "0"), "--threads is 0"),
        (("--temperature", "-1"), "temperature"),
        (("--seed", "-1"), "--seed is -1"),
    ],
)
def test_the_command_refuses_before_it_loads_a_model(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr(cli_serve, "_backend", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(InputError, match=message):
        run(written(tmp_path, GOOD), "--out", tmp_path / "served.csv", *arguments)


def test_the_file_of_requests_is_not_overwritten(tmp_path):
    path = written(tmp_path, GOOD)
    with pytest.raises(InputError, match="is the file that is read"):
        run(path, "--out", path)
