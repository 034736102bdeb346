"""The cluster: brought up, looked at, taken away."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from credence.bench.errors import InputError
from credence.bench.record import write_atomic
from credence.kaleidoscope.testbed import layout
from credence.kaleidoscope.testbed.commands import ENVIRONMENT, CommandError, run

HOME = Path(tempfile.gettempdir()) / "credence-testbed"
GROUPS = (Path("/sys/fs/cgroup/blkio"), Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/cpuacct"))
LIFETIME_S = 3600
# What this process has started and must wait for when it takes the cluster away, so that no zombie stays.
_STARTED: list[subprocess.Popen] = []


@dataclass(frozen=True)
class Cluster:
    """A running cluster, as its state file says.

    Attributes
    ----------
    home : str
        Its folder.
    init : int
        First process of its PID namespace; with it everything ends.
    processes : dict of int
        Process id (as seen from outside) of each server and mount, by component.
    devices : dict of str
        Loop device of each target.
    started : float
        Seconds since 1970.
    """

    home: str
    init: int
    processes: dict[str, int] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    started: float = 0.0

    def mount(self, client: str) -> Path:
        """Where a client sees the file system (inside the cluster's mount namespace)."""
        return Path(self.home) / client / "mnt"

    def log(self, component: str) -> Path:
        """File that a component's own messages go to."""
        return Path(self.home) / component / "messages"

    def inside(self, component: str, command: list[str]) -> list[str]:
        """Return the command that runs `command` in the cluster, on a component's network."""
        entered = ["nsenter", f"--target={self.init}", "--mount", "--pid"]
        return [*entered, f"--net=/run/netns/{layout.PLACE[component].namespace}", "--", *command]

    def control(self, component: str, controller: str) -> Path:
        """Folder of a server's control group below ``blkio`` or ``cpu``."""
        return Path("/sys/fs/cgroup") / controller / (layout.PREFIX + component)


def state_file(home: Path = HOME) -> Path:
    """Where the state of a cluster is kept."""
    return home / "state.json"


def current(home: Path = HOME) -> Cluster | None:
    """Return the cluster that is up, or None."""
    try:
        found = Cluster(**json.loads(state_file(home).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if Path(f"/proc/{found.init}").exists() else None


def up(home: Path = HOME, lifetime_s: int = LIFETIME_S, say=print) -> Cluster:
    """Bring the cluster up; whatever goes wrong, nothing is left behind.

    Parameters
    ----------
    home : Path
        Folder for its files; made here and removed by :func:`down`.
    lifetime_s : int
        It ends by itself after this time, whatever happens to the command line [s].
    say : callable
        Takes one line of progress.

    Raises
    ------
    InputError
        If one is up already.
    CommandError
        If a step fails.
    """
    if current(home):
        raise InputError(f"a testbed is up already in {home}; allowed: `credence kaleidoscope testbed down` first")
    if not state_file(home).exists() and _others():
        raise InputError("a testbed with another folder is up; allowed: one at a time on a machine")
    remove(home)  # what an interrupted one may have left
    try:
        return _build(home, lifetime_s, say)
    except BaseException:  # also Ctrl-C
        remove(home)
        raise


def _build(home: Path, lifetime_s: int, say) -> Cluster:
    home.mkdir(parents=True, mode=0o700)
    for command in layout.network_commands():
        run(command)
    say(f"networks: {len(layout.PLACES)} namespaces, two bridges")
    cluster = Cluster(str(home), _init(lifetime_s), started=time.time())
    _save(cluster)
    for name in (*layout.SERVERS, layout.METADATA):
        for controller in ("blkio", "cpu", "cpuacct"):
            cluster.control(name, controller).mkdir(exist_ok=True)
    _metadata_server(cluster)
    for name in layout.SERVERS:
        _chunk_server(cluster, name)
    _save(cluster)
    say(f"servers: 1 metadata, {len(layout.SERVERS)} chunk servers, disks {', '.join(cluster.devices.values())}")
    time.sleep(1.0)
    for name in (*layout.CLIENTS, layout.LOADER):
        cluster.mount(name).mkdir(parents=True)
        _start(cluster, name, layout.mount_command(cluster.mount(name)))
    _ready(cluster)
    _save(cluster)
    say(f"up: {len(layout.CLIENTS)} probing clients, a client for load, 2 routers")
    return cluster


def _others() -> bool:
    """Whether any process is in a control group of a testbed."""
    return any(file.read_text() for file in Path("/sys/fs/cgroup/cpu").glob(f"{layout.PREFIX}*/cgroup.procs"))


def _init(lifetime_s: int) -> int:
    """Start the first process of the cluster; return its id."""
    command = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
        "sleep",
        str(lifetime_s),
    ]
    outer = subprocess.Popen(
        command, env=ENVIRONMENT, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _STARTED.append(outer)
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    for _ in range(100):
        found = children.read_text().split()
        if found and Path(f"/proc/{found[0]}/comm").read_text().strip() == "sleep":
            return int(found[0])
        time.sleep(0.02)
    outer.kill()
    raise CommandError(f"{' '.join(command)}: no process of its own after 2 s")


def _metadata_server(cluster: Cluster) -> None:
    folder = Path(cluster.home) / layout.METADATA
    _write(folder, layout.master_files(folder))
    _start(cluster, layout.METADATA, ["mfsmaster", "-c", str(folder / "server.cfg"), "-f", "start"])
    time.sleep(0.7)


def _chunk_server(cluster: Cluster, name: str) -> None:
    folder = Path(cluster.home) / name
    _write(folder, layout.server_files(folder, name))
    said = run(cluster.inside(name, ["sh", "-c", layout.disk_script(folder)]))
    cluster.devices["ost_" + name[-1]] = said.split()[-1]
    _start(cluster, name, ["mfschunkserver", "-c", str(folder / "server.cfg"), "-f", "start"])
    period = 100_000
    device = run(["lsblk", "-n", "-o", "MAJ:MIN", cluster.devices["ost_" + name[-1]]]).strip()
    _limit(cluster, name, "blkio", "blkio.throttle.write_bps_device", f"{device} {layout.DISK_BYTES_PER_S}")
    _limit(cluster, name, "cpu", "cpu.cfs_period_us", str(period))
    _limit(cluster, name, "cpu", "cpu.cfs_quota_us", str(int(period * layout.CPU_SHARE)))


def _limit(cluster: Cluster, name: str, controller: str, file: str, value: str) -> None:
    (cluster.control(name, controller) / file).write_text(value)


def _start(cluster: Cluster, name: str, command: list[str]) -> None:
    """Start a program of the cluster in the foreground; its messages go to a file."""
    cluster.log(name).parent.mkdir(parents=True, exist_ok=True)
    with cluster.log(name).open("ab") as messages:
        outer = subprocess.Popen(
            cluster.inside(name, command), env=ENVIRONMENT, start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=messages, stderr=messages,
        )  # fmt: skip
    _STARTED.append(outer)
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    for _ in range(150):
        found = children.read_text().split() if children.exists() else []
        if found and Path(f"/proc/{found[0]}/comm").read_text().strip() == command[0][:15]:
            break
        time.sleep(0.02)
    else:
        raise CommandError(f"{command[0]} of {name} did not start: {_last_lines(cluster.log(name))}")
    cluster.processes[name] = int(found[0])
    if name not in (*layout.CLIENTS, layout.LOADER):
        for controller in ("blkio", "cpu", "cpuacct"):
            (cluster.control(name, controller) / "cgroup.procs").write_text(found[0])


def _ready(cluster: Cluster) -> None:
    """Wait until every mount works, then make one folder for each target, pinned to it by a storage class."""
    client = layout.CLIENTS[0]
    deadline = time.monotonic() + 30
    for name in (*layout.CLIENTS, layout.LOADER):
        while "mfs" not in run(cluster.inside(name, ["findmnt", "-n", str(cluster.mount(name))]), check=False):
            if time.monotonic() > deadline:
                raise CommandError(f"the mount of {name} is not there: {_last_lines(cluster.log(name))}")
            time.sleep(0.2)
    root = cluster.mount(client)
    lines = ["set -e", f"cd {root}"]
    for letter in layout.LETTERS:
        lines.append(f"mfsscadmin create -m S {letter} only{letter}")
        folders = " ".join(f"{name}/{letter}" for name in (*layout.CLIENTS, layout.LOADER))
        lines += [f"mkdir -p {folders}", f"mfssetsclass -r only{letter} {folders}"]
    lines.append(f"mfssettrashtime -r 0 {root}")
    run(cluster.inside(client, ["sh", "-c", "\n".join(lines)]), timeout_s=30)


def _last_lines(path: Path) -> str:
    try:
        return " | ".join(path.read_text(errors="replace").splitlines()[-3:]) or "it said nothing"
    except OSError:
        return "it said nothing"


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def _save(cluster: Cluster) -> None:
    write_atomic(state_file(Path(cluster.home)), json.dumps(asdict(cluster), indent=1))


def down(home: Path = HOME) -> None:
    """Take everything away that :func:`up` made; safe to call twice, or when nothing is up."""
    remove(home)


def remove(home: Path) -> None:
    """End the cluster's processes (its mounts go with them), then its namespaces, control groups and files."""
    try:
        init = int(json.loads(state_file(home).read_text())["init"])
    except (OSError, ValueError, KeyError, TypeError):
        init = 0
    if init and _command(init).startswith(b"sleep\0"):
        for process in _entered(init):
            _kill(process)
        _kill(init)
        for _ in range(250):
            if not Path(f"/proc/{init}").exists():
                break
            time.sleep(0.02)
    while _STARTED:
        child = _STARTED.pop()
        try:
            child.wait(2)
        except subprocess.TimeoutExpired:
            child.kill()
    names = [layout.SWITCH, *(place.namespace for place in layout.PLACES)]
    for name in names:
        if Path(f"/run/netns/{name}").exists():
            run(["ip", "netns", "delete", name], check=False)
    for top in GROUPS:
        for folder in top.glob(layout.PREFIX + "*"):
            _remove_group(folder)
    if home.exists():
        shutil.rmtree(home)


def _entered(init: int) -> list[int]:
    """Return processes outside that wait for one inside; when a server is stopped they stop too, and stay stopped."""
    ids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return [each for each in ids if _command(each).startswith(b"nsenter\0--target=%d\0" % init)]


def _command(process: int) -> bytes:
    """Return a process's command line; process ids are used again, so it is looked at before a kill."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _remove_group(folder: Path) -> None:
    for _ in range(100):
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:  # its processes are about to end
            time.sleep(0.02)
