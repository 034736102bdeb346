"""`credence bayesperf correct`: better than the log, honest about the rest, and clear about relations."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from credence.bayesperf.cli import app
from credence.bayesperf.data.logs import read_log
from credence.bayesperf.evaluate import correction
from credence.bayesperf.model.relations import parse_relation
from credence.bench.errors import InputError

SLICES = 60


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    level = np.cumsum(rng.normal(0, 0.15, SLICES))
    hits = 1e5 * np.exp(level + 0.05 * rng.normal(size=SLICES))
    misses = 2e4 * np.exp(-level + 0.05 * rng.normal(size=SLICES))
    return pd.DataFrame({"HIT": hits, "MISS": misses, "ALL": hits + misses, "DOUBLE": 2 * misses})


def tidy(truth, on):
    rows = []
    for k in range(SLICES):
        for event in truth:
            seen = on(k, event)
            rows.append((f"{0.1 * (k + 1):.3f}", event, f"{truth[event][k]:.0f}" if seen else "", float(seen)))
    return pd.DataFrame(rows, columns=["time_s", "event", "count", "running_fraction"])


@pytest.fixture
def log(truth, tmp_path):
    """Two of four events at a time; DOUBLE is never counted."""
    turns = (("HIT", "ALL"), ("MISS", "ALL"), ("HIT", "MISS"))
    path = tmp_path / "log.csv"
    tidy(truth, lambda k, event: event in turns[k % 3]).to_csv(path, index=False)
    return path


RELATIONS = ("ALL = HIT + MISS", "DOUBLE = 2*MISS")


def relations(*texts):
    return [parse_relation(text, f"r{k}", "made up") for k, text in enumerate(texts)]


def test_identities_give_what_was_not_counted(log, truth):
    found = correction.correct(read_log(log), relations(*RELATIONS))
    table = found.estimates.astype({"mean": float}).pivot(index="time_s", columns="event", values="mean")
    table.index = table.index.astype(float)
    table = table.sort_index()
    for event in truth:
        assert np.abs(table[event].to_numpy() / truth[event].to_numpy() - 1).max() < 0.05, event
    assert found.unknown == ()
    assert (found.relations["use"] == "used").all()
    assert (found.estimates["lo90"] <= found.estimates["mean"]).all()
    assert (found.estimates["mean"] <= found.estimates["hi90"]).all()


def test_without_relations_an_event_never_counted_stays_empty(log):
    found = correction.correct(read_log(log))
    assert found.unknown == ("DOUBLE",)
    empty = found.estimates[found.estimates["event"] == "DOUBLE"]
    assert len(empty) == SLICES
    assert empty[["mean", "lo90", "hi90"]].isna().all().all()


def test_a_wrong_identity_is_refused_by_name_and_does_no_harm(truth, tmp_path):
    path = tmp_path / "log.csv"
    tidy(truth, lambda k, event: event != "DOUBLE" and (k % 2 == 0 or event != "HIT")).to_csv(path, index=False)
    wrong = relations("ALL = HIT + 1.4*MISS")
    found = correction.correct(read_log(path), wrong)
    assert found.relations["use"].tolist() == ["not used"]
    assert found.relations["probability"].iloc[0] < 0.1
    hits = found.estimates[found.estimates["event"] == "HIT"]["mean"].to_numpy()
    assert np.median(np.abs(hits / truth["HIT"] - 1)) < 0.15


def test_scaled_counts_are_reckoned_less_exact(truth, tmp_path):
    frame = tidy(truth, lambda k, event: True)
    path = tmp_path / "log.csv"
    frame.to_csv(path, index=False)
    events = list(truth)
    assert correction.count_noise(read_log(path), events) == 0
    frame.assign(running_fraction=0.25).to_csv(path, index=False)
    some = correction.count_noise(read_log(path), events)
    frame.assign(running_fraction=0.75).to_csv(path, index=False)
    assert 0 < correction.count_noise(read_log(path), events) < some < 0.5


def test_scaling_noise_does_not_break_a_true_identity(truth, tmp_path):
    """Few intervals have all events, and their counts are scaled from a quarter of the time: nothing can be said."""
    rng = np.random.default_rng(1)
    scaled = truth * np.exp(0.3 * rng.standard_normal(truth.shape))
    frame = tidy(scaled, lambda k, event: event != "DOUBLE" and (k % 12 == 0 or event != "ALL"))
    path = tmp_path / "log.csv"
    frame.assign(running_fraction=np.where(frame["count"] == "", 0.0, 0.25)).to_csv(path, index=False)
    found = correction.correct(read_log(path), relations("ALL = HIT + MISS"))
    assert found.noise > 0.03
    assert found.relations["verdict"].tolist() == ["not testable"]
    assert "too noisy" in found.relations["reason"].iloc[0]


def test_the_command_writes_both_files(log, tmp_path):
    known = tmp_path / "known.toml"
    known.write_text(
        "".join(
            f'[[relation]]\nname = "r{k}"\nkind = "eq"\nexpression = "{text}"\nsource = "made up"\n'
            for k, text in enumerate(RELATIONS)
        )
    )
    out = tmp_path / "est.csv"
    result = CliRunner().invoke(app, ["correct", str(log), "--identities", str(known), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "relations: 2 used, 0 softly, 0 not used" in result.output
    rows = pd.read_csv(out, dtype={"time_s": str})
    assert list(rows.columns) == ["time_s", "event", "mean", "lo90", "hi90"]
    assert rows["time_s"].iloc[0] == "0.100"
    assert len(rows) == 4 * SLICES
    told = pd.read_csv(tmp_path / "est.relations.csv")
    assert told["name"].tolist() == ["r0", "r1"]


def test_options_that_contradict_each_other_are_refused(log, tmp_path):
    words = ["correct", str(log), "--out", str(tmp_path / "a.csv")]
    result = CliRunner().invoke(app, [*words, "--cpu", "qemu-x86", "--identities", str(log)])
    assert isinstance(result.exception, InputError)
    assert "both given" in str(result.exception)
    result = CliRunner().invoke(app, ["correct", str(log), "--out", str(log)])
    assert "is the file that is read" in str(result.exception)
    result = CliRunner().invoke(app, [*words, "--cpu", "z80"])
    assert "allowed" in str(result.exception)
