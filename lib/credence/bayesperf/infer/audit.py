"""The audit: the posterior probability that each relation holds, from one multiplexed run and nothing else.

A wrong relation does more harm than none, because a smoother believes it. So every relation is tested on the slices in
which all its events were counted together (:mod:`.evidence` weighs them), and what is found broken is named and left
out by :func:`screen`. Where its events were never together, residuals over time are tried: an event between two of its
measurements is interpolated. If even a clear error would not show in them, the relation is *not testable*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import betaln, logsumexp
from scipy.stats import norm

from credence.bayesperf.data.observations import Observations
from credence.bayesperf.infer.evidence import Beliefs, log_student, noise_of, weigh
from credence.bayesperf.infer.residuals import Residuals, residuals_over_time, residuals_together
from credence.bayesperf.model.relation import Relation
from credence.bayesperf.model.relations import eliminated
from credence.bench.errors import InputError

TOGETHER, OVER_TIME, NOT_TESTABLE = "together", "over time", "not testable"


@dataclass(frozen=True)
class AuditSettings:
    """Choices of the audit; made on the training programs.

    Attributes
    ----------
    beliefs : Beliefs
    read_noise : float
        Relative noise of a reading, where too few relations show it.
    skid : float
        Standard deviation of the share of a reading that is late.
    fewest, fewest_for_mean : int
        Slices that a test needs, of the residuals themselves and of their mean.
    most_noise : float
        Relative noise up to which each slice's residual is tested; beyond it (scaled counts) only their mean.
    holds, broken : float
        A relation with P at least `holds` holds; with P at most `broken` it is broken; between them it is doubtful.
    clear : float
        The error that a test over time must be able to see, as a share of a coefficient.
    visible : float
        Standard errors at which an error is seen against the belief that relations hold.
    torn : float
        Share of the slices in which a true order is violated because its events are not read at the same time.
    """

    beliefs: Beliefs = field(default_factory=Beliefs)
    read_noise: float = 0.005
    skid: float = 0.006
    fewest: int = 3
    fewest_for_mean: int = 20
    most_noise: float = 0.03
    holds: float = 0.9
    broken: float = 0.1
    clear: float = 0.05
    visible: float = 4.0
    torn: float = 0.005


@dataclass(frozen=True)
class Audit:
    """What a run says about one relation.

    Attributes
    ----------
    relation : Relation
    probability : float
        That it holds; NaN if not testable.
    evidence : str
        ``"together"``, ``"over time"`` or ``"not testable"``.
    verdict : str
        ``"holds"``, ``"doubtful"``, ``"broken"`` or ``"not testable"``.
    slices : int
        Slices with all events together (over time: with interpolated ones).
    residual : float
        Sum of the residuals as a share of the sum of the larger side.
    suspect : str
        Event whose coefficient is most likely the wrong one; empty for inequalities and if nothing points to one.
    factor : float
        What that coefficient would have to be multiplied by.
    visible : dict of str to float
        Relative error of each coefficient that this run would have shown; above 1: none.
    reason : str
        One sentence for the report.
    """

    relation: Relation
    probability: float
    evidence: str
    verdict: str
    slices: int
    residual: float
    suspect: str
    factor: float
    visible: dict[str, float]
    reason: str


@dataclass(frozen=True)
class Screened:
    """Relations sorted by their audit.

    Attributes
    ----------
    relations : tuple of Relation
        To be used as they are: those that hold and those not testable, reduced to the events of the run.
    soft : tuple of Relation
        Doubtful identities: to be used within a few percent only.
    refused : tuple of Audit
        Broken ones, by name; left out.
    audits : tuple of Audit
        All.
    """

    relations: tuple[Relation, ...]
    soft: tuple[Relation, ...]
    refused: tuple[Audit, ...]
    audits: tuple[Audit, ...]


def run_noise(found: Iterable[Residuals], settings: AuditSettings) -> float:
    """Return the relative read noise of a run: the median over its identities, which a few wrong ones do not move."""
    return _shown_noise(found, settings) or settings.read_noise


def _shown_noise(found: Iterable[Residuals], settings: AuditSettings) -> float | None:
    """Return the noise that a run shows, or None if it has too few identities to show any."""
    each = []
    for r in found:
        fine = settings.read_noise**2 * r.weight > r.floor  # the others show rounding
        if fine.sum() >= settings.fewest:
            each.append(noise_of(r.residual[fine], r.weight[fine], settings.beliefs.degrees))
    return float(np.clip(np.median(each), settings.read_noise / 100, 0.1)) if len(each) >= 3 else None


def own_noise(found: Residuals, settings: AuditSettings) -> float:
    """Return the noise that an identity shows by itself, whether it holds or one coefficient is off."""
    slopes = (found.terms * found.residual[:, None] / found.weight[:, None]).sum(axis=0)
    sizes = np.maximum((found.terms**2 / found.weight[:, None]).sum(axis=0), 1e-300)
    rests = [found.residual, *(found.residual[:, None] - found.terms * slopes / sizes).T]
    return max(settings.read_noise, min(noise_of(rest, found.weight, settings.beliefs.degrees) for rest in rests))


def audit(
    observations: Observations, relations: Sequence[Relation], settings: AuditSettings | None = None
) -> tuple[Audit, ...]:
    """Return what a run says about each relation.

    Parameters
    ----------
    observations : Observations
    relations : sequence of Relation
        Identities and inequalities; one with an event that the run has not is not testable.
    settings : AuditSettings, optional

    Raises
    ------
    InputError
        For relations with the same name: a report must tell them apart.
    """
    settings = settings or AuditSettings()
    names = [relation.name for relation in relations]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(f"relations are named twice: {', '.join(twice)}; allowed: one name each")
    together = {
        relation.name: residuals_together(observations, relation, settings)
        for relation in relations
        if set(relation.coefficients) <= set(observations.events)
    }
    equal = [together[r.name] for r in relations if r.kind == "eq" and r.name in together]
    noise = _shown_noise(equal, settings)
    return tuple(_one(observations, r, together.get(r.name), noise, settings) for r in relations)


def _one(observations, relation: Relation, found: Residuals | None, noise: float | None, settings) -> Audit:
    if found is None:
        missing = [event for event in relation.coefficients if event not in observations.events]
        return _untested(relation, 0, f"never counted here: {', '.join(missing)}")
    if len(found.residual) >= settings.fewest:
        if relation.kind == "le":
            return judge_order(relation, found, noise, settings)
        own = own_noise(found, settings) if noise is None else noise
        if own <= settings.most_noise:
            return judge_identity(relation, found, own, settings)
        return judge_mean(relation, found, settings, TOGETHER)
    if found.slices >= settings.fewest:
        return _untested(relation, found.slices, "its counts are 0 where they were taken together")
    if relation.kind == "eq":
        over = residuals_over_time(observations, relation, settings)
        if over.slices:
            return judge_mean(relation, over, settings, OVER_TIME)
    return _untested(relation, len(found.residual), "its events are counted together too seldom")


def judge_identity(relation: Relation, found: Residuals, noise: float, settings: AuditSettings) -> Audit:
    """Return the audit of an identity from the residuals of slices with all its events, and the run's noise."""
    result = weigh(found.residual, found.terms, found.weight, noise, settings.beliefs, found.floor)
    events = list(relation.coefficients)
    visible = {event: float(settings.visible * sd) for event, sd in zip(events, result.sd, strict=True)}
    verdict = _verdict(result.probability, settings)
    worst = int(np.argmax(result.wrong))
    suspect = events[worst] if verdict != "holds" and result.wrong[worst] > result.other else ""
    share = float(found.residual.sum() / max(found.size.sum(), 1e-300))
    factor = 1 - float(result.factor[worst])
    count = f"{len(found.residual)} slices"
    if verdict == "holds":
        blind = [event for event in events if visible[event] > settings.clear]
        reason = f"residual {share:+.2%} in {count}" + (f"; blind to errors of {', '.join(blind)}" if blind else "")
    elif suspect:
        reason = f"residual {share:+.2%} in {count}: {factor:.3g} times the coefficient of {suspect} fits better"
    else:
        reason = f"residual {share:+.2%} in {count}: no single coefficient explains it"
    return Audit(
        relation,
        result.probability,
        TOGETHER,
        verdict,
        len(found.residual),
        share,
        suspect,
        factor if suspect else 1.0,
        visible,
        reason,
    )


