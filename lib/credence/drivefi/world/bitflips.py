"""Hardware faults: single and double IEEE-754 flips in a small object classifier and in stack variables. Simulated.

The paper flips bits in destination registers of GPU instructions. Without a GPU the nearest thing is a flip in a value
that such a register would hold: an activation of a picture classifier, at a layer, picture and element drawn uniformly.
The classifier (none, pedestrian, vehicle) is trained from a seed on generated pictures within seconds. Outcomes:

- ``masked``: the class stays as it was;
- ``sdc``: silent data corruption, another class;
- ``due``: detected, since the output is not a finite number.

Every run proves its activation: the bits before and after are compared.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from credence.bench.errors import InputError, choose
from credence.bench.seeds import generator

SIDE = 16
CLASSES = ("none", "pedestrian", "vehicle")
OUTCOMES = ("masked", "sdc", "due")
LAYERS = ("picture", "convolution 1", "convolution 2", "hidden", "scores")
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


def pictures(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return generated pictures [count, 1, 16, 16] and their classes [count]: tall, wide or no blob, and noise."""
    labels = rng.integers(0, len(CLASSES), count)
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


def train(seed: int, steps: int = 150):
    """Return the classifier trained from `seed` as a list of layers (torch modules), and its accuracy on new pictures.

    One thread, so that equal seeds give equal weights.
    """
    import torch
    from torch import nn

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
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
    finally:
        torch.set_num_threads(threads)
    return layers, accuracy


def _through(layers, values, first: int):
    """Return what layers `first` and on make of `values` (array or tensor)."""
    import torch

    found = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    for layer in layers[first:]:
        found = layer(found)
    return found


def flip_campaign(layers, runs: int, width: int, rng: np.random.Generator) -> pd.DataFrame:
    """Flip `width` bits of one activation in each of `runs` inferences.

    Returns
    -------
    DataFrame
        One row a run: layer, place, bits, before, after (the value), activated (its bits differ), true, golden and
        faulty (class), outcome (one of `OUTCOMES`).
    """
    import torch

    if width not in (1, 2) or runs < 1:
        raise InputError(f"runs is {runs}, width {width}; allowed: at least 1 run, 1 or 2 bits")
    seen, labels = pictures(runs, rng)
    rows = []
    with torch.no_grad():
        outputs = [torch.from_numpy(seen)]
        for layer in layers:
            outputs.append(layer(outputs[-1]))
        golden = outputs[-1].argmax(1).numpy()
        for run in range(runs):
            which = int(rng.integers(0, len(outputs)))
            clean = outputs[which][run : run + 1].numpy()
            place = int(rng.integers(0, clean.size))
            bits = tuple(int(bit) for bit in rng.choice(32, width, replace=False))
            struck = flip_bits(clean, place, bits)
            scores = _through(layers, struck, which).numpy()[0]
            outcome = classify(scores, int(golden[run]))
            before, after = clean.reshape(-1)[place], struck.reshape(-1)[place]
            active = before.tobytes() != after.tobytes()
            faulty = int(np.argmax(scores)) if outcome != "due" else -1
            rows.append(
                (LAYERS[which], place, bits, before, after, active, int(labels[run]), int(golden[run]), faulty, outcome)
            )
    names = ["layer", "place", "bits", "before", "after", "activated", "true", "golden", "faulty", "outcome"]
    return pd.DataFrame(rows, columns=names)


def classify(scores: np.ndarray, golden: int) -> str:
    """Return the outcome of one inference from its scores [3] and the golden class."""
    if not np.isfinite(scores).all():
        return "due"
    return "masked" if int(np.argmax(scores)) == golden else "sdc"


def corrupted_value(value: float, bits: tuple[int, ...], precision: str = "double") -> float:
    """Return a stack variable's value after bit flips in its ``single`` or ``double`` representation; may be NaN."""
    kind = {"single": np.float32, "double": np.float64}[choose(precision, ("single", "double"), "precision")]
    return float(flip_bits(np.array([value], kind), 0, bits)[0])
