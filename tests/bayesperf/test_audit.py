"""The audit: true relations hold, wrong ones are named, and what cannot be tested is said so."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from credence.bayesperf.data.observations import from_readings
from credence.bayesperf.infer import smooth
from credence.bayesperf.infer.audit import AuditSettings, audit, screen
from credence.bayesperf.infer.evidence import Beliefs, log_student, weigh
from credence.bayesperf.model.relations import parse_relation
from credence.bayesperf.world.replay import replay
from credence.bench import catalogue
from credence.bench.errors import InputError

EVENTS = ("ALL", "HIT", "MISS", "STALL", "FILL", "CLK")
TRUE = (
    parse_relation("ALL = HIT + MISS", "parts"),
    parse_relation("STALL = 24*MISS", "cost"),
    parse_relation("FILL = MISS", "fills"),
)


@pytest.fixture
def readings():
    rng = np.random.default_rng(1)
    level = np.exp(0.3 * rng.standard_normal((120, 4))).cumsum(axis=0) % 3 + 0.5
    hit, miss = 30000 * level, 20000 * np.roll(level, 17, axis=0)
    return np.stack([hit + miss, hit, miss, 24 * miss, miss, np.full_like(hit, 4e6)], axis=2)


def run(readings, on=None, seed=2, **noise):
    on = np.ones((len(readings), len(EVENTS)), bool) if on is None else on
    return replay(EVENTS, readings, on, np.random.default_rng(seed), **noise)


def test_true_relations_hold_under_noise_and_skid(readings):
    found = audit(run(readings), [*TRUE, parse_relation("MISS <= ALL"), parse_relation("FILL <= MISS")])
    assert [a.verdict for a in found] == ["holds"] * 5
    assert all(a.probability > 0.9 for a in found)
    assert all(a.evidence == "together" and a.slices == 120 for a in found)


@pytest.mark.parametrize(("event", "factor"), [("HIT", 0.95), ("MISS", 1.05), ("ALL", 0.98)])
def test_a_wrong_coefficient_is_named(readings, event, factor):
    wrong = replace(TRUE[0], coefficients=TRUE[0].coefficients | {event: TRUE[0].coefficients[event] * factor})
    found, *others = audit(run(readings), [wrong, *TRUE[1:]])
    assert found.verdict == "broken"
    assert found.probability < 1e-3
    assert found.suspect == event
    assert found.factor == pytest.approx(1 / factor, abs=0.01)
    assert event in found.reason
    assert [a.verdict for a in others] == ["holds", "holds"]  # one wrong relation does not make others doubtful


def test_a_missing_term_is_found_without_a_suspect(readings):
    rng = np.random.default_rng(3)
    readings = readings.copy()
    readings[:, :, 0] += 20000 * rng.random((120, 1))
    found = audit(run(readings), TRUE)
    assert [a.verdict for a in found] == ["broken", "holds", "holds"]


def test_a_wrong_order_is_broken_and_a_tight_one_holds(readings):
    found = audit(run(readings), [*TRUE, parse_relation("ALL <= HIT"), parse_relation("ALL <= 0.98*HIT + 0.98*MISS")])
    assert [a.verdict for a in found[3:]] == ["broken", "broken"]
    assert "violated in 100.0%" in found[3].reason


@pytest.mark.parametrize(("slices", "verdict"), [(0, "holds"), (1, "holds"), (12, "broken"), (60, "broken")])
def test_an_order_outlives_a_torn_reading_but_not_many(readings, slices, verdict):
    """Events that are read one after the other: once in a while the part has what the whole has not yet."""
    torn = readings.copy()
    torn[5 : 5 + slices, -1, 1] += 0.5 * torn[5 : 5 + slices, :, 0].sum(axis=1)
    found = audit(run(torn), [*TRUE, parse_relation("HIT <= ALL", "order")])
    assert found[-1].verdict == verdict
    assert f"of {len(readings)} slices" in found[-1].reason


def test_scaled_counts_break_an_order_here_and_there_but_not_in_all(readings):
    """A log without identities does not show its noise: perf's scaled counts violate true orders in single slices."""
    rng = np.random.default_rng(6)
    scaled = readings * np.exp(0.3 * rng.standard_normal((120, 1, 6)))
    orders = [parse_relation("HIT <= ALL"), parse_relation("ALL <= HIT")]
    found = audit(run(scaled), orders)
    assert [a.verdict for a in found] == ["holds", "broken"]
    assert np.mean(scaled[:, 0, 1] > scaled[:, 0, 0]) > 0.02


