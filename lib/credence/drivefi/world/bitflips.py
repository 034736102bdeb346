"""Hardware faults: single and double IEEE-754 flips in a small object classifier and in stack variables. Simulated.

The paper flips bits in destination registers of GPU instructions. Without a GPU the nearest thing is a flip in a value
that such a register would hold: an activation of a picture classifier, at a layer, picture and element drawn uniformly.
The classifier (none, pedestrian, vehicle) is trained from a seed on generated pictures within seconds. Outcomes:

- ``masked``: the class stays as it was;
- ``sdc``: silent data corruption, another class;
- ``due``: detected, since the output is not a finite number.

Every run proves its activation: the bits before and after are compared. A flip in an activation lasts for one picture,
one in a weight for all pictures that follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.bench.seeds import generator

SIDE = 16
CLASSES = ("none", "pedestrian", "vehicle")
OUTCOMES = ("masked", "sdc", "due")
LAYERS = ("picture", "convolution 1", "convolution 2", "hidden", "scores")
DETECTED = -1  # instead of a class: the scores are no finite numbers
MOST_TRIES = 100  # pictures drawn for one that is classified right
BITS = {np.dtype(np.float32): (32, np.uint32), np.dtype(np.float64): (64, np.uint64)}


def flip_bits(values: np.ndarray, place: int, bits: tuple[int, ...]) -> np.ndarray:
    """Return a copy of `values` with some bits of one element flipped.

    Parameters
    ----------
    values : array of float32 or float64
    place : int
        Index into the flattened array.
    bits : tuple of int
        Which bits, 0 the lowest of the fraction; the highest is the sign. Each at most once: flipped twice is not
        flipped.

    Raises
    ------
    InputError
        For another type, or a place or bit that is not there, or a bit named twice.
    """
    values = np.ascontiguousarray(values)
    if values.dtype not in BITS:
        raise InputError(f"type of values is {values.dtype}; allowed: float32 or float64")
    width, unsigned = BITS[values.dtype]
    if not 0 <= place < values.size:
        raise InputError(f"place is {place}; allowed: 0 to {values.size - 1}")
    if len(set(bits)) != len(bits) or not bits or not all(0 <= bit < width for bit in bits):
        raise InputError(f"bits are {bits}; allowed: different ones of 0 to {width - 1}")
    flipped = values.copy()
    flipped.view(unsigned).reshape(-1)[place] ^= unsigned(sum(1 << bit for bit in bits))
    return flipped


def pictures(count: int, rng: np.random.Generator, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return generated pictures [count, 1, 16, 16] and their classes [count]: tall, wide or no blob, and noise.

    The classes are drawn uniformly unless `labels` [count] says what is to be seen.
    """
    labels = rng.integers(0, len(CLASSES), count) if labels is None else np.asarray(labels)
    height = np.select([labels == 1, labels == 2], [rng.uniform(6, 11, count), rng.uniform(3, 6, count)], 0.0)
    width = np.select([labels == 1, labels == 2], [rng.uniform(2, 4, count), rng.uniform(7, 12, count)], 0.0)
    middle = rng.uniform(6, 10, (2, count, 1, 1))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    inside = (np.abs(rows - middle[0]) < height[:, None, None] / 2) & (
        np.abs(columns - middle[1]) < width[:, None, None] / 2
    )
    contrast = rng.uniform(0.4, 1.0, (count, 1, 1))
    noise = 0.25 * rng.standard_normal((count, SIDE, SIDE))
    return (contrast * inside + noise).astype(np.float32)[:, None], labels


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch with one thread: layers this small take five times as long with two that wait for one another."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@lru_cache(maxsize=32)
def train(seed: int, steps: int = 150):
    """Return the classifier trained from `seed` as a list of layers (torch modules), and its accuracy on new pictures.

    One thread, so that equal seeds give equal weights. Who asks again gets the same layers, which nobody may change.
    """
    import torch
    from torch import nn

    with one_thread():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = [
                nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
                nn.Sequential(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
                nn.Sequential(nn.Linear(12 * 16, 24), nn.ReLU()),
                nn.Linear(24, len(CLASSES)),
            ]
            rng = generator(seed, "bit flips", "training")
            optimiser = torch.optim.Adam([p for layer in layers for p in layer.parameters()], lr=0.005)
            for _ in range(steps):
                seen, labels = pictures(64, rng)
                loss = nn.functional.cross_entropy(_through(layers, seen, 0), torch.from_numpy(labels))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        seen, labels = pictures(500, generator(seed, "bit flips", "test"))
        with torch.no_grad():
            accuracy = float((_through(layers, seen, 0).argmax(1).numpy() == labels).mean())
    return layers, accuracy


def _through(layers, values, first: int):
    """Return what layers `first` and on make of `values` (array or tensor)."""
    import torch

    found = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    for layer in layers[first:]:
        found = layer(found)
    return found


def classes(layers, seen: np.ndarray, first: int = 0) -> np.ndarray:
    """Return the class of each picture [count], `DETECTED` where a score is no finite number.

    Parameters
    ----------
    layers : list of torch modules
    seen : array [count, ...]
        What layer `first` reads: pictures, or one of `readings`.
    first : int
        Layer to begin with.
    """
    import torch

    with one_thread(), torch.no_grad():
        scores = _through(layers, seen, first).numpy()
    return np.where(np.isfinite(scores).all(axis=1), scores.argmax(axis=1), DETECTED)


def readings(layers, seen: np.ndarray) -> list[np.ndarray]:
    """Return what each layer reads [count, ...] when pictures [count, 1, 16, 16] are shown, and the scores at last."""
    import torch

    found = [torch.from_numpy(seen)]
    with one_thread(), torch.no_grad():
        for layer in layers:
            found.append(layer(found[-1]))
    return [part.numpy() for part in found]


def rightly_seen(layers, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Return pictures of given classes that the classifier gets right without a flip, and how many it got wrong.

    Parameters
    ----------
    layers : list of torch modules
    labels : array of int [count]
        What is to be seen.
    rng : numpy.random.Generator

    Returns
    -------
    seen : array [count, 1, 16, 16]
    refused : int
        Pictures that were drawn again, since a wrong class would have been there without the fault.

    Raises
    ------
    InputError
        If the classifier gets a class wrong time and again.
    """
    labels = np.asarray(labels)
    seen = np.empty((labels.size, 1, SIDE, SIDE), np.float32)
    left, refused = np.arange(labels.size), 0
    for _ in range(MOST_TRIES):
        if not left.size:
            return seen, refused
        seen[left] = pictures(left.size, rng, labels[left])[0]
        left = left[classes(layers, seen[left]) != labels[left]]
        refused += left.size
    raise InputError(
        f"class {CLASSES[labels[left[0]]]} is not recognised in {MOST_TRIES} pictures; allowed: a trained classifier"
    )


def flip_campaign(
    layers, runs: int, width: int, rng: np.random.Generator, labels: np.ndarray | None = None
) -> pd.DataFrame:
    """Flip `width` bits of one activation in each of `runs` inferences.

    Parameters
    ----------
    layers : list of torch modules
    runs, width : int
        Inferences, and bits flipped in each (1 or 2, of one value).
    rng : numpy.random.Generator
    labels : array of int [runs], optional
        What the pictures show; then all of them are classified right without the flip. By default classes are drawn,
        and the golden class is whatever the classifier says.

    Returns
    -------
    DataFrame
        One row a run: layer, place, bits, before, after (the value), activated (its bits differ), true, golden and
        faulty (class), outcome (one of `OUTCOMES`).
    """
    import torch

    if width not in (1, 2) or runs < 1:
        raise InputError(f"runs is {runs}, width {width}; allowed: at least 1 run, 1 or 2 bits")
    if labels is None:
        seen, labels = pictures(runs, rng)
    elif np.shape(labels) != (runs,):
        raise InputError(f"labels have the shape {np.shape(labels)}; allowed: ({runs},), one a run")
    else:
        seen, _ = rightly_seen(layers, labels, rng)
    rows = []
    outputs = readings(layers, seen)
    golden = outputs[-1].argmax(1)
    with one_thread(), torch.no_grad():
        for run in range(runs):
            which = int(rng.integers(0, len(outputs)))
            clean = outputs[which][run : run + 1]
            place = int(rng.integers(0, clean.size))
            bits = tuple(int(bit) for bit in rng.choice(32, width, replace=False))
            struck = flip_bits(clean, place, bits)
            scores = _through(layers, struck, which).numpy()[0]
            outcome = classify(scores, int(golden[run]))
            before, after = clean.reshape(-1)[place], struck.reshape(-1)[place]
            active = before.tobytes() != after.tobytes()
            faulty = int(np.argmax(scores)) if outcome != "due" else DETECTED
            rows.append(
                (LAYERS[which], place, bits, before, after, active, int(labels[run]), int(golden[run]), faulty, outcome)
            )
    names = ["layer", "place", "bits", "before", "after", "activated", "true", "golden", "faulty", "outcome"]
    return pd.DataFrame(rows, columns=names)


class WeightFlip(NamedTuple):
    """A classifier with a flipped weight.

    Attributes
    ----------
    layers : list of torch modules
        A copy; the classifier itself stays as it is.
    which : int
        Whose weights were struck: a layer's number, from 0.
    place : int
        Among that layer's weights and biases, flattened one after the other.
    bits : tuple of int
    before, after : numpy.float32
        Of the weight.
    """

    layers: list
    which: int
    place: int
    bits: tuple[int, ...]
    before: np.float32
    after: np.float32

    @property
    def layer(self) -> str:
        """Return the layer's name in `LAYERS`."""
        return LAYERS[self.which + 1]


def flip_weight(layers: Sequence, which: int, place: int, bits: tuple[int, ...]) -> WeightFlip:
    """Return a classifier with bits of one weight flipped, for good.

    Parameters
    ----------
    layers : list of torch modules
    which : int
        Layer, from 0 (the first convolution).
    place : int
        Among the layer's weights and biases, flattened one after the other.
    bits : tuple of int
        As for `flip_bits`.

    Raises
    ------
    InputError
        For a layer, place or bit that is not there.
    """
    import torch

    if not 0 <= which < len(layers):
        raise InputError(f"layer is {which}; allowed: 0 to {len(layers) - 1}")
    layer = deepcopy(layers[which])
    with torch.no_grad():
        clean = torch.nn.utils.parameters_to_vector(layer.parameters()).numpy()
        struck = flip_bits(clean, place, bits)
        torch.nn.utils.vector_to_parameters(torch.from_numpy(struck), layer.parameters())
    changed = [*layers[:which], layer, *layers[which + 1 :]]
    return WeightFlip(changed, which, place, bits, clean[place], struck[place])


def random_weight_flip(layers: Sequence, width: int, rng: np.random.Generator) -> WeightFlip:
    """Return `flip_weight` at a layer, then weight, then `width` (1 or 2) bits drawn uniformly."""
    if width not in (1, 2):
        raise InputError(f"width is {width}; allowed: 1 or 2 bits")
    which = int(rng.integers(0, len(layers)))
    place = int(rng.integers(0, sum(part.numel() for part in layers[which].parameters())))
    return flip_weight(layers, which, place, tuple(int(bit) for bit in rng.choice(32, width, replace=False)))


def classify(scores: np.ndarray, golden: int) -> str:
    """Return the outcome of one inference from its scores [3] and the golden class."""
    if not np.isfinite(scores).all():
        return "due"
    return "masked" if int(np.argmax(scores)) == golden else "sdc"


def corrupted_value(value: float, bits: tuple[int, ...], precision: str = "double") -> float:
    """Return a stack variable's value after bit flips in its ``single`` or ``double`` representation; may be NaN."""
    kind = {"single": np.float32, "double": np.float64}[choose(precision, ("single", "double"), "precision")]
    return float(flip_bits(np.array([value], kind), 0, bits)[0])
