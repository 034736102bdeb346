"""CommonRoad files as scenarios: a made-up road written by commonroad-io itself, and real ones where the mirror is."""

import os
from pathlib import Path

import numpy as np
import pytest

from credence.bench.errors import InputError
from credence.drivefi.data.commonroad import along_line
from credence.drivefi.data.scenarios import read_scenario
from credence.drivefi.world.simulate import golden

LANELET = """
<lanelet id="1"><leftBound>{left}</leftBound><rightBound>{right}</rightBound></lanelet>"""
STATE = """<position><point><x>{x}</x><y>{y}</y></point></position><orientation><exact>0.0</exact></orientation>
<time><exact>{step}</exact></time><velocity><exact>{v}</exact></velocity>"""
CAR = """
<dynamicObstacle id="{id}"><type>{kind}</type>
<shape><rectangle><length>4.6</length><width>1.8</width></rectangle></shape>
<initialState>{first}</initialState><trajectory>{rest}</trajectory></dynamicObstacle>"""
PROBLEM = """
<planningProblem id="100"><initialState>{state}<yawRate><exact>0.0</exact></yawRate>
<slipAngle><exact>0.0</exact></slipAngle></initialState><goalState>
<time><intervalStart>1</intervalStart><intervalEnd>40</intervalEnd></time></goalState></planningProblem>"""


def bound(y):
    return "".join(f"<point><x>{x}</x><y>{y}</y></point>" for x in range(0, 401, 10))


def car(number, kind, x, y, v, steps=41, dt=0.1, sideways=0.0):
    states = [STATE.format(x=x + v * dt * k, y=y + sideways * dt * k, step=k, v=v) for k in range(steps)]
    rest = "".join(f"<state>{state}</state>" for state in states[1:])
    return CAR.format(id=number, kind=kind, first=states[0], rest=rest)


@pytest.fixture
def road(tmp_path):
    """A straight road; the ego at 50 m and 10 m/s, a car 30 m ahead at 8 m/s, one behind, a pedestrian who crosses."""
    body = LANELET.format(left=bound(1.75), right=bound(-1.75))
    body += car(10, "car", 80.0, 0.0, 8.0) + car(11, "car", 20.0, 0.0, 10.0)
    body += car(12, "pedestrian", 110.0, -5.0, 0.0, sideways=1.0)
    body += PROBLEM.format(state=STATE.format(x=50.0, y=0.0, step=0, v=10.0))
    head = '<commonRoad benchmarkID="ZAM_Own-1_1_T-1" commonRoadVersion="2020a" date="2026-11-23" author="a" '
    head += (
        'affiliation="b" source="c" timeStepSize="0.1"><location><geoNameId>1</geoNameId><gpsLatitude>1</gpsLatitude>'
    )
    head += "<gpsLongitude>1</gpsLongitude></location><scenarioTags><urban/></scenarioTags>"
    path = tmp_path / "ZAM_Own-1_1_T-1.xml"
    path.write_text(f"<?xml version='1.0' encoding='UTF-8'?>{head}{body}</commonRoad>")
    return path


def test_ways_along_a_bent_line():
    line = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])
    points = np.array([[5.0, 1.0], [9.0, 5.0], [-2.0, -1.0], [10.0, 14.0]])
    np.testing.assert_allclose(along_line(line, points), [[5, 1], [15, 1], [-2, -1], [24, 0]])


def test_a_road_becomes_a_scenario(road):
    item = read_scenario(road)
    assert (item.name, item.rate_hz, item.scenes, item.speed_mps) == ("ZAM_Own-1_1_T-1", 10.0, 41, 10.0)
    assert item.lane_width_m == pytest.approx(3.5)
    lead, walker = item.actors
    assert (lead.kind, walker.kind) == ("vehicle", "pedestrian")
    assert lead.gap_m == pytest.approx(30.0 - 4.6)
    assert lead.speed_mps == pytest.approx(8.0)
    assert walker.lateral_m == pytest.approx(-5.0)


def test_others_go_where_they_went(road):
    run = golden(read_scenario(road))
    way = run.actors[:, :, 0] + run.x_m[:, None]
    np.testing.assert_allclose(way[:, 0], 25.4 + 0.8 * np.arange(41), atol=0.05)
    np.testing.assert_allclose(run.actors[:, 1, 1], -5.0 + 0.1 * np.arange(41), atol=0.15)


def test_what_is_no_commonroad_is_refused(tmp_path):
    (tmp_path / "no.xml").write_text("<a/>")
    with pytest.raises(InputError, match=r"no\.xml: .*allowed: CommonRoad XML"):
        read_scenario(tmp_path / "no.xml")


def test_an_ego_beside_the_road_is_refused(road):
    road.write_text(road.read_text().replace("<x>50.0</x><y>0.0</y>", "<x>50.0</x><y>40.0</y>"))
    with pytest.raises(InputError, match="starts outside every lanelet"):
        read_scenario(road)


@pytest.mark.third_party
def test_recorded_traffic_can_be_driven_through():
    folder = Path(os.environ["CREDENCE_MIRROR"]) / "drivefi" / "commonroad_bsd3"
    runs = [golden(read_scenario(folder / name)) for name in ("USA_US101-3_3_T-1.xml", "OSC_CutIn-1_2_T-1.xml")]
    for run in runs:
        assert np.isfinite(run.values).all()
        assert run.actors.shape[1] >= 1
