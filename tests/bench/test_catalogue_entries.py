"""The catalogue file is checked when it is read, and a mistake is named by entry and field; `credence data` on it."""

import gzip
import os

import pandas as pd
import pytest
from typer.testing import CliRunner

from bench import made_up_catalogue as made_up
from credence.bench import catalogue, data_cli
from credence.bench.catalogue_entries import enter, entered, read_entries
from credence.bench.errors import InputError
from credence.bench.tables import write_parquet

URL = "http://127.0.0.1:9/trace.csv"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREDENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CREDENCE_MIRROR", raising=False)
    return tmp_path


def test_a_good_entry_is_read_whole(project):
    made_up.write_catalogue(project, made_up.entry_fields(url=URL), made_up.simulated_fields(project))
    entries = read_entries()
    assert list(entries) == ["made-up", "simulated-two"]
    assert entries["made-up"].kind == "third party"
    assert entries["made-up"].origin_files == [(URL, made_up.sha(made_up.TRACE.encode()))]
    assert entries["simulated-two"].in_git
    assert entries["simulated-two"].origin_text == "generator credence.nowhere:function, seed 0"
    assert catalogue.names("drivefi") == []


def test_a_changed_file_is_read_again(project):
    made_up.write_catalogue(project, made_up.entry_fields())
    assert read_entries()["made-up"].title == "Three made-up requests"
    path = project / "data" / "catalogue.toml"
    stamp = path.stat().st_mtime_ns
    made_up.write_catalogue(project, made_up.entry_fields(title="Three others"))
    os.utime(path, ns=(stamp + 10**9, stamp + 10**9))
    assert read_entries()["made-up"].title == "Three others"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("licence", None, "missing or empty"),
        ("licence", "", "missing or empty"),
        ("citation", None, "missing or empty"),
        ("kind", "borrowed", "'borrowed'; allowed: measured-here, third-party, simulated"),
        ("kind", None, "missing or empty"),
        ("origin", None, "missing or empty"),
        ("name", "Made Up", "small letters, digits and hyphens"),
        ("paper", "nobody", "'nobody'; allowed: bayesperf"),
        ("rows", 0, "allowed: a positive integer"),
        ("rows", "3", "wrong type"),
        ("seed", True, "wrong type"),
        ("reader", "pickle", "'pickle'; allowed: csv, parquet"),
        ("build", "eval", "'eval'; allowed: csv, parquet"),
        ("columns", {"arrival_s": "arrival"}, "'arrival_s' needs a description ending in its unit"),
        ("file", "../secret.csv", "allowed: a path below"),
        ("file", "/etc/passwd", "allowed: a path below"),
        ("file", ["sets/a.csv", "other/b.csv"], "several of one folder"),
        ("file", ["sets/a.csv", 3], "3; allowed: a path below"),
        ("sha256_mirror", ["0" * 64, "1" * 64], "2 hashes for 1 files"),
        ("sha256_mirror", "abc", "64 hexadecimal digits"),
        ("sha256_content", "F" * 64, "64 hexadecimal digits"),
        ("sha256_origin", "later", "64 hexadecimal digits"),
        ("sha256_origin", ["0" * 64, "1" * 64], "2 hashes for 1 addresses"),
        ("colour", "red", "unknown; allowed: name, title"),
    ],
)
def test_a_bad_field_is_named_with_its_entry(project, field, value, words):
    fields = made_up.entry_fields(url=URL)
    if value is None:
        del fields[field]
    else:
        fields[field] = value
    made_up.write_catalogue(project, made_up.entry_fields("good"), fields)
    with pytest.raises(InputError) as caught:
        read_entries()
    assert f"entry {fields.get('name', 'made-up')!r}, field {field!r}: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("commit", ""), ("repository", ""), ("path", ""), ("url", ""), ("url", "ftp://x/y"), ("to", "x")],
)
def test_a_bad_origin_is_named(project, field, value):
    fields = made_up.entry_fields(url=URL)
    made_up.write_catalogue(project, fields | {"origin": fields["origin"] | {field: value}})
    with pytest.raises(InputError, match=f"entry 'made-up', field 'origin.{field}'"):
        read_entries()


@pytest.mark.parametrize("field", ["generator", "seed"])
def test_a_simulated_set_names_its_generator_and_seed(project, field):
    fields = made_up.simulated_fields(project)
    del fields[field]
    made_up.write_catalogue(project, fields)
    with pytest.raises(InputError, match=f"entry 'simulated-two', field '{field}': missing"):
        read_entries()


def test_a_generator_is_a_function_of_this_project(project):
    made_up.write_catalogue(project, made_up.simulated_fields(project, generator="os:getcwd"))
    with pytest.raises(InputError, match="field 'generator': 'os:getcwd'; allowed: credence"):
        read_entries()


