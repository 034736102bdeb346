import io
import sys

import pytest

from credence.bench import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def by_hand(monkeypatch):
    """The environment of somebody who works by hand."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.delenv("CREDENCE_RUN_DIR", raising=False)


def test_items_come_through_in_order():
    assert list(progress.track(iter([3, 1, 2]), "things", total=3)) == [3, 1, 2]


def test_a_terminal_gets_a_bar_and_a_run_none(by_hand, monkeypatch):
    # here and not in a fixture: pytest's own capture puts its stream back between the two
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert not progress.track([1], "things").disable
    monkeypatch.setenv("CREDENCE_RUN_DIR", "somewhere")
    assert progress.track([1], "things").disable


def test_a_pipe_gets_none(by_hand, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert progress.track([1], "things").disable


def test_a_notebook_gets_one_unless_it_is_a_run(by_hand, monkeypatch):
    monkeypatch.setattr(progress, "_in_notebook", lambda: True)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not progress.track([1], "things").disable
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert progress.track([1], "things").disable
