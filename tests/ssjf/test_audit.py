import numpy as np
import pandas as pd
import pytest

from credence.bench import paths
from credence.bench.errors import InputError
from credence.ssjf.evaluate import audit
from credence.ssjf.world.released_arrivals import AXES, Requests
from credence.ssjf.world.released_quirks import ALL_OFF, ALL_ON, SWITCHES, Quirks, effective

rng = np.random.default_rng(3)
LENGTHS = rng.integers(2, 512, 500)
REQUESTS = Requests(LENGTHS, np.clip(LENGTHS // 110 + rng.integers(-1, 2, 500), 0, 4))
TRACE = np.cumsum(rng.exponential(0.2, 300))


@pytest.fixture(scope="module")
def study():
    return audit.Evaluation(REQUESTS, TRACE, draws=2, runs=2, jobs=12, seed=1)


# ---- Shapley values on games with known answers


def game(n, value):
    return np.array([value([i for i in range(n) if s >> i & 1]) for s in range(2**n)], dtype=float)


def test_additive_game_gives_each_player_its_own_part():
    parts = [3.0, -1.0, 0.0, 2.5]
    assert audit.shapley(game(4, lambda s: 7 + sum(parts[i] for i in s))).tolist() == pytest.approx(parts)


def test_glove_game():
    # one left glove (player 0), two right gloves: the classic 2/3, 1/6, 1/6
    shares = audit.shapley(game(3, lambda s: 0 in s and len(s) > 1))
    assert shares.tolist() == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_symmetry_and_dummy_player():
    # players 0 and 2 are alike, player 1 changes nothing, player 3 does
    values = game(4, lambda s: ((0 in s) + (2 in s)) ** 2 * (2 if 3 in s else 1))
    shares = audit.shapley(values)
    assert shares[0] == pytest.approx(shares[2])
    assert shares[1] == pytest.approx(0, abs=1e-12)
    assert shares[3] > 0


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_efficiency_draw_by_draw(n):
    values = np.random.default_rng(n).normal(size=(2**n, 7))
    np.testing.assert_allclose(audit.shapley(values).sum(axis=0), values[-1] - values[0])


def test_shapley_is_the_mean_over_orders():
    from itertools import permutations

    values = np.random.default_rng(0).normal(size=16)
    total = np.zeros(4)
    for order in permutations(range(4)):
        for place, i in enumerate(order):
            before = sum(1 << j for j in order[:place])
            total[i] += values[before | 1 << i] - values[before]
    np.testing.assert_allclose(audit.shapley(values), total / 24)


def test_one_at_a_time():
    values = game(3, lambda s: len(s) ** 2 + 10 * (2 in s))
    from_on, from_off = audit.one_at_a_time(values)
    assert from_on.tolist() == [5, 5, 15]
    assert from_off.tolist() == [1, 1, 11]


@pytest.mark.parametrize("size", [0, 1, 3, 511])
def test_a_table_that_is_no_power_of_two_is_refused(size):
    with pytest.raises(InputError, match=f"{size} subsets"):
        audit.shapley(np.zeros(size))


# ---- the study


def test_the_headline_is_the_released_average(study):
    means = {p: study.means("gamma", "none", 1, p) for p in ("FCFS", "SSJF")}
    found = study.compare("gamma", "none", 1)
    jct = {p: m["jct"][0].mean() for p, m in means.items()}
    assert found["jct_cut"][0] == pytest.approx(100 * (jct["FCFS"] - jct["SSJF"]) / jct["FCFS"])
    quarter, whole = (means["SSJF"]["throughput"].mean(1)[0] / means["FCFS"]["throughput"].mean(1)[0]).tolist()
    assert found["throughput_ratio"][0] == pytest.approx(quarter)
    assert study.compare("gamma", "none", 1, ALL_ON.but(d1=False))["throughput_ratio"][0] == pytest.approx(whole)
    assert means["FCFS"]["served"].tolist() == [[12.0] * 5] * 2


def test_subset_table_is_what_each_position_gives(study):
    values = study.subsets("azure", "dynamic", 3, "jct_cut")
    assert values.shape == (512, 2)
    fresh = audit.Evaluation(REQUESTS, TRACE, draws=2, runs=2, jobs=12, seed=1)
    for bits in (0, 511, 0b101010101, 0b010101110):
        expected = fresh.compare("azure", "dynamic", 3, Quirks.of_bits(bits))["jct_cut"]
        np.testing.assert_array_equal(values[bits], expected)
    shares = audit.shapley(values)
    np.testing.assert_allclose(shares.sum(axis=0), values[-1] - values[0])
    idle = [i for i, name in enumerate(SWITCHES) if name not in effective("dynamic", "azure")]
    np.testing.assert_allclose(shares[idle], 0, atol=1e-9)


def test_d1_changes_throughput_and_not_jct(study):
    shares = {q: audit.shapley(study.subsets("poisson", "none", 1, q)) for q in ("jct_cut", "throughput_ratio")}
    assert np.abs(shares["jct_cut"][0]).max() == 0
    assert np.abs(shares["throughput_ratio"][0]).min() > 0.01


def test_no_batching_serves_the_same_work_in_the_same_time(study):
    # nobody idles while somebody waits, and no job is dropped: the last completion is the same
    found = study.compare("poisson", "none", 1, ALL_OFF)
    np.testing.assert_allclose(found["ratios"][:, study.shares.index(100.0)], 1)
    np.testing.assert_allclose(found["throughput_ratio"], 1)


def test_arrivals_are_common_to_all_draws_and_requests_to_all_switches(study):
    one = audit.Evaluation(REQUESTS, TRACE, draws=1, runs=2, jobs=12, seed=1)
    np.testing.assert_array_equal(one.rows("gamma")[0], study.rows("gamma")[0])
    for kind in AXES:
        np.testing.assert_array_equal(one.arrivals(kind, ALL_OFF), study.arrivals(kind, ALL_OFF))
    np.testing.assert_array_equal(
        one.compare("azure", "none", 1)["jct_cut"], study.compare("azure", "none", 1)["jct_cut"][:1]
    )


def test_without_a_trace_azure_is_left_out():
    small = audit.Evaluation(REQUESTS, draws=1, runs=1, jobs=5)
    assert small.kinds == ("poisson", "gamma")
    assert set(audit.table(small, cells=(("none", 1),)).arrivals) == {"poisson", "gamma"}
    with pytest.raises(InputError, match="trace of at least 5"):
        small.means("azure", "none", 1, "FCFS")


def test_frames_hang_together(study):
    values = study.subsets("poisson", "continuous", 3, "jct_cut")
    steps = audit.waterfall(values)
    assert steps.switch.iloc[0] == ""
    assert steps.end.iloc[0] == pytest.approx(values[-1].mean())
    assert steps.end.iloc[-1] == pytest.approx(values[0].mean())
    assert steps.end.iloc[-2] == pytest.approx(steps.end.iloc[-1])  # the steps lead from one end to the other
    np.testing.assert_allclose(steps.start[1:-1], steps.end[:-2])
    assert (steps.lo <= steps.hi).all()
    found = audit.effects(values)
    assert found[found.method == "Shapley"].effect.sum() == pytest.approx(values[-1].mean() - values[0].mean())
    assert len(found) == 27
    whole = audit.table(study, cells=(("continuous", 3),))
    row = whole[(whole.arrivals == "poisson") & (whole.policy == "SSJF")].iloc[0]
    assert row.jct_cut == pytest.approx(values[-1].mean())
    lines = audit.curves(study, "continuous", 3)
    jct = lines[lines.arrivals == "poisson"].groupby("policy").jct.mean()
    assert row.jct_cut == pytest.approx(100 * (1 - jct["SSJF"] / jct["FCFS"]), abs=2)  # ratio of means, mean of ratios
    share = audit.by_share(study, "poisson", "continuous", 3)
    assert share.ratio.tolist() == pytest.approx([row.ratio_25, row.ratio_100])


def test_bad_input_is_refused(study):
    with pytest.raises(InputError, match="unknown quantity 'jct'"):
        study.subsets("poisson", "none", 1, "jct")
    with pytest.raises(InputError, match="25 and 100 must be among them"):
        audit.Evaluation(REQUESTS, draws=1, runs=1, jobs=5, shares=(50,)).compare("poisson", "none", 1)


# ---- the authors' own file


@pytest.fixture(scope="module")
def authors():
    if not paths.mirror():
        pytest.skip("CREDENCE_MIRROR is not set")
    from credence.ssjf.data import azure, vicuna_predictions

    frame = vicuna_predictions()
    requests = Requests(frame.output_token_length.to_numpy(), frame.pred_multi_cls.to_numpy())
    return requests, azure("conv").arrival_s.to_numpy()


@pytest.mark.third_party
def test_with_the_programs_own_random_numbers_every_printed_cell_comes_out(authors):
    study = audit.Evaluation.with_authors_stream(*authors)
    printed = pd.read_csv(paths.data_dir() / "paper_figures" / "ssjf" / "released_rerun.csv")
    ours = pd.concat(
        [
            audit.table(study).assign(switches="all on"),
            audit.table(study, ALL_ON.but(d2=False), audit.CELLS[1:]).assign(switches="d2 off"),
        ]
    )
    both = printed.merge(ours, on=["switches", "mode", "slots", "arrivals", "policy"], suffixes=("_printed", ""))
    assert len(both) == len(printed) == 60
    # printed to 0.1 % and 0.01; the rest is rounding dust in the program's clock, which it adds up second by second
    assert (both.jct_cut - both.jct_cut_printed).abs().max() < 0.2
    assert (both.ratio_25 - both.ratio_25_printed).abs().max() < 0.011


@pytest.mark.third_party
def test_the_headline_on_the_authors_predictions(authors):
    study = audit.Evaluation(*authors, draws=20)
    released = study.compare("poisson", "none", 1)
    assert released["jct_cut"].mean() == pytest.approx(32, abs=2)
    assert released["throughput_ratio"].mean() == pytest.approx(3.0, abs=0.3)
    assert released["ratios"][:, 1].mean() == pytest.approx(1, abs=0.005)
    no_timeout = study.compare("poisson", "continuous", 8, ALL_ON.but(d2=False))
    assert no_timeout["jct_cut"].mean() == pytest.approx(13.5, abs=2)
