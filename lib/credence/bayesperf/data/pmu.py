"""Performance monitoring units: how many counters there are, what is always counted, and which events one asks for."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache

from credence.bench import paths
from credence.bench.errors import InputError, choose

# The list sizes of the paper's Figs 1 and 8.
LIST_SIZES = (10, 15, 20, 25, 30, 35)
LIST_KINDS = ("vendor", "closed")

# Every event of the counting plugin, in its order. SLOTS counts quarter cycles (4 issue slots a cycle).
_PLUGIN = """
SLOTS INST LOADS STORES
BR_ALL BR_COND BR_CALL BR_RET BR_IND BR_UNCOND BR_TAKEN BR_NTAKEN BR_MISP BR_MISP_COND BR_MISP_IND BR_MISP_RET
L1I_REF L1I_MISS L1D_LD_HIT L1D_LD_MISS L1D_ST_HIT L1D_ST_MISS L1D_REPL L1D_WB
L2_REF L2_MISS L2_CODE_HIT L2_CODE_MISS L2_DRD_HIT L2_DRD_MISS L2_RFO_HIT L2_RFO_MISS L2_PF_HIT L2_PF_MISS
L2_LINES_IN L2_OUT_DIRTY L2_OUT_CLEAN
LLC_REF LLC_MISS LD_L2_HIT LD_L3_HIT LD_L3_MISS LLC_WB MEM_RD MEM_WR
DTLB_LD_MISS DTLB_ST_MISS STLB_HIT DTLB_WALK ITLB_MISS ITLB_WALK
SL_RETIRING SL_FRONTEND SL_BADSPEC SL_L2 SL_L3 SL_DRAM SL_TLB SYSCALLS
"""
PLUGIN_EVENTS = tuple(_PLUGIN.split())

# The limiting case: each line is closed under the plugin's identities, or nearly so, together with the lines before it
# and the fixed events. Nearly everything follows from few events, so it says what arithmetic allows, not what a user
# gets.
_CLOSED = """
LOADS L1D_LD_HIT L1D_LD_MISS LD_L2_HIT LD_L3_HIT LD_L3_MISS SL_L2 SL_L3 SL_DRAM SL_RETIRING
BR_MISP BR_MISP_COND BR_MISP_IND BR_MISP_RET SL_BADSPEC
STORES L1D_ST_HIT L1D_ST_MISS L1D_REPL L2_DRD_HIT
BR_ALL BR_TAKEN BR_NTAKEN SL_FRONTEND SL_TLB
L1I_MISS L2_CODE_HIT L2_CODE_MISS L2_RFO_HIT L2_RFO_MISS
DTLB_LD_MISS DTLB_ST_MISS ITLB_MISS STLB_HIT DTLB_WALK
"""
CLOSED_LIST = tuple(_CLOSED.split())


@dataclass(frozen=True)
class Pmu:
    """A PMU as the scheduler sees it.

    Attributes
    ----------
    name : str
        Its name on the command line.
    counters : int
        Programmable counters that one thread has.
    fixed : tuple of str
        Events with a counter of their own: always counted, and no part of a configuration.
    events : tuple of str
        Events that may be programmed; empty when any event may be named (real CPUs: their lists are the vendor's).
    constraints : mapping of str to tuple of int
        For an event that not every counter can count: the numbers of those that can, from 0.
    """

    name: str
    counters: int
    fixed: tuple[str, ...]
    events: tuple[str, ...] = ()
    constraints: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


_QEMU_FIXED = ("SLOTS", "INST")
_INTEL_FIXED = ("INST_RETIRED.ANY", "CPU_CLK_UNHALTED.THREAD", "CPU_CLK_UNHALTED.REF_TSC")
_PROGRAMMABLE = tuple(name for name in PLUGIN_EVENTS if name not in _QEMU_FIXED)

# Counters per hardware thread with both threads of a core in use; Intel's are twice as many when one thread is alone.
# Single-counter events: the vendors' event lists, field "Counter".
_PMUS = {
    pmu.name: pmu
    for pmu in (
        Pmu("qemu-x86", 4, _QEMU_FIXED, _PROGRAMMABLE),
        Pmu("qemu-ppc64", 4, _QEMU_FIXED, _PROGRAMMABLE),
        Pmu("skylakex", 4, _INTEL_FIXED),
        Pmu("icelakex", 8, (*_INTEL_FIXED, "TOPDOWN.SLOTS")),
        Pmu(
            "broadwellx",
            4,
            _INTEL_FIXED,
            constraints=dict.fromkeys(("L1D_PEND_MISS.PENDING", "L1D_PEND_MISS.PENDING_CYCLES"), (2,)),
        ),
        Pmu("zen2", 6, ()),
        Pmu("zen3", 6, ()),
        Pmu("power9", 4, ("PM_RUN_INST_CMPL", "PM_RUN_CYC")),
        Pmu("power10", 4, ("PM_RUN_INST_CMPL", "PM_RUN_CYC")),
    )
}


def pmus() -> tuple[str, ...]:
    """Return the names of the known PMUs."""
    return tuple(_PMUS)


def pmu(name: str, counters: int | None = None) -> Pmu:
    """Return a known PMU.

    Parameters
    ----------
    name : str
        One of :func:`pmus`.
    counters : int or None
        Programmable counters, if not the usual number: someone else may hold some of them.

    Raises
    ------
    InputError
        For an unknown name, or fewer than one counter.
    """
    found = _PMUS[choose(name, _PMUS, "PMU")]
    if counters is None:
        return found
    if counters < 1:
        raise InputError(f"--counters is {counters}; allowed: an integer >= 1")
    held = {event: tuple(k for k in where if k < counters) for event, where in found.constraints.items()}
    return Pmu(found.name, counters, found.fixed, found.events, held)


def place(found: Pmu, group: Collection[str]) -> dict[str, int] | None:
    """Put the events of one configuration on counters (paper §4.1: a configuration must be valid).

    Parameters
    ----------
    found : Pmu
        The PMU.
    group : collection of str
        Programmable events to be counted at the same time; fixed events among them need no counter.

    Returns
    -------
    dict of str to int or None
        Counter of each event, from 0; None when there is no way to place them all.
    """
    wanted = [event for event in dict.fromkeys(group) if event not in found.fixed]
    if len(wanted) > found.counters:
        return None
    holder: dict[int, str] = {}

    def seat(event: str, tried: set[int]) -> bool:
        # an augmenting path: who sits on the counter moves on if there is another one for it
        for counter in found.constraints.get(event, range(found.counters)):
            if counter in tried:
                continue
            tried.add(counter)
            if counter not in holder or seat(holder[counter], tried):
                holder[counter] = event
                return True
        return False

    if not all(seat(event, set()) for event in wanted):
        return None
    return {event: counter for counter, event in holder.items()}


def event_list(found: Pmu, n: int, kind: str = "vendor") -> tuple[str, ...]:
    """Return a list of programmable events such as a user asks for.

    Parameters
    ----------
    found : Pmu
        ``qemu-x86`` or ``qemu-ppc64``.
    n : int
        Number of events; the paper's are :data:`LIST_SIZES`.
    kind : str
        ``"vendor"``: the events of the first ten metrics that the kernel's event files list for the real CPU
        (Skylake-SP, POWER9), and of the metrics after them until there are n distinct ones, by the mapping in
        ``data/bayesperf/vendor-lists.toml``; ``"closed"``: :data:`CLOSED_LIST`, the limiting case.

    Returns
    -------
    tuple of str [n]
        Distinct events, none of them fixed or a copy of a fixed one (``"closed"`` has such a copy: SL_RETIRING = INST).

    Raises
    ------
    InputError
        For another PMU or kind, or an n that is less than 1 or more than the list has.
    """
    choose(found.name, ("qemu-x86", "qemu-ppc64"), "PMU with an event list")
    choose(kind, LIST_KINDS, "kind of event list")
    known = CLOSED_LIST if kind == "closed" else _vendor_list(found.name)
    if not 1 <= n <= len(known):
        raise InputError(f"n is {n}; allowed: 1 to {len(known)}, the events of the {kind} list of {found.name}")
    return known[:n]


def vendor_metrics(name: str) -> list[dict]:
    """Return the metrics behind a vendor list, in the kernel's order.

    Returns
    -------
    list of dict
        ``name`` of the metric, and ``events``: pairs of the vendor's event and the plugin's events that stand for it
        (none when nothing in the simulated machine does what it counts).
    """
    return _vendor_table()[choose(name, ("qemu-x86", "qemu-ppc64"), "PMU with an event list")]


@cache
def _vendor_list(name: str) -> tuple[str, ...]:
    mapped = [event for metric in vendor_metrics(name) for _, events in metric["events"] for event in events]
    wrong = [event for event in mapped if event not in _PROGRAMMABLE]
    if wrong:
        raise InputError(f"data/bayesperf/vendor-lists.toml, {name}: {wrong[0]!r} is no programmable event")
    return tuple(dict.fromkeys(mapped))


@cache
def _vendor_table() -> dict[str, list[dict]]:
    path = paths.data_dir() / "bayesperf" / "vendor-lists.toml"
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: table["metric"] for name, table in document.items()}