def judge_mean(relation: Relation, found: Residuals, settings: AuditSettings, evidence: str) -> Audit:
    """Return the audit of an identity whose residuals are noisy: interpolated counts, or counts that perf scaled.

    Such counts are wrong in each slice but right on average, so that only the mean can speak, against its own scatter.
    Bursts make that scatter large or, when few slices hold most of it, unknown: then the relation is not testable.
    """
    if len(found.residual) < settings.fewest_for_mean:
        return _untested(relation, len(found.residual), f"its counts are too noisy in {len(found.residual)} slices")
    beliefs, number = settings.beliefs, len(found.residual)
    mean, error = found.residual.mean(), found.residual.std(ddof=1) / np.sqrt(number)
    size, levels = found.size.mean(), np.abs(found.terms.mean(axis=0))
    apart = np.abs(found.residual - mean)
    seen = settings.visible * error
    visible = {e: float(seen / max(v, 1e-300)) for e, v in zip(relation.coefficients, levels, strict=True)}
    if min(visible.values()) > settings.clear or apart.max() > 0.25 * apart.sum():
        how = (
            "its events are never counted together, and over time" if evidence == OVER_TIME else "its counts are noisy:"
        )
        return _untested(relation, number, f"{how} only an error of {min(visible.values()):.0%} would show")
    probability = _mean_is_zero(mean, max(error, 1e-300), size, beliefs)
    verdict = _verdict(probability, settings)
    kind = "noisy" if evidence == TOGETHER else "interpolated"
    reason = f"residual {mean / size:+.2%} on average over {number} {kind} slices"
    return Audit(relation, probability, evidence, verdict, number, float(mean / size), "", 1.0, visible, reason)


