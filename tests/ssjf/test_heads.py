"""Every loss against a slow one in numpy that follows its definition, answer by answer."""

import numpy as np
import pytest
import torch

from credence.bench.errors import InputError
from credence.ssjf.model import heads
from credence.ssjf.model.heads import QUANTILES, Targets, bind_head, fit_scale, make_head

RNG = np.random.default_rng(3)
LENGTHS = np.where(RNG.random((12, 3)) < 0.2, np.nan, RNG.choice(np.arange(1.0, 384.0), (12, 3), replace=False))
LENGTHS[4] = np.nan  # a prompt without any answer
CENSORED = np.isfinite(LENGTHS) & (LENGTHS > 250)
LENGTHS[CENSORED] = 384.0


def output_of(head, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(12, head.width)).astype(np.float32))


def by_prompt(each):
    """Mean over known samples of a prompt, then over prompts that have any."""
    rows = []
    for prompt in range(12):
        known = [each(prompt, sample) for sample in range(3) if np.isfinite(LENGTHS[prompt, sample])]
        if known:
            rows.append(np.mean(known))
    return np.mean(rows)


def loss_of(head, output):
    return float(head.loss(output, Targets.of(LENGTHS, CENSORED)))


@pytest.mark.parametrize("name", ["l1", "mse", "log-mse", "ordinal-l1", "ordinal-mse"])
def test_regressions(name):
    head = make_head(name, LENGTHS)
    scale, output = head.scale, output_of(head)

    def target(prompt, sample):
        y = LENGTHS[prompt, sample]
        if name in ("l1", "mse"):
            return (y - scale.centre) / scale.spread
        if name == "log-mse":
            return (np.log(y) - scale.log_centre) / scale.log_spread
        return sum(y >= end for end in scale.ends) - len(scale.ends) / 2

    def each(prompt, sample):
        error = float(output[prompt, 0]) - target(prompt, sample)
        if CENSORED[prompt, sample]:
            error = min(error, 0.0)
        return abs(error) if name.endswith("l1") else error**2

    assert loss_of(head, output) == pytest.approx(by_prompt(each), rel=1e-5)


@pytest.mark.parametrize("name", ["binary", "five-class"])
def test_classes(name):
    head = make_head(name, LENGTHS)
    output = output_of(head)
    chance = torch.softmax(output, 1).numpy()
    total = weights = 0.0
    for prompt in range(12):
        known = np.isfinite(LENGTHS[prompt])
        for sample in np.flatnonzero(known):
            place = sum(LENGTHS[prompt, sample] >= end for end in head.scale.ends)
            p = chance[prompt, place:].sum() if CENSORED[prompt, sample] else chance[prompt, place]
            weight = head.scale.class_weights[place] / known.sum()
            total -= weight * np.log(p)
            weights += weight
    assert loss_of(head, output) == pytest.approx(total / weights, rel=1e-4)
    assert head.width == len(head.scale.ends) + 1


def test_listwise_is_the_likelihood_of_the_order():
    head = make_head("listwise", LENGTHS)
    output = output_of(head)
    score = output[:, 0].double().numpy()
    total, draws = 0.0, 0
    for sample in range(3):
        known = np.flatnonzero(np.isfinite(LENGTHS[:, sample]))
        for prompt in known[~CENSORED[known, sample]]:
            y = LENGTHS[prompt, sample]
            later = [row for row in known if LENGTHS[row, sample] > y or row == prompt or CENSORED[row, sample]]
            total -= -score[prompt] - np.log(np.exp(-score[later]).sum())
            draws += 1
    assert len(np.unique(LENGTHS[~CENSORED & np.isfinite(LENGTHS)])) == (~CENSORED & np.isfinite(LENGTHS)).sum()
    assert loss_of(head, output) == pytest.approx(total / draws, rel=1e-5)


def test_quantiles():
    head = make_head("quantile", LENGTHS)
    output = output_of(head)

    def each(prompt, sample):
        y = (np.log(LENGTHS[prompt, sample]) - head.scale.log_centre) / head.scale.log_spread
        total = 0.0
        for column, q in enumerate(QUANTILES):
            f = float(output[prompt, column])
            if CENSORED[prompt, sample]:
                f = min(f, y)
            total += max(q * (y - f), (q - 1) * (y - f))
        return total

    assert loss_of(head, output) == pytest.approx(by_prompt(each), rel=1e-5)


@pytest.mark.parametrize("name", heads.HEADS)
def test_a_cut_answer_never_punishes_a_longer_prediction(name):
    lengths = np.array([[50.0], [384.0], [120.0], [200.0], [300.0]])
    cut = np.array([[False], [True], [False], [False], [False]])
    head = make_head(name, lengths)
    output = output_of(head)[:5].requires_grad_()
    targets = Targets.of(lengths, cut)
    before = head.key(output)[1].item()
    longer = output.detach().clone()
    if head.width == len(head.scale.ends) + 1 and head.label is not None and head.width > 1:
        longer[1, -1] += 5.0
    else:
        longer[1] += 5.0
    assert head.key(longer)[1].item() > before
    assert head.loss(longer, targets) <= head.loss(output, targets) + 1e-6


@pytest.mark.parametrize("name", heads.HEADS)
def test_gradients_are_finite_even_where_samples_are_missing(name):
    lengths = LENGTHS.copy()
    lengths[:, 2] = np.nan  # a sample that no prompt of the batch has
    head = make_head(name, lengths)
    output = output_of(head).requires_grad_()
    head.loss(output, Targets.of(lengths, CENSORED & np.isfinite(lengths))).backward()
    assert torch.isfinite(output.grad).all()
    assert (output.grad[4] == 0).all()  # the prompt without answers


@pytest.mark.parametrize("name", heads.HEADS)
def test_tokens_grow_with_the_key_and_lie_where_answers_do(name):
    head = make_head(name, LENGTHS)
    if head.tokens is None:
        assert name == "listwise"
        return
    output = torch.zeros(2, head.width)
    output[1, -1 if head.width < 7 else slice(None)] = 3.0
    key, tokens = head.key(output), head.tokens(output)
    assert key[1] > key[0]
    assert tokens[1] > tokens[0] >= 1


def test_class_ends_are_percentiles_and_equal_ones_merge():
    lengths = np.arange(1, 101, dtype=float)[:, None]
    assert fit_scale(lengths, (25, 50, 75, 99)).ends == pytest.approx((25.75, 50.5, 75.25, 99.01))
    piled = np.full((100, 1), 384.0)
    piled[:30, 0] = np.arange(30)
    head = make_head("five-class", piled)
    assert head.scale.ends[-1] == 384.0
    assert len(set(head.scale.ends)) == len(head.scale.ends) == head.width - 1


def test_quantile_tokens_do_not_cross():
    head = bind_head("quantile", fit_scale(LENGTHS))
    output = output_of(head)
    low, high = (heads.quantile_tokens(head, output, level) for level in (0.05, 0.95))
    assert (low <= high).all()
    with pytest.raises(InputError, match="allowed"):
        heads.quantile_tokens(head, output, 0.33)


def test_unknown_heads_and_empty_lengths_are_refused():
    with pytest.raises(InputError, match="did you mean 'listwise'"):
        make_head("listwize", LENGTHS)
    with pytest.raises(InputError, match="no answer length"):
        make_head("l1", np.full((3, 2), np.nan))
