"""Which events are on a counter in which slice.

A *schedule* is a bool array [period, events]; columns of fixed counters are True throughout. `repeat` lays it over a
run.
"""

from credence.bayesperf.schedule.blanket import markov_blanket
from credence.bayesperf.schedule.optimal import a_optimal, default_period, expected_error, improve, opening_group
from credence.bayesperf.schedule.rotation import basis_rotation, linux_round_robin, repeat

__all__ = [
    "a_optimal",
    "basis_rotation",
    "default_period",
    "expected_error",
    "improve",
    "linux_round_robin",
    "markov_blanket",
    "opening_group",
    "repeat",
]
