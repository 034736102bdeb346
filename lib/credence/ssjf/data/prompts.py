"""The project's own prompts: template families filled with topics, the same for the same seed.

They are put to a real model by ``ssjf.engine``, so that answer lengths can be measured without anybody else's texts.
A family is one kind of request (a definition, a recipe, a bug to find); its phrasings differ in scope, so that the
family alone says little about the length of the answer. Templates are in ``data/ssjf/prompt_templates.toml``.
"""

from __future__ import annotations

import functools
import re
import tomllib

import numpy as np
import pandas as pd

from credence.bench import paths, seeds
from credence.bench.errors import InputError

TEMPLATES = "ssjf/prompt_templates.toml"
SCOPED = 0.55  # share of prompts without a length hint of their own that are given one
MOST_TRIES = 400  # draws without a new prompt before a family counts as exhausted

_SLOT = re.compile(r"\{(\w+)\}")
# alternatives in brackets; code with brackets comes in through [texts], after these are chosen
_CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_NUMBER = r"(?:a|one|two|three|four|five|six|seven|eight|nine|ten|twenty|single|few|couple of|\d+)"
_UNIT = (
    r"(?:words?|sentences?|lines?|verses?|paragraphs?|pages?|points?|bullet points?|steps?|questions?|minutes?|days?"
    r"|terms?)"
)
# What asks for a length: a number of parts, an amount of detail, a form of fixed size, or nothing but the result.
_HINTS = (
    rf"\b{_NUMBER}[- ](?:short |full |more |bullet )?{_UNIT}\b",
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twenty|a few|some|all|both|everything)\b",
    r"\b(?:short|shorter|brief|briefly|(?:a|very) long|longer|week-long)\b",
    r"\b(?:small|detailed|in detail|an? complete|simplest|tl;dr)\b",
    r"\b(?:only|just|enough|no explanation|explain your|explain what|explain how you|and explain|show your work)\b",
    r"\b(?:step by step|step-by-step|line by line|yes or no|true or false|give (?:a|one) reason|or not\?)",
    r"\b(?:first|closing|main) (?:sentence|line|paragraph|point|reason)\b",
    r"\b(?:haiku|limerick|sonnet|essay|tweet|caption|headline|slogan|subject line|titles?|one-liner|timeline)\b",
)
_HINT = re.compile("|".join(_HINTS), re.IGNORECASE)


def has_length_hint(text: str) -> bool:
    """Return whether a request says how long its answer should be.

    Parameters
    ----------
    text : str
        The request, best without what it quotes or is about: "it took two days" in a quoted text is no hint.

    Notes
    -----
    By words, and on the generous side: "some", "all" or "a poem of four lines" count, "a recipe" doesn't.
    """
    return bool(_HINT.search(text))


