"""Maps of the claim: predictors of a wanted quality, common random numbers, theory, sweeps."""

import inspect

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from credence.bench.errors import InputError
from credence.bench.sweep import grid
from credence.ssjf.evaluate import maps, maps_checks
from credence.ssjf.world import capacity_rate

TOKENS = np.random.default_rng(7)
LENGTHS = {
    "smooth": TOKENS.integers(2, 512, 4000),
    "many ties": np.clip(np.rint(TOKENS.lognormal(2.5, 0.5, 4000)), 1, 200).astype(int),
}


@pytest.fixture(scope="module")
def source():
    return maps.population("ssjf-simulated-vicuna")


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=list(LENGTHS))
@pytest.mark.parametrize("tau", [0.0, 0.3, 0.63, 0.8])
def test_a_noisy_predictor_reaches_its_tau(lengths, tau):
    nominal = maps.nominal_tau(lengths, tau)
    keys = [maps.coarse_key(lengths, nominal, np.random.default_rng(k)) for k in range(12)]
    assert np.mean([stats.kendalltau(lengths, key).statistic for key in keys]) == pytest.approx(tau, abs=0.01)


def test_tau_one_is_the_true_order(source):
    key = maps.coarse_key(source["output_tokens"], maps.nominal_tau(source["output_tokens"], 1.0), TOKENS)
    lengths = source["output_tokens"].to_numpy()
    assert np.all(np.diff(lengths[np.argsort(key)]) >= 0)


def test_a_coarse_predictor_has_five_classes_and_the_authors_tau():
    lengths = LENGTHS["many ties"]
    nominal = maps.nominal_tau(lengths, maps.AUTHORS_TAU, maps.CLASS_LEVELS)
    keys = [maps.coarse_key(lengths, nominal, np.random.default_rng(k), maps.CLASS_LEVELS) for k in range(12)]
    assert all(set(key) == {0, 1, 2, 3, 4} for key in keys)
    reached = np.mean([stats.kendalltau(lengths, key).statistic for key in keys])
    assert reached == pytest.approx(maps.AUTHORS_TAU, abs=0.01)
    # tau-b does not count ties against a key: classes of the same tau-b order worse than numbers do
    assert nominal < maps.nominal_tau(lengths, maps.AUTHORS_TAU)


def test_what_no_predictor_can_reach_is_refused():
    with pytest.raises(InputError, match=r"tau is 1\.5; allowed: 0\.\.1"):
        maps.nominal_tau(LENGTHS["smooth"], 1.5)
    with pytest.raises(InputError, match=r"tau is 0\.99 with 5 classes; allowed: up to 0\.\d\d"):
        maps.nominal_tau(LENGTHS["smooth"], 0.99, maps.CLASS_LEVELS)


def test_the_simulated_sets_own_classes_are_about_as_good_as_the_authors(source):
    found = stats.kendalltau(source["output_tokens"], source["predicted"]).statistic
    assert found == pytest.approx(maps.AUTHORS_TAU, abs=0.01)


def test_cells_share_prompts_gaps_and_errors(source):
    nominal = maps.nominal_taus(source, (maps.OWN, 0.63))
    one, same, other = (maps.workload(source, nominal, 300, draw, 0) for draw in (3, 3, 4))
    assert np.array_equal(one.output_tokens, same.output_tokens)
    assert np.array_equal(one.keys[0.63], same.keys[0.63])
    assert not np.array_equal(one.gaps, other.gaps)
    assert not np.array_equal(one.output_tokens, other.output_tokens)
    alone = maps.map_draws(source, [0.9], [2], [0.63], count=300, draws=2)
    among = maps.map_draws(source, [0.5, 0.9], [1, 2], [maps.OWN, 0.63, 1.0], count=300, draws=2)
    for name in maps.QUANTITIES:
        assert np.array_equal(maps.cell_metric(alone, name, 0.9, 2, 0.63), maps.cell_metric(among, name, 0.9, 2, 0.63))


def test_gaps_have_rate_one_and_the_wanted_burstiness(source):
    work = maps.workload(source, {}, 40_000, 0, 0, cv=3.0)
    assert work.gaps.mean() == pytest.approx(1.0, abs=0.06)
    assert work.gaps.std() / work.gaps.mean() == pytest.approx(3.0, rel=0.06)


def test_measure_of_a_schedule_worked_out_by_hand():
    class Served:
        def __init__(self, start, end):
            self.start_s, self.end_s = np.array(start, float), np.array(end, float)

    arrival = np.array([0.0, 0.0, 0.0])
    fcfs, other = Served([0, 8, 9], [8, 9, 10]), Served([2, 0, 1], [10, 1, 2])
    found = maps.measure(arrival, fcfs, other, warm_up=0.0)
    assert found["fcfs_mean_s"] == 9
    assert found["mean_s"] == pytest.approx(13 / 3)
    assert found["cut"] == pytest.approx(100 * (1 - 13 / 27))
    assert found["longest_ratio"] == pytest.approx(2 / 9)
    late = maps.measure(arrival, fcfs, other, warm_up=0.34)
    assert late["fcfs_mean_s"] == 9.5
    assert late["mean_s"] == 1.5


def test_one_server_agrees_with_queueing_theory(source):
    """Cobham's queue is exact for the five classes and for the oracle; 4 standard errors over workloads."""
    exact = maps_checks.exact_cuts(source, [0.5, 0.8]).set_index(["load", "predictor"])
    draws = maps.map_draws(source, [0.5, 0.8], [1], [maps.OWN, 1.0], count=12_000, draws=8)
    for place, rows in draws.groupby(["load", "predictor"]):
        for name in ("fcfs_mean_s", "mean_s"):
            error = rows[name].std(ddof=1) / np.sqrt(len(rows))
            assert abs(rows[name].mean() - exact.loc[place, name]) < 4 * error, (place, name)


