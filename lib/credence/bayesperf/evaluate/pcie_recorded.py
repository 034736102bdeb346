"""Recorded runs of the case study: ten scenario seeds of every system, and of every break at every strength.

``python -m credence.bayesperf.evaluate.pcie_recorded --errors paper --out FOLDER`` writes one parquet file a run as
soon as it is done; files that are there are not made again, so that the command can be stopped and started. With
``--gather`` it then writes what lies in FOLDER to ``data/bayesperf/recorded-pcie-{runs,curves}.parquet`` and enters
them into the catalogue.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from credence.bayesperf.evaluate import pcie
from credence.bayesperf.world.pcie import CounterError, read_age
from credence.bench import catalogue, catalogue_entries, paths
from credence.bench.errors import InputError
from credence.bench.tables import write_parquet

RUNS, CURVES = "bayesperf-pcie-runs", "bayesperf-pcie-curves"
FILES = {"runs": "recorded-pcie-runs.parquet", "curves": "recorded-pcie-curves.parquet"}
BREAK_ITERATIONS = 2000
NONE = "none"
LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)  # mean errors of the curve over the error [1]
POINTS = 50  # iterations between two recorded points of a curve, beyond the first 500


def jobs() -> list[tuple[str, float]]:
    """Return every run of one set of errors: (break, strength); the unbroken one first, then the errors' own size."""
    return [(NONE, 0.0), ("error", 0.0), *((name, x) for name, values in pcie.BREAKS.items() for x in values)]


def point(errors: str, name: str, strength: float, seed_list: Sequence[int], iterations: int = 0):
    """Return the recorded rows and curves of one run, for any seeds: a seed's row does not depend on the others.

    Parameters
    ----------
    errors : str
        ``"paper"`` or ``"measured"``.
    name, strength
        Break, from `jobs`; ``none`` has all systems, ``error`` nine made-up readers, breaks Linux and BayesPerf.
    seed_list : sequence of int
        Scenario seeds.
    iterations : int
        Of training; 0: `pcie.ITERATIONS` without a break, fewer with one.
    """
    table = pcie.error_table(errors)
    if name == "error":
        return _by_error(errors, table, seed_list, iterations or BREAK_ITERATIONS)
    if name == NONE:
        readers, turned, length = pcie.readers(table), {}, pcie.ITERATIONS
    else:
        readers, turned = pcie.broken(name, strength, pcie.readers(table, ("Linux", "BayesPerf")))
        length = BREAK_ITERATIONS
    curves, times = pcie.run(readers, seed_list, iterations or length, **turned)
    labels = {"errors": errors, "break": name, "strength": float(strength)}
    return pcie.summary_rows(curves, times).assign(**labels), curves.assign(**labels)


def _by_error(errors: str, table: pd.DataFrame, seed_list, iterations: int):
    """Readers of any mean error, as old and as autocorrelated as Linux's; iterations to the level of the worst one."""
    linux = table.set_index("system").loc["Linux"]
    age, memory = read_age("Linux"), float(linux["autocorrelation"])
    names = [f"{level:g}" for level in LEVELS]
    readers = [
        CounterError(name, level, autocorrelation=memory, age=age) for name, level in zip(names, LEVELS, strict=True)
    ]
    curves, times = pcie.run(readers, seed_list, iterations)
    rows = pcie.summary_rows(curves, times, reference=names[-1])
    labels = {"errors": errors, "break": "error"}
    return rows.assign(**labels, strength=rows["system"].astype(float)), curves.assign(**labels, strength=0.0)