def generate_prompts(count: int = 1200, seed: int = 0) -> pd.DataFrame:
    """Return distinct prompts, as many of each family as of any other (give or take one).

    Parameters
    ----------
    count : int
        Number of prompts. A larger number begins with the prompts of a smaller one in every family.
    seed : int
        Seed of all draws; every family has its own stream.

    Returns
    -------
    pandas.DataFrame [count, 6]
        ``prompt_id`` (family and number), ``family``, ``phrasing`` (which of the family's, from 0; the two are the
        template), ``topic``, ``length_hint`` (bool), ``prompt``; sorted by ``prompt_id``.

    Raises
    ------
    InputError
        For a count below 1, or when a family has too few different prompts.
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
        raise InputError(f"count of prompts is {count!r}; allowed: an integer >= 1")
    templates = read_templates()
    families = templates["family"]
    rows = []
    for number, family in enumerate(families):
        share = count // len(families) + (number < count % len(families))
        rows += _family_prompts(templates, family, share, seed)
    return pd.DataFrame(rows).sort_values("prompt_id", ignore_index=True)


@functools.lru_cache(maxsize=1)
def read_templates() -> dict:
    """Read and check the templates.

    Returns
    -------
    dict
        ``tables`` (slot -> topic -> fillers), ``lists`` and ``texts`` (slot -> fillers), ``scopes`` (short, long
        -> wishes), ``family`` (a list of tables with ``name``, ``phrasings``, ``asked`` (short or long) unless it takes
        both, and ``topic`` where no slot gives it).

    Raises
    ------
    InputError
        Naming the family or slot that can't be used.
    """
    with (paths.data_dir() / TEMPLATES).open("rb") as file:
        templates = tomllib.load(file)
    known = [*templates["tables"], *templates["lists"], *templates["texts"]]
    if len(known) != len(set(known)):
        raise InputError(f"data/{TEMPLATES}: a slot is in two tables; allowed: every slot once")
    names = [family["name"] for family in templates["family"]]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"data/{TEMPLATES}: family {name!r} appears twice; allowed: once")
    for family in templates["family"]:
        for phrasing in family["phrasings"]:
            slots = _SLOT.findall(phrasing)
            for slot in slots:
                if slot not in known:
                    raise InputError(f"data/{TEMPLATES}: family {family['name']!r}: unknown slot {slot!r}")
            if "topic" not in family and not set(slots) & set(templates["tables"]):
                raise InputError(f"data/{TEMPLATES}: family {family['name']!r}: {phrasing!r} has no topic")
    return templates


def _family_prompts(templates: dict, family: dict, count: int, seed: int) -> list[dict]:
    """Return `count` distinct prompts of a family, going round its phrasings."""
    rng, scopes = (seeds.generator(seed, name, family["name"]) for name in ("prompts", "scopes"))
    seen: set[str] = set()
    rows: list[dict] = []
    tries = turn = 0
    while len(rows) < count:
        number = turn % len(family["phrasings"])
        turn += 1
        text, instruction, topic = _fill(templates, family["phrasings"][number], rng)
        if text.lower() in seen:
            tries += 1
            if tries > MOST_TRIES:
                raise InputError(
                    f"family {family['name']!r} has only {len(rows)} different prompts; allowed: fewer prompts in all"
                )
            continue
        seen.add(text.lower())
        tries = 0
        hinted = has_length_hint(instruction)
        text, asked = _scoped(templates, family, text, hinted, scopes)
        rows.append(
            {
                "prompt_id": f"{family['name']}-{len(rows):04d}",
                "family": family["name"],
                "phrasing": number,
                "topic": family.get("topic") or topic,
                "length_hint": hinted or asked,
                "prompt": text,
            }
        )
    return rows


def _scoped(templates: dict, family: dict, text: str, hinted: bool, rng: np.random.Generator) -> tuple[str, bool]:
    """Return a prompt with a wish for a short or a long answer, or as it is, and whether it has one now."""
    sides = [family["asked"]] if "asked" in family else ["short", "long"]
    wishes = [wish for side in sides for wish in templates["scopes"][side]]
    said, which = rng.random(2)  # two draws a prompt, so that a longer list of prompts begins with a shorter one's
    if hinted or said >= SCOPED:
        return text, False
    wish = wishes[int(which * len(wishes))]
    if wish.endswith(":"):
        return f"{wish} {text}", True
    return f"{text}{'\n\n' if '\n' in text else ' '}{wish}", True


def _fill(templates: dict, phrasing: str, rng: np.random.Generator) -> tuple[str, str, str]:
    """Return a prompt, its phrasing without fillers, and the topic of its first slot that has one."""
    while match := _CHOICE.search(phrasing):
        chosen = str(rng.choice(match[1].split("|")))
        phrasing = phrasing[: match.start()] + chosen + phrasing[match.end() :]
    phrasing = re.sub(" +", " ", phrasing)  # an empty alternative leaves two blanks
    topic, used = "", set()

    def filler(match: re.Match) -> str:
        nonlocal topic
        slot = match[1]
        if slot in templates["texts"]:
            return match[0]  # put in below
        if slot in templates["lists"]:
            options = [(value, "") for value in templates["lists"][slot]]
        else:
            options = [(value, name) for name, values in templates["tables"][slot].items() for value in values]
        value, name = _draw(options, used, rng)
        topic = topic or name
        return value

    text = _SLOT.sub(filler, phrasing)
    text = _SLOT.sub(lambda match: _draw([(v, "") for v in templates["texts"][match[1]]], used, rng)[0], text)
    return text[:1].upper() + text[1:], _SLOT.sub("", phrasing), topic


def _draw(options: list[tuple[str, str]], used: set[str], rng: np.random.Generator) -> tuple[str, str]:
    """Return an option not yet used in this prompt (a comparison of a thing with itself helps nobody)."""
    free = [option for option in options if option[0] not in used] or options
    value = free[int(rng.integers(len(free)))]
    used.add(value[0])
    return value
