import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credence.bayesperf.data import traces
from credence.bayesperf.model.relations import (
    Relation,
    basis,
    constants,
    determined,
    eliminated,
    known_cpus,
    known_relations,
    matrix,
    parse_relation,
    rank,
    read_relations,
    relations_text,
)
from credence.bench.errors import InputError


@pytest.mark.parametrize(
    ("text", "kind", "coefficients", "constant"),
    [
        ("A = B + 2*C", "eq", {"A": 1, "B": -1, "C": -2}, 0),
        ("A == (B - C) / 4 + 3", "eq", {"A": 1, "B": -0.25, "C": 0.25}, 3),
        ("A <= B", "le", {"A": 1, "B": -1}, 0),
        ("A - 1 >= 2 * (B + B)", "le", {"A": -1, "B": 4}, -1),
        (
            "'page-faults' = 'minor-faults' + 'major-faults'",
            "eq",
            {"page-faults": 1, "minor-faults": -1, "major-faults": -1},
            0,
        ),
        ("cpu@X\\,cmask\\=1@ <= X.ALL", "le", {"cpu@X,cmask=1@": 1, "X.ALL": -1}, 0),
    ],
)
def test_relations_are_read(text, kind, coefficients, constant):
    found = parse_relation(text)
    assert (found.kind, dict(found.coefficients), found.constant) == (kind, coefficients, constant)
    again = parse_relation(found.expression)
    assert (again.kind, dict(again.coefficients), again.constant) == (kind, pytest.approx(coefficients), constant)


def test_known_names_need_no_quotes():
    events = ("page-faults", "minor-faults", "major-faults", "faults")
    found = parse_relation("page-faults = minor-faults + major-faults", events=events)
    assert set(found.coefficients) == set(events[:3])
    # a name inside quotes, or inside a longer word, is left alone
    assert set(parse_relation("'page-faults' = x.page-faults", events=events).coefficients) == {
        "page-faults",
        "x.page",
        "faults",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("A + B", "no relation sign"),
        ("A = B = C", "cannot be read"),
        ("A = B * C", "product of counts"),
        ("A = B / C", "divided by a count"),
        ("A = max(B, C)", "max is not linear"),
        ("A = A", "do not cancel"),
        ("A = cosine(B)", "unknown function"),
        ("A = ", "its end"),
        ("A = 2 $ B", "'$ B'"),
    ],
)
def test_what_is_no_relation_is_refused(text, says):
    with pytest.raises(InputError, match=says.replace("$", r"\$")):
        parse_relation(text)


def test_a_table_is_written_and_read_back(tmp_path):
    given_ = (
        parse_relation("A = B + 2*C", "first", "somewhere"),
        Relation("second", "le", {"x y": 0.1, "B": -1.0 / 3}, -2.5, 'a "quoted" source'),
    )
    path = tmp_path / "relations.toml"
    path.write_text(relations_text(given_, "Two lines\nof heading"))
    assert path.read_text().startswith("# Two lines\n# of heading\n")
    assert read_relations(path) == given_


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", r"no \[\[relation\]\]"),
        ("[[relation", "rel.toml"),
        ('[[relation]]\nname = "n"\nkind = "eq"', "no expression"),
        ('[[relation]]\nkind = "ge"\nexpression = "A = B"', "'ge'.*allowed: eq, le"),
        ('[[relation]]\nkind = "le"\nexpression = "A = B"', "kind is 'le'"),
        ('[[relation]]\nkind = "eq"\nexpresion = "A = B"', "did you mean 'expression'"),
        ('[[relation]]\nkind = "eq"\nexpression = 3', "text in quotes"),
        ('[[relation]]\nkind = "eq"\nexpression = "A = B"\n' * 2, "2: name 'A = B' is there twice"),
        ('[[relation]]\nkind = "eq"\nexpression = "A = B *"', r"\[\[relation\]\] 1.*A = B \*"),
    ],
)
def test_a_wrong_table_is_refused_by_entry(tmp_path, text, says):
    path = tmp_path / "rel.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_relations(path)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: No such"):
        read_relations(tmp_path / "none.toml")


def test_rows_of_listed_events_only():
    relations = [parse_relation("A = B + C"), parse_relation("A = D + 1"), parse_relation("A <= B + 5")]
    assert np.array_equal(matrix(relations, ["A", "B", "C"]), [[1, -1, -1]])
    assert np.array_equal(matrix(relations, ["D", "A"]), [[-1, 1]])
    assert np.array_equal(constants(relations, ["D", "A"]), [1])
    assert np.array_equal(matrix(relations, ["A", "B"], "le"), [[1, -1]])
    assert matrix(relations, ["A"]).shape == (0, 1)


def test_rank_and_what_is_determined():
    relations = [parse_relation(t) for t in ("A = B + C", "2*A = 2*B + 2*C", "C = 1000000*D")]
    table = matrix(relations, list("ABCDE"))
    assert rank(table) == 2
    assert rank(table[:0]) == 0
    assert determined(table, [True, False, False, True, False]).tolist() == [True, True, True, True, False]
    assert determined(table, [False] * 5).tolist() == [False] * 5


def test_basis_expands_to_all_events():
    relations = [parse_relation(t) for t in ("A = B + C", "C = 10*D + 3")]
    found = basis(relations, list("ABCDE"), prefer=["D"])
    assert found.chosen == ("D", "A", "E")
    chosen = np.array([2.0, 50.0, 7.0])  # D, A, E
    assert found.expansion @ chosen + found.offset == pytest.approx([50, 27, 23, 2, 7])


