"""The nine peculiarities of the evaluation released with SSJF, as switches (D1 to D9 of our notes).

A switch that is *on* does what the released program does; *off* does what its documentation or the paper's text leads
a reader to expect. Two more peculiarities are shown in the notebook and not switched: labels are cut at 512 tokens
(D10), and the overhead plot adds a synthetic N(30, 4) ms to the measured predictor latency, while the scheduler is
charged nothing (D11).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from credence.bench.errors import InputError, choose

CONSTANT_S = 0.1
PER_TOKEN_S = 0.02

MODES = ("none", "dynamic", "continuous")
KINDS = ("poisson", "gamma", "azure")


@dataclass(frozen=True)
class Switch:
    """What one switch of :class:`Quirks` means.

    Attributes
    ----------
    key, title : str
        ``d1`` ... ``d9`` (the notes' numbering) and a name short enough for an axis.
    on, off : str
        What happens in either position.
    where : str
        Files of the released program (commit 4b866866).
    """

    key: str
    title: str
    on: str
    off: str
    where: str


SWITCHES = {
    switch.key: switch
    for switch in (
        Switch(
            "d1",
            "throughput at 25 %",
            "throughput is the completion rate when the first quarter of the jobs is done",
            "throughput is the completion rate when the last job is done",
            "simulator.py get_throughput",
        ),
        Switch(
            "d2",
            "batch timeout for FCFS only",
            "FCFS holds a batch that is not full for 10 s; SSJF and SJF start at once",
            "nobody waits: every policy starts with what has arrived",
            "fcfs.py, fcfs_dynamic.py; sjf.py computes the same time and never waits for it",
        ),
        Switch(
            "d3",
            "milliseconds read as seconds",
            "the trace's time stamps in ms count as s, divided by the scale and rounded to 0.1",
            "the trace's true seconds, divided by the scale",
            "traces/convert_timestamps.py, job.py",
        ),
        Switch(
            "d4",
            "gaps sorted",
            "Gamma inter-arrival gaps are sorted: all short gaps first, all long ones last",
            "the gaps in the order they were drawn",
            "job.py",
        ),
        Switch(
            "d5",
            "last job dropped",
            "SSJF and SJF stop when nobody waits and one job is still to come: it is neither served nor counted",
            "every job is served and counted",
            "sjf.py, sjf_dynamic.py loop condition",
        ),
        Switch(
            "d6",
            "ageing knows the truth",
            "a job starves after 10 x its true remaining service time, whatever the policy knows",
            "a job starves after 10 x the service time the policy believes in: for SSJF the middle of the "
            "predicted class, for the oracle the true one",
            "sjf.py, sjf_dynamic.py starvation rule",
        ),
        Switch(
            "d7",
            "free SRPT for the oracle",
            "continuous batching: the oracle is sorted by remaining time, SSJF by its first prediction; "
            "taking a job out of the batch and back costs nothing",
            "both are sorted by total length; a job that comes back pays for its prompt and for the tokens "
            "it had produced (Costs.resume_*)",
            "sjf_dynamic.py",
        ),
        Switch(
            "d8",
            "batching is free",
            "a batch of b jobs is as fast as a single job",
            "a batch of b jobs takes 1 + slowdown (b - 1) times as long (Costs.slowdown)",
            "fcfs.py, sjf.py and their dynamic forms",
        ),
        Switch(
            "d9",
            "whole-second arrivals",
            "Poisson arrivals fall on whole seconds, several at once",
            "the same Poisson process with its exact times",
            "job.py generate_arrival_list",
        ),
    )
}


@dataclass(frozen=True)
class Quirks:
    """Nine switches of the released evaluation; see :data:`SWITCHES` for both positions of each.

    Attributes
    ----------
    d1, d2, d3, d4, d5, d6, d7, d8, d9 : bool
        True does as the released program does.
    """

    d1: bool = True
    d2: bool = True
    d3: bool = True
    d4: bool = True
    d5: bool = True
    d6: bool = True
    d7: bool = True
    d8: bool = True
    d9: bool = True

    def but(self, **switches: bool) -> Quirks:
        """Return a copy with some switches set: ``ALL_ON.but(d2=False)``."""
        for name in switches:
            choose(name, SWITCHES, "switch")
        return replace(self, **switches)

    @property
    def bits(self) -> int:
        """The position in a table of 512 subsets: bit 0 is ``d1``."""
        return sum(getattr(self, field.name) << i for i, field in enumerate(fields(self)))

    @classmethod
    def of_bits(cls, bits: int) -> Quirks:
        """Return the switches of one subset, the inverse of :attr:`bits`."""
        return cls(*(bool(bits >> i & 1) for i in range(len(SWITCHES))))


ALL_ON = Quirks()
ALL_OFF = Quirks(*(False,) * len(SWITCHES))


@dataclass(frozen=True)
class Costs:
    """What batching and preemption cost once D8 and D7 are off.

    The defaults are rounded from splitwise-sim's measured table (Llama2-70B and BLOOM-176B on A100 and H100,
    batch up to 16): a further request makes a decode step 0.5 to 1.5 % longer, and prefilling one token costs
    0.2 to 0.6 % of a decode step.

    Attributes
    ----------
    slowdown : float
        Relative slow-down for each further job in the batch [1].
    resume_base_s : float
        Price of bringing a job back: its prompt is prefilled again, the program's constant latency [s].
    resume_per_s : float
        Price for each second of work already done, whose tokens are prefilled again [s/s].
    """

    slowdown: float = 0.01
    resume_base_s: float = CONSTANT_S
    resume_per_s: float = 0.005

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"Costs.{field.name} = {value}: a finite number >= 0 is allowed")


DEFAULT_COSTS = Costs()


def effective(mode: str, arrivals: str) -> tuple[str, ...]:
    """Return the switches that can change a schedule of this mode and arrival kind.

    The others cannot, by construction (D1 concerns the metric, not the schedule): a table of 512 subsets is filled from
    at most 64 simulations. A test runs the others too.
    """
    choose(mode, MODES, "mode")
    own = {"poisson": "d9", "gamma": "d4", "azure": "d3"}
    found = {own[choose(arrivals, KINDS, "arrival kind")], "d5", "d6"}
    if mode != "none":
        found |= {"d2", "d8"}
    if mode == "continuous":
        found.add("d7")
    return tuple(sorted(found))