def thinned(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the unbroken runs' curves with few points where they are flat: every `POINTS` iterations beyond 500."""
    kept = curves[(curves["break"] == NONE) & ((curves["iteration"] <= 500) | (curves["iteration"] % POINTS == 0))]
    return kept.drop(columns=["break", "strength"]).astype({"loss": "float32"})


def gather(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return runs and curves of all files in a folder, in a fixed order.

    Raises
    ------
    InputError
        If there are none, or a run is there twice.
    """
    files = sorted(Path(folder).glob("*.runs.parquet"))
    if not files:
        raise InputError(f"{folder}: no *.runs.parquet; allowed: a folder that this command has written")
    runs = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
    identity = ["errors", "break", "strength", "system", "seed"]
    if runs.duplicated(identity).any():
        raise InputError(f"{folder}: a run is there twice; allowed: each once")
    curves = pd.concat(
        [pd.read_parquet(path) for path in sorted(Path(folder).glob("*.curves.parquet"))], ignore_index=True
    )
    order = ["errors", "system", "seed", "iteration"]
    numbers = {name: "float32" for name in runs.columns if name.endswith("_ms") or name in ("level", "final_loss")}
    runs = runs[[*identity, *(name for name in runs.columns if name not in identity)]].astype(numbers)
    return runs.sort_values(identity, ignore_index=True), curves[[*order, "loss"]].sort_values(order, ignore_index=True)


def _write(frame: pd.DataFrame, path: Path) -> None:
    write_parquet(frame, path, compression="zstd", compression_level=19)


TITLES = {
    "runs": "Simulated case study: what NIC schedulers learn and gain by who reads the counters, seed by seed",
    "curves": "Simulated case study: loss of the learned NIC scheduler over training, seed by seed",
}
COLUMNS = {
    "errors": "counter errors: the paper's (Fig 8 at 32 events) or those measured in error_vs_events [name]",
    "break": "assumption broken on purpose; none, or error: readers of any mean error [name]",
    "strength": "how far it is broken, see credence.bayesperf.evaluate.pcie.BREAK_TITLES [as there]",
    "system": "who reads the counters; a mean error where break is error [name]",
    "seed": "scenario seed [1]",
    "learning_ms": "mean time of a shuffle, learned scheduler [ms]",
    "filtering_ms": "mean time of a shuffle, collaborative filtering [ms]",
    "learning_none_ms": "mean time of the learned scheduler's shuffles through the card of their own NUMA node [ms]",
    "filtering_none_ms": "mean time of filtering's shuffles through the card of their own NUMA node [ms]",
    "level": "loss to be reached: 95 % of the improvement with Linux's counters [1]",
    "iterations": "training iterations until then; all of them where it is not reached [iterations]",
    "reached": "whether it is reached [1]",
    "final_loss": "mean loss over the last tenth of training [1]",
    "iteration": "training iterations made [iterations]",
    "loss": "expected excess of a shuffle over an untrained scheduler's, on programs not trained on [1]",
}


def enter(kind: str, path: Path, day: str) -> str:
    """Enter a recorded table, ``"runs"`` or ``"curves"``, into the catalogue; return the entry."""
    sets = " and ".join(sorted(pd.read_parquet(path, columns=["errors"])["errors"].unique()))
    fields = {
        "name": {"runs": RUNS, "curves": CURVES}[kind],
        "title": TITLES[kind],
        "paper": "bayesperf",
        "kind": "simulated",
        "generator": "credence.bayesperf.evaluate.pcie_recorded:point",
        "seed": 0,
        "note": f"generated, not measured. Recorded {day} with: python -m credence.bayesperf.evaluate.pcie_recorded "
        f"--errors paper|measured --out FOLDER --gather. Here: errors {sets}.",
    }
    return catalogue_entries.enter(path, fields, COLUMNS)


def read(name: str) -> pd.DataFrame:
    """Return ``"runs"`` or ``"curves"`` as recorded: through the catalogue (`RUNS`, `CURVES`)."""
    return catalogue.frame({"runs": RUNS, "curves": CURVES}[name])


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the recorded runs that are not there yet, and gather them."""
    parser = argparse.ArgumentParser(
        prog="python -m credence.bayesperf.evaluate.pcie_recorded", description=main.__doc__
    )
    parser.add_argument("--errors", choices=pcie.ERRORS, default="measured")
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished runs")
    parser.add_argument("--gather", action="store_true", help="write the tables of the checkout from all runs in it")
    parser.add_argument("--only", default="", help="one break only")
    given = parser.parse_args(arguments)
    try:
        for name, strength in jobs():
            stem = f"{given.errors}-{name}-{strength:g}"
            if given.only not in ("", name) or (given.out / f"{stem}.runs.parquet").exists():
                continue
            whole = given.out / f"{given.errors}.whole.parquet"
            unbroken = pcie.WHOLE.get(name) == strength
            if unbroken and whole.exists():  # the same run, to the last bit
                runs = pd.read_parquet(whole).assign(**{"break": name}, strength=float(strength))
            else:
                runs, curves = point(given.errors, name, strength, pcie.SEEDS)
            if unbroken:
                _write(runs, whole)
            if name == NONE:
                _write(thinned(curves), given.out / f"{stem}.curves.parquet")
            _write(runs, given.out / f"{stem}.runs.parquet")
            print(stem, file=sys.stderr, flush=True)
        if given.gather:
            for kind, frame in zip(FILES, gather(given.out), strict=True):
                path = paths.data_dir() / "bayesperf" / FILES[kind]
                _write(frame, path)
                print(enter(kind, path, f"{datetime.now(UTC):%Y-%m-%d}"))
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
