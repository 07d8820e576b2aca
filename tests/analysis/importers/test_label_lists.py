"""Rows with several labels in other people's files: what the cells may be, what they become, what is refused."""

import contextlib
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.importers.label_lists import lists_of, reading
from secondguess.analysis.schema import DEFAULT_TABLE
from secondguess.analysis.store.runs import find_run


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


def test_guesses_in_lists_may_come_without_truths(tmp_path: Path, capsys) -> None:
    said = taken(written(tmp_path, "jsonl", {"id": ["a", "b"], "prediction": [["y", "x"], []]}), capsys)
    assert "prediction has lists of labels: a multi-label table" in said
    assert rows(tmp_path) == [("a", ["x", "y"], None, None), ("b", [], None, None)]


@pytest.mark.parametrize("kind", [float, bool])
def test_0_and_1_may_be_real_numbers_or_false_and_true(tmp_path: Path, capsys, kind: type) -> None:
    lists = {"id": ["a", "b"], "labels": [[0, 1], [1, 1]], "preds": [[0, 1], [0, 0]]}
    bits = {name: [[kind(bit) for bit in row] for row in lists[name]] for name in ("labels", "preds")}
    taken(written(tmp_path, "parquet", {**lists, **bits}), capsys, "--classes", "x,y")
    assert rows(tmp_path) == [("a", ["y"], ["y"], False), ("b", [], ["x", "y"], True)]


@pytest.mark.parametrize("kind", [datasets.List, datasets.Sequence, lambda feature: [feature]])
def test_lists_of_a_class_label_have_its_names(tmp_path: Path, capsys, kind: Any) -> None:
    """As go_emotions and other multi-label data sets on the Hugging Face hub have them."""
    several = kind(datasets.ClassLabel(names=["cat", "dog", "ox"]))
    features = datasets.Features({"id": datasets.Value("string"), "labels": several, "preds": several})
    lists = {"id": ["a", "b"], "labels": [[2, 0], []], "preds": [[0], []]}
    datasets.Dataset.from_dict(lists, features).to_parquet(tmp_path / "t.parquet")
    assert "classes = cat, dog, ox (as the file's ClassLabel names them)" in taken(tmp_path / "t.parquet", capsys)
    assert rows(tmp_path) == [("a", ["cat"], ["cat", "ox"], True), ("b", [], [], False)]


def labelled(folder: Path, capsys: pytest.CaptureFixture[str], lists: list[Any], kind: str, *words: str) -> str:
    path = written(folder, kind, {"id": ["a", "b", "c"], "truth": lists})
    with pytest.raises(SystemExit) if words[:1] == ("refused",) else contextlib.nullcontext():
        main(["label", "r", str(path), "--store", str(folder / "s"), *words[words[:1] == ("refused",) :]])
    return capsys.readouterr().err


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_lists_of_labels_may_come_later(tmp_path: Path, capsys, kind: str) -> None:
    taken(written(tmp_path, "jsonl", {"id": ["a", "b", "c"], "preds": [["y", "x"], ["x"], []]}), capsys)
    said = labelled(tmp_path, capsys, [["x", "y"], ["y"], []], kind)
    assert "3 matched, 0 only in r@1, 0 only in t." in said
    assert "3 rows labelled" in said
    assert rows(tmp_path) == [("a", ["x", "y"], ["x", "y"], False), ("b", ["x"], ["y"], True), ("c", [], [], False)]
    assert "0 rows labelled" in labelled(tmp_path, capsys, [["y", "x"], ["y"], []], kind)
    said = labelled(tmp_path, capsys, [["x", "y"], ["x", "y"], ["z"]], kind, "refused")
    assert "2 rows of r@1 have another label already; --replace takes those of t." in said
    labelled(tmp_path, capsys, [["x", "y"], ["x", "y"], ["z"]], kind, "--replace")
    assert [truth for _, _, truth, _ in rows(tmp_path)] == [["x", "y"], ["x", "y"], ["z"]]
    main(["check", "--store", str(tmp_path / "s")])


