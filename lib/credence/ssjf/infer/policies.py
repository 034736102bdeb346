"""Scheduling policies: in which order requests are served, and which running one gives way.

A policy gives every request a *key*; the smallest key is served first. Keys are tuples
``(first, second, index)``, so that ties go to the request that became eligible earlier and, because requests are
numbered in order of arrival, to the lower index. A waiting request displaces a running one (preemptive policies
only, at a token boundary) when its ``first`` is strictly smaller; the worst-ranked running request gives way.

=========  ==========================================================================  ==========
policy     first                                                                       preemptive
=========  ==========================================================================  ==========
fcfs       time at which the request became eligible                                   no
sjf        its true output length (an oracle)                                          no
ssjf       its predicted length, in any unit                                           no
srpt       output tokens that really remain (an oracle)                                yes
psrpt      max(predicted − generated, 0): a request that exceeds its prediction        yes
           counts as about to end until it does, and nothing displaces it
mlfq       queue level; ``second``: when it entered that level                         yes
random     a number drawn once per request                                             no
=========  ==========================================================================  ==========

*mlfq* is a skip-join multi-level feedback queue after FastServe (arXiv 2305.05920). A request may produce
``quantum_tokens · 2^level`` tokens in a level, then it enters the next one; the last level has no quantum. It joins
the first level whose quantum, in seconds at batch size 1, is no shorter than its prefill. One that has waited
``promote_after_s`` since it last became waiting enters level 0 with a fresh quantum.

*Aging guard* (any policy): a request that has waited ``aging`` seconds since it last became waiting (at first:
since its arrival) goes first, longest waiter first, and once running is not displaced; only a full KV cache can
still take its place, and then only after every unprotected request.
"""

from dataclasses import dataclass, replace

import numpy as np

from credence.bench.errors import InputError, choose

KINDS = ("fixed", "remaining", "levels")


@dataclass(frozen=True)
class Policy:
    """One scheduling policy; the simulator and a real engine read the same object.

    Attributes
    ----------
    name : str
        Its key in `POLICIES`.
    kind : {"fixed", "remaining", "levels"}
        Key that never changes; length minus generated tokens; feedback queue.
    basis : {"eligible", "output", "predicted", "random", "none"}
        What the key is made of.
    preemptive : bool
        Whether a waiting request may displace a running one at a token boundary.
    quantum_tokens, levels, promote_after_s : int, int, float
        The feedback queue: quantum of level 0 [tokens], number of levels, promotion after [s] (inf: never).
    """

    name: str
    kind: str
    basis: str
    preemptive: bool = False
    quantum_tokens: int = 8
    levels: int = 8
    promote_after_s: float = 60.0

    def __post_init__(self):
        choose(self.kind, KINDS, f"kind of policy {self.name!r}")
        choose(self.basis, ("eligible", "output", "predicted", "random", "none"), f"basis of policy {self.name!r}")
        for name, low, high in (("quantum_tokens", 1, 2**30), ("levels", 1, 30)):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"policy {self.name!r}: {name} is {value!r}; allowed: an integer {low}..{high}")
        if not self.promote_after_s > 0:
            raise InputError(
                f"policy {self.name!r}: promote_after_s is {self.promote_after_s!r}; allowed: seconds > 0, or inf"
            )

    @property
    def uses_prediction(self) -> bool:
        """Whether a request becomes eligible only after the predictor has seen it."""
        return self.basis == "predicted"

    def key(self, state: "RequestState") -> tuple[float, float, int]:
        """Return the key of a request: smaller is served earlier."""
        if self.kind == "levels":
            return (float(state.level), state.level_since_s, state.index)
        if self.kind == "remaining":
            return (max(state.size - state.generated_tokens, 0.0), 0.0, state.index)
        return (state.size, 0.0, state.index)

    def quantum(self, level: int) -> float:
        """Return the tokens [tokens] a request may produce in `level`; inf in the last one."""
        return float("inf") if level >= self.levels - 1 else float(self.quantum_tokens * 2**level)


@dataclass
class RequestState:
    """What a scheduler knows of one request; an engine keeps one for each.

    Attributes
    ----------
    index : int
        Number in order of arrival.
    size : float
        The policy's static number for it (see `sizes`): eligible time, length, prediction or random draw.
    waiting_since_s : float
        When it last became waiting [s]; at first its arrival.
    generated_tokens : int
        Tokens produced so far.
    level, level_since_s, level_tokens : int, float, int
        Feedback queue: its level, when it entered it [s], and tokens produced there.
    protected : bool
        It was admitted by the aging guard.
    """

    index: int
    size: float
    waiting_since_s: float
    generated_tokens: int = 0
    level: int = 0
    level_since_s: float = 0.0
    level_tokens: int = 0
    protected: bool = False


