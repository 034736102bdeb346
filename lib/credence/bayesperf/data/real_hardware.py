"""Counters of a real Skylake-SP machine (the Tintin authors' measurements): multiplexed, so without a truth.

What can be checked is whether a value can be true: some events can't outnumber others (:data:`ORDERS`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from credence.bayesperf.data.log_cells import Log
from credence.bench import catalogue
from credence.bench.errors import choose

EMON, ROUND_ROBIN = "tintin-skylakesp-emon", "tintin-skylakesp-round-robin"
INTERVAL_S = 0.1
_CLOCKS = ("t_s", "tsc_delta")

# (fewer, more): orders that hold of any program whatever, by what the events mean. Cycles in which a miss of a level is
# outstanding are among those in which one of the level before is; micro-ops retire after they are issued; loads and
# stores are instructions.
ORDERS = (
    ("CYCLE_ACTIVITY.STALLS_L2_MISS", "CYCLE_ACTIVITY.STALLS_L1D_MISS"),
    ("CYCLE_ACTIVITY.STALLS_L3_MISS", "CYCLE_ACTIVITY.STALLS_L2_MISS"),
    ("CYCLE_ACTIVITY.STALLS_L1D_MISS", "CYCLE_ACTIVITY.STALLS_MEM_ANY"),
    ("UOPS_RETIRED.RETIRE_SLOTS", "UOPS_ISSUED.ANY"),
    ("MEM_INST_RETIRED.ALL_LOADS", "INST_RETIRED"),
    ("MEM_INST_RETIRED.ALL_STORES", "INST_RETIRED"),
    ("CYCLE_ACTIVITY.STALLS_MEM_ANY", "CPU_CLK_UNHALTED"),
)


@dataclass(frozen=True)
class RoundRobin:
    """One program under perf's round robin.

    Attributes
    ----------
    program : str
    events : tuple of str
    cumulative : numpy.ndarray [intervals + 1, events]
        Counts since the start as perf gave them, scaled by time enabled over time running [events].
    uncertainty : numpy.ndarray [intervals + 1, events]
        What Tintin gives as the uncertainty of ``cumulative`` [events].
    """

    program: str
    events: tuple[str, ...]
    cumulative: np.ndarray
    uncertainty: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Counts of each interval of 0.1 s [intervals, events]; below 0 where the scaling went back on itself."""
        return np.diff(self.cumulative, axis=0)


def emon_programs() -> tuple[str, ...]:
    """Return the programs measured with EMON."""
    return tuple(_tables(EMON))


def round_robin_programs() -> tuple[str, ...]:
    """Return the programs measured with perf's round robin."""
    return tuple(_tables(ROUND_ROBIN))


def emon(program: str) -> Log:
    """Return one program's EMON series: a slice of 0.1 s for each group, five groups in turn.

    Core events are those of core 0, uncore events (``UNC_...``) the sum over their units.

    Raises
    ------
    InputError
        For another program, or if the set is not to be had (``CREDENCE_MIRROR``).
    """
    table = _tables(EMON)[choose(program, emon_programs(), "program measured with EMON")]
    events = tuple(name for name in table.columns if name not in _CLOCKS)
    count = table[list(events)].to_numpy(np.float64)
    times = table["t_s"].to_numpy(np.float64)
    shown = tuple(f"{time:.3f}" for time in times)
    return Log(f"{EMON}/{program}", "emon", shown, times, events, count, (~np.isnan(count)).astype(np.float64))


def emon_groups(log: Log) -> list[tuple[str, ...]]:
    """Return the groups of events that an EMON series counts together, in their order of turn."""
    groups: dict[tuple[str, ...], None] = {}
    for row in log.counted:
        groups.setdefault(tuple(event for event, counted in zip(log.events, row, strict=True) if counted))
    return [group for group in groups if group]


def round_robin(program: str) -> RoundRobin:
    """Return one program's series under perf's round robin: 20 events.

    Raises
    ------
    InputError
        For another program, or if the set is not to be had (``CREDENCE_MIRROR``).
    """
    table = _tables(ROUND_ROBIN)[choose(program, round_robin_programs(), "program measured with round robin")]
    events = tuple(name for name in table.columns if not name.startswith("U:"))
    cumulative = table[list(events)].to_numpy(np.float64)
    return RoundRobin(program, events, cumulative, table[[f"U:{name}" for name in events]].to_numpy(np.float64))


@cache
def _tables(name: str) -> dict[str, pd.DataFrame]:
    frame = catalogue.frame(name)
    programs = [file.rsplit("/", 1)[-1].removesuffix(".csv") for file, _ in catalogue.entry(name).files]
    parts = {programs[int(number)]: rows.drop(columns="file") for number, rows in frame.groupby("file")}
    return {program: rows.reset_index(drop=True) for program, rows in parts.items()}
