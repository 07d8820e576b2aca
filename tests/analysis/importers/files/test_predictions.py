"""Prediction files through the command: one or several, packed or piped, are one run."""

import gzip
import io
import json
import os
import re
import shlex
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from PIL import Image

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.importers.files.predictions import FileOptions, prediction_run

ROWS = "id,label,pred\na,1,1\nb,0,1\n"


def brought(tmp_path: Path, *words: str | Path) -> list[tuple[object, ...]]:
    """What an import leaves of ids, truths and guesses."""
    store = tmp_path / "store"
    main(["import", *map(str, words), "--run", "mine", "--overwrite", "--store", str(store)])
    return sg.connect(store).sql("SELECT id, truth, guess FROM mine ORDER BY id NULLS LAST").fetchall()


def refused(tmp_path: Path, capsys, *words: str | Path) -> str:
    with pytest.raises(SystemExit):
        main(["import", *map(str, words), "--run", "mine", "--store", str(tmp_path / "store")])
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").iterdir())
    return str(capsys.readouterr().err.splitlines()[-1])


@pytest.mark.parametrize("form", ["csv", "tsv", "csv.gz", "jsonl", "json", "parquet", "feather"])
def test_the_same_ids_in_every_format_join(tmp_path: Path, form: str) -> None:
    table = pa.table({"id": ["0001", "NA"], "label": ["cat", "null"], "pred": ["cat", "010"]})
    path = tmp_path / f"p.{form}"
    if form == "parquet":
        pq.write_table(table, path)
    elif form == "feather":
        pyarrow.feather.write_feather(table, path)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    elif form == "json":
        path.write_text(json.dumps(table.to_pylist()))
    else:
        between = "\t" if form == "tsv" else ","
        rows = [table.column_names, *(row.values() for row in table.to_pylist())]
        text = "".join(between.join(row) + "\n" for row in rows)
        path.write_bytes(gzip.compress(text.encode(), mtime=0) if form == "csv.gz" else text.encode())
    assert brought(tmp_path, path) == [("0001", "cat", "cat"), ("NA", "null", "010")]


def test_labels_that_are_whole_numbers_in_every_row_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(ROWS)
    assert brought(tmp_path, tmp_path / "p.csv") == [("a", 1, 1), ("b", 0, 1)]
    (tmp_path / "p.csv").write_text(ROWS + "c,01,1\n")
    assert brought(tmp_path, tmp_path / "p.csv")[0] == ("a", "1", "1")


def test_scores_with_decimal_commas_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id;label;pred;prob_0;prob_1\na;1;1;0,2;0,8\nb;0;1;0,3;0,7\n")
    brought(tmp_path, tmp_path / "p.csv")
    found = sg.connect(tmp_path / "store").sql("SELECT score_0, score_1, confidence FROM mine ORDER BY id").fetchall()
    assert [[round(value, 4) for value in row] for row in found] == [[0.2, 0.8, 0.8], [0.3, 0.7, 0.7]]


def test_a_folder_a_pattern_and_several_files_are_one_table_in_order(tmp_path: Path, capsys) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for at in (10, 2, 1):
        (shards / f"p-{at}.csv").write_text(f"id,label,pred\n{at:02},{at},1\n")
    expected = [("01", 1, 1), ("02", 2, 1), ("10", 10, 1)]
    for words in ([shards], [f"{shards}/*.csv"], sorted(shards.iterdir())):
        assert brought(tmp_path, *words) == expected
        told = f"3 files are read as one table: {shards}/p-1.csv, "
        assert told in capsys.readouterr().out
    assert prediction_run([f"{shards}/*.csv"], tmp_path).name == "p"
    assert prediction_run([str(shards)], tmp_path).name == "shards"


def test_images_lie_beside_the_files_that_name_them_however_these_are_named(tmp_path: Path, capsys) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for at in (1, 2):
        Image.new("L", (3, 2), at).save(shards / f"{at}.png")
        (shards / f"p-{at}.csv").write_text(f"image,label,pred\n{at}.png,cat,dog\n")
    for words in ([shards], [f"{shards}/*.csv"], sorted(shards.glob("*.csv"))):
        brought(tmp_path, *words)
        assert "2 rows, 2 images" in capsys.readouterr().out


