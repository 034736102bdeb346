"""The extractor: from vendors' files to the relations of a CPU.

``python -m credence.bayesperf.model.extract CPU`` writes the table of relations of a CPU, or with ``--count`` says how
much each CPU's files yield. Tables from Intel's perfmon files and PAPI (BSD) are in git as ``data/bayesperf``'s
``relations-CPU.toml``; those from the kernel's files (GPL-2.0) are made anew from ``CREDENCE_MIRROR`` each time.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from credence.bayesperf.data.vendor import papi_presets, perfmon, pmu_events
from credence.bayesperf.model import metric_rules, umask, vendor_files
from credence.bayesperf.model.expressions import Linear
from credence.bayesperf.model.relation import Relation, relations_text
from credence.bench.errors import InputError, choose

_PERFMON = "intel/perfmon@6dadedf3"
_KERNEL = "Linux 6.1.176, tools/perf/pmu-events/arch"
_PAPI = "icl-utk-edu/papi@48842c66, src/papi_events.csv"


@dataclass(frozen=True)
class Vendor:
    """A CPU's files, and what they are.

    Attributes
    ----------
    name : str
        Of the CPU in `data.vendor`.
    events, metrics : tuple of str
        Files of event codes and of metrics.
    papi : tuple of str
        PAPI's names of the CPU.
    source, licence : str
        Repository and commit, and under which terms the files stand.
    """

    name: str
    events: tuple[str, ...]
    metrics: tuple[str, ...]
    papi: tuple[str, ...]
    source: str
    licence: str


def _intel(cpu: str, papi: tuple[str, ...]) -> Vendor:
    return Vendor(cpu, (f"{cpu}_core.json",), (f"{cpu}_metrics.json",), papi, _PERFMON, "BSD-3-Clause")


def _kernel(cpu: str, events: str, metrics: str, papi: tuple[str, ...] = ()) -> Vendor:
    files = [tuple(f"{name}.json" for name in names.split()) for names in (events, metrics)]
    return Vendor(cpu, files[0], files[1], papi, _KERNEL, "GPL-2.0")


_ZEN = "branch cache core data-fabric floating-point memory other recommended"
_POWER9 = "cache floating-point frontend marked memory other pipeline pmc translation"
_POWER10 = "cache frontend locks marked memory others pipeline pmc translation"
VENDORS = {
    "skylakex": _intel("skylakex", ("skx",)),
    "icelakex": _intel("icelakex", ("icx",)),
    "broadwellx": _intel("broadwellx", ("bdw_ep",)),
    "zen2": _kernel("amdzen2", _ZEN, "recommended", ("amd64_fam17h_zen2",)),
    "zen3": _kernel("amdzen3", _ZEN, "recommended", ("amd64_fam19h_zen3",)),
    "power9": _kernel("power9", _POWER9, "metrics nest_metrics"),
    "power10": _kernel("power10", _POWER10, "metrics nest_metrics"),
}
# libpfm's names (PAPI) where they are not Intel's with another separator.
_PFM = {
    "ix86arch::LLC_REFERENCES": "LONGEST_LAT_CACHE.REFERENCE",
    "ix86arch::LLC_MISSES": "LONGEST_LAT_CACHE.MISS",
    "UNHALTED_REFERENCE_CYCLES": "CPU_CLK_UNHALTED.REF_TSC",
}
# What PAPI's presets mean among themselves: a whole and its parts. Put in terms of native events, most say 0 = 0.
_PRESETS = (
    ("PAPI_LST_INS", ("PAPI_LD_INS", "PAPI_SR_INS")),
    ("PAPI_L1_TCM", ("PAPI_L1_DCM", "PAPI_L1_ICM")),
    ("PAPI_L2_TCM", ("PAPI_L2_DCM", "PAPI_L2_ICM")),
    ("PAPI_L2_ICA", ("PAPI_L2_ICH", "PAPI_L2_ICM")),
    ("PAPI_L2_DCA", ("PAPI_L2_DCH", "PAPI_L2_DCM")),
    ("PAPI_BR_INS", ("PAPI_BR_CN", "PAPI_BR_UCN")),
    ("PAPI_BR_CN", ("PAPI_BR_TKN", "PAPI_BR_NTK")),
    ("PAPI_BR_CN", ("PAPI_BR_MSP", "PAPI_BR_PRC")),
)


@dataclass(frozen=True)
class Extracted:
    """What the files of a CPU yield.

    Attributes
    ----------
    cpu : str
    relations : tuple of Relation
    ratios : tuple of MetricRatio
        Metrics that are a sum of events over another.
    refused : tuple of str
        What looked like a relation and was not taken, with the reason.
    expressions : int
        Metric expressions read; one that cannot be read is an error.
    licence : str
        Of the files.
    """

    cpu: str
    relations: tuple[Relation, ...]
    ratios: tuple[metric_rules.MetricRatio, ...]
    refused: tuple[str, ...]
    expressions: int
    licence: str


def extract(cpu: str) -> Extracted:
    """Derive the relations of a CPU from its vendor's files.

    Parameters
    ----------
    cpu : str
        One of :data:`VENDORS`.

    Raises
    ------
    InputError
        For an unknown CPU, or files that are not to be had (``CREDENCE_MIRROR``) or cannot be read.
    """
    vendor = VENDORS[choose(cpu, VENDORS, "CPU with vendor files")]
    files = _files(cpu, vendor)
    source = f"{vendor.source}, {cpu}"
    events = [event for name in vendor.events for event in vendor_files.event_codes(files[name], name)]
    metrics = [metric for name in vendor.metrics for metric in vendor_files.metrics(files[name], name)]
    residuals, refused = metric_rules.residual_relations(metrics, source)
    found = [
        *umask.umask_relations(events, source),
        *metric_rules.flow_relations(event.name for event in events),
        *metric_rules.tree_relations(metrics, source),
        *metric_rules.family_relations(metrics, source),
        *residuals,
    ]
    strange: list[str] = []
    if vendor.papi:
        presets = vendor_files.presets(papi_presets(), vendor.papi)
        given, strange = _preset_relations(presets, {event.name for event in events})
        found += given
    reasons = [f"{name}: a residual with a term added, the sign is doubtful" for name in refused]
    reasons += [f"{name}: an event that is not in the vendor's file" for name in strange]
    return Extracted(
        cpu, _unique(found), metric_rules.ratios(metrics, source), tuple(reasons), len(metrics), vendor.licence
    )


def _preset_relations(presets: dict[str, Linear], known: set[str]) -> tuple[list[Relation], list[str]]:
    """Return PAPI's derived presets as identities over native events, what presets mean together, and those refused."""
    native = {name: Linear({_native(e): c for e, c in form.coefficients.items()}) for name, form in presets.items()}
    found, strange = [], []
    for name, form in native.items():
        if len(form.coefficients) > 1 and known.issuperset(form.coefficients):
            terms = {name: 1.0} | {event: float(-c) for event, c in form.coefficients.items()}
            found.append(Relation(f"{name} (derived preset)", "eq", terms, 0.0, f"{_PAPI}, {name}"))
        elif len(form.coefficients) > 1:
            strange.append(name)
    for whole, parts in _PRESETS:
        if all(name in native for name in (whole, *parts)):
            rest = native[whole]
            for part in parts:
                rest = rest.minus(native[part])
            if rest.coefficients and known.issuperset(rest.coefficients):
                terms = {event: float(c) for event, c in rest.coefficients.items()}
                name = f"{whole} = {' + '.join(parts)}"
                found.append(Relation(name, "eq", terms, 0.0, f"{_PAPI}, presets put in native events"))
    return found, strange


