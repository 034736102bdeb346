"""Topologies: the built-in ones, what a probe crosses, and files that are refused."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credence.bench.errors import InputError
from credence.kaleidoscope.data.topology import KINDS, read_topology, topology
from credence.kaleidoscope.data.topology_files import expand, parse_topology

SMALL = {
    "name": "small",
    "components": {
        "client": ["c{0..1}"],
        "network": ["net"],
        "metadata": ["mds"],
        "server": ["oss_{0..2}"],
        "target": ["ost_{0..2}"],
        "router": ["r{A,B}"],
    },
    "client": [{"name": "c1", "crosses": ["net"]}],
    "target": [{"name": "ost_{0..2}", "metadata": "mds", "server": "oss_{0..2}"}],
    "group": [
        {"name": "pair", "kind": "pair", "members": ["oss_0", "oss_1"]},
        {"name": "routers", "kind": "lnet", "members": ["r{A,B}"], "serves": ["oss_{0..1}"]},
    ],
}


def names(system, ids):
    return [system.components[k] for k in ids if k >= 0]


def test_blue_waters_has_875_components():
    system = topology("bluewaters")
    counts = {kind: len(system.of_kind(kind)) for kind in KINDS}
    assert counts == {"client": 6, "network": 2, "metadata": 3, "server": 432, "target": 432, "router": 0}
    assert len(system.groups) == 216


@pytest.mark.parametrize("target", ["scratch_ost_208", "projects_ost_1", "home_ost_35"])
def test_a_write_crosses_metadata_pair_and_target(target):
    system = topology("bluewaters")
    paths = system.paths(["client0", "client5"], [target] * 2, "wrex")
    mds = target.split("_")[0] + "_mds"
    assert sorted(names(system, paths.series[0])) == sorted(["client0", "ib_net", mds, target])
    assert sorted(names(system, paths.series[1])) == sorted(["client5", "ib_net", "gem_net", mds, target])
    number = int(target.rsplit("_", 1)[1])
    pair = {target.replace("ost", "oss").replace(str(number), str(k)) for k in (number, number ^ 1)}
    for row in paths.groups:
        assert len(row) == 1
        assert set(names(system, paths.members[row[0]])) == pair


def test_a_removal_crosses_no_server():
    paths = topology("bluewaters").paths("client0", "home_mds", "rmex")
    assert paths.groups.shape == (1, 0)
    assert names(topology("bluewaters"), paths.series[0]) == ["client0", "ib_net", "home_mds"]


def test_routers_come_in_145_groups_of_four_and_one_of_two():
    system = topology("bluewaters-lnet")
    routers = [group for group in system.groups if group.kind == "lnet"]
    assert sorted(len(group.members) for group in routers) == [2] + [4] * 145
    members = [member for group in routers for member in group.members]
    assert sorted(members) == system.of_kind("router").tolist()
    assert len(members) == 582


def test_every_target_has_a_pair_and_routers_that_serve_the_whole_pair():
    system = topology("bluewaters-lnet")
    targets = system.of_kind("target")
    paths = system.paths(np.zeros_like(targets), targets, "crwr")
    assert (paths.groups >= 0).all()
    assert paths.lnet[paths.groups[:, 1]].all()
    assert not paths.lnet[paths.groups[:, 0]].any()
    by_pair = {}
    for pair, routers in paths.groups:
        assert by_pair.setdefault(int(pair), int(routers)) == routers


def test_the_test_cluster_reaches_everything_through_two_routers():
    system = topology("moosefs")
    paths = system.paths(["client2", "client2"], ["ost_D", "mds"], ["wrex", "rmex"])
    assert sorted(names(system, paths.series[0])) == ["client2", "mds", "oss_D", "ost_D"]
    assert names(system, paths.series[1]) == ["client2", "mds"]
    assert names(system, paths.members[paths.groups[1, 0]]) == ["router1", "router2"]


def test_gaps_stand_at_the_end_of_a_row():
    paths = parse_topology(SMALL).paths(["c0", "c1", "c1"], ["ost_2", "ost_0", "mds"], ["wrex", "wrex", "rmex"])
    for table in (paths.series, paths.groups):
        gaps = table < 0
        assert (np.diff(gaps.astype(int), axis=1) >= 0).all()
        assert not gaps.all(axis=0).any()


def test_a_server_without_a_pair_stands_in_series():
    system = parse_topology(SMALL)
    paths = system.paths("c0", "ost_2", "wrex")
    assert sorted(names(system, paths.series[0])) == ["c0", "mds", "oss_2", "ost_2"]
    assert paths.groups.shape == (1, 0)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (("ib_net", "scratch_ost_0", "wrex"), "cell 0: wrex from ib_net"),
        (("client0", "scratch_ost_0", "rmex"), "rmex to a metadata server"),
        (("client0", "scratch_mds", "crwr"), "crwr from client0 to scratch_mds"),
        (("client0", "scratch_ost_360", "crwr"), "'scratch_ost_360' is not in topology bluewaters"),
        (("client0", "scratch_ost_0", "read"), "unknown operation 'read'"),
    ],
)
def test_cells_that_cannot_be_are_refused(cell, says):
    with pytest.raises(InputError, match=says):
        topology("bluewaters").paths(*cell)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 7))
def test_ranges_count_like_range(low, length, step):
    assert expand(f"a{{{low}..{low + length}..{step}}}b") == [f"a{k}b" for k in range(low, low + length + 1, step)]


@pytest.mark.parametrize("text", ["a{3..1}", "a{0..2}{0..2}", "a{", "a{..}", "a{0..99999999}", "a{0..4..0}"])
def test_ranges_that_name_nothing_are_refused(text):
    with pytest.raises(InputError, match="range"):
        expand(text)


def change(*path, value):
    document = copy.deepcopy(SMALL)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (change("colour", value="red"), "unknown 'colour'"),
        (change("components", "target", value=[]), "no target"),
        (change("components", "client", value=["c0", "c0"]), "'c0' a second time"),
        (change("components", "client", value="c0"), "a list of names"),
        (change("target", value=[]), "nothing about 'ost_0'"),
        (change("target", 0, "server", value="oss_{0..1}"), "2 values beside 3 names"),
        (change("target", 0, "server", value="mds"), "'mds' is a metadata; allowed: a server"),
        (change("target", 0, "metadata", value="nothing"), "'nothing' is no component"),
        (change("client", 0, "crosses", value=["oss_0"]), "'oss_0' is a server"),
        (change("group", 0, "kind", value="triple"), "kind 'triple'; allowed: pair, lnet"),
        (change("group", 0, "members", value=["oss_0"]), "two or more"),
        (change("group", 0, "members", value=["oss_{0..2}"]), "members"),
        (change("group", 1, "serves", value=["oss_0"]), "its servers are served by different groups"),
        (change("group", 0, "serves", value=["oss_0"]), "kind lnet only"),
        (change("group", value=[*SMALL["group"], dict(SMALL["group"][0], name="again")]), "is in 'pair' as well"),
        (change("group", 0, value={"name": "pair"}), "no 'kind'"),
        (change("target", value="ost"), "not an array of tables"),
        (change("components", value=[]), "a table"),
    ],
)
def test_wrong_files_are_refused_with_their_place(document, says):
    with pytest.raises(InputError, match=says) as caught:
        parse_topology(document, "mine.toml")
    assert str(caught.value).startswith("mine.toml: ")


def test_files_that_are_no_topology_are_refused(tmp_path):
    for name, content in (("absent.toml", None), ("broken.toml", "name = "), ("bytes.toml", b"\xff\xfe")):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(InputError, match=name):
            read_topology(path)
    with pytest.raises(InputError, match="did you mean 'bluewaters'"):
        topology("bluewater")
