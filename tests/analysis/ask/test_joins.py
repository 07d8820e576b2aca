"""A join says what it matched, what it lost and whether both sides saw the same examples; it never multiplies rows."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording import SaidRow, record

import secondguess as sg
from secondguess.analysis.ask import joins
from secondguess.analysis.ask.joins import Join
from secondguess.analysis.ask.refs import resolve
from secondguess.analysis.errors import BadInput
from secondguess.analysis.store.commits import EpochRows
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.writer import RunWriter
from secondguess.trainer.recorder import Recorder

TEXTS = {name: f"text of {name}" for name in "abcdefgh"}


def report(store, *refs):
    runs = list_runs(store)
    with duckdb.connect() as con:
        return joins.joined(con, [resolve(runs, ref, "last") for ref in refs], Join()).reports


def counts(store, left="left", right="right"):
    (found,) = report(store, left, right)
    return found.matched, found.only_left, found.only_right, found.truths_differ, found.same_examples


def rows(ids, truth=0) -> list[SaidRow]:
    return [(name, truth, 0) for name in ids]


def test_the_same_examples_match_without_loss(tmp_path):
    record(tmp_path, "left", {1: rows("abc")}, content=TEXTS)
    record(tmp_path, "right", {1: rows("abc")}, content=TEXTS)
    assert counts(tmp_path) == (3, 0, 0, 0, True)
    assert report(tmp_path, "left", "right")[0].line == (
        "joined left@1 with right@1 on id: 3 matched, 0 only in left@1, 0 only in right@1, 0 with another truth; "
        "same examples"
    )


def test_the_same_examples_match_whatever_their_order(tmp_path):
    record(tmp_path, "left", {1: rows("abc")}, content=TEXTS)
    record(tmp_path, "right", {1: rows("cab")}, content=TEXTS)
    assert counts(tmp_path) == (3, 0, 0, 0, True)


def test_partly_overlapping_examples_are_counted_on_each_side(tmp_path):
    record(tmp_path, "left", {1: rows("abcd")}, content=TEXTS)
    record(tmp_path, "right", {1: rows("cdefg")}, content=TEXTS)
    assert counts(tmp_path) == (2, 2, 3, 0, False)


def test_examples_that_have_nothing_in_common_match_nowhere(tmp_path):
    record(tmp_path, "left", {1: rows("ab")}, content=TEXTS)
    record(tmp_path, "right", {1: rows("cde")}, content=TEXTS)
    assert counts(tmp_path) == (0, 2, 3, 0, False)


def test_ids_without_content_are_matched_but_not_compared(tmp_path):
    record(tmp_path, "left", {1: rows("abc")})
    record(tmp_path, "right", {1: rows("bcd")}, content=TEXTS)
    assert counts(tmp_path) == (2, 1, 1, 0, None)


def test_another_truth_for_the_same_example_is_counted_and_a_missing_one_is_not(tmp_path):
    record(tmp_path, "left", {1: [("a", 0, 0), ("b", 1, 0), ("c", None, 0), ("d", 1, 0)]}, content=TEXTS)
    record(tmp_path, "right", {1: [("a", 1, 0), ("b", 1, 0), ("c", 1, 0), ("d", None, 0)]}, content=TEXTS)
    assert counts(tmp_path) == (4, 0, 0, 1, True)


def test_a_table_without_truth_has_no_other_truth(tmp_path):
    record(tmp_path, "left", {1: rows("ab")}, content=TEXTS)
    record(tmp_path, "right", {1: rows("ab")}, content=TEXTS, labelled=False)
    assert counts(tmp_path) == (2, 0, 0, 0, True)


@pytest.mark.parametrize("others", [1, 3])
def test_the_same_id_for_other_content_is_refused_with_the_exact_count(tmp_path, others):
    changed = {**TEXTS, **dict.fromkeys("abc"[:others], "something else")}
    record(tmp_path, "left", {1: rows("abcde")}, content=TEXTS)
    record(tmp_path, "right", {1: rows("abcde")}, content=changed)
    with pytest.raises(BadInput, match=rf"^{others} ids? of left@1 means? (an)?other examples? in right@1"):
        report(tmp_path, "left", "right")
    with pytest.raises(BadInput, match="were the ids made from positions"):
        sg.connect(tmp_path).ask("disagreements", "left", "right")


def test_ids_made_from_positions_in_batches_of_another_size_are_found_out(tmp_path):
    """The tutorial's fault: `<position in batch>_<batch number>` names another image when the batches change."""
    images = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    for run, size in (("by-4", 4), ("by-3", 3)):
        with (
            Recorder(tmp_path, run=run, wandb="off") as recorder,
            recorder.table("test_predictions", epoch=1) as table,
        ):
            for number, start in enumerate(range(0, 12, size)):
                batch = images[start : start + size]
                ids = [f"{place}_{number}" for place in range(len(batch))]
                table.add(ids=ids, images=batch, truth=[0] * len(batch), guess=[0] * len(batch))
    # By hand: batches of 4 and of 3 share the ids 0..2 of batches 0..2; those of the first batch are the same images.
    with pytest.raises(BadInput, match=r"^6 ids of by-4@1 mean other examples in by-3@1 \(their content differs\)"):
        report(tmp_path, "by-4", "by-3")


