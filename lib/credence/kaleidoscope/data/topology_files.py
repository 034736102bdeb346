"""Reading a topology from its TOML file; the format is at the top of :mod:`credence.kaleidoscope.data.topology`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from credence.bench.errors import InputError
from credence.kaleidoscope.data.topology import GROUP_KINDS, KINDS, Group, Topology, padded

# A range that names more is a slip of the keyboard.
LARGEST_RANGE = 1_000_000

_RANGE = re.compile(r"\{(?:(\d+)\.\.(\d+)(?:\.\.(\d+))?|([^{}.,]+(?:,[^{}.,]+)*))\}")


def parse_file(path: Path) -> Topology:
    """Read a topology; every problem is an InputError naming file, table and name."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; allowed: a TOML file of a topology") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error}); allowed: a TOML file of a topology") from error
    return parse_topology(document, str(path))


def parse_topology(document: Mapping[str, Any], source: str = "topology") -> Topology:
    """Build a topology from the content of its TOML file; `source` names it in messages."""
    return _Parser(source).topology(document)


def expand(text: str, source: str = "name") -> list[str]:
    """Return the names that a name with a range stands for, one name if it has none."""
    found = _RANGE.search(text)
    if found is None:
        if "{" in text or "}" in text:
            raise InputError(f"{source}: range in {text!r}; allowed: {{0..9}}, {{0..8..2}} or {{A,B}}")
        return [text]
    first, last, step, listed = found.groups()
    if listed is not None:
        values = listed.split(",")
    else:
        low, high, stride = int(first), int(last), int(step or 1)
        if high < low or stride < 1 or (high - low) // stride >= LARGEST_RANGE:
            raise InputError(f"{source}: range in {text!r}; allowed: rising, at most {LARGEST_RANGE} values")
        values = [str(value) for value in range(low, high + 1, stride)]
    if _RANGE.search(text[found.end() :]):
        raise InputError(f"{source}: two ranges in {text!r}; allowed: one")
    return [text[: found.start()] + value + text[found.end() :] for value in values]


