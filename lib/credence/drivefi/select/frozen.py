"""What was chosen on scenario seeds 0 to 9 and then left alone: the selector's settings, kernel and expected sizes.

They lie in ``data/drivefi/selector.toml``, written by ``python -m credence.drivefi.evaluate.tuning``.
"""

from __future__ import annotations

import tomllib
from functools import cache

import pandas as pd

from credence.bench import paths
from credence.drivefi.select.gp_selector import Settings

FILE = "drivefi/selector.toml"


@cache
def _read() -> dict:
    return tomllib.loads((paths.data_dir() / FILE).read_text())


def settings() -> Settings:
    """Return the selector's settings, length scales of the kernel among them."""
    found = {name: tuple(v) if isinstance(v, list) else v for name, v in _read()["settings"].items()}
    kernel = _read()["kernel"]
    scales = {name: tuple(kernel[name].values()) for name in ("scene", "embedding", "pair")}
    return Settings(**found, **scales)


def kernel() -> dict[str, dict[str, float]]:
    """Return the kernel's length scales by group and name, for tables."""
    return _read()["kernel"]


def coefficients() -> pd.DataFrame:
    """Return the coefficients of the expected size of an effect: one row a term, one column a part."""
    return pd.DataFrame(_read()["size"])
