"""Grid files of sweeps: what to run, with which parameters; checked to the last value before any work starts.

A grid is YAML::

    notebook: ssjf/schedule            # or  function: credence.ssjf.evaluate.maps:point
    preset: quick
    parameters: {load: [0.5, 0.8, 0.95], slots: [1, 8]}
    fixed: {policy: ssjf}
    seeds: [0, 1, 2]                   # the same as a last parameter named seed

The points are the cross product in the file's order. Types and ranges are those of the notebook's parameters cell, or
of the function's annotations.
"""

import importlib
import inspect
import json
import math
import re
import types
import typing
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

from credence.bench import parameters, paths
from credence.bench.errors import InputError, choose
from credence.bench.papers import PAPERS
from credence.bench.presets import PRESETS

KEYS = ("notebook", "function", "preset", "parameters", "fixed", "seeds")
MAX_POINTS = 100_000
# Columns of the table that a parameter can't have too.
COLUMNS = {
    "notebook": ("metric", "value", "lo", "hi", "n_draws", "kind", "diagnostics_passed", "missing_data"),
    "function": (),
}
COMMON_COLUMNS = ("point_id", "seconds")
_FUNCTION = re.compile(r"credence\.(?P<paper>[a-z]\w*)(\.[a-z]\w*)+:[a-z]\w*")


@dataclass(frozen=True)
class Grid:
    """A checked grid file.

    Attributes
    ----------
    name : str
        The file's name without ``.grid.yaml``: the sweep's folder.
    path : Path
        The file.
    content : dict
        What it says.
    kind : str
        ``notebook`` or ``function``.
    target, paper : str
        ``paper/notebook`` or ``credence.<paper>.<module>:<name>``, and the paper.
    points : tuple of dict
        The complete parameters of every point, in the file's order.
    """

    name: str
    path: Path
    content: dict
    kind: str
    target: str
    paper: str
    points: tuple[dict, ...]


