"""`secondguess sql --duckdb FILE` writes a database of views that a DuckDB without this package opens."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from recording import record
from s3_server import S3Server, bucket_url, s3_process, s3_server

from secondguess.analysis.cli import main

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures
FIRST = [("a", 4, 4), ("b", 4, 1), ("c", 1, 4), ("d", 0, 0)]
READS = """
import json, sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=True)
rows = con.execute('SELECT id, guess, truth, wrong, truth_rank FROM "cnn@1" ORDER BY id').fetchall()
print(json.dumps([duckdb.__version__, rows]))
"""
EXPECTED = [["a", 4, 4, False, None], ["b", 1, 4, True, None], ["c", 4, 1, True, None], ["d", 0, 0, False, None]]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    record(tmp_path / "s", "cnn", {1: FIRST})
    return tmp_path / "s"


def fails(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["sql", *map(str, words)])
    assert ended.value.code in (1, 2)
    return capsys.readouterr().err


def test_a_process_without_this_package_reads_the_views(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.duckdb"
    main(["sql", "--duckdb", str(file), "--store", str(store)])
    out, said = capsys.readouterr()
    assert out == ""
    again = f"secondguess sql --duckdb {file} --store {store} --overwrite"
    assert said == f"wrote 10 views to {file}; for new epochs, or after a compaction, again: {again}\n"
    ran = subprocess.run([sys.executable, "-I", "-c", READS, file], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)[1] == EXPECTED
    assert {path.name for path in tmp_path.iterdir()} == {"s", "p.duckdb"}


def test_views_may_lie_in_a_schema(store: Path, tmp_path: Path) -> None:
    main(["sql", "--duckdb", str(tmp_path / "p.duckdb"), "--schema", "x y", "--store", str(store)])
    con = duckdb.connect(str(tmp_path / "p.duckdb"), read_only=True)
    assert con.execute('SELECT count(*) FROM "x y".test_predictions').fetchall() == [(4,)]


def test_a_file_is_replaced_only_if_asked_and_only_one_of_views(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.duckdb"
    command = ["--duckdb", file, "--store", store]
    main(["sql", *map(str, command)])
    before = file.read_bytes()
    assert f"{file} is there already; name another file, or replace it with --overwrite" in fails(capsys, *command)
    assert file.read_bytes() == before
    record(store, "double", {1: FIRST})
    main(["sql", *map(str, command), "--overwrite"])
    con = duckdb.connect(str(file), read_only=True)
    assert con.execute("SELECT count(*) FROM test_predictions").fetchall() == [(8,)]
    con.close()
    mine = tmp_path / "mine.duckdb"
    with duckdb.connect(str(mine)) as own:
        own.execute("CREATE TABLE mine AS SELECT 1 AS x")
    text = tmp_path / "mine.txt"
    text.write_text("mine")
    for other in (mine, text):
        said = fails(capsys, "--duckdb", other, "--store", store, "--overwrite")
        assert f"{other} is no database of views of a store and of nothing else, so it stays; name another" in said
    assert text.read_text() == "mine"
    with duckdb.connect(str(mine)) as own:
        assert own.execute("FROM mine").fetchall() == [(1,)]


def test_the_command_that_makes_it_anew_runs_as_it_is_said(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "it's of $mine.duckdb"
    main(["sql", "--duckdb", str(file), "--store", str(store), "--schema", "my runs"])
    again = capsys.readouterr().err.partition("again: ")[2]
    assert shlex.split(again)[-3:] == ["--schema", "my runs", "--overwrite"]
    main(shlex.split(again)[1:])
    with duckdb.connect(str(file), read_only=True) as con:
        assert con.execute('SELECT count(*) FROM "my runs".cnn').fetchall() == [(4,)]


def test_what_cannot_be_written_is_said_and_leaves_nothing(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "no" / "p.duckdb"
    assert f"there is no folder {nowhere.parent}; make it" in fails(capsys, "--duckdb", nowhere, "--store", store)
    inside = store / "p.duckdb"
    assert f"{inside} lies in the store" in fails(capsys, "--duckdb", inside, "--store", store)
    assert "no store at" in fails(capsys, "--duckdb", tmp_path / "p.duckdb", "--store", tmp_path / "none")
    assert {path.name for path in tmp_path.iterdir()} == {"s"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give a SELECT, or --duckdb FILE for a database of views"),
        (["SELECT 1", "--duckdb", "x"], "give a SELECT, or --duckdb FILE for a database of views, not both"),
        (["SELECT 1", "--overwrite"], "--schema and --overwrite go with --duckdb FILE, not with a SELECT"),
    ],
)
def test_it_is_either_an_answer_or_a_file(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fails(capsys, *words) == f"secondguess: {said}\n"


def test_of_a_bucket_it_says_what_is_first_where_it_is_opened(
    bucket_url: str, s3_server: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from secondguess.analysis.objects.path import place

    record(place(f"{bucket_url}/p"), "cnn", {1: FIRST})
    capsys.readouterr()
    main(["sql", "--duckdb", str(tmp_path / "p.duckdb"), "--store", f"{bucket_url}/p"])
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "first, where it is opened: INSTALL httpfs; LOAD httpfs;"
    assert said[1].startswith("first, where it is opened: SET s3_region")
    assert said[2].startswith("wrote 10 views")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["1.0.0", "1.4.1"])
def test_an_older_duckdb_opens_the_file(store: Path, tmp_path: Path, version: str) -> None:
    main(["sql", "--duckdb", str(tmp_path / "p.duckdb"), "--store", str(store)])
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "old"], check=True)
    python = tmp_path / "old/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"duckdb=={version}"], check=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    run = [python, "-c", READS, tmp_path / "p.duckdb"]
    ran = subprocess.run(run, capture_output=True, text=True, check=True, env=env)
    assert json.loads(ran.stdout) == [version, EXPECTED]
