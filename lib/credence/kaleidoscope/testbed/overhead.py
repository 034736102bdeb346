"""What probing costs the others: a write load with and without probes (Table III in kind)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pandas as pd

from credence.kaleidoscope.testbed import layout
from credence.kaleidoscope.testbed.cluster import Cluster
from credence.kaleidoscope.testbed.commands import run
from credence.kaleidoscope.testbed.measure import TIME_LIMIT_S, Probers

# Time between two pings of a client to a target; None: no probes. The paper probes every 30 s or 60 s.
INTERVALS_S: tuple[float | None, ...] = (None, 2.0, 0.5, 0.25)
SECONDS = 8
ROUNDS = 4
WRITE_BYTES = 4096

COLUMNS = {
    "run": "round [index]",
    "interval_s": "time between two pings of a client to a target, of each kind; NaN: no probes [s]",
    "pings_per_s": "pings launched a second, all clients and targets [1/s]",
    "written_bytes_per_s": "written by the load [B/s]",
    "writes_per_s": "synchronous writes of the load [1/s]",
}


def load_command(cluster: Cluster, seconds: int = SECONDS) -> list[str]:
    """Return the load: one writer of a third client a target, 4 KiB, each write synchronous."""
    folders = [cluster.mount(layout.LOADER) / layout.LOADER / letter for letter in layout.LETTERS]
    jobs = [word for k, folder in enumerate(folders) for word in (f"--name=load{k}", f"--directory={folder}")]
    common = [
        "--rw=write", f"--bs={WRITE_BYTES}", "--size=2m", "--fsync=1", "--time_based", f"--runtime={seconds}",
        "--ioengine=psync", "--fallocate=none", "--output-format=json", "--group_reporting",
    ]  # fmt: skip
    return cluster.inside(layout.LOADER, ["fio", *common, *jobs])


def parse(text: str) -> dict[str, float]:
    """Return the rates of a load from the JSON that fio printed."""
    written = [job["write"] for job in json.loads(text[text.index("{") :])["jobs"]]
    return {
        "written_bytes_per_s": float(sum(each["bw_bytes"] for each in written)),
        "writes_per_s": float(sum(each["iops"] for each in written)),
    }


def measure(cluster: Cluster, intervals: Sequence[float | None] = INTERVALS_S, rounds: int = ROUNDS) -> pd.DataFrame:
    """Measure the load under every interval of probing, round after round, so that a drift hits all alike.

    Returns
    -------
    pandas.DataFrame [rounds * intervals, 5]
        :data:`COLUMNS`.
    """
    rows = []
    for number in range(rounds):
        # the other way round in every second round
        for interval in intervals if number % 2 == 0 else tuple(reversed(intervals)):
            probers, pings = None, 0
            try:
                if interval is not None:
                    probers = Probers(cluster, SECONDS + 20, interval, TIME_LIMIT_S)
                begin = time.monotonic()
                rates = parse(run(load_command(cluster), timeout_s=SECONDS + 30))
                if probers is not None:
                    pings = sum(row["outcome"] != "missing" for row in probers.poll())
                seconds = time.monotonic() - begin
            finally:
                if probers is not None:
                    probers.close()
            rows.append({"run": number, "interval_s": interval, "pings_per_s": pings / seconds} | rates)
            time.sleep(1.0)
    return pd.DataFrame(rows).astype({"interval_s": float})
