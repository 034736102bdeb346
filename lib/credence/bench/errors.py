"""The one error for bad input; the command line turns it into one message and exit code 2."""


class InputError(ValueError):
    """Input that a person can correct.

    The message names the value, the place it stands in, and what is allowed there.
    """


def choose(value: str, allowed, what: str) -> str:
    """Return `value` if it is one of `allowed`.

    Parameters
    ----------
    value : str
        What was asked for.
    allowed : iterable of str
        The values that exist, in the order to show them.
    what : str
        The place, for the message: ``"preset"``, ``"policy"``.

    Raises
    ------
    InputError
        If `value` is none of them; the message lists them and names a near one.
    """
    names = list(allowed)
    if value in names:
        return value
    import difflib

    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise InputError(f"unknown {what} {value!r}{hint}; allowed: {', '.join(names) or 'none'}")