def repeated(store, run, ids):
    """A table with ids that are not unique, as an import may leave it; the recorder refuses them."""
    import pyarrow as pa

    table = {
        "run": pa.array([run] * len(ids)),
        "epoch": pa.array([1] * len(ids), pa.int32()),
        "id": pa.array(ids, pa.string()),
        "guess": pa.array([0] * len(ids), pa.int64()),
    }
    writer = RunWriter.create(store, run, {"config": {}})
    writer.commit(EpochRows("test_predictions", 1, pa.table(table)))
    writer.end()
    writer.close()


def test_repeated_ids_are_refused_in_a_join_and_answered_alone(tmp_path):
    repeated(tmp_path, "left", ["a", "a", "b"])
    record(tmp_path, "right", {1: rows("ab")})
    store = sg.connect(tmp_path)
    for tables in (("left", "right"), ("right", "left")):
        with pytest.raises(BadInput, match=r"left@1 has 1 rows with a repeated key \(id\), so the join would multiply"):
            store.ask("disagreements", *tables)
    assert store.sql('SELECT count(*) FROM "left@1"').fetchall() == [(3,)]


def test_rows_without_an_id_match_nothing_and_are_counted(tmp_path, caplog):
    repeated(tmp_path, "left", ["a", None, "b", None])
    record(tmp_path, "right", {1: [("a", 0, 1), ("c", 0, 1)]})
    assert sg.connect(tmp_path).ask("disagreements", "left", "right").project("id").fetchall() == [("a",)]
    assert (
        "joined left@1 with right@1 on id: 1 matched, 1 only in left@1, 1 only in right@1, 2 without a key in left@1, "
        "0 with another truth; examples not compared"
    ) in caplog.text


def test_a_join_takes_one_epoch_of_each_side(tmp_path):
    record(tmp_path, "left", {1: rows("ab"), 2: rows("ab")})
    with pytest.raises(BadInput, match=r"left is several epochs \(1, 2\); a join takes one, as in left@last"):
        sg.connect(tmp_path).ask("disagreements", "left@all", "left@1")


def test_a_missing_examples_file_does_not_keep_the_join_from_being_answered(tmp_path):
    record(tmp_path, "left", {1: [("a", 0, 0), ("b", 0, 1)]}, content=TEXTS)
    record(tmp_path, "right", {1: [("a", 0, 1), ("c", 0, 1)]}, content=TEXTS)
    for file in (tmp_path / "examples").iterdir():
        file.unlink()
    assert counts(tmp_path) == (1, 1, 1, 0, None)
    assert sg.connect(tmp_path).ask("disagreements", "left", "right").project("id").fetchall() == [("a",)]


def test_the_report_comes_with_every_answer_that_joins(tmp_path, caplog, capsys):
    from secondguess.analysis.cli import main

    record(tmp_path, "left", {1: [("a", 0, 0), ("b", 0, 0)]})
    record(tmp_path, "right", {1: [("a", 0, 1), ("c", 0, 0)]})
    line = (
        "joined left@1 with right@1 on id: 1 matched, 1 only in left@1, 1 only in right@1, 0 with another truth; "
        "examples not compared"
    )
    sg.connect(tmp_path).ask("disagreements", "left", "right")
    assert line in caplog.text
    main(["ask", "disagreements", "left", "right", "--store", str(tmp_path), "--format", "json"])
    assert line in capsys.readouterr().err.splitlines()


def test_a_join_that_is_refused_names_its_tables_as_one_that_is_reported(tmp_path):
    record(tmp_path, "base", {1: rows("a")}, content={"a": "x"})
    record(tmp_path, "mine", {2: rows("a")}, table="preds", content={"a": "x"})
    assert report(tmp_path, "base", "mine")[0].right == "mine/preds@2"
    record(tmp_path, "other", {2: rows("a")}, table="preds", content={"a": "y"})
    with pytest.raises(BadInput, match=r"^1 id of base@1 means another example in other/preds@2 "):
        report(tmp_path, "base", "other")


def test_the_first_table_is_reported_against_each_of_the_others(tmp_path):
    for run, ids in {"one": "ab", "two": "bc", "three": "ab"}.items():
        record(tmp_path, run, {1: rows(ids)})
    found = report(tmp_path, "one", "two", "three")
    assert [(each.left, each.right, each.matched) for each in found] == [("one@1", "two@1", 1), ("one@1", "three@1", 2)]


LABELS = st.one_of(st.none(), st.integers(0, 2))
TABLE = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(LABELS, st.integers(0, 2)), min_size=1)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(left=TABLE, right=TABLE)
def test_any_two_tables_join_as_pandas_joins_them(tmp_path_factory, left, right):
    store = tmp_path_factory.mktemp("pair")
    frames = []
    for run, table in (("left", left), ("right", right)):
        record(store, run, {1: [(name, *labels) for name, labels in table.items()]}, content=TEXTS)
        frames.append(
            pd.DataFrame([(name, *labels) for name, labels in table.items()], columns=["id", "truth", "guess"])
        )
    both = frames[0].merge(frames[1], on="id", how="outer", indicator=True, suffixes=("_a", "_b"))
    inner = both[both["_merge"] == "both"]
    found = counts(store)
    assert found[:4] == (
        len(inner),
        int((both["_merge"] == "left_only").sum()),
        int((both["_merge"] == "right_only").sum()),
        int((inner["truth_a"].notna() & inner["truth_b"].notna() & (inner["truth_a"] != inner["truth_b"])).sum()),
    )
    expected = sorted(inner.loc[inner["guess_a"] != inner["guess_b"], "id"])
    answer = sg.connect(store).ask("disagreements", "left", "right").project("id").fetchall()
    assert answer == [(name,) for name in expected]
