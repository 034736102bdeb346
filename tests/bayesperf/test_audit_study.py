"""The audit's schedule and its detection curve; one recorded program made again."""

import numpy as np
import pandas as pd
import pytest

from credence.bayesperf.data import pmu, traces
from credence.bayesperf.evaluate import audit_study
from credence.bayesperf.evaluate.recorded import read
from credence.bayesperf.model.relations import known_relations, parse_relation
from credence.bayesperf.schedule.audit_rotation import audit_rotation
from credence.bench.errors import InputError


@pytest.fixture(scope="module")
def recorded():
    return read("audit")


def together(schedule, events, relation):
    return schedule[:, [list(events).index(event) for event in relation.events]].all(axis=1)


def test_every_identity_is_counted_as_a_whole_on_eight_counters():
    unit = pmu.pmu("qemu-x86", 8)
    relations = [r for r in known_relations("qemu-x86") if r.kind == "eq"]
    schedule, impossible = audit_rotation(pmu.PLUGIN_EVENTS, unit, relations)
    assert impossible == ()
    assert all(together(schedule, pmu.PLUGIN_EVENTS, r).any() for r in relations)
    fixed = [pmu.PLUGIN_EVENTS.index(event) for event in unit.fixed]
    assert schedule[:, fixed].all()
    assert (schedule.sum(axis=1) - len(fixed)).max() <= 8


def test_relations_that_do_not_fit_are_returned():
    relations = [parse_relation(t) for t in ("A = B + C", "A = B + C + D", "A = X")]
    schedule, impossible = audit_rotation(("A", "B", "C", "D", "E"), 3, relations)
    assert impossible == (relations[1], relations[2])
    assert schedule.tolist() == [[True, True, True, False, False]]


def test_an_event_alone_takes_a_free_counter():
    schedule, _ = audit_rotation(("A", "B", "C"), 3, [parse_relation("A = B")])
    assert schedule.tolist() == [[True, True, True]]


def test_study_finds_large_errors_and_spares_true_identities():
    frame = audit_study.study("qemu-x86", "awk", np.random.default_rng(0), every_slice=True).assign(case="x")
    curve = audit_study.curve(frame).set_index("error")
    assert curve.loc[0.0, "holds"] >= 0.9
    assert curve.loc[0.0, "broken"] == 0
    assert curve.loc[0.05, "broken"] >= curve.loc[0.01, "broken"]
    large = audit_study.curve(frame[frame["term_share"] > 0.1]).set_index("error")
    assert large.loc[0.05, "broken"] >= 0.9
    assert (curve["of"] == 24).all()


def test_the_recorded_study_is_whole(recorded):
    programs = [(m, p) for m in traces.machines() for p in traces.programs(m)]
    cases = [case for case, *_ in audit_study.CASES]
    found = recorded.groupby(["machine", "program", "case"]).size()
    assert set(found.index) == {(m, p, case) for m, p in programs for case in cases}
    assert set(recorded.columns) == set(audit_study.COLUMNS)
    assert sorted(recorded["error"].unique()) == [0.0, *audit_study.ERRORS]


def test_recorded_goals(recorded):
    curve = audit_study.curve(recorded[recorded["split"] == "test"]).set_index(["case", "error"])
    for case, *_ in audit_study.CASES:
        assert curve.loc[(case, 0.0), "holds"] >= 0.95
    for case in ("all events, not multiplexed", "list of 20, skid"):
        assert curve.loc[(case, 0.05), "broken"] >= 0.9
    # multiplexed, terms of a percent of their relation and less are below what a run of these lengths shows
    seen = recorded[(recorded["split"] == "test") & (recorded["term_share"] >= 0.01)]
    assert audit_study.curve(seen).set_index(["case", "error"]).loc[("all events", 0.05), "broken"] >= 0.9


def test_one_recorded_program_is_made_again(recorded):
    rng = np.random.default_rng()
    row = recorded.iloc[int(rng.integers(len(recorded)))]
    settings = {name: (listed, skid, every) for name, listed, skid, every in audit_study.CASES}
    listed, skid, every = settings[row["case"]]
    stream = audit_study.rng_of(int(row["seed"]), row["machine"], row["program"], row["case"])
    again = audit_study.study(row["machine"], row["program"], stream, 8, 0.005, skid, every, listed)
    keys = ["machine", "program", "case"]
    same = recorded[(recorded[keys] == row[keys]).all(axis=1)].reset_index(drop=True)
    assert again["event"].tolist() == same["event"].tolist()
    np.testing.assert_allclose(again["probability"], same["probability"], atol=1e-3)


def test_recording_goes_on_where_it_stopped(tmp_path, monkeypatch):
    calls = []

    made = [name for name in audit_study.COLUMNS if name not in ("case", "split", "seed")]

    def made_up(machine, program, *_):
        calls.append(program)
        return pd.DataFrame({name: [0.5] for name in made}).assign(machine=machine, program=program)

    def programs(machine, split=None):
        return ("gzip",) if split == "train" else ("gzip", "join")

    monkeypatch.setattr(audit_study, "study", made_up)
    monkeypatch.setattr(traces, "machines", lambda: ("qemu-ppc64",))
    monkeypatch.setattr(traces, "programs", programs)
    out = tmp_path / "audit.parquet"
    audit_study.record(out)
    assert calls == ["gzip"] * 4 + ["join"] * 4
    first = pd.read_parquet(out)
    assert audit_study.record(out).equals(first)
    assert len(calls) == 8
    first[first["program"] == "join"].to_parquet(out)
    audit_study.record(out)
    assert calls[8:] == ["gzip"] * 4
    with pytest.raises(InputError, match="--out"):
        audit_study.record(tmp_path / "none" / "audit.parquet")
