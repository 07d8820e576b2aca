"""Odd ids, labels and scores in foreign tables are kept, and counted line by line (faults I9 to I12)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from wandb_scripts import real_run

import secondguess as sg
from secondguess.analysis.cli import main


def imported(source: Path, store: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What the import says of the odd rows of each epoch; a dry run before it must have said the same."""
    said = []
    for more in (["--dry-run"], []):
        capsys.readouterr()
        main(["import", str(source), "--run", "odd", "--store", str(store), *words, *more])
        lines = capsys.readouterr().out.splitlines()
        said.append([line.strip() for line in lines if " rows has " in line or " rows have " in line])
    assert said[0] == said[1]
    return said[1]


def table_json(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    path.write_text(json.dumps({"columns": columns, "data": rows}))
    return path


def rows(store: Path, columns: str = "id, guess, truth, confidence, truth_score") -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(f'SELECT {columns} FROM "odd"').fetchall()


CSV = """\
id,guess,truth,score_0,score_1
a,0,0,0.75,0.25
a,7,1,0.5,0.5
,1,,nan,0.5
b,1,-1,0.25,0.75
c,,1,0.25,0.25
d,0,1,1.5,-0.5
e,0,0,0.25,0.75
f,1,1,-inf,inf
g,1,1,,1
"""


def test_a_csv_s_odd_rows_are_kept_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "preds.csv").write_text(CSV)
    assert imported(tmp_path / "preds.csv", tmp_path / "store", capsys) == [
        "1 of 9 rows has no id, and so no match in a join on id",
        "1 of 9 rows has the id of an earlier row (a join on id refuses that)",
        "1 of 9 rows has no guess",
        "1 of 9 rows has a guess outside the classes (0, 1), so no confidence",
        "1 of 9 rows has no truth; that is unlabelled, not an error",
        "1 of 9 rows has a truth outside the classes (0, 1)",
        "2 of 9 rows have a score that is NaN or NULL, so no confidence",
        "2 of 9 rows have a score below 0, above 1 or infinite",
        "1 of 9 rows has scores that do not add up to 1",
        "1 of 9 rows has a guess that has not the highest score",
    ]
    assert rows(tmp_path / "store") == [
        ("a", 0, 0, 0.75, 0.75),
        ("a", 7, 1, None, 0.5),
        (None, 1, None, None, None),
        ("b", 1, -1, 0.75, None),
        ("c", None, 1, None, 0.25),
        ("d", 0, 1, 1.5, -0.5),
        ("e", 0, 0, 0.25, 0.25),
        ("f", 1, 1, float("inf"), float("inf")),
        ("g", 1, 1, None, 1.0),
    ]


def test_a_table_without_oddities_has_no_such_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "preds.csv").write_text("id,guess,truth,score_0,score_1\na,0,0,0.75,0.25\nb,1,0,0.25,0.75\n")
    assert imported(tmp_path / "preds.csv", tmp_path / "store", capsys) == []


@pytest.mark.parametrize(
    ("ids", "kept", "said"),
    [
        ([1, 2, 1], ["1", "2", "1"], ["1 of 3 rows has the id of an earlier row (a join on id refuses that)",
                                      "3 of 3 rows have an id that was no text (int64); it is now"]),
        ([1.0, float("nan"), 2.5], ["1", None, "2.5"], ["1 of 3 rows has no id, and so no match in a join on id",
                                                        "2 of 3 rows have an id that was no text (double); it is now"]),
        ([9007199254740991.0, 9007199254740992.0, float("9007199254740993")],
         ["9007199254740991", "9.007199254740992e+15", "9.007199254740992e+15"],
         ["1 of 3 rows has the id of an earlier row (a join on id refuses that)",
          "3 of 3 rows have an id that was no text (double); it is now",
          "2 of 3 rows have an id that is a float of 2^53 or more, where different ids become one"]),
        ([1, "1", "a"], ["1", "1", "a"], ["1 of 3 rows has the id of an earlier row (a join on id refuses that)",
                                          "1 of 3 rows has an id that was no text (of several kinds); it is now"]),
        ([9007199254740992, 9007199254740993, 9007199254740994],
         ["9007199254740992", "9007199254740993", "9007199254740994"],
         ["3 of 3 rows have an id that was no text (int64); it is now"]),
        ([True, False, None], ["true", "false", None], ["1 of 3 rows has no id, and so no match in a join on id",
                                                        "2 of 3 rows have an id that was no text (bool); it is now"]),
        ([["a", 1], {"b": 2}, "c"], ['["a", 1]', '{"b": 2}', "c"],
         ["2 of 3 rows have an id that was no text (of several kinds); it is now"]),
        ([None, None, None], [None, None, None], ["3 of 3 rows have no id, and so no match in a join on id"]),
        (["1", "01", "1 "], ["1", "01", "1 "], []),
    ],
)  # fmt: skip
def test_ids_of_a_table_json_become_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ids: list[Any], kept: list[Any], said: list[str]
) -> None:
    source = table_json(tmp_path / "t.table.json", ["id", "guess"], [[one, 0] for one in ids])
    assert imported(source, tmp_path / "store", capsys) == said
    assert [name for (name,) in rows(tmp_path / "store", "id")] == kept