def waiting_key(policy: Policy, state: RequestState, now_s: float, aging_s: float | None) -> tuple:
    """Return the place of a waiting request at `now_s` [s]: aged requests first, then the policy's key."""
    if aging_s and state.waiting_since_s + aging_s <= now_s:
        return (0, state.waiting_since_s, 0.0, state.index)
    return (1, *policy.key(state))


def running_key(policy: Policy, state: RequestState) -> tuple:
    """Return the rank of a running request; the largest gives way first, a protected one (0, …) last."""
    if state.protected:
        return (0, state.waiting_since_s, 0.0, state.index)
    return (1, *policy.key(state))


def displaces(waiting: tuple, running: tuple) -> bool:
    """Whether a waiting request of a preemptive policy takes the place of a running one, by their keys."""
    return running[0] == 1 and waiting[:2] < running[:2]


def first_level(policy: Policy, prefill_s, iteration_s: float):
    """Return the level [requests] that requests join, by their prefill time.

    Parameters
    ----------
    prefill_s : array_like [requests]
        Time of each prefill alone [s].
    iteration_s : float
        Time of a decode iteration at batch size 1 [s].
    """
    quanta_s = np.array([policy.quantum(level) for level in range(policy.levels)]) * iteration_s
    return np.searchsorted(quanta_s, np.asarray(prefill_s, dtype=np.float64), side="left")


def note_tokens(policy: Policy, state: RequestState, tokens: int, now_s: float) -> None:
    """Count `tokens` just produced by a running request; at the end of its quantum it enters the next level.

    Call it at least once for each quantum, as an engine that works token by token does anyway.
    """
    state.generated_tokens += tokens
    state.level_tokens += tokens
    if policy.kind == "levels" and state.level_tokens >= policy.quantum(state.level):
        state.level, state.level_tokens, state.level_since_s = state.level + 1, 0, now_s


def promote(policy: Policy, state: RequestState, now_s: float) -> None:
    """Move a waiting request to level 0 when it has waited long enough."""
    due = state.waiting_since_s + policy.promote_after_s
    if policy.kind == "levels" and state.level > 0 and due <= now_s:
        state.level, state.level_tokens, state.level_since_s = 0, 0, due


POLICIES = {
    entry.name: entry
    for entry in (
        Policy("fcfs", "fixed", "eligible"),
        Policy("sjf", "fixed", "output"),
        Policy("ssjf", "fixed", "predicted"),
        Policy("srpt", "remaining", "output", preemptive=True),
        Policy("psrpt", "remaining", "predicted", preemptive=True),
        Policy("mlfq", "levels", "none", preemptive=True),
        Policy("random", "fixed", "random"),
    )
}


def policy(name: str | Policy, **changes) -> Policy:
    """Return the policy called `name`, with some of its fields changed (``policy("mlfq", levels=4)``)."""
    found = name if isinstance(name, Policy) else POLICIES[choose(name, POLICIES, "policy")]
    return replace(found, **changes) if changes else found


def sizes(
    policy: Policy,
    eligible_s: np.ndarray,
    output_tokens: np.ndarray,
    predicted: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return the static number [requests] that a policy keys on.

    Parameters
    ----------
    eligible_s, output_tokens, predicted : ndarray [requests]
        Eligible times [s], true lengths [tokens], predictions in any unit (needed by ssjf and psrpt).
    rng : numpy.random.Generator
        Needed by the random order.

    Raises
    ------
    InputError
        When the policy needs something that was not given.
    """
    if policy.basis == "eligible":
        return np.asarray(eligible_s, dtype=np.float64)
    if policy.basis == "output":
        return np.asarray(output_tokens, dtype=np.float64)
    if policy.basis == "predicted":
        if predicted is None:
            raise InputError(
                f"policy {policy.name!r} needs a prediction for every request; allowed: a column 'predicted', or key="
            )
        return np.asarray(predicted, dtype=np.float64)
    if policy.basis == "random":
        if rng is None:
            raise InputError(
                f"policy {policy.name!r} draws at random; allowed: with rng=numpy.random.default_rng(seed)"
            )
        return rng.random(len(output_tokens))
    return np.zeros(len(output_tokens))
