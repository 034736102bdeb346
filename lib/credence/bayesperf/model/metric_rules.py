"""Relations that metrics imply: shares are between 0 and their parent, residuals are not negative, levels flow.

A metric is a definition, not a law. What can be taken from it is what it must be to make sense: a share of slots or
cycles is at least 0, at most 1 and at most its parent's share; a component named "other", computed as the rest, is at
least 0; what misses one level asks the next. Sums over trees are used at the top two levels only: below them vendors'
shares overlap. :func:`ratios` returns every metric that is a ratio of two sums of events, for reports and plans.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from credence.bayesperf.model import expressions
from credence.bayesperf.model.expressions import Linear, NotLinearError, Number, Ratio
from credence.bayesperf.model.relation import Relation
from credence.bayesperf.model.vendor_files import Metric

# One thread on the core and no event-based sampling: the state in which the traces and logs here were taken.
MACHINE = {
    name: Number(Fraction(value))
    for name, value in {
        "HYPERTHREADING_ON": 0,
        "THREADS_PER_CORE": 1,
        "#SMT_on": 0,
        "#smt_on": 0,
        "#EBS_Mode": 0,
        "#core_wide": 0,
    }.items()
}
SMT_OFF = "with one thread on the core"

# What misses a level asks the next one, what is counted by page size or by predictor is counted as a whole: whole, then
# parts. Used where a CPU has all the names; POWER9's stand in the descriptions of its events.
FLOWS = (
    ("MEM_LOAD_RETIRED.L1_MISS", ("MEM_LOAD_RETIRED.L2_HIT", "MEM_LOAD_RETIRED.L2_MISS")),
    ("MEM_LOAD_RETIRED.L2_MISS", ("MEM_LOAD_RETIRED.L3_HIT", "MEM_LOAD_RETIRED.L3_MISS")),
    ("MEM_LOAD_UOPS_RETIRED.L1_MISS", ("MEM_LOAD_UOPS_RETIRED.L2_HIT", "MEM_LOAD_UOPS_RETIRED.L2_MISS")),
    ("MEM_LOAD_UOPS_RETIRED.L2_MISS", ("MEM_LOAD_UOPS_RETIRED.L3_HIT", "MEM_LOAD_UOPS_RETIRED.L3_MISS")),
    ("PM_L1_DCACHE_RELOAD_VALID", ("PM_DATA_FROM_L2", "PM_DATA_FROM_L2MISS")),
    ("PM_DATA_FROM_L2MISS", ("PM_DATA_FROM_L3", "PM_DATA_FROM_L3MISS")),
    (
        "PM_DATA_FROM_L2",
        tuple(
            f"PM_DATA_FROM_L2_{end}" for end in ("NO_CONFLICT", "MEPF", "DISP_CONFLICT_LDHITST", "DISP_CONFLICT_OTHER")
        ),
    ),
    ("PM_DATA_FROM_L3", tuple(f"PM_DATA_FROM_L3_{end}" for end in ("NO_CONFLICT", "MEPF", "DISP_CONFLICT"))),
    ("PM_LSU_DERAT_MISS", tuple(f"PM_DERAT_MISS_{page}" for page in ("4K", "64K", "16M_2M", "16G_1G"))),
    ("PM_BR_PRED_TA", ("PM_BR_PRED_CCACHE", "PM_BR_PRED_LSTACK", "PM_BR_PRED_PCACHE")),
    ("PM_L2_LD_MISS", ("PM_L2_LD_MISS_128B", "PM_L2_LD_MISS_64B")),
    ("PM_L2_ST_MISS", ("PM_L2_ST_MISS_128B", "PM_L2_ST_MISS_64B")),
    ("PM_L2_ST", ("PM_L2_ST_HIT", "PM_L2_ST_MISS")),
)
# Smaller before larger: a load that waits for a level waits for all those before it; what retires was issued.
ORDERS = (
    ("CYCLE_ACTIVITY.STALLS_L3_MISS", "CYCLE_ACTIVITY.STALLS_L2_MISS"),
    ("CYCLE_ACTIVITY.STALLS_L2_MISS", "CYCLE_ACTIVITY.STALLS_L1D_MISS"),
    ("CYCLE_ACTIVITY.STALLS_L1D_MISS", "CYCLE_ACTIVITY.STALLS_MEM_ANY"),
    ("CYCLE_ACTIVITY.CYCLES_L3_MISS", "CYCLE_ACTIVITY.CYCLES_L2_MISS"),
    ("CYCLE_ACTIVITY.CYCLES_L2_MISS", "CYCLE_ACTIVITY.CYCLES_L1D_MISS"),
    ("CYCLE_ACTIVITY.CYCLES_L1D_MISS", "CYCLE_ACTIVITY.CYCLES_MEM_ANY"),
    ("CYCLE_ACTIVITY.STALLS_TOTAL", "CPU_CLK_UNHALTED.THREAD"),
    ("UOPS_RETIRED.RETIRE_SLOTS", "UOPS_ISSUED.ANY"),
    ("UOPS_RETIRED.SLOTS", "UOPS_ISSUED.ANY"),
    ("BR_INST_RETIRED.ALL_BRANCHES", "INST_RETIRED.ANY"),
    ("BR_MISP_RETIRED.ALL_BRANCHES", "BR_INST_RETIRED.ALL_BRANCHES"),
    ("BR_INST_RETIRED.NEAR_TAKEN", "BR_INST_RETIRED.ALL_BRANCHES"),
    ("BR_INST_RETIRED.CONDITIONAL", "BR_INST_RETIRED.ALL_BRANCHES"),
    ("BR_INST_RETIRED.NOT_TAKEN", "BR_INST_RETIRED.CONDITIONAL"),
    ("BR_INST_RETIRED.COND", "BR_INST_RETIRED.ALL_BRANCHES"),
    ("BR_INST_RETIRED.COND_NTAKEN", "BR_INST_RETIRED.COND"),
    ("PM_CMPLU_STALL", "PM_RUN_CYC"),
    ("PM_ICT_NOSLOT_CYC", "PM_RUN_CYC"),
    ("PM_BR_TAKEN_CMPL", "PM_BR_CMPL"),
    ("PM_BR_MPRED_CMPL", "PM_BR_CMPL"),
)


@dataclass(frozen=True)
class MetricRatio:
    """A metric that is ``numerator / denominator``, both sums of events.

    Attributes
    ----------
    name : str
    numerator, denominator : Linear
    percent : bool
        A share by the file's own words; some exceed 1 all the same (prefetches among reloads), so it is no relation.
    source : str
    """

    name: str
    numerator: Linear
    denominator: Linear
    percent: bool
    source: str


def _resolved(metrics: Iterable[Metric]) -> dict[str, Ratio]:
    """Return each metric as a ratio of sums of events, where it is one."""
    metrics = tuple(metrics)
    values = {metric.name: metric.expression for metric in metrics if metric.name} | MACHINE
    found = {}
    for metric in metrics:
        try:
            found[metric.name] = expressions.ratio(expressions.substitute(metric.expression, values))
        except NotLinearError:
            continue
    return found


def ratios(metrics: Iterable[Metric], source: str) -> tuple[MetricRatio, ...]:
    """Return the metrics that are a sum of events over another."""
    metrics = tuple(metrics)
    percent = {metric.name: metric.percent for metric in metrics}
    return tuple(
        MetricRatio(name, found.numerator, found.denominator, percent[name], source)
        for name, found in _resolved(metrics).items()
        if found.numerator.coefficients and found.denominator.coefficients
    )


def flow_relations(names: Iterable[str]) -> tuple[Relation, ...]:
    """Return the relations of :data:`FLOWS` and :data:`ORDERS` between events that a CPU has."""
    names = set(names)
    found = []
    for whole, parts in FLOWS:
        if names.issuperset((whole, *parts)):
            terms = {whole: 1.0} | dict.fromkeys(parts, -1.0)
            source = "a whole is its parts: what misses a level hits or misses the next; page sizes; predictors"
            found.append(Relation(f"{whole} = {' + '.join(parts)}", "eq", terms, 0.0, source))
    for smaller, larger in ORDERS:
        if names.issuperset((smaller, larger)):
            source = "order of the pipeline and of the memory's levels"
            found.append(Relation(f"{smaller} <= {larger}", "le", {smaller: 1.0, larger: -1.0}, 0.0, source))
    return tuple(found)


def tree_relations(metrics: Iterable[Metric], source: str) -> tuple[Relation, ...]:
    """Return what the shares of Intel's top-down tree imply (levels 1 and 2; Yasin, ISPASS 2014).

    A share is at least 0; those of level 1 add up to 1 at most; those of level 2 to their parent at most.
    """
    metrics = tuple(metrics)
    found = _resolved(metrics)
    # the tree itself: level 1 has no parent, but is named as one
    named = {metric.parent for metric in metrics if metric.parent and metric.level == 2}
    top = [m.name for m in metrics if m.level == 1 and m.name in named | {"Retiring"} and m.name in found]
    result = []
    for name in top:
        result += _share(name, found[name], source)
    if top:
        result += _within("slots", _whole(found[top[0]]), top, found, source)
    for parent in top:
        children = [m.name for m in metrics if m.level == 2 and m.parent == parent and m.name in found]
        for name in children:
            result += _share(name, found[name], source)
        result += _within(parent, found[parent], children, found, source)
    unique = {(frozenset(r.coefficients.items()), r.constant): r for r in reversed(result)}
    return tuple(reversed(unique.values()))


def _whole(found: Ratio) -> Ratio:
    # shares are in percent: a denominator's worth is 100 times it
    return Ratio(found.denominator.times(Fraction(100)), found.denominator)


def _share(name: str, found: Ratio, source: str) -> list[Relation]:
    if all(c >= 0 for c in found.numerator.coefficients.values()):
        return []
    return [_at_least_zero(f"{name} >= 0", found.numerator, f"{source}, {name} {SMT_OFF}: a share is not negative")]


def _within(name: str, whole: Ratio, parts: list[str], found: Mapping[str, Ratio], source: str) -> list[Relation]:
    rest, used = whole.numerator, []
    for part in parts:
        if found[part].denominator == whole.denominator:
            rest = rest.minus(found[part].numerator)
            used.append(part)
    if not used or rest.is_constant:
        return []
    why = f"{source}, {', '.join(used)} {SMT_OFF}: shares of {name} do not exceed it"
    return [_at_least_zero(f"{' + '.join(used)} <= {name}", rest, why)]


def _at_least_zero(name: str, form: Linear, source: str) -> Relation:
    largest = max(abs(c) for c in form.coefficients.values())
    smallest = min(abs(c) for c in form.coefficients.values())
    scale = smallest if all((c / smallest).denominator == 1 for c in form.coefficients.values()) else largest
    terms = {event: float(-c / scale) for event, c in form.coefficients.items()}
    return Relation(name, "le", terms, float(form.constant / scale), source)


def residual_relations(metrics: Iterable[Metric], source: str) -> tuple[tuple[Relation, ...], tuple[str, ...]]:
    """Return what the residuals of a tree of stalls imply (POWER9's CPI stack): the rest is not negative.

    A residual is a metric written as one metric minus others. Where a further term is added the sign is doubtful, and
    the metric is refused.

    Returns
    -------
    relations : tuple of Relation
    refused : tuple of str
        Names of metrics of that form that were not used.
    """
    metrics = tuple(metrics)
    names = {metric.name for metric in metrics}
    resolved = _resolved(metrics)
    found, refused = [], []
    for metric in metrics:
        try:
            form = expressions.linear(metric.expression)
        except NotLinearError:
            continue
        signs = list(form.coefficients.values())
        if not set(form.coefficients) <= names or len(signs) < 2 or all(c > 0 for c in signs):
            continue
        if signs[0] != 1 or any(c > 0 for c in signs[1:]) or metric.name not in resolved:
            refused.append(metric.name)
            continue
        why = f"{source}, {metric.name}: what is left of a whole is not negative"
        found.append(_at_least_zero(f"{metric.name} >= 0", resolved[metric.name].numerator, why))
    return tuple(found), tuple(refused)


def family_relations(metrics: Iterable[Metric], source: str) -> tuple[Relation, ...]:
    """Return ``accesses = hits + misses`` where a file has metrics of these three names (AMD's ``all_l2_cache_…``)."""
    resolved = _resolved(metrics)
    found = []
    for name, whole in resolved.items():
        hits, misses = (resolved.get(name.replace("_accesses", f"_{end}")) for end in ("hits", "misses"))
        if not name.endswith("_accesses") or hits is None or misses is None:
            continue
        rest = whole.numerator.minus(hits.numerator).minus(misses.numerator)
        if rest.coefficients and all(r.denominator == whole.denominator for r in (hits, misses)):
            terms = {event: float(c) for event, c in rest.coefficients.items()}
            why = f"{source}, {name}: accesses are hits or misses"
            found.append(Relation(f"{name} = hits + misses", "eq", terms, 0.0, why))
    return tuple(found)
