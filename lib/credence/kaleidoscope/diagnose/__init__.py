"""Why a component failed: what its log says that no peer's does, and which metric sets it apart."""

from credence.kaleidoscope.diagnose.logs import LogDifference, Rule, difference, read_rules
from credence.kaleidoscope.diagnose.outliers import Outlier, outlier
from credence.kaleidoscope.diagnose.verdict import Diagnosis, Settings, diagnose

__all__ = [
    "Diagnosis",
    "LogDifference",
    "Outlier",
    "Rule",
    "Settings",
    "diagnose",
    "difference",
    "outlier",
    "read_rules",
]
