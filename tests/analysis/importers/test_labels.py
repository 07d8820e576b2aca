"""Labels in a file of their own: joined like any table, committed whole, and seen by every question."""

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import recording_process
from killing import bring, killed_at_random, next_writer
from recording import bytes_of
from recording_process import interrupted_at
from waiting import HANG_S

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput
from secondguess.analysis.store.runs import find_run
from secondguess.trainer.recorder import Recorder

PREDICTIONS = "id,pred,prob_cat,prob_dog\na,cat,0.75,0.25\nb,dog,0.25,0.75\nc,dog,0.125,0.875\n"
LABELS = "id,label\nc,dog\na,cat\nb,cat\nx,dog\n"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command on a store; gives exit code, stdout and stderr. Words that name files of the folder are these."""

    def go(*words: str) -> tuple[int, str, str]:
        known = [str(tmp_path / word) if (tmp_path / word).is_file() else word for word in words]
        try:
            main([*known, "--store", str(tmp_path / "s")])
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return go


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "preds.csv").write_text(PREDICTIONS)
    (tmp_path / "labels.csv").write_text(LABELS)
    return tmp_path / "s"


def rows(store: Path, sql: str) -> list[tuple[Any, ...]]:
    return sg.connect(store).sql(sql).fetchall()


def answers(store: Path, name: str = "preds") -> None:
    """Every question sees that b, a cat, is the one error."""
    asked = sg.connect(store)
    assert asked.ask("errors", name).project("id, truth, truth_score").fetchall() == [("b", "cat", 0.25)]
    assert asked.ask("confusion", name).project("truth, guess, rows").fetchall() == [
        ("cat", "cat", 1),
        ("cat", "dog", 1),
        ("dog", "dog", 1),
    ]
    assert asked.ask("errors-by-guess", name).project("guess, errors").fetchall() == [("dog", 1)]
    assert asked.ask("errors-over-time", f"{name}@best").project("epoch, errors").fetchall() == [(1, 1)]


def test_labels_come_after_the_predictions_and_every_question_works(run, store) -> None:
    assert run("import", "preds.csv")[0] == 0
    with pytest.raises(BadInput, match="no truth"):
        sg.connect(store).ask("errors", "preds")
    code, _, err = run("label", "preds", "labels.csv")
    assert code == 0
    assert "joined preds@1 with labels.csv on id: 3 matched, 0 only in preds@1, 1 only in labels.csv" in err
    assert "3 rows labelled" in err
    answers(store)
    epoch = find_run(store, "preds").tables["test_predictions"][1]
    assert (epoch.errors, epoch.unlabelled, epoch.rows) == (1, 0, 3)
    assert run("check")[0] == 0


def test_labels_that_are_there_already_write_nothing(run, store) -> None:
    run("import", "preds.csv")
    run("label", "preds", "labels.csv")
    before = sorted(path.name for path in store.rglob("*.json"))
    code, _, err = run("label", "preds", "labels.csv")
    assert (code, "0 rows labelled" in err) == (0, True)
    assert sorted(path.name for path in store.rglob("*.json")) == before


def test_labels_at_import_leave_the_same_rows_and_record_as_labels_afterwards(run, store) -> None:
    assert run("import", "preds.csv", "--labels", "labels.csv", "--run", "one")[0] == 0
    run("import", "preds.csv", "--run", "two")
    run("label", "two", "labels.csv")
    answers(store, "one")
    one, two = (rows(store, f"SELECT * EXCLUDE (run) FROM {name} ORDER BY id") for name in ("one", "two"))
    assert one == two
    epochs = [find_run(store, name).tables["test_predictions"][1] for name in ("one", "two")]
    assert epochs[0].id_truth_set == epochs[1].id_truth_set is not None
    files = duckdb.sql(f"SELECT count(*) FROM '{store}/one/test_predictions/*.parquet'").fetchall()
    assert files == [(3,)]


def test_the_sums_of_ids_and_truths_are_those_of_a_table_that_came_with_its_labels(run, store, tmp_path) -> None:
    whole = "id,pred,prob_cat,prob_dog,label\na,cat,0.75,0.25,cat\nb,dog,0.25,0.75,cat\nc,dog,0.125,0.875,dog\n"
    (tmp_path / "whole.csv").write_text(whole)
    run("import", "whole.csv")
    run("import", "preds.csv", "--labels", "labels.csv")
    known = [find_run(store, name).tables["test_predictions"][1] for name in ("whole", "preds")]
    assert len({(each.ids, each.id_set, each.id_truth_set, each.errors) for each in known}) == 1
    report = sg.connect(store).ask("disagreements", "whole", "preds")
    assert report.fetchall() == []


def test_labels_join_on_a_column_of_both_or_on_the_files_own_name_of_the_ids(run, store, tmp_path) -> None:
    (tmp_path / "p.csv").write_text("id,pred,image_id\n1,0,x\n2,1,x\n3,1,y\n4,0,\n")
    (tmp_path / "l.csv").write_text("image_id,label,note\nx,1,-\ny,1,-\nz,0,-\n")
    assert run("import", "p.csv")[0] == 0
    code, _, err = run("label", "p", "l.csv", "--on", "image_id")
    assert code == 0
    assert "on image_id: 2 matched, 0 only in p@1, 1 only in l.csv, 1 with a repeated key in p@1" in err
    assert rows(store, "SELECT id, guess, truth FROM p ORDER BY id") == [
        ("1", 0, 1),
        ("2", 1, 1),
        ("3", 1, 1),
        ("4", 0, None),
    ]
    (tmp_path / "q.csv").write_text("id,pred\nx,0\ny,1\n")
    code, _, err = run("import", "q.csv", "--labels", "l.csv", "--on", "image_id")
    assert (code, "on id = image_id: 2 matched" in err) == (0, True)


def test_labels_that_contradict_are_counted_and_need_replace(run, store, tmp_path) -> None:
    run("import", "preds.csv", "--labels", "labels.csv")
    (tmp_path / "other.csv").write_text("id,label\na,dog\nb,cat\n")
    before = bytes_of(store)
    code, _, err = run("label", "preds", "other.csv")
    assert (code, "1 rows of preds@1 have another label already; --replace takes those" in err) == (1, True)
    assert bytes_of(store) == before
    assert run("label", "preds", "other.csv", "--replace")[0] == 0
    assert rows(store, "SELECT id, truth FROM preds ORDER BY id") == [("a", "dog"), ("b", "cat"), ("c", "dog")]


def test_labels_at_import_contradict_those_of_the_file_only_where_told_to(run, store, tmp_path) -> None:
    (tmp_path / "p.csv").write_text("id,pred,label\na,0,0\nb,1,1\n")
    (tmp_path / "l.csv").write_text("id,label\na,1\n")
    code, _, err = run("import", "p.csv", "--labels", "l.csv")
    assert (code, "1 rows of p@1 have another label already; --replace takes those of l.csv" in err) == (1, True)
    assert not (store / "p").exists()
    assert run("import", "p.csv", "--labels", "l.csv", "--replace")[0] == 0
    assert rows(store, "SELECT id, truth FROM p ORDER BY id") == [("a", 1), ("b", 1)]


def test_an_epoch_may_come_with_its_labels(run, store) -> None:
    run("import", "preds.csv", "--run", "m", "--epoch", "1")
    assert run("import", "preds.csv", "--run", "m", "--epoch", "2", "--labels", "labels.csv")[0] == 0
    known = find_run(store, "m").tables["test_predictions"]
    assert {number: epoch.errors for number, epoch in known.items()} == {1: None, 2: 1}
    assert run("check")[0] == 0


@pytest.mark.parametrize(
    ("labels", "words", "said"),
    [
        ("id,label\na,cat\na,dog\n", (), "has 1 values of 'id' more than once (a)"),
        ("id,label\nq,cat\nr,dog\n", (), "0 matched, 3 only in preds@1, 2 only in"),
        ("id,label\na,cat\n", ("--on", "image"), "Keys of"),
        ("key,label\na,cat\n", ("--on", "id"), "has no column 'id' for --on; it has: key, label"),
        ("id,x,z\na,cat,dog\n", (), "which column is the label? name it with --truth; it has: id, x, z"),
        ("id,label\na,cat\n", ("--truth", "t"), "has no column 't' for --truth; it has: id, label"),
    ],
)
def test_what_cannot_be_joined_is_refused_and_changes_nothing(run, store, tmp_path, labels, words, said) -> None:
    run("import", "preds.csv")
    before = bytes_of(store)
    (tmp_path / "l.csv").write_text(labels)
    code, _, err = run("label", "preds", "l.csv", *words)
    if "Keys of" in said:  # the table has no column `image`, so its ids are meant, and the file has ids
        assert code == 0
        return
    assert (code, said in err) == (1, True), err
    assert "Traceback" not in err
    assert bytes_of(store) == before


def test_names_for_guesses_that_are_numbers_are_refused_and_numbers_for_names_are_places(run, store, tmp_path) -> None:
    (tmp_path / "n.csv").write_text("id,pred\na,0\nb,1\n")
    run("import", "n.csv")
    code, _, err = run("label", "n", "labels.csv")
    assert code == 1
    assert "are no whole numbers (dog, cat), but the table's are int64; import it with --classes" in err
    (tmp_path / "l.csv").write_text("id,label\na,0\nb,0\nc,1\n")
    run("import", "preds.csv")
    code, _, err = run("label", "preds", "l.csv")
    assert (code, "label: numbers, taken as places among cat, dog" in err) == (0, True)
    answers(store)


def test_one_epoch_is_labelled_alone_and_all_where_none_is_named(run, store) -> None:
    run("import", "preds.csv", "--epoch", "1", "--run", "mine")
    run("import", "preds.csv", "--epoch", "2", "--run", "mine")
    run("label", "mine@2", "labels.csv")
    known = find_run(store, "mine").tables["test_predictions"]
    assert {number: epoch.errors for number, epoch in known.items()} == {1: None, 2: 1}
    run("label", "mine", "labels.csv")
    known = find_run(store, "mine").tables["test_predictions"]
    assert {number: epoch.errors for number, epoch in known.items()} == {1: 1, 2: 1}
    assert rows(store, "SELECT epoch, count(truth) FROM mine GROUP BY 1 ORDER BY 1") == [(1, 3), (2, 3)]
    assert run("check")[0] == 0


def recorded(store: Path, *, finish: bool = True) -> Recorder:
    """A run of two epochs of four images without labels."""
    recorder = Recorder(store, run="cnn", classes=["cat", "dog"])
    images = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    for number in (1, 2):
        with recorder.table("test_predictions", epoch=number) as table:
            table.add(ids=list("abcd"), images=images, scores=np.array([[0.75, 0.25]] * 4, np.float32))
    if finish:
        recorder.close()
    return recorder


def test_the_examples_carry_the_labels_too_and_keep_their_images(run, store) -> None:
    recorded(store)
    before = rows(store, "SELECT id, digest, image FROM examples ORDER BY id")
    assert run("label", "cnn", "labels.csv")[0] == 0
    assert rows(store, "SELECT id, digest, image FROM examples ORDER BY id") == before
    assert rows(store, "SELECT id, truth FROM examples ORDER BY id") == [
        ("a", "cat"),
        ("b", "cat"),
        ("c", "dog"),
        ("d", None),
    ]
    found = rows(store, "SELECT epoch, id, truth, truth_score FROM cnn ORDER BY epoch, id")
    assert found == [
        (epoch, *row)
        for epoch in (1, 2)
        for row in [("a", "cat", 0.75), ("b", "cat", 0.75), ("c", "dog", 0.25), ("d", None, None)]
    ]
    known = find_run(store, "cnn").tables["test_predictions"][2]
    assert (known.errors, known.unlabelled) == (1, 1)
    assert run("check")[0] == 0


@pytest.mark.parametrize("seed", range(4))
def test_random_tables_are_labelled_as_a_dictionary_would(run, store, tmp_path, seed) -> None:
    """Repeated and missing keys, keys of either side only, labels that are missing or there before."""
    chance = random.Random(seed)
    keys = [chance.choice([None, *(f"k{number}" for number in range(12))]) for _ in range(40)]
    before = [chance.choice([None, None, 0, 1]) for _ in keys]
    given = {f"k{number}": chance.choice([None, 0, 1]) for number in chance.sample(range(16), 10)}
    told = ["" if value is None else value for value in before]
    lines = [f"{row},{key or ''},1,{label}" for row, (key, label) in enumerate(zip(keys, told, strict=True))]
    (tmp_path / "p.csv").write_text("id,key,pred,label\n" + "\n".join(lines) + "\n")
    (tmp_path / "l.csv").write_text(
        "key,label\n" + "".join(f"{key},{'' if value is None else value}\n" for key, value in given.items())
    )
    run("import", "p.csv")
    code, _, err = run("label", "p", "l.csv", "--on", "key", "--replace")
    assert code == 0, err
    expected = [label if given.get(key) is None else given[key] for key, label in zip(keys, before, strict=True)]
    assert [row[0] for row in rows(store, "SELECT truth FROM p ORDER BY id::INT")] == expected
    others = sum(
        given.get(key) is not None and label is not None and given[key] != label
        for key, label in zip(keys, before, strict=True)
    )
    known = {key for key in keys if key is not None}
    assert f"on key: {len(known & set(given))} matched, {len(known - set(given))} only in p@1" in err
    assert f"{others} with another truth" in err
    epoch = find_run(store, "p").tables["test_predictions"][1]
    assert (epoch.errors, epoch.unlabelled) == (expected.count(0), expected.count(None))


def test_a_run_that_goes_on_or_was_interrupted_is_not_labelled(run, store) -> None:
    recorder = recorded(store, finish=False)
    code, _, err = run("label", "cnn", "labels.csv")
    assert (code, "run 'cnn' is being recorded; add to it when it has ended" in err) == (1, True)
    recorder.close(finished=False)
    code, _, err = run("label", "cnn", "labels.csv")
    assert (code, "run 'cnn' was interrupted" in err) == (1, True), err


def test_who_reads_a_table_while_it_is_labelled_goes_on_reading_what_was_there(run, store) -> None:
    run("import", "preds.csv")
    relation = sg.connect(store).sql("SELECT id FROM preds ORDER BY id")
    run("label", "preds", "labels.csv")
    assert relation.fetchall() == [("a",), ("b",), ("c",)]


# Kills


def truths(store: Path) -> list[tuple[Any, ...]]:
    return rows(store, "SELECT epoch, id, truth FROM mine ORDER BY epoch, id")


def labelled(store: str, labels: str) -> None:
    import contextlib
    import io

    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        main(["label", "mine", labels, "--store", store])


def labelled_then_killed(store: str, labels: str, call: int, pipe: Any) -> None:
    """Label, killed just before the n-th call that changes a disk."""
    with interrupted_at(call, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        labelled(store, labels)
    pipe.send("done")


OLD = [(epoch, name, None) for epoch in (1, 2) for name in "abc"]
NEW = [(epoch, *row) for epoch in (1, 2) for row in [("a", "cat"), ("b", "cat"), ("c", "dog")]]


@pytest.fixture
def two_files(store: Path, tmp_path: Path) -> Path:
    """A run of two epochs in two files, unlabelled."""
    for epoch in ("1", "2"):
        bring(str(tmp_path / "preds.csv"), "--epoch", epoch, "--run", "mine", "--store", str(store))
    return store


def state_of(store: Path, run: Callable[..., Any]) -> list[tuple[Any, ...]]:
    """Epoch, id and truth of all rows, the records' counts being of them."""
    seen = truths(store)
    known = find_run(store, "mine")
    assert known.damage() == []
    errors = {epoch.errors for epoch in known.tables["test_predictions"].values()}
    assert errors == ({None} if seen == OLD else {1})
    return seen


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_kill_before_any_file_operation_leaves_no_label_or_all(run, two_files, tmp_path, step) -> None:
    call, done = 1, False
    while not done:
        place = Path(shutil.copytree(two_files, tmp_path / f"copy-{call}"))
        child, pipe = recording_process.run(labelled_then_killed, str(place), str(tmp_path / "labels.csv"), call)
        done = bool(recording_process.sent(pipe))
        child.join(HANG_S)
        seen = state_of(place, run)
        assert seen == NEW if done else seen in (OLD, NEW)
        labelled(str(place), str(tmp_path / "labels.csv"))
        next_writer(place)
        assert state_of(place, run) == NEW
        call += step
    assert call > 9


