"""Mining inside highway-env, where a run is dear: ``python -m credence.drivefi.evaluate.dear_world``.

In the own world every fault of a pool is simulated in seconds, so that a selector saves nothing but simulations. Among
highway-env's traffic a run takes a quarter of a second, and the same pool takes hours.

Declared before the first run: scenarios in which somebody reacts (`SCENARIOS`), seeds that were used for nothing else
(`SEEDS`), 0.4 % of the pool as budget (training paid), selectors with the settings that were frozen on seeds 0 to 9 of
the own world, and one that needs no selector: faults in the order of their margin in the own world, all of which are
simulated there first. The base rate is that of the faults drawn at random; the pool is not enumerated.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bench import catalogue, catalogue_entries, paths
from credence.bench.errors import InputError
from credence.bench.progress import track
from credence.bench.seeds import generator
from credence.bench.tables import write_parquet
from credence.drivefi.data.scenarios import Scenario
from credence.drivefi.data.variables import fault_type, fault_types
from credence.drivefi.evaluate.further_campaigns import share_interval
from credence.drivefi.select import features, simple, table
from credence.drivefi.select.pool import PoolView, Purse
from credence.drivefi.world import simulate
from credence.drivefi.world.highway import drive_highway

SCENARIOS = ("DS1", "DS2", "DS3", "DS6")
SEEDS = (310, 311, 312)
SELECTORS = ("random", "own world first", "gp", "gp-lcb", "gp-plain")
BUDGET = 0.004  # of the pool
NAME = "drivefi-dear-world"
FILE = "drivefi/recorded-dear-world.parquet"


@dataclass
class DearWorld:
    """A pool of single faults among highway-env's traffic; what has been simulated is kept, with the time it took.

    Attributes
    ----------
    places : tuple of (scenario, seed)
        Runs that are safe there without a fault.
    view : PoolView
    stack : str
    known : dict
        Fault -> (margins by part [m], logged values [scenes, variables], seconds).
    """

    places: tuple[tuple[Scenario | str, int], ...]
    view: PoolView
    stack: str = "A"
    known: dict[int, tuple[np.ndarray, np.ndarray, float]] = field(default_factory=dict)

    def one(self, fault: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Return margins by part, logged values and seconds of a fault; simulated once, however often it is asked."""
        fault = int(fault)
        if fault not in self.known:
            began = time.perf_counter()
            place, scene, kind = self.where(fault)
            run = drive_highway(*self.places[place], fault_types()[kind], scene, stack=self.stack)
            self.known[fault] = run.margin_parts_m, run.values, time.perf_counter() - began
        return self.known[fault]

    def where(self, fault: int) -> tuple[int, int, int]:
        """Return the place, the scene and the fault type of a fault."""
        scene = self.view.scene[fault]
        return int(self.view.run[scene]), int(self.view.position[scene]), int(self.view.type[fault])

    def simulate(self, faults: np.ndarray) -> np.ndarray:
        """Return the margins of faults by part [B, 2] [m]."""
        return np.stack([self.one(fault)[0] for fault in faults])

    def logs(self, faults: np.ndarray) -> np.ndarray:
        """Return the logged values of faulty runs [B, scenes, variables]."""
        return np.stack([self.one(fault)[1] for fault in faults])

    def own_margins(self) -> np.ndarray:
        """Return the margin [faults] [m] of the same faults in the own world, all simulated there."""
        parts = [
            simulate.run(place, seed, self.stack, simulate.every_fault(len(run.time_s))).margin_m
            for (place, seed), run in zip(self.places, self.view.traces, strict=True)
        ]
        return np.concatenate(parts)


def dear_world(scenarios: Sequence[Scenario | str], seed: int, stack: str = "A") -> tuple[DearWorld, pd.DataFrame]:
    """Return the pool of one seed, and the golden margins of its places in both worlds.

    Parameters
    ----------
    scenarios : sequence of Scenario or str
    seed : int
    stack : str

    Returns
    -------
    DearWorld
        Of the places that are safe without a fault in both worlds.
    DataFrame
        ``scenario``, ``seed``, ``own_m``, ``there_m`` (margins), ``own_gap_m``, ``there_gap_m`` (closest approach;
        120: nothing in the path), ``used``.

    Raises
    ------
    InputError
        If no place is left.
    """
    rows, kept = [], []
    for place in scenarios:
        own, there = simulate.golden(place, seed, stack), drive_highway(place, seed, stack=stack)
        used = min(own.margin_m, there.margin_m) > 0
        name = place if isinstance(place, str) else place.name
        rows.append((name, seed, own.margin_m, there.margin_m, own.cipo_m.min(), there.cipo_m.min(), used))
        if used:
            kept.append(((place, seed), there))
    if not kept:
        raise InputError(f"seed {seed}: no scenario is safe without a fault in both worlds; allowed: at least one")
    columns = ["scenario", "seed", "own_m", "there_m", "own_gap_m", "there_gap_m", "used"]
    places, golden = zip(*kept, strict=True)
    return DearWorld(places, features.view_of(golden), stack), pd.DataFrame(rows, columns=columns)


