"""States of models that are not trained: the same alone and in a batch, and what a ridge makes of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaModel

from credence.bench.errors import InputError
from credence.ssjf.engine import hidden
from credence.ssjf.evaluate import recorded_lengths, simple_folds
from credence.ssjf.infer.frozen import mean_states
from ssjf.made_up_prompts import ENCODER, made_up


@pytest.fixture(scope="module")
def body():
    torch.manual_seed(0)
    size = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3}
    return LlamaModel(LlamaConfig(**size, num_attention_heads=2, num_key_value_heads=1)).eval()


def test_a_batch_gives_the_states_of_each_text_alone(body):
    texts = [[5, 6, 7], [8] * 9, [1], [9, 8, 7, 6, 5]]
    found = hidden.states_of(body, texts, (0, 2, 3), batch=3)
    for row, text in enumerate(texts):
        with torch.inference_mode():
            states = body(input_ids=torch.tensor([text]), output_hidden_states=True).hidden_states
        wanted = np.stack([states[layer][0, -1].numpy() for layer in (0, 2, 3)])
        np.testing.assert_allclose(found[row], wanted, atol=1e-5)


def test_a_long_prompt_keeps_its_beginning_and_its_end():
    long = list(range(1000))
    kept = hidden._shortened(long)
    assert kept[: hidden.HEAD] == long[: hidden.HEAD]
    assert kept[-hidden.TAIL :] == long[-hidden.TAIL :]
    assert len(kept) == hidden.HEAD + hidden.TAIL
    assert hidden._shortened(long[:224]) == long[:224]


def test_the_mean_is_over_a_prompts_own_tokens():
    prompts = ["ab", "abcdefgh", "b"]
    found = mean_states(ENCODER, prompts, layer=1)
    for row, prompt in enumerate(prompts):
        np.testing.assert_allclose(found[row], mean_states(ENCODER, [prompt], layer=1)[0], atol=1e-5)
    with pytest.raises(InputError, match=r"layer 3; allowed: 0\.\.2"):
        mean_states(ENCODER, prompts, layer=3)


def test_every_simple_predictor_is_out_of_fold_and_written_once(tmp_path):
    answers = made_up(60)
    rng = np.random.default_rng(0)
    level = np.log(answers.lengths[:, 0])
    encoder = np.column_stack([rng.normal(size=60), level + 0.3 * rng.normal(size=60)])
    model = np.stack([encoder + 0.1 * rng.normal(size=(60, 2)) for _ in range(5)], axis=1)
    asked = []

    def states():
        asked.append(1)
        return encoder, model

    simple_folds.record(answers, tmp_path, states)
    rows = recorded_lengths.gather(tmp_path)
    names = list(simple_folds.fits(answers, encoder, model))
    assert sorted(rows["predictor"].unique()) == sorted(names)
    assert (rows.groupby("predictor").size() == 60).all()
    by_name = rows.set_index(["predictor", "prompt_id"])["key"].unstack(0).loc[answers.prompt_id]
    tau = pd.DataFrame(by_name).corrwith(pd.Series(level, answers.prompt_id), method="kendall")
    assert tau["frozen SmolLM2, five layers, ridge"] > 0.5
    (tmp_path / f"simple-{answers.name}-3.parquet").unlink()
    simple_folds.record(answers, tmp_path, states)
    assert len(asked) == 2
    simple_folds.record(answers, tmp_path, states)
    assert len(asked) == 2
    pd.testing.assert_frame_equal(recorded_lengths.gather(tmp_path), rows)


def test_predictions_never_see_the_fold_they_are_for():
    answers = made_up(30)
    fold = np.arange(30) % 3
    seen = []

    def fit(texts, target):
        seen.append(set(texts))
        return lambda asked: np.array([float(text in seen[-1]) for text in asked])

    unique = [f"{text}{row}" for row, text in enumerate(answers.prompts)]
    answers.prompts[:] = unique
    assert (simple_folds.cross_predict(answers, fold, fit, "sample 1") == 0).all()
