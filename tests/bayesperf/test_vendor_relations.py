"""Relations from made-up vendor files; those of the real files where CREDENCE_MIRROR names them."""

import pytest

from credence.bayesperf.data import vendor
from credence.bayesperf.model import extract, metric_rules, umask, vendor_files
from credence.bayesperf.model.relations import known_relations, read_relations
from credence.bench import paths
from credence.bench.errors import InputError


def event(name, code, mask, cmask="0", **more):
    counter = {"Counter": "0,1,2,3", "MSRIndex": "0", "EdgeDetect": "0", "Invert": "0", "AnyThread": "0"}
    return {"EventName": name, "EventCode": code, "UMask": mask, "CounterMask": cmask, **counter, **more}


EVENTS = [
    event("INST.ANY", "0x00", "0x01", Counter="Fixed counter 0"),
    event("CLK.THREAD", "0x00", "0x02", Counter="Fixed counter 1"),
    event("CLK.REF_TSC", "0x00", "0x03", Counter="Fixed counter 2"),
    event("WALK.DONE", "0x08", "0x0E"),
    event("WALK.DONE_4K", "0x08", "0x02"),
    event("WALK.DONE_2M", "0x08", "0x04"),
    event("WALK.DONE_1G", "0x08", "0x08"),
    event("WALK.BIG", "0x08", "0x0C"),
    event("WALK.OLD", "0x08", "0x0E", Deprecated="1"),
    event("WALK.ALIAS", "0x08", "0x0e"),
    event("WALK.PENDING", "0x08", "0x10"),
    event("WALK.ACTIVE", "0x08", "0x10", "1"),
    event("WALK.ACTIVE_2", "0x08", "0x10", "2"),
    event("WALK.STARTS", "0x08", "0x10", "1", EdgeDetect="1"),
    event("L2_RQSTS.RD_MISS", "0x24", "0x21"),
    event("L2_RQSTS.RFO_MISS", "0x24", "0x22"),
    event("L2_RQSTS.MISS", "0x24", "0x23"),
    event("L2_RQSTS.RD_HIT", "0x24", "0xC1"),
    event("L2_RQSTS.RFO_HIT", "0x24", "0xC2"),
    event("L2_RQSTS.ALL_RD", "0x24", "0xE1"),
    event("L2_RQSTS.ALL_RFO", "0x24", "0xE2"),
    event("L2_RQSTS.ALL", "0x24", "0xE3"),
    event("CYCLE_ACTIVITY.MISS", "0xA3", "0x01", "1"),
    event("CYCLE_ACTIVITY.STALLS", "0xA3", "0x04", "4"),
    event("CYCLE_ACTIVITY.STALLS_MISS", "0xA3", "0x05", "5"),
    event("IDLE.A_CYCLES", "0xB0", "0x01"),
    event("IDLE.B_CYCLES", "0xB0", "0x02"),
    event("IDLE.ANY_CYCLES", "0xB0", "0x03"),
    event("FP.4_FLOPS", "0xC7", "0x18"),
    event("FP.8_FLOPS", "0xC7", "0x18"),
    event("OCR.X", "0xB7", "0x01", MSRIndex="0x1a6"),
]


@pytest.fixture
def relations():
    codes = vendor_files.event_codes({"Header": {}, "Events": EVENTS}, "events.json")
    return umask.umask_relations(codes, "made up")


def texts(relations, kind):
    return {relation.expression for relation in relations if relation.kind == kind}


def test_masks_add_up(relations):
    assert texts(relations, "eq") == {
        "WALK.DONE = WALK.BIG + WALK.DONE_4K",
        "WALK.BIG = WALK.DONE_1G + WALK.DONE_2M",
        "WALK.DONE = WALK.ALIAS",
        # two dimensions: RD and RFO, hit and miss
        "L2_RQSTS.ALL = L2_RQSTS.ALL_RFO + L2_RQSTS.ALL_RD",
        "L2_RQSTS.MISS = L2_RQSTS.RFO_MISS + L2_RQSTS.RD_MISS",
        "L2_RQSTS.ALL_RD = L2_RQSTS.RD_HIT + L2_RQSTS.RD_MISS",
        "L2_RQSTS.ALL_RFO = L2_RQSTS.RFO_HIT + L2_RQSTS.RFO_MISS",
    }


