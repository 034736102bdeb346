"""How long a prediction takes: timed on a quiet machine and recorded, and timed in a run.

``python -m credence.ssjf.evaluate.length_times --out FILE`` trains the proxy without the own set's fold 0 and times its
predictions for that fold's prompts. What else a machine does shows in a 99th percentile first, so that claims are
judged by the recorded times.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import catalogue, seeds
from credence.bench.tables import write_parquet

RECORDED = "ssjf-predictor-times"
BATCHES = (8, 32)
WARM_UP = 5  # calls that are not counted: the first ones allocate


def time_predictions(proxy, prompts: Sequence[str], batches: Sequence[int] = BATCHES) -> pd.DataFrame:
    """Time a proxy's predictions, tokenizer included.

    Parameters
    ----------
    proxy : credence.ssjf.infer.proxy.Proxy
        The proxy.
    prompts : sequence of str
        What is asked: each once alone, and all in batches.
    batches : sequence of int
        Batch sizes beside 1; those larger than the prompts are left out.

    Returns
    -------
    pandas.DataFrame
        A row a call: ``precision`` (fp32, int8), ``batch`` [requests], ``seconds`` per request [s].
    """
    from credence.ssjf.infer import latency
    from credence.ssjf.infer.proxy import predict

    rows = []
    for precision, timed in (("fp32", proxy), ("int8", latency.int8(proxy))):
        alone = latency.single(timed)
        for prompt in prompts[:WARM_UP]:
            alone(prompt)
        for prompt in prompts:
            begun = time.perf_counter()
            alone(prompt)
            rows.append((precision, 1, time.perf_counter() - begun))
        for batch in batches:
            for start in range(0, len(prompts) - batch + 1, batch):
                begun = time.perf_counter()
                predict(timed, prompts[start : start + batch])
                rows.append((precision, batch, (time.perf_counter() - begun) / batch))
    return pd.DataFrame(rows, columns=["precision", "batch", "seconds"])


def latency_frame(timed: pd.DataFrame) -> pd.DataFrame:
    """Return ``name``, ``p50_ms``, ``p99_ms``, ``calls`` of `time_predictions`, a row a precision and batch size."""
    rows = []
    for (precision, batch), part in timed.groupby(["precision", "batch"], sort=False):
        p50, p99 = 1000 * part["seconds"].quantile([0.5, 0.99]).to_numpy()
        name = f"{precision}, {'one at a time' if batch == 1 else f'batches of {batch}'}"
        rows.append({"name": name, "p50_ms": p50, "p99_ms": p99, "calls": len(part)})
    return pd.DataFrame(rows)


def p99_draws(milliseconds: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return bootstrap draws over prompts [draws] of the 99th percentile of times [prompts], in ms."""
    milliseconds = np.asarray(milliseconds, dtype=float)
    rng = seeds.generator(seed, "latency")
    return np.array([np.percentile(rng.choice(milliseconds, milliseconds.size), 99) for _ in range(draws)])


def recorded() -> pd.DataFrame:
    """Return the times recorded on a quiet machine, as of `time_predictions`."""
    return catalogue.frame(RECORDED)


def one_at_a_time(timed: pd.DataFrame) -> np.ndarray:
    """Return the times [calls] of predictions asked one at a time in 32-bit floats, as a serving loop does [s]."""
    return timed.loc[(timed["precision"] == "fp32") & (timed["batch"] == 1), "seconds"].to_numpy()


def main(arguments: list[str] | None = None) -> None:
    """Time predictions on this machine, which should do nothing else."""
    parser = argparse.ArgumentParser(prog="python -m credence.ssjf.evaluate.length_times", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="parquet file to write")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4, help="how often each prompt is asked")
    given = parser.parse_args(arguments)
    import torch

    from credence.ssjf.data.answers import measured_answers, set_folds
    from credence.ssjf.evaluate.length_runs import train_fold
    from credence.ssjf.infer.proxy_settings import fast_settings

    torch.set_num_threads(given.threads)
    answers = measured_answers()
    fold = set_folds(answers)
    trained = train_fold(answers, fold, 0, fast_settings())
    prompts = [prompt for prompt, number in zip(answers.prompts, fold, strict=True) if number == 0]
    write_parquet(time_predictions(trained.proxy, prompts * given.rounds), given.out, compression="zstd")


if __name__ == "__main__":
    main()
