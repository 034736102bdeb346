"""Spells: from when to when a component was not up."""

from __future__ import annotations

import pandas as pd

COLUMNS = ("component", "kind", "state", "start_s", "end_s", "windows", "p_healthy")


class Spells:
    """Collects, window by window, what was not up.

    A spell goes on while its component isn't up in window after window that had probes; ``end_s``, the end of the last
    of them, is NaN while it lasts.
    """

    def __init__(self):
        self.windows = 0
        self._rows: list[dict] = []
        self._running: dict[str, dict] = {}

    def add(self, start_s: float, end_s: float, suspects: pd.DataFrame) -> None:
        """Take in one window: rows of ``component``, ``kind``, ``state``, ``p_healthy`` of what isn't up in it."""
        self.windows += 1
        seen = set()
        for row in suspects.itertuples():
            seen.add(row.component)
            spell = self._running.get(row.component)
            if spell is None:
                names = ("component", "kind", "state", "p_healthy")
                spell = {name: getattr(row, name) for name in names} | {"start_s": start_s, "windows": 0}
                self._running[row.component] = spell
                self._rows.append(spell)
            spell["windows"] += 1
            spell |= {"end_s": float("nan"), "last_s": end_s}
            if row.p_healthy <= spell["p_healthy"]:  # a spell is called by its worst window
                spell["p_healthy"], spell["state"] = row.p_healthy, row.state
        for name in [name for name in self._running if name not in seen]:
            spell = self._running.pop(name)
            spell["end_s"] = spell["last_s"]

    def since(self, component: str) -> float:
        """Return when a component's present spell began [s]; KeyError if it is up."""
        return self._running[component]["start_s"]

    def table(self) -> pd.DataFrame:
        """Return all spells, in order of their beginning [spells, 7]."""
        return pd.DataFrame(self._rows, columns=list(COLUMNS))