def test_an_order_that_is_never_violated_holds_however_bursty_the_run():
    """The mean of few bursts says nothing; it must not make an order doubtful that every slice keeps."""
    whole = np.full(30, 10.0)
    whole[7] = 1e7
    counts = np.stack([whole, 0.2 * whole], axis=1)[:, None, :]
    observations = from_readings(("ALL", "PART"), counts, np.ones((30, 2), bool))
    (found,) = audit(observations, [parse_relation("PART <= ALL")])
    assert found.verdict == "holds"
    assert "violated in 0.0%" in found.reason
    assert found.probability > 0.92  # not just what was believed before


def test_scaled_counts_do_not_break_an_identity():
    """One reading of a share of the interval, scaled: a true identity is off by far more than a reading's noise."""
    rng = np.random.default_rng(7)
    hit, miss = 30000 * np.exp(0.3 * rng.standard_normal((2, 600)))
    counts = np.stack([hit + miss, hit, miss], axis=1) * (1 + 0.1 * rng.standard_normal((600, 3)))
    observations = from_readings(("ALL", "HIT", "MISS"), counts[:, None, :], np.ones((600, 3), bool))
    texts = ("ALL = HIT + MISS", "ALL = HIT + 2*MISS", "ALL = 0.5*HIT + MISS")
    verdicts = [audit(observations, [parse_relation(text)])[0].verdict for text in texts]
    assert verdicts == ["holds", "broken", "broken"]


def test_events_never_counted_together_are_not_testable(readings):
    on = np.ones((120, 6), bool)
    on[::2, [0, 3]] = False
    on[1::2, [1, 2]] = False
    found = audit(run(readings, on), [*TRUE, parse_relation("HIT <= ALL"), parse_relation("OTHER = ALL", "alien")])
    assert [a.verdict for a in found] == ["not testable", "not testable", "holds", "not testable", "not testable"]
    assert np.isnan(found[0].probability)
    assert "together too seldom" in found[3].reason
    assert "never counted together" in found[0].reason
    assert "never counted here: OTHER" in found[4].reason


def test_a_steady_run_can_be_tested_over_time():
    steady = np.tile([50000.0, 30000, 20000, 480000, 20000, 4e6], (200, 4, 1))
    on = np.ones((200, 6), bool)
    on[::2, 0] = False
    on[1::2, 1:3] = False
    true, wrong = parse_relation("ALL = HIT + MISS", "true"), parse_relation("ALL = 0.9*HIT + MISS", "wrong")
    found = audit(run(steady, on), [true, wrong])
    assert [(a.evidence, a.verdict) for a in found] == [("over time", "holds"), ("over time", "broken")]


def test_events_that_never_happen_say_nothing(readings):
    readings = readings.copy()
    readings[:, :, 2:5] = 0
    found = audit(run(readings), TRUE[1:])
    assert [a.verdict for a in found] == ["not testable"] * 2
    assert "counts are 0" in found[0].reason


def test_what_the_audit_could_not_have_seen_is_said(readings):
    readings = readings.copy()
    readings[:, :, 2] *= 0.001
    readings[:, :, 0] = readings[:, :, 1] + readings[:, :, 2]
    found, *_ = audit(run(readings), TRUE[:1])
    assert found.verdict == "holds"
    assert found.visible["MISS"] > 0.05 > found.visible["HIT"]
    assert "blind to errors of MISS" in found.reason


def test_names_must_differ(readings):
    with pytest.raises(InputError, match="named twice: parts"):
        audit(run(readings), [TRUE[0], TRUE[0]])


def test_screening_sorts_and_reduces_to_the_events_of_the_run(readings):
    wrong = parse_relation("STALL = 27*MISS", "wrong")
    found = screen(run(readings), [TRUE[0], wrong, parse_relation("FILL = X", "x"), parse_relation("MISS = X", "y")])
    assert [a.relation.name for a in found.refused] == ["wrong"]
    assert {r.name for r in found.relations if r.kind == "eq"} == {"parts", "from x & y"}
    assert found.soft == ()
    assert len(found.audits) == 4


def test_without_noise_a_true_relation_holds_and_a_slightly_wrong_one_does_not(readings):
    wrong = parse_relation("STALL = 24.1*MISS", "wrong")
    found = audit(run(readings, read_noise=0.0, skid=0.0), [*TRUE, wrong])
    assert [a.verdict for a in found] == ["holds"] * 3 + ["broken"]


