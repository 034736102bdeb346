"""Scoring of the replay: small frames with answers known by hand; a small replay end to end."""

import numpy as np
import pandas as pd
import pytest

from credence.kaleidoscope.evaluate import contest, localising, production, scoring
from credence.kaleidoscope.evaluate.localising import Ours

EVENTS = pd.DataFrame(
    {
        "event": [0, 1, 2],
        "issue": [True, True, False],
        "answers": [(5, 6), (7,), (8,)],
        "first": [10, 20, 40],
        "last": [14, 21, 42],
    }
)


def frame(*rows):
    return pd.DataFrame(rows, columns=["window", "component"], dtype=np.int64)


def test_an_issue_is_localised_when_two_of_its_first_windows_name_it():
    known = EVENTS[EVENTS["issue"]]
    once = scoring.hits(known, frame((11, 5), (11, 6), (20, 7)))
    assert once["localised"].tolist() == [False, True]  # the second lasts one window only
    assert once["delay_min"].tolist() == [10.0, 5.0]
    twice = scoring.hits(known, frame((11, 5), (13, 6), (21, 7)))
    assert twice["localised"].tolist() == [True, False]
    assert np.isnan(twice["delay_min"].iloc[1])


def test_blames_are_explained_by_any_event_and_just_after_it():
    blames = frame((10, 5), (14, 6), (15, 6), (10, 7), (41, 8))
    assert scoring.explained(blames, EVENTS).tolist() == [True, True, False, False, True]


def test_strain_of_the_usual_load_explains_blames_of_its_unit():
    blames = frame((30, 5), (31, 5), (30, 9))
    strain = scoring.keys([30], [5])
    assert scoring.explained(blames, EVENTS, strain=strain).tolist() == [True, False, False]


def test_blames_of_one_component_with_small_gaps_are_one_alarm():
    blames = frame((1, 5), (2, 5), (4, 5), (7, 5), (4, 6), (11, 5))
    found = scoring.alarms(blames, EVENTS).sort_values(["component", "first"])
    assert found[["component", "first", "last", "windows"]].to_numpy().tolist() == [
        [5, 1, 5, 3],
        [5, 7, 8, 1],
        [5, 11, 12, 1],
        [6, 4, 5, 1],
    ]
    assert found["true"].tolist() == [False, False, True, False]


def test_only_long_or_diagnosed_alarms_pass_the_operators_filter():
    found = pd.DataFrame({"first": [0, 0], "last": [6, 7]})
    assert len(scoring.filtered(found)) == 1
    assert len(scoring.filtered(found, np.array([True, False]))) == 2


def test_an_onset_was_not_there_in_the_window_before():
    assert scoring.onsets(frame((5, 1), (5, 2)), frame((4, 1), (4, 3))).to_numpy().tolist() == [[5, 2]]


def test_wilsons_interval_is_the_papers_for_96_of_100():
    low, high = scoring.wilson(96, 100)
    assert (low, high) == (pytest.approx(0.902, abs=2e-3), pytest.approx(0.984, abs=2e-3))


def test_the_front_keeps_what_nothing_beats_and_the_best_meets_the_aim():
    table = pd.DataFrame(
        {"method": "x", "setting": [0, 1, 2, 3], "recall": [0.9, 0.99, 0.95, 1.0], "false_per_day": [1, 5, 6, 9.0]}
    )
    assert contest.front(table, "x") == [0, 1, 3]
    assert contest.best(table, 0.98) == {"x": 1}
    assert contest.best(table, 1.1) == {"x": 3}


def test_all_methods_are_tuned_with_equally_many_settings():
    assert {len(each) for each in contest.tried().values()} == {24}


@pytest.fixture(scope="module")
def here():
    return production.scene()


def windows_with_a_dead_target(here, number):
    from credence.kaleidoscope.world import windows

    target = here.full.index(["scratch_ost_9"])[0]
    event = pd.DataFrame({"culprit": [target], "fault": ["target"], "first": [2], "last": [5], "loss": [1.0]})
    table = windows.losses(here.full, event, 0, number)
    return int(target), windows.draw(here.what, table, windows.NO_BREAKS, np.random.default_rng(2))[:2]


@pytest.mark.parametrize("temporal", [False, True])
def test_our_method_names_a_dead_target_while_it_is_dead(here, temporal):
    target, counts = windows_with_a_dead_target(here, 7)
    settings = Ours(temporal=temporal)
    paths = here.small.paths(here.what.client, here.what.target, here.what.operation)
    found = localising.blamed(localising.prepare(paths, here.what.sent, settings), here.what.sent, *counts, settings)
    assert found.loc[found["component"] == target, "window"].tolist() == [2, 3, 4]


def test_the_temporal_prior_goes_on_across_chunks(here, monkeypatch):
    _, counts = windows_with_a_dead_target(here, 7)
    settings = Ours(temporal=True)
    paths = here.small.paths(here.what.client, here.what.target, here.what.operation)
    prepared = localising.prepare(paths, here.what.sent, settings)
    whole = localising.blamed(prepared, here.what.sent, *counts, settings)
    monkeypatch.setattr(localising, "CHUNK", 3)
    pd.testing.assert_frame_equal(whole, localising.blamed(prepared, here.what.sent, *counts, settings))


@pytest.mark.parametrize(("lnet", "dead"), [("mixture", 1), ("or", 4)])
def test_of_a_group_with_one_silent_router_the_mixture_finds_one_dead_the_or_all_four(here, lnet, dead):
    from credence.kaleidoscope.infer import search
    from credence.kaleidoscope.world import windows

    router = here.full.index(["lnet_5"])[0]
    event = pd.DataFrame({"culprit": [router], "fault": ["router"], "first": [0], "last": [3], "loss": [0.25]})
    table = windows.losses(here.full, event, 0, 3)
    succeeded, _, _ = windows.draw(here.what, table, windows.NO_BREAKS, np.random.default_rng(2))
    paths = here.full.paths(here.what.client, here.what.target, here.what.operation)
    settings = Ours(lnet=lnet)
    prepared = localising.prepare(paths, here.what.sent, settings)
    failed = here.what.sent.astype(np.int32) - succeeded
    levels, _ = search.map_windows(prepared, succeeded.astype(np.int32), failed)
    group = (prepared.index.member == router).any(axis=1)
    assert (levels[:, group] == dead).all()
    assert router in localising.named(prepared.index, levels)[:, 1]
