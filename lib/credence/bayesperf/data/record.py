"""Run a program under ``perf`` with a schedule of our own: which events are on a counter in which slice.

The kernel's multiplexing rotates at timer ticks, inside every interval, and can't be told an order. perf can switch
single events on and off while it counts (``--control``, from Linux 5.12 on). So all events are opened, and those of the
present configuration are enabled; an event that is not enabled needs no counter.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from credence.bayesperf.data.logs_perf import NOT_COUNTED, NOT_SUPPORTED
from credence.bayesperf.data.traces import READINGS
from credence.bench.errors import InputError

# Counts no hardware: it runs while the program does, and so tells what share of that time an event was on.
CLOCK = "task-clock"
SHORTEST_SLICE_MS, LONGEST_SLICE_MS = 40, 60_000
_ANSWER_S = 5.0
_SWITCHED = re.compile(r"Events? (\S+ )?(en|dis)abled$")


@dataclass(frozen=True)
class Recording:
    """What a run under a schedule left behind.

    Attributes
    ----------
    table : pandas.DataFrame [intervals × events, 4]
        ``time_s`` (text), ``event``, ``count`` scaled to the whole interval [events, NaN: not counted],
        ``running_fraction``: the tidy form of a log; there are READINGS intervals in a slice. (The program's exit code
        is not known: perf 6.1 says 0 after counting by intervals.)
    messages : tuple of str
        What the reader should know: no PMU here, events that the machine refused.
    """

    table: pd.DataFrame
    messages: tuple[str, ...] = ()


def find_perf() -> str:
    """Return the path of ``perf``; without it an InputError that says how to get it."""
    found = shutil.which("perf")
    if found is None:
        raise InputError("perf is not installed; allowed: Linux perf on the PATH (Debian: apt install linux-perf)")
    return found


def supported(events: Sequence[str]) -> dict[str, bool]:
    """Say of each event whether this machine can count it for a program of the user's.

    Parameters
    ----------
    events : sequence of str
        Names as ``perf stat -e`` takes them.

    Raises
    ------
    InputError
        If perf is missing, or an event is none that it knows.
    """
    answers = {}
    for event in dict.fromkeys(events):
        # one at a time: a name that perf doesn't know makes it refuse all others too
        done = subprocess.run(
            [find_perf(), "stat", "-x", ";", "-e", event, "--", "true"],
            capture_output=True,
            text=True,
            env=os.environ | {"LC_ALL": "C"},
            check=False,
        )
        counted = [line for line in done.stderr.splitlines() if line.count(";") >= 5]
        if done.returncode or not counted:
            reason = next((line.strip() for line in done.stderr.splitlines() if line.strip()), "no answer")
            raise InputError(f"event {event!r}: perf refuses it ({reason}); allowed: events that perf list shows")
        answers[event] = not counted[0].startswith(NOT_SUPPORTED)
    return answers


def has_pmu() -> bool:
    """Whether this machine counts in hardware; many virtual machines don't."""
    return supported(["cycles"])["cycles"]


@dataclass
class _Rotation:
    """The configuration that is on now, and perf's two ends of the wire to change it."""

    groups: list[frozenset[str]]
    always: frozenset[str]
    commands: int
    answers: int
    turn: int = -1
    on: frozenset[str] = field(default_factory=frozenset)

    def advance(self) -> None:
        """Switch to the next configuration."""
        self.turn = (self.turn + 1) % len(self.groups)
        wanted = self.groups[self.turn] | self.always
        # first off, then on: never more at a time than there are counters
        for word, events in (("disable", self.on - wanted), ("enable", wanted - self.on)):
            for event in sorted(events, key=lambda name: (name not in self.always, name)):
                os.write(self.commands, f"{word} {event}\n".encode())
                self._await_answer()
        self.on = wanted

    def _await_answer(self) -> None:
        import select

        ready, _, _ = select.select([self.answers], [], [], _ANSWER_S)
        answer = os.read(self.answers, 16) if ready else b"none"
        if not answer:
            raise BrokenPipeError
        if b"ack" not in answer:
            raise InputError("perf does not take --control commands; allowed: perf of Linux 5.12 or later")


