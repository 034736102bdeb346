"""The main job, small: every notebook at smoke, the reports built from it, each page looked at with the network off."""

import pytest

from bench import chromium
from credence.bench import notebooks, report, runner

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Run all notebooks at smoke into a folder of the test's own and build the reports."""
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENCE_REPORTS", str(folder))
        for name in set(runner.environment(1)) - set(notebooks.smoke_environment()):
            patch.delenv(name)
        tasks = runner.plan(runner.select("all"), {"preset": "smoke"})
        results = runner.Batch(1).run(tasks)
        assert [(r.task.notebook.key, r.state, r.failure) for r in results if r.state != "done"] == []
        built = report.build([task.folder for task in tasks], folder)
    return folder, built


def test_every_notebook_has_a_page_that_keeps_the_contract(pages):
    folder, built = pages
    names = {str(path.relative_to(folder)) for path in built}
    assert names == {"index.html", *(f"{key}.html" for key in runner.notebooks())}
    assert report.check(folder) == []


def test_every_page_is_drawn_without_errors_or_requests(pages):
    _, built = pages
    with chromium.Browser() as browser:
        for page in built:
            for width in (1280, 390):
                seen = browser.open(page, width=width)
                assert (seen.errors, seen.requests) == ([], []), page.name
                assert len(seen.figures) == seen.expected
                assert seen.expected > 0 or page.name == "index.html"
                assert all(figure["points"] > 0 and figure["spread"] > 2 for figure in seen.figures), page.name
                assert seen.overflow <= 0, f"{page.name} scrolls sideways at {width} px"
