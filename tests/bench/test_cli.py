"""The command line as a person meets it: exit codes, one message, no traceback."""

import json
import re
import subprocess
import sys

import pytest

from credence.bench import cli, recorded, runner
from credence.bench.errors import InputError

cli._add_apps()


@pytest.fixture
def credence(capsys, monkeypatch):
    """Run the command line in this process; return exit code, standard output and standard error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["credence", *words])
        monkeypatch.setattr(cli, "_add_apps", lambda: None)
        monkeypatch.setattr(cli, "out", cli.Console(width=200))
        monkeypatch.setattr(cli, "err", cli.Console(stderr=True, highlight=False, width=200))
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        found = capsys.readouterr()
        return code, found.out, found.err

    return call


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["run", "ssjf/tay"], ["'ssjf/tay'", "did you mean 'ssjf/toy'"]),
        (["run", "nothing"], ["'nothing'", "ssjf/toy"]),
        (["run", "bayesperf"], ["bayesperf", "no notebooks yet"]),
        (["run", "ssjf/toy", "--preset", "huge"], ["'huge'", "smoke, quick, full"]),
        (["run", "ssjf/toy", "-p", "sead=1"], ["'sead'", "did you mean 'seed'"]),
        (["run", "ssjf/toy", "-p", "seed=101"], ["101", "'seed'", "0..100"]),
        (["run", "ssjf/toy", "-p", "seed=x"], ["'x'", "'seed'", "int"]),
        (["run", "ssjf/toy", "-p", "seed"], ["'seed'", "name=value"]),
        (["run", "ssjf/toy", "-f", "none.yaml"], ["none.yaml", "no such file"]),
        (["run", "--jobs", "0"], ["0", "1 to 256"]),
        (["claims", "ssfj"], ["'ssfj'", "did you mean 'ssjf'"]),
        (["claims", "--freeze"], ["--freeze", "ssjf"]),
        (["report"], ["no finished run", "credence run"]),
        (["data", "get", "nothing"], ["'nothing'"]),
        (["sweep", "none.yaml"], ["none.yaml"]),
        (["notebooks", "check", "nothing"], ["'nothing'"]),
    ],
)
def test_bad_input_ends_with_two_and_one_message(checkout, credence, words, named):
    code, _, message = credence(*words)
    assert code == 2
    for word in named:
        assert word in message
    assert "Traceback" not in message
    assert len(message.strip().splitlines()) == 1


def test_unknown_commands_and_options_end_with_two(checkout, credence):
    for words in (["rnu"], ["run", "--prest", "quick"], ["claims", "--jsn"]):
        assert credence(*words)[0] == 2


def test_list_shows_notebooks_presets_and_minutes(checkout, credence):
    code, text, _ = credence("list")
    assert code == 0
    assert re.search(r"ssjf/toy.*Toy.*0\.1.*\?.*\?.*seed, mode", text)
    assert "Kaleidoscope (SC 2020): no notebooks yet" in text


def test_run_report_and_claims_from_end_to_end(checkout, credence):
    code, _, message = credence("run", "ssjf/toy", "--preset", "smoke")
    assert code == 0, message
    assert "first run" in message
    assert "unchanged" in credence("run", "ssjf/toy", "--preset", "smoke")[2]
    assert "parameter preset: 'smoke' -> 'quick'" in credence("run", "ssjf/toy")[2]

    rows = json.loads(credence("claims", "--json")[1])
    assert [(r["id"], r["verdict"], r["preset"], r["ours"]) for r in rows] == [("ssjf.toy", "reproduced", "quick", 2.0)]
    assert "[1.1, 2.9] s" in credence("claims")[1]

    credence("report")
    assert (checkout / "reports/index.html").exists()
    assert "The toy reaches two." in (checkout / "reports/ssjf/toy.html").read_text()

    (checkout / "README.md").write_text(f"before\n{recorded.BEGIN}\nold\n{recorded.END}\nafter\n")
    assert credence("claims", "ssjf", "--freeze")[0] == 0
    readme = (checkout / "README.md").read_text()
    assert "old" not in readme
    assert (
        "| The toy reaches two. | 2 s | 2 [1.1, 2.9] s | 1.00 | reproduced | measured | `ssjf/toy`, quick, " in readme
    )
    assert "<summary><b>SSJF</b>: 1 claim – 1 reproduced</summary>" in readme
    assert recorded.readme_with_table(readme) == readme


def test_several_targets_are_run_once_each(checkout, credence):
    credence("run", "ssjf/toy", "ssjf", "notebooks/ssjf/toy.ipynb", "--preset", "smoke")
    assert len(runner.all_runs()) == 1
    assert "ssjf/toys" in credence("run", "ssjf/toy", "ssjf/toys")[2]


def test_a_failed_run_ends_with_one_and_all_that_helps(checkout, credence):
    code, _, message = credence("run", "ssjf/toy", "-p", "mode=raise", "-p", "seed=7")
    assert code == 1
    for word in ("ssjf/toy, cell 4", "ValueError: the toy broke at seed 7", "'seed': 7", "credence run ssjf/toy"):
        assert word in message
    assert "-p 'mode=\"raise\"'" in message


def test_parameters_from_a_file_and_the_line_override_it(checkout, credence):
    (checkout / "p.yaml").write_text("seed: 5\n")
    credence("run", "ssjf/toy", "-f", "p.yaml", "-p", "seed=6", "--preset", "smoke")
    [folder] = runner.all_runs()
    assert runner.read_record(folder)["parameters"]["seed"] == 6


def test_check_says_what_is_wrong(checkout, credence):
    code, text, _ = credence("notebooks", "check")
    assert code == 1
    assert "ssjf/toy: 0 cells tagged nbval-check-output" in text


def test_version_and_help_are_quick_and_load_nothing_heavy():
    words = "import sys; sys.argv = ['credence', '--help']; from credence.bench import cli\n"
    words += "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
    words += "print([m for m in ('numba', 'papermill', 'dask', 'sklearn', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_the_readme_table_is_that_of_the_recorded_files():
    from credence.bench import paths

    readme = (paths.root() / "README.md").read_text()
    assert recorded.readme_with_table(readme) == readme


def test_freezing_needs_a_checkout(checkout, monkeypatch):
    from credence.bench import paths

    monkeypatch.setattr(paths, "checkout", lambda: None)
    with pytest.raises(InputError, match="checkout"):
        recorded.freeze("ssjf")
