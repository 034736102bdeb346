"""`credence kaleidoscope localise` and `watch`: what they write, say and refuse."""

import contextlib
import time

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from credence.bench.errors import InputError
from credence.kaleidoscope import cli_localise, cli_watch
from credence.kaleidoscope.data.topology import topology
from credence.kaleidoscope.evaluate.health import COLUMNS

HEADER = "time_s,client,target,operation,sent,succeeded,missing"


def run(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(item) for item in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def log(path, windows=3, dead=(), length=60):
    """`dead` names (window, target) whose probes all fail."""
    lines = [HEADER]
    for number in range(windows):
        for client in ("client1", "client2"):
            for letter in "ABCD":
                good = 0 if (number, f"ost_{letter}") in dead else 20
                lines.append(f"{number * length + 1},{client},ost_{letter},wrex,20,{good},0")
            lines.append(f"{number * length + 2},{client},mds,rmex,20,20,0")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_localise_writes_one_row_a_component(tmp_path):
    probes = log(tmp_path / "p.csv", dead={(k, "ost_C") for k in range(3)})
    result = run(cli_localise.localise, probes, "--topology", "moosefs", "--out", tmp_path / "h.csv")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "h.csv", keep_default_na=False)
    assert tuple(table.columns) == COLUMNS
    assert table["component"].tolist() == list(topology("moosefs").components)
    suspects = table[table["state"] != "up"]
    assert set(suspects["component"]) == {"oss_C", "ost_C"}
    assert suspects["set"].nunique() == 1
    assert "priors: P(up): client" in result.output
    assert "600 probes in 10 cells, 120 failed, 0 missing; 2 components not up" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h.csv", "p.csv"]


def test_localise_by_windows_gives_each_its_time(tmp_path):
    probes = log(tmp_path / "p.csv", dead={(1, "ost_C")})
    arguments = ("--topology", "moosefs", "--out", tmp_path / "h.csv", "--window", 60)
    assert run(cli_localise.localise, probes, *arguments).exit_code == 0
    table = pd.read_csv(tmp_path / "h.csv", keep_default_na=False)
    assert table["start_s"].unique().tolist() == [0, 60, 120]
    assert table[table["state"] != "up"]["start_s"].unique().tolist() == [60]


def test_a_topology_of_ones_own_and_a_prior_by_kind(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        'name = "own"\n[components]\nclient = ["a{0..2}"]\nmetadata = ["m"]\nserver = ["s"]\ntarget = ["t"]\n'
        '[[target]]\nname = "t"\nmetadata = "m"\nserver = "s"\n'
    )
    probes = tmp_path / "p.csv"
    probes.write_text(HEADER + "\n0,a0,t,crwr,5,5,0\n0,a1,t,crwr,5,5,0\n0,a2,t,crwr,5,0,0\n")
    arguments = ("--topology", own, "--out", tmp_path / "h.csv", "--prior", "client=0.9", "--prior", "server=0.99")
    result = run(cli_localise.localise, probes, *arguments)
    assert "client 0.9" in result.output
    table = pd.read_csv(tmp_path / "h.csv", keep_default_na=False).set_index("component")
    assert table.loc["a2", "state"] == "down"
    assert table.loc["a2", "rank"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--topology", "bluewater"), "did you mean 'bluewaters'"),
        (("--topology", "moosefs", "--lnet", "and"), "unknown variant lnet 'and'"),
        (("--topology", "moosefs", "--missing", "lost"), "unknown variant missing 'lost'"),
        (("--topology", "moosefs", "--window", "0"), "seconds above 0"),
        (("--topology", "moosefs", "--prior", "disk=0.9"), "unknown kind in --prior 'disk'"),
        (("--topology", "moosefs", "--prior", "target"), "--prior 'target'"),
        (("--topology", "moosefs", "--prior", "target=1"), "allowed: between 0 and 1"),
        (("--topology", "bluewaters"), "line 2, column 'target'"),
    ],
)
@pytest.mark.parametrize("command", [cli_localise.localise, cli_watch.watch])
def test_bad_input_is_refused_and_nothing_written(tmp_path, command, arguments, says):
    probes = log(tmp_path / "p.csv")
    with pytest.raises(InputError, match=says):
        run(command, probes, "--out", tmp_path / "h.csv", *arguments)
    assert not (tmp_path / "h.csv").exists()


def test_the_log_itself_is_never_overwritten(tmp_path):
    probes = log(tmp_path / "p.csv")
    for command in (cli_localise.localise, cli_watch.watch):
        with pytest.raises(InputError, match="is the file that is read"):
            run(command, probes, "--topology", "moosefs", "--out", probes)
    with pytest.raises(InputError, match="is the file of --out"):
        run(cli_watch.watch, probes, "--topology", "moosefs", "--out", tmp_path / "a", "--events", tmp_path / "a")
    with pytest.raises(InputError, match=r"--every 0; allowed"):
        run(cli_watch.watch, probes, "--topology", "moosefs", "--every", 0)


def test_watch_goes_window_by_window_and_keeps_the_last(tmp_path):
    probes = log(tmp_path / "p.csv", windows=4, dead={(1, "ost_C"), (2, "ost_C")})
    out, events = tmp_path / "h.csv", tmp_path / "e.csv"
    arguments = ("--topology", "moosefs", "--window", 60, "--out", out, "--events", events)
    result = run(cli_watch.watch, probes, *arguments)
    assert result.exit_code == 0, result.output
    assert "4 windows, 2 spells" in result.output
    assert pd.read_csv(out)["start_s"].unique().tolist() == [180]
    table = pd.read_csv(events)
    assert set(table["component"]) == {"oss_C", "ost_C"}
    assert set(zip(table["start_s"], table["end_s"], strict=True)) == {(60, 180)}


def test_following_ends_cleanly_on_ctrl_c_with_whole_files(tmp_path, monkeypatch):
    probes = log(tmp_path / "p.csv", windows=2, dead={(0, "ost_C")})
    out, turns = tmp_path / "h.csv", []

    def grow(_):
        turns.append(out.exists() and pd.read_csv(out)["start_s"].unique().tolist())
        if len(turns) == 2:
            raise KeyboardInterrupt
        log(probes, windows=3, dead={(0, "ost_C")})  # one more window: completes the second

    monkeypatch.setattr(time, "sleep", grow)
    arguments = ("--topology", "moosefs", "--window", 60, "--out", out, "--follow")
    result = run(cli_watch.watch, probes, *arguments)
    assert result.exit_code == 0, result.output
    assert turns == [[0], [60]]
    assert "stopped: 2 windows, 2 spells" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h.csv", "p.csv"]


def test_the_live_table_names_what_is_not_up(tmp_path):
    from rich.console import Console

    from credence.kaleidoscope.data.probes import read_probes
    from credence.kaleidoscope.evaluate.health import health
    from credence.kaleidoscope.evaluate.spells import Spells

    system = topology("moosefs")
    windows = read_probes(log(tmp_path / "p.csv", windows=2, dead={(0, "ost_C")}), system, 60)
    spells, shown = Spells(), []
    for window in windows:
        found = health(system, window)
        spells.add(window.start_s, window.start_s + 60, found.suspects)
        console = Console(width=110, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        with contextlib.closing(console.file):
            console.print(cli_watch.panel(found, window, spells, 60.0))
            shown.append(console.export_text())
    assert "ost_C" in shown[0]
    assert "ambiguous" in shown[0]
    assert "all that can be told is up" in shown[1]
    assert np.isclose(found.table["p_healthy"].min(), 1, atol=0.01)
