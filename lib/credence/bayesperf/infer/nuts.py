"""The posterior of a window by NUTS: slow, and free of the approximations that the fast path makes."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from credence.bayesperf.model.window import Window
from credence.bench import diagnostics, paths, seeds
from credence.bench.errors import InputError, choose
from credence.bench.record import write_atomic

if TYPE_CHECKING:
    import xarray

# Raise it when model, sampling or this format changes: older files are then passed over.
VERSION = 1
MODES = ("NUMBA", "FAST_COMPILE")


@dataclass(frozen=True)
class Sampling:
    """How to sample.

    Attributes
    ----------
    chains, draws, tune : int
        Chains, draws kept of each, draws before them that adapt the steps.
    target_accept : float
        Smaller steps for values near 1, in (0.5, 1).
    seed : int
    """

    chains: int = 4
    draws: int = 1000
    tune: int = 400
    target_accept: float = 0.8
    seed: int = 0

    def __post_init__(self):
        for name, least in (("chains", 2), ("draws", 4), ("tune", 10), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)!r}; allowed: from {least}")
        if not 0.5 < self.target_accept < 1:
            raise InputError(f"target_accept is {self.target_accept!r}; allowed: between 0.5 and 1")


@dataclass(frozen=True)
class Sampled:
    """Draws from the posterior of a window.

    Attributes
    ----------
    window : Window
    tree : xarray.DataTree
        Groups ``posterior`` (``count`` [chain, draw, slice, event], ``moves`` and, if free, the scales) and
        ``sample_stats`` (``diverging``, ``n_steps``).
    gate : Gate
        R-hat, effective sample sizes, divergences.
    seconds : float
        Time spent on sampling, tuning included, without compilation.
    compile_seconds : float
    cached : bool
        True if the draws were made in an earlier run.
    """

    window: Window
    tree: xarray.DataTree
    gate: diagnostics.Gate
    seconds: float
    compile_seconds: float
    cached: bool

    @property
    def counts(self) -> np.ndarray:
        """Draws of the counts [chain * draw, slices, events]."""
        count = self.tree["posterior"]["count"].values
        return count.reshape(-1, *count.shape[2:])

    @property
    def mean(self) -> np.ndarray:
        """Posterior mean [slices, events] in counts per slice."""
        return self.counts.mean(axis=0)

    @property
    def sd(self) -> np.ndarray:
        """Posterior standard deviation [slices, events]."""
        return self.counts.std(axis=0, ddof=1)


@dataclass(frozen=True)
class Compiled:
    """A model ready to be sampled, for all windows of one shape.

    Attributes
    ----------
    model : pymc.Model
    logp : callable
        From free variables, end to end [free], to log density and gradient.
    names : dict of str to tuple
        Free variables in that order: shape of each.
    """

    model: object
    logp: Callable
    names: dict[str, tuple[int, ...]]


def compile_window(window: Window, free_scales: bool = False, mode: str = "NUMBA") -> Compiled:
    """Compile the model of a window.

    Parameters
    ----------
    window : Window
    free_scales : bool
        See `generative.build`.
    mode : str
        PyTensor's: "NUMBA" is fast, takes some 15 s the first time and a second later on, from PyTensor's cache;
        "FAST_COMPILE" takes a third of a second and some 30 times as long for a gradient: for small windows.
    """
    from credence.bayesperf.model import generative

    model = generative.build(window, free_scales)
    logp = model.logp_dlogp_function(ravel_inputs=True, mode=choose(mode, MODES, "mode"))
    logp.set_extra_values({})
    names = {name: np.shape(value) for name, value in model.initial_point().items()}
    return Compiled(model, logp, names)


def draw(compiled: Compiled, window: Window, sampling: Sampling) -> xarray.DataTree:
    """Run NUTS on a window of the shape that was compiled.

    What nutpie's own compiler would make of the model cannot be kept on disk; PyTensor's function can.
    """
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    from credence.bayesperf.model import generative

    data = generative.data(window)
    for name, value in data.items():
        compiled.model.set_data(name, value)
    ends = np.cumsum([0] + [int(np.prod(shape)) for shape in compiled.names.values()])
    guess, root = data["guess"], data["guess_root"]

    def logp():
        def value(point):
            height, slope = compiled.logp(np.array(point))
            return float(height), np.ascontiguousarray(slope, float)

        return value

    def expand(_seed1, _seed2, _chain):
        def values(point):
            parts = {
                name: point[a:b].reshape(shape)
                for (name, shape), a, b in zip(compiled.names.items(), ends[:-1], ends[1:], strict=True)
            }
            moves = guess + root @ parts.pop("moves_whitened__")
            return {"moves": moves, "count": window.counts(moves)} | parts

        return values

    places = generative.coords(window)
    scales = {"log_amplitude": ("direction",), "log_noise": ()}
    dims = {"moves": ("move",), "count": ("slice", "event")}
    dims |= {name: scales[name] for name in compiled.names if name in scales}
    shapes = [tuple(len(places[d]) for d in dim) for dim in dims.values()]
    rng = seeds.generator(sampling.seed, "bayesperf nuts")
    starts = seeds.generator(sampling.seed, "bayesperf nuts", "starts")
    found = from_pyfunc(
        int(ends[-1]),
        logp,
        expand,
        [np.dtype(float)] * len(dims),
        shapes,
        list(dims),
        # numbers as an array: nutpie takes lists of text only
        coords={
            name: np.array(place) if name == "slice" else place
            for name, place in places.items()
            if any(name in dim for dim in dims.values())
        },
        dims=dims,
        # chains that start apart can disagree, which is what R-hat looks for
        make_initial_point_fn=lambda seed: starts.uniform(-2, 2, int(ends[-1])),
    )
    return nutpie.sample(
        found,
        draws=sampling.draws,
        tune=sampling.tune,
        chains=sampling.chains,
        cores=1,
        seed=int(rng.integers(2**31)),
        target_accept=sampling.target_accept,
        save_warmup=False,
        progress_bar=False,
    )


def sample(
    window: Window,
    sampling: Sampling | None = None,
    free_scales: bool = False,
    name: str = "window",
    use_cache: bool = True,
    mode: str = "NUMBA",
) -> Sampled:
    """Sample the posterior of a window, or take the draws from the cache where the same were made before.

    Parameters
    ----------
    window : Window
    sampling : Sampling, optional
    free_scales : bool
        See `generative.build`.
    name : str
        What the diagnostics gate calls it.
    use_cache : bool
    mode : str
        See `compile_window`.
    """
    sampling = sampling or Sampling()
    place = paths.cache_dir() / "bayesperf-nuts" / f"{cache_key(window, sampling, free_scales)}.npz"
    if use_cache and place.is_file():
        with contextlib.suppress(OSError, ValueError, KeyError):
            tree, times = _read(place)
            return Sampled(window, tree, diagnostics.gate(tree, name), *times, cached=True)
    begin = time.perf_counter()
    compiled = compile_window(window, free_scales, mode)
    middle = time.perf_counter()
    tree = draw(compiled, window, sampling)
    times = (time.perf_counter() - middle, middle - begin)
    if use_cache:
        _write(place, tree, times)
    return Sampled(window, tree, diagnostics.gate(tree, name), *times, cached=False)


def cache_key(window: Window, sampling: Sampling, free_scales: bool) -> str:
    """Return 16 hex digits that change with the window's matrices, its data, the sampling or the version."""
    digest = hashlib.sha256()
    settings = dataclasses.asdict(sampling)
    digest.update(json.dumps([VERSION, free_scales, settings], sort_keys=True).encode())
    for part in dataclasses.fields(window):
        value = getattr(window, part.name)
        digest.update(part.name.encode())
        if isinstance(value, np.ndarray):
            digest.update(f"{value.shape} {value.dtype}".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()[:16]


def _write(place, tree: xarray.DataTree, times: tuple[float, float]) -> None:
    sample = tree["posterior"].dataset
    arrays = {f"posterior/{name}": value.values for name, value in sample.items()}
    arrays |= {f"sample_stats/{name}": tree["sample_stats"][name].values for name in ("diverging", "n_steps")}
    arrays |= {f"coords/{name}": np.asarray(value.values, str) for name, value in sample.coords.items()}
    arrays |= {f"dims/{name}": np.array(value.dims) for name, value in sample.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, times=np.array(times), **arrays)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(place, stream.getvalue())


def _read(place) -> tuple[xarray.DataTree, tuple[float, float]]:
    import xarray

    with np.load(place, allow_pickle=False) as file:
        named = {name: file[name] for name in file.files}
    coords = {name.removeprefix("coords/"): value for name, value in named.items() if name.startswith("coords/")}
    for name in ("chain", "draw", "slice"):
        if name in coords:
            coords[name] = coords[name].astype(int)
    posterior = {
        name.removeprefix("posterior/"): (tuple(named[f"dims/{name.removeprefix('posterior/')}"]), value)
        for name, value in named.items()
        if name.startswith("posterior/")
    }
    stats = {name: (("chain", "draw"), named[f"sample_stats/{name}"]) for name in ("diverging", "n_steps")}
    own = {dim for dims, _ in posterior.values() for dim in dims}
    groups = {
        "posterior": xarray.Dataset(posterior, {k: v for k, v in coords.items() if k in own}),
        "sample_stats": xarray.Dataset(stats),
    }
    return xarray.DataTree.from_dict(groups), tuple(float(t) for t in named["times"])
