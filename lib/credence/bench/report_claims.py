"""Rows of the claims board as a page shows them: numbers with the digits they deserve, and a small interval plot."""

import html
import math

VERDICTS = ("reproduced", "trend only", "not reproduced", "not testable here", "not run")
MARKS = {"reproduced": "✓", "trend only": "≈", "not reproduced": "✕", "not testable here": "–", "not run": "○"}
WIDTH, HEIGHT, PAD = 150, 30, 8  # of an interval plot [px]


def _real(value) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def number(value, spread: float | None = None) -> str:
    """Return `value` with two digits of its interval's half-width `spread`, else with three digits."""
    value = _real(value)
    if value is None:
        return "–"
    if spread and spread > 0 and abs(value) < 1e6:
        decimals = min(max(1 - math.floor(math.log10(spread)), 0), 4)
        text = f"{value:.{decimals}f}"
    elif value == 0 or 1e-3 <= abs(value) < 1e6:
        text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", "\u202f")
    else:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa}·10^{int(exponent)}"
    if float(text.replace("\u202f", "").split("·")[0]) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def _unit(row: dict) -> str:
    """Return the unit to print: a pure number has none."""
    unit = str(row.get("unit") or "")
    return "" if unit in {"1", "-", "–"} else unit


def paper_value(value, unit: str) -> str:
    """Return what the paper prints: a number or a range, with its unit."""
    values = value if isinstance(value, list | tuple) else [value]
    shown = "–".join(number(item) for item in values) if values and values[0] is not None else "–"
    return f"{shown} {unit}".strip() if shown != "–" else shown


def estimate(row: dict) -> str:
    """Return our estimate with its interval and unit, or an empty string."""
    ours, low, high = (_real(row.get(key)) for key in ("ours", "lo", "hi"))
    if ours is None:
        return ""
    unit = _unit(row)
    if low is None or high is None:
        return f"{number(ours)} {unit}".strip()
    spread = (high - low) / 2
    return f"{number(ours, spread)} [{number(low, spread)}, {number(high, spread)}] {unit}".strip()


def probability(value) -> str:
    """Return P(claim) with two digits; certainty is written as what the draws can say."""
    value = _real(value)
    if value is None:
        return "–"
    return "> 0.99" if value > 0.995 else "< 0.01" if value < 0.005 else f"{value:.2f}"


def _domain(values: list[float], band: list[float | None]) -> tuple[float, float]:
    """Return the range to draw: all of `values`, and those edges of the band that are not far off."""
    low, high = min(values), max(values)
    spread = (high - low) or abs(high) or 1.0
    near = [edge for edge in band if edge is not None and low - 0.6 * spread <= edge <= high + 0.6 * spread]
    low, high = min([low, *near]), max([high, *near])
    pad = 0.12 * ((high - low) or abs(high) or 1.0)
    return low - pad, high + pad


def interval_plot(row: dict) -> str:
    """Return inline SVG: the claim's band (shaded), the paper's value (diamonds), no effect (dotted), ours (dot)."""
    ours, low, high, null = (_real(row.get(key)) for key in ("ours", "lo", "hi", "null"))
    stated = row.get("paper_value")
    papers = [_real(value) for value in (stated if isinstance(stated, list | tuple) else [stated])]
    papers = [value for value in papers if value is not None]
    band = [_real(value) for value in (row.get("band") or (None, None))]
    known = [value for value in (ours, low, high, null, *papers) if value is not None]
    if ours is None or len([*known, *filter(None, band)]) < 2:
        return ""
    start, stop = _domain(known, band)

    def at(value: float) -> float:
        return PAD + (value - start) / (stop - start) * (WIDTH - 2 * PAD)

    middle = HEIGHT / 2
    parts = []
    if band != [None, None]:
        left = max(at(band[0]), 0) if band[0] is not None else 0
        right = min(at(band[1]), WIDTH) if band[1] is not None else WIDTH
        parts.append(
            f'<rect class="iv-band" x="{left:.1f}" y="3" width="{max(right - left, 1.5):.1f}" height="{HEIGHT - 6}"/>'
        )
    if null is not None:
        parts.append(f'<line class="iv-null" x1="{at(null):.1f}" x2="{at(null):.1f}" y1="2" y2="{HEIGHT - 2}"/>')
    if low is not None and high is not None:
        parts.append(f'<line class="iv-ours" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{middle}" y2="{middle}"/>')
    for value in papers:
        parts.append(f'<path class="iv-paper" d="M{at(value):.1f} {middle - 5.5}l4.5 5.5-4.5 5.5-4.5-5.5z"/>')
    parts.append(f'<circle class="iv-dot" cx="{at(ours):.1f}" cy="{middle}" r="3.6"/>')
    words = f"ours {estimate(row)}; paper {paper_value(stated, _unit(row))}"
    return (
        f'<svg class="interval" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{html.escape(words)}">{"".join(parts)}</svg>'
    )


def recorded_line(row: dict) -> str:
    """Return what was measured before, with verdict, kind, preset and date; empty if it adds nothing to this build."""
    before = row.get("recorded")
    if not isinstance(before, dict) or _real(before.get("ours")) is None:
        return ""
    if before.get("run_id") and before.get("run_id") == row.get("run_id"):
        return ""
    # a run of the same size that came to the same verdict: once is enough
    if all(before.get(key) and before.get(key) == row.get(key) for key in ("preset", "verdict", "data_kind")):
        return ""
    words = [estimate({**before, "unit": row.get("unit")}), before.get("verdict"), before.get("data_kind")]
    labels = [str(before[key]) for key in ("preset", "date") if before.get(key)]
    return "recorded: " + ", ".join(filter(None, words)) + (f" ({', '.join(labels)})" if labels else "")


def view(row: dict, link: str = "") -> dict:
    """Return one board row as the templates want it.

    Parameters
    ----------
    row : dict
        From `credence.bench.claims.board`.
    link : str
        Relative address of the report that judges it, if it was built.
    """
    verdict = row.get("verdict") or "not run"
    note = row.get("note") or ""
    capped = "holds in our simulation" in note
    return {
        **{key: row.get(key) or "" for key in ("paper", "id", "statement", "where", "preset", "run_id", "notebook")},
        **{key: row.get(key) or "" for key in ("discrepancy", "cause", "data_kind", "metric", "unit")},
        "verdict": verdict,
        "verdict_class": verdict.replace(" ", "-"),
        "mark": MARKS.get(verdict, ""),
        "rank": VERDICTS.index(verdict) if verdict in VERDICTS else len(VERDICTS),
        "note": note,
        "capped": capped,
        "ours": estimate(row),
        "ours_number": _real(row.get("ours")),
        "level": f"{100 * row['level']:.0f} %" if _real(row.get("level")) else "",
        "paper_value": paper_value(row.get("paper_value"), _unit(row)),
        "p": probability(row.get("p_claim")),
        "p_number": _real(row.get("p_claim")),
        "plot": interval_plot(row),
        "recorded": recorded_line(row),
        "recorded_command": (row.get("recorded") or {}).get("command") or "",
        "link": link,
    }


def counts(rows: list[dict]) -> list[dict]:
    """Return how many claims got each verdict, in the order of the verdicts, with the share of all [%]."""
    total = max(len(rows), 1)
    found = []
    for verdict in VERDICTS:
        number_of = sum(row["verdict"] == verdict for row in rows)
        found.append(
            {
                "verdict": verdict,
                "verdict_class": verdict.replace(" ", "-"),
                "mark": MARKS[verdict],
                "count": number_of,
                "share": round(100 * number_of / total, 2),
            }
        )
    return found
