"""The vendors' own files, through the catalogue: text that the event algebra is read from. None of it is in git."""

from __future__ import annotations

import json
from typing import Any

from credence.bench import catalogue
from credence.bench.errors import InputError, choose

# Sets of JSON files by the name a user gives the CPU. The Intel files are BSD-licensed, the kernel's GPL.
PERFMON = ("skylakex", "icelakex", "broadwellx")
PMU_EVENTS = ("skylakex", "icelakex", "broadwellx", "power9", "power10", "amdzen2", "amdzen3")
LIKWID = ("skylakex", "icx", "broadwellep", "zen2", "zen3", "power9")


def files(name: str) -> dict[str, str]:
    """Return the text files of a catalogue set, such as ``"perfmon-skylakex"`` or ``"likwid-groups-zen3"``.

    Parameters
    ----------
    name : str
        A set whose reader is ``text``.

    Returns
    -------
    dict of str to str
        Text by file name, in the order of the catalogue.

    Raises
    ------
    InputError
        If the set is no set of text files, or is not to be had (``CREDENCE_MIRROR``).
    """
    item = catalogue.entry(name)
    if item.reader != "text":
        raise InputError(f"data set {name!r} is read as {item.reader}; allowed: a set of text files")
    frame = catalogue.frame(name)
    lines = dict(iter(frame.groupby("file")["line"]))
    return {file.rsplit("/", 1)[-1]: "\n".join(lines[k]) for k, (file, _) in enumerate(item.files)}


def perfmon(cpu: str) -> dict[str, Any]:
    """Return Intel's event and metric files of a CPU as parsed JSON, by file name (``skylakex_core.json``, ...)."""
    name = f"perfmon-{choose(cpu, PERFMON, 'CPU with Intel perfmon files')}"
    return {file: json.loads(text) for file, text in files(name).items()}


def pmu_events(cpu: str) -> dict[str, list[dict[str, str]]]:
    """Return the kernel's event and metric files of a CPU as parsed JSON, by file name (``metrics.json``, ...)."""
    name = f"pmu-events-{choose(cpu, PMU_EVENTS, 'CPU with kernel event files')}"
    return {file: json.loads(text) for file, text in files(name).items()}


def papi_presets() -> list[str]:
    """Return the lines of PAPI's preset table: ``CPU,name``, ``PRESET,name,DERIVED_...,native events``, comments."""
    (text,) = files("papi-presets").values()
    return text.splitlines()


def likwid_groups(cpu: str) -> dict[str, str]:
    """Return the texts of LIKWID's performance groups of a CPU, by file name (``TMA.txt``, ...)."""
    return files(f"likwid-groups-{choose(cpu, LIKWID, 'CPU with LIKWID groups')}")
