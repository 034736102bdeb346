"""The test cluster without root: what would be done, what is refused, and what is read of counters and messages."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from credence.bench.errors import InputError
from credence.kaleidoscope.cli import app
from credence.kaleidoscope.data.topology import topology
from credence.kaleidoscope.testbed import campaign, faults, layout, messages, overhead, probe, requirements, telemetry
from credence.kaleidoscope.testbed.cluster import Cluster

CLUSTER = Cluster("folder", 1, {"mds": 2, "oss_B": 3}, {"ost_A": "/dev/loop7"})


def test_components_are_those_of_the_topology():
    known = set(topology("moosefs").components)
    assert known == {*layout.CLIENTS, *layout.ROUTERS, layout.METADATA, *layout.SERVERS, *layout.TARGETS}
    assert {name for kind in faults.KINDS.values() for name in kind.components} <= known


def test_every_interface_is_in_a_namespace():
    for command in layout.network_commands():
        assert command[:2] == ["ip", "netns"] or command[:2] == ["ip", "-n"]
        assert command[2] in ("add", "exec") or command[2].startswith(layout.PREFIX)
    # an interface's name may have 15 characters
    assert max(len(f"{place.name}-c") for place in layout.PLACES) <= 15


@pytest.mark.parametrize("kind", faults.KINDS)
def test_what_a_fault_does_is_undone(kind):
    component = faults.check(kind, None)[1]
    forward, backward = faults.steps(kind, component, CLUSTER, "7:7")
    assert forward
    assert all(str(step) for step in forward)
    if forward[0].kind == "signal":
        assert (forward[0].what[1], backward[0].what) == ("SIGSTOP", (component, "SIGCONT"))
    elif forward[0].kind == "write":
        assert backward[0].what[0] == forward[0].what[0]
        assert backward[0].what[1] == f"7:7 {layout.DISK_BYTES_PER_S}"
    elif forward[0].kind == "run":
        assert "delete" in " ".join(backward[0].what)
    else:
        assert forward[0].kind == "load"  # ended with the block


@pytest.mark.parametrize(
    ("kind", "at", "words"),
    [
        ("earthquake", None, "kind of fault"),
        ("server-hang", "mds", "allowed: oss_A"),
        ("metadata-hang", "oss_A", "mds"),
    ],
)
def test_faults_that_cannot_be(kind, at, words):
    with pytest.raises(InputError, match=words):
        faults.check(kind, at)


def test_what_is_missing_is_named_with_its_package():
    every = dict.fromkeys(requirements.PROGRAMS, True)
    there = dict.fromkeys(requirements.PLACES, True)
    assert requirements.missing("linux", 0, every, there) == []
    assert "Linux" in requirements.missing("darwin", 0, every, there)[0]
    said = requirements.missing("linux", 1000, every | {"mfsmaster": False, "fio": False}, there | {"/dev/fuse": False})
    assert said[0].startswith("root")
    assert "apt-get install fio moosefs-master" in said[1]
    assert "FUSE" in said[2]


def test_commands_refuse_before_they_act():
    run = CliRunner().invoke
    for words, allowed in (
        (["fault", "server-hang", "--at", "ost_A"], "oss_A"),
        (["fault", "server-hang", "--seconds", "0"], "above 0"),
        (["run", "--fault", "nothing"], "server-hang"),
        (["run", "--every", "9", "--window", "5"], "window"),
        (["run", "--calibrate", "3"], "two windows"),
        (["run", "--out", "no/such/folder"], "existing folder"),
    ):
        done = run(app, ["testbed", *words])
        assert isinstance(done.exception, InputError)
        assert allowed in str(done.exception)


def test_faults_are_listed():
    done = CliRunner().invoke(app, ["testbed", "faults"])
    assert [line.split()[0] for line in done.output.splitlines()] == list(faults.KINDS)


def test_a_line_speaks_of_the_address_or_disk_in_it():
    devices = {"ost_A": "/dev/loop7"}
    assert messages.about("mds", "chunkserver disconnected - ip: 10.231.2.12 / port: 9422", devices) == "oss_B"
    assert messages.about("kernel", "I/O error, dev loop7, sector 8", devices) == "ost_A"
    assert messages.about("kernel", "I/O error, dev loop70, sector 8", devices) == "kernel"
    assert messages.about("oss_C", "long loop detected (8.0s)", devices) == "oss_C"
    assert messages.kernel_text("4,1203,88,-;EXT4-fs warning: x; y\n SUBSYSTEM=block") == "EXT4-fs warning: x; y"


def test_counters_become_rates():
    samples = pd.DataFrame([
        {"time_s": 1.0, "component": "oss_A", "disk_writes": 10, "disk_write_ms": 5, "queue_overlimits": 9, "load": 1},
        {"time_s": 3.0, "component": "oss_A", "disk_writes": 20, "disk_write_ms": 45, "queue_overlimits": 1, "load": 2},
        {"time_s": 1.0, "component": "router1", "received_packets": 100, "sent_packets": 100},
        {"time_s": 3.0, "component": "router1", "received_packets": 200, "sent_packets": 180},
    ])  # fmt: skip
    found = telemetry.rates(samples).set_index("component")
    assert found.loc["oss_A", "await_ms"] == 4.0
    assert found.loc["oss_A", "load"] == 2
    assert pd.isna(found.loc["oss_A", "queue_overlimits_per_s"])  # set back to 1: says nothing
    assert found.loc["router1", "lost"] == pytest.approx(0.2)
    assert pd.isna(found.loc["oss_A", "lost"])


def test_counters_are_read():
    disk = "   7       7 loop7 1 0 8 0 40 2 1600 75 1 90 165 0 0 0 0 0 0\n   7 8 loop8 0 0 0 0 0 0 0 0 0 0 0\n"
    assert telemetry.disk_counters(disk, "loop7")["disk_write_bytes"] == 512 * 1600
    assert telemetry.disk_counters(disk, "loop7")["disk_write_ms"] == 75
    assert telemetry.disk_counters(disk, "loop9") == {}
    text = "Inter-| Receive\n lo: 9 9 0 0 0 0 0 0 9 9 0\n e0: 10 2 0 0 0 0 0 0 30 4 0 0 0 0 0 0\n"
    assert telemetry.network_counters(text)["sent_bytes"] == 30
    assert telemetry.retransmits("Tcp: A RetransSegs\nTcp: 1 7\nUdp: x\n") == {"retransmits": 7.0}
    assert telemetry.queue_counters('[{"drops": 3, "overlimits": 4, "backlog": 5}]')["queue_bytes"] == 5
    assert telemetry.queue_counters("Cannot open") == {}


def test_the_plan_of_runs_moves_from_place_to_place():
    plan = campaign.planned()
    assert len(plan) == len(set(plan)) == campaign.BASE_RUNS + campaign.REPEATS * len(faults.KINDS)
    for kind in ("server-hang", "slow-disk"):
        assert len({place for name, place, _ in plan if name == kind}) == campaign.REPEATS


def test_what_fio_prints():
    text = 'fio: note\n{"jobs": [{"write": {"bw_bytes": 100, "iops": 2.5}}, {"write": {"bw_bytes": 50, "iops": 1}}]}'
    assert overhead.parse(text) == {"written_bytes_per_s": 150.0, "writes_per_s": 3.5}


@pytest.fixture
def folder():
    """A folder in memory: a busy disk may take longer than any time limit to store what was written."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        for letter in "AB":
            (Path(name) / "client1" / letter).mkdir(parents=True)
        yield Path(name)


