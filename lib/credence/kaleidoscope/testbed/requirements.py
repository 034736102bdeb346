"""What the testbed needs of a machine, asked before anything is done."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from credence.bench.errors import InputError

# Program and the Debian package that has it.
PROGRAMS = {
    "ip": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "findmnt": "util-linux",
    "lsblk": "util-linux",
    "mkfs.ext4": "e2fsprogs",
    "sysctl": "procps",
    "fio": "fio",
    "mfsmaster": "moosefs-master",
    "mfschunkserver": "moosefs-chunkserver",
    "mfsmount": "moosefs-client",
    "mfsscadmin": "moosefs-client",
}
PLACES = {
    "/dev/fuse": "FUSE",
    "/dev/loop-control": "loop devices",
    "/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device": "cgroup v1 controller blkio with throttling",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "cgroup v1 controller cpu",
}

AS_ROOT = (
    "As root this makes eleven network namespaces (credence-tb-…), control groups for five servers, four disk images "
    "in memory on loop devices, and starts MooseFS in a PID and mount namespace of its own. Nothing else is changed; "
    "`credence kaleidoscope testbed down` takes all of it away."
)


def missing(platform: str, user: int, found: dict[str, bool], places: dict[str, bool]) -> list[str]:
    """Return what is missing, one line each; nothing is asked of the machine here.

    Parameters
    ----------
    platform : str
        As ``sys.platform``.
    user : int
        Effective user id.
    found, places : dict of bool
        Whether each of :data:`PROGRAMS` and :data:`PLACES` is there.
    """
    if platform != "linux":
        return [f"a Linux kernel (this is {platform})"]
    lines = [] if user == 0 else ["root: run it with sudo"]
    packages = sorted({PROGRAMS[name] for name, there in found.items() if not there})
    if packages:
        programs = ", ".join(name for name, there in found.items() if not there)
        lines.append(f"the programs {programs}: apt-get install {' '.join(packages)}")
    return lines + [f"{PLACES[place]}: there is no {place}" for place, there in places.items() if not there]


def machine_lacks() -> list[str]:
    """Return what this machine lacks, one line each; none if the testbed can run."""
    found = {
        name: shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None for name in PROGRAMS
    }
    there = {place: Path(place).exists() for place in PLACES}
    return missing(sys.platform, os.geteuid() if hasattr(os, "geteuid") else -1, found, there)


def require() -> None:
    """Refuse where the testbed can't run.

    Raises
    ------
    InputError
        Listing all that is missing.
    """
    lines = machine_lacks()
    if lines:
        raise InputError("the testbed cannot run here; it needs " + "; ".join(lines))
