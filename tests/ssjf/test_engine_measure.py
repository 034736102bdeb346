"""Measuring answer lengths: one line an answer, resumed after a kill, and no bias from where it stopped."""

import fcntl
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from credence.bench.errors import InputError
from credence.ssjf.data.prompts import generate_prompts
from credence.ssjf.engine import Sampling, measure
from credence.ssjf.engine.sampling import draw, nucleus_place


class Killed(Exception):
    pass


class MadeUpModel:
    """Ends each answer by its own stream of random numbers; can be killed in the middle of a pass."""

    slots = 5

    def __init__(self, passes=10**9):
        self.passes = passes
        self.asked = 0

    def _pass(self, sequences):
        self.passes -= 1
        if self.passes < 0:
            raise Killed
        for sequence in sequences:
            sequence.add(1 if sequence.rng.random() < 0.1 else 7, (1,))

    def prefill(self, sequences):
        self.asked += len(sequences)
        self._pass(sequences)

    decode = _pass

    def release(self, sequence):
        pass


@pytest.fixture(scope="module")
def prompts():
    return generate_prompts(104, seed=0)


def run(out, prompts, model):
    return measure.measure(out, model, lambda text: [2] * len(text), prompts, samples=2, max_new_tokens=12, seed=0)


def test_a_killed_measurement_goes_on_and_gives_what_an_unbroken_one_gives(tmp_path, prompts):
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    assert run(whole, prompts, MadeUpModel()) == 208
    with pytest.raises(Killed):
        run(broken, prompts, MadeUpModel(passes=90))
    kept = measure.read_answers(broken)
    assert 0 < len(kept) < 208
    with broken.open("ab") as file:
        file.write(b'{"prompt_id": "advice-0')  # a line that the kill cut off
    again = MadeUpModel()
    assert run(broken, prompts, again) == 208 - len(kept)
    assert again.asked == 208 - len(kept)
    columns = ["prompt_id", "sample", "prompt_tokens", "output_tokens", "censored"]
    first, second = (
        measure.read_answers(path)[columns].sort_values(columns[:2], ignore_index=True) for path in (whole, broken)
    )
    pd.testing.assert_frame_equal(first, second)
    assert run(broken, prompts, MadeUpModel()) == 0


def test_two_runs_never_write_one_file(tmp_path, prompts):
    out = tmp_path / "a.jsonl"
    with out.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match=r"a\.jsonl is being written by another run"):
            run(out, prompts, MadeUpModel())


def test_an_answer_at_the_limit_is_censored_and_no_other(tmp_path, prompts):
    run(tmp_path / "a.jsonl", prompts, MadeUpModel())
    answers = measure.read_answers(tmp_path / "a.jsonl")
    assert answers["output_tokens"].max() == 12
    assert (answers.loc[answers["censored"], "output_tokens"] == 12).all()
    assert (answers.loc[answers["output_tokens"] < 12, "censored"] == False).all()  # noqa: E712
    assert 0.1 < answers["censored"].mean() < 0.6


def test_samples_of_a_prompt_differ(tmp_path, prompts):
    run(tmp_path / "a.jsonl", prompts, MadeUpModel())
    answers = measure.read_answers(tmp_path / "a.jsonl")
    wide = answers.pivot(index="prompt_id", columns="sample", values="output_tokens")
    assert (wide[0] != wide[1]).mean() > 0.5


def test_families_take_turns_and_first_samples_come_first(prompts):
    order = measure.work_order(prompts, samples=2, seed=0)
    assert sorted(order) == [(row, sample) for row in range(104) for sample in range(2)]
    assert [sample for _, sample in order] == [0] * 104 + [1] * 104
    families = prompts["family"].to_numpy()
    # 104 prompts of 52 families: each half holds every family once
    assert len({families[row] for row, _ in order[:52]}) == 52
    assert [row for row, _ in order[:104]] != [row for row, _ in order[104:]]
    assert order == measure.work_order(prompts, samples=2, seed=0)


