"""Values that papers print."""

import pytest

from credence.bench import paper_figures, paths
from credence.bench.errors import InputError


def test_every_table_can_be_read_and_is_described():
    folder = paths.data_dir() / "paper_figures"
    for paper in ("bayesperf", "drivefi", "kaleidoscope", "ssjf"):
        names = paper_figures.tables(paper)
        assert len(names) == len(list((folder / paper).glob("*.csv"))) > 0
        told = (folder / paper / "README.md").read_text(encoding="utf-8")
        for name in names:
            assert len(paper_figures.table(paper, name)) > 0
            assert name in told


def test_what_is_not_there_is_refused_with_what_is():
    with pytest.raises(InputError, match=r"'netflow'.*bayesperf, drivefi, kaleidoscope, ssjf"):
        paper_figures.tables("netflow")
    with pytest.raises(InputError, match=r"'fig99'.*critical_shares"):
        paper_figures.table("drivefi", "fig99")