def test_contradictions_have_no_basis():
    with pytest.raises(InputError, match="contradict"):
        basis([parse_relation("A = B + 1"), parse_relation("A = B")], ["A", "B"])


def test_elimination_finds_what_a_list_that_is_not_closed_implies():
    relations = [
        parse_relation("TOTAL = HIT + MISS", "parts"),
        parse_relation("STALL = 24*MISS", "cost"),
        parse_relation("FILL = MISS", "fills"),
    ]
    found = eliminated(relations, ["TOTAL", "HIT", "STALL"])
    equal = [r for r in found if r.kind == "eq"]
    assert [r.expression for r in equal] == ["24*HIT + STALL = 24*TOTAL"] or equal[0].residual(
        np.array([[10.0, 7.0, 72.0]]), ["TOTAL", "HIT", "STALL"]
    ) == pytest.approx([0])
    assert equal[0].name == "from parts & cost"
    # without the cost, the missing part makes an order of the identity
    assert [(r.kind, r.expression) for r in eliminated(relations, ["TOTAL", "HIT"])] == [("le", "HIT <= TOTAL")]


def test_elimination_keeps_given_relations_and_drops_what_follows():
    relations = [parse_relation(t) for t in ("A = B + C", "2*A = 2*B + 2*C", "A <= D", "A <= D + E")]
    found = eliminated(relations, list("ABCDE"))
    assert [r.expression for r in found] == ["A = B + C", "A <= D"]


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_elimination_is_the_whole_row_space_on_the_list(seed):
    rng = np.random.default_rng(seed)
    events = [f"E{i}" for i in range(7)]
    table = rng.integers(-2, 3, (4, 7)).astype(float)
    relations = [
        Relation(f"R{i}", "eq", {e: c for e, c in zip(events, row, strict=True) if c}, 0.0)
        for i, row in enumerate(table)
        if row.any()
    ]
    listed = [events[i] for i in rng.permutation(7)[:4]]
    found = matrix(eliminated(relations, listed), listed)
    # rank of the consequences on the list = rank of all - rank of the rest's columns
    full = matrix(relations, events)
    rest = full[:, [i for i, e in enumerate(events) if e not in listed]]
    assert len(found) == rank(found) == rank(full) - rank(rest)
    if len(found):
        padded = np.zeros((len(found), 7))
        padded[:, [events.index(e) for e in listed]] = found
        assert rank(np.vstack([full, padded])) == rank(full)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_eliminated_orders_are_sound(seed):
    rng = np.random.default_rng(seed)
    parts = rng.integers(0, 50, (20, 4)).astype(float)
    a, b, c, d = parts.T
    counts = {"A": a, "B": b, "C": c, "AB": a + b, "ABC": a + b + c, "D": d, "MOST": a + b + c + d}
    relations = [
        parse_relation(t) for t in ("AB = A + B", "ABC = AB + C", "MOST = ABC + D", "AB + C <= MOST", "A <= AB")
    ]
    listed = [list(counts)[i] for i in rng.permutation(7)[:4]]
    table = np.stack([counts[e] for e in listed], axis=1)
    for relation in eliminated(relations, listed):
        left = relation.residual(table, listed)
        assert np.all(left == 0) if relation.kind == "eq" else np.all(left <= 0)


@pytest.mark.parametrize("machine", traces.machines())
def test_the_plugin_s_relations_hold_in_every_interval(machine):
    relations = known_relations(machine)
    assert sum(r.kind == "eq" for r in relations) == 24
    for program in traces.programs(machine):
        found = traces.trace(machine, program)
        for relation in relations:
            left = relation.residual(found.counts.astype(float), found.events)
            assert np.all(left == 0) if relation.kind == "eq" else np.all(left <= 0), (program, relation.name)
    assert rank(matrix(relations, found.events)) == 24  # each says something of its own


def test_known_cpus_without_a_mirror(monkeypatch):
    monkeypatch.delenv("CREDENCE_MIRROR", raising=False)
    for cpu in ("skylakex", "icelakex", "broadwellx"):
        relations = known_relations(cpu)
        equal = [r for r in relations if r.kind == "eq"]
        events = sorted({event for relation in equal for event in relation.events})
        assert len(equal) >= 30
        assert rank(matrix(equal, events)) == len(equal)
        assert all(relation.source for relation in relations)
        # the known false positive: the fixed counters' numbers read as a mask
        assert not any("CPU_CLK_UNHALTED.REF_TSC" in r.coefficients for r in equal)
    for cpu in ("zen3", "power9"):
        with pytest.raises(InputError, match=f"'{cpu}'.*GPL-2.0.*skylakex.*CREDENCE_MIRROR"):
            known_relations(cpu)
    with pytest.raises(InputError, match="did you mean 'skylakex'"):
        known_relations("skylake")
    assert set(known_cpus()) >= {"skylakex", "icelakex", "broadwellx", "zen3", "power9", "qemu-x86", "qemu-ppc64"}


@pytest.mark.parametrize("cpu", ["skylakex", "broadwellx"])
def test_l2_requests_add_up_in_both_dimensions(cpu):
    expressions = {r.expression for r in known_relations(cpu)}
    assert "L2_RQSTS.REFERENCES = L2_RQSTS.ALL_PF + L2_RQSTS.ALL_DEMAND_REFERENCES" in expressions
    assert "L2_RQSTS.ALL_RFO = L2_RQSTS.RFO_HIT + L2_RQSTS.RFO_MISS" in expressions
