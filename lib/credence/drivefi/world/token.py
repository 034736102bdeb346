"""One line of text for one faulty run: ``scenario=DS5 seed=0 scene=412 variable=throttle value=max duration=1``."""

import shlex
from dataclasses import dataclass

from credence.bench.errors import InputError, choose
from credence.drivefi.data.scenarios import scenario as load_scenario
from credence.drivefi.data.variables import VARIABLES, FaultType, fault_effect, variable
from credence.drivefi.world.parameters import STACKS

KEYS = ("scenario", "seed", "scene", "variable", "value", "duration", "stack")


@dataclass(frozen=True)
class Replay:
    """One faulty run, named completely; equal lines give runs that are equal bit for bit.

    Attributes
    ----------
    scenario : str
        A scenario's name or a TOML file.
    seed, scene, duration : int
        Scenario seed, first faulty scene, number of faulty scenes.
    variable, value : str
        As in the fault table; `value` may be a number.
    stack : str
        ``A`` or ``D``.
    """

    scenario: str
    seed: int
    scene: int
    variable: str
    value: str
    duration: int = 1
    stack: str = "A"

    @property
    def fault(self) -> FaultType:
        """Return the fault as a row of a fault table."""
        return FaultType(0, self.variable, self.value)

    def line(self) -> str:
        """Return the line of text that `parse` reads."""
        parts = {name: getattr(self, name) for name in KEYS if name != "stack" or self.stack != "A"}
        return " ".join(f"{name}={shlex.quote(str(value))}" for name, value in parts.items())


def _integer(text: str, key: str, low: int, high: int | None = None) -> int:
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if number < low or (high is not None and number > high):
        raise InputError(
            f"{key} is {text!r}; allowed: an integer {f'>= {low}' if high is None else f'{low} to {high}'}"
        )
    return number


def parse(line: str) -> Replay:
    """Return the run that a line of text names.

    Parameters
    ----------
    line : str
        ``key=value`` pairs in any order: scenario, seed, scene, variable, value, and optionally duration (1) and
        stack (A).

    Raises
    ------
    InputError
        For a key that is missing, unknown or there twice, and for a value that cannot be, with what is allowed.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InputError(f"replay line {line!r}: {error}; allowed: key=value pairs") from None
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"replay line: {word!r} is no key=value pair; allowed keys: {', '.join(KEYS)}")
        choose(key, KEYS, "key in the replay line")
        if key in found:
            raise InputError(f"replay line: {key} is there twice; allowed: each key once")
        found[key] = value
    if missing := [key for key in KEYS[:5] if key not in found]:
        raise InputError(f"replay line {line!r}: {', '.join(missing)} missing")
    item = variable(found["variable"])
    if not item.injectable:
        names = ", ".join(known.name for known in VARIABLES if known.injectable)
        raise InputError(f"variable {item.name!r} is logged only; allowed: {names}")
    fault_effect(item, found["value"])
    seed = _integer(found["seed"], "seed", 0)
    scenes = load_scenario(found["scenario"], seed).scenes
    scene = _integer(found["scene"], "scene", 0, scenes - 1)
    duration = _integer(found.get("duration", "1"), "duration", 1)
    stack = choose(found.get("stack", "A"), STACKS, "stack")
    return Replay(found["scenario"], seed, scene, item.name, found["value"], duration, stack)
