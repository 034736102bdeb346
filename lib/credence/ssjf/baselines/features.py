"""Hand-made features of a request: what it asks for, in what amount, and how much it brings along."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

_COUNTS = {
    "couple": 2,
    "two": 2,
    "few": 3,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "dozen": 12,
    "twenty": 20,
}
_PARTS = ("word", "sentence", "paragraph", "line", "page", "point", "step", "example", "question", "character")
_AMOUNT = re.compile(rf"\b(\d{{1,4}}|{'|'.join(_COUNTS)})[- ](?:\w+[- ]){{0,2}}?({'|'.join(_PARTS)})s?\b")
_COUNT = re.compile(rf"\b(\d{{1,4}}|{'|'.join(_COUNTS)})\b")
_MOST = 2000  # a larger number is a year or a price, not an amount of text

# Verbs that open requests, question words, and names of texts of a typical length.
_OPENING = """
write list name identify classify rewrite edit translate convert summarize explain describe compare analyze
discuss outline plan design create generate compose suggest recommend give provide find calculate sort arrange
choose select categorize tell make why how what which who where when is are can does do should
"""
_INSIDE = """
story essay poem article blog letter email speech program function code summary headline title tweet haiku
slogan quote sentence paragraph word words list steps recipe dialogue report table example examples difference
pros cons short brief briefly concise long detailed following given between best true false yes or and input
"""
_OPENERS = tuple(_OPENING.split())
WORDS = (*_OPENERS, *_INSIDE.split())

NAMES = (
    "log characters",
    "log words of the request",
    "log characters below the request",
    "has text below the request",
    "line breaks",
    "question marks",
    "ends as a question",
    "quotation marks",
    "commas",
    "log digits",
    "looks like code",
    "capitalised words",
    "letters a word",
    "sentences",
    "log largest number",
    "log amount asked for",
    *(f"log {part}s asked for" for part in _PARTS),
    *(f"has {word}" for word in WORDS),
    *(f"opens with {word}" for word in _OPENERS),
)


def lexical_features(prompts: Sequence[str]) -> np.ndarray:
    """Return features [prompts, features] in the order of :data:`NAMES`; logarithms are of 1 + number.

    The *request* is the text up to the first line break; what stands below is material to work on.
    """
    return np.array([_features(text) for text in prompts], dtype=np.float64).reshape(len(prompts), len(NAMES))


def _features(text: str) -> list[float]:
    request, _, below = text.strip().partition("\n")
    words = re.findall(r"\w+", request)
    lower = [word.lower() for word in words]
    there, opener = set(lower), lower[0] if lower else ""
    numbers = [value for value in map(_number, _COUNT.findall(request.lower())) if value <= _MOST]
    amount, part = 0, ""
    if found := _AMOUNT.search(request.lower()):
        amount, part = min(_number(found[1]), _MOST), found[2]
    return [
        np.log1p(len(text)),
        np.log1p(len(words)),
        np.log1p(len(below)),
        bool(below.strip()),
        text.count("\n"),
        text.count("?"),
        request.rstrip().endswith("?"),
        text.count('"'),
        text.count(","),
        np.log1p(sum(letter.isdigit() for letter in text)),
        bool(re.search(r"[{}<>;=]", text)),
        sum(word[0].isupper() for word in words[1:]),
        float(np.mean([len(word) for word in words])) if words else 0.0,
        len(re.findall(r"[.!?](?:\s|$)", request)),
        np.log1p(max(numbers, default=0)),
        np.log1p(amount),
        *(np.log1p(amount) * (part == name) for name in _PARTS),
        *(word in there for word in WORDS),
        *(word == opener for word in _OPENERS),
    ]


def _number(text: str) -> int:
    return _COUNTS[text] if text in _COUNTS else int(text)
