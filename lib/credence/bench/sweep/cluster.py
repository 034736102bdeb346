"""Where points are computed: a cluster on this machine's loopback, or a scheduler by its address."""

import contextlib
import json
import logging
import queue
import re
import signal
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable

from credence.bench import record, runner
from credence.bench.errors import InputError
from credence.bench.sweep import point

CONNECT_S = 15.0  # for a scheduler to answer, and for its first worker
RETRY_S = 0.2
QUIET_S = 20.0  # without a result before looking whether there are workers at all
# A scheduler passes messages on; what it computes with does not matter.
_SCHEDULER_NEEDS = ("python", "dask", "distributed")
_LOGGERS = ("distributed", "distributed.client", "distributed.scheduler", "tornado.application", "asyncio")
_ADDRESS = re.compile(r"tcp://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")


def address(text: str) -> str:
    """Return a scheduler's address, checked.

    Raises
    ------
    InputError
        If it is not of the form ``tcp://host:port``.
    """
    match = _ADDRESS.fullmatch(text)
    if not match or not 0 < int(match[2]) < 65536:
        raise InputError(f"--scheduler {text!r}; allowed: tcp://host:port, such as tcp://192.0.2.7:8786")
    return text


@contextlib.contextmanager
def _no_interrupt():
    """Let processes started meanwhile ignore Ctrl-C, which reaches the whole group: the caller ends them tidily."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _quiet():
    """Keep the logs of Dask to themselves: a lost worker or scheduler is told once, in our words."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def local(jobs: int | None, n_points: int):
    """Yield a client of a cluster started here: one process and one thread a worker, loopback only.

    Parameters
    ----------
    jobs : int or None
        Workers; None is one a core.
    n_points : int
        Points to do; there are never more workers.
    """
    import dask
    from dask.system import CPU_COUNT
    from distributed import Client, LocalCluster

    # a point may spend hours inside one call of compiled code that lets no heartbeat through
    settings = {"distributed.scheduler.worker-ttl": None, "distributed.worker.profile.enabled": False}
    # workers that are ended in the middle of a point leave their scratch files behind
    scratch = tempfile.TemporaryDirectory(prefix="credence-sweep-", ignore_cleanup_errors=True)
    with _quiet(), scratch as folder, dask.config.set(settings):
        with _no_interrupt():
            cluster = LocalCluster(
                n_workers=min(jobs or CPU_COUNT, n_points),
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                silence_logs="CRITICAL",
                dashboard_address=None,
                # the scheduler's HTTP server can't be left out: a free port of the loopback
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                local_directory=folder,
                env=dict.fromkeys(runner.THREAD_SETTINGS, "1") | {"TMPDIR": folder},
            )
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


@contextlib.contextmanager
def remote(scheduler: str, kind: str, target: str, print_now: dict):
    """Yield a client of the scheduler at this address, once its workers are seen to be like this process.

    Raises
    ------
    InputError
        If no scheduler or no worker answers in time, or packages, library, notebook or data differ.
    """
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # an error below, in full
            try:
                client = stack.enter_context(Client(scheduler, timeout=CONNECT_S, set_as_default=False))
            except Exception as error:  # refused, timed out, or something else listens there
                raise InputError(
                    f"--scheduler {scheduler}: no Dask scheduler answered within {CONNECT_S:g} s "
                    f"({type(error).__name__}: {' '.join(str(error).split())[:200]}); start one with `dask scheduler`"
                ) from None
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError:
            raise InputError(
                f"--scheduler {scheduler}: no worker within {CONNECT_S:g} s; start some: `dask worker {scheduler}`"
            ) from None
        _check_versions(client, scheduler)
        _check_fingerprints(client, kind, target, print_now)
        yield client


def _check_versions(client, scheduler: str) -> None:
    found = client.get_versions(packages=record.VERSIONS_OF)
    mine = found["client"]["packages"]
    others = {f"scheduler {scheduler}": (found["scheduler"]["packages"], _SCHEDULER_NEEDS)}
    others |= {
        f"worker {name}": (answer["packages"], tuple(mine)) for name, answer in found["workers"].items() if answer
    }
    for who, (theirs, names) in others.items():
        for name in names:
            here, there = mine[name], theirs.get(name)
            if name == "python":  # its bug-fix releases change neither numbers nor messages
                here, there = (version and ".".join(version.split(".")[:2]) for version in (here, there))
            if here != there:
                raise InputError(f"{who} has {name} {there or '(none)'}; allowed: {here}, as this process has")


def _check_fingerprints(client, kind: str, target: str, print_now: dict) -> None:
    answers = client.run(point.loaded_fingerprint, kind, target, on_error="return")
    for name, answer in answers.items():
        if isinstance(answer, OSError):
            continue  # the worker has gone; the scheduler will notice
        if isinstance(answer, Exception):
            raise InputError(f"worker {name} can't run {target}: {type(answer).__name__}: {answer}")
        theirs = json.loads(answer)
        if point.digest(theirs) != point.digest(print_now):
            what = point.differences(theirs, print_now)
            raise InputError(f"worker {name} differs from this process ({what}); update its checkout and restart it")


def collect(client, tasks: dict[str, str], ended: Callable[[str, dict], None], notice: Callable[[str], None]) -> None:
    """Have tasks computed and hand over each answer as it comes, in this thread.

    A worker that dies takes no answer with it: its tasks are computed by others (up to Dask's ``allowed-failures``,
    so that one point can't kill them all). When the scheduler is lost the rest is left undone.

    Parameters
    ----------
    client : distributed.Client
        From `local` or `remote`.
    tasks : dict of str to str
        What `point.compute_point` takes, by point_id.
    ended : callable
        Called with point_id and answer, once a point. What it raises cancels the rest.
    notice : callable
        Called with a sentence for the person who waits.
    """
    nonce = uuid.uuid4().hex[:8]  # another caller's point of the same name is not ours to cancel
    keys = {f"{name}-{nonce}": name for name in tasks}
    ready: queue.SimpleQueue = queue.SimpleQueue()
    waiting = {f.key: f for f in client.map(point.compute_point, list(tasks.values()), key=list(keys), pure=False)}
    for future in waiting.values():
        future.add_done_callback(ready.put)
    try:
        while waiting:
            future = None
            try:
                future = ready.get(timeout=QUIET_S)
                # may wait although it was ready: its worker has died since, and another computes it again
                answer = json.loads(future.result(timeout=QUIET_S))
            except (queue.Empty, TimeoutError):
                if future is not None:
                    ready.put(future)
                if not client.scheduler_info()["workers"]:
                    notice("no worker is connected; waiting for one (Ctrl-C keeps what is finished)")
                continue
            except Exception as error:
                if future.cancelled():
                    notice(f"the scheduler was lost; {len(waiting)} points are left undone")
                    return
                if isinstance(error, OSError):  # the connection broke just now; the future will say what follows
                    time.sleep(RETRY_S)
                    ready.put(future)
                    continue
                # as a rule KilledWorker: every worker that tried it died
                answer = {"failure": [f"{type(error).__name__}: {' '.join(str(error).split())}"]}
            ended(keys[future.key], answer)
            waiting.pop(future.key)
    except BaseException:
        with contextlib.suppress(Exception):
            client.cancel(list(waiting.values()))
        raise
