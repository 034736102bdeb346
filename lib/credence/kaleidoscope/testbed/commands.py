"""Commands run with a time limit, a clear error, and nothing left over."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C"}


class CommandError(RuntimeError):
    """A command of the system failed; the message holds it and the end of what it said."""


def run(command: Sequence[str], timeout_s: float = 20.0, check: bool = True) -> str:
    """Run a command to its end and return what it printed.

    Parameters
    ----------
    command : sequence of str
    timeout_s : float
        It is killed after this time [s].
    check : bool
        False: a failure is no error (undoing what may not be there).

    Raises
    ------
    CommandError
        If it fails or takes too long.
    """
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, timeout=timeout_s, env=ENVIRONMENT, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        if not check:
            return ""
        raise CommandError(f"{' '.join(command)}: not finished after {timeout_s:g} s") from error
    except OSError as error:
        if not check:
            return ""
        raise CommandError(f"{' '.join(command)}: {error.strerror or error}") from error
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise CommandError(f"{' '.join(command)}: exit {done.returncode}: {' | '.join(said)}")
    return done.stdout
