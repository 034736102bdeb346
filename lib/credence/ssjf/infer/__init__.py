"""Policies that order requests, and the keys they order by."""

from credence.ssjf.infer.keys import hold_out, mean_key, quantile_key, tail_inflated_key
from credence.ssjf.infer.policies import POLICIES, Policy, RequestState, policy

__all__ = [
    "POLICIES",
    "Policy",
    "RequestState",
    "hold_out",
    "mean_key",
    "policy",
    "quantile_key",
    "tail_inflated_key",
]
