"""The case study: readers from error tables, iterations needed, bootstrap, breaks, recorded files, figures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from credence.bayesperf.evaluate import pcie, pcie_recorded
from credence.bayesperf.evaluate.pcie_training import Learning
from credence.bayesperf.figures import pcie as figures
from credence.bayesperf.world.pcie import Setting, bandwidth_law
from credence.bench.errors import InputError
from credence.bench.report_check import _figure_problems

# made up, for tests only
TABLE = pd.DataFrame(
    {
        "system": ["Linux", "CounterMiner", "BayesPerf"],
        "mean_error": [0.4, 0.3, 0.1],
        "bias": [0.05, 0.05, 0.2],
        "autocorrelation": [0.8, 0.7, 0.5],
    }
)


def made_up_curves(speeds, seeds=(0, 1), most=200):
    """Losses that fall as 1 → 0.4 with a time constant of their own."""
    rows = [
        (system, seed, k, 0.4 + 0.6 * np.exp(-k / (speed * (1 + 0.1 * seed))))
        for system, speed in speeds.items()
        for seed in seeds
        for k in range(0, most + 1, 10)
    ]
    return pd.DataFrame(rows, columns=["system", "seed", "iteration", "loss"])


def test_readers_take_errors_from_the_table_and_ages_from_figure_3():
    found = {error.system: error for error in pcie.readers(TABLE)}
    assert list(found) == list(pcie.SYSTEMS)
    assert found["Linux"].mean_error == 0.4
    assert found["BayesPerf"].bias == 0.1  # never more than the mean error
    assert replace(found["BayesPerf CPU"], system="BayesPerf", age=found["BayesPerf"].age) == found["BayesPerf"]
    assert found["BayesPerf CPU"].age > 0.15
    assert found["exact"].mean_error == 0


def test_the_papers_errors_are_those_of_figure_8_at_32_events():
    found = pcie.error_table("paper").set_index("system")["mean_error"]
    assert found.to_dict() == pytest.approx({"Linux": 0.502, "CounterMiner": 0.4462, "BayesPerf": 0.1716})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.drop(columns="bias"), "no column bias"),
        (lambda t: t[:2], "one row each"),
        (lambda t: pd.concat([t, t[:1]]), "one row each"),
        (lambda t: t.assign(mean_error=np.nan), "a number is missing"),
    ],
)
def test_a_table_of_errors_that_is_none_is_refused(change, named):
    with pytest.raises(InputError, match=named):
        pcie.checked_errors(change(TABLE))


def test_iterations_needed_are_counted_to_linuxs_level():
    found = pcie.needed(made_up_curves({"Linux": 40, "BayesPerf": 20}, most=400)).set_index(["system", "seed"])
    # 95 % of an exponential's improvement takes ln 20 time constants
    assert found.loc[("Linux", 0), "iterations"] == pytest.approx(40 * np.log(20), rel=0.02)
    assert found.loc[("BayesPerf", 1), "iterations"] == pytest.approx(22 * np.log(20), rel=0.02)
    assert found["reached"].all()


def test_who_never_gets_there_counts_with_all_iterations():
    curves = made_up_curves({"Linux": 10, "BayesPerf": 300})
    found = pcie.needed(curves).set_index(["system", "seed"]).loc["BayesPerf"]
    assert (found["iterations"] == 200).all()
    assert not found["reached"].any()


def test_crossing_is_linear_between_points():
    x, y = np.array([0, 10, 20]), np.array([1.0, 0.8, 0.4])
    assert pcie.crossing(x, y, 0.6) == (15.0, True)
    assert pcie.crossing(x, y, 1.0) == (0.0, True)
    assert pcie.crossing(x, y, 0.3) == (20.0, False)


def test_cuts_are_paired_by_seed():
    frame = pd.DataFrame({"system": ["a", "b"] * 3, "seed": [0, 0, 1, 1, 2, 2], "v": [10.0, 5, 100, 50, 40, 20]})
    found = pcie.cut_draws(frame.assign(w=2 * frame["v"]), "v", "a", "b", draws=50)
    assert found == pytest.approx(50)
    assert pcie.cut_draws(frame.assign(w=2 * frame["v"]), "v", "w:a", "a", draws=50) == pytest.approx(50)
    with pytest.raises(InputError, match="same seeds"):
        pcie.cut_draws(frame[:3], "v", "a", "b")


@pytest.mark.parametrize(("name", "strength"), [(name, values[-1]) for name, values in pcie.BREAKS.items()])
def test_every_break_changes_one_thing(name, strength):
    base = pcie.readers(TABLE, ("Linux", "BayesPerf"))
    errors, turned = pcie.broken(name, strength, base)
    whole, plain = pcie.broken("age", 0.0, base)
    assert whole == base
    assert (errors != base) != (turned != plain)
    if name != "online":
        assert [error.mean_error for error in errors] == [error.mean_error for error in base]
    assert name in pcie.BREAK_TITLES


def test_the_papers_figure_says_what_the_paper_says():
    levels = pcie.paper_levels((0.37,)).iloc[0]
    assert levels["BayesPerf: cut [%]"] == pytest.approx(37, abs=1)
    assert levels["Acc vs CPU: cut [%]"] == pytest.approx(28.5, abs=1)
    assert pcie.largest_cut() == pytest.approx(46.5, abs=0.1)


@pytest.mark.parametrize(("name", "strength"), pcie.WHOLE.items())
def test_nothing_is_broken_where_it_says_so(name, strength):
    base = pcie.readers(TABLE, ("Linux", "BayesPerf"))
    errors, turned = pcie.broken(name, strength, base)
    assert errors == base
    assert turned["setting"] == Setting()
    assert turned["rate"] in (None, Learning().rate)


@pytest.fixture(scope="module")
def small():
    return pcie_recorded.point("paper", "none", 0.0, [0, 1], iterations=40)


def test_a_run_gives_every_system_and_seed(small):
    runs, curves = small
    assert len(runs) == 2 * len(pcie.SYSTEMS)
    assert len(curves) == 2 * len(pcie.SYSTEMS) * 5
    assert np.isfinite(runs.select_dtypes("number")).all(axis=None)
    metrics = pcie.claim_metrics(runs, draws=20)
    assert {name: values.shape for name, values in metrics.items()} == dict.fromkeys(metrics, (20,))


def test_an_unbroken_run_is_made_once(tmp_path, monkeypatch, small):
    made = []
    monkeypatch.setattr(pcie_recorded, "point", lambda *words: (made.append(words[1:3]), small)[1])
    for name in ("tail", "busy"):
        pcie_recorded.main(["--errors", "paper", "--out", str(tmp_path), "--only", name])
    assert [word for word in made if word[1] == 0.0] == [("tail", 0.0)]
    assert set(pd.read_parquet(tmp_path / "paper-busy-0.runs.parquet")["break"]) == {"busy"}


def test_files_are_gathered_and_a_run_that_is_there_twice_is_refused(small, tmp_path):
    runs, curves = small
    pcie_recorded._write(runs, tmp_path / "a.runs.parquet")
    pcie_recorded._write(pcie_recorded.thinned(curves), tmp_path / "a.curves.parquet")
    found, points = pcie_recorded.gather(tmp_path)
    assert len(found) == len(runs)
    assert list(points) == ["errors", "system", "seed", "iteration", "loss"]
    pcie_recorded._write(runs, tmp_path / "b.runs.parquet")
    with pytest.raises(InputError, match="twice"):
        pcie_recorded.gather(tmp_path)
    with pytest.raises(InputError, match="allowed: a folder"):
        pcie_recorded.gather(tmp_path / "none")


def test_the_command_makes_only_what_is_not_there(tmp_path, monkeypatch, small):
    made = []

    def once(errors, name, strength, seeds):
        made.append((name, strength))
        return small

    monkeypatch.setattr(pcie_recorded, "point", once)
    monkeypatch.setitem(pcie.WHOLE, "tail", -1.0)
    words = ["--errors", "paper", "--out", str(tmp_path), "--only", "tail"]
    pcie_recorded.main(words)
    assert made == [("tail", x) for x in pcie.BREAKS["tail"]]
    (tmp_path / "paper-tail-0.2.runs.parquet").unlink()
    made.clear()
    pcie_recorded.main(words)
    assert made == [("tail", 0.2)]


def test_figures_have_points_and_units(small):
    runs, curves = small
    turned = pd.concat([runs.assign(**{"break": "shared", "strength": x}) for x in (0.0, 0.5)])
    rows = pd.DataFrame(
        {"comparison": ["a", "a"], "series": ["paper", "measured"], "cut": [1.0, 2], "lo": [0.0, 1], "hi": [2.0, 3]}
    )
    drawn = {
        "bandwidth": figures.bandwidth(bandwidth_law()),
        "learning": figures.learning({"one": curves}, pcie.paper_figure_10()),
        "cuts": figures.cuts(rows),
        "error": figures.by_error(runs.assign(strength=0.1), {"one": {"Linux": 0.4}}),
        "breaks": figures.breaks(pcie.break_curves(turned, draws=20), pcie.BREAK_TITLES),
    }
    for name, figure in drawn.items():
        assert _figure_problems(name, figure.to_plotly_json()) == []
