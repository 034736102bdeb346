import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credence.bench import claims
from credence.bench.errors import InputError


def claim(**changes):
    row = {
        "id": "x",
        "statement": "s",
        "where": "w",
        "metric": "m",
        "unit": "%",
        "paper_value": [30.5, 39.6],
        "relation": "between",
        "target": 30.5,
        "band": [28.0, 42.0],
        "null": 0.0,
        "effect": "above",
        "resampling_unit": "prompt",
        "notebook": "ssjf/toy",
    }
    return claims._claim("ssjf", row | changes, "test")


def draws(inside, above, total=1000):
    """Draws of which `inside` lie in the band, `above` more on the claimed side but outside, the rest below zero."""
    return np.r_[np.full(inside, 35.0), np.full(above, 5.0), np.full(total - inside - above, -5.0)]


@pytest.mark.parametrize(
    ("metric", "kind", "verdict"),
    [
        (draws(950, 50), "third party", "reproduced"),
        (draws(949, 51), "third party", "trend only"),
        (draws(950, 50), "simulated", "trend only"),
        (draws(0, 950), "measured", "trend only"),
        (draws(0, 949), "measured", "not reproduced"),
        (draws(0, 0), "measured", "not reproduced"),
        (35.0, "measured", "trend only"),
        (5.0, "measured", "trend only"),
        (-5.0, "measured", "not reproduced"),
    ],
)
def test_the_rules_of_evidence(metric, kind, verdict):
    found = claims.judge(claim(), metric, kind)
    assert found["verdict"] == verdict
    assert (found["p_claim"] is None) == (np.ndim(metric) == 0)


def test_a_capped_verdict_says_so():
    found = claims.judge(claim(), draws(1000, 0), "simulated")
    assert found["capped"]
    assert not claims.judge(claim(), draws(0, 1000), "simulated")["capped"]


def test_the_claimed_side_may_be_below():
    found = claims.judge(claim(band=[-100, -10], effect="below", target=-10), np.full(100, -5.0), "measured")
    assert found["verdict"] == "trend only"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=50),
    st.sampled_from(claims.KINDS),
    st.floats(-50, 50),
    st.floats(0, 50),
)
def test_verdict_follows_from_the_probabilities(values, kind, low, width):
    found = claims.judge(claim(band=[low, low + width]), np.array(values), kind)
    inside = sum(low <= v <= low + width for v in values) / len(values)
    assert found["p_claim"] == pytest.approx(inside)
    assert (found["verdict"] == "reproduced") == (inside >= 0.95 and kind != "simulated")
    if found["verdict"] == "not reproduced":
        assert inside < 0.95
        assert sum(v > 0 for v in values) / len(values) < 0.95
    assert found["lo"] <= found["hi"]


def test_interval_is_equal_tailed_ninety_per_cent():
    found = claims.summarise(np.arange(101.0))
    assert (found["ours"], found["lo"], found["hi"], found["level"]) == (50, 5, 95, 0.9)


@pytest.mark.parametrize("metric", [[], [1.0, math.nan], math.inf])
def test_unusable_metrics_are_refused(metric):
    with pytest.raises(InputError, match="finite"):
        claims.judge(claim(), metric, "measured")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"relation": "about"}, "relation"),
        ({"band": [2, 1]}, "empty"),
        ({"effect": "up"}, "effect"),
        ({"resampling_unit": "simulator replication"}, "resampling unit"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_claim_is_refused_with_its_key(changes, word):
    with pytest.raises(InputError, match=word):
        claim(**changes)


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match="band"):
        claims._claim("ssjf", {"id": "x", "relation": "between"}, "test")


def test_duplicate_ids_are_refused(checkout):
    path = checkout / "data/claims/ssjf.toml"
    path.write_text(path.read_text() * 2)
    with pytest.raises(InputError, match="appears twice"):
        claims.registry()


def record(**changes):
    metric = {"value": 2.0, "draws": [1.0, 2.0, 3.0], "kind": "measured"}
    return {"metrics": {"toy_metric": metric}, "data": [], "preset": "quick", "run_id": "abc"} | changes


def test_board_before_and_after_a_run(checkout):
    assert claims.board({})[0]["verdict"] == "not run"
    row = claims.board({"ssjf/toy": record()})[0]
    assert (row["verdict"], row["p_claim"], row["run_id"], row["data_kind"]) == ("reproduced", 1.0, "abc", "measured")


def test_a_claim_without_its_data_is_not_testable(checkout, monkeypatch):
    from credence.bench import catalogue

    path = checkout / "data/claims/ssjf.toml"
    path.write_text(path.read_text() + 'requires = ["their-file"]\n')
    monkeypatch.setattr(catalogue, "available", lambda name: False)
    row = claims.board({"ssjf/toy": record()})[0]
    assert row["verdict"] == "not testable here"
    assert "their-file" in row["note"]
    monkeypatch.setattr(catalogue, "available", lambda name: True)
    assert claims.board({"ssjf/toy": record()})[0]["verdict"] == "not run"
    row = claims.board({"ssjf/toy": record(data=[{"name": "their-file"}])})[0]
    assert row["verdict"] == "reproduced"


def test_json_has_exactly_the_agreed_keys(checkout):
    rows = claims.as_json(claims.board({"ssjf/toy": record()}))
    assert list(rows[0]) == list(claims.JSON_KEYS)
    json.dumps(rows, allow_nan=False)


def test_words_show_value_interval_and_unit(checkout):
    row = claims.board({"ssjf/toy": record()})[0]
    assert claims.words(row)["ours"] == "2 [1.1, 2.9] s"
    assert claims.words(row)["paper"] == "2 s"


def test_every_registered_claim_is_whole():
    known = claims.registry()
    assert known, "no claim is registered"
    for item in known:
        assert item.id.startswith(f"{item.paper}.")
        assert item.band[0] <= item.target <= item.band[1] or item.relation == "at least"


def test_inconsistencies_of_a_paper_are_read_and_checked(checkout):
    path = checkout / "data/claims/ssjf.toml"
    whole = '\n[[inconsistency]]\nwhere = "§1"\nsays = "29"\nbut = "28 bars"\nhere = "28"\n'
    text = path.read_text()
    path.write_text(text + whole)
    assert [(item.paper, item.where, item.but) for item in claims.inconsistencies("ssjf")] == [
        ("ssjf", "§1", "28 bars")
    ]
    assert claims.inconsistencies("bayesperf") == []
    path.write_text(text + whole.replace('here = "28"\n', ""))
    with pytest.raises(InputError, match=r"ssjf\.toml, inconsistency 1: here missing"):
        claims.inconsistencies()
    path.write_text(text + whole.replace("but", "however"))
    with pytest.raises(InputError, match="however"):
        claims.inconsistencies()


def test_an_unknown_table_is_refused(checkout):
    path = checkout / "data/claims/ssjf.toml"
    path.write_text(path.read_text().replace("[[claim]]", "[[clam]]", 1))
    with pytest.raises(InputError, match="clam"):
        claims.registry()


def test_the_papers_inconsistencies_are_whole():
    assert len(claims.inconsistencies("bayesperf")) >= 10
