"""Sweeps: one grid file on a local Dask cluster or any scheduler.

`grid` reads and checks the file, `point` computes one point (on a worker), `cluster` has them computed, `store` keeps
what is finished, `driver` is the whole.
"""

from credence.bench.sweep.driver import SweepFailed, main, run

__all__ = ["SweepFailed", "main", "run"]