def test_labels_that_came_later_leave_the_record_of_those_that_came_at_once(tmp_path: Path, capsys) -> None:
    """Errors and the sums of ids and truths, by which tables are told to have the same examples."""
    lists = {"id": ["a", "b", "c"], "preds": [["y", "x"], ["x"], []]}
    truth = [["x", "y"], ["y"], None]
    taken(written(tmp_path, "parquet", lists), capsys)
    labelled(tmp_path, capsys, truth, "jsonl")
    whole = written(tmp_path, "parquet", {**lists, "truth": truth})
    main(["import", str(whole), "--run", "q", "--store", str(tmp_path / "s")])
    r, q = (find_run(tmp_path / "s", name).tables[DEFAULT_TABLE][1] for name in ("r", "q"))
    assert (r.errors, r.unlabelled, r.id_set, r.id_truth_set) == (q.errors, q.unlabelled, q.id_set, q.id_truth_set)
    assert (r.errors, r.unlabelled) == (1, 1)


def test_numbers_and_0_and_1_are_named_as_the_tables_classes(tmp_path: Path, capsys) -> None:
    lists = {"id": ["a", "b", "c"], "prediction": [["x"], ["y", "z"], []]}
    taken(written(tmp_path, "jsonl", lists), capsys, "--classes", "x,y,z")
    labelled(tmp_path, capsys, [[0], [2, 1], []], "jsonl")
    assert [truth for _, _, truth, _ in rows(tmp_path)] == [["x"], ["y", "z"], []]
    assert "0 rows labelled" in labelled(tmp_path, capsys, [[1, 0, 0], [0, 1, 1], [0, 0, 0]], "jsonl")


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            ["x", "y", None],
            "the table has several labels a row, but 'truth' in t.jsonl has not a list of labels in each",
        ),
        ([["x", "x"], [], []], "'truth' has a label twice in the cell"),
        ([[0], [1, 2], []], "are numbers, but the table's classes are not told"),
        ([[0, 1], [1, 1], [0, 0]], "are 0 and 1 for each class, but the table's classes are not told"),
    ],
)
def test_labels_that_fit_no_lists_are_refused(tmp_path: Path, capsys, lists: Any, message: str) -> None:
    taken(written(tmp_path, "jsonl", {"id": ["a"], "preds": [["y", "x"]]}), capsys)
    assert message in labelled(tmp_path, capsys, lists, "jsonl", "refused")
    assert rows(tmp_path) == [("a", ["x", "y"], None, None)]


def test_lists_are_no_labels_of_a_table_with_one_a_row(tmp_path: Path, capsys) -> None:
    taken(written(tmp_path, "jsonl", {"id": ["a"], "guess": ["x"]}), capsys)
    said = labelled(tmp_path, capsys, [["x"], ["y"], []], "jsonl", "refused")
    assert "'truth' in t.jsonl has lists in its cells, and the table has one label a row" in said


@given(st.lists(st.sets(st.text(), max_size=4)))
def test_a_list_says_the_same_however_it_is_written(rows: list[set[str]]) -> None:
    """As a list, as JSON and as Python prints it, in any order."""
    lists = [list(row) for row in rows]
    ways: list[list[Any]] = [lists, [json.dumps(row) for row in lists], [str(row[::-1]) for row in lists]]
    for cells in ways:
        said = lists_of(cells)
        assert (said is not None) == any(lists)
        if said is not None:
            assert said.names == set().union(*rows)
            stored = reading("labels", said, pa.list_(pa.string()), None)(cells)
            assert stored.to_pylist() == [sorted(row) for row in rows]


@given(
    st.integers(2, 5).flatmap(
        lambda width: st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=1)
    )
)
def test_0_and_1_for_each_class_are_its_places(rows: list[list[bool]]) -> None:
    names = list("edcba")[: len(rows[0])]
    for kind in (int, float, bool):
        cells = [[kind(bit) for bit in row] for row in rows]
        said = lists_of(cells)
        assert said is not None
        assert (said.width, said.are_single) == (len(names), all(sum(row) == 1 for row in rows))
        stored = reading("labels", said, pa.list_(pa.string()), names)(cells).to_pylist()
        assert stored == [sorted(name for name, bit in zip(names, row, strict=True) if bit) for row in rows]