def mine(world: DearWorld, name: str, budget: int, seed: int, own: np.ndarray | None = None) -> pd.DataFrame:
    """Let one selector spend a budget inside highway-env.

    Parameters
    ----------
    world : DearWorld
    name : str
        Of ``table.SELECTORS``, or ``own world first``.
    budget : int
        Simulations, training included.
    seed : int
        Of the selector's own choices.
    own : array [faults], optional
        The own world's margins [m], if they are known already; their making is then not in the selector's time.

    Returns
    -------
    DataFrame
        Columns of `COLUMNS`: one row a simulation, in their order.

    Raises
    ------
    InputError
        For a selector that there is not.
    """
    if name not in table.SELECTORS and name != "own world first":
        raise InputError(f"selector is {name!r}; allowed: own world first, {', '.join(table.SELECTORS)}")
    purse = Purse(world.simulate, min(budget, len(world.view)), world.logs)
    rng = generator(seed, "dear world", name)
    before = sum(row[2] for row in world.known.values())
    began = time.perf_counter()
    if name == "own world first":
        own = world.own_margins() if own is None else own
        simple.lowest_first(own, purse, rng)
    else:
        table.SELECTORS[name](world.view, purse, rng)
    # simulations that another selector has paid for already took no time just now
    thinking = time.perf_counter() - began - (sum(row[2] for row in world.known.values()) - before)
    own = world.own_margins() if own is None else own
    rows = []
    for step, fault in enumerate(purse.order, 1):
        place, scene, kind = world.where(fault)
        item, margin = fault_types()[kind], float(world.one(fault)[0].min())
        here, point = world.places[place]
        label = here if isinstance(here, str) else here.name
        rows.append((point, name, step, label, scene, item.variable, item.value, margin, own[fault]))
        rows[-1] += (world.one(fault)[2], thinking)
    return pd.DataFrame(rows, columns=list(COLUMNS))