def test_ids_that_are_bytes_become_the_text_they_spell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = pa.array(["é".encode(), b"\xff\x00", b"a", None], pa.binary())
    pq.write_table(pa.table({"id": ids, "guess": [0, 1, 2, 3]}), tmp_path / "t.parquet")
    assert imported(tmp_path / "t.parquet", tmp_path / "store", capsys) == [
        "1 of 4 rows has no id, and so no match in a join on id",
        "3 of 4 rows have an id that was no text (binary); it is now",
    ]
    assert rows(tmp_path / "store", "id") == [("é",), ("ff00",), ("a",), (None,)]


def test_labels_of_several_kinds_are_text_and_those_outside_the_classes_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [["a", "cat", "dog", 0.75, 0.25], ["b", "dog", "cow", 0.25, 0.75], ["c", 7, "cat", 0.5, 0.5]]
    source = table_json(tmp_path / "t.table.json", ["id", "guess", "truth", "p_cat", "p_dog"], said)
    assert imported(source, tmp_path / "store", capsys) == [
        "1 of 3 rows has a guess outside the classes (cat, dog), so no confidence",
        "1 of 3 rows has a truth outside the classes (cat, dog)",
    ]
    assert rows(tmp_path / "store") == [
        ("a", "cat", "dog", 0.75, 0.25),
        ("b", "dog", "cow", 0.75, None),
        ("c", "7", "cat", None, 0.5),
    ]


def test_a_table_without_an_id_or_image_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = table_json(tmp_path / "t.table.json", ["guess"], [[0], [1]])
    assert imported(source, tmp_path / "store", capsys) == ["2 of 2 rows have no id, and so no match in a join on id"]


SCRIPT = """
first = [[1, 0, 0, 0.75, 0.25], [2, 3, 1, 0.5, 0.5], [2, 1, None, math.nan, 1.0]]
second = [["1", 0, 0, 0.75, 0.25], ["2", 1, -1, 0.25, 0.75], [None, 1, 1, math.inf, 0.0]]
for epoch, rows in ((1, first), (2, second)):
    run.log({"t": wandb.Table(columns=["id", "guess", "truth", "score_0", "score_1"], data=rows), "epoch": epoch})
"""


def test_an_offline_run_says_it_for_each_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ids' type changes between the epochs: they are text in both, and join."""
    place = real_run(tmp_path, SCRIPT)
    assert imported(place, tmp_path / "store", capsys) == [
        "1 of 3 rows has the id of an earlier row (a join on id refuses that)",
        "3 of 3 rows have an id that was no text (int64); it is now",
        "1 of 3 rows has a guess outside the classes (0, 1), so no confidence",
        "1 of 3 rows has no truth; that is unlabelled, not an error",
        "1 of 3 rows has a score that is NaN or NULL, so no confidence",
        "1 of 3 rows has no id, and so no match in a join on id",
        "1 of 3 rows has a truth outside the classes (0, 1)",
        "1 of 3 rows has a score below 0, above 1 or infinite",
        "1 of 3 rows has a guess that has not the highest score",
    ]
    found = sg.connect(tmp_path / "store").sql('SELECT epoch, id, guess, truth, confidence FROM "odd/t"')
    assert found.order("epoch, id NULLS LAST, guess").fetchall() == [
        (1, "1", 0, 0, 0.75),
        (1, "2", 1, None, None),
        (1, "2", 3, 1, None),
        (2, "1", 0, 0, 0.75),
        (2, "2", 1, -1, 0.75),
        (2, None, 1, 1, 0.0),
    ]


def test_a_version_without_one_of_the_scores_keeps_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = """
run.log({"t": wandb.Table(columns=["guess", "score_0", "score_1"], data=[[1, 0.25, 0.75]]), "epoch": 1})
run.log({"t": wandb.Table(columns=["id", "guess", "score_0", "score_1", "score_2"],
                          data=[["a", 2, 0.125, 0.125, 0.75]]), "epoch": 2})
"""
    assert imported(real_run(tmp_path, script), tmp_path / "store", capsys) == [
        "1 of 1 rows has no id, and so no match in a join on id",
        "1 of 1 rows has a score that is NaN or NULL, so no confidence",
    ]
    found = sg.connect(tmp_path / "store").sql('FROM "odd/t" ORDER BY epoch')
    assert found.project("id, guess, confidence, score_0, score_1, score_2").fetchall() == [
        (None, 1, None, 0.25, 0.75, None),
        ("a", 2, 0.75, 0.125, 0.125, 0.75),
    ]


def test_repeated_ids_are_counted_exactly_among_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """120,000 rows in three batches: id k stands once more for every k that 7 divides."""
    ids = [*range(100_000), *range(0, 100_000, 7), *range(100_000, 105_714)]
    (tmp_path / "many.csv").write_text("id,guess\n" + "".join(f"x{one},0\n" for one in ids))
    assert len(ids) == 120_000
    assert imported(tmp_path / "many.csv", tmp_path / "store", capsys) == [
        "14,286 of 120,000 rows have the id of an earlier row (a join on id refuses that)"
    ]