def test_one_reading_a_slice_is_enough(readings):
    total = readings.sum(axis=1, keepdims=True)
    noisy = total * (1 + 0.005 * np.random.default_rng(4).standard_normal(total.shape))
    observations = from_readings(EVENTS, noisy, np.ones((120, 6), bool))
    wrong = parse_relation("STALL = 25.2*MISS", "wrong")
    assert [a.verdict for a in audit(observations, [*TRUE, wrong])] == ["holds"] * 3 + ["broken"]


def test_student_density_is_scipy_s():
    x = np.linspace(-30, 30, 11)
    assert log_student(x, np.full(11, 2.5), 6.0) == pytest.approx(student.logpdf(x, 6, scale=2.5))


def test_evidence_is_the_integral():
    """Against brute force: integrate the likelihood over delta and log sigma."""
    rng = np.random.default_rng(5)
    terms = np.exp(0.5 * rng.standard_normal((12, 1))) * 100
    weight, noise, nu, spread = terms[:, 0] ** 2, 0.05, 6.0, 0.4
    residual = 0.08 * terms[:, 0] + noise * np.sqrt(weight) * rng.standard_t(nu, 12)
    beliefs = Beliefs(holds=0.5, factor=0.5, other=0.0, factor_scales=(0.05,), noise_spread=spread, degrees=nu)

    def likelihood(deltas, offsets):
        scale = noise * np.exp(spread * offsets)[:, None, None] * np.sqrt(weight)
        rest = residual - deltas[None, :, None] * terms[:, 0]
        return (
            np.exp(student.logpdf(rest / scale, nu).sum(axis=2) - np.log(scale).sum(axis=2))
            * norm.pdf(offsets)[:, None]
        )

    deltas, offsets = np.linspace(-0.2, 0.3, 400), np.linspace(-4, 4, 80)
    holds = np.trapezoid(likelihood(np.zeros(1), offsets)[:, 0], offsets)
    factor = np.trapezoid(
        np.trapezoid(likelihood(deltas, offsets) * norm.pdf(deltas, 0, 0.05), deltas, axis=1), offsets
    )
    exact = holds / (holds + factor)
    assert weigh(residual, terms, weight, noise, beliefs, other=False).probability == pytest.approx(exact, rel=0.15)


def test_settings_set_the_verdict(readings):
    doubtful = AuditSettings(holds=0.999999, broken=0.1)
    found = audit(run(readings), TRUE, doubtful)
    assert {a.verdict for a in found} == {"doubtful"}
    assert len(screen(run(readings), TRUE, doubtful).soft) == 3


def test_estimates_stay_sane_when_a_wrong_identity_is_given(readings):
    on = np.ones((120, 6), bool)
    on[np.arange(120) % 3 == 1, 0:2] = False
    on[np.arange(120) % 3 == 2, 3:5] = False
    observations = run(readings, on)
    wrong = parse_relation("STALL = 48*MISS", "wrong")
    truth = readings.sum(axis=1)

    def error(relations, soft=()):
        estimate = smooth(observations, [r for r in relations if r.kind == "eq"], soft=soft).mean
        return float((np.abs(estimate - truth).sum(axis=0) / truth.sum(axis=0)).mean())

    given = (TRUE[0], wrong, TRUE[2])
    screened = screen(observations, given)
    assert [a.relation.name for a in screened.refused] == ["wrong"]
    unscreened, sane, best = error(given), error(screened.relations, screened.soft), error((TRUE[0], TRUE[2]))
    assert sane == pytest.approx(best, rel=0.02)
    assert sane < 0.5 * unscreened


def test_counts_of_a_real_kernel():
    """Software events of a real run: what the kernel counts twice agrees, and a plausible slip is found."""
    frame = catalogue.frame("bayesperf-kernel-software-events").drop(columns="time_s")
    counts = frame.to_numpy(float)[:, None, :]
    observations = from_readings(list(frame.columns), counts, np.isfinite(counts[:, 0, :]))
    true = (
        "page-faults = minor-faults + major-faults",
        "context-switches = sched:sched_switch",
        "raw_syscalls:sys_enter = raw_syscalls:sys_exit",
        "irq:softirq_entry = irq:softirq_exit",
    )
    slip = "page-faults = exceptions:page_fault_user + exceptions:page_fault_kernel"
    relations = [parse_relation(text, events=observations.events) for text in (*true, slip)]
    found = audit(observations, relations)
    assert [a.verdict for a in found] == ["holds"] * 4 + ["broken"]
