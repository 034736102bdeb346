"""What may be chosen is chosen here, on scenario seeds 0 to 9: ``python -m credence.drivefi.evaluate.tuning``.

Fits the expected size of an effect (Poisson regression on the enumerated truth) and the kernel's length scales
(GPyTorch, on faults as a search would have simulated them), and writes ``data/drivefi/selector.toml``. Other
seeds, those of the races among them, are refused.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from credence.bench import paths
from credence.bench.errors import InputError
from credence.bench.record import write_atomic
from credence.bench.seeds import generator
from credence.drivefi.evaluate.race import Pool, declared_pool
from credence.drivefi.select import features, forecasts, frozen, gp_selector, hyper, sensitivity
from credence.drivefi.select.pool import PoolView, Purse

SEEDS = tuple(range(10))
PARTS = ("gap", "lane")
TRAINING = 60
# chosen by trials on SEEDS; what each does is said in `gp_selector.Settings`
CHOSEN = {
    "acquisition": "pfail",
    "first": 30,
    "batch": 6,
    "patience": 6,
    "refits": [],
    "ceiling": [10.0, 0.8],
    "floor": -0.5,
    "amplitude": [2.0, 2.0],
    "amplitude_power": [0.5, 1.0],
    "amplitude_range": [0.08, 0.8],
    "weight": [1.0, 0.32, 0.28],
    "shared": 0.2,
}


def effects(pool: Pool) -> np.ndarray:
    """Return the effects of all faults of a pool on each part, in golden margins: what the process models."""
    ceiling = np.array(CHOSEN["ceiling"])
    unit = np.clip(pool.view.golden[pool.view.run[pool.view.scene]], gp_selector.LEAST_UNIT_M, ceiling)
    return np.clip(np.minimum(pool.parts, ceiling) / unit, CHOSEN["floor"], 1.2) - 1.0


def trained_view(pool: Pool, seed: int) -> PoolView:
    """Return a pool's view with the actuation effects of a 3-TBN trained on `TRAINING` random faults."""
    rng = generator(seed, "tuning")
    purse = Purse(pool.simulate, TRAINING, pool.logs)
    chosen = gp_selector.spread(pool.view, TRAINING, rng, pool.view.active)
    return forecasts.with_effects(pool.view, forecasts.train(pool.view, purse, chosen)[0])


def sizes(views: Sequence[PoolView], found: Sequence[np.ndarray]) -> pd.DataFrame:
    """Return the coefficients of `sensitivity.expected`, fitted to all faults of some pools."""
    inputs = pd.concat([sensitivity.terms(view) for view in views], ignore_index=True)
    values = np.concatenate(found)
    return pd.DataFrame({part: sensitivity.fit(inputs, values[:, i]) for i, part in enumerate(PARTS)}).round(4)


def length_scales(views, found, coefficients: pd.DataFrame, each: int = 100, steps: int = 15):
    """Return the kernel fitted to `each` faults of every pool: half drawn by expected size, half with an effect."""
    rng, rows, part = generator(0, "length scales"), [], 0
    sampled = []
    for view, values in zip(views, found, strict=True):
        size = sensitivity.expected(sensitivity.terms(view), coefficients)
        weight = size[:, part] * view.active
        drawn = rng.choice(len(view), each // 2, replace=False, p=weight / weight.sum())
        strong = np.flatnonzero(values[:, part] < -0.5)
        hit = rng.choice(strong, min(each // 2, len(strong)), replace=False)
        rows.append(np.unique(np.r_[drawn, hit]))
        sampled.append(size[rows[-1]])
    joined = _join(views, rows)
    settings = gp_selector.Settings(weight=tuple(CHOSEN["weight"]), shared=CHOSEN["shared"])
    amplitude = np.clip(np.concatenate(sampled)[:, part] ** CHOSEN["amplitude_power"][part], *CHOSEN["amplitude_range"])
    values = np.concatenate([v[r, part] for v, r in zip(found, rows, strict=True)])
    start = gp_selector.start(joined, settings)
    return hyper.refit(joined, start, np.arange(len(values)), values, amplitude, steps)


def _join(views: Sequence[PoolView], rows: Sequence[np.ndarray]) -> PoolView:
    """Return some faults of several pools as one pool; runs of different pools are different runs."""
    first = np.cumsum([0, *(len(view.scene_features) for view in views[:-1])])
    runs = np.cumsum([0, *(len(view.golden) for view in views[:-1])])
    both = list(zip(views, rows, strict=True))
    return replace(
        views[0],
        scene_features=np.vstack([view.scene_features for view in views]),
        pair_features=np.vstack([view.pair_features[r] for view, r in both]),
        scene=np.concatenate([view.scene[r] + at for (view, r), at in zip(both, first, strict=True)]),
        type=np.concatenate([view.type[r] for view, r in both]),
        run=np.concatenate([view.run + at for view, at in zip(views, runs, strict=True)]),
        position=np.concatenate([view.position for view in views]),
        golden=np.vstack([view.golden for view in views]),
        active=np.ones(sum(len(r) for r in rows), bool),
        traces=(),
    )


def text(chosen: dict, groups: dict[str, dict[str, float]], coefficients: pd.DataFrame, note: str) -> str:
    """Return the frozen file's text."""
    lines = [f"# {note}", "", "[settings]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in chosen.items()]
    for group, values in groups.items():
        lines += ["", f"[kernel.{group}]", *(f"{json.dumps(name)} = {value}" for name, value in values.items())]
    for part in coefficients:
        lines += ["", f"[size.{part}]"]
        lines += [f"{json.dumps(name)} = {value}" for name, value in coefficients[part].items()]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit on the tuning seeds and write the frozen file."""
    parser = argparse.ArgumentParser(prog="python -m credence.drivefi.evaluate.tuning", description=main.__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--keep-kernel", action="store_true", help="fit the expected sizes only")
    given = parser.parse_args(arguments)
    if not set(given.seeds) <= set(SEEDS):
        raise InputError(f"--seeds {given.seeds}; allowed: of {SEEDS[0]} to {SEEDS[-1]}, the others judge")
    pools = [declared_pool(seed) for seed in given.seeds]
    views = [trained_view(pool, seed) for pool, seed in zip(pools, given.seeds, strict=True)]
    found = [effects(pool) for pool in pools]
    coefficients = sizes(views, found)
    chosen = dict(CHOSEN)
    if given.keep_kernel:
        groups = frozen.kernel()
        chosen |= {name: getattr(frozen.settings(), name) for name in ("along", "noise")}
    else:
        fitted = length_scales(views, found, coefficients)
        names = features.scene_features(pools[0].view.traces[0], 7.5).columns
        groups = {
            "scene": dict(zip(names, fitted.scene.round(3).tolist(), strict=True)),
            "embedding": dict(zip(features.embedding().columns, fitted.embedding.round(3).tolist(), strict=True)),
            "pair": dict(zip(("value", "pedal", "wheel"), fitted.pair.round(3).tolist(), strict=True)),
        }
        chosen |= {"along": round(fitted.along, 3), "noise": round(fitted.noise, 5)}
    note = f"Chosen on scenario seeds {given.seeds} by credence.drivefi.evaluate.tuning; see gp_selector.Settings."
    write_atomic(paths.data_dir() / frozen.FILE, text(chosen, groups, coefficients, note))


if __name__ == "__main__":
    main()