class _Loader(yaml.SafeLoader):
    """The safe loader, which also refuses a key that stands twice and reads ``1e6`` as the number it is."""

    def construct_mapping(self, node, deep=False):
        counts = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, count in counts.items():
            if count > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def _load(path: Path) -> dict:
    where = paths.shown(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: can't be read ({error})") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{where}: not readable as YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise InputError(f"{where}: a mapping with keys {', '.join(KEYS)} is needed, not {type(content).__name__}")
    return content


def _find(path: Path) -> Path:
    """Return the file, looked for in the working directory, then below the notebooks."""
    folder = paths.notebooks_dir()
    for candidate in (Path(path), folder / path):
        if candidate.is_file():
            return candidate
    known = sorted(str(grid.relative_to(folder)) for grid in folder.rglob("*.grid.yaml"))
    raise InputError(f"grid file {str(path)!r}: no such file; below notebooks/ there are: {', '.join(known) or 'none'}")


def resolve(target: str, where: str = "function"):
    """Return the function that ``credence.<paper>.<module>:<name>`` names.

    A grid file may come from anywhere, so it reaches only public functions that a module of a paper defines itself:
    not what such a module imports.

    Raises
    ------
    InputError
        If it is not of that form, or there is no such paper, module or function.
    """
    match = _FUNCTION.fullmatch(target) if isinstance(target, str) else None
    if not match or "._" in target:
        raise InputError(f"{where}: {target!r}; allowed: a function of a paper, credence.<paper>.<module>:<name>")
    choose(match["paper"], PAPERS, f"paper ({where})")
    module_name, name = target.split(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(f"{where}: module {module_name!r} can't be imported ({error})") from None
    functions = {
        key: value
        for key, value in vars(module).items()
        if inspect.isfunction(value)
        and (value.__module__ == module_name or value.__module__.startswith(f"{module_name}."))
        and not key.startswith("_")
    }
    choose(name, sorted(functions), f"function of {module_name} ({where})")
    return functions[name]


def _declared(function, target: str, where: str) -> tuple[dict[str, parameters.Parameter], set[str]]:
    """Return the parameters that a grid can set, as a notebook's would be described, and the names it must set."""
    found, required = {}, set()
    for name, item in inspect.signature(function, eval_str=True).parameters.items():
        if item.kind not in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY):
            raise InputError(f"{where}: {target} takes {item}; allowed: functions whose parameters all have names")
        if item.default is item.empty:
            required.add(name)
        kinds, optional = [item.annotation], ""
        if isinstance(item.annotation, types.UnionType) or typing.get_origin(item.annotation) is typing.Union:
            kinds = [kind for kind in typing.get_args(item.annotation) if kind is not types.NoneType]
            optional = " | None" if len(kinds) < len(typing.get_args(item.annotation)) else ""
        words = ()
        if len(kinds) == 1 and typing.get_origin(kinds[0]) is typing.Literal:
            words, kinds = typing.get_args(kinds[0]), [str]
        if len(kinds) == 1 and kinds[0] in parameters.TYPES.values() and all(isinstance(w, str) for w in words):
            kind = kinds[0].__name__ + optional
            found[name] = parameters.Parameter(name, kind, item.default, "", words=words)
        elif name in required:
            raise InputError(
                f"{where}: parameter {name!r} of {target} is annotated {item.annotation}, which a grid can't give; "
                "allowed: int, float, str, bool, Literal['a', 'b'], each also | None"
            )
    return found, required


def _mapping(content: dict, key: str, where: str) -> dict:
    value = content.get(key, {})
    if not isinstance(value, dict) or (key in content and not value):
        raise InputError(f"{where}, key {key!r}: {value!r}; allowed: a mapping of parameter names, not empty")
    return value


def _axis(values, where: str) -> list:
    if not isinstance(values, list) or not values:
        raise InputError(f"{where}: {values!r}; allowed: a list of values, not empty (one value belongs to 'fixed')")
    return values


def _value(parameter: parameters.Parameter, value, where: str):
    checked = parameters.check(parameter, value, where)
    for item in checked if isinstance(checked, list) else [checked]:
        if isinstance(item, int) and not -(2**63) <= item < 2**63:
            raise InputError(f"{where}: {item} does not fit into 64 bits; allowed: {parameter.allowed}")
    return checked


def _target(content: dict, where: str) -> tuple[str, str, dict[str, parameters.Parameter], set[str]]:
    """Return kind, target, its parameters by name, and those without a default."""
    kinds = [kind for kind in ("notebook", "function") if kind in content]
    if len(kinds) != 1:
        raise InputError(f"{where}: keys {kinds or 'notebook, function'}; allowed: exactly one of notebook, function")
    kind, target = kinds[0], content[kinds[0]]
    if kind == "function":
        function = resolve(target, f"{where}, key 'function'")
        return kind, target, *_declared(function, target, f"{where}, key 'function'")
    folder = paths.notebooks_dir()
    known = {f"{path.parent.name}/{path.stem}": path for paper in PAPERS for path in (folder / paper).glob("*.ipynb")}
    choose(target, sorted(known), f"notebook ({where}, key 'notebook')")
    return kind, target, {item.name: item for item in parameters.read(known[target])}, set()


def read(path: str | Path) -> Grid:
    """Read and check a grid file.

    Parameters
    ----------
    path : str or Path
        The file, from the working directory or else from the folder of the notebooks (``ssjf/NAME.grid.yaml``).

    Raises
    ------
    InputError
        On anything that can't run: the message names file, key, value and what is allowed there.
    """
    path = _find(Path(path))
    where = paths.shown(path)
    content = _load(path)
    for key in content:
        choose(key, KEYS, f"key ({where})")
    kind, target, declared, required = _target(content, where)
    taken = (*COLUMNS[kind], *COMMON_COLUMNS)
    if clash := [name for name in declared if name in taken]:
        raise InputError(f"{where}: {target} has a parameter {clash[0]!r}; taken by the table: {', '.join(taken)}")

    def parameter(name, place: str) -> parameters.Parameter:
        choose(name, declared, f"parameter of {target} ({place})")
        return declared[name]

    fixed, axes = {}, {}
    if "preset" in content:
        place = f"{where}, key 'preset'"
        choose(content["preset"], PRESETS, f"preset ({place})")
        fixed["preset"] = _value(parameter("preset", place), content["preset"], place)
    for name, value in _mapping(content, "fixed", where).items():
        place = f"{where}, key 'fixed.{name}'"
        if name in fixed:
            raise InputError(f"{place}: {name!r} has a key of its own already; allowed: once")
        fixed[name] = _value(parameter(name, place), value, place)
    swept = dict(_mapping(content, "parameters", where))
    if "seeds" in content:
        if "seed" in swept:
            raise InputError(f"{where}: 'seeds' and 'parameters.seed' say the same; allowed: one of them")
        swept["seed"] = content["seeds"]
    if not swept:
        raise InputError(f"{where}: nothing varies; allowed: lists of values below 'parameters', or 'seeds'")
    for name, values in swept.items():
        key = "seeds" if name == "seed" and "seeds" in content else f"parameters.{name}"
        place = f"{where}, key {key!r}"
        if name in fixed:
            raise InputError(f"{place}: {name!r} is fixed as well; allowed: one of them")
        item = parameter(name, place)
        axes[name] = [_value(item, value, place) for value in _axis(values, place)]
        value, count = Counter(json.dumps(value) for value in axes[name]).most_common(1)[0]
        if count > 1:
            raise InputError(f"{place}: {value} stands twice; allowed: every point once")
    if missing := sorted(required - set(fixed) - set(axes)):
        raise InputError(
            f"{where}: {target} needs a value for {', '.join(missing)}; give it below 'parameters' or 'fixed'"
        )
    n_points = math.prod(len(values) for values in axes.values())
    if n_points > MAX_POINTS:
        raise InputError(f"{where}: {n_points} points; allowed: at most {MAX_POINTS}")
    defaults = {name: item.default for name, item in declared.items() if name not in required}
    points: list[dict] = [defaults | fixed]
    for name, values in axes.items():
        points = [point | {name: value} for point in points for value in values]
    points = [{name: point[name] for name in declared if name in point} for point in points]
    name = path.name.removesuffix(path.suffix).removesuffix(".grid")
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(f"{where}: the file's name becomes a folder's; allowed: letters, digits, '.', '-' and '_'")
    return Grid(
        name,
        path,
        content,
        kind,
        target,
        target.split("/")[0] if kind == "notebook" else target.split(".")[1],
        tuple(points),
    )
