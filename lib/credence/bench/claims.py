"""Claims of the papers as data, and the rules that turn evidence into a verdict.

A claim (``data/claims/<paper>.toml``) is committed before the first run that judges it. A notebook records metrics; the
verdict is computed here, never typed:

* *reproduced*: P(metric in the claim's band) >= 0.95,
* *trend only*: P(metric on the claimed side of no effect) >= 0.95,
* *not reproduced*: neither,
* *not testable here*: a data set that the claim requires is not to be had,
* *not run*: no finished run recorded the metric.

A scalar without draws has no P and is at most *trend only*; so is evidence from a world that we generated.
"""

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from credence.bench import paths
from credence.bench.errors import InputError, choose

THRESHOLD = 0.95
LEVEL = 0.90
KINDS = ("measured", "third party", "simulated")
VERDICTS = ("reproduced", "trend only", "not reproduced", "not testable here", "not run")
RELATIONS = ("between", "at least", "at most", "equals")
JSON_KEYS = (
    "paper",
    "id",
    "statement",
    "where",
    "metric",
    "unit",
    "paper_value",
    "ours",
    "lo",
    "hi",
    "level",
    "p_claim",
    "verdict",
    "data_kind",
    "notebook",
    "preset",
    "run_id",
)


@dataclass(frozen=True)
class Claim:
    """One claim of a paper.

    Attributes
    ----------
    id, paper, statement, where : str
        `where` is a section, figure or table, or a repository's file and line.
    metric, unit : str
        Name under which a notebook records it, and its unit.
    paper_value : float or list of float
        What the paper prints; two numbers are a range [unit].
    reading_error : float
        Half-width of what reading it off a figure leaves open [unit].
    relation, target, band
        ``at least 30.5`` or ``between``; `band` is the closed range of the metric in which the claim holds.
    null : float
        The metric's value where there is no effect at all.
    effect : str
        ``above`` or ``below``: on which side of `null` the paper says it lies.
    resampling_unit : str
        Over what the draws resample: never replications of a simulator.
    notebook : str
        ``paper/notebook`` that judges it.
    requires : tuple of str
        Data sets without which it cannot be judged.
    discrepancy, cause : str
        Known difference from the paper and why.
    ledger : tuple of str
        Later changes of relation, target, band or resampling unit: date, change and reason, one line each.
    """

    id: str
    paper: str
    statement: str
    where: str
    metric: str
    unit: str
    paper_value: float | list[float]
    relation: str
    target: float
    band: tuple[float, float]
    null: float
    effect: str
    resampling_unit: str
    notebook: str
    reading_error: float = 0.0
    requires: tuple[str, ...] = ()
    discrepancy: str = ""
    cause: str = ""
    ledger: tuple[str, ...] = ()


def _claim(paper: str, row: dict, where: str) -> Claim:
    known = Claim.__dataclass_fields__
    for key in row:
        choose(key, known, f"key in {where}")
    row = {"paper": paper, **row}
    optional = ("reading_error", "requires", "discrepancy", "cause", "ledger")
    needed = [name for name in known if name not in optional]
    if missing := [name for name in needed if name not in row]:
        raise InputError(f"{where}: {', '.join(missing)} missing")
    choose(row["relation"], RELATIONS, f"relation in {where}")
    choose(row["effect"], ("above", "below"), f"effect in {where}")
    low, high = map(float, row["band"])
    if not low <= high:
        raise InputError(f"{where}: band {row['band']} is empty; write [low, high] with low <= high")
    if "replication" in row["resampling_unit"]:
        raise InputError(f"{where}: replications of a simulator are no resampling unit; name what was sampled")
    row |= {"band": (low, high), "requires": tuple(row.get("requires", ())), "ledger": tuple(row.get("ledger", ()))}
    return Claim(**row)


def _tables(key: str, paper: str | None) -> Iterator[tuple[str, list[dict]]]:
    """Yield the tables called `key` of every claims file, or of one paper's."""
    for path in sorted((paths.data_dir() / "claims").glob("*.toml")):
        if paper and path.stem != paper:
            continue
        try:
            tables = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"data/claims/{path.name}: {error}") from None
        for name in tables:
            choose(name, ("claim", "inconsistency"), f"table in data/claims/{path.name}")
        yield path.stem, tables.get(key, [])


