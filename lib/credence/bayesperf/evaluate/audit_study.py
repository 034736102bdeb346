"""How small an error of an identity the audit finds: the detection curve, program by program.

``python -m credence.bayesperf.evaluate.audit_study --out FILE`` replays every program's trace with the audit rotation,
audits every true identity, and again with one of its coefficients off by 1 to 5 %. It goes on where it stopped:
programs that are in FILE already are left out.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from credence.bayesperf.data import pmu, traces
from credence.bayesperf.infer import audit as auditing
from credence.bayesperf.infer.audit import AuditSettings
from credence.bayesperf.model.relation import Relation
from credence.bayesperf.model.relations import eliminated, known_relations
from credence.bayesperf.schedule.audit_rotation import audit_rotation
from credence.bayesperf.schedule.rotation import repeat
from credence.bayesperf.world.replay import replay
from credence.bench.errors import InputError
from credence.bench.seeds import generator
from credence.bench.tables import check_target, write_parquet

ERRORS = (0.01, 0.02, 0.03, 0.04, 0.05)
# Name, events of the vendor's list (None: all of the plugin's), skid, all events in every slice.
CASES = (
    ("all events", None, 0.0, False),
    ("all events, skid", None, 0.02, False),
    ("all events, not multiplexed", None, 0.0, True),
    ("list of 20, skid", 20, 0.02, False),
)
KEYS = ["case", "machine", "program", "split", "counters", "read_noise", "skid", "seed"]
COLUMNS = [*KEYS, "relation", "error", "event", "probability", "suspect", "slices", "term_share"]


def off_by(relation: Relation, event: str, error: float) -> Relation:
    """Return the relation with the coefficient of one event multiplied by 1 + error."""
    changed = dict(relation.coefficients) | {event: relation.coefficients[event] * (1 + error)}
    return replace(relation, coefficients=changed)


def study(
    machine: str,
    program: str,
    rng: np.random.Generator,
    counters: int = 8,
    read_noise: float = 0.005,
    skid: float = 0.0,
    every_slice: bool = False,
    listed: int | None = None,
    settings: AuditSettings | None = None,
) -> pd.DataFrame:
    """Audit the identities of a machine on one program, true and with one coefficient off.

    The event whose coefficient is off and the sign are drawn for each identity. One relation at a time is wrong, so
    that the run's noise, a median over all identities, is that of the true ones.

    Parameters
    ----------
    machine, program : str
    rng : numpy.random.Generator
    counters : int
    read_noise, skid : float
        As of `world.replay.replay`.
    every_slice : bool
        All events are counted in all slices: how much multiplexing costs the audit.
    listed : int, optional
        Only the first so many events of the vendor's list, and the identities that are left between them.
    settings : AuditSettings, optional

    Returns
    -------
    DataFrame
        One row for each identity and error (0: as it is), without `case`, `split` and `seed`; `term_share` is the
        altered term as a share of the relation; `probability` is NaN where not testable.
    """
    settings = settings or AuditSettings()
    found, unit = traces.trace(machine, program), pmu.pmu(machine, counters)
    events = found.events if listed is None else (*unit.fixed, *pmu.event_list(unit, listed))
    relations = [r for r in eliminated(known_relations(machine), events) if r.kind == "eq"]
    readings = traces.slice_counts(found, events)
    schedule, _ = audit_rotation(events, unit, relations)
    on = repeat(schedule | every_slice, len(readings))
    observations = replay(events, readings, on, rng, read_noise, skid)
    residuals = [auditing.residuals_together(observations, relation, settings) for relation in relations]
    noise = auditing.run_noise(residuals, settings)
    rows = []
    for relation, true in zip(relations, residuals, strict=True):
        place = int(rng.integers(len(relation.events)))
        event, sign = relation.events[place], float(rng.choice([-1.0, 1.0]))
        share = float(np.abs(true.terms[:, place]).sum() / max(true.size.sum(), 1e-300))
        for error in (0.0, *ERRORS):
            tried = off_by(relation, event, sign * error)
            residual = auditing.residuals_together(observations, tried, settings) if error else true
            row = {"relation": relation.name, "error": error, "event": event if error else "", "term_share": share}
            row |= {"slices": len(residual.residual), "probability": np.nan, "suspect": ""}
            if len(residual.residual) >= settings.fewest:
                judged = auditing.judge_identity(tried, residual, noise, settings)
                row |= {"probability": judged.probability, "suspect": judged.suspect}
            rows.append(row)
    frame = pd.DataFrame(rows).assign(
        machine=machine, program=program, counters=counters, read_noise=read_noise, skid=skid
    )
    return frame[[name for name in COLUMNS if name in frame.columns]]


def curve(frame: pd.DataFrame, by: tuple[str, ...] = ("case", "error")) -> pd.DataFrame:
    """Return the share of testable pairs that are said to hold (P >= 0.9) and to be broken (P <= 0.1).

    Parameters
    ----------
    frame : DataFrame
        Rows of :func:`study`.
    by : tuple of str
        Columns to tell apart.
    """
    testable = frame.dropna(subset="probability")
    groups = testable.assign(holds=testable.probability >= 0.9, broken=testable.probability <= 0.1).groupby(list(by))
    result = groups.agg(pairs=("holds", "size"), holds=("holds", "mean"), broken=("broken", "mean")).reset_index()
    total = frame.groupby(list(by)).size().rename("of").reset_index()
    return result.merge(total, on=list(by))


def rng_of(seed: int, machine: str, program: str, case: str) -> np.random.Generator:
    """Return the generator of one program and case, so that any of them can be made again alone."""
    return generator(seed, "audit", machine, program, case)


def record(out: Path, counters: int = 8, seed: int = 0) -> pd.DataFrame:
    """Run the study over all programs and :data:`CASES`; resume from `out`.

    Parameters
    ----------
    out : Path
        Parquet file, written after each program.
    counters, seed : int

    Returns
    -------
    DataFrame
        All rows.
    """
    check_target(out)
    done = pd.read_parquet(out) if out.exists() else pd.DataFrame(columns=COLUMNS)
    for machine in traces.machines():
        for program in traces.programs(machine):
            if ((done.machine == machine) & (done.program == program) & (done.seed == seed)).any():
                continue
            split = "train" if program in traces.programs(machine, "train") else "test"
            parts = []
            for case, listed, skid, every in CASES:
                rng = rng_of(seed, machine, program, case)
                part = study(machine, program, rng, counters, 0.005, skid, every, listed)
                parts.append(part.assign(case=case))
            new = pd.concat(parts).assign(split=split, seed=seed)[COLUMNS]
            done = new if done.empty else pd.concat([done, new], ignore_index=True)
            write_parquet(done, out)
    return done


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m credence.bayesperf.evaluate.audit_study", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="parquet file to write, or to go on with")
    parser.add_argument("--counters", type=int, default=8, help="programmable counters")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        frame = record(options.out, options.counters, options.seed)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(curve(frame[frame.split == "test"]).to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
