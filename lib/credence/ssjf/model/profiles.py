"""Engine profiles: seconds per forward pass of a serving engine.

With ``N`` prompt tokens prefilled together, ``b`` requests in the batch and ``C`` the sum of their contexts
(prompt + tokens generated so far),

    prefill(N)   = prefill_base_s + prefill_per_token_s N
    decode(b, C) = decode_base_s + decode_per_sequence_s b + decode_per_context_token_s C

and a batch that stays the same for ``k`` iterations takes, every member's context growing by one token each time,

    k decode(b, C) + decode_per_context_token_s b k (k - 1) / 2.

The numbers are data: ``data/ssjf/profiles.toml``, whose header documents every field.
"""

import dataclasses
import itertools
import math
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from credence.bench import paths
from credence.bench.errors import InputError, choose

PREFILL_KINDS = ("blocking", "overlapped")
PREEMPTION_KINDS = ("free", "recompute", "swap")
DATA_KINDS = ("third party", "measured", "simulated")

# Instants closer than 1e-9 s count as one; an iteration must be far longer than that.
SHORTEST_ITERATION_S = 1e-6


@dataclass(frozen=True)
class EngineProfile:
    """The cost model of one engine; every field is described in ``data/ssjf/profiles.toml``.

    Attributes
    ----------
    name, title, kind, source, licence, note : str
        What it is and where its numbers come from; `kind` is one of `DATA_KINDS`.
    prefill_base_s, prefill_per_token_s : float
        Cost of a prefill iteration [s], [s/token].
    prefill_table : tuple of (tokens, s) or None
        Replaces the two numbers: linear in between, flat below the first point, last slope above the last.
    decode_base_s, decode_per_sequence_s, decode_per_context_token_s : float
        Cost of a decode iteration [s], [s/request], [s/token].
    decode_table : tuple of (batch size, s) or None
        Replaces the first two, from batch size 1 on.
    prefill_emits_token : bool
        The prefill gives the first token, and one decode iteration fewer follows.
    prefill : {"blocking", "overlapped"}
        Whether a prefill stalls the running decodes, or each slot runs on its own clock.
    kv_tokens : int or None
        Capacity of the KV cache [tokens]; None: unlimited.
    preemption : {"free", "recompute", "swap"}
        What resuming costs: nothing, a prefill over the whole context, or `swap_base_s` [s] +
        `swap_per_token_s` [s/token] times the context.
    fit : dict
        Free-form numbers about a fit.

    Raises
    ------
    InputError
        When a field is out of range, or an overlapped profile has costs that couple its slots.
    """

    name: str
    title: str = ""
    kind: str = "simulated"
    source: str = ""
    licence: str = ""
    note: str = ""
    prefill_base_s: float = 0.0
    prefill_per_token_s: float = 0.0
    prefill_table: tuple[tuple[float, float], ...] | None = None
    decode_base_s: float = 0.0
    decode_per_sequence_s: float = 0.0
    decode_per_context_token_s: float = 0.0
    decode_table: tuple[tuple[float, float], ...] | None = None
    prefill_emits_token: bool = True
    prefill: str = "blocking"
    kv_tokens: int | None = None
    preemption: str = "recompute"
    swap_base_s: float = 0.0
    swap_per_token_s: float = 0.0
    fit: dict = field(default_factory=dict, compare=False)

    def __post_init__(self):
        place = f"engine profile {self.name!r}"
        for name in ("prefill_table", "decode_table"):
            table = getattr(self, name)
            if table is not None:
                object.__setattr__(self, name, _checked_table(table, f"{place}, {name}"))
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name.endswith("_s") and not _is_cost(value):
                raise InputError(f"{place}: {item.name} is {value!r}; allowed: a finite number of seconds >= 0")
        for name, allowed in (("kind", DATA_KINDS), ("prefill", PREFILL_KINDS), ("preemption", PREEMPTION_KINDS)):
            choose(getattr(self, name), allowed, f"{name} of {place}")
        if not isinstance(self.prefill_emits_token, bool):
            raise InputError(f"{place}: prefill_emits_token is {self.prefill_emits_token!r}; allowed: true, false")
        if self.kv_tokens is not None and (
            isinstance(self.kv_tokens, bool) or not isinstance(self.kv_tokens, int) or self.kv_tokens < 1
        ):
            raise InputError(f"{place}: kv_tokens is {self.kv_tokens!r}; allowed: an integer >= 1, or left out")
        if self.decode_table is not None and self.decode_table[0][0] != 1:
            raise InputError(f"{place}: decode_table starts at batch {self.decode_table[0][0]:g}; allowed: batch 1")
        if decode_s(self, 1, 0) < SHORTEST_ITERATION_S:
            raise InputError(
                f"{place}: a decode iteration of one request costs {decode_s(self, 1, 0):g} s; "
                f"allowed: at least {SHORTEST_ITERATION_S:g} s"
            )
        if self.prefill == "overlapped":
            coupled = [
                name
                for name in ("decode_per_sequence_s", "decode_per_context_token_s", "decode_table", "kv_tokens")
                if getattr(self, name)
            ]
            if coupled:
                raise InputError(
                    f"{place}: prefill = 'overlapped' with {', '.join(coupled)}; allowed: 'blocking', "
                    "because slots that share iterations or memory cannot run on clocks of their own"
                )


def _is_cost(value) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0


