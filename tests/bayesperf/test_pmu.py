"""Event lists, and whether a configuration fits the counters."""

import itertools

import pytest

from credence.bayesperf.data import paper, pmu, traces
from credence.bench.errors import InputError


@pytest.mark.parametrize("name", ["qemu-x86", "qemu-ppc64"])
@pytest.mark.parametrize("kind", pmu.LIST_KINDS)
def test_a_list_grows_by_the_events_after_it(name, kind):
    machine = pmu.pmu(name)
    lists = [pmu.event_list(machine, n, kind) for n in pmu.LIST_SIZES]
    for shorter, longer in itertools.pairwise(lists):
        assert longer[: len(shorter)] == shorter
    assert [len(set(events)) for events in lists] == list(pmu.LIST_SIZES)
    assert not set(lists[-1]) & set(machine.fixed)


@pytest.mark.parametrize("name", ["qemu-x86", "qemu-ppc64"])
def test_the_vendor_list_is_the_mapping_of_the_kernels_metrics(name):
    metrics = pmu.vendor_metrics(name)
    assert len({metric["name"] for metric in metrics}) == len(metrics)
    first = [event for metric in metrics[:10] for _, events in metric["events"] for event in events]
    assert pmu.event_list(pmu.pmu(name), len(set(first))) == tuple(dict.fromkeys(first))
    # a copy of a fixed counter would be known for nothing
    assert "SL_RETIRING" not in pmu.event_list(pmu.pmu(name), 35)


def test_an_event_of_the_vendors_stands_for_the_same_events_everywhere():
    for name in ("qemu-x86", "qemu-ppc64"):
        meaning = {}
        for metric in pmu.vendor_metrics(name):
            for vendor, events in metric["events"]:
                assert meaning.setdefault(vendor, events) == events, vendor


def test_another_number_of_counters():
    assert pmu.pmu("qemu-x86").counters == 4
    assert pmu.pmu("qemu-x86", 8).counters == 8
    with pytest.raises(InputError, match="--counters is 0"):
        pmu.pmu("qemu-x86", 0)
    with pytest.raises(InputError, match=r"unknown PMU 'skylake'.*skylakex"):
        pmu.pmu("skylake")
    with pytest.raises(InputError, match="n is 36; allowed: 1 to 35"):
        pmu.event_list(pmu.pmu("qemu-x86"), 36, "closed")


def placed_by_trying(found, group):
    for counters in itertools.permutations(range(found.counters), len(group)):
        if all(c in found.constraints.get(e, range(found.counters)) for e, c in zip(group, counters, strict=True)):
            return True
    return False


def test_a_configuration_fits_if_some_way_of_placing_it_does():
    constraints = {"a": (0,), "b": (0, 1), "c": (1,), "d": (1, 2)}
    found = pmu.Pmu("made up", 3, ("f",), (), constraints)
    fits = {}
    for size in (1, 2, 3):
        for group in itertools.permutations("abcde", size):
            seats = pmu.place(found, ("f", *group))
            fits[group] = seats is not None
            assert fits[group] == placed_by_trying(found, group)
            if seats:
                assert set(seats) == set(group)
                assert len(set(seats.values())) == size
                assert all(seats[e] in constraints.get(e, range(3)) for e in group)
    assert fits["a", "d", "c"]
    assert not fits["a", "b", "c"]
    assert pmu.place(found, "abde") is None


def test_one_of_broadwells_events_has_one_counter():
    found = pmu.pmu("broadwellx")
    pending = ("L1D_PEND_MISS.PENDING", "L1D_PEND_MISS.PENDING_CYCLES")
    assert pmu.place(found, pending[:1]) == {pending[0]: 2}
    assert pmu.place(found, pending) is None
    assert pmu.place(pmu.pmu("broadwellx", 2), pending[:1]) is None


def test_the_papers_means_come_out_of_its_digitised_bars():
    bars = paper.paper_figure("fig6")
    assert len(bars) == 28
    assert bars["linux_ppc64_err_pct"].mean() == pytest.approx(40.1, abs=0.05)
    assert bars["bayesperf_ppc64_err_pct"].mean() == pytest.approx(7.6, abs=0.1)
    assert set(paper.WORKLOADS) <= set(bars["workload"])
    assert set(paper.WORKLOADS.values()) <= {*traces.programs("qemu-x86"), *traces.programs("qemu-ppc64")}
    assert set(paper.paper_figure("fig8").query("series == 'bayesperf_x86'")["n_counters"]) == set(pmu.LIST_SIZES)
    with pytest.raises(InputError, match="fig2"):
        paper.paper_figure("fig2")
