"""Make a trace of any program: QEMU user mode with the counting plugin in ``data/plugin``, built when needed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from credence.bayesperf.data.pmu import PLUGIN_EVENTS
from credence.bayesperf.data.traces import INTERVAL_CYCLES, MACHINES, Trace
from credence.bench import paths
from credence.bench.errors import InputError, choose

PLUGIN = Path(__file__).parent / "plugin"
WORKLOADS = PLUGIN / "workloads.py"
QEMU = {"qemu-x86": "qemu-x86_64", "qemu-ppc64": "qemu-ppc64le"}
# QEMU's plugin interface was version 1, the plugin's, until 8; from 9 on only 2 and later are taken.
QEMU_VERSIONS = (6, 8)
_ELF_MACHINES = {62: "qemu-x86", 21: "qemu-ppc64"}

# One thread, and the same hashes in every run: the plugin would mix the counts of threads.
SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True)
class Traced:
    """A run under the plugin: the trace, and the program's own exit code."""

    trace: Trace
    exit_code: int


def find_qemu(machine: str) -> Path:
    """Return QEMU's user-mode program for a machine.

    Raises
    ------
    InputError
        If it is not installed, or is a version whose plugin interface is another.
    """
    name = QEMU[choose(machine, MACHINES, "machine")]
    found = shutil.which(name)
    if found is None:
        raise InputError(
            f"{name} is not installed; allowed: QEMU user mode {QEMU_VERSIONS[0]} to {QEMU_VERSIONS[1]} on the PATH "
            "(Debian 12: apt install qemu-user)"
        )
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"version (\d+)", said)
    if version is None or not QEMU_VERSIONS[0] <= int(version[1]) <= QEMU_VERSIONS[1]:
        shown = said.splitlines()[0] if said else "nothing"
        raise InputError(f"{name} --version says {shown!r}; allowed: {QEMU_VERSIONS[0]} to {QEMU_VERSIONS[1]}")
    return Path(found)