class _Parser:
    """Reads one document; holds the name of the file for messages and the ids met so far."""

    def __init__(self, source: str):
        self.source = source
        self.ids: dict[str, int] = {}
        self.kinds: list[str] = []

    def fault(self, place: str, problem: str, allowed: str) -> InputError:
        return InputError(f"{self.source}: {place}: {problem}; allowed: {allowed}")

    def topology(self, document: Mapping[str, Any]) -> Topology:
        self.keys("top level", document, ("name", "components", "client", "target", "group"), ("name", "components"))
        self.components(document["components"])
        count = len(self.kinds)
        groups, pair_of, lnet_of = self.groups(document)
        clients: list[tuple[int, ...]] = [()] * count
        series: list[tuple[int, ...]] = [()] * count
        crossed: list[tuple[int, ...]] = [()] * count
        for place, row in self.rows(document, "client", ("name",), lists=("crosses",)):
            client = self.one(place, row["name"], "client")
            clients[client] = (client, *(self.one(place, name, "network", "router") for name in row["crosses"]))
        for place, row in self.rows(document, "target", ("name", "metadata", "server")):
            target = self.one(place, row["name"], "target")
            if series[target]:
                raise self.fault(place, f"target {row['name']!r} a second time", "once")
            metadata, server = self.one(place, row["metadata"], "metadata"), self.one(place, row["server"], "server")
            series[target] = (metadata, target) if server in pair_of else (metadata, server, target)
            needed = [pair_of.get(server), lnet_of.get(server), lnet_of.get(metadata)]
            crossed[target] = tuple(dict.fromkeys(group for group in needed if group is not None))
        for k, kind in enumerate(self.kinds):
            if kind == "metadata":
                series[k] = (k,)
                crossed[k] = (lnet_of[k],) if k in lnet_of else ()
            elif kind == "client" and not clients[k]:
                clients[k] = (k,)
            elif kind == "target" and not series[k]:
                raise self.fault("[[target]]", f"nothing about {self.name(k)!r}", "one [[target]] for every target")
        arrays = [padded(rows, max(1, *map(len, rows))) for rows in (clients, series, crossed)]
        return Topology(str(document["name"]), tuple(self.ids), tuple(self.kinds), tuple(groups), *arrays)

    def components(self, table: Any) -> None:
        place = "[components]"
        self.keys(place, table, KINDS, ("client", "target", "metadata"))
        for kind in KINDS:
            names = table.get(kind, [])
            if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
                raise self.fault(place, f"{kind} is {names!r}", "a list of names")
            for name in (each for text in names for each in expand(text, f"{self.source}: {place}")):
                if name in self.ids:
                    raise self.fault(place, f"component {name!r} a second time", "each name once")
                self.ids[name] = len(self.kinds)
                self.kinds.append(kind)
        for kind in ("client", "target", "metadata"):
            if kind not in self.kinds:
                raise self.fault(place, f"no {kind}", "at least one")

    def groups(self, document) -> tuple[list[Group], dict[int, int], dict[int, int]]:
        groups: list[Group] = []
        home: dict[int, int] = {}
        lnet_of: dict[int, int] = {}
        for place, row in self.rows(document, "group", ("name", "kind"), lists=("members", "serves")):
            if row["kind"] not in GROUP_KINDS:
                raise self.fault(place, f"kind {row['kind']!r}", ", ".join(GROUP_KINDS))
            members = tuple(self.one(place, name, GROUP_KINDS[row["kind"]]) for name in row["members"])
            if len(set(members)) < max(2, len(members)) or (row["kind"] == "pair" and len(members) != 2):
                raise self.fault(place, f"members {', '.join(row['members']) or 'none'}", "two or more different ones")
            for member, name in zip(members, row["members"], strict=True):
                if member in home:
                    raise self.fault(place, f"{name!r} is in {groups[home[member]].name!r} as well", "one group each")
                home[member] = len(groups)
            if row["kind"] == "pair" and row["serves"]:
                raise self.fault(place, "serves", "for groups of kind lnet only")
            for name in row["serves"]:
                server = self.one(place, name, "server", "metadata")
                if server in lnet_of:
                    raise self.fault(place, f"serves {name!r} as {groups[lnet_of[server]].name!r} does", "one group")
                lnet_of[server] = len(groups)
            groups.append(Group(row["name"], members, row["kind"]))
        pair_of = {member: group for member, group in home.items() if groups[group].kind == "pair"}
        for group in groups:  # a pair works as one: both of its servers are reached by the same routers
            if group.kind == "pair" and len({lnet_of.get(member) for member in group.members}) > 1:
                raise self.fault(f"group {group.name!r}", "its servers are served by different groups", "by one")
        return groups, pair_of, lnet_of

    def rows(self, document, table: str, texts: tuple[str, ...], lists: tuple[str, ...] = ()):
        """Yield place and fields of every row of an array of tables, with its ranges spelt out."""
        found = document.get(table, [])
        if not isinstance(found, list):
            raise self.fault(f"[[{table}]]", "not an array of tables", f"[[{table}]]")
        for number, row in enumerate(found, 1):
            place = f"[[{table}]] number {number}"
            self.keys(place, row, (*texts, *lists), texts)
            for name in (*texts, *lists):
                value = row.get(name, [])
                values = [value] if name in texts else value
                if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
                    raise self.fault(place, f"{name} is {value!r}", "text" if name in texts else "a list of names")
            size = len(expand(row["name"], place))
            spelt = {name: self.spread(place, row[name], size) for name in texts}
            several = {name: [self.spread(place, text, size) for text in row.get(name, [])] for name in lists}
            for k in range(size):
                fields: dict[str, Any] = {}
                for name, values in spelt.items():
                    if len(values[k]) != 1:
                        raise self.fault(place, f"{name} {row[name]!r} beside one name", "a name without a range")
                    fields[name] = values[k][0]
                for name, columns in several.items():
                    fields[name] = [each for column in columns for each in column[k]]
                yield f"{place} ({fields['name']})", fields

    def spread(self, place: str, text: str, size: int) -> list[list[str]]:
        """Return, for each of the `size` rows that a table stands for, the names that a text stands for."""
        values = expand(text, f"{self.source}: {place}")
        if size == 1:
            return [values]
        if len(values) not in (1, size):
            raise self.fault(place, f"{text!r} has {len(values)} values beside {size} names", "as many, or no range")
        return [[value] for value in (values if len(values) == size else values * size)]

    def one(self, place: str, name: str, *kinds: str) -> int:
        found = self.ids.get(name)
        if found is None or self.kinds[found] not in kinds:
            problem = f"{name!r} is no component" if found is None else f"{name!r} is a {self.kinds[found]}"
            raise self.fault(place, problem, f"a {' or '.join(kinds)} of [components]")
        return found

    def name(self, component: int) -> str:
        return list(self.ids)[component]

    def keys(self, place: str, table: Any, known: Sequence[str], needed: Sequence[str]) -> None:
        if not isinstance(table, Mapping):
            raise self.fault(place, f"{table!r}", "a table")
        for name in table:
            if name not in known:
                raise self.fault(place, f"unknown {name!r}", ", ".join(known))
        for name in needed:
            if name not in table:
                raise self.fault(place, f"no {name!r}", ", ".join(known))