COLUMNS = {
    "seed": "scenario seed [1]",
    "selector": "who chooses; 'own world first': lowest margin in the own world first [name]",
    "simulation": "number of the simulation in the selector's order, from 1 [1]",
    "scenario": "scenario [name]",
    "scene": "faulty scene [1]",
    "variable": "module output struck [name]",
    "value": "what it is set to [name]",
    "there_m": "margin among highway-env's traffic; at most 0 is critical [m]",
    "own_m": "margin of the same fault in the own world [m]",
    "seconds": "wall time of this simulation [s]",
    "thinking_s": "wall time of the selector itself over its whole run, enumeration of the own world included [s]",
}


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row a selector: what it found and what that cost.

    Parameters
    ----------
    runs : DataFrame
        With the columns of `COLUMNS`.

    Returns
    -------
    DataFrame
        ``simulations``, ``hazards``, ``by seed`` (hazards of each seed), ``hazards per 100 simulations``, ``times
        random, at least`` (over the upper end of `base_rate`), ``seconds simulating``, ``seconds thinking``,
        ``seconds a hazard``, ``critical in the own world`` (share of the hazards found, NaN without any).
    """
    rows = {}
    for name, part in runs.groupby("selector", sort=False):
        hit = part["there_m"] <= 0
        thinking = part.drop_duplicates("seed")["thinking_s"].sum()
        rows[name] = {
            "simulations": len(part),
            "hazards": int(hit.sum()),
            "by seed": ", ".join(str(n) for n in hit.groupby(part["seed"]).sum()),
            "hazards per 100 simulations": 100.0 * hit.mean(),
            "seconds simulating": part["seconds"].sum(),
            "seconds thinking": thinking,
            "seconds a hazard": (part["seconds"].sum() + thinking) / hit.sum() if hit.any() else np.inf,
            "critical in the own world": (part.loc[hit, "own_m"] <= 0).mean() if hit.any() else np.nan,
        }
    found = pd.DataFrame.from_dict(rows, orient="index")
    # few of the random ones, or none, are hazards: what is certain is the upper end of their interval
    found.insert(4, "times random, at least", found["hazards per 100 simulations"] / (100.0 * base_rate(runs)[2]))
    return found


def base_rate(runs: pd.DataFrame) -> tuple[float, float, float]:
    """Return the share of critical faults among those drawn at random, and its 95 % Clopper-Pearson interval [1]."""
    hit = runs.loc[runs["selector"] == "random", "there_m"] <= 0
    share, low, high = share_interval(int(hit.sum()), len(hit))
    return share / 100.0, low / 100.0, high / 100.0


def make(seeds: Sequence[int] = SEEDS, share: float = BUDGET) -> pd.DataFrame:
    """Run every selector on every seed; return the rows of `COLUMNS`."""
    frames = []
    for seed in seeds:
        world, _ = dear_world(SCENARIOS, seed)
        # places that are hazardous without a fault make the pool smaller, and the budget with it
        budget = round(share * len(world.view))
        frames += [mine(world, name, budget, seed) for name in track(SELECTORS, f"mining in highway-env, seed {seed}")]
    return pd.concat(frames, ignore_index=True)


def again(rows: pd.DataFrame, stack: str = "A") -> pd.DataFrame:
    """Simulate recorded rows again, in both worlds; return them with ``there_again_m`` and ``own_again_m`` added."""
    found = []
    for row in rows.itertuples():
        fault = fault_type(row.variable, row.value)
        there = drive_highway(row.scenario, row.seed, fault, row.scene, stack=stack).margin_m
        found.append((there, simulate.traced(row.scenario, row.seed, fault, row.scene, 1, stack).margin_m))
    return rows.assign(**dict(zip(("there_again_m", "own_again_m"), np.array(found).T, strict=True)))


def by_scenario(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how faults fare in both worlds, one row a scenario; each fault counts once, whoever simulated it.

    Returns
    -------
    DataFrame
        ``critical here``: those simulated in highway-env that are critical in the own world; ``there too`` [%] of them;
        ``critical there``: critical in highway-env; ``here too`` [%] of those, moved back.
    """
    once = runs.drop_duplicates(["seed", "scenario", "scene", "variable", "value"])
    here, there = once["own_m"] <= 0, once["there_m"] <= 0
    rows = {}
    for name in [*sorted(once["scenario"].unique()), "all"]:
        part = (once["scenario"] == name) | (name == "all")
        both, first, second = (part & here & there).sum(), (part & here).sum(), (part & there).sum()
        rows[name] = {"critical here": first, "there too": 100.0 * both / first if first else np.nan}
        rows[name] |= {"critical there": second, "here too": 100.0 * both / second if second else np.nan}
    return pd.DataFrame.from_dict(rows, orient="index")


def read() -> pd.DataFrame:
    """Return the recorded runs, through the catalogue."""
    return catalogue.frame(NAME)


def main(arguments: Sequence[str] | None = None) -> None:
    """Mine inside highway-env with every selector and record it (about ten minutes of one core)."""
    parser = argparse.ArgumentParser(prog="python -m credence.drivefi.evaluate.dear_world", description=main.__doc__)
    parser.add_argument("--out", type=Path, help=f"parquet file; default: data/{FILE}, entered into the catalogue")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    given = parser.parse_args(arguments)
    try:
        runs = make(given.seeds)
    except InputError as error:
        sys.exit(f"error: {error}")
    path = given.out or paths.data_dir() / FILE
    write_parquet(runs, path, compression="zstd", compression_level=19)
    print(summary(runs).round(2).to_string())
    if given.out is None:
        fields = {
            "name": NAME,
            "title": "Simulated mining of faults inside highway-env by five selectors, simulation by simulation",
            "paper": "drivefi",
            "kind": "simulated",
            "generator": "credence.drivefi.evaluate.dear_world:make",
            "seed": 0,
            "note": "generated, not measured; wall times are of a shared machine. Recorded "
            f"{datetime.now(UTC):%Y-%m-%d} with: python -m credence.drivefi.evaluate.dear_world",
        }
        print(catalogue_entries.enter(path, fields, COLUMNS))


if __name__ == "__main__":
    main()
