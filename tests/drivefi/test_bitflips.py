"""Bit flips against struct, the classifier, and the classes of outcomes."""

import struct

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.bench.seeds import generator
from credence.drivefi.world import bitflips


@pytest.mark.parametrize(("kind", "form", "width"), [(np.float32, "<f", 32), (np.float64, "<d", 64)])
def test_flips_are_those_of_struct(kind, form, width):
    rng = np.random.default_rng(3)
    whole = "<I" if width == 32 else "<Q"
    for _ in range(200):
        values = rng.standard_normal(5).astype(kind)
        place, bits = int(rng.integers(5)), tuple(int(b) for b in rng.choice(width, 2, replace=False))
        (number,) = struct.unpack(whole, struct.pack(form, values[place]))
        wanted = struct.pack(whole, number ^ (1 << bits[0]) ^ (1 << bits[1]))
        flipped = bitflips.flip_bits(values, place, bits)
        assert flipped[place].tobytes() == wanted
        assert np.array_equal(np.delete(flipped, place), np.delete(values, place))


def test_sign_and_exponent():
    assert bitflips.corrupted_value(1.5, (63,)) == -1.5
    assert bitflips.corrupted_value(1.0, (30,), "single") == np.inf
    assert bitflips.corrupted_value(2.0, (52,)) == 4.0


def test_what_cannot_be_is_refused():
    values = np.zeros(3, np.float32)
    for place, bits in ((3, (0,)), (0, (32,)), (0, (1, 1)), (0, ())):
        with pytest.raises(InputError, match="allowed"):
            bitflips.flip_bits(values, place, bits)
    with pytest.raises(InputError, match="int64"):
        bitflips.flip_bits(np.zeros(3, int), 0, (1,))


def test_outcomes():
    assert bitflips.classify(np.array([0.0, 2.0, 1.0]), 1) == "masked"
    assert bitflips.classify(np.array([3.0, 2.0, 1.0]), 1) == "sdc"
    assert bitflips.classify(np.array([np.nan, 2.0, 1.0]), 1) == "due"
    assert bitflips.classify(np.array([np.inf, 2.0, 1.0]), 0) == "due"


def test_classifier_and_campaign():
    layers, accuracy = bitflips.train(0)
    assert accuracy > 0.9
    runs = bitflips.flip_campaign(layers, 150, 1, generator(0, "test"))
    assert runs["activated"].all()
    assert set(runs["outcome"]) <= set(bitflips.OUTCOMES)
    assert (runs["outcome"] == "masked").mean() > 0.7
    masked = runs[runs["outcome"] == "masked"]
    assert (masked["faulty"] == masked["golden"]).all()
    again = bitflips.flip_campaign(bitflips.train(0)[0], 150, 1, generator(0, "test"))
    assert runs["outcome"].equals(again["outcome"])
