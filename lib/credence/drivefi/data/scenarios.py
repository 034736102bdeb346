"""Driving scenarios as TOML files, and their variation by seed.

A file (see ``data/drivefi/scenarios/``) holds, all in SI units::

    name = "DS5"                      # what replay lines call it
    description = "…"
    rate_hz = 7.5                     # scenes per second: the slowest sensor's rate
    scenes = 225
    [ego]                             # starts at 0 m on the lane's centre line
    speed_mps = 12.0
    set_speed_mps = 13.0              # what the planner drives at on a free road
    [road]
    lane_width_m = 3.6
    [[road.segments]]                 # in order; the last one goes on for ever
    length_m = 200.0
    curvature_per_m = 0.0             # left is positive
    marked = true                     # false: no lane markings, as in a junction
    [light]                           # optional traffic light: red until green_s
    position_m = 120.0
    green_s = 12.0
    [[actors]]
    name = "TV1"
    kind = "vehicle"                  # or "pedestrian"
    gap_m = 30.0                      # from the ego's front bumper to the actor's rear, along the lane
    lateral_m = 0.0                   # from the lane's centre line, left is positive
    speed_mps = 13.0                  # negative: oncoming
    trigger_gap_m = 0.0               # > 0: the moves start when the ego is so near; 0: at the start
    visible_lateral_m = 99.0          # hidden (by parked cars) while further from the lane's centre than this
    [[actors.moves]]                  # optional, in order
    start_s = 2.0                     # from the start, or from the trigger
    duration_s = 3.0
    acceleration_mps2 = 0.0
    lateral_mps = 0.0
    [jitter]                          # half-widths of what a seed varies, uniform
    speed_mps = 0.5                   # ego
    gap_m = 3.0                       # each actor
    actor_speed_mps = 0.5             # each moving actor
    trigger_gap_m = 1.0
    time_s = 0.5                      # starts of moves that have no trigger; the green light
"""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

from credence.bench import paths
from credence.bench.errors import InputError, choose
from credence.bench.seeds import generator

ACTOR_KINDS = ("vehicle", "pedestrian")
MOST_ACTORS = 8


@dataclass(frozen=True)
class Move:
    """A stretch of time in which an actor accelerates or goes sideways; see the schema in the module's text."""

    start_s: float
    duration_s: float
    acceleration_mps2: float = 0.0
    lateral_mps: float = 0.0


@dataclass(frozen=True)
class Actor:
    """A target vehicle (TV) or a pedestrian; see the schema in the module's text."""

    name: str
    kind: str
    gap_m: float
    lateral_m: float = 0.0
    speed_mps: float = 0.0
    trigger_gap_m: float = 0.0
    visible_lateral_m: float = 99.0
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True)
class Segment:
    """A stretch of road of constant curvature."""

    length_m: float
    curvature_per_m: float = 0.0
    marked: bool = True


@dataclass(frozen=True)
class Light:
    """A traffic light that is red until `green_s`."""

    position_m: float
    green_s: float


@dataclass(frozen=True)
class Jitter:
    """Half-widths of what a seed varies."""

    speed_mps: float = 0.0
    gap_m: float = 0.0
    actor_speed_mps: float = 0.0
    trigger_gap_m: float = 0.0
    time_s: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """One driving scenario, as read, or as varied by a seed (then `seed` says which)."""

    name: str
    description: str
    rate_hz: float
    scenes: int
    speed_mps: float
    set_speed_mps: float
    lane_width_m: float
    segments: tuple[Segment, ...]
    actors: tuple[Actor, ...]
    light: Light | None
    jitter: Jitter
    seed: int = 0


# smallest and largest value that makes sense, by key; what is not listed must only be finite
_LIMITS = {
    "rate_hz": (1, 100),
    "scenes": (2, 20_000),
    "speed_mps": (0, 60),
    "set_speed_mps": (1, 60),
    "lane_width_m": (2.4, 4.8),
    "length_m": (0.1, 1e6),
    "curvature_per_m": (-0.12, 0.12),
    "position_m": (0, 1e5),
    "green_s": (0, 1e4),
    "gap_m": (0, 5000),
    "lateral_m": (-50, 50),
    "trigger_gap_m": (0, 5000),
    "visible_lateral_m": (0, 99),
    "start_s": (0, 1e4),
    "duration_s": (0, 1e4),
    "acceleration_mps2": (-10, 10),
    "lateral_mps": (-20, 20),
    "actor_speed_mps": (0, 20),
    "time_s": (0, 100),
}


def _record(kind, row, where: str, **given):
    """Return dataclass `kind` made of the TOML table `row`; every key and value is checked."""
    if not isinstance(row, dict):
        raise InputError(f"{where} is {row!r}; allowed: a table")
    fields = {field.name: field for field in dataclasses.fields(kind) if field.name not in given}
    values = {}
    for key, value in row.items():
        choose(key, fields, f"key in {where}")
        values[key] = _value(fields[key].type, key, value, where, kind is Actor)
    needed = [name for name, field in fields.items() if field.default is dataclasses.MISSING]
    if missing := [name for name in needed if name not in values]:
        raise InputError(f"{where}: {', '.join(missing)} missing")
    return kind(**given, **values)


def _value(kind: type, key: str, value, where: str, actor: bool):
    if kind is bool or kind is str:
        if not isinstance(value, kind):
            raise InputError(f"{where}: {key} is {value!r}; allowed: {'true or false' if kind is bool else 'text'}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where}: {key} is {value!r}; allowed: a number")
    low, high = (-60, 60) if actor and key == "speed_mps" else _LIMITS.get(key, (-1e6, 1e6))
    if not low <= value <= high:
        raise InputError(f"{where}: {key} is {value}; allowed: {low} to {high}")
    if kind is int and value != int(value):
        raise InputError(f"{where}: {key} is {value}; allowed: an integer")
    return kind(value)


