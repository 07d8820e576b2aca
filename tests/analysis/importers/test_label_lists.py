"""Rows with several labels in other people's files: what the cells may be, what they become, what is refused."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import secondguess as sg
from secondguess.analysis.cli import main


def taken(path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(["import", str(path), "--run", "r", "--store", str(path.parent / "s"), *words])
    return capsys.readouterr().out


def refused(path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit):
        taken(path, capsys, *words)
    return capsys.readouterr().err


def rows(folder: Path) -> list[tuple[Any, ...]]:
    return sg.connect(folder / "s").sql("SELECT id, guess, truth, wrong FROM r ORDER BY id").fetchall()


def written(folder: Path, kind: str, lists: dict[str, list[Any]]) -> Path:
    path = folder / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table(lists), path)
    elif kind == "jsonl":
        path.write_text(
            "".join(json.dumps(dict(zip(lists, row, strict=True))) + "\n" for row in zip(*lists.values(), strict=True))
        )
    else:
        lines = [
            ",".join('"' + str(one).replace('"', '""') + '"' for one in row)
            for row in zip(*lists.values(), strict=True)
        ]
        path.write_text("\n".join([",".join(lists), *lines]) + "\n")
    return path


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_lists_of_names_are_compared_as_sets(tmp_path: Path, capsys, kind: str) -> None:
    """In CSV a list is written as Python prints it."""
    lists = {"id": ["a", "b", "c"], "labels": [["x", "y"], [], ["y"]], "preds": [["y", "x"], ["x"], ["y"]]}
    said = taken(written(tmp_path, kind, lists), capsys)
    assert "preds and labels have lists of labels: a multi-label table" in said
    assert rows(tmp_path) == [
        ("a", ["x", "y"], ["x", "y"], False),
        ("b", ["x"], [], True),
        ("c", ["y"], ["y"], False),
    ]


def test_numbers_are_places_among_the_classes(tmp_path: Path, capsys) -> None:
    path = written(tmp_path, "jsonl", {"id": ["a", "b"], "label": [[2, 0], [1]], "prediction": [[0], [1]]})
    taken(path, capsys, "--classes", "cat,dog,fish")
    assert rows(tmp_path) == [("a", ["cat"], ["cat", "fish"], True), ("b", ["dog"], ["dog"], False)]


def test_rows_of_0_and_1_need_their_classes(tmp_path: Path, capsys) -> None:
    path = written(tmp_path, "parquet", {"id": ["a", "b"], "labels": [[0, 1], [1, 1]], "preds": [[0, 1], [0, 1]]})
    said = refused(path, capsys)
    assert "'preds' has 2 times 0 or 1 in each cell, one for each class; name them in the order of the cells" in said
    assert "3 are given" in refused(path, capsys, "--classes", "x,y,z")
    taken(path, capsys, "--classes", "x,y")
    assert rows(tmp_path) == [("a", ["y"], ["y"], False), ("b", ["y"], ["x", "y"], True)]


def test_lists_of_one_beside_lists_of_several_are_lists(tmp_path: Path, capsys) -> None:
    lists = {"id": ["a", "b"], "labels": [["x", "y"], ["y"]], "preds": [["x"], ["y"]]}
    taken(written(tmp_path, "parquet", lists), capsys)
    assert rows(tmp_path) == [("a", ["x"], ["x", "y"], True), ("b", ["y"], ["y"], False)]


def test_a_row_without_truth_is_unlabelled(tmp_path: Path, capsys) -> None:
    lists = {"id": ["a", "b"], "label": [["x", "y"], None], "prediction": [["x"], ["y"]]}
    assert "1 of 2 rows has no truth" in taken(written(tmp_path, "jsonl", lists), capsys)
    assert rows(tmp_path) == [("a", ["x"], ["x", "y"], True), ("b", ["y"], None, None)]


@pytest.mark.parametrize(
    ("lists", "words", "message"),
    [
        ({"labels": [["x", "x"]], "preds": [["x", "y"]]}, [], "'labels' has a label twice in the cell"),
        ({"labels": [["x", "y"]], "preds": [["z", "x"]]}, ["--classes", "x,y"], "'preds' has the label 'z', which is"),
        ({"labels": [[0, 2]], "preds": [[0, 5]]}, ["--classes", "x,y,z"], "'preds' has the label 5, but there are 3"),
        ({"labels": [["x", "y"]], "pred": ["x"]}, [], "'labels' has lists in its cells: rows with several labels"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, capsys, lists: Any, words: Any, message: str) -> None:
    assert message in refused(written(tmp_path, "parquet", {"id": ["a"], **lists}), capsys, *words)
    assert not (tmp_path / "s" / "r").exists()


def test_scores_that_are_called_as_ours_are_scores(tmp_path: Path, capsys) -> None:
    """They need not add up to 1: each label has a chance of its own."""
    lists = {"id": ["a"], "truth": [["x", "y"]], "guess": [["x"]], "score_0": [0.9], "score_1": [0.4]}
    said = taken(written(tmp_path, "parquet", lists), capsys, "--classes", "x,y")
    assert "add up" not in said
    found = sg.connect(tmp_path / "s").sql("SELECT guess, score_0, score_1, confidence, truth_score FROM r").fetchall()
    assert found == [(["x"], pytest.approx(0.9), pytest.approx(0.4), None, None)]


def test_labels_cannot_be_joined_to_lists_later(tmp_path: Path, capsys) -> None:
    taken(written(tmp_path, "parquet", {"id": ["a"], "labels": [["x", "y"]], "preds": [["x", "y"]]}), capsys)
    (tmp_path / "l.csv").write_text("id,truth\na,x\n")
    with pytest.raises(SystemExit):
        main(["label", "r", str(tmp_path / "l.csv"), "--store", str(tmp_path / "s")])
    assert "guesses and truths of the table are lists of labels, but l.csv has one label" in capsys.readouterr().err
