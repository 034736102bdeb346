"""What to order by when a prompt's answer length is a distribution: keys made of samples of it.

Ten answers were sampled for each prompt. One, drawn at random, is the answer that happens; the other nine are what a
very good probabilistic predictor would know beforehand. Keys that use the spread (a high quantile, an expectation
inflated for the tail) are compared with those that do not (mean, median) and with knowing a single sample.
"""

import numpy as np
import pandas as pd

from credence.bench import catalogue, seeds
from credence.bench.progress import track
from credence.ssjf import data
from credence.ssjf.evaluate.maps import Workload, cell, map_frame
from credence.ssjf.infer.keys import hold_out, mean_key, quantile_key, tail_inflated_key
from credence.ssjf.world import capacity_rate, poisson_arrivals

KEYS = {
    "one sample": lambda known: known[:, 0].astype(float),
    "median": lambda known: quantile_key(known, 0.5),
    "mean": mean_key,
    "quantile 0.9": lambda known: quantile_key(known, 0.9),
    "tail-inflated": lambda known: tail_inflated_key(known, cap_tokens=8192),
}
ORACLE = "oracle"
# The chat model with the most sampled prompts, of three chat collections.
CASTILLO_MODEL = "mistralai--Mixtral-8x7B-Instruct-v0.1"
CASTILLO_CHAT = ("Alpaca", "DollyDataset", "ShareGPT")


def prompt_samples() -> tuple[str, np.ndarray, np.ndarray]:
    """Return data set name, prompt lengths [prompts] and ten answer lengths [prompts, 10] in tokens.

    CASTILLO's chat prompts of one model where it can be read without a network, else the simulated chat prompts.
    """
    if not catalogue.available("castillo-lengths"):
        rows, samples = data.simulated_chat()
        return "ssjf-simulated-chat", rows["prompt_tokens"].to_numpy(), samples
    rows, samples = data.castillo(models=[CASTILLO_MODEL], datasets=CASTILLO_CHAT)
    return "castillo-lengths", rows["input_tokens"].to_numpy(), samples


def key_draws(
    prompt_tokens: np.ndarray,
    samples: np.ndarray,
    *,
    load: float = 0.9,
    slots: int = 1,
    engine: str = "ssjf-paper",
    count: int = 6000,
    draws: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Serve the same workloads in the order of each key.

    Parameters
    ----------
    prompt_tokens [prompts], samples [prompts, samples]
        Lengths [tokens].
    load, slots, engine
        Share of the capacity; servers; engine profile.
    count, draws, seed : int
        As for `maps.map_draws`; a draw resamples prompts, and for each the sample that happens.

    Returns
    -------
    pandas.DataFrame
        One row a key and draw: ``key``, ``draw`` and `maps.QUANTITIES`.
    """
    # the mean over samples is what the held-out one is on average
    rate = load * capacity_rate(prompt_tokens, samples.mean(axis=1), slots=slots, engine=engine)
    rows = []
    for draw in track(range(draws), "workloads"):
        rng = seeds.generator(seed, "keys", draw)
        drawn = rng.integers(len(samples), size=count)
        truth, known = hold_out(samples[drawn], rng)
        truth = truth.astype(np.int64)
        gaps = np.diff(poisson_arrivals(count, 1.0, rng), prepend=0.0)
        orders = {name: key(known) for name, key in KEYS.items()} | {ORACLE: truth.astype(float)}
        found = cell(Workload(gaps, prompt_tokens[drawn], truth, orders), rate, slots, engine=engine)
        rows += [{"key": name, "draw": draw} | row for name, row in found.items()]
    return pd.DataFrame(rows)


def against_mean(draws: pd.DataFrame) -> pd.DataFrame:
    """Return for each key the change of mean and p99 JCT against ordering by the mean, workload by workload [%].

    Returns
    -------
    pandas.DataFrame
        One row a key: ``key``, and ``mean_change``, ``p99_change`` each with ``_lo`` and ``_hi`` (90 % over draws).
    """
    reference = draws[draws["key"] == "mean"].set_index("draw")
    found = pd.DataFrame({"key": draws["key"]})
    for name, column in (("mean_change", "mean_s"), ("p99_change", "p99_s")):
        found[name] = 100 * (draws[column] / draws["draw"].map(reference[column]) - 1)
    groups = found.groupby("key", sort=False)
    parts = {"": groups.mean(), "_lo": groups.quantile(0.05), "_hi": groups.quantile(0.95)}
    return pd.concat([part.add_suffix(ending) for ending, part in parts.items()], axis=1).reset_index()


def key_frame(draws: pd.DataFrame) -> pd.DataFrame:
    """Summarise `key_draws`: one row a key, columns as of `maps.map_frame`."""
    return map_frame(draws, by=("key",))