def registry(paper: str | None = None) -> list[Claim]:
    """Return the registered claims, of all papers or of one, in the files' order.

    Raises
    ------
    InputError
        If a file is not as it should be; the message names file, claim and key.
    """
    claims: dict[str, Claim] = {}
    for name, rows in _tables("claim", paper):
        for number, row in enumerate(rows, start=1):
            claim = _claim(name, row, f"data/claims/{name}.toml, claim {row.get('id', number)!r}")
            if claim.id in claims:
                raise InputError(f"data/claims/{name}.toml: claim id {claim.id!r} appears twice")
            claims[claim.id] = claim
    return list(claims.values())


@dataclass(frozen=True)
class Inconsistency:
    """A place where a paper (or its released code) contradicts itself; one ``[[inconsistency]]`` of its claims file.

    Attributes
    ----------
    paper : str
    where : str
        Sections, figures or files that do not agree.
    says, but : str
        What is printed, and what contradicts it.
    here : str
        Which of the two this project follows, and what hangs on it.
    """

    paper: str
    where: str
    says: str
    but: str
    here: str


def inconsistencies(paper: str | None = None) -> list[Inconsistency]:
    """Return what is known to contradict itself in the papers, in the files' order.

    Raises
    ------
    InputError
        If an entry lacks a key, has one too many or an empty one; the message names file, entry and key.
    """
    found = []
    for name, rows in _tables("inconsistency", paper):
        for number, row in enumerate(rows, start=1):
            where = f"data/claims/{name}.toml, inconsistency {number}"
            known = [key for key in Inconsistency.__dataclass_fields__ if key != "paper"]
            for key in row:
                choose(key, known, f"key in {where}")
            if missing := [key for key in known if not str(row.get(key, "")).strip()]:
                raise InputError(f"{where}: {', '.join(missing)} missing or empty")
            found.append(Inconsistency(paper=name, **row))
    return found


def summarise(metric) -> dict:
    """Return estimate and interval of a recorded metric.

    Parameters
    ----------
    metric : float or array of float [draws]
        One number, or draws over the resampling unit.

    Returns
    -------
    dict
        ``ours`` (mean of the draws), ``lo``, ``hi`` (equal-tailed 90 % interval; None without draws), ``level``.
    """
    values = np.atleast_1d(np.asarray(metric, dtype=float))
    if values.size == 0 or not np.isfinite(values).all():
        raise InputError(f"a metric holds {values.size} values, of which {int(np.isfinite(values).sum())} finite")
    if np.ndim(metric) == 0:
        return {"ours": float(values[0]), "lo": None, "hi": None, "level": None}
    tail = round((1 - LEVEL) / 2, 12)
    low, high = np.quantile(values, [tail, 1 - tail])
    return {"ours": float(values.mean()), "lo": float(low), "hi": float(high), "level": LEVEL}


def judge(claim: Claim, metric, kind: str) -> dict:
    """Return verdict, P(claim) and estimate of `metric` for `claim`.

    Parameters
    ----------
    claim : Claim
        What is claimed.
    metric : float or array of float [draws]
        The evidence [claim.unit].
    kind : str
        ``measured``, ``third party`` or ``simulated``: where the evidence comes from. Evidence from a world that
        we generated is capped at *trend only*.

    Returns
    -------
    dict
        ``verdict``, ``p_claim`` (None for a scalar), ``p_direction``, ``capped`` and the keys of `summarise`.
    """
    choose(kind, KINDS, "kind of evidence")
    result = summarise(metric)
    values = np.atleast_1d(np.asarray(metric, dtype=float))
    low, high = claim.band
    inside = float(np.mean((values >= low) & (values <= high)))
    sided = values > claim.null if claim.effect == "above" else values < claim.null
    direction = float(np.mean(sided))
    scalar = np.ndim(metric) == 0
    if inside >= THRESHOLD and not scalar and kind != "simulated":
        verdict = "reproduced"
    elif direction >= THRESHOLD or (inside >= THRESHOLD and (scalar or kind == "simulated")):
        verdict = "trend only"
    else:
        verdict = "not reproduced"
    capped = kind == "simulated" and inside >= THRESHOLD
    return {
        "verdict": verdict,
        "p_claim": None if scalar else inside,
        "p_direction": None if scalar else direction,
        "capped": capped,
        **result,
    }


