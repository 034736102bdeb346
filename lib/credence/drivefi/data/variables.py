"""The declared outputs of the driving stack's modules; fault table and network topology are generated from them.

The paper's Table I names the targets; the list of its 41 fault types is not published. Values follow its rule: a
bounded variable goes to the ends of its range, an unbounded one is doubled or halved (more would be caught by the stack
itself, footnote 5), a categorical one becomes one of its categories. A user's own stack is another tuple of `Variable`.
"""

from dataclasses import dataclass

from credence.bench.errors import InputError, choose

KINDS = ("bounded", "unbounded", "categorical")
OBJECT_CLASSES = ("none", "pedestrian", "vehicle")
SENSOR_RANGE_M = 120.0


@dataclass(frozen=True)
class Variable:
    """One output of a module, as it is logged, corrupted and modelled.

    Attributes
    ----------
    name, module : str
        As in the fault table and in a replay line.
    kind : str
        ``bounded``, ``unbounded`` or ``categorical``.
    low, high : float
        Ends of the range [unit] of a bounded variable; for the others what is usual, for axes.
    categories : tuple of str
        Of a categorical variable; traces hold the index.
    unit : str
        SI, or empty.
    parents : tuple of str
        Variables of the same scene that the module reads.
    previous : tuple of str
        Variables of the scene before that it reads: the temporal edges of the paper's Fig. 6.
    injectable : bool
        Whether the variable is in Table I; the others are logged, and are nodes of the network.
    """

    name: str
    module: str
    kind: str
    low: float
    high: float
    categories: tuple[str, ...] = ()
    unit: str = ""
    parents: tuple[str, ...] = ()
    previous: tuple[str, ...] = ()
    injectable: bool = True


@dataclass(frozen=True)
class FaultType:
    """One row of the fault table: `variable` becomes `value`.

    `value` is ``min``, ``max``, ``double``, ``half``, ``class:NAME``, or a number as text (a user's own fault).
    """

    index: int
    variable: str
    value: str

    @property
    def name(self) -> str:
        """Return ``variable=value``."""
        return f"{self.variable}={self.value}"


_PEDALS = ("throttle", "brake")
_OBSTACLE = ("obstacle_position", "obstacle_velocity", "obstacle_acceleration")

# In the order in which a scene computes them: a variable's parents stand before it.
VARIABLES: tuple[Variable, ...] = (
    Variable("vehicle_velocity", "measurement", "unbounded", 0, 40, (), "m/s", previous=("vehicle_velocity", *_PEDALS)),
    Variable(
        "vehicle_acceleration",
        "measurement",
        "unbounded",
        -8,
        4,
        (),
        "m/s²",
        previous=("vehicle_acceleration", "vehicle_velocity", *_PEDALS),
    ),
    Variable(
        "vehicle_heading",
        "measurement",
        "unbounded",
        -0.3,
        0.3,
        (),
        "rad",
        previous=("vehicle_heading", "steer", "lane_curvature"),
        injectable=False,
    ),
    Variable("lane_type", "path perception", "categorical", 0, 1, ("none", "lane"), previous=("lane_type",)),
    Variable("lane_width", "path perception", "bounded", 2.2, 5.0, (), "m"),
    Variable(
        "lane_curvature",
        "path perception",
        "unbounded",
        -0.1,
        0.1,
        (),
        "1/m",
        ("lane_type",),
        ("lane_curvature",),
        injectable=False,
    ),
    Variable(
        "vehicle_position",
        "measurement",
        "unbounded",
        -1.8,
        1.8,
        (),
        "m",
        ("lane_type", "lane_width"),
        ("vehicle_position", "vehicle_heading", "vehicle_velocity"),
    ),
    Variable("camera_object_class", "camera", "categorical", 0, 2, OBJECT_CLASSES, previous=("camera_object_class",)),
    Variable(
        "camera_object_distance",
        "camera",
        "bounded",
        0,
        SENSOR_RANGE_M,
        (),
        "m",
        ("camera_object_class",),
        ("camera_object_distance", "vehicle_velocity"),
    ),
    Variable("lidar_object_class", "lidar", "categorical", 0, 2, OBJECT_CLASSES, previous=("lidar_object_class",)),
    Variable(
        "lidar_object_distance",
        "lidar",
        "bounded",
        0,
        SENSOR_RANGE_M,
        (),
        "m",
        ("lidar_object_class",),
        ("lidar_object_distance", "vehicle_velocity"),
    ),
    Variable(
        "fused_obstacle_class",
        "sensor fusion",
        "categorical",
        0,
        2,
        OBJECT_CLASSES,
        "",
        ("camera_object_class", "lidar_object_class"),
        ("fused_obstacle_class",),
    ),
    Variable(
        "fused_obstacle_distance",
        "sensor fusion",
        "bounded",
        0,
        SENSOR_RANGE_M,
        (),
        "m",
        ("camera_object_distance", "lidar_object_distance", "fused_obstacle_class"),
        ("fused_obstacle_distance", "vehicle_velocity", "obstacle_velocity"),
    ),
    Variable(
        "obstacle_position",
        "world model",
        "unbounded",
        0,
        SENSOR_RANGE_M,
        (),
        "m",
        ("fused_obstacle_distance", "fused_obstacle_class"),
    ),
    Variable(
        "obstacle_velocity",
        "world model",
        "unbounded",
        0,
        40,
        (),
        "m/s",
        ("fused_obstacle_distance", "fused_obstacle_class", "vehicle_velocity"),
        ("obstacle_velocity", "fused_obstacle_distance"),
    ),
    Variable(
        "obstacle_acceleration",
        "world model",
        "unbounded",
        -8,
        4,
        (),
        "m/s²",
        ("obstacle_velocity", "fused_obstacle_class"),
        ("obstacle_acceleration", "obstacle_velocity"),
    ),
    Variable(
        "raw_throttle",
        "planner",
        "bounded",
        0,
        1,
        (),
        "",
        ("vehicle_velocity", "vehicle_acceleration", *_OBSTACLE),
        ("raw_throttle", "raw_brake"),
        injectable=False,
    ),
    Variable(
        "raw_brake",
        "planner",
        "bounded",
        0,
        1,
        (),
        "",
        ("vehicle_velocity", "vehicle_acceleration", *_OBSTACLE),
        ("raw_throttle", "raw_brake"),
        injectable=False,
    ),
    Variable(
        "raw_steer",
        "planner",
        "bounded",
        -0.5,
        0.5,
        (),
        "rad",
        ("vehicle_position", "vehicle_heading", "vehicle_velocity", "lane_curvature"),
        ("raw_steer",),
        injectable=False,
    ),
    Variable("pid_measured_value", "PID control", "unbounded", 0, 40, (), "m/s", ("vehicle_velocity",)),
    Variable(
        "pid_output",
        "PID control",
        "bounded",
        -1,
        1,
        (),
        "",
        ("raw_throttle", "raw_brake", "pid_measured_value", "vehicle_velocity"),
    ),
    Variable("throttle", "PID control", "bounded", 0, 1, (), "", ("pid_output",), ("throttle",)),
    Variable("brake", "PID control", "bounded", 0, 1, (), "", ("pid_output",), ("brake",)),
    Variable("steer", "PID control", "bounded", -0.5, 0.5, (), "rad", ("raw_steer",), ("steer",)),
)

