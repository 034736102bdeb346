"""Failure or overload? The paper's rule (§V-B), its order of precedence, and a variant that looks at the work done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from credence.bench.errors import choose
from credence.kaleidoscope.diagnose.logs import LogDifference, Rule, difference
from credence.kaleidoscope.diagnose.outliers import NEIGHBOURS, RATIO, Outlier, outlier

CAUSES = ("reliability", "overload", "unknown")


@dataclass(frozen=True)
class Settings:
    """How a cause is decided.

    Attributes
    ----------
    ratio : float
        LOF_r, of the local outlier factors.
    neighbours : int
    peer_ratio : float
        A metric must also be so many times its peers' median: the factor alone knows no size, and of values that are
        nearly equal it calls any outlier. 0: as in the paper.
    first : str
        ``"log"``: a log difference decides, whatever the metrics say (what the paper's misses imply); ``"metric"``: the
        other way round.
    work : tuple of str
        Metrics of work done (bytes, requests). Given, a metric that is out of line only means overload if one of these
        is too; else the component does no more than its peers and is slow all the same: reliability. Empty: as in the
        paper, which asks for no work.
    """

    ratio: float = RATIO
    neighbours: int = NEIGHBOURS
    peer_ratio: float = 0.0
    first: str = "log"
    work: tuple[str, ...] = ()

    def __post_init__(self):
        choose(self.first, ("log", "metric"), "what comes first")


@dataclass(frozen=True)
class Diagnosis:
    """Cause and evidence.

    Attributes
    ----------
    cause : str
        ``"reliability"``, ``"overload"`` or ``"unknown"``.
    by : str
        What decided: ``"log"``, ``"metric"`` or ``"nothing"``.
    log : LogDifference
    metrics : dict of Outlier
        All that were looked at, by name.
    evidence : tuple of str
        For a person: lines and values that decided.
    """

    cause: str
    by: str
    log: LogDifference
    metrics: dict[str, Outlier] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()


def diagnose(
    lines: Iterable[str],
    peers: Iterable[Iterable[str]],
    metrics: Mapping[str, Sequence[float]],
    settings: Settings | None = None,
    rules: Sequence[Rule] | None = None,
) -> Diagnosis:
    """Say why a component failed while its peers are healthy.

    Parameters
    ----------
    lines : iterable of str
        Log lines about the component.
    peers : iterable of iterables of str
        Those about each healthy peer.
    metrics : mapping of str to sequence of float [1 + peers]
        Values of the component (first) and of its healthy peers.
    settings : Settings, optional
    rules : sequence of Rule, optional
        Which lines speak of a failure.
    """
    settings = settings or Settings()
    delta = difference(lines, peers, rules)
    found = {name: outlier(values, 0, settings.ratio, settings.neighbours) for name, values in metrics.items()}
    out = {name: each for name, each in found.items() if each.lof and each.peer_ratio >= settings.peer_ratio}
    said = tuple(f"{rule.name}: {line}" for rule, line in delta.lines)
    shown = tuple(f"{name} {each.value:.3g}, peers {each.peers:.3g}" for name, each in out.items())
    by_metric = "overload" if not settings.work or set(settings.work) & set(out) else "reliability"
    by = {"log": ("reliability", said), "metric": (by_metric, shown)}
    order = ("log", "metric") if settings.first == "log" else ("metric", "log")
    for source in order:
        cause, evidence = by[source]
        if evidence:
            return Diagnosis(cause, source, delta, found, evidence)
    return Diagnosis("unknown", "nothing", delta, found)