def test_a_number_of_a_fixed_counter_is_no_mask(relations):
    assert not any("CLK.REF_TSC" in relation.coefficients for relation in relations)
    # and it is the guard that keeps it out
    without = [vendor_files._event({**e, "Counter": "0"}, "f") for e in EVENTS[:3]]
    assert texts(umask.umask_relations(without, "f"), "eq") == {"CLK.REF_TSC = CLK.THREAD + INST.ANY"}


def test_cycles_do_not_add_up_but_are_ordered(relations):
    assert not any("IDLE" in text for text in texts(relations, "eq"))
    assert {"IDLE.A_CYCLES <= IDLE.ANY_CYCLES", "IDLE.B_CYCLES <= IDLE.ANY_CYCLES"} <= texts(relations, "le")


def test_orders_of_counter_masks_and_conjunctions(relations):
    found = texts(relations, "le")
    assert {
        "WALK.ACTIVE <= WALK.PENDING",
        "WALK.ACTIVE_2 <= WALK.ACTIVE",
        "WALK.STARTS <= WALK.ACTIVE",
        "CYCLE_ACTIVITY.STALLS_MISS <= CYCLE_ACTIVITY.MISS",
        "CYCLE_ACTIVITY.STALLS_MISS <= CYCLE_ACTIVITY.STALLS",
        "L2_RQSTS.MISS <= L2_RQSTS.ALL",
    } <= found
    # parts of a sum are said by the sum
    assert "WALK.DONE_1G <= WALK.BIG" not in found


def test_two_dimensions_are_not_read_as_one():
    found = [vendor_files._event(e, "f") for e in EVENTS if e["EventCode"] == "0x24"]
    one = [vendor_files._event({**e, "EventName": e["EventName"].replace("L2_RQSTS", "X")}, "f") for e in EVENTS]
    assert len(texts(umask.umask_relations(found, "f"), "eq")) == 4
    # read in one dimension, most of it is missed
    assert not any("X.ALL_RD =" in text for text in texts(umask.umask_relations(one, "f"), "eq"))


def metric(name, text, **more):
    return vendor_files.Metric(
        name, vendor_files.expressions.parse(text), "", more.get("parent", ""), more.get("level", 0), True
    )


def test_shares_of_a_tree():
    tree = [
        metric("Front", "100 * (FE / (4 * CLK))", level=1),
        metric("Bad", "100 * ((ISSUED - RETIRED) / (4 * CLK))", level=1),
        metric("Retiring", "100 * (RETIRED / (4 * CLK))", level=1),
        metric("Info_IPC", "INST / CLK", level=1),
        metric("Latency", "100 * (4 * EMPTY / (4 * CLK))", level=2, parent="Front"),
        metric("Branches", "100 * (MISP / CLEARS * (ISSUED / CLK))", level=2, parent="Bad"),
    ]
    assert texts(metric_rules.tree_relations(tree, "f"), "le") == {
        "RETIRED <= ISSUED",
        "FE + ISSUED <= 4*CLK",
        "4*EMPTY <= FE",
    }


def test_residuals_of_a_tree_of_stalls():
    tree = [
        metric("stall", "STALL / INST"),
        metric("load", "LOAD / INST"),
        metric("fp", "FP / INST"),
        metric("other", "stall - load - fp"),
        metric("sum", "load + fp"),
        metric("odd", "stall - load + fp"),
    ]
    found, refused = metric_rules.residual_relations(tree, "f")
    assert texts(found, "le") == {"LOAD + FP <= STALL"}
    assert refused == ("odd",)


def test_accesses_are_hits_and_misses():
    named = {"l2_accesses": "A + B", "l2_hits": "C", "l2_misses": "D + B", "x_hits": "A"}
    found = metric_rules.family_relations([metric(name, text) for name, text in named.items()], "f")
    assert texts(found, "eq") == {"A = C + D"}


