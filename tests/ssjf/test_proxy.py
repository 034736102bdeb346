"""Training, prediction, cache, folds and latency with an encoder of two small layers and a made-up tokenizer."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import kendalltau

from credence.bench.errors import InputError
from credence.ssjf.infer import latency, proxy_cache, proxy_folds
from credence.ssjf.infer.proxy import (
    Settings,
    fast_settings,
    paper_settings,
    predict,
    train,
    validation_rows,
)
from credence.ssjf.model.encoder import weights_digest
from credence.ssjf.model.heads import HEADS
from ssjf.made_up_prompts import ENCODER, LIMIT, made_up

ANSWERS = made_up()
QUICK = fast_settings(
    epochs=12,
    tuned_epochs=12,
    encoder_lr=1e-3,
    head_lr=5e-3,
    batch=8,
    max_tokens=32,
    frozen_layers=0,
    precision="float32",
)
VALIDATION = np.arange(len(ANSWERS)) % 4 == 0


def trained(settings=QUICK, answers=ANSWERS, **more):
    return train(answers.prompts, answers.lengths, answers.censored, settings, VALIDATION, ENCODER, **more)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_what_the_prompt_says(head):
    proxy = trained(dataclasses.replace(QUICK, head=head), limit=LIMIT)
    fresh = made_up(40, seed=9)
    found = predict(proxy, fresh.prompts)
    assert kendalltau(found["key"], fresh.lengths[:, 0]).statistic > 0.6
    assert (found["lo90"] <= found["tokens"]).all()
    assert (found["tokens"] <= found["hi90"]).all()
    assert found["hi90"].max() <= LIMIT
    assert ("label" in found) == (head in ("binary", "five-class", "ordinal-l1", "ordinal-mse"))


def test_the_same_seed_gives_the_same_numbers_and_leaves_everything_else_alone():
    settings = dataclasses.replace(QUICK, epochs=2, tuned_epochs=2)
    before, state = weights_digest(ENCODER.model), torch.random.get_rng_state()
    first, again = predict(trained(settings), ANSWERS.prompts), predict(trained(settings), ANSWERS.prompts)
    pd.testing.assert_frame_equal(first, again)
    other = predict(trained(dataclasses.replace(settings, seed=1)), ANSWERS.prompts)
    assert not np.allclose(first["key"], other["key"])
    assert weights_digest(ENCODER.model) == before
    assert torch.equal(torch.random.get_rng_state(), state)


def test_company_in_a_batch_does_not_change_a_prediction():
    proxy = trained(dataclasses.replace(QUICK, epochs=1, tuned_epochs=1))
    together = predict(proxy, ["aaa?", "bbbbbbbbbbbbbbb?", "c?"])
    for row, prompt in enumerate(["aaa?", "bbbbbbbbbbbbbbb?", "c?"]):
        assert predict(proxy, [prompt])["key"][0] == pytest.approx(together["key"][row], abs=1e-5)
        key, tokens = latency.single(proxy)(prompt)
        assert key == pytest.approx(together["key"][row], abs=1e-5)
        assert tokens == pytest.approx(together["tokens"][row], rel=1e-4)


@pytest.mark.parametrize(("frozen", "moved"), [(-1, {"embeddings", "0", "1"}), (0, {"0", "1"}), (1, {"1"}), (2, set())])
def test_frozen_layers_stay(frozen, moved):
    net = trained(dataclasses.replace(QUICK, epochs=1, tuned_epochs=1, frozen_layers=frozen, stop_early=False)).net
    ours, base = net.encoder.state_dict(), ENCODER.model.state_dict()
    changed = {name for name in base if not torch.equal(ours[name], base[name])}
    assert {name.split(".")[2] if name.startswith("transformer") else "embeddings" for name in changed} == moved


def test_the_papers_schedule_freezes_the_encoder_after_three_epochs():
    settings = paper_settings("l1", encoder_lr=1e-3, head_lr=1e-3, frozen_lr=1e-3)
    half = trained(dataclasses.replace(settings, epochs=4, tuned_epochs=0)).net.encoder.state_dict()
    assert all(torch.equal(half[name], value) for name, value in ENCODER.model.state_dict().items())
    proxy = trained(settings)
    assert [record["epoch"] for record in proxy.diagnostics["epochs"]] == [1, 2, 3, 4, 5, 6]
    assert proxy.diagnostics["best_epoch"] == 6
    # the rate of the frozen epochs moves what is above the encoder, and nothing else
    still = trained(dataclasses.replace(settings, frozen_lr=0.0)).net
    encoder = proxy.net.encoder.state_dict()
    assert all(torch.equal(encoder[name], value) for name, value in still.encoder.state_dict().items())
    assert not torch.equal(encoder["transformer.layer.1.ffn.lin1.weight"], half["transformer.layer.1.ffn.lin1.weight"])
    assert not torch.equal(proxy.net.out.weight, still.out.weight)


def test_the_best_epoch_of_the_validation_part_is_kept():
    proxy = trained()
    taus = [record["validation_tau"] for record in proxy.diagnostics["epochs"]]
    assert proxy.diagnostics["best_epoch"] == int(np.argmax(taus)) + 1
    held = ANSWERS.take(VALIDATION)
    key = predict(proxy, held.prompts)["key"]
    assert kendalltau(key, np.log(held.lengths).mean(1)).statistic == pytest.approx(max(taus), abs=1e-6)


def test_auxiliary_targets_and_ranking_are_learned_beside():
    further = np.log(ANSWERS.lengths) + np.array([0.0, 3.0])
    further[::5, 1] = np.nan
    with_them = trained(dataclasses.replace(QUICK, epochs=2, tuned_epochs=2, ranking=0.5), auxiliary=further)
    without = trained(dataclasses.replace(QUICK, epochs=2, tuned_epochs=2, ranking=0.5, auxiliary=0.0))
    assert with_them.net.auxiliary is None
    assert not np.allclose(predict(with_them, ANSWERS.prompts)["key"], predict(without, ANSWERS.prompts)["key"])


def test_groups_are_not_torn_apart_by_the_validation_split():
    group = np.repeat([f"family {number}" for number in range(10)], 7)
    chosen = validation_rows(group, 0.2, 3)
    assert all(len(set(chosen[group == name])) == 1 for name in np.unique(group))
    assert 7 <= chosen.sum() <= 28
    assert (chosen == validation_rows(group, 0.2, 3)).all()
    two = validation_rows(["a", "b"], 0.9, 0)
    assert two.sum() == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"head": "l2"}, "unknown head"), ({"epochs": 0}, "epochs is 0"), ({"batch": 1}, "batch is 1")],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Settings(**changes)


def test_wrong_shapes_and_empty_parts_are_refused():
    with pytest.raises(InputError, match="lengths have shape"):
        train(["a", "b"], np.ones((3, 1)), None, QUICK, None, ENCODER)
    nothing = np.where(VALIDATION[:, None], np.nan, ANSWERS.lengths)
    with pytest.raises(InputError, match="validation part has 0 prompts"):
        train(ANSWERS.prompts, nothing, None, QUICK, VALIDATION, ENCODER)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENCE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "proxies"


SHORT = dataclasses.replace(QUICK, epochs=2, tuned_epochs=2, frozen_layers=1)


def test_a_proxy_is_trained_once(cache):
    first = proxy_cache.trained(ANSWERS, SHORT, ENCODER)
    again = proxy_cache.trained(ANSWERS, SHORT, ENCODER)
    assert (first.diagnostics["cached"], again.diagnostics["cached"]) == (False, True)
    pd.testing.assert_frame_equal(predict(first, ANSWERS.prompts), predict(again, ANSWERS.prompts))
    (folder,) = cache.iterdir()
    assert not any("embeddings" in name for name in load_file(folder / proxy_cache.WEIGHTS))
    record = json.loads((folder / proxy_cache.RECORD).read_text())
    assert record["label"] == "small"
    assert len(record["diagnostics"]["epochs"]) == 2


def test_other_data_settings_or_seed_get_a_key_of_their_own():
    def key(answers=ANSWERS, settings=SHORT, validation=VALIDATION, encoder=ENCODER):
        return proxy_cache.cache_key(answers, settings, encoder, validation)

    longer = dataclasses.replace(ANSWERS, lengths=ANSWERS.lengths + np.eye(len(ANSWERS), 2))
    keys = [
        key(),
        key(answers=longer),
        key(answers=dataclasses.replace(ANSWERS, prompts=["z", *ANSWERS.prompts[1:]])),
        key(settings=dataclasses.replace(SHORT, seed=1)),
        key(validation=~VALIDATION),
        key(encoder=dataclasses.replace(ENCODER, label="other")),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == key(answers=made_up())


def test_a_broken_cache_is_trained_again_and_a_foreign_one_refused(cache):
    proxy_cache.trained(ANSWERS, SHORT, ENCODER)
    (folder,) = cache.iterdir()
    (folder / proxy_cache.WEIGHTS).write_bytes(b"half")
    assert not proxy_cache.trained(ANSWERS, SHORT, ENCODER).diagnostics["cached"]
    assert proxy_cache.trained(ANSWERS, SHORT, ENCODER).diagnostics["cached"]
    with pytest.raises(InputError, match="trained from encoder"):
        proxy_cache.load(folder, dataclasses.replace(ENCODER, digest="0" * 16))
    save_file({"nonsense": torch.zeros(1)}, folder / proxy_cache.WEIGHTS)
    with pytest.raises(InputError, match="don't belong to a proxy"):
        proxy_cache.load(folder, ENCODER)


def test_finished_folds_are_read_again(tmp_path, monkeypatch):
    fold = np.arange(len(ANSWERS)) % 3
    rows = proxy_folds.cross_validate(ANSWERS, SHORT, fold, tmp_path, "proxy: small", ENCODER, only=[0, 1])
    assert sorted(rows["prompt_id"]) == sorted(ANSWERS.prompt_id[fold < 2])
    monkeypatch.setattr(proxy_folds, "train", lambda *_, **__: pytest.fail("trained again"))
    pd.testing.assert_frame_equal(
        rows, proxy_folds.cross_validate(ANSWERS, SHORT, fold, tmp_path, "proxy: small", ENCODER, only=[0, 1])
    )
    assert len(pd.read_csv(tmp_path / "timings.csv")) == 2
    monkeypatch.undo()
    whole = proxy_folds.cross_validate(ANSWERS, SHORT, fold, tmp_path, "proxy: small", ENCODER)
    assert whole["prompt_id"].nunique() == len(whole) == len(ANSWERS)


def test_a_held_answer_cannot_be_seen(tmp_path):
    fold = np.arange(len(ANSWERS)) % 3
    changed = ANSWERS.lengths.copy()
    changed[fold == 0] = 1.0
    other = dataclasses.replace(ANSWERS, lengths=changed)
    rows = [
        proxy_folds.cross_validate(one, SHORT, fold, tmp_path / name, "p", ENCODER, only=[0])
        for one, name in ((ANSWERS, "a"), (other, "b"))
    ]
    pd.testing.assert_frame_equal(*rows)


def test_int8_stays_close_and_is_timed():
    proxy = trained()
    exact, rounded = predict(proxy, ANSWERS.prompts)["key"], predict(latency.int8(proxy), ANSWERS.prompts)["key"]
    assert not np.array_equal(exact, rounded)
    assert np.corrcoef(exact, rounded)[0, 1] > 0.99
    times = latency.measure(proxy, ANSWERS.prompts, batches=(1, 4), repeats=3)
    assert times[["precision", "batch"]].to_numpy().tolist() == [["fp32", 1], ["fp32", 4], ["int8", 1], ["int8", 4]]
    assert (times["p50_ms"] > 0).all()
    assert (times["p99_ms"] >= times["p50_ms"]).all()


def test_an_int8_layer_multiplies_what_it_rounded():
    torch.manual_seed(1)
    linear = torch.nn.Linear(24, 16)
    values = torch.randn(2, 5, 24)
    quantised = latency.Int8Linear(linear)
    step = linear.weight.abs().amax(1) / 127
    weight = (linear.weight / step[:, None]).round() * step[:, None]
    rows = values.abs().amax(2, keepdim=True) / 127
    wanted = (values / rows).round() * rows @ weight.T + linear.bias
    torch.testing.assert_close(quantised(values), wanted.detach(), atol=1e-5, rtol=1e-5)
