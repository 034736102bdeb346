"""The posterior of multiplexed counters, fast: Kalman smoothing, expectation propagation, tabulated gains."""

from credence.bayesperf.infer.learn import Learned, Prior, learn
from credence.bayesperf.infer.posterior import Posterior, smooth
from credence.bayesperf.infer.prior import pool, trained_prior
from credence.bayesperf.infer.settings import Settings

__all__ = ["Learned", "Posterior", "Prior", "Settings", "learn", "pool", "smooth", "trained_prior"]