def build_plugin(folder: Path | None = None) -> Path:
    """Compile the counting plugin, unless these sources were compiled before.

    Parameters
    ----------
    folder : Path or None
        Where to keep it; below the cache (``CREDENCE_CACHE``) when None.

    Returns
    -------
    Path
        The shared library.

    Raises
    ------
    InputError
        If there is no C compiler, or it fails.
    """
    sources = sorted([*PLUGIN.glob("*.c"), *PLUGIN.glob("*.h")])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    target = (folder or paths.cache_dir() / "bayesperf-plugin") / f"libcounting-{digest}.so"
    if target.is_file():
        return target
    compiler = next((path for path in map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang")) if path), None)
    if compiler is None:
        raise InputError("no C compiler (cc, gcc or clang) on the PATH; allowed: one, to build the counting plugin")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        built = Path(scratch) / "built.so"
        options = ["-std=gnu11", "-O2", "-fPIC", "-shared", "-o", str(built)]
        command = [compiler, *options, str(PLUGIN / "counting_plugin.c")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InputError(f"{Path(compiler).name} can't compile the counting plugin: {done.stderr.strip()[:400]}")
        os.replace(built, target)
    return target


def workloads() -> tuple[str, ...]:
    """Return the names of our own jobs (``data/plugin/workloads.py``)."""
    return tuple(re.findall(r"^def (\w+)\(scale, draw, text\):", WORKLOADS.read_text(encoding="utf-8"), re.MULTILINE))


def resolve(command: Sequence[str], depth: int = 0) -> tuple[str, list[str]]:
    """Find the program that a command runs, and the machine it is for.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; a script is run by the interpreter that its first line names, as the kernel would.

    Returns
    -------
    machine : str
        ``"qemu-x86"`` or ``"qemu-ppc64"``.
    command : list of str
        The same with the path of the program, or of the interpreter in front.

    Raises
    ------
    InputError
        If there is no such program, or it is for another machine.
    """
    if not command:
        raise InputError("no command; allowed: a program and its arguments after --")
    path = shutil.which(command[0])
    if path is None:
        raise InputError(f"program {command[0]!r}: not found; allowed: a path or a name on the PATH")
    with open(path, "rb") as stream:
        head = stream.read(256)
    if head.startswith(b"#!") and depth < 4:
        words = head[2:].split(b"\n")[0].decode(errors="replace").split(maxsplit=1)
        if len(words) == 2 and Path(words[0]).name == "env":
            words = words[1].split(maxsplit=1)
        return resolve([*words, path, *command[1:]], depth + 1)
    little_endian_64 = head.startswith(b"\x7fELF\x02\x01") and len(head) >= 20
    machine = _ELF_MACHINES.get(int.from_bytes(head[18:20], "little")) if little_endian_64 else None
    if machine is None:
        raise InputError(f"program {path}: allowed: a Linux program for x86-64 or ppc64le, or a script for one")
    return machine, [path, *command[1:]]


def record_trace(
    command: Sequence[str], interval: int = INTERVAL_CYCLES, rows: int = 6000, sysroot: Path | None = None
) -> Traced:
    """Run a program under QEMU and the counting plugin, and return its trace.

    Parameters
    ----------
    command : sequence of str
        Program and arguments. Only this process is counted, not those it starts.
    interval : int
        Length of an interval [model cycles].
    rows : int
        Most intervals to record; the program runs to its end.
    sysroot : Path or None
        Folder with the libraries of a program for another machine (QEMU's ``-L``).

    Returns
    -------
    Traced
        The program's own output goes where it would.

    Raises
    ------
    InputError
        If QEMU, the compiler or the program is missing, a number is out of range, or the run is shorter than one
        interval.
    """
    for value, name, low in ((interval, "--interval", 1000), (rows, "--rows", 1)):
        if value < low:
            raise InputError(f"{name} is {value}; allowed: an integer >= {low}")
    machine, program = resolve(command)
    qemu = find_qemu(machine)
    plugin = build_plugin()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "trace.csv"
        options = ["-L", str(sysroot)] if sysroot else []
        options += ["-cpu", "power9"] if machine == "qemu-ppc64" else []
        options += ["-plugin", f"{plugin},out={out},interval={interval},maxrows={rows}"]
        done = subprocess.run([str(qemu), *options, *program], env=os.environ | SETTINGS, check=False)
        if not out.is_file():
            raise InputError(f"{qemu.name} wrote no trace (exit code {done.returncode}); its message stands above")
        found = read_trace(out, machine, Path(program[0]).name)
    return Traced(found, done.returncode)


def read_trace(path: Path, machine: str, program: str) -> Trace:
    """Read a trace that the plugin or ``credence bayesperf trace`` wrote.

    Raises
    ------
    InputError
        If the columns are not the plugin's events, a cell is no count, or there is no interval: by line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}; allowed: a trace as CSV text") from error
    header = tuple(lines[0].split(",")) if lines else ()
    skip = 1 if header[:1] == ("interval",) else 0
    if header[skip:] != PLUGIN_EVENTS:
        raise InputError(
            f"{path}, line 1: other columns than the plugin's; allowed: {', '.join(PLUGIN_EVENTS[:4])}, ..."
        )
    counts = np.empty((len(lines) - 1, len(PLUGIN_EVENTS)), dtype=np.int64)
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split(",")[skip:]
        if len(cells) != len(PLUGIN_EVENTS) or not all(cell.isascii() and cell.isdigit() for cell in cells):
            raise InputError(f"{path}, line {number}: {line[:40]!r}...; allowed: {len(PLUGIN_EVENTS)} counts")
        counts[number - 2] = [int(cell) for cell in cells]
    if not len(counts):
        raise InputError(f"{path}: no interval, the run was too short; allowed: a longer one, or a shorter --interval")
    return Trace(program, machine, PLUGIN_EVENTS, counts)


if __name__ == "__main__":  # `make plugin`
    try:
        find_qemu("qemu-x86")
        print(f"built {build_plugin()}")
    except InputError as problem:
        sys.exit(f"the counting plugin is not built: {problem}")
