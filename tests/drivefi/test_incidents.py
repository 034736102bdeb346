"""Crash reports and disengagements beside our scenarios."""

import numpy as np
import pandas as pd
import pytest

from credence.bench import catalogue
from credence.drivefi.data.scenarios import scenario
from credence.drivefi.evaluate import incidents


def reports():
    rows = [
        ("a", 1, "ADS", "10", "Stopped", "Street"),
        ("a", 2, "ADS", "15", "Proceeding Straight ", "Street"),
        ("b", 1, "ADS", "", "Stopped", "Intersection"),
        ("c", 1, "ADAS", "60", "Stopped", "Highway / Freeway"),
        ("", 1, "ADS", "80", "Stopped", "Street"),
        ("", 1, "ADS", "", "Stopped", "Street"),
    ]
    names = ["Same Incident ID", "Report Version", "Automation System Engaged?", "SV Precrash Speed (MPH)"]
    table = pd.DataFrame(rows, columns=[*names, "SV Pre-Crash Movement", "Roadway Type"])
    return table.assign(**{"Crash With": "SUV", "Report ID": list("pqrstu")})


def test_a_crash_counts_once_with_its_last_report():
    found = incidents.crashes(reports())
    assert sorted(found["speed_mps"].dropna()) == pytest.approx([15 * 0.44704, 80 * 0.44704])
    assert len(found) == 4
    shares = incidents.shares(found, "movement")
    assert shares.to_dict() == pytest.approx({"Stopped": 75.0, "Proceeding Straight": 25.0})


def test_scenarios_beside_crashes():
    table = incidents.beside_scenarios(incidents.crashes(reports()))
    assert table["slower"].tolist() == [50.0] * 6  # 6.7 m/s is slower than all of them, 35.8 m/s than none
    assert table.loc["DS5", "speed_mps"] == scenario("DS5", 0).speed_mps
    assert "pedestrian" in table.loc["DS5", "others"]


def test_disengagements_per_mile_of_numbers_as_filed():
    miles = pd.DataFrame(
        {
            "Permit Number": ["P1", "P1 ", "P2", ""],
            "Manufacturer": ["One", "One", "Two ", ""],
            "ANNUAL TOTAL": ["1,500", "500 .5", "none", "7"],
        }
    )
    left = pd.DataFrame({"Permit Number": ["P1", "P1", "P2 "]})
    table = incidents.disengagements(left, miles)
    assert table.index.tolist() == ["P1", "P2"]
    assert table.loc["P1", "miles"] == 2000.5
    assert table.loc["P1", "per_1000_miles"] == pytest.approx(2000 / 2000.5)
    assert table.loc["P2", "disengagements"] == 1
    assert np.isnan(table.loc["P2", "per_1000_miles"])


@pytest.mark.third_party
def test_the_real_records_are_read():
    if not incidents.available():
        pytest.skip("the records are third party")
    found = incidents.crashes(catalogue.frame(incidents.REPORTS))
    assert len(found) == 122
    table = incidents.disengagements(catalogue.frame(incidents.LEFT), catalogue.frame(incidents.MILES))
    assert table["disengagements"].sum() <= 2676
    assert 3e6 < table["miles"].sum() < 6e6