def test_shards_may_order_their_columns_as_they_like_but_have_the_same(tmp_path: Path, capsys) -> None:
    (tmp_path / "a.csv").write_text("id,pred\na,1\n")
    (tmp_path / "b.csv").write_text("pred,id\n2,b\n")
    main(["import", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "--run", "r", "--store", str(tmp_path / "s")])
    assert sg.connect(tmp_path / "s").sql("SELECT id, guess FROM r ORDER BY id").fetchall() == [("a", 1), ("b", 2)]
    (tmp_path / "c.csv").write_text("id,guess\nc,1\n")
    said = refused(tmp_path / "other", capsys, tmp_path / "a.csv", tmp_path / "c.csv")
    assert "c.csv has other columns (id, guess) than" in said and "import them one by one" in said


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,label,pred\na,NA,x\nb,-,y\n")
    words = [tmp_path / "p.csv", "--missing", "NA", "--missing", "-"]
    assert brought(tmp_path, *words) == [("a", None, "x"), ("b", None, "y")]
    (tmp_path / "p.jsonl").write_text('{"id": "a", "label": "NA", "pred": "x"}\n')
    assert brought(tmp_path, tmp_path / "p.jsonl", "--missing", "NA") == [("a", None, "x")]


def test_delimiter_encoding_header_and_format_can_be_named(tmp_path: Path, capsys) -> None:
    (tmp_path / "p.dat").write_bytes("a~ж~ж\n".encode("cp1251"))
    words = [tmp_path / "p.dat", "--format", "csv", "--delimiter", "~", "--encoding", "cp1251", "--no-header"]
    roles = ["--id", "column_1", "--truth", "column_2", "--guess", "column_3"]
    assert brought(tmp_path, *words, *roles) == [("a", "ж", "ж")]
    said = refused(tmp_path / "other", capsys, *words[:3], "--delimiter", "ab")
    assert "--delimiter is 'ab'; expected one character or one of comma, tab, semicolon, pipe" in said


def test_standard_input_is_a_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ROWS.encode())))
    assert brought(tmp_path, "-") == [("a", 1, 1), ("b", 0, 1)]


def test_a_named_pipe_is_a_file_too(tmp_path: Path) -> None:
    """As a shell makes one of `<(zcat p.csv.gz)`."""
    os.mkfifo(tmp_path / "pipe")
    writing = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[gzip.compress(ROWS.encode())])
    writing.start()
    assert brought(tmp_path, tmp_path / "pipe") == [("a", 1, 1), ("b", 0, 1)]
    writing.join()


def test_a_store_or_a_run_in_it_is_no_prediction_file_and_the_way_to_it_is_said(tmp_path: Path, capsys) -> None:
    store = tmp_path / "it's"
    with sg.Recorder(store, run="my run") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["a"], truth=[1], guess=[0])
    for source, what in ((store, "a store"), (store / "my run", "a run in a store")):
        said = refused(tmp_path, capsys, source)
        assert f"{source} is {what}; write a run of it as a file, and import that: secondguess export " in said
    (command,) = re.findall(r"that: secondguess (export .*?); secondguess import 'my run'.zip$", said)
    main(shlex.split(command.replace("'my run'.zip", str(tmp_path / "r.zip"))))
    main(["import", str(tmp_path / "r.zip"), "--store", str(tmp_path / "other")])
    assert sg.connect(tmp_path / "other").sql('SELECT id, truth, guess FROM "my run"').fetchall() == [("a", 1, 0)]


def test_a_file_that_is_not_there_is_no_project_of_w_and_b_s(tmp_path: Path, capsys) -> None:
    assert refused(tmp_path, capsys, "results/preds.csv") == "secondguess: no file results/preds.csv"


def test_what_another_encoding_was_is_said(tmp_path: Path, capsys) -> None:
    (tmp_path / "p.csv").write_bytes("id,label,pred\na,Käse,Käse\n".encode("latin-1"))
    assert brought(tmp_path, tmp_path / "p.csv") == [("a", "Käse", "Käse")]
    assert "read as cp1252; --encoding names another" in capsys.readouterr().out


def test_our_own_answers_come_back(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,label,pred\n0001,NA,x\nb,,y\n")
    first = brought(tmp_path, tmp_path / "p.csv")
    for form in ("json", "csv", "parquet"):
        where = ["--store", str(tmp_path / "store"), "--columns", "id,guess,truth"]
        main(["table", "mine", *where, "-o", str(tmp_path / f"own.{form}")])
        assert brought(tmp_path, tmp_path / f"own.{form}") == first


def test_a_json_file_is_w_and_b_s_table_or_records_by_what_it_holds(tmp_path: Path) -> None:
    for text in ('{"columns": ["id", "label", "pred"], "data": [["a", 1, 1]]}', '{"id": "a", "label": 1, "pred": 1}'):
        (tmp_path / "p.json").write_text(text)
        assert brought(tmp_path, tmp_path / "p.json") == [("a", 1, 1)]


def test_what_was_unpacked_is_gone_after_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress(ROWS.encode("utf-16"), mtime=0))
    assert len(brought(tmp_path, tmp_path / "p.csv.gz")) == 2
    assert os.listdir(tmp_path / "temporary") == []


def test_a_delimiter_has_names() -> None:
    assert FileOptions(delimiter="Tab").of_text(",").delimiter == "\t"
    assert FileOptions(delimiter="\\t").of_text(",").delimiter == "\t"
