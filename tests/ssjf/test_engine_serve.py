"""The engine's scheduler with a made-up model: against the simulator, request by request, and its own edges."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from credence.bench.errors import InputError
from credence.ssjf import model, world
from credence.ssjf.engine import Sequence, serve
from credence.ssjf.infer import POLICIES
from credence.ssjf.infer.policies import policy
from ssjf.made_up_engine import Clock

PROFILE = dataclasses.replace(
    model.profile("vllm-rtx4090-llama3-8b"), decode_table=None, kv_tokens=None, preemption="recompute"
)


class MadeUpModel:
    """Every pass takes the time the profile says; the k-th token of a request is k."""

    def __init__(self, clock, profile=PROFILE, slots=4, ends=()):
        self.clock, self.profile, self.slots, self.ends = clock, profile, slots, ends
        self.inside: list[Sequence] = []
        self.batches = []

    def _pass(self, sequences, seconds):
        self.clock.seconds += seconds
        self.batches.append(len(sequences))
        assert len(self.inside) <= self.slots
        for sequence in sequences:
            sequence.add(len(sequence.generated), self.ends)

    def prefill(self, sequences):
        self.inside += sequences
        tokens = sum(len(s.prompt) + len(s.generated) for s in sequences)
        self._pass(sequences, self.profile.prefill_base_s + self.profile.prefill_per_token_s * tokens)

    def decode(self, sequences):
        assert {id(s) for s in sequences} == {id(s) for s in self.inside}
        context = sum(len(s.prompt) + len(s.generated) for s in sequences)
        cost = self.profile.decode_base_s + self.profile.decode_per_sequence_s * len(sequences)
        self._pass(sequences, cost + self.profile.decode_per_context_token_s * context)

    def release(self, sequence):
        self.inside = [other for other in self.inside if other is not sequence]


def workload(rng, count=60, gap=0.06) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arrival_s": np.cumsum(rng.exponential(gap, count)),
            "prompt_tokens": rng.integers(1, 400, count),
            "output_tokens": rng.integers(1, 60, count),
            "predicted": rng.integers(1, 60, count).astype(float),
        }
    )


def served(requests, name, slots=4, **settings):
    clock = Clock()
    backend = MadeUpModel(clock, slots=slots)
    sequences = [
        Sequence([0] * int(row.prompt_tokens), int(row.output_tokens), ignore_end=True) for row in requests.itertuples()
    ]
    frame = serve(
        backend,
        sequences,
        requests["arrival_s"],
        name,
        slots=slots,
        predicted=requests["predicted"],
        profile=PROFILE,
        clock=clock,
        **settings,
    )
    assert not backend.inside
    return frame, sequences, backend


@pytest.mark.parametrize("name", sorted(POLICIES))
@pytest.mark.parametrize("aging", [None, 0.4])
def test_the_engine_serves_like_the_simulator(name, aging):
    """Same policy objects, same costs: the same schedule; a rule in only one of the two would show here."""
    requests = workload(np.random.default_rng(5))
    frame, *_ = served(requests, name, aging=aging, rng=np.random.default_rng(9))
    expected = world.simulate(
        requests,
        name,
        batching="continuous",
        slots=4,
        profile=PROFILE,
        aging=aging,
        rng=np.random.default_rng(9),
    )
    for column in ("start_s", "first_token_s", "end_s"):
        np.testing.assert_allclose(frame[column], expected[column], rtol=0, atol=1e-6, err_msg=column)
    assert frame["preemptions"].sum() == expected.attrs["preemptions"]
    if policy(name).preemptive:
        assert expected.attrs["preemptions"] > 0


def test_a_predictor_delays_only_policies_that_predict():
    requests = workload(np.random.default_rng(6), count=20)
    late = requests["arrival_s"] + 0.5
    assert (served(requests, "ssjf", eligible_s=late)[0]["start_s"] >= late).all()
    assert (served(requests, "fcfs", eligible_s=late)[0]["start_s"] < late).any()


def test_a_slot_is_filled_again_as_soon_as_its_row_ends():
    requests = pd.DataFrame({"arrival_s": 0.0, "prompt_tokens": 5, "output_tokens": [20, 2, 2, 2], "predicted": 1.0})
    frame, _, backend = served(requests, "fcfs", slots=2)
    # the long one keeps its slot while the short ones follow each other in the other
    assert frame["end_s"].to_numpy()[1:].tolist() == sorted(frame["end_s"].to_numpy()[1:])
    assert frame["end_s"].iloc[0] == frame["end_s"].max()
    np.testing.assert_allclose(frame["start_s"].iloc[2], frame["end_s"].iloc[1], atol=1e-12)
    assert max(backend.batches) == 2


def test_an_end_token_ends_an_answer_and_is_no_part_of_it():
    clock = Clock()
    sequences = [Sequence([1, 2], 10), Sequence([1, 2], 3)]
    told = []
    frame = serve(
        MadeUpModel(clock, ends=(5,)),
        sequences,
        [0.0, 0.0],
        slots=2,
        clock=clock,
        on_finish=lambda request, sequence, start_s, end_s: told.append((request, len(sequence.generated))),
    )
    assert frame["output_tokens"].tolist() == [5, 3]
    assert frame["censored"].tolist() == [False, True]
    assert sequences[0].generated == [0, 1, 2, 3, 4]
    assert told == [(1, 3), (0, 5)]


def test_a_preempted_request_goes_on_where_it_was():
    requests = pd.DataFrame(
        {"arrival_s": [0.0, 0.05], "prompt_tokens": 10, "output_tokens": [40, 3], "predicted": [40.0, 3.0]}
    )
    frame, sequences, _ = served(requests, "srpt", slots=1)
    assert frame["preemptions"].tolist() == [1, 0]
    assert sequences[0].generated == list(range(40))
    assert frame["end_s"].iloc[1] < frame["end_s"].iloc[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slots": 0}, "slots is 0"),
        ({"slots": 2.0}, "slots is 2.0"),
        ({"aging": -1.0}, "aging is -1.0"),
        ({"arrival_s": [0.0]}, "arrival_s"),
        ({"arrival_s": [0.0, np.nan]}, "arrival_s"),
        ({"policy": "sjf"}, "must know the length of row 0"),
        ({"policy": "ssjf"}, "needs a prediction"),
        ({"policy": "mlfq"}, "engine profile"),
        ({"policy": "random"}, "draws at random"),
        ({"policy": "fifo"}, "unknown policy 'fifo'"),
        ({"sequences": []}, "no requests"),
        ({"sequences": [Sequence([1], 1), Sequence([], 1)]}, "row 1: 0 prompt tokens"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    clock = Clock()
    settings = {"sequences": [Sequence([1], 1), Sequence([1], 1)], "arrival_s": [0.0, 0.0], "slots": 2} | change
    with pytest.raises(InputError, match=message):
        serve(MadeUpModel(clock), clock=clock, **settings)


def test_aging_changes_who_is_served():
    """Without this the comparison above could pass with an aging guard that never acts."""
    requests = workload(np.random.default_rng(5))
    plain, aged = (served(requests, "ssjf", aging=aging)[0] for aging in (None, 0.4))
    assert (plain["end_s"] != aged["end_s"]).any()
    longest = (aged["start_s"] - requests["arrival_s"]).max()
    assert longest < (plain["start_s"] - requests["arrival_s"]).max()