def prober(mount: Path, seconds: float = 0.4, limit: float = 0.3) -> pd.DataFrame:
    """Run the prober as a program on a folder."""
    command = [sys.executable, "-I", "-S", probe.__file__, str(mount), "client1", "AB", str(seconds), "0.1", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return pd.DataFrame(json.loads(line) for line in done.stdout.splitlines())


def test_the_prober_probes_every_target_and_operation(folder):
    rows = prober(folder, limit=5.0)
    assert set(zip(rows["target"], rows["op"], strict=True)) == {
        (f"ost_{letter}", op) for letter in "AB" for op in ("wrex", "crwr", "rmex")
    }
    assert len(rows) == 2 * 3 * 4
    assert set(rows["outcome"]) <= {"done", "missing"}
    assert (rows["errno"] == 0).all()
    assert not list(folder.rglob("new*"))  # what was created was removed


def test_a_hung_target_blocks_neither_the_prober_nor_the_others(folder):
    os.mkfifo(folder / "client1" / "B" / "existing")  # opening it to write waits for a reader that never comes
    rows = prober(folder)
    hung = rows[(rows["target"] == "ost_B") & (rows["op"] == "wrex")]
    assert (hung["outcome"] == "timeout").any()
    assert set(hung["outcome"]) <= {"timeout", "missing"}
    assert (rows.loc[rows["target"] == "ost_A", "outcome"] == "done").any()


def test_the_cluster_comes_up_and_leaves_nothing(tmp_path):
    lacks = requirements.machine_lacks()
    if lacks or not os.environ.get("CREDENCE_TESTBED"):
        pytest.skip("; ".join(lacks) or "set CREDENCE_TESTBED=1 to let a test bring the cluster up as root")
    from credence.kaleidoscope.testbed import cluster

    home = tmp_path / "testbed"
    try:
        found = cluster.up(home, lifetime_s=120, say=lambda line: None)
        assert set(found.devices) == set(layout.TARGETS)
    finally:
        cluster.down(home)
    assert not home.exists()
    assert not list(Path("/run/netns").glob(layout.PREFIX + "*"))