def test_ratios_keep_both_sums():
    (found,) = metric_rules.ratios([metric("r", "100 * (A + B) / C"), metric("no", "A * B")], "f")
    assert (dict(found.numerator.coefficients), dict(found.denominator.coefficients)) == (
        {"A": 100, "B": 100},
        {"C": 1},
    )


PAPI = """# a comment
CPU,one
CPU,two
PRESET,PAPI_A,NOT_DERIVED,X:ALL
PRESET,PAPI_B,DERIVED_ADD,X:ALL,Y:ONE
#PRESET,PAPI_C,NOT_DERIVED,X:OLD
CPU,other
PRESET,PAPI_A,NOT_DERIVED,Z
CPU,two
PRESET,PAPI_D,DERIVED_POSTFIX,N0|N1|2|*|+|N2|-|,X:ALL,Y:ONE,Y:TWO
PRESET,PAPI_E,DERIVED_POSTFIX,N0|N1|*|,X:ALL,Y:ONE
PRESET,PAPI_F,DERIVED_SUB,X:ALL,Y:ONE,Y:TWO
"""


def test_presets_are_sums_of_their_cpu_s_blocks():
    lines = PAPI.splitlines()
    found = {name: dict(form.coefficients) for name, form in vendor_files.presets(lines, ("two",)).items()}
    assert found == {
        "PAPI_A": {"X:ALL": 1},
        "PAPI_B": {"X:ALL": 1, "Y:ONE": 1},
        "PAPI_D": {"X:ALL": 1, "Y:ONE": 2, "Y:TWO": -1},
        "PAPI_F": {"X:ALL": 1, "Y:ONE": -1, "Y:TWO": -1},
    }
    with pytest.raises(InputError, match="nothing for three"):
        vendor_files.presets(lines, ("three",))


def test_files_that_cannot_be_read_are_named():
    with pytest.raises(InputError, match=r"bad\.json: no list of Metrics"):
        vendor_files.metrics({"Events": []}, "bad.json")
    with pytest.raises(InputError, match=r"bad\.json, metric 'm'.*its end"):
        vendor_files.metrics([{"MetricName": "m", "MetricExpr": "A +"}], "bad.json")
    with pytest.raises(InputError, match=r"bad\.json, event 'E'"):
        vendor_files.event_codes([{"EventName": "E", "EventCode": "0x1", "UMask": "zz"}], "bad.json")


def test_the_command_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.delenv("CREDENCE_MIRROR", raising=False)
    assert extract.main(["power9"]) == 2
    assert "CREDENCE_MIRROR" in capsys.readouterr().err


# How much the files of each CPU yield: expressions read, identities, inequalities.
YIELD = {
    "skylakex": (260, 42, 73),
    "icelakex": (282, 33, 51),
    "broadwellx": (176, 58, 80),
    "zen2": (11, 22, 29),
    "zen3": (13, 29, 33),
    "power9": (328, 9, 19),
    "power10": (177, 0, 2),
}


@pytest.mark.third_party
@pytest.mark.parametrize("cpu", YIELD)
def test_every_expression_of_a_cpu_is_read(cpu):
    found = extract.extract(cpu)
    equal = sum(relation.kind == "eq" for relation in found.relations)
    assert (found.expressions, equal, len(found.relations) - equal) == YIELD[cpu]
    assert known_relations(cpu)


@pytest.mark.third_party
@pytest.mark.parametrize("cpu", ["skylakex", "icelakex", "broadwellx"])
def test_tables_in_git_are_what_the_files_yield(cpu):
    assert read_relations(paths.data_dir() / "bayesperf" / f"relations-{cpu}.toml") == extract.extract(cpu).relations


@pytest.mark.third_party
def test_every_metric_of_the_mirror_is_read():
    files = [pair for cpu in vendor.PMU_EVENTS for pair in vendor.pmu_events(cpu).items()]
    intel = [pair for cpu in vendor.PERFMON for pair in vendor.perfmon(cpu).items()]
    files += [(name, document) for name, document in intel if "metrics" in name]
    assert sum(len(vendor_files.metrics(document, name)) for name, document in files) == 1901
    # none of them is under the BSD licence but Intel's: only those may become a table in git
    with pytest.raises(InputError, match=r"GPL-2\.0"):
        extract.table(extract.extract("power9"))
