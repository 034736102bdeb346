"""Recorded maps: one row, drawn anew in every run of the tests, comes out again."""

import numpy as np
import pandas as pd
import pytest

from credence.bench import catalogue
from credence.bench.sweep import grid
from credence.ssjf.evaluate import maps

RECORDED = {"ssjf-where-it-holds-map": "where_it_holds_map", "ssjf-where-it-holds-engines": "where_it_holds_engines"}
POINT = ("load", "slots", "requests", "batching", "engine", "count", "draws", "seed")
SLACK = 0.05  # [%, s or 1]; where nobody waits an interval has no width


@pytest.mark.parametrize("name", list(RECORDED))
def test_a_randomly_chosen_recorded_row_comes_out_again(name):
    frame = catalogue.frame(name)
    frame = frame[[catalogue.available(source) for source in frame["requests"]]]
    row = frame.iloc[np.random.default_rng().integers(len(frame))]
    plain = {key: row[key].item() if hasattr(row[key], "item") else row[key] for key in POINT}
    again = pd.DataFrame(maps.grid_cell(**plain)).set_index("predictor").loc[row["predictor"]]
    for quantity in maps.QUANTITIES:
        # a rare draw may carry the mean beyond the quantiles
        low, high = (pick(row[quantity], row[f"{quantity}_{end}"]) for pick, end in ((min, "lo"), (max, "hi")))
        assert low - SLACK <= again[quantity] <= high + SLACK, (quantity, plain, row["predictor"])


@pytest.mark.parametrize(("name", "grid_name"), RECORDED.items())
def test_a_recorded_map_has_every_point_of_its_grid(name, grid_name):
    frame = catalogue.frame(name)
    names = ["load", "slots", "requests", "engine"]
    wanted = {tuple(point[name] for name in names) for point in grid.read(f"ssjf/{grid_name}.grid.yaml").points}
    assert {tuple(row) for row in frame[names].itertuples(index=False)} == wanted
    assert len(frame) == len(wanted) * (1 + len(maps.TAUS))
    assert np.isfinite(frame[list(maps.QUANTITIES)].to_numpy()).all()


def test_a_recorded_map_says_with_what_command_it_was_made():
    import pyarrow.parquet

    for name in RECORDED:
        note = pyarrow.parquet.read_schema(catalogue.get(name)).metadata[b"credence"].decode()
        assert "credence sweep" in note
        assert "credence sweep" in catalogue.entry(name).note
