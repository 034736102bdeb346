"""Engine profiles: the cost formulas by hand, and every refusal."""

import dataclasses
import tomllib

import numpy as np
import pytest

from credence.bench import paths
from credence.bench.errors import InputError
from credence.ssjf.model import EngineProfile, profile, profiles, read_profiles
from credence.ssjf.model.profiles import (
    decode_iterations,
    decode_run_s,
    decode_s,
    prefill_each_s,
    prefill_s,
    service_s,
)

FULL = EngineProfile(
    "full",
    prefill_base_s=0.5,
    prefill_per_token_s=0.01,
    decode_base_s=0.1,
    decode_per_sequence_s=0.02,
    decode_per_context_token_s=0.001,
)


def test_the_released_cost():
    paper = profile("ssjf-paper")
    assert service_s(paper, [0, 5000], [0, 100]).tolist() == pytest.approx([0.1, 2.1])
    assert (paper.prefill, paper.preemption, paper.kv_tokens) == ("overlapped", "free", None)


def test_every_shipped_profile_names_its_source():
    text = (paths.data_dir() / "ssjf" / "profiles.toml").read_text()
    assert list(profiles()) == [table["name"] for table in tomllib.loads(text)["profile"]]
    for entry in profiles().values():
        assert entry.source
        assert entry.title


def test_costs_by_hand():
    assert prefill_s(FULL, 10) == pytest.approx(0.6)
    assert decode_s(FULL, 3, 100) == pytest.approx(0.1 + 0.06 + 0.1)
    # contexts 100, 103, 106, 109 in total
    assert decode_run_s(FULL, 3, 100, 4) == pytest.approx(4 * 0.16 + 0.418)


def test_a_run_is_the_sum_of_its_iterations():
    one_by_one = sum(decode_s(FULL, 5, 40 + 5 * done) for done in range(17))
    assert decode_run_s(FULL, 5, 40, 17) == pytest.approx(one_by_one)


def test_service_counts_the_token_of_the_prefill():
    # prefill gives token 1; two iterations over contexts 11 and 12 follow
    assert service_s(FULL, [10], [3])[0] == pytest.approx(0.6 + 2 * 0.12 + 0.023)
    late = dataclasses.replace(FULL, prefill_emits_token=False)
    assert service_s(late, [10], [3])[0] == pytest.approx(0.6 + 3 * 0.12 + 0.033)
    assert decode_iterations(FULL, [0, 1, 2]).tolist() == [0, 0, 1]


def test_tables_are_interpolated():
    table = dataclasses.replace(
        FULL, prefill_table=[[10, 1.0], [20, 2.0], [40, 6.0]], decode_table=[[1, 0.1], [4, 0.4]]
    )
    assert prefill_each_s(table, [0, 10, 15, 30, 50]).tolist() == pytest.approx([1.0, 1.0, 1.5, 4.0, 8.0])
    assert [decode_s(table, batch, 0) for batch in (1, 3, 6)] == pytest.approx([0.1, 0.3, 0.6])


def test_a_falling_table_never_goes_below_zero():
    assert prefill_s(EngineProfile("x", decode_base_s=1, prefill_table=[[1, 1.0], [2, 0.5]]), 100) == 0.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"decode_base_s": -1.0}, "decode_base_s"),
        ({"prefill_base_s": float("nan")}, "prefill_base_s"),
        ({"prefill_per_token_s": "fast"}, "prefill_per_token_s"),
        ({"prefill": "chunked"}, "blocking, overlapped"),
        ({"preemption": "kill"}, "free, recompute, swap"),
        ({"kind": "guess"}, "third party, measured, simulated"),
        ({"prefill_emits_token": 1}, "true, false"),
        ({"kv_tokens": 0}, "kv_tokens"),
        ({"kv_tokens": 2.5}, "kv_tokens"),
        ({"decode_table": [[2, 1.0]]}, "batch 1"),
        ({"decode_table": [[1, 1.0], [1, 2.0]]}, "increasing"),
        ({"prefill_table": []}, "pairs"),
        ({"prefill_table": [[1, -2.0]]}, "pairs"),
        ({"prefill_table": 3}, "pairs"),
        ({"decode_base_s": 0.0, "decode_per_sequence_s": 0.0}, "1e-06"),
        ({"prefill": "overlapped"}, "decode_per_sequence_s, decode_per_context_token_s"),
    ],
)
def test_bad_fields_are_refused(change, expected):
    with pytest.raises(InputError, match="'full'") as caught:
        dataclasses.replace(FULL, **change)
    assert expected in str(caught.value)
    assert "allowed" in str(caught.value)


def test_an_overlapped_engine_has_no_shared_memory():
    with pytest.raises(InputError, match="kv_tokens"):
        dataclasses.replace(profile("ssjf-paper"), kv_tokens=100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("not toml [", "TOML"),
        ("x = 1", r"\[\[profile\]\]"),
        ("[[profile]]\ndecode_base_s = 1.0", "name"),
        ('[[profile]]\nname = "a"\ndecode_base_s = 1.0\n[[profile]]\nname = "a"\ndecode_base_s = 1.0', "no other"),
        ('[[profile]]\nname = "a"\ndecode_base = 1.0', "decode_base_s"),
        ('[[profile]]\nname = "a"\ndecode_base_s = -1.0', "'a'"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, expected):
    path = tmp_path / "profiles.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=expected) as caught:
        read_profiles(path)
    assert "profiles.toml" in str(caught.value)


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(InputError, match="ssjf-paper"):
        profile("gpu")


def test_service_is_vectorised():
    prompt, output = np.array([1, 2, 3]), np.array([4, 5, 6])
    single = [service_s(FULL, [p], [n])[0] for p, n in zip(prompt, output, strict=True)]
    assert service_s(FULL, prompt, output).tolist() == pytest.approx(single)