def test_a_name_twice(project):
    made_up.write_catalogue(project, made_up.entry_fields(), made_up.entry_fields())
    with pytest.raises(InputError, match=r"entry 'made-up', field 'name': appears twice"):
        read_entries()


def test_a_third_party_file_in_git_is_refused(project):
    made_up.write_catalogue(project, made_up.entry_fields())
    made_up.mirror_file(project / "data")
    with pytest.raises(InputError, match=r"entry 'made-up', field 'file': .* never in git"):
        read_entries()


@pytest.mark.parametrize("text", ["[[dataset", "version = 3", "[dataset]\nname = 'x'"])
def test_not_a_catalogue(project, text):
    made_up.write_catalogue(project)
    (project / "data" / "catalogue.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"data/catalogue\.toml"):
        read_entries()


def credence_data(*arguments):
    return CliRunner().invoke(data_cli.app, list(arguments))


def test_list_shows_kind_size_and_place(project):
    made_up.write_catalogue(project, made_up.entry_fields(), made_up.simulated_fields(project))
    result = credence_data("list")
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    assert "third party" in lines["made-up"]
    assert "not here" in lines["made-up"]
    assert "simulated" in lines["simulated-two"]
    assert lines["simulated-two"].rstrip().endswith("git")


def test_get_prints_the_file(project, monkeypatch):
    made_up.write_catalogue(project, made_up.entry_fields(), made_up.simulated_fields(project))
    path = made_up.mirror_file(project / "mirrored")
    result = credence_data("get", "all")
    assert result.exit_code == 1  # one of the two is not to be had
    assert "failed" in result.output
    monkeypatch.setenv("CREDENCE_MIRROR", "mirrored")
    assert credence_data("get", "made-up").output.strip() == str(path)
    assert credence_data("get", "all").exit_code == 0


@pytest.mark.parametrize(
    "command", [("get", "absent"), ("verify", "absent"), ("list", "--paper", "absent"), ("get", "made-up")]
)
def test_bad_names_and_missing_sets_are_input_errors(project, command):
    made_up.write_catalogue(project, made_up.entry_fields())
    assert isinstance(credence_data(*command).exception, InputError)


def test_verify_fails_when_something_is_wrong(project, monkeypatch):
    made_up.write_catalogue(project, made_up.entry_fields(), made_up.simulated_fields(project))
    assert credence_data("verify").exit_code == 0  # what isn't here can't be wrong
    assert credence_data("verify", "made-up").exit_code == 1  # unless it was asked for
    path = made_up.mirror_file(project / "mirrored")
    monkeypatch.setenv("CREDENCE_MIRROR", "mirrored")
    assert credence_data("verify", "made-up").exit_code == 0
    path.write_bytes(gzip.compress(b"something else"))
    result = credence_data("verify")
    assert result.exit_code == 1
    assert "wrong" in result.output


def test_a_table_of_ours_is_entered_with_what_its_file_says(project):
    made_up.write_catalogue(project, made_up.simulated_fields(project))
    path = project / "data" / "bayesperf" / "table.parquet"
    fields = {"name": "ours", "title": 'A "quoted" title', "paper": "bayesperf", "kind": "measured-here"}
    fields |= {"generator": "a command --out FILE", "note": "Recorded with 0.5 % noise – no more."}
    columns = {"b c": "the first [1]", "a": "the second [s]", "gone": "no longer there [1]"}
    for rows in (3, 2):
        write_parquet(pd.DataFrame({"b c": range(rows), "a": 0.5}), path)
        enter(path, fields, columns)
    found = read_entries()
    assert list(found) == ["simulated-two", "ours"]
    assert catalogue.frame("ours")["b c"].tolist() == [0, 1]
    assert found["ours"].columns == {"b c": "the first [1]", "a": "the second [s]"}
    assert (found["ours"].title, found["ours"].note) == (fields["title"], fields["note"])
    assert found["ours"].licence == "BSD-3-Clause"
    with pytest.raises(InputError, match="column 'a' has no meaning"):
        enter(path, fields, {"b c": "the first [1]"})


def test_an_entry_takes_the_place_of_the_older_one():
    text = "# head\n\n" + "\n".join(f'[[dataset]]\nname = "{name}"\nrows = 1\n' for name in ("a", "b", "b-c"))
    assert entered(text, '[[dataset]]\nname = "b"\nrows = 2\n') == text.replace('"b"\nrows = 1', '"b"\nrows = 2')
    assert entered(text, '[[dataset]]\nname = "d"\n') == text + '\n[[dataset]]\nname = "d"\n'