def _rows(table: dict, key: str, where: str) -> list:
    rows = table.pop(key, [])
    if not isinstance(rows, list):
        raise InputError(f"{where}: {key} is no list of tables; write [[{key}]]")
    return rows


def _actor(row: dict, where: str) -> Actor:
    row = dict(row)
    moves = [_record(Move, move, f"{where}, move {n}") for n, move in enumerate(_rows(row, "moves", where), 1)]
    given = _record(Actor, row, where, moves=tuple(moves))
    choose(given.kind, ACTOR_KINDS, f"kind of {where}")
    return given


@dataclass(frozen=True)
class _Head:
    name: str
    description: str
    scenes: int
    rate_hz: float


@dataclass(frozen=True)
class _Ego:
    speed_mps: float
    set_speed_mps: float


@dataclass(frozen=True)
class _Road:
    lane_width_m: float


def parse_scenario(text: str, where: str) -> Scenario:
    """Return the scenario that a TOML text describes (schema: this module's text).

    Raises
    ------
    InputError
        Naming `where`, the key, its value and what is allowed.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: {error}") from None
    actors = [
        _actor(row, f"{where}, actor {row.get('name', n) if isinstance(row, dict) else n}")
        for n, row in enumerate(_rows(tables, "actors", where), 1)
    ]
    if len(actors) > MOST_ACTORS or len({actor.name for actor in actors}) < len(actors):
        raise InputError(f"{where}: {len(actors)} actors; allowed: at most {MOST_ACTORS}, each with a name of its own")
    ego = _record(_Ego, tables.pop("ego", {}), f"{where}, [ego]")
    road_table = tables.pop("road", {})
    if not isinstance(road_table, dict):
        raise InputError(f"{where}: road is {road_table!r}; allowed: a table")
    segments = [
        _record(Segment, row, f"{where}, road segment {n}")
        for n, row in enumerate(_rows(road_table, "segments", where), 1)
    ]
    road = _record(_Road, road_table, f"{where}, [road]")
    light = _record(Light, tables.pop("light"), f"{where}, [light]") if "light" in tables else None
    jitter = _record(Jitter, tables.pop("jitter", {}), f"{where}, [jitter]")
    head = _record(_Head, tables, where)
    if not head.name or any(c.isspace() or c in "=\"'" for c in head.name):
        raise InputError(f"{where}: name is {head.name!r}; allowed: text without blanks, quotes or '='")
    return Scenario(
        **vars(head),
        **vars(ego),
        **vars(road),
        segments=tuple(segments) or (Segment(1.0),),
        actors=tuple(actors),
        light=light,
        jitter=jitter,
    )


def scenario_names() -> tuple[str, ...]:
    """Return the names of the scenarios that come with the package."""
    return tuple(sorted(path.stem for path in (paths.data_dir() / "drivefi" / "scenarios").glob("*.toml")))


def read_scenario(name: str | Path) -> Scenario:
    """Return a scenario by its name (``DS5``), from a TOML file or a CommonRoad XML file, unvaried.

    Raises
    ------
    InputError
        If there is none of that name, or the file is not as it should be.
    """
    path = Path(name)
    if path.suffix == ".xml" and path.is_file():
        from credence.drivefi.data.commonroad import read_commonroad  # it brings commonroad-io with it

        return read_commonroad(path)
    if path.suffix != ".toml":
        choose(str(name), scenario_names(), "scenario")
        path = paths.data_dir() / "drivefi" / "scenarios" / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"scenario {str(name)!r}: {error}; allowed: a TOML file or {', '.join(scenario_names())}"
        ) from None
    return parse_scenario(text, path.name)


def vary(plain: Scenario, seed: int) -> Scenario:
    """Return `plain` with initial conditions varied by `seed`, uniformly within its jitter.

    Each quantity has a random stream of its own, so that an added actor leaves the others as they are.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}; allowed: an integer >= 0")
    width = plain.jitter

    def shift(half_width: float, *axes) -> float:
        return half_width * generator(seed, "scenario", plain.name, *axes).uniform(-1, 1)

    def varied(actor: Actor) -> Actor:
        later = 0.0 if actor.trigger_gap_m > 0 else shift(width.time_s, actor.name, "time")
        near = actor.trigger_gap_m and max(0.1, actor.trigger_gap_m + shift(width.trigger_gap_m, actor.name, "trigger"))
        return dataclasses.replace(
            actor,
            gap_m=max(0.0, actor.gap_m + shift(width.gap_m, actor.name, "gap")),
            speed_mps=actor.speed_mps and actor.speed_mps + shift(width.actor_speed_mps, actor.name, "speed"),
            trigger_gap_m=near,
            moves=tuple(dataclasses.replace(m, start_s=max(0.0, m.start_s + later)) for m in actor.moves),
        )

    light = plain.light and dataclasses.replace(
        plain.light, green_s=max(0.0, plain.light.green_s + shift(width.time_s, "light"))
    )
    return dataclasses.replace(
        plain,
        speed_mps=max(0.0, plain.speed_mps + shift(width.speed_mps, "ego", "speed")),
        actors=tuple(map(varied, plain.actors)),
        light=light,
        seed=seed,
    )


def scenario(name: str | Path, seed: int = 0) -> Scenario:
    """Return the scenario `name` (one of `scenario_names`, or a TOML file) as varied by `seed`."""
    return vary(read_scenario(name), seed)
