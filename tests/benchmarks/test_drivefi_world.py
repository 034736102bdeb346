"""Speed of the driving world; nothing is asserted about time."""

import numpy as np

from credence.drivefi.world.simulate import Faults, every_fault, golden, run


def test_every_single_fault_of_a_scenario(benchmark):
    golden("DS5", 0)
    outcome = benchmark(run, "DS5", 0, "A", every_fault(225))
    assert len(outcome.margin_m) == 9225


def test_whole_runs_without_shortcuts(benchmark):
    # 2,000 runs of 225 scenes: 450,000 ego steps
    faults = Faults(np.arange(2000) % 225, np.arange(2000) % 41, np.ones(2000, int))
    golden("DS6", 0)
    outcome = benchmark(run, "DS6", 0, "A", faults, shortcuts=False)
    assert outcome.scenes_computed.sum() == 450_000
