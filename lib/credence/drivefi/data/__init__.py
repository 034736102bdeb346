"""What the DriveFI study reads: declared variables, fault table, scenarios."""

from credence.drivefi.data.scenarios import Scenario, read_scenario, scenario, scenario_names
from credence.drivefi.data.variables import VARIABLES, FaultType, Variable, fault_types

__all__ = [
    "VARIABLES",
    "FaultType",
    "Scenario",
    "Variable",
    "fault_types",
    "read_scenario",
    "scenario",
    "scenario_names",
]
