"""The world the policies are tested in: arrivals and a serving engine that works iteration by iteration.

``simulate`` and ``simulate_arrays`` are loaded on first use, because they bring numba with them.
"""

from credence.ssjf.world.arrivals import (
    BATCHING,
    capacity_rate,
    gamma_arrivals,
    poisson_arrivals,
    rate_for_load,
    replay,
)

__all__ = [
    "BATCHING",
    "Schedule",
    "capacity_rate",
    "gamma_arrivals",
    "poisson_arrivals",
    "rate_for_load",
    "replay",
    "simulate",
    "simulate_arrays",
]


def __getattr__(name: str):
    if name in ("Schedule", "simulate", "simulate_arrays"):
        from credence.ssjf.world import simulator

        return getattr(simulator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
