"""The prober: run as a program inside the cluster, one for each client; it uses the standard library only.

Usage: ``probe.py MOUNT CLIENT TARGETS SECONDS INTERVAL TIMEOUT`` with targets as letters, ``ABCD``. It writes one JSON
object a line: ``t`` (seconds since 1970 at launch), ``client``, ``target``, ``op``, ``dt``, ``errno``, ``outcome``.

Every request is made by a child of its own lane (a target and kind of operation), so a hung mount never blocks the
prober: after TIMEOUT seconds the request counts as timed out, the child is killed, and the next request gets another
child. A child that cannot be killed (the kernel waits for the mount) is left until the mount answers. A lane holds at
most STUCK of them; what it would have launched beyond that, or while a request is still under way, is *missing*, which
says nothing about the path. The number of requests is bounded by SECONDS / INTERVAL for each lane.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import signal
import socket
import sys
import time

STUCK = 16
BYTES = b"x" * 64  # paper §IV-A: 64 bytes


def write(path: str) -> None:
    """Write 64 bytes and wait until they are stored."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, BYTES, 0)
        os.fsync(file)
    finally:
        os.close(file)


def serve(channel: socket.socket) -> None:
    """Make the requests asked for, one line each, and answer ``latency errno``; the child's whole life."""
    while True:
        asked = channel.recv(4096).decode().split()
        if not asked:
            os._exit(0)
        operation, path = asked
        begin, code = time.monotonic(), 0
        try:
            os.remove(path) if operation == "rmex" else write(path)
        except OSError as error:
            code = error.errno or errno.EIO
        channel.send(f"{time.monotonic() - begin:.7f} {code}".encode())


class Lane:
    """One target and one kind of request: its child, what that is doing, and those that are stuck."""

    def __init__(self, folder: str, target: str, operations: tuple[str, ...], offset: float):
        self.folder, self.target, self.operations, self.offset = folder, target, operations, offset
        self.stuck: set[int] = set()
        self.child = 0
        self.channel: socket.socket | None = None
        self.asked: list[str] = []
        self.under_way: tuple[str, float, float] | None = None
        self.count = 0

    def launch(self, now: float) -> bool:
        """Begin this slot's requests; False if they are missing."""
        self.reap()
        if self.under_way or (self.channel is None and not self.fork()):
            return False
        self.count += 1
        self.asked = list(self.operations)
        return self.ask()

    def ask(self) -> bool:
        """Send the next request of the slot."""
        operation = self.asked.pop(0)
        path = f"{self.folder}/{self.target}/" + ("existing" if operation == "wrex" else f"new{self.count}")
        self.under_way = (operation, time.time(), time.monotonic())
        self.channel.send(f"{operation} {path}".encode())
        return True

    def fork(self) -> bool:
        """Get a child; False if too many are stuck."""
        if len(self.stuck) >= STUCK:
            return False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.child = os.fork()
        if self.child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            ours.close()
            try:
                serve(theirs)
            finally:
                os._exit(1)
        theirs.close()
        self.channel = ours
        return True

    def give_up(self) -> None:
        """Kill the child; it may take until the mount answers."""
        os.kill(self.child, signal.SIGKILL)
        self.stuck.add(self.child)
        self.channel.close()
        self.child, self.channel, self.under_way, self.asked = 0, None, None, []
        self.reap()

    def reap(self) -> None:
        """Forget children that have ended."""
        for child in list(self.stuck):
            try:
                if os.waitpid(child, os.WNOHANG)[0]:
                    self.stuck.discard(child)
            except ChildProcessError:
                self.stuck.discard(child)


def say(client: str, lane: Lane, operation: str, began: float, latency: float, code: int, outcome: str) -> None:
    """Write one line."""
    row = {"t": round(began, 6), "client": client, "target": "ost_" + lane.target, "op": operation}
    row |= {"dt": round(latency, 7), "errno": code, "outcome": outcome}
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def probe(mount: str, client: str, targets: str, seconds: float, interval: float, limit: float) -> None:
    """Probe for a time; see the top of this module."""
    kinds = (("wrex",), ("crwr", "rmex"))
    lanes = [Lane(f"{mount}/{client}", target, kind, 0.0) for target in targets for kind in kinds]
    start = time.monotonic() + 0.1
    slots = int(seconds / interval)
    due = [start + interval * k / len(lanes) for k in range(len(lanes))]
    sent = [0] * len(lanes)
    chooser = selectors.DefaultSelector()
    while any(count < slots for count in sent) or any(lane.under_way for lane in lanes):
        now = time.monotonic()
        for k, lane in enumerate(lanes):
            if lane.under_way and now - lane.under_way[2] >= limit:
                chooser.unregister(lane.channel)
                operation, began, _ = lane.under_way
                rest = lane.asked
                lane.give_up()
                say(client, lane, operation, began, limit, errno.ETIMEDOUT, "timeout")
                for name in rest:
                    say(client, lane, name, time.time(), 0.0, 0, "missing")
            if sent[k] < slots and now >= due[k]:
                sent[k] += 1
                due[k] += interval
                before = lane.channel
                if not lane.launch(now):
                    for name in lane.operations:
                        say(client, lane, name, time.time(), 0.0, 0, "missing")
                elif lane.channel is not before:
                    chooser.register(lane.channel, selectors.EVENT_READ, lane)
        times = [due[k] for k in range(len(lanes)) if sent[k] < slots]
        times += [lane.under_way[2] + limit for lane in lanes if lane.under_way]
        for key, _ in chooser.select(max(0.0, min(times, default=now) - time.monotonic())):
            answered(client, key.data, chooser)


def answered(client: str, lane: Lane, chooser: selectors.BaseSelector) -> None:
    """Take a child's answer and ask for the slot's next request."""
    answer = lane.channel.recv(4096).decode().split()
    operation, began, _ = lane.under_way
    if not answer:  # the child died of itself
        chooser.unregister(lane.channel)
        lane.give_up()
        say(client, lane, operation, began, 0.0, 0, "missing")
        return
    say(client, lane, operation, began, float(answer[0]), int(answer[1]), "done")
    lane.under_way = None
    if lane.asked:
        lane.ask()


if __name__ == "__main__":
    probe(sys.argv[1], sys.argv[2], sys.argv[3], *(float(word) for word in sys.argv[4:7]))
