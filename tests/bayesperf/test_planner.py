"""The planner: what it calls exact is exact, and its JSON is what `record` reads."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from credence.bayesperf.cli_plan import plan as command
from credence.bayesperf.data import traces
from credence.bayesperf.data.pmu import event_list, pmu
from credence.bayesperf.data.record import read_plan
from credence.bayesperf.schedule.planner import NO_TRAINING, plan
from credence.bench.errors import InputError

HITS = ("LOADS", "L1D_LD_HIT", "L1D_LD_MISS", "LD_L2_HIT", "LD_L3_HIT", "LD_L3_MISS")


def run(*words):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(words))


def test_rank_is_what_exact_counts_show():
    events = event_list(pmu("qemu-x86"), 20)
    made = plan(events, 4)
    assert made.fixed == ("SLOTS", "INST")
    counts = np.concatenate(
        [
            traces.slice_counts(traces.trace("qemu-x86", name), (*made.fixed, *events)).sum(axis=1)
            for name in traces.programs("qemu-x86")
        ]
    )
    scaled = counts / counts.mean(axis=0)
    assert made.rank == np.linalg.matrix_rank(scaled, tol=1e-7 * np.linalg.norm(scaled, 2)) - 2
    assert len(made.groups) == -(-made.rank // 4) or len({e for group in made.groups for e in group}) == made.rank
    assert set(made.exact) >= {"SLOTS", "INST"}


def test_with_as_many_counters_as_rank_all_is_exact():
    made = plan(HITS, 4)
    assert made.rank == 4
    assert set(made.exact) >= set(HITS)
    assert max(made.expected_error.values()) < 0.05
    fewer = plan(HITS, 2)
    assert not set(HITS) & set(fewer.exact)
    assert sum(fewer.expected_error.values()) > 3 * sum(made.expected_error.values())


def test_a_cpu_without_traces_says_so():
    made = plan(["A", "B"], 1, cpu="")
    assert made.basis == NO_TRAINING
    assert made.groups == (("A",), ("B",))
    assert made.exact == ()
    assert plan(["MEM_LOAD_RETIRED.L1_HIT"], cpu="skylakex").groups == (("MEM_LOAD_RETIRED.L1_HIT",),)


def test_the_command_tells_and_its_json_is_read_by_record(tmp_path):
    text = run("vendor:10", "--counters", "4")
    assert text.exit_code == 0, text.output
    assert "count together" in text.output
    done = run(",".join(HITS), "--counters", "3", "--json")
    document = json.loads(done.output)
    assert {"rank", "groups", "expected_error", "exact"} <= set(document)
    path = tmp_path / "plan.json"
    path.write_text(done.output)
    always, groups, derived = read_plan(path)
    assert always == ["SLOTS", "INST"]
    assert all(len(group) <= 3 for group in groups)
    assert {*always, *derived}.union(*groups) == set(document["expected_error"])
    assert not set(derived).intersection(*groups)


def test_bad_input_is_named():
    for words, arguments in {
        "unknown event": (["LOADZ"],),
        "no events": ([],),
        "twice": (["LOADS", "LOADS"],),
        "unknown PMU": (["LOADS"], 4, "z80"),
    }.items():
        with pytest.raises(InputError, match=words):
            plan(*arguments)
    assert isinstance(run("vendor:x").exception, InputError)
