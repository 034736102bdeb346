"""Parameters of a notebook, read from its ``parameters`` cell: name, type, range and help.

A line of that cell reads ``load: float = 0.8  # [0.05..0.99] offered load``; the brackets hold either a closed range
``[low..high]`` (each end may be left out) or the allowed words ``[a|b|c]``. papermill only warns of an unknown name,
so a typo would run the default for an hour: here it is an error before anything starts.
"""

import ast
import io
import math
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

from credence.bench.errors import InputError, choose

TYPES = {"int": int, "float": float, "str": str, "bool": bool}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_RANGE = re.compile(r"^\[([^\]]*)\]\s*")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook.

    Attributes
    ----------
    name, type, help : str
        `type` is ``int``, ``float``, ``str``, ``bool``, ``list[...]`` of them, with `` | None`` where None is allowed.
    default : object
        What the notebook itself says.
    low, high : float or None
        Closed range of a number.
    words : tuple of str
        The allowed words of a text; empty if any goes.
    """

    name: str
    type: str
    default: object
    help: str
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The type and range in words, for help and errors."""
        if self.words:
            return " | ".join(self.words)
        if self.low is None and self.high is None:
            return self.type
        low = "" if self.low is None else f"{self.low:g}"
        high = "" if self.high is None else f"{self.high:g}"
        return f"{self.type} in {low}..{high}"


def cell(notebook: Path) -> str:
    """Return the source of the notebook's ``parameters`` cell.

    Raises
    ------
    InputError
        If the file is not a notebook, or has no such cell or more than one.
    """
    import nbformat  # it takes a second or two to load, which most commands need not wait for

    try:
        content = nbformat.read(notebook, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise InputError(f"{notebook.name} can't be read as a notebook: {error}") from error
    cells = [c for c in content.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise InputError(f"{notebook.name} has {len(cells)} cells tagged 'parameters'; exactly 1 is needed")
    return cells[0].source


def _number(text: str, line: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"range {text!r} in {line!r} is no number; write [low..high]") from None


def read(notebook: Path) -> list[Parameter]:
    """Return the parameters of `notebook` in the order of its cell.

    Raises
    ------
    InputError
        If the cell lacks an annotation, a literal default or a readable range: a mistake of the notebook's author.
    """
    source = cell(notebook)
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise InputError(f"{notebook.name}: its parameters cell is not Python ({error})") from None
    # papermill's own reader misses `int | None` and defaults over several lines, hence Python's
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT}
    found = []
    for item in tree.body:
        if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
            continue
        target = item.target if isinstance(item, ast.AnnAssign) else getattr(item, "targets", [None])[0]
        if not isinstance(target, ast.Name):
            raise InputError(
                f"{notebook.name}, line {item.lineno} of its parameters cell: only assignments belong there"
            )
        where = f"{notebook.name}, parameter {target.id!r}"
        if not isinstance(item, ast.AnnAssign) or item.value is None:
            raise InputError(f"{where}: no type or default; write `{target.id}: float = 0.5  # [0..1] what it is`")
        try:
            default = ast.literal_eval(item.value)
        except ValueError:
            raise InputError(f"{where}: default {ast.unparse(item.value)!r} is not a literal") from None
        text, low, high, words = comments.get(item.end_lineno, ""), None, None, ()
        if match := _RANGE.match(text):
            inside, text = match[1], text[match.end() :]
            if ".." in inside:
                low, high = (_number(part, inside) for part in inside.split("..", 1))
            else:
                words = tuple(word.strip() for word in inside.split("|"))
        parameter = Parameter(target.id, ast.unparse(item.annotation), default, text.strip(), low, high, words)
        check(parameter, default, where)
        found.append(parameter)
    return found


def check(parameter: Parameter, value, where: str):
    """Return `value` as the parameter's type.

    An int stands for a float; nothing else is converted.

    Raises
    ------
    InputError
        If type or range do not fit; the message names value, place and what is allowed.
    """
    kind = parameter.type.replace("| None", "").strip()
    optional = kind != parameter.type
    if value is None:
        if optional:
            return None
        raise InputError(f"{where}: None is not allowed; allowed: {parameter.allowed}")
    if match := re.fullmatch(r"list\[(\w+)\]", kind):
        if not isinstance(value, list | tuple):
            raise InputError(f"{where}: {value!r} is not a list; allowed: {parameter.allowed}")
        return [_scalar(parameter, match[1], item, where) for item in value]
    return _scalar(parameter, kind, value, where)


def _scalar(parameter: Parameter, kind: str, value, where: str):
    if kind not in TYPES:
        raise InputError(f"{where}: type {kind!r} is not one of {', '.join(TYPES)}, list[...]")
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    # bool is an int to Python, but True is no number of slots
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise InputError(f"{where}: {value!r} is {type(value).__name__}; allowed: {parameter.allowed}")
    if parameter.words and value not in parameter.words:
        choose(value, parameter.words, f"value for {where}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where}: {value} is not finite; allowed: {parameter.allowed}")
    if (parameter.low is not None and value < parameter.low) or (parameter.high is not None and value > parameter.high):
        raise InputError(f"{where}: {value!r} is out of range; allowed: {parameter.allowed}")
    return value


def validate(notebook: Path, given: dict) -> dict:
    """Return all parameters of `notebook`: its defaults with the checked values of `given` in their place.

    Raises
    ------
    InputError
        On an unknown name (the message lists the valid ones), a wrong type or a value out of range.
    """
    known = {parameter.name: parameter for parameter in read(notebook)}
    values = {name: parameter.default for name, parameter in known.items()}
    for name, value in given.items():
        choose(name, known, f"parameter of {notebook.stem}")
        values[name] = check(known[name], value, f"{notebook.stem}, parameter {name!r}")
    return values


def parse(text: str) -> tuple[str, object]:
    """Return name and value of a command-line ``name=value``; the value is YAML (``3``, ``[1, 2]``, ``text``).

    Raises
    ------
    InputError
        If there is no ``=``, no name, or no readable value.
    """
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise InputError(f"-p {text!r}: write name=value")
    try:
        content = yaml.safe_load(value) if value.strip() else ""
    except yaml.YAMLError as error:
        raise InputError(f"-p {text!r}: the value can't be read ({str(error).splitlines()[0]})") from None
    # YAML 1.1 reads 1e-3 as a text; whoever types it means the number
    if isinstance(content, str) and _NUMBER.fullmatch(content):
        content = float(content)
    return name.strip(), content


def load_file(path: Path) -> dict:
    """Return the parameters of a YAML file: one mapping of names to values.

    Raises
    ------
    InputError
        If the file is missing, no YAML, or no mapping.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise InputError(f"-f {path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"-f {path}: can't be read ({error})") from None
    except yaml.YAMLError as error:
        raise InputError(f"-f {path}: not readable as YAML ({' '.join(str(error).split())})") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError(f"-f {path}: a mapping of parameter names to values is needed, not {type(content).__name__}")
    return content