def _native(event: str) -> str:
    if event in _PFM:
        return _PFM[event]
    return event.replace("FP_ARITH:", "FP_ARITH_INST_RETIRED:").replace(":", ".", 1)


def _unique(relations: list[Relation]) -> tuple[Relation, ...]:
    """Drop relations that say the same as one before, whatever its name."""
    seen, kept = set(), []
    for relation in relations:
        first = next(iter(sorted(relation.coefficients)))
        scale = relation.coefficients[first] if relation.kind == "eq" else abs(relation.coefficients[first])
        terms = frozenset((event, round(c / scale, 9)) for event, c in relation.coefficients.items())
        key = (relation.kind, terms, round(relation.constant / scale, 9))
        if key not in seen:
            seen.add(key)
            kept.append(relation)
    return tuple(kept)


def _files(cpu: str, vendor: Vendor) -> dict[str, Any]:
    try:
        return (perfmon if vendor.licence == "BSD-3-Clause" else pmu_events)(vendor.name)
    except InputError as error:
        raise InputError(
            f"CPU {cpu!r}: its relations are derived from {vendor.source} ({vendor.licence}), which is not in git; "
            f"allowed without: skylakex, icelakex, broadwellx, qemu-x86, qemu-ppc64. {error}"
        ) from error


def table(found: Extracted) -> str:
    """Return the relations as the TOML table that goes to git.

    Raises
    ------
    InputError
        For files whose licence keeps what is made from them out of git.
    """
    if found.licence != "BSD-3-Clause":
        raise InputError(
            f"CPU {found.cpu!r}: its files are under {found.licence}; allowed: skylakex, icelakex, broadwellx"
        )
    equal = sum(relation.kind == "eq" for relation in found.relations)
    orders = len(found.relations) - equal
    heading = (
        f"Relations between the events of {found.cpu}: {equal} identities, {orders} inequalities.\n"
        "Names, codes and factors only: facts derived by `python -m credence.bayesperf.model.extract` from\n"
        f"{_PERFMON} (BSD-3-Clause, Copyright Intel Corporation) and\n"
        f"{_PAPI} (BSD style, Copyright Innovative Computing Laboratory, University of Tennessee).\n"
        "Each source names the file's event code or metric."
    )
    return relations_text(found.relations, heading)


def counts(found: Extracted) -> str:
    """Return one line that says what the files of a CPU yield."""
    equal = sum(relation.kind == "eq" for relation in found.relations)
    return (
        f"{found.cpu}: {found.expressions} expressions read, {equal} identities, "
        f"{len(found.relations) - equal} inequalities, {len(found.ratios)} ratios, {len(found.refused)} refused"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m credence.bayesperf.model.extract", description=__doc__)
    parser.add_argument("cpu", nargs="*", help=f"one or more of {', '.join(VENDORS)}; all when none is named")
    parser.add_argument("--count", action="store_true", help="say how much the files yield; write nothing")
    parser.add_argument("--out", type=Path, help="folder for relations-CPU.toml (standard output when left out)")
    options = parser.parse_args(arguments)
    try:
        for cpu in options.cpu or VENDORS:
            found = extract(cpu)
            if options.count:
                print(counts(found), *(f"  refused: {reason}" for reason in found.refused), sep="\n")
            elif options.out:
                (options.out / f"relations-{cpu}.toml").write_text(table(found), encoding="utf-8")
            else:
                print(table(found), end="")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