def _finite(value):
    """Return `value` with infinities as None, for JSON."""
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def row(claim: Claim, record: dict | None, missing: list[str]) -> dict:
    """Return the board's row of one claim, given the record of its notebook's run (or None).

    Parameters
    ----------
    claim : Claim
        The claim.
    record : dict or None
        A run's record.json.
    missing : list of str
        Those of ``claim.requires`` that are not to be had here.
    """
    base = {
        key: getattr(claim, key)
        for key in ("paper", "id", "statement", "where", "metric", "unit", "paper_value", "notebook")
    }
    extra = {
        "relation": claim.relation,
        "target": claim.target,
        "band": _finite(claim.band),
        "null": claim.null,
        "effect": claim.effect,
        "resampling_unit": claim.resampling_unit,
        "requires": list(claim.requires),
        "discrepancy": claim.discrepancy,
        "cause": claim.cause,
        "note": "",
        "recorded": None,
    }
    empty = {"ours": None, "lo": None, "hi": None, "level": None, "p_claim": None}
    empty |= {"data_kind": None, "preset": None, "run_id": None}
    metric = (record or {}).get("metrics", {}).get(claim.metric)
    # a run made with the data keeps its verdict where the data have gone since; one made without them has none
    unread = [name for name in claim.requires if name not in {item["name"] for item in (record or {}).get("data", [])}]
    if metric is None or unread:
        if missing:
            note = f"needs {', '.join(missing)}"
            return base | empty | {"verdict": "not testable here"} | extra | {"note": note}
        note = f"last run did not read {', '.join(unread)}" if metric else ""
        return base | empty | {"verdict": "not run"} | extra | {"note": note}
    draws = metric["draws"] if metric["draws"] is not None else metric["value"]
    found = judge(claim, draws, metric["kind"])
    note = "holds in our simulation" if found["capped"] else ""
    return (
        base
        | {key: found[key] for key in ("ours", "lo", "hi", "level", "p_claim", "verdict")}
        | {"data_kind": metric["kind"], "preset": record["preset"], "run_id": record["run_id"]}
        | extra
        | {"note": note, "p_direction": found["p_direction"]}
    )


def recorded(paper: str | None = None) -> dict[str, dict]:
    """Return the committed results by claim id (``data/recorded/<paper>.parquet``): labelled with date and command."""
    import pandas as pd

    rows = {}
    for path in sorted((paths.data_dir() / "recorded").glob("*.parquet")):
        if path.stem in _papers() and (paper is None or path.stem == paper):
            for item in pd.read_parquet(path).to_dict("records"):
                rows[item["id"]] = {key: _plain(value) for key, value in item.items()}
    return rows


def _papers() -> tuple[str, ...]:
    from credence.bench.papers import PAPERS

    return tuple(PAPERS)


def _plain(value):
    """Return a value of a parquet row as JSON knows it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def board(runs: dict[str, dict], paper: str | None = None) -> list[dict]:
    """Return one row a claim: verdict, estimate, and what was recorded before.

    Parameters
    ----------
    runs : dict of str to dict
        Record (record.json) of the run to judge by, keyed ``paper/notebook``.
    paper : str or None
        Only this paper's claims.
    """
    from credence.bench import catalogue

    before = recorded(paper)
    found = []
    for claim in registry(paper):
        missing = [name for name in claim.requires if not catalogue.available(name)]
        found.append(row(claim, runs.get(claim.notebook), missing) | {"recorded": before.get(claim.id)})
    return found


def as_json(rows: list[dict]) -> list[dict]:
    """Return the rows with exactly the keys of ``credence claims --json``."""
    return [{key: item[key] for key in JSON_KEYS} for item in rows]


def words(row: dict) -> dict[str, str]:
    """Return a board row as a reader sees it: ``paper``, ``ours``, ``p``, ``verdict`` as short texts with units."""
    value = row["paper_value"]
    value = "–".join(f"{v:g}" for v in value) if isinstance(value, list | tuple) else f"{value:g}"
    unit = "" if row["unit"] == "1" else row["unit"]
    ours = ""
    if row["ours"] is not None:
        ours = f"{row['ours']:.3g}"
        if row["lo"] is not None:
            ours += f" [{row['lo']:.3g}, {row['hi']:.3g}]"
        ours = f"{ours} {unit}".strip()
    return {
        "paper": f"{value} {unit}".strip(),
        "ours": ours,
        "p": "" if row["p_claim"] is None else f"{row['p_claim']:.2f}",
        "verdict": row["verdict"] + (f" ({row['note']})" if row.get("note") else ""),
    }
