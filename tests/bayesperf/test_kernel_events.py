"""The kernel's own events: identities on real counts. Callgrind: the traces' order of magnitude by another tool."""

import numpy as np

from credence.bayesperf.data import traces
from credence.bayesperf.model.relations import matrix, read_relations
from credence.bench import catalogue, paths


def test_identities_of_kernel_events_hold_up_to_the_order_of_reading():
    frame = catalogue.frame("bayesperf-kernel-software-events")
    relations = read_relations(paths.data_dir() / "bayesperf" / "relations-kernel-software.toml")
    events = [name for name in frame.columns if name != "time_s"]
    counts = frame[events].to_numpy(float)
    identities = matrix(relations, events, "eq")
    assert len(identities) == 4
    residual = np.abs(counts @ identities.T)
    assert residual.max(axis=0).tolist() == [1, 2, 5, 0]
    assert (residual.sum(axis=0) <= 0.001 * (counts @ np.abs(identities).T).sum(axis=0)).all()
    orders = matrix(relations, events, "le")
    assert len(orders) == 1
    assert (counts @ orders.T <= 5).all()


def test_callgrind_finds_the_same_kind_of_program_that_was_traced():
    dumps = catalogue.frame("bayesperf-callgrind-gzip")
    found = traces.trace("qemu-x86", "gzip")
    counts = dict(zip(found.events, found.counts.sum(axis=0), strict=True))
    # another input, and callgrind has no second level and no prefetcher: per instruction, within a factor
    for ours, theirs, factor in (
        (("L1D_LD_MISS",), ("D1mr",), 1.3),
        (("LOADS",), ("Dr",), 1.3),
        (("STORES",), ("Dw",), 1.3),
        (("BR_COND",), ("Bc",), 1.3),
        (("BR_MISP_COND",), ("Bcm",), 1.6),
    ):
        one = sum(counts[name] for name in ours) / counts["INST"]
        other = dumps[list(theirs)].to_numpy().sum() / dumps["Ir"].sum()
        assert 1 / factor < one / other < factor, (ours, one, other)
