"""What a measured request shared: the iterations it decoded in, rebuilt from the instants of all requests of a run."""

from __future__ import annotations

import numpy as np
import pandas as pd

# A request that took part in fewer of the iterations of its life than this share was preempted on the way.
LEAST_SHARE = 0.9


def shared_work(run: pd.DataFrame, sweeps: int = 8) -> pd.DataFrame:
    """Reconstruct, from the instants of a measured run, the iterations each request decoded in, and what they held.

    Between two neighbouring instants of the run (a start, a first token, an end) the set of decoding requests is
    known. Each of them gets one token per iteration, so the rate of iterations in every such segment follows from
    the rates at which the requests present got their tokens; it is adjusted until the totals agree with the numbers of
    output tokens. A request that took part in markedly fewer iterations than passed in its life was preempted; it
    doesn't inform the rates, and counts in the others' batch with the share it took part in.

    Parameters
    ----------
    run [requests]
        One set-up: ``prompt_tokens``, ``output_tokens`` [tokens], ``start_s``, ``first_token_s``, ``end_s`` [s].
    sweeps
        How often the rates are adjusted.

    Returns
    -------
    pandas.DataFrame [requests, 7]
        Over the decode life (first token to end) of each request: ``iterations``; ``batch_sum`` and ``context_sum``,
        the batch size and the total context summed over these iterations; ``prefill_tokens`` and ``prefills``, the
        prompt tokens and the number of prompts that others had processed meanwhile; ``decode_s`` [s]; ``share``.
    """
    start, first, end = (run[name].to_numpy()[:, None] for name in ("start_s", "first_token_s", "end_s"))
    iterations = run["output_tokens"].to_numpy() - 1.0
    prompt = run["prompt_tokens"].to_numpy(dtype=float)
    edges = np.unique(np.concatenate([start, first, end]))
    length, middle = np.diff(edges), (edges[1:] + edges[:-1]) / 2
    decoding = (first <= middle) & (middle < end)  # [requests, segments]
    prefilling = (start <= middle) & (middle < first)

    steady = np.ones(len(run), dtype=bool)
    for _ in range(10):
        rate = _iteration_rate(decoding & steady[:, None], iterations, length, sweeps)
        share = iterations / (decoding @ (rate * length))
        share /= np.median(share[steady])
        if (steady == (share >= LEAST_SHARE)).all():
            break
        steady = share >= LEAST_SHARE

    passed = rate * length  # iterations in each segment
    present = decoding * np.minimum(share, 1.0)[:, None]
    done = np.cumsum(present * passed, axis=1) - present * passed / 2
    context = (present * (prompt[:, None] + 1 + done)).sum(axis=0)
    own = present * passed
    own *= (iterations / own.sum(axis=1))[:, None]
    part = prefilling * length / np.maximum(first - start, 1e-9)  # how much of a prefill lies in each segment
    return pd.DataFrame(
        {
            "iterations": iterations,
            "batch_sum": own @ present.sum(axis=0),
            "context_sum": own @ context,
            "prefill_tokens": decoding @ (part * prompt[:, None]).sum(axis=0),
            "prefills": decoding @ part.sum(axis=0),
            "decode_s": (end - first).ravel(),
            "share": share,
        },
        index=run.index,
    )


def _iteration_rate(decoding: np.ndarray, iterations: np.ndarray, length: np.ndarray, sweeps: int) -> np.ndarray:
    """Iterations per second in each segment [segments], from the requests decoding in it [requests, segments]."""
    present = decoding.sum(axis=0)
    seconds = decoding @ length
    informed = seconds > 0
    own = np.divide(iterations, seconds, out=np.zeros(len(iterations)), where=informed)
    rate = np.divide(own @ decoding, present, out=np.full(len(length), np.nan), where=present > 0)
    rate = pd.Series(rate).interpolate(limit_direction="both").to_numpy()  # segments that only preempted ones fill
    for _ in range(sweeps):
        total = decoding @ (rate * length)
        wanted = np.divide(iterations, total, out=np.ones(len(iterations)), where=informed)
        rate = rate * np.divide(wanted @ decoding, present, out=np.ones(len(length)), where=present > 0)
    return rate
