"""The catalogue with a made-up set: mirror folder, mirror address, origin, cache, and every refusal."""

import gzip

import pandas as pd
import pytest

from bench import made_up_catalogue as made_up
from credence.bench import catalogue, seeds
from credence.bench.errors import InputError


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty made-up checkout that is the working directory, with its own cache and no mirror."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CREDENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CREDENCE_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(catalogue, "used", {})
    return folder


@pytest.fixture
def server():
    it = made_up.Server()
    yield it
    it.close()


def test_relative_mirror_folder_is_resolved_against_the_checkout(project, monkeypatch):
    made_up.write_catalogue(project, made_up.entry_fields())
    made_up.mirror_file(project / "mirrored")
    monkeypatch.setenv("CREDENCE_MIRROR", "mirrored")
    (project / "notebooks").mkdir()
    monkeypatch.chdir(project / "notebooks")
    assert catalogue.available("made-up")
    frame = catalogue.frame("made-up")
    assert frame["arrival_s"].tolist() == [0.0, 3.0000001, 9.9999999]
    assert catalogue.used["made-up"]["rows"] == 3
    assert catalogue.used["made-up"]["kind"] == "third party"
    assert catalogue.used["made-up"]["sha256"] == catalogue.entry("made-up").sha256_content


def test_mirror_address_and_origin_give_the_same_content(project, server, monkeypatch, tmp_path):
    made_up.write_catalogue(project, made_up.entry_fields(url=f"{server.url}/c0ffee/raw/trace.csv"))
    server.pages["/mirror/sets/made-up.csv.gz"] = gzip.compress(made_up.TRACE.encode(), mtime=0)
    server.pages["/c0ffee/raw/trace.csv"] = made_up.TRACE.encode()
    assert not catalogue.available("made-up")
    monkeypatch.setenv("CREDENCE_MIRROR", f"{server.url}/mirror/")
    one = catalogue.frame("made-up")
    assert server.requests == ["/mirror/sets/made-up.csv.gz"]

    monkeypatch.setenv("CREDENCE_CACHE", str(tmp_path / "another"))
    monkeypatch.delenv("CREDENCE_MIRROR")
    other = catalogue.frame("made-up")
    assert server.requests[1:] == ["/c0ffee/raw/trace.csv"]
    pd.testing.assert_frame_equal(one, other)
    assert catalogue.content_hash(one) == catalogue.content_hash(other)


def test_a_set_of_two_files_comes_whole_or_not_at_all(project, server, monkeypatch, tmp_path):
    made_up.write_catalogue(project, made_up.two_files_fields())
    mirrored = tmp_path / "mirrored" / "sets"
    mirrored.mkdir(parents=True)
    monkeypatch.setenv("CREDENCE_MIRROR", str(tmp_path / "mirrored"))
    for name, text in made_up.LINES.items():
        server.pages[f"/mirror/sets/{name}"] = text.encode()
        with pytest.raises(InputError, match=r"the mirror folder has no sets/a\.json and 1 more"):
            catalogue.frame("made-up-lines")
        (mirrored / name).write_text(text)
    assert catalogue.frame("made-up-lines")["line"].tolist() == ["[", "1]", "{}"]
    assert catalogue.get("made-up-lines") == mirrored
    assert catalogue.verify("made-up-lines").status == "ok"
    (mirrored / "b.json").write_text("[]")
    with pytest.raises(InputError, match=r"the file sets/b\.json \(mirror\) is refused"):
        catalogue.frame("made-up-lines")

    monkeypatch.setenv("CREDENCE_MIRROR", f"{server.url}/mirror")
    assert catalogue.frame("made-up-lines")["file"].tolist() == [0, 0, 1]
    assert server.requests == ["/mirror/sets/a.json", "/mirror/sets/b.json"]
    server.pages.clear()
    assert catalogue.available("made-up-lines")


def test_what_was_fetched_once_needs_no_network_again(project, server, monkeypatch):
    made_up.write_catalogue(project, made_up.entry_fields(url=f"{server.url}/trace.csv"))
    server.pages["/trace.csv"] = made_up.TRACE.encode()
    first = catalogue.frame("made-up")
    assert catalogue.available("made-up")
    server.pages.clear()
    pd.testing.assert_frame_equal(catalogue.frame("made-up"), first)
    assert len(server.requests) == 1
    assert catalogue.verify("made-up").status == "ok"
    assert catalogue.get("made-up").is_file()


