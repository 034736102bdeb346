"""``credence bayesperf correct``: every event in every interval of one's own log."""

from pathlib import Path
from typing import Annotated

import typer

from credence.bench.errors import InputError


def correct(
    log: Annotated[
        Path,
        typer.Argument(
            metavar="LOG",
            help="perf stat -I MS -x, output; EMON text; or CSV with time_s, event, count, running_fraction.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="CSV to write: time_s, event, mean, lo90, hi90.")],
    identities: Annotated[
        Path | None, typer.Option(help='TOML with `relation` tables: name, kind = "eq" or "le", expression, source.')
    ] = None,
    cpu: Annotated[str, typer.Option(help="Known relations of a CPU, such as skylakex; see `plan --cpu`.")] = "",
    raw: Annotated[
        bool, typer.Option("--raw", help="Counts are not scaled by the running time yet (perf does that).")
    ] = False,
    relations_out: Annotated[
        Path | None, typer.Option(help="CSV of relations used and refused (default: OUT with .relations.csv).")
    ] = None,
) -> None:
    """Estimate every count of a log, with 90 % intervals, and say which relations were used for it."""
    from credence.bayesperf.data.logs import read_log
    from credence.bayesperf.evaluate.correction import correct as estimate
    from credence.bayesperf.model.relations import known_relations, read_relations
    from credence.bench.tables import check_target, write_csv

    if identities is not None and cpu:
        raise InputError("--identities and --cpu are both given; allowed: one of them, or none")
    beside = relations_out or out.with_name(f"{out.stem}.relations.csv")
    check_target(out, log)
    check_target(beside, log)
    if beside == out:
        raise InputError(f"--relations-out {beside}: is the file of --out; allowed: another path")
    relations = known_relations(cpu) if cpu else read_relations(identities) if identities else ()
    found = estimate(read_log(log, raw=raw), relations)
    write_csv(found.estimates, out)
    write_csv(found.relations, beside)
    _tell(found)
    typer.echo(f"wrote {len(found.estimates)} rows to {out}, {len(found.relations)} relations to {beside}")


def _tell(found) -> None:
    told = found.relations
    counts = told["use"].value_counts()
    parts = [f"{int(counts.get(use, 0))} {use}" for use in ("used", "softly", "not used")]
    typer.echo(f"relations: {', '.join(parts)}")
    for row in told[told["use"] == "not used"].itertuples():
        typer.echo(f"  refused {row.name} (P = {row.probability:.2f}): {row.reason}")
    if found.noise:
        typer.echo(f"a count is reckoned to be off by {100 * found.noise:.2g} %")
    if found.unknown:
        typer.echo(f"never counted and not determined, left empty: {', '.join(found.unknown)}")