def test_the_notes_check_agrees_with_theory_on_one_server(source):
    """An earlier check of this project, 5 runs of 4,000 requests, from the authors' own file."""
    notes = maps_checks.notes_check().query("slots == 1")
    both = notes.merge(maps_checks.exact_cuts(source, [0.5, 0.8, 0.9, 0.95]), on=["load", "predictor"])
    assert len(both) == 8
    assert (both["cut_x"] - both["cut_y"]).abs().max() < 2.5  # [points]; the stand-in's classes differ a little


def test_the_notes_stand_beside_ours(source):
    frame = maps.map_frame(maps.map_draws(source, [0.8, 0.85], [1], [maps.OWN, 1.0], count=600, draws=2))
    table = maps_checks.beside_notes(frame)
    assert table["cut, notes [%]"].tolist() == [25.6, 33.8]  # load 0.85 is not in the notes
    assert table["p99, notes [s]"].tolist() == ["62 → 88", "–"]
    assert table["cut, ours [%]"][0].startswith(f"{frame['cut'][0]:.1f} [")


def test_a_better_predictor_and_a_busier_server_cut_more_and_more_slots_less(source):
    frame = maps.map_frame(maps.map_draws(source, [0.6, 0.9], [1, 8], [0.3, 0.8], count=3000, draws=4))
    cut = frame.set_index(["load", "slots", "predictor"])["cut"]
    assert cut[0.9, 1, "tau 0.8"] > cut[0.9, 1, "tau 0.3"] > cut[0.6, 1, "tau 0.3"]
    assert cut[0.9, 1, "tau 0.8"] > cut[0.9, 8, "tau 0.8"]


def test_a_summary_counts_workloads_at_or_above_thirty_percent():
    rows = pd.DataFrame({name: [10.0, 30.0, 50.0, 29.999] for name in maps.QUANTITIES})
    found = maps.map_frame(rows.assign(load=0.9, slots=1, predictor="x", draw=range(4))).iloc[0]
    assert found["p_cut_30"] == 0.5
    assert found["draws"] == 4
    assert found["cut_lo"] == pytest.approx(np.quantile([10, 30, 50, 29.999], 0.05))


def test_a_grid_point_is_the_maps_cell_and_plain(source):
    found = maps.grid_point(0.9, 2, tau=0.63, count=400, draws=3)
    assert all(type(value) is float for value in found.values())
    frame = maps.map_frame(maps.map_draws(source, [0.9], [2], [0.63], count=400, draws=3))
    assert found["cut"] == frame["cut"].iloc[0]
    own = maps.grid_point(0.9, 2, predictor="own", count=400, draws=3)
    rows = maps.grid_cell(0.9, 2, count=400, draws=3)
    assert [row["predictor"] for row in rows] == [maps.label(maps.OWN), *(maps.label(tau) for tau in maps.TAUS)]
    assert rows[0]["cut"] == own["cut"]
    assert rows[2]["cut"] == found["cut"]


@pytest.mark.parametrize("name", ["load_by_slots", "where_it_holds_map", "where_it_holds_engines"])
def test_the_grid_files_of_the_maps_are_valid(name):
    points = grid.read(f"ssjf/{name}.grid.yaml").points
    function = maps.grid_point if name == "load_by_slots" else maps.grid_cell
    assert len(points) >= 30
    assert set(points[0]) == set(inspect.signature(function).parameters)


def test_continuous_batching_loads_are_relative_to_the_full_batch(source):
    """Measured engine, every request there at once: it finishes about as many a second as the map's load 1 means."""
    engine = {"batching": "continuous", "slots": 8, "engine": "vllm-rtxpro6000-llama3-8b"}
    rate = capacity_rate(source["prompt_tokens"], source["output_tokens"], **engine)
    work = maps.workload(source, maps.nominal_taus(source, [0.63]), 1500, 0, 0)
    crowd = maps.simulate_arrays(
        np.zeros(1500), work.prompt_tokens, work.output_tokens, batching="continuous", slots=8, profile=engine["engine"]
    )
    ends = np.sort(crowd.end_s)
    assert 900 / (ends[1200] - ends[300]) == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"load": 1.0}, r"load is 1\.0; allowed: above 0 and below 1"),
        ({"count": 10}, "count is 10; allowed: at least 100"),
        ({"draws": 0}, "draws is 0; allowed: at least 1"),
        ({"requests": "nothing"}, "nothing"),
        ({"engine": "no-such"}, "no-such"),
    ],
)
def test_a_point_out_of_range_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        maps.grid_point(**({"load": 0.5, "slots": 1, "count": 200, "draws": 1} | change))


def test_a_cell_that_is_not_on_the_map_is_refused(source):
    draws = maps.map_draws(source, [0.5], [1], [0.63], count=200, draws=1)
    with pytest.raises(InputError, match=r"no cell at load 0\.8, 1 slots, tau 0\.63"):
        maps.cell_metric(draws, "cut", 0.8, 1, 0.63)


@pytest.mark.third_party
def test_the_authors_own_predictions_have_tau_0635():
    frame = maps.population("ssjf-vicuna13b-predictions")
    assert stats.kendalltau(frame["output_tokens"], frame["predicted"]).statistic == pytest.approx(0.635, abs=0.001)
    notes = maps_checks.notes_check().query("slots == 1")
    both = notes.merge(maps_checks.exact_cuts(frame, [0.5, 0.8, 0.9, 0.95]), on=["load", "predictor"])
    assert (both["cut_x"] - both["cut_y"]).abs().max() < 1.2  # [points]
