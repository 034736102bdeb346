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
    again = bitflips.flip_campaign(bitflips.train.__wrapped__(0)[0], 150, 1, generator(0, "test"))
    assert runs["outcome"].equals(again["outcome"])


def by_hand(weights):
    """Return a classifier whose last layer has these weights and reads 1, 2, 3, …, whatever is to be seen."""
    torch = pytest.importorskip("torch")
    layers = [
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(64, weights.shape[1]),
        torch.nn.Linear(weights.shape[1], 3),
    ]
    with torch.no_grad():
        layers[2].weight.zero_()
        layers[2].bias.copy_(torch.arange(1.0, weights.shape[1] + 1))
        layers[3].weight.copy_(torch.from_numpy(weights))
        layers[3].bias.zero_()
    return layers


SCORES = np.array([[1.0, 0.0], [0.0, 0.75], [0.0, 0.0]], np.float32)  # hidden 1, 2: scores 1, 1.5, 0


def test_a_flipped_weight_does_what_can_be_computed_by_hand():
    layers, seen = by_hand(SCORES), np.zeros((4, 1, 16, 16), np.float32)
    assert (bitflips.classes(layers, seen) == 1).all()
    sign = bitflips.flip_weight(layers, 3, 3, (31,))  # 0.75 to -0.75: scores 1, -1.5, 0
    assert (sign.before, sign.after, sign.layer, sign.place) == (np.float32(0.75), np.float32(-0.75), "scores", 3)
    assert (bitflips.classes(sign.layers, seen) == 0).all()
    lowest = bitflips.flip_weight(layers, 3, 3, (0,))
    assert lowest.after != lowest.before
    assert (bitflips.classes(lowest.layers, seen) == 1).all()
    # 1.0 has 127 in its exponent: bit 30 makes it 255, infinity
    assert (bitflips.classes(bitflips.flip_weight(layers, 3, 0, (30,)).layers, seen) == bitflips.DETECTED).all()
    bias = bitflips.flip_weight(layers, 3, 8, (30,))  # the third bias, after six weights: 0 to 2
    assert bias.after == 2.0
    assert (bitflips.classes(bias.layers, seen) == 2).all()
    assert (bitflips.classes(layers, seen) == 1).all()  # the classifier itself is as it was


def test_weights_that_are_not_there_are_refused():
    layers = by_hand(SCORES)
    for which, place, bits in ((4, 0, (0,)), (-1, 0, (0,)), (3, 9, (0,)), (3, 0, (32,)), (3, 0, (1, 1))):
        with pytest.raises(InputError, match="allowed"):
            bitflips.flip_weight(layers, which, place, bits)
    with pytest.raises(InputError, match="width is 3"):
        bitflips.random_weight_flip(layers, 3, generator(0, "test"))


def test_weights_are_drawn_among_all_and_two_bits_differ():
    layers, rng = by_hand(SCORES), generator(0, "test")
    drawn = [bitflips.random_weight_flip(layers[2:], 2, rng) for _ in range(300)]
    assert {flip.place for flip in drawn if len(flip.layers[1].weight) == 3 and flip.layer == "convolution 2"} == set(
        range(9)
    )
    for flip in drawn:
        words = [int(np.float32(value).view(np.uint32)) for value in (flip.before, flip.after)]
        assert bin(words[0] ^ words[1]).count("1") == 2 == len(set(flip.bits))


def test_only_pictures_seen_rightly_are_shown():
    layers, accuracy = bitflips.train(0)
    labels = np.arange(600) % 3
    seen, refused = bitflips.rightly_seen(layers, labels, generator(0, "test"))
    assert (bitflips.classes(layers, seen) == labels).all()
    assert 0 < refused < 600 * 3 * (1 - accuracy)
    runs = bitflips.flip_campaign(layers, 90, 2, generator(1, "test"), labels[:90])
    assert runs["golden"].tolist() == runs["true"].tolist() == labels[:90].tolist()
    wrong = runs[runs["outcome"] == "sdc"]
    assert (wrong["faulty"] != wrong["true"]).all()
    with pytest.raises(InputError, match="vehicle is not recognised"):
        bitflips.rightly_seen(by_hand(SCORES), np.array([1, 2]), generator(0, "test"))
    with pytest.raises(InputError, match="shape"):
        bitflips.flip_campaign(layers, 5, 1, generator(1, "test"), labels[:4])
