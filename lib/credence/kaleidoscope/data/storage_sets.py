"""Real storage with real faults, from others (third party, ``CREDENCE_MIRROR``): to judge diagnosis on."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pandas as pd

from credence.bench import catalogue
from credence.bench.errors import choose

BAD_OST = 14  # by the README that lies beside the log

TOKIO_SYSTEMS = ("edison", "cori")


def edison_files(bad: bool = True) -> pd.DataFrame:
    """Return the files of one IOR job on Edison, with target 14 bad (2,048) or all targets well (48).

    Returns
    -------
    pandas.DataFrame [files, 3]
        ``rank``, ``target`` number of the one target that holds the file, ``MiB_per_s``.
    """
    frame = catalogue.frame("edison-bad-ost" if bad else "edison-good-ost")
    return pd.DataFrame({"rank": frame["rank"], "target": frame["osts"], "MiB_per_s": frame["perf_MiBps"]})


@cache
def perseus() -> pd.DataFrame:
    """Return disks in steps of 5 minutes, with labels.

    Returns
    -------
    pandas.DataFrame [1015500, 10]
        Columns of the set ``perseus-disks`` and ``slow``: whether the disk is among those labelled slow.
    """
    frame = catalogue.frame("perseus-disks").copy()
    slow = set()
    for line in catalogue.frame("perseus-slow-disks")["line"]:
        found = re.match(r"cluster_(\w+),host_(\d+),[^,]*,disk(\d+)", line)
        if found:
            slow.add((found[1], int(found[2]), int(found[3])))
    disks = frame[["cluster", "host", "disk"]].drop_duplicates()
    labelled = [(c, h, d) in slow for c, h, d in zip(disks["cluster"], disks["host"], disks["disk"], strict=True)]
    return frame.merge(disks.assign(slow=labelled), on=["cluster", "host", "disk"], how="left")


def perseus_disks() -> pd.DataFrame:
    """Return one row a disk: medians over the whole recording.

    Returns
    -------
    pandas.DataFrame [1880, 6]
        ``cluster``, ``host``, ``disk``, ``latency_us``, ``throughput_Bps`` (medians), ``slow``.
    """
    groups = perseus().groupby(["cluster", "host", "disk"], sort=True)
    found = groups.agg(
        latency_us=("lat_med_us", "median"), throughput_Bps=("throughput_Bps", "median"), slow=("slow", "first")
    )
    return found.reset_index()


def ost_maps() -> pd.DataFrame:
    """Return which server held which target, snapshot by snapshot.

    Returns
    -------
    pandas.DataFrame [70·332, 4]
        ``time_s`` (since 1970), ``file_system``, ``target`` number, ``server`` address.
    """
    rows, now = [], -1
    for line in catalogue.frame("lustre-ost-maps")["line"]:
        begin = re.match(r"BEGIN (\d+)", line)
        if begin:
            now = int(begin[1])
        held = re.search(r" osc (\w+)-OST([0-9a-f]{4})-osc-\S+ \S+ \d+ (\S+)", line)
        if held:
            rows.append((now, held[1], int(held[2], 16), held[3]))
    return pd.DataFrame(rows, columns=["time_s", "file_system", "target", "server"])


def tokio_year(system: str) -> pd.DataFrame:
    """Return a year of daily probes with telemetry.

    Parameters
    ----------
    system : str
        ``"edison"`` or ``"cori"``.

    Returns
    -------
    pandas.DataFrame [runs, 186]
        Columns as in the file: numbers where all cells are, text else; gaps are NaN. Of the prefixes, ``darshan_`` is
        the probe itself, ``fs_`` and ``fshealth_`` are the servers at its time, ``jobsdb_`` and ``topology_`` the job.
    """
    import io

    choose(system, TOKIO_SYSTEMS, "system of the TOKIO year")
    text = "\n".join(catalogue.frame(f"tokio-year-{system}")["line"])
    frame = pd.read_csv(io.StringIO(text), low_memory=False)
    unnamed = [name for name in frame.columns if name.startswith("Unnamed")]
    return frame.drop(columns=unnamed)


def host_median(disks: pd.DataFrame) -> np.ndarray:
    """Return, for each row of :func:`perseus_disks`, the median latency of its host's disks [us]."""
    return disks.groupby(["cluster", "host"])["latency_us"].transform("median").to_numpy(dtype=np.float64)