def _mean_is_zero(mean: float, error: float, size: float, beliefs: Beliefs, told: float = 0.0) -> float:
    """Return the probability that a mean with this standard error is that of 0, and not of an error of the relation.

    `told` is the log odds that something else adds.
    """
    spreads = np.sqrt(error**2 + (np.array(beliefs.factor_scales) * size) ** 2)
    log_wrong = logsumexp(norm.logpdf(mean, 0, spreads)) - np.log(len(spreads))
    odds = np.log(beliefs.holds / (1 - beliefs.holds)) + norm.logpdf(mean, 0, error) - log_wrong + told
    return float(1 / (1 + np.exp(-np.clip(odds, -700, 700))))


def judge_order(relation: Relation, found: Residuals, noise: float | None, settings: AuditSettings) -> Audit:
    """Return the audit of an inequality: slices that violate it beyond the noise speak against it.

    Under *holds* the true residual is at most 0, at worst 0 itself; otherwise it may be anything up to the relation's
    size. A slice above 0 counts as a violation as far as the second makes it likelier than the first. A few of many are
    no refutation, since events are read one after the other: under *holds* a share `torn` of the slices is violated,
    otherwise any share, all equally likely. That an order is kept throughout says little, since slices are alike, and
    counts as one. Small violations that add up are those of an identity whose smaller side is too large by a factor. In
    a run that does not show its noise (None; counts that perf scaled are off by far more than a reading) only the mean
    speaks, against its scatter.
    """
    beliefs = settings.beliefs
    above = float((found.residual > 0).mean())
    share = float(found.residual.sum() / max(found.size.sum(), 1e-300))
    if noise is None:
        mean, error = found.residual.mean(), found.residual.std(ddof=1) / np.sqrt(len(found.residual))
        told = np.log(2) if above <= 0.5 else 0.0
        probability = _mean_is_zero(max(float(mean), 0.0), max(error, 1e-300), float(found.size.mean()), beliefs, told)
        verdict = _verdict(probability, settings)
        reason = f"violated in {above:.1%} of {len(found.residual)} slices of unknown noise, by {share:+.1%} in all"
        return Audit(relation, probability, TOGETHER, verdict, len(found.residual), share, "", 1.0, {}, reason)
    scale = np.sqrt((noise * np.exp(beliefs.noise_spread)) ** 2 * found.weight + found.floor)
    just = log_student(np.zeros(len(scale)), scale, beliefs.degrees)
    fall = log_student(np.maximum(found.residual, 0), scale, beliefs.degrees) - just
    room = np.maximum(just + np.log(2 * np.maximum(found.size, 1e-300)), 0)  # what a size far above the noise allows
    number = len(scale)
    violations = float((1 - np.exp(np.minimum(fall + room, 0.0))).sum())
    kept = number - violations
    told = violations * np.log(settings.torn) + kept * np.log1p(-settings.torn) - betaln(violations + 1, kept + 1)
    odds = np.log(beliefs.holds / (1 - beliefs.holds)) + min(told, np.log(2))
    probability = float(1 / (1 + np.exp(-np.clip(odds, -700, 700))))
    pooled = weigh(found.residual, found.size[:, None], found.weight, noise, beliefs, found.floor, other=False)
    if pooled.factor[0] > 0:
        probability = min(probability, pooled.probability)
    verdict = _verdict(probability, settings)
    extent = "within" if verdict == "holds" else "beyond"
    reason = f"violated in {above:.1%} of {len(found.residual)} slices, {extent} noise"
    return Audit(relation, probability, TOGETHER, verdict, len(found.residual), share, "", 1.0, {}, reason)


def _verdict(probability: float, settings: AuditSettings) -> str:
    if probability >= settings.holds:
        return "holds"
    return "broken" if probability <= settings.broken else "doubtful"


def _untested(relation: Relation, slices: int, why: str) -> Audit:
    reason = f"not testable: {why}"
    return Audit(relation, float("nan"), NOT_TESTABLE, NOT_TESTABLE, slices, float("nan"), "", 1.0, {}, reason)


def screen(
    observations: Observations, relations: Sequence[Relation], settings: AuditSettings | None = None
) -> Screened:
    """Audit relations and sort them: what holds is used, what is doubtful is used softly, what is broken is named.

    Relations between events that are not all in the run are used as far as they say something about those that are
    (:func:`credence.bayesperf.model.relations.eliminated`), unless one that they rest on is broken or doubtful.
    """
    audits = audit(observations, relations, settings)
    kept = [a.relation for a in audits if a.verdict in ("holds", NOT_TESTABLE)]
    doubtful = [a for a in audits if a.verdict == "doubtful" and a.relation.kind == "eq"]
    return Screened(
        relations=eliminated(kept, observations.events),
        soft=tuple(a.relation for a in doubtful),
        refused=tuple(a for a in audits if a.verdict == "broken"),
        audits=audits,
    )