@pytest.mark.parametrize("rounds", [6, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_kills_at_any_time_leave_no_label_or_all(run, two_files, tmp_path, rounds) -> None:
    def prepare(number: int) -> tuple[Callable[..., None], tuple[Any, ...]]:
        return labelled, (
            str(shutil.copytree(two_files, tmp_path / f"copy-{number}")),
            str(tmp_path / "labels.csv"),
        )

    def check(number: int, done: bool) -> str:
        seen = state_of(tmp_path / f"copy-{number}", run)
        assert seen == NEW if done else seen in (OLD, NEW)
        return "old" if seen == OLD else "new"

    assert killed_at_random(rounds, 8, prepare, check).total() == rounds


def test_numbers_are_labels_of_numbers_and_nan_is_none(run, store, tmp_path) -> None:
    sg.record(store, run="price", ids=["a", "b", "c", "d"], guess=[1, 2, 3, 4], task="regression")
    (tmp_path / "x.csv").write_text("id,price\na,cheap\n")
    code, _, err = run("label", "price", "x.csv")
    assert (code, err.endswith("are no numbers (cheap), but the table's are double\n")) == (1, True), err
    (tmp_path / "l.csv").write_text("id,price\na,1.25\nb,\nc,nan\nd,2\n")
    code, _, err = run("label", "price", "l.csv")
    assert (code, "2 rows labelled" in err) == (0, True)
    assert rows(store, "SELECT id, truth FROM price ORDER BY id") == [("a", 1.25), ("b", None), ("c", None), ("d", 2.0)]
    asked = sg.connect(store).ask("regression", "price").project("mean_absolute_error, rows, unlabelled, without_guess")
    assert asked.fetchall() == [(1.125, 2, 2, 0)]
