"""What happens in the simulated two years: 843 issues that operators know, and the raw events besides.

From the paper: how many of each (Table I: 346 reliability, 497 overload; §VI: 26,596 raw events, of them 25,427
overloads), how long (Fig. 4), how loaded (Fig. 9), how much is lost under failure (Fig. 6). Not in the paper, and
chosen here before any run: what share of the faults sits in which kind of component, and that half of them lose
everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd

from credence.bench.errors import InputError
from credence.kaleidoscope.world import calibration
from credence.kaleidoscope.world.calibration import WINDOW_MIN

MONTHS = 24
MONTH = 8_760  # windows of five minutes in 730 hours
RELIABILITY, OVERLOADS = 346, 497
RAW_RELIABILITY, RAW_OVERLOADS = 1_169, 25_427

# Where faults sit. "server": one of a pair dies and its partner takes over after a while; "pair": it does not;
# "router": one of a group of four loses its turns.
FAULTS = MappingProxyType(
    {"target": 0.55, "server": 0.20, "pair": 0.05, "metadata": 0.06, "network": 0.02, "router": 0.08, "client": 0.04}
)
OVERLOADED = MappingProxyType({"server": 0.9, "metadata": 0.1})
COLUMNS = ("event", "issue", "cause", "fault", "culprit", "answers", "first", "last", "loss", "load", "month")


@dataclass(frozen=True)
class Mix:
    """What the paper leaves open about the events.

    Attributes
    ----------
    faults, overloaded : mapping of str to float
        Share of the reliability and of the overload events by kind of fault; see :data:`FAULTS`.
    hard : float
        Share of reliability events that lose every probe; the others lose Beta(2, b) with the mean of Fig. 6.
    takeover_min : tuple of float
        Median [min] and spread (of the logarithm) of the time a partner needs to take over.
    """

    faults: dict = field(default_factory=lambda: dict(FAULTS))
    overloaded: dict = field(default_factory=lambda: dict(OVERLOADED))
    hard: float = 0.5
    takeover_min: tuple[float, float] = (10.0, 0.5)

    def __post_init__(self):
        for name in ("faults", "overloaded"):
            total = sum(getattr(self, name).values())
            if abs(total - 1) > 1e-9:
                raise InputError(f"{name} sum to {total:g}; allowed: shares that sum to 1")
        if not 0 <= self.hard <= 1:
            raise InputError(f"hard is {self.hard!r}; allowed: 0 to 1")


def timetable(system, rng: np.random.Generator, mix: Mix | None = None, months: int = MONTHS) -> pd.DataFrame:
    """Draw all events of the years.

    Parameters
    ----------
    system : Topology
        ``bluewaters-lnet``; the 875 components of ``bluewaters`` come first in it, under the same ids.
    rng : numpy.random.Generator
    mix : Mix, optional
    months : int
        Length; numbers of events are for 24 and scale.

    Returns
    -------
    pandas.DataFrame
        A row an event: event (number), issue (True: operators know it), cause (reliability | overload), fault, culprit
        (component id), answers (ids that count as naming it: what the probes can't tell from it), first and last
        window (last excluded), loss (share of probes), load, month (of its first window). In order of first.
    """
    mix = mix or Mix()
    scale = months / MONTHS
    parts = []
    counts = ((True, RELIABILITY, "reliability"), (False, RAW_RELIABILITY - RELIABILITY, "reliability"),
              (True, OVERLOADS, "overload"), (False, RAW_OVERLOADS - OVERLOADS, "overload"))  # fmt: skip
    for issue, count, cause in counts:
        parts.append(_events(system, rng, mix, issue, cause, max(1, round(count * scale)), months))
    frame = pd.concat(parts, ignore_index=True).sort_values(["first", "culprit"], kind="stable", ignore_index=True)
    frame.insert(0, "event", np.arange(len(frame)))
    return frame[list(COLUMNS)]


def _events(system, rng, mix: Mix, issue: bool, cause: str, count: int, months: int) -> pd.DataFrame:
    shares = mix.faults if cause == "reliability" else mix.overloaded
    fault = rng.choice(list(shares), size=count, p=list(shares.values()))
    if cause == "overload":
        # operators count an overload after half an hour (§V-B); shorter ones are the raw events
        minutes = calibration.draw_durations(count, rng, 30.0) if issue else rng.uniform(0, 30, count)
        load = calibration.draw_loads(count, rng)
        loss = calibration.loss_at_load(load)
    else:
        minutes = calibration.draw_durations(count, rng, 24.2) if issue else rng.uniform(1, 24.2, count)
        soft = calibration.shares_lost()["failure"]
        loss = np.where(rng.random(count) < mix.hard, 1.0, rng.beta(2, 2 / soft - 2, count))
        load = np.zeros(count)
        median, spread = mix.takeover_min
        takeover = median * np.exp(spread * rng.standard_normal(count))
        single = fault == "server"
        minutes = np.where(single, np.minimum(minutes, takeover), minutes)  # then the partner serves
        loss = np.where(single | (fault == "pair"), 1.0, loss)
        loss = np.where(fault == "router", 0.25, loss)  # one of four
    width = np.maximum(1, np.round(minutes / WINDOW_MIN)).astype(int)
    first = rng.integers(0, months * MONTH, count)
    culprit = np.array([rng.choice(_candidates(system, kind)) for kind in fault], dtype=int)
    return pd.DataFrame(
        {
            "issue": issue,
            "cause": cause,
            "fault": fault,
            "culprit": culprit,
            "answers": [answers(system, int(who), kind, cause) for who, kind in zip(culprit, fault, strict=True)],
            "first": first,
            "last": np.minimum(first + width, months * MONTH),
            "loss": loss,
            "load": load,
            "month": first // MONTH,
        }
    )


def _candidates(system, fault: str) -> np.ndarray:
    kind = {"pair": "server"}.get(fault, fault)
    found = system.of_kind(kind)
    return found[:580] if fault == "router" else found  # the last group has two members, not four


def unit(system, component: int) -> int:
    """Return the position of a server or of a target among its kind: target j hangs on server j."""
    return int(np.searchsorted(system.of_kind(system.kinds[component]), component))


def units_hit(system, culprit: int, fault: str) -> list[int]:
    """Return the storage units (target and its server, by number) whose probes an event hits; all for no unit."""
    if fault == "pair":
        first = unit(system, culprit) // 2 * 2
        return [first, first + 1]
    if fault == "router":
        group = next(g for g, each in enumerate(system.groups) if culprit in each.members)
        servers = system.of_kind("server")
        targets = system.of_kind("target")
        return [j for j in range(len(servers)) if group in system.target_groups[targets[j]]]
    return [unit(system, culprit)] if fault in ("target", "server") else []


def answers(system, culprit: int, fault: str, cause: str = "reliability") -> tuple[int, ...]:
    """Return the component ids that count as having named the culprit.

    A server that is being taken over looks like its target; two servers of a pair look like their two targets; the one
    client behind the second network looks like that network; routers are not in the 875 components: naming what they
    serve counts there.
    """
    servers, targets = system.of_kind("server"), system.of_kind("target")
    if fault in ("server", "pair", "router"):
        hit = units_hit(system, culprit, fault)
        pairs = sorted({j ^ 1 for j in hit} | set(hit))
        also = [int(targets[j]) for j in hit] + [int(servers[j]) for j in pairs]
        if fault == "router":
            also += next(list(each.members) for each in system.groups if culprit in each.members)
        return tuple(sorted({culprit, *map(int, also)}))
    gem, behind = system.index(["gem_net", "client5"])
    if culprit in (gem, behind):
        return tuple(sorted((int(gem), int(behind))))
    return (int(culprit),)
