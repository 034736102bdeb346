"""Time single passes of a real engine, and fit the simulator's profile to nothing else.

A decode pass is timed for every batch size and several contexts, a prefill for prompts of several lengths and for a few
prompts at once. Each case is timed several times, in an order mixed anew each time, so that a machine that slows down
does so for all of them. The fit sees some of the cases and is judged on the others:

    decode(b, C) = table(b) + c C,     prefill(N) = table(N),

with ``b`` requests in the batch, ``C`` the sum of their contexts and ``N`` prompt tokens in all (``model.profiles``).
No served trace enters: what the profile says about one is a prediction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence as Listing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import seeds
from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.bench.tables import write_parquet
from credence.ssjf.engine.serve import Sequence, WallClock
from credence.ssjf.infer.profile_fits import Fit, error_summary, non_negative_fit
from credence.ssjf.model.profiles import EngineProfile, decode_s, prefill_s

NAME = "smollm2-cpu"
DATA_SET = "ssjf-engine-microbenchmarks"
STEPS = 4  # decode passes of one timing, after one that is not counted
WARM_UP = 1
BATCHES = (1, 2, 3, 4, 5, 6, 7, 8)
CONTEXTS = {"fit": (64,), "held out": (192, 384)}  # the same for all requests of a batch
MIXED = (48, 400)  # shortest and longest context of a mixed batch: fitted, because in service batches are mixed
PREFILLS = {"fit": (32, 40, 48, 64, 96, 128, 192, 384), "held out": (36, 56, 80, 256)}
TOGETHER = ((40, 40), (40, 56), (48, 40, 48), (40, 96))  # prompts prefilled in one pass: held out
RULE = (
    f"fit: batches of contexts from {MIXED[0]} to {MIXED[1]} tokens or all of {CONTEXTS['fit'][0]}, single prompts of "
    f"{', '.join(map(str, PREFILLS['fit']))} tokens; judged: batches of equal contexts of "
    f"{' or '.join(map(str, CONTEXTS['held out']))} tokens, other prompts, several at once"
)


@dataclass(frozen=True)
class Case:
    """One kind of pass.

    Attributes
    ----------
    quantity : str
        ``decode`` or ``prefill``.
    lengths : tuple of int
        Context of each request in a decode pass, or length of each prompt [tokens].
    part : str
        ``fit`` or ``held out``.
    """

    quantity: str
    lengths: tuple[int, ...]
    part: str


def cases(batches: Listing[int] = BATCHES) -> list[Case]:
    """Return what is timed: decode passes up to the largest of `batches`, and prefills."""
    found = [
        Case("decode", (context,) * batch, part)
        for part, contexts in CONTEXTS.items()
        for context in contexts
        for batch in batches
    ]
    # contexts as they are in service, every request at another point of its answer: attention takes as long as for the
    # longest, which the profile can't know; fitted to mixed batches, it charges the sum of contexts for that
    found += [
        Case("decode", tuple(np.linspace(*MIXED, batch).astype(int).tolist()), "fit") for batch in batches if batch > 1
    ]
    found += [Case("prefill", (tokens,), part) for part, sizes in PREFILLS.items() for tokens in sizes]
    return found + [Case("prefill", lengths, "held out") for lengths in TOGETHER if len(lengths) <= max(batches)]


def time_case(backend, case: Case, text: list[int], clock, rng: np.random.Generator) -> dict:
    """Time one case once.

    Parameters
    ----------
    backend : serve.Backend
        The model; also with ``seat``.
    case : Case
        What to time.
    text : list of int
        A prompt [tokens], repeated to the length that is wanted.
    clock : object with now()
        Seconds.
    rng : numpy.random.Generator
        For the streams that tokens are drawn from.

    Returns
    -------
    dict
        ``quantity``, ``batch``, ``tokens`` (of a decode pass the sum of contexts in the middle of the timing, of a
        prefill the prompts' sum) [tokens], ``longest`` [tokens], ``part``, ``seconds`` (mean of a pass) [s].
    """
    decode = case.quantity == "decode"
    passes = WARM_UP + STEPS if decode else 1
    sequences = [
        Sequence(np.resize(text, length).tolist(), passes + 2, np.random.default_rng(rng.integers(2**31)), True)
        for length in case.lengths
    ]
    tokens = sum(case.lengths)
    if decode:
        for sequence in sequences:
            # the token just given counts as context: the first pass attends to it
            sequence.generated.append(sequence.prompt.pop())
        backend.seat(sequences)
        for _ in range(WARM_UP):
            backend.decode(sequences)
        tokens += len(sequences) * (WARM_UP + (STEPS - 1) / 2)
        begun = clock.now()
        for _ in range(STEPS):
            backend.decode(sequences)
        seconds = (clock.now() - begun) / STEPS
    else:
        begun = clock.now()
        backend.prefill(sequences)
        seconds = clock.now() - begun
    for sequence in sequences:
        backend.release(sequence)
    return {
        "quantity": case.quantity,
        "batch": len(sequences),
        "tokens": float(tokens),
        "longest": max(case.lengths),
        "part": case.part,
        "seconds": seconds,
    }


def benchmark(
    backend,
    text: list[int],
    repeats: int,
    seed: int = 0,
    *,
    batches: Listing[int] = BATCHES,
    out: Path | None = None,
    clock=None,
) -> pd.DataFrame:
    """Time all cases `repeats` times.

    Parameters
    ----------
    backend : serve.Backend
        As for `time_case`, with at least the largest of `batches` slots.
    text : list of int
        As for `time_case`.
    repeats, seed : int
        Timings of each case; seed of their order and of the answers.
    batches : list of int
        Sizes of decode batches.
    out : Path or None
        A parquet file to write after every repeat; what it holds already is not timed again.
    clock : object with now() or None
        A `WallClock` unless given.

    Returns
    -------
    pandas.DataFrame [cases × repeats, 7]
        ``repeat`` and what `time_case` returns.
    """
    if repeats < 1:
        raise InputError(f"repeats is {repeats!r}; allowed: an integer >= 1")
    clock = clock or WallClock()
    every = cases(batches)
    done = pd.read_parquet(out) if out is not None and out.is_file() else pd.DataFrame()
    first = int(done["repeat"].max()) + 1 if len(done) else 0
    # a pass of every kind beforehand: libraries choose their ways of computing at the first call
    for case in every[:: max(len(every) // 6, 1)] if first < repeats else ():
        time_case(backend, case, text, clock, seeds.generator(seed, "warm-up"))
    for repeat in track(range(first, repeats), "micro-benchmarks"):
        rng = seeds.generator(seed, "micro-benchmark", repeat)
        rows = [
            {"repeat": repeat} | time_case(backend, every[i], text, clock, rng) for i in rng.permutation(len(every))
        ]
        done = pd.concat([done, pd.DataFrame(rows)], ignore_index=True)
        if out is not None:
            write_parquet(done, out, compression="zstd")
    return done[done["repeat"] < repeats].reset_index(drop=True)


def medians(timings: pd.DataFrame) -> pd.DataFrame:
    """Return one row a case: its labels, ``seconds`` (median over repeats), ``lo`` and ``hi`` (quartiles) [s]."""
    labels = ["quantity", "batch", "tokens", "longest", "part"]
    grouped = timings.groupby(labels, sort=False)["seconds"]
    found = grouped.quantile([0.25, 0.5, 0.75]).unstack()
    found.columns = ["lo", "seconds", "hi"]
    return found.reset_index().sort_values(["quantity", "batch", "tokens"], ignore_index=True)


def fit_profile(timings: pd.DataFrame, name: str = NAME) -> Fit:
    """Fit a profile to the timings of `benchmark`.

    A decode pass has a cost of its own for each batch size (fewer rows are not proportionally cheaper, and libraries
    change their way of computing along them), plus one for each token of context. A prefill is piecewise linear.
    Non-negative least squares in relative errors over the medians of the cases, as for the other fitted profiles.

    Parameters
    ----------
    timings : pandas.DataFrame
        From `benchmark`.
    name : str
        For the profile.

    Returns
    -------
    infer.profile_fits.Fit
        The profile, and every case with its error.
    """
    rows = medians(timings)
    fitted = (rows["part"] == "fit").to_numpy()
    decode, prefill = ((rows["quantity"] == word).to_numpy() for word in ("decode", "prefill"))
    for word, chosen in (("decode", decode & fitted), ("prefill", prefill & fitted)):
        if chosen.sum() < 2:
            raise InputError(f"{chosen.sum()} cases of {word} to fit; allowed: at least 2")

    sizes = np.unique(rows.loc[decode & fitted, "batch"])
    terms = np.column_stack([_hats(rows["batch"].to_numpy(), sizes), rows["tokens"]])
    *table, per_context = non_negative_fit(terms[decode & fitted], rows["seconds"].to_numpy()[decode & fitted])
    # beyond the largest batch the table's last slope would go on, and odd sizes cost more than even ones: give it the
    # slope of the whole table, so that a larger batch is never cheaper
    growth = max(float(np.polyfit(sizes, table, 1)[0]), 0.0)
    last = float(f"{table[-1] + growth * sizes[-1]:.4e}")
    knots = np.unique(rows.loc[prefill & fitted, "tokens"])
    heights = non_negative_fit(
        _hats(rows["tokens"].to_numpy(), knots)[prefill & fitted], rows["seconds"].to_numpy()[prefill & fitted]
    )
    profile = EngineProfile(
        name=name,
        title="SmolLM2-135M-Instruct in this project's engine on 2 CPU cores, fitted to its micro-benchmarks",
        kind="measured",
        source=f"data set {DATA_SET}, measured here; {RULE} (unit: case, median of repeats)",
        licence="BSD-3-Clause",
        note="A virtual machine with two cores, nothing else running; fp32. Batches above 8 are extrapolated.",
        decode_table=_pairs([*sizes, 2 * sizes[-1]], [*table, last]),
        decode_per_context_token_s=float(per_context),
        prefill_table=_pairs(knots, heights),
    )
    foretold = [
        decode_s(profile, row.batch, row.tokens) if row.quantity == "decode" else prefill_s(profile, row.tokens)
        for row in rows.itertuples()
    ]
    judged = rows.rename(columns={"seconds": "measured_s"}).assign(predicted_s=foretold)
    judged["error"] = judged["predicted_s"] / judged["measured_s"] - 1
    rng = seeds.generator(0, "profile fit", name)
    summary = {
        word: error_summary(judged.loc[(judged["quantity"] == word) & ~fitted, "error"].to_numpy(), rng)
        for word in ("decode", "prefill")
    }
    return Fit(dataclasses.replace(profile, fit=summary), judged)


def freeze(text: str, table: str, name: str = NAME) -> str:
    """Return the text of a profile file with `table` (from ``profile_fits.as_toml``) for the profile `name`.

    An older table of that name is replaced; otherwise the new one comes last.
    """
    head, *blocks = text.split("[[profile]]\n")
    kept = [block for block in blocks if f'name = "{name}"\n' not in block]
    return "[[profile]]\n".join([head, *kept]).rstrip("\n") + "\n\n" + table


def _hats(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return the weights [values, knots] of linear interpolation between `knots`."""
    unit = np.eye(len(knots))
    return np.column_stack([np.interp(values, knots, column) for column in unit])


def _pairs(sizes, seconds) -> tuple[tuple[float, float], ...]:
    return tuple((float(size), float(value)) for size, value in zip(sizes, seconds, strict=True))
