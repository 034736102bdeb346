"""Regular expressions for log lines, and sample lines, of Blue Waters (third party, ``CREDENCE_MIRROR``)."""

from __future__ import annotations

import pandas as pd

from credence.bench import catalogue

RULES, LINES = "kscope-log-rules", "kscope-log-lines"


def released_rules() -> pd.DataFrame:
    """Return the authors' 558 and 130 rules.

    Returns
    -------
    pandas.DataFrame [688, 6]
        ``library`` (``"all"`` or ``"network"``), ``rule`` number, ``regex``, ``tag``, ``category`` and ``group``, all
        text. The second library repeats rules of the first under the same numbers.
    """
    frame = catalogue.frame(RULES)
    rows = []
    for number, line in zip(frame["file"], frame["line"], strict=True):
        parts = line.rstrip("\r").split("\t")
        if len(parts) >= 5 and parts[0] != "TemplateID":
            rows.append((("all", "network")[number], *parts[:5]))
    return pd.DataFrame(rows, columns=["library", "rule", "regex", "tag", "category", "group"])


def sample_lines() -> pd.DataFrame:
    """Return 120 log lines: ``rule`` (whose comment each stands in) and ``line`` [120, 2]."""
    texts = [line.split("\t", 1) for line in catalogue.frame(LINES)["line"] if "\t" in line]
    return pd.DataFrame(texts, columns=["rule", "line"])
