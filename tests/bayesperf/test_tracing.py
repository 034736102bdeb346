"""Traces of one's own programs. What needs QEMU is skipped, by name, where there is none."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from credence.bayesperf import cli_trace
from credence.bayesperf.data import tracing
from credence.bayesperf.data.pmu import PLUGIN_EVENTS
from credence.bench.errors import InputError

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler: the counting plugin can't be built"
)
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-x86_64") is None, reason="QEMU user mode is not installed: apt install qemu-user"
)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    return tracing.build_plugin(tmp_path_factory.mktemp("plugin"))


@needs_compiler
def test_the_plugin_compiles_without_a_warning_and_once(plugin, tmp_path):
    before = plugin.stat().st_mtime_ns
    assert tracing.build_plugin(plugin.parent) == plugin
    assert plugin.stat().st_mtime_ns == before
    strict = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", str(tmp_path / "x.so")]
    source = str(tracing.PLUGIN / "counting_plugin.c")
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    done = subprocess.run([compiler, *strict, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_plugin_has_the_events_that_we_know(tmp_path):
    text = (tracing.PLUGIN / "machine.h").read_text()
    block = text[text.index("#define EVENTS") : text.index("enum {")]
    assert tuple(part.split(")")[0] for part in block.split("X(")[1:]) == PLUGIN_EVENTS


def test_a_script_is_run_by_its_interpreter(tmp_path):
    script = tmp_path / "job"
    script.write_text(f"#!/usr/bin/env {sys.executable}\nprint(1)\n")
    script.chmod(0o755)
    head = Path(sys.executable).read_bytes()[:20]
    if not (head.startswith(b"\x7fELF\x02\x01") and int.from_bytes(head[18:20], "little") in (62, 21)):
        pytest.skip("this Python is neither for x86-64 nor for ppc64le")
    machine, command = tracing.resolve([str(script), "an argument"])
    assert machine in tracing.QEMU
    assert command == [sys.executable, str(script), "an argument"]


def test_programs_for_other_machines_are_refused(tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(40))  # AArch64
    other.chmod(0o755)
    with pytest.raises(InputError, match="allowed: a Linux program for x86-64 or ppc64le"):
        tracing.resolve([str(other)])
    with pytest.raises(InputError, match="'no-such-program': not found"):
        tracing.resolve(["no-such-program"])
    with pytest.raises(InputError, match="no command"):
        tracing.resolve([])
    for keywords, message in (({"interval": 10}, "--interval is 10"), ({"rows": 0}, "--rows is 0")):
        with pytest.raises(InputError, match=message):
            tracing.record_trace(["true"], **keywords)


def stand_in(folder, monkeypatch, body):
    path = folder / "qemu-x86_64"
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_a_missing_or_too_new_qemu_is_named(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, 'echo "qemu-x86_64 version 9.2.0"\n')
    with pytest.raises(InputError, match=r"version 9\.2\.0'; allowed: 6 to 8"):
        tracing.find_qemu("qemu-x86")
    stand_in(tmp_path, monkeypatch, 'echo "qemu-x86_64 version 7.2.22 (Debian)"\n')
    assert tracing.find_qemu("qemu-x86") == tmp_path / "qemu-x86_64"
    with pytest.raises(InputError, match=r"qemu-ppc64le is not installed.*apt install qemu-user"):
        tracing.find_qemu("qemu-ppc64")
    with pytest.raises(InputError, match="no C compiler"):
        tracing.build_plugin(tmp_path)


def test_a_trace_is_read_with_and_without_its_numbers(tmp_path):
    rows = np.arange(2 * len(PLUGIN_EVENTS)).reshape(2, -1)
    lines = [",".join(PLUGIN_EVENTS), *(",".join(map(str, row)) for row in rows)]
    plain, numbered = tmp_path / "a.csv", tmp_path / "b.csv"
    plain.write_text("\n".join(lines) + "\n")
    numbered.write_text("\n".join([f"interval,{lines[0]}", f"0,{lines[1]}", f"1,{lines[2]}"]))
    for path in (plain, numbered):
        found = tracing.read_trace(path, "qemu-x86", "job")
        np.testing.assert_array_equal(found.counts, rows)
    for text, message in (
        ("a,b\n1,2\n", "line 1: other columns"),
        (lines[0] + "\n", "no interval"),
        ("\n".join([*lines, lines[2][:-3]]), "line 4: .*allowed: 59 counts"),
        ("\n".join([lines[0], lines[1].replace(",5,", ",-5,")]), "line 2: .*allowed: 59 counts"),
    ):
        plain.write_text(text)
        with pytest.raises(InputError, match=message):
            tracing.read_trace(plain, "qemu-x86", "job")


@pytest.mark.parametrize("name", ["sort", "wordcount", "bayes", "pagerank", "nweight", "join", "kmeans", "als", "gbt"])
def test_the_jobs_do_the_same_every_time(name):
    module = runpy.run_path(str(tracing.WORKLOADS))
    assert name in tracing.workloads()
    assert set(tracing.workloads()) == set(module["JOBS"])
    import random

    one, two = (
        module["JOBS"][name](0.005, random.Random(1), lambda size: module["corpus"](size, __file__)) for _ in range(2)
    )
    assert one == two
    assert np.isfinite(float(one))


@needs_qemu
@needs_compiler
def test_a_real_program_is_counted_exactly(plugin, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(tracing, "build_plugin", lambda: plugin)
    command = ["sh", "-c", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; (exit 3)"]
    one, two = (tracing.record_trace(command, interval=50_000) for _ in range(2))
    assert one.exit_code == 3  # the fork that ended with it has written nothing
    counts = dict(zip(one.trace.events, one.trace.counts.T, strict=True))
    assert len(one.trace.counts) > 8
    lost = sum(counts[f"SL_{name}"] for name in ("RETIRING", "FRONTEND", "BADSPEC", "L2", "L3", "DRAM", "TLB"))
    np.testing.assert_array_equal(lost, counts["SLOTS"])
    np.testing.assert_array_equal(counts["LOADS"], counts["L1D_LD_HIT"] + counts["L1D_LD_MISS"])
    np.testing.assert_array_equal(counts["INST"], counts["SL_RETIRING"])
    # addresses differ from run to run, the instructions hardly do
    total = [found.trace.counts[:, 1].sum() / found.trace.counts[:, 0].sum() for found in (one, two)]
    assert total[0] == pytest.approx(total[1], rel=0.05)


@needs_qemu
@needs_compiler
def test_the_command_writes_a_trace(plugin, tmp_path, monkeypatch):
    monkeypatch.setattr(tracing, "build_plugin", lambda: plugin)
    app = typer.Typer()
    app.command()(cli_trace.trace)
    out = tmp_path / "t.csv"
    done = CliRunner().invoke(app, ["--out", str(out), "--interval", "20000", "--", "true"])
    assert done.exit_code == 0, done.output
    assert "real programs, simulated PMU" in done.output
    assert len(tracing.read_trace(out, "qemu-x86", "true").counts) >= 1


def test_the_command_refuses_what_it_can_not_do(tmp_path):
    app = typer.Typer()
    app.command()(cli_trace.trace)
    out = ["--out", str(tmp_path / "t.csv")]
    for arguments, message in (
        (out, "either a command"),
        ([*out, "--workload", "kmean"], "unknown workload 'kmean' .did you mean 'kmeans'"),
        ([*out, "--workload", "kmeans", "--scale", "0"], "--scale is 0"),
        (["--out", str(tmp_path / "no" / "t.csv"), "--", "true"], "whose folder exists"),
    ):
        with pytest.raises(InputError, match=message):
            CliRunner().invoke(app, arguments, catch_exceptions=False)


@needs_qemu
@needs_compiler
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed: no second opinion")
def test_callgrind_counts_the_same_instructions(plugin, tmp_path, monkeypatch):
    monkeypatch.setattr(tracing, "build_plugin", lambda: plugin)
    text = tmp_path / "text"
    text.write_bytes((tracing.PLUGIN / "machine.h").read_bytes() * 20)
    command = [shutil.which("gzip"), "-9", "-k", "-f", str(text)]
    found = tracing.record_trace(command, interval=10_000, rows=10**6).trace
    out = tmp_path / "callgrind.out"
    options = ["--tool=callgrind", "--cache-sim=yes", f"--callgrind-out-file={out}"]
    subprocess.run(["valgrind", *options, *command], check=True, capture_output=True)
    lines = dict(line.split(": ", 1) for line in out.read_text().splitlines() if line.startswith(("events", "summary")))
    theirs = dict(zip(lines["events"].split(), map(int, lines["summary"].split()), strict=True))
    ours = dict(zip(found.events, found.counts.sum(axis=0), strict=True))
    # the last interval is not written, and valgrind's loader is not QEMU's
    assert ours["INST"] == pytest.approx(theirs["Ir"], rel=0.01)
    assert ours["LOADS"] == pytest.approx(theirs["Dr"], rel=0.02)
    assert ours["L1D_LD_MISS"] == pytest.approx(theirs["D1mr"], rel=0.1)