def _checked_table(table, place: str) -> tuple[tuple[float, float], ...]:
    """Return `table` as a tuple of pairs after checking that both columns are costs and the first increases."""
    try:
        points = tuple((first, second) for first, second in table)
    except (TypeError, ValueError):
        points = ()
    if not points or not all(_is_cost(value) for point in points for value in point):
        raise InputError(f"{place}: {table!r}; allowed: pairs [size, seconds] of finite numbers >= 0")
    sizes = [point[0] for point in points]
    if any(after <= before for before, after in itertools.pairwise(sizes)):
        raise InputError(f"{place}: sizes {sizes} do not increase; allowed: increasing sizes")
    return tuple((float(first), float(second)) for first, second in points)


def _on_table(table: tuple[tuple[float, float], ...], size: float) -> float:
    """Interpolate: flat below the first point, linear in between, the last slope above the last point."""
    if size <= table[0][0] or len(table) == 1:
        return table[0][1]
    upper = next((index for index in range(1, len(table)) if size <= table[index][0]), len(table) - 1)
    (left, low), (right, high) = table[upper - 1], table[upper]
    return max(0.0, low + (size - left) * ((high - low) / (right - left)))


def prefill_s(profile: EngineProfile, tokens: float) -> float:
    """Return the duration [s] of one prefill iteration over `tokens` prompt tokens in total."""
    if profile.prefill_table is not None:
        return _on_table(profile.prefill_table, tokens)
    return profile.prefill_base_s + profile.prefill_per_token_s * tokens


def decode_s(profile: EngineProfile, batch: int, context_tokens: float) -> float:
    """Return the duration [s] of one decode iteration of `batch` requests with `context_tokens` in all."""
    if profile.decode_table is not None:
        fixed = _on_table(profile.decode_table, batch)
    else:
        fixed = profile.decode_base_s + profile.decode_per_sequence_s * batch
    return fixed + profile.decode_per_context_token_s * context_tokens


def decode_run_s(profile: EngineProfile, batch: int, context_tokens: float, iterations: float) -> float:
    """Return the duration [s] of `iterations` decode iterations of an unchanging batch.

    `context_tokens` is the total context before the first of them; it grows by `batch` with each.
    """
    growth = profile.decode_per_context_token_s * batch * iterations * (iterations - 1) / 2
    return iterations * decode_s(profile, batch, context_tokens) + growth


def decode_iterations(profile: EngineProfile, output_tokens):
    """Return how many decode iterations follow the prefill of requests with `output_tokens` [requests]."""
    return np.maximum(np.asarray(output_tokens) - int(profile.prefill_emits_token), 0)


def service_s(profile: EngineProfile, prompt_tokens, output_tokens) -> np.ndarray:
    """Return the time [requests] in seconds that each request takes alone on an idle engine.

    Parameters
    ----------
    prompt_tokens, output_tokens : array_like [requests]
        Lengths [tokens].
    """
    prompt = np.asarray(prompt_tokens, dtype=np.float64)
    iterations = decode_iterations(profile, output_tokens)
    context = prompt + int(profile.prefill_emits_token)
    return prefill_each_s(profile, prompt) + decode_run_s(profile, 1, context, iterations)


def prefill_each_s(profile: EngineProfile, prompt_tokens) -> np.ndarray:
    """Return the duration [requests] in seconds of prefilling each prompt alone."""
    prompt = np.asarray(prompt_tokens, dtype=np.float64)
    if profile.prefill_table is None:
        return profile.prefill_base_s + profile.prefill_per_token_s * prompt
    return np.array([_on_table(profile.prefill_table, tokens) for tokens in prompt.ravel()]).reshape(prompt.shape)


def read_profiles(path: str | Path) -> dict[str, EngineProfile]:
    """Read and check a file of engine profiles.

    Raises
    ------
    InputError
        Naming the file, the profile and the field.
    """
    path = Path(path)
    place = paths.shown(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{place}: cannot be read as TOML ({error}); allowed: [[profile]] tables") from error
    tables = content.get("profile")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{place}: no [[profile]] tables; allowed: one for each engine profile")
    known = {item.name for item in dataclasses.fields(EngineProfile)}
    found: dict[str, EngineProfile] = {}
    for number, table in enumerate(tables):
        name = table.get("name")
        if not isinstance(name, str) or not name or name in found:
            raise InputError(f"{place}: name of profile {number} is {name!r}; allowed: a name no other profile has")
        for key in table:
            choose(key, sorted(known), f"field of profile {name!r} in {place}")
        try:
            found[name] = EngineProfile(**table)
        except InputError as error:
            raise InputError(f"{place}: {error}") from error
    return found


@cache
def _shipped(path: Path, stamp: int) -> dict[str, EngineProfile]:
    return read_profiles(path)


def profiles() -> dict[str, EngineProfile]:
    """Return the profiles of ``data/ssjf/profiles.toml`` by name, in the file's order."""
    path = paths.data_dir() / "ssjf" / "profiles.toml"
    if not path.is_file():
        raise InputError(f"{paths.shown(path)}: no such file; allowed: the file of engine profiles")
    return dict(_shipped(path, path.stat().st_mtime_ns))


def profile(name: str) -> EngineProfile:
    """Return the profile called `name`; InputError lists the ones that exist."""
    known = profiles()
    return known[choose(name, known, "engine profile")]
