"""What others do with the same multiplexed counts."""

from credence.bayesperf.baselines.counterminer import counterminer
from credence.bayesperf.baselines.gaps import hold, interpolate, trapezoid
from credence.bayesperf.baselines.plain_kalman import plain_kalman

__all__ = ["counterminer", "hold", "interpolate", "plain_kalman", "trapezoid"]