def test_the_complete_part_ends_at_the_first_gap(prompts):
    order = measure.work_order(prompts, samples=1, seed=0)
    ids = [prompts["prompt_id"].iloc[row] for row, _ in order]
    answers = pd.DataFrame(
        {"prompt_id": ids[:30], "sample": 0, "prompt_tokens": 5, "output_tokens": range(30), "censored": False}
    ).assign(seconds=1.0)
    holed = answers.drop(index=20)
    part = measure.complete_part(holed, prompts, order)
    assert set(part["prompt_id"]) == set(ids[:20])
    assert list(part.columns[:6]) == ["prompt_id", "family", "phrasing", "topic", "length_hint", "prompt"]
    assert len(measure.complete_part(answers, prompts, order)) == 30
    everything = answers.set_index("prompt_id").reindex(ids).fillna({"output_tokens": 1, "prompt_tokens": 1})
    everything = everything.assign(sample=0, censored=False, seconds=1.0).reset_index()
    assert len(measure.complete_part(everything, prompts, order)) == 104


def test_one_file_holds_one_way_of_measuring(tmp_path):
    out = tmp_path / "deep" / "lengths.jsonl"
    measure.check_settings(out, {"temperature": 0.7, "seed": 0})
    measure.check_settings(out, {"temperature": 0.7, "seed": 0})
    with pytest.raises(InputError, match=r"temperature was 0\.7, now 1\.0"):
        measure.check_settings(out, {"temperature": 1.0, "seed": 0})


def test_a_spoilt_line_is_refused_with_its_number(tmp_path):
    out = tmp_path / "lengths.jsonl"
    line = {"prompt_id": "a", "sample": 0, "prompt_tokens": 1, "output_tokens": 2, "censored": False, "seconds": 1.0}
    out.write_text(json.dumps(line) + "\n{}\n" + json.dumps(line) + "\n")
    with pytest.raises(InputError, match="line 2"):
        measure.read_answers(out)


def test_the_digest_follows_every_text(prompts):
    changed = prompts.copy()
    changed.loc[50, "prompt"] += "!"
    assert measure.prompts_digest(prompts) != measure.prompts_digest(changed)


def test_export_writes_the_complete_part(tmp_path):
    out = tmp_path / "a.jsonl"
    prompts = generate_prompts(60, seed=0)
    run(out, prompts, MadeUpModel())
    target = tmp_path / "a.parquet"
    measure.main(["--out", str(out), "--prompts", "60", "--samples", "2", "--export", str(target)])
    assert len(pd.read_parquet(target)) == 120
    measure.check_settings(out, {"prompts_sha256": measure.prompts_digest(prompts), "seed": 0})
    measure.main(["--out", str(out), "--prompts", "60", "--samples", "2", "--export", str(target)])
    assert json.loads(pq.read_schema(target).metadata[b"credence"])["seed"] == 0
    with pytest.raises(SystemExit, match="prompts_sha256"):
        measure.main(["--out", str(out), "--prompts", "59", "--samples", "2", "--export", str(target)])


def test_draws_follow_the_probabilities_of_the_nucleus():
    logits = np.log([0.5, 0.3, 0.15, 0.05])[[2, 0, 3, 1]]
    rng = np.random.default_rng(0)
    drawn = np.bincount([draw(logits, Sampling(1.0, 0.9), rng.random()) for _ in range(20_000)], minlength=4)
    np.testing.assert_allclose(drawn / 20_000, np.array([0.15, 0.5, 0.0, 0.3]) / 0.95, atol=0.012)
    sharp = np.bincount([draw(logits, Sampling(0.5, 1.0), rng.random()) for _ in range(20_000)], minlength=4)
    squares = np.array([0.15, 0.5, 0.05, 0.3]) ** 2
    np.testing.assert_allclose(sharp / 20_000, squares / squares.sum(), atol=0.012)
    assert draw(logits, Sampling(0.0, 1.0), 0.99) == 1
    assert draw(logits, Sampling(1.0, 1.0), np.nextafter(1, 0)) == 2  # the last of all, never past it


def test_a_nucleus_wider_than_the_candidates_is_not_guessed():
    assert nucleus_place(np.array([0.4, 0.3]), 0.95, 0.5) is None
    assert nucleus_place(np.array([0.4, 0.3]), 0.6, 0.5) == 0
    assert nucleus_place(np.array([0.4, 0.3]), 0.6, 0.9) == 1


@pytest.mark.parametrize("settings", [{"temperature": -0.1}, {"temperature": np.nan}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_sampling_out_of_range_is_refused(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        Sampling(**settings)