def record(
    command: Sequence[str],
    groups: Sequence[Sequence[str]],
    always: Sequence[str] = (),
    slice_ms: int = 200,
    derived: Sequence[str] = (),
) -> Recording:
    """Run a command and count its events by a schedule.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; what it starts is counted with it.
    groups : sequence of sequences of str
        Configurations, one a slice, in turn; an event may be in several of them.
    always : sequence of str
        Events that have counters of their own: always on.
    slice_ms : int
        Length of a slice [ms]; it is read READINGS times, at equal distances.
    derived : sequence of str
        Events that are not counted, because relations give them: their rows are empty.

    Returns
    -------
    Recording
        perf switches about a millisecond after a slice ends: an event that goes off is not counted from then on, and
        the first count of one that comes on is scaled by the share of the program's running time that it was on.

    Raises
    ------
    InputError
        If perf or the command is missing, an event is unknown, no event can be counted, or `slice_ms` is out of range.
    """
    events = list(dict.fromkeys([*always, *(event for group in groups for event in group)]))
    _check(command, events, groups, slice_ms)
    can = supported(events)
    messages = []
    if not has_pmu():
        messages.append("this machine has no PMU that it may use: only software events and tracepoints are counted")
    refused = [event for event in events if not can[event]]
    if refused:
        messages.append(f"not supported here, never counted: {', '.join(refused)}")
    if len(refused) == len(events):
        raise InputError(f"{', '.join(refused)}: none of them is supported by this machine; allowed: events that are")
    counted = [frozenset(event for event in group if can[event]) for group in groups]
    fixed = frozenset(event for event in always if can[event]) | {CLOCK}
    watched = [CLOCK, *(event for event in events if can[event] and event != CLOCK)]
    rows = _run(command, watched, counted, fixed, max(slice_ms // READINGS, 10))
    table = pd.DataFrame(
        [(at, event, *row.get(event, (float("nan"), 0.0))) for at, row in rows for event in (*events, *derived)],
        columns=["time_s", "event", "count", "running_fraction"],
    )
    return Recording(table, tuple(messages))


def _check(command, events, groups, slice_ms) -> None:
    if not command or shutil.which(command[0]) is None:
        shown = command[0] if command else ""
        raise InputError(f"command {shown!r}: not found; allowed: a program on the PATH and its arguments after --")
    if not groups or not all(groups):
        raise InputError("a configuration without events; allowed: at least one event in each")
    for event in events:
        if re.search(r"[\s,{}]", event.split("/")[0]) or not event:
            raise InputError(f"event {event!r}; allowed: one event as perf stat -e takes it, without braces")
    if not SHORTEST_SLICE_MS <= slice_ms <= LONGEST_SLICE_MS:
        raise InputError(f"--slice is {slice_ms} ms; allowed: {SHORTEST_SLICE_MS} to {LONGEST_SLICE_MS}")


def _run(command, watched, groups, always, interval_ms) -> list[tuple[str, dict]]:
    commands_out, commands_in = os.pipe()
    answers_out, answers_in = os.pipe()
    log_out, log_in = os.pipe()
    words = [find_perf(), "stat", "-I", str(interval_ms), "-x", ";", "--log-fd", str(log_in), "-D", "-1"]
    words += ["--control", f"fd:{commands_out},{answers_in}", "-e", ",".join(watched), "--", *command]
    rotation = _Rotation(list(groups), always, commands_in, answers_out)
    handed = (commands_out, answers_in, log_in)
    try:
        process = subprocess.Popen(
            words,
            pass_fds=handed,
            env=os.environ | {"LC_ALL": "C"},
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    finally:
        for end in handed:
            os.close(end)
    passing = threading.Thread(target=_pass_on, args=(process.stderr,), daemon=True)
    passing.start()
    try:
        with os.fdopen(log_out, encoding="utf-8") as log:
            _advance(rotation)
            rows = _follow(log, len(watched), rotation)
    finally:
        for end in (commands_in, answers_out):
            os.close(end)
        if process.poll() is None and not _ends_soon(process):
            process.terminate()
    process.wait()
    passing.join(timeout=_ANSWER_S)
    if not any(row for _, row in rows):
        raise InputError(
            f"nothing was counted; allowed: a command that runs for some intervals of "
            f"{interval_ms} ms, and perf of Linux 5.12 or later"
        )
    return rows


def _pass_on(stream) -> None:
    """Show the program's error output without perf's remark on each event that is switched."""
    with stream:
        for line in stream:
            if not _SWITCHED.match(line):
                sys.stderr.write(line)


def _advance(rotation: _Rotation) -> None:
    with contextlib.suppress(BrokenPipeError):  # the program has ended, and perf with it
        rotation.advance()


def _follow(log, events: int, rotation: _Rotation) -> list[tuple[str, dict]]:
    """Read intervals as perf writes them, and switch after every READINGS of them."""
    rows: list[tuple[str, dict]] = []
    lines: list[list[str]] = []
    for line in log:
        fields = [part.strip() for part in line.split(";")]
        if len(fields) < 6 or not fields[3]:
            continue
        lines.append(fields)
        if len(lines) < events:
            continue
        rows.append((fields[0], _interval(lines, rotation.on)))
        lines = []
        if len(rows) % READINGS == 0:
            _advance(rotation)
    return rows


def _interval(lines: list[list[str]], on: frozenset[str]) -> dict[str, tuple[float, float]]:
    """Counts of one interval: event -> (count scaled to the interval, share of the running time it was on)."""
    cells = {}
    clock_ns = next((float(fields[4]) for fields in lines if fields[3] == CLOCK), 0.0)
    for fields in lines:
        count, event = fields[1], fields[3]
        if event not in on or count in (NOT_COUNTED, NOT_SUPPORTED):
            continue
        # time on a counter over the program's running time; perf's own percentage is of the time enabled
        share = min(float(fields[4]) / clock_ns, 1.0) if clock_ns > 0 else 1.0
        percent = float(fields[5]) / 100
        if share <= 0 or percent <= 0:
            continue
        # perf has scaled by enabled over running already; what is left is the time before it was enabled
        enabled = min(share / percent, 1.0)
        cells[event] = (float(count) / enabled, min(share, 1.0))
    return cells


def _ends_soon(process: subprocess.Popen) -> bool:
    for _ in range(50):
        if process.poll() is not None:
            return True
        time.sleep(0.02)
    return False


def split_events(text: str) -> list[str]:
    """Split a list of events at its commas, those between the slashes of an event left alone (``cpu/a=1,b=2/``)."""
    events: list[str] = []
    open_part = ""
    for part in text.split(","):
        open_part = f"{open_part},{part}" if open_part else part
        if open_part.count("/") % 2 == 0:
            events.append(open_part.strip())
            open_part = ""
    if open_part or not all(events) or len(set(events)) != len(events):
        raise InputError(f"events {text!r}; allowed: different events separated by commas, slashes in pairs")
    return events


def read_plan(path: Path) -> tuple[list[str], list[list[str]], list[str]]:
    """Read what a plan counts, and what it leaves to the relations.

    Parameters
    ----------
    path : Path
        JSON as ``credence bayesperf plan --json`` writes it; of its keys, ``groups`` (lists of events) is needed;
        ``fixed`` (events that are always on) and ``expected_error`` (with all events) may be there.

    Returns
    -------
    always : list of str
    groups : list of list of str
    derived : list of str
        Events that no group counts.

    Raises
    ------
    InputError
        If the file is no such plan.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: {error}; allowed: JSON of credence bayesperf plan --json") from error
    groups, always = (document.get(name, []) if isinstance(document, dict) else None for name in ("groups", "fixed"))
    lists = groups if isinstance(groups, list) else [None]
    if not lists or not all(
        isinstance(each, list) and all(isinstance(e, str) for e in each) for each in [*lists, always]
    ):
        raise InputError(f"{path}: no groups; allowed: JSON with 'groups', a list of lists of events")
    listed = document.get("expected_error")
    listed = listed if isinstance(listed, dict) else {}
    return always, groups, [event for event in listed if not any(event in group for group in (always, *groups))]


def write_recording(recording: Recording, out: Path) -> None:
    """Write a recording as tidy CSV, which ``credence bayesperf correct`` reads."""
    from credence.bench.tables import write_csv

    write_csv(recording.table, out)