NAMES: tuple[str, ...] = tuple(variable.name for variable in VARIABLES)
INDEX: dict[str, int] = {name: index for index, name in enumerate(NAMES)}


def variable(name: str, variables: tuple[Variable, ...] = VARIABLES) -> Variable:
    """Return the declared variable `name`; an unknown name is an `InputError` that lists the known ones."""
    known = {item.name: item for item in variables}
    return known[choose(name, known, "variable")]


def fault_values(item: Variable) -> tuple[str, ...]:
    """Return the values that the paper's rule (Section V-B) gives the faults of one variable."""
    choose(item.kind, KINDS, f"kind of variable {item.name}")
    if item.kind == "bounded":
        return ("min", "max")
    if item.kind == "unbounded":
        return ("double", "half")
    return tuple(f"class:{name}" for name in item.categories)


def fault_types(variables: tuple[Variable, ...] = VARIABLES) -> tuple[FaultType, ...]:
    """Return the fault table of a declaration, by default the 41 types of this stack.

    The paper counts 41 too, without listing them. Its object categories hold a cyclist; with it the declaration would
    give 44, and no scenario of the paper has one, so it is left out here.
    """
    rows = [(item.name, value) for item in variables if item.injectable for value in fault_values(item)]
    return tuple(FaultType(index, name, value) for index, (name, value) in enumerate(rows))


def fault_type(variable: str, value: str) -> FaultType:
    """Return the row of the fault table that strikes a variable with a value.

    Raises
    ------
    InputError
        If there is none.
    """
    found = {(item.variable, item.value): item for item in fault_types()}
    if (variable, value) not in found:
        allowed = ", ".join(item.name for item in found.values())
        raise InputError(f"fault is {variable}={value}; allowed: {allowed}")
    return found[variable, value]


def fault_effect(item: Variable, value: str) -> tuple[bool, float]:
    """Return what a fault does to a variable.

    Parameters
    ----------
    item : Variable
        The corrupted variable.
    value : str
        ``min``, ``max``, ``double``, ``half``, ``class:NAME`` or a number [item.unit].

    Returns
    -------
    scales : bool
        Whether the value is multiplied (else replaced).
    number : float
        The factor, or what it is replaced by (the index of a category).

    Raises
    ------
    InputError
        If the variable cannot take the value.
    """
    where = f"value of {item.name}"
    allowed = [*fault_values(item), *(() if item.kind == "categorical" else ("a number",))]
    if value in allowed:
        if value in ("min", "max"):
            return False, float(item.low if value == "min" else item.high)
        if value in ("double", "half"):
            return True, 2.0 if value == "double" else 0.5
        return False, float(item.categories.index(value.removeprefix("class:")))
    if item.kind != "categorical":
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if number == number and abs(number) != float("inf"):
            if item.kind == "bounded" and not item.low <= number <= item.high:
                raise InputError(f"{where} is {value}; allowed: {item.low} to {item.high} {item.unit}".rstrip())
            return False, number
    raise InputError(f"{where} is {value!r}; allowed: {', '.join(allowed)}")