def test_a_changed_cache_is_refused(project, server):
    made_up.write_catalogue(project, made_up.entry_fields(url=f"{server.url}/trace.csv"))
    server.pages["/trace.csv"] = made_up.TRACE.encode()
    path = catalogue.get("made-up")
    changed = pd.read_parquet(path)
    changed.loc[1, "output_tokens"] += 1
    changed.to_parquet(path, index=False)
    with pytest.raises(InputError, match=r"'made-up' \(built\) is refused: the SHA-256 of its content"):
        catalogue.frame("made-up")
    assert catalogue.verify("made-up").status == "wrong"


def test_wrong_hash_in_the_mirror_folder_is_refused_and_no_other_way_is_tried(project, server, monkeypatch):
    made_up.write_catalogue(project, made_up.entry_fields(url=f"{server.url}/trace.csv"))
    server.pages["/trace.csv"] = made_up.TRACE.encode()
    path = made_up.mirror_file(project / "mirrored")
    path.write_bytes(gzip.compress(made_up.TRACE.replace("103", "104").encode(), mtime=0))
    monkeypatch.setenv("CREDENCE_MIRROR", "mirrored")
    with pytest.raises(InputError, match=r"'made-up': the file sets/made-up\.csv\.gz \(mirror\) is refused"):
        catalogue.frame("made-up")
    assert server.requests == []
    assert "made-up" not in catalogue.used
    assert catalogue.verify("made-up").status == "wrong"


@pytest.mark.parametrize("way", ["mirror", "origin"])
def test_wrong_bytes_from_the_network_are_refused_and_not_kept(project, server, monkeypatch, way, tmp_path):
    made_up.write_catalogue(project, made_up.entry_fields(url=f"{server.url}/trace.csv"))
    page = "/sets/made-up.csv.gz" if way == "mirror" else "/trace.csv"
    server.pages[page] = made_up.TRACE.replace("103", "104").encode()
    if way == "mirror":
        monkeypatch.setenv("CREDENCE_MIRROR", server.url)
    with pytest.raises(InputError, match=f"what {server.url}{page} delivered is refused"):
        catalogue.frame("made-up")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert not catalogue.available("made-up")


def test_origin_with_the_right_file_but_other_content_is_refused(project, server):
    # The builder changed its mind, or the catalogue was edited by hand: only the content hash can tell.
    fields = made_up.entry_fields(url=f"{server.url}/trace.csv", sha256_content="0" * 64)
    made_up.write_catalogue(project, fields)
    server.pages["/trace.csv"] = made_up.TRACE.encode()
    with pytest.raises(InputError, match=r"built from its origin\) is refused: the SHA-256 of its content"):
        catalogue.frame("made-up")
    assert not catalogue.available("made-up")


def test_mirror_404_falls_back_to_the_origin(project, server, monkeypatch):
    made_up.write_catalogue(project, made_up.entry_fields(url=f"{server.url}/trace.csv"))
    server.pages["/trace.csv"] = made_up.TRACE.encode()
    monkeypatch.setenv("CREDENCE_MIRROR", server.url)
    assert len(catalogue.frame("made-up")) == 3
    assert server.requests == ["/sets/made-up.csv.gz", "/trace.csv"]


def test_truncated_download(project, server, monkeypatch, tmp_path):
    made_up.write_catalogue(project, made_up.entry_fields())
    server.pages["/sets/made-up.csv.gz"] = gzip.compress(made_up.TRACE.encode(), mtime=0)
    server.cut_short.add("/sets/made-up.csv.gz")
    monkeypatch.setenv("CREDENCE_MIRROR", server.url)
    with pytest.raises(InputError, match="'made-up' is not here: the mirror did not deliver it"):
        catalogue.frame("made-up")
    assert not catalogue.available("made-up")
    server.cut_short.clear()
    assert len(catalogue.frame("made-up")) == 3


