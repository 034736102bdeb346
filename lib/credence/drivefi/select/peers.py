"""Selectors that run in an environment of their own, because what they need clashes with ours: VerifAI.

``make peers`` makes the environment (``.venv-peers``). Both sides exchange lines: a proposal, its margin, the next one;
every simulation is made and paid for on this side.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np

from credence.bench import paths
from credence.bench.errors import InputError, choose
from credence.drivefi.select.pool import PoolView, Purse

SCRIPT = Path(__file__).with_name("peer_verifai.py")
# Proposals that were simulated before cost nothing, and a sampler that has narrowed down may make nothing else.
PROPOSALS_PER_SIMULATION = 20


def peers_python() -> Path:
    """Return the Python of the peers' environment: ``CREDENCE_PEERS``, else ``.venv-peers`` of the checkout.

    Raises
    ------
    InputError
        If there is none; says how to make it.
    """
    named = os.environ.get("CREDENCE_PEERS")
    found = Path(named) if named else paths.root() / ".venv-peers" / "bin" / "python"
    if not found.is_file():
        raise InputError(f"no Python of the peers at {found}; run `make peers`, or name one in CREDENCE_PEERS")
    return found


def verifai(
    pool: PoolView,
    purse: Purse,
    rng: np.random.Generator,
    sampler: str = "ce",
    threshold: float = 0.0,
    alpha: float = 0.9,
    command: tuple[str, ...] | None = None,
) -> None:
    """Let VerifAI propose faults until the budget is spent.

    Parameters
    ----------
    pool, purse, rng
        As for every selector.
    sampler : str
        ``ce`` (cross-entropy) or ``mab`` (multi-armed bandit).
    threshold : float
        Margin [m] below which a sample moves the sampler's distribution; VerifAI's own is 0, a failure.
    alpha : float
        Share of the distribution that a step keeps; VerifAI's own is 0.9.
    command : tuple of str, optional
        Program to run instead of VerifAI's.

    Raises
    ------
    InputError
        Without the peers' environment, for an unknown sampler, or if the other side breaks off or answers nonsense.
    """
    choose(sampler, ("ce", "mab"), "sampler")
    place = {key: fault for fault, key in enumerate(_keys(pool))}
    told = {
        "runs": int(pool.run.max()) + 1,
        "scenes": int(pool.position.max()) + 1,
        "types": len(pool.fault_embedding),
        "sampler": sampler,
        "threshold": threshold,
        "alpha": alpha,
        "seed": int(rng.integers(2**31)),
    }
    command = command or (str(peers_python()), str(SCRIPT))
    proposals = PROPOSALS_PER_SIMULATION * purse.left
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            answer = json.dumps(told)
            while purse.left and proposals:
                proposals -= 1
                fault = _asked(other, answer, place)
                # a fault that is not in the pool is no failure: the largest margin there is
                answer = repr(float(purse.margins([fault])[0]) if fault is not None else float(pool.golden.max()))
        finally:
            other.kill()


def _keys(pool: PoolView) -> list[tuple[int, int, int]]:
    scene = pool.scene
    return list(zip(pool.run[scene].tolist(), pool.position[scene].tolist(), pool.type.tolist(), strict=True))


def _asked(other: subprocess.Popen, answer: str, place: dict) -> int | None:
    try:
        other.stdin.write(answer + "\n")
        other.stdin.flush()
        line = other.stdout.readline()
        run, scene, kind = (int(word) for word in line.split(","))
    except (BrokenPipeError, ValueError):
        raise InputError(
            f"the peer's program ended, or answered no `run,scene,type` (return code {other.poll()})"
        ) from None
    return place.get((run, scene, kind))
