"""Sizes of a study: ``smoke`` (seconds, tests), ``quick`` (minutes, the default), ``full`` (the paper's scale)."""

from credence.bench.errors import choose

PRESETS = ("smoke", "quick", "full")


def pick(preset: str, *, smoke, quick, full):
    """Return the value that `preset` stands for.

    Raises
    ------
    InputError
        If `preset` is none of ``smoke``, ``quick``, ``full``.
    """
    return {"smoke": smoke, "quick": quick, "full": full}[choose(preset, PRESETS, "preset")]