@pytest.mark.parametrize(
    ("mirror", "build", "words"),
    [
        (None, False, "CREDENCE_MIRROR is not set; it can't be built from its origin"),
        (None, True, "CREDENCE_MIRROR is not set; its origin did not deliver it (HTTP 404)"),
        ("empty", False, "the mirror folder has no sets/made-up.csv.gz; it can't be built from its origin"),
        ("url", True, "the mirror did not deliver it (HTTP 404); its origin did not deliver it (HTTP 404)"),
    ],
)
def test_a_missing_set_gives_one_error_with_set_origin_and_variable(project, server, monkeypatch, mirror, build, words):
    made_up.write_catalogue(project, made_up.entry_fields(url=f"{server.url}/trace.csv" if build else ""))
    if mirror:
        monkeypatch.setenv("CREDENCE_MIRROR", server.url if mirror == "url" else mirror)
    with pytest.raises(InputError) as caught:
        catalogue.frame("made-up")
    message = str(caught.value)
    assert words in message
    assert "data set 'made-up' is not here" in message
    assert "Origin: somebody/traces:raw/trace.csv at commit c0ffee" in message
    assert "Set CREDENCE_MIRROR to a folder or address that holds sets/made-up.csv.gz" in message


def test_a_host_that_does_not_answer_is_an_input_error_too(project, server, monkeypatch):
    made_up.write_catalogue(project, made_up.entry_fields())
    url = server.url
    server.server.server_close()  # the port refuses connections from here on
    monkeypatch.setenv("CREDENCE_MIRROR", url)
    with pytest.raises(InputError, match=r"the mirror did not deliver it \(ConnectionError\)"):
        catalogue.frame("made-up")


def test_simulated_set_in_git(project):
    made_up.write_catalogue(project, made_up.simulated_fields(project))
    assert catalogue.available("simulated-two")
    assert catalogue.frame("simulated-two").to_dict("list") == made_up.SIMULATED.to_dict("list")
    assert catalogue.verify("simulated-two").places == ("git",)


def test_a_simulated_set_is_made_anew_from_generator_and_seed(project, monkeypatch):
    made_up.write_catalogue(project, made_up.simulated_fields(project, generator="credence.bench.seeds:made_up"))
    assert "no generator 'credence.bench.seeds:made_up'" in catalogue.verify("simulated-two", anew=True).problems[0]
    drawn = []

    def generator(rng):
        drawn.append(rng.random())
        return made_up.SIMULATED

    monkeypatch.setattr(seeds, "made_up", generator, raising=False)
    assert catalogue.verify("simulated-two", anew=True).status == "ok"
    assert drawn == [seeds.generator(0, "simulated-two").random()]
    monkeypatch.setattr(seeds, "made_up", lambda _: made_up.SIMULATED * 2)
    assert catalogue.verify("simulated-two").status == "ok"
    assert "made anew" in catalogue.verify("simulated-two", anew=True).problems[0]


def test_only_simulated_sets_can_be_made_anew(project):
    made_up.write_catalogue(project, made_up.entry_fields())
    with pytest.raises(InputError, match="'made-up' is third party; allowed: a simulated one"):
        catalogue.regenerate("made-up")


def test_a_file_missing_from_git_is_said_to_be(project):
    made_up.write_catalogue(project, made_up.simulated_fields(project))
    (project / "data" / "ssjf" / "simulated.parquet").unlink()
    with pytest.raises(InputError, match=r"data/ssjf/simulated\.parquet is missing"):
        catalogue.frame("simulated-two")
    assert catalogue.verify("simulated-two").status == "wrong"


def test_row_count_and_columns_are_checked(project):
    made_up.write_catalogue(project, made_up.simulated_fields(project, rows=5, columns={"arrival_s": "arrival [s]"}))
    with pytest.raises(InputError, match="columns are arrival_s, output_tokens; allowed: arrival_s; it has 2 rows"):
        catalogue.frame("simulated-two")


def test_load_gives_a_dataset_with_the_same_rows(project):
    datasets = pytest.importorskip("datasets")
    made_up.write_catalogue(project, made_up.simulated_fields(project))
    loaded = catalogue.load("simulated-two")
    assert isinstance(loaded, datasets.Dataset)
    assert loaded.column_names == ["arrival_s", "output_tokens"]
    assert loaded[1] == {"arrival_s": 0.1, "output_tokens": 4}
    assert loaded.info.license == "none: made up"


def test_unknown_name_lists_the_known_ones(project):
    made_up.write_catalogue(project, made_up.entry_fields())
    with pytest.raises(InputError, match=r"unknown data set 'made-op' \(did you mean 'made-up'"):
        catalogue.frame("made-op")
