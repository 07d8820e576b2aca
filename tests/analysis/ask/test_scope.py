"""References become relations: classes aligned by name, nothing dropped, each image beside its own row."""

import shutil

import numpy as np
import pytest
from recording import add, record

import secondguess as sg
from secondguess.analysis.errors import BadInput, NotFound
from secondguess.trainer.recorder import Recorder


def fetched(store, sql):
    return sg.connect(store).sql(sql).fetchall()


def test_scores_are_aligned_by_class_where_two_runs_list_their_classes_in_another_order(tmp_path):
    record(tmp_path, "a", {1: [("x", "cat", [0.5, 0.25, 0.25])]}, classes=["cat", "dog", "emu"])
    record(tmp_path, "b", {1: [("x", "cat", [0.125, 0.375, 0.5])]}, classes=["emu", "dog", "cat"])
    found = fetched(tmp_path, "SELECT run, guess, score_0, score_1, score_2 FROM test_predictions ORDER BY run")
    assert found == [("a", "cat", 0.5, 0.25, 0.25), ("b", "cat", 0.5, 0.375, 0.125)]  # cat, dog, emu in both
    sides = sg.connect(tmp_path).ask("disagreements", "a", "b")
    assert sides.fetchall() == []  # both say cat


def test_joined_scores_are_aligned_by_class_too(tmp_path):
    record(tmp_path, "a", {1: [("x", "cat", [0.75, 0.25])]}, classes=["cat", "dog"])
    record(tmp_path, "b", {1: [("x", "cat", [0.875, 0.125])]}, classes=["dog", "cat"])
    found = sg.connect(tmp_path).ask("disagreements", "a", "b")
    assert found.project("guess_a, guess_b, score_0_a, score_0_b, score_1_a, score_1_b").fetchall() == [
        ("cat", "dog", 0.75, 0.125, 0.25, 0.875)
    ]


@pytest.mark.parametrize("wider_first", [False, True])
def test_a_class_that_only_some_tables_know_has_a_column_and_is_null_elsewhere(tmp_path, wider_first):
    two, three = {1: [("x", 0, [0.75, 0.25])]}, {1: [("x", 2, [0.25, 0.25, 0.5])]}
    record(tmp_path, "a", three if wider_first else two)
    record(tmp_path, "b", two if wider_first else three)
    found = fetched(tmp_path, "SELECT guess, score_0, score_1, score_2 FROM test_predictions ORDER BY guess")
    assert found == [(0, 0.75, 0.25, None), (2, 0.25, 0.25, 0.5)]


@pytest.mark.parametrize("finish", [False, True])
def test_a_class_added_in_a_later_epoch_is_not_dropped_before_or_after_compaction(tmp_path, finish):
    epochs = {1: [("x", 0, [0.75, 0.25])], 2: [("x", 2, [0.25, 0.25, 0.5])], 3: [("x", 0, [1.0, 0.0])]}
    record(tmp_path, "a", epochs, finish=finish)
    found = fetched(tmp_path, "SELECT epoch, guess, score_2 FROM test_predictions ORDER BY epoch")
    assert found == [(1, 0, None), (2, 2, 0.5), (3, 0, None)]


def test_a_class_removed_or_renamed_is_null_where_it_was_not_known(tmp_path):
    record(tmp_path, "a", {1: [("x", "cat", [0.75, 0.25])]}, classes=["cat", "dog"])
    record(tmp_path, "b", {1: [("x", "cat", [0.875, 0.125])]}, classes=["cat", "hound"])
    assert fetched(tmp_path, "SELECT run, score_0, score_1, score_2 FROM test_predictions ORDER BY run") == [
        ("a", 0.75, 0.25, None),  # cat, dog, hound
        ("b", 0.875, None, 0.125),
    ]


def test_a_class_that_a_table_has_not_is_said_with_the_answer_in_stacks_joins_and_free_sql(tmp_path, caplog):
    epochs = {1: [("x", 0, [0.75, 0.25])], 2: [("x", 2, [0.25, 0.25, 0.5])]}
    record(tmp_path, "a", epochs)
    record(tmp_path, "b", {1: [("x", 0, [0.25, 0.75])]})
    store = sg.connect(tmp_path)

    def said(ask):
        caplog.clear()
        ask()
        return [record.getMessage() for record in caplog.records if "no class" in record.getMessage()]

    one = ["a/test_predictions@1: no class 2, so no score of it"]
    two = ["a/test_predictions@1, b/test_predictions@1: no class 2, so no score of it"]
    assert said(lambda: store.ask("errors", "a@all")) == one
    assert said(lambda: store.ask("disagreements", "a@1", "a@2")) == one
    assert said(lambda: store.table("a@1", "a@2", join="inner")) == one
    assert said(lambda: store.table("a@1", "a@2", "b@1")) == two
    assert said(lambda: store.sql("FROM test_predictions")) == two
    assert said(lambda: store.ask("errors", "a@1", "b@1")) == []


def test_classes_in_another_order_are_the_same_classes(tmp_path, caplog):
    record(tmp_path, "a", {1: [("x", "cat", [0.75, 0.25])]}, classes=["cat", "dog"])
    record(tmp_path, "b", {1: [("x", "cat", [0.875, 0.125])]}, classes=["dog", "cat"])
    sg.connect(tmp_path).ask("errors", "a", "b")
    assert "no class" not in caplog.text


def test_numbers_and_names_as_labels_are_read_together_as_text_and_compared_by_no_join(tmp_path, caplog):
    record(tmp_path, "numbers", {1: [("x", 0, [0.75, 0.25]), ("y", 1, [0.75, 0.25])]})
    record(tmp_path, "names", {1: [("x", "cat", [0.75, 0.25])]}, classes=["cat", "dog"])
    store = sg.connect(tmp_path)
    found = store.sql("SELECT run, id, guess, truth, wrong FROM test_predictions ORDER BY run, id").fetchall()
    assert found == [
        ("names", "x", "cat", "cat", False),
        ("numbers", "x", "0", "0", False),
        ("numbers", "y", "0", "1", True),
    ]
    assert "guess, truth: numbers in numbers/test_predictions@1, but names in names/test_predictions@1" in caplog.text
    assert "import numbers anew with --classes" in caplog.text
    assert store.sql("SELECT run, count(*) FROM test_predictions GROUP BY ALL ORDER BY run").fetchall() == [
        ("names", 1),
        ("numbers", 2),
    ]
    assert store.ask("errors", "numbers", "names").project("run, id").fetchall() == [("numbers", "y")]
    with pytest.raises(BadInput, match=r"guess is int64 in numbers/test_predictions@1, but string in .*--classes"):
        store.ask("disagreements", "numbers", "names")
    assert store.sql("SELECT guess FROM names").fetchall() == [("cat",)]
    assert store.sql('SELECT guess FROM "numbers@last"').fetchall() == [(0,), (0,)]


def test_a_table_without_scores_or_truth_has_null_in_their_place(tmp_path):
    record(tmp_path, "scored", {1: [("x", 1, [0.75, 0.25])]})
    record(tmp_path, "bare", {1: [("x", None, 1)]}, labelled=False)
    sql = "SELECT run, guess, truth, confidence, truth_score, score_0, score_1 FROM test_predictions ORDER BY run"
    assert fetched(tmp_path, sql) == [
        ("bare", 1, None, None, None, None, None),
        ("scored", 0, 1, 0.75, 0.25, 0.75, 0.25),
    ]


@pytest.mark.parametrize("finish", [False, True])
def test_an_epoch_is_picked_out_of_its_own_file_and_of_a_compacted_one(tmp_path, finish):
    record(tmp_path, "a", {n: [("x", 0, [1.0, 0.0]), ("y", n % 2, [1.0, 0.0])] for n in (1, 2, 3)}, finish=finish)
    store = sg.connect(tmp_path)
    for epoch in (1, 2, 3):
        assert store.sql(f'SELECT epoch, id, truth FROM "a@{epoch}" ORDER BY id').fetchall() == [
            (epoch, "x", 0),
            (epoch, "y", epoch % 2),
        ]
    assert store.sql('SELECT count(*) FROM "a@1" x, "a@3" y').fetchall() == [(4,)]
    assert store.ask("errors-over-time", "a@1", "a@3").project("epoch, errors").fetchall() == [(1, 1), (3, 1)]


def test_the_name_of_a_renamed_run_folder_wins_over_what_is_in_its_files(tmp_path):
    with Recorder(tmp_path, run="old", wandb="off") as recorder:
        recorder.log(loss=0.5)
        with recorder.table("test_predictions", epoch=1) as table:
            add(table, [("x", 0, [0.75, 0.25])])
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    store = sg.connect(tmp_path)
    assert store.sql("SELECT run, id FROM test_predictions ORDER BY run").fetchall() == [("new", "x"), ("old", "x")]
    assert store.sql("SELECT run, name, value FROM metrics ORDER BY run").fetchall() == [
        ("new", "loss", 0.5),
        ("old", "loss", 0.5),
    ]
    assert store.sql("SELECT run FROM runs ORDER BY run").fetchall() == [("new",), ("old",)]
    assert store.ask("errors-over-time", "old", "new").project("run").fetchall() == [("new",), ("old",)]


def test_two_tables_of_one_run_are_told_apart_by_the_run_column(tmp_path):
    with Recorder(tmp_path, run="cnn", wandb="off") as recorder:
        with recorder.table("train_predictions", epoch=1) as table:
            add(table, [("x", 0, [1.0, 0.0]), ("y", 0, [1.0, 0.0])])
        with recorder.table("test_predictions", epoch=1) as table:
            add(table, [("z", 1, [1.0, 0.0])])
    store = sg.connect(tmp_path)
    both = store.ask("errors-over-time", "cnn/train_predictions", "cnn/test_predictions")
    assert both.project("run, epoch, errors, rows").fetchall() == [
        ("cnn", 1, 1, 1),
        ("cnn/train_predictions", 1, 0, 2),
    ]
    alone = store.ask("errors-over-time", "cnn/train_predictions").project("run, epoch").fetchall()
    assert alone == [("cnn/train_predictions", 1)]  # as in a table view: "cnn" would be the other table
    assert alone == store.table("cnn/train_predictions", columns="run, epoch", limit=1).fetchall()
    statement = store.statement("confusion", "cnn/train_predictions", "cnn")
    assert statement.order == (("cnn/train_predictions", 1), ("cnn", 1))


def test_the_link_to_the_examples_finds_the_right_image_where_two_data_sets_share_ids(tmp_path):
    for run, grey in (("a", 0), ("b", 200)):
        images = np.full((2, 2, 2), grey, np.uint8) + np.array([0, 1], np.uint8)[:, None, None]
        with (
            Recorder(tmp_path, run=run, wandb="off") as recorder,
            recorder.table("test_predictions", epoch=1, dataset=f"data.{run} [x]") as table,
        ):
            table.add(ids=["0", "1"], images=images, truth=[0, 0], guess=[0, 1])
    store = sg.connect(tmp_path)
    found = store.sql(
        "SELECT p.run, p.id, e.image.bytes FROM test_predictions p JOIN examples e USING (examples, id) "
        "WHERE p.guess <> p.truth ORDER BY run"
    ).fetchall()
    assert [row[:2] for row in found] == [("a", "1"), ("b", "1")]
    from io import BytesIO

    from PIL import Image

    assert [np.asarray(Image.open(BytesIO(row[2]))).max() for row in found] == [1, 201]


def test_joined_suffixes_every_column_but_the_id_and_no_two_collide(tmp_path):
    columns = {"guess_a": [1], "truth_b": [2], "note": ["n"], "NOTE_2": ["m"]}
    record(tmp_path, "left", {1: [("x", 0, [0.75, 0.25])]}, columns=columns, content={"x": "text"})
    record(tmp_path, "right", {1: [("x", 1, [0.25, 0.75])]}, columns={"Note": [3]}, content={"x": "text"})
    found = sg.connect(tmp_path).ask("disagreements", "left", "right")
    assert sorted(found.columns) == sorted(
        ["id"]
        + [
            f"{name}_{side}"
            for side in "ab"
            for name in ("run", "epoch", "guess", "truth", "confidence", "truth_score")
        ]
        + [f"{name}_{side}" for side in "ab" for name in ("score_0", "score_1", "examples")]
        + ["guess_a_a", "truth_b_a", "note_a", "NOTE_2_a", "Note_b"]
    )
    row = dict(zip(found.columns, found.fetchall()[0], strict=True))
    assert (row["guess_a"], row["guess_a_a"], row["truth_b"], row["truth_b_a"]) == (0, 1, 1, 2)
    assert (row["note_a"], row["Note_b"]) == ("n", 3)


def test_three_tables_stand_side_by_side(tmp_path):
    (tmp_path / "questions").mkdir()
    (tmp_path / "questions" / "all-three.sql").write_text(
        "-- What three tables say\n-- tables: 2..n\nSELECT id, guess_a, guess_b, guess_c FROM joined ORDER BY id"
    )
    for run, guess in (("a", 0), ("b", 1), ("c", 2)):
        record(tmp_path, run, {1: [("x", 0, guess), ("y", 0, 0)]})
    found = sg.connect(tmp_path).ask("all-three", "a", "b", "c")
    assert found.fetchall() == [("x", 0, 1, 2), ("y", 0, 0, 0)]


DRIFT = {
    1: {},
    2: {"note": [None]},
    3: {"Note": [[1, 2]]},
    4: {"note": [7]},
    5: {"NOTE": ["text"]},
    6: {"note": [True], "more": [{"a": 1}]},
}


@pytest.mark.parametrize("epochs", [(1, 2, 3, 4, 5, 6), (6, 5, 4, 3, 2, 1), (1, 3), (3, 1), (1, 4, 6), (2, 4)])
def test_a_column_of_the_users_may_come_go_and_change_its_type_and_spelling(tmp_path, epochs):
    with Recorder(tmp_path, run="a", wandb="off") as recorder:
        for epoch in sorted(epochs):
            with recorder.table("t", epoch=epoch) as table:
                add(table, [("x", 0, [1.0, 0.0])], columns=DRIFT[epoch])
    found = sg.connect(tmp_path).sql("SELECT epoch, note FROM t ORDER BY epoch")
    texts = {1: None, 2: None, 3: "[1,2]", 4: "7", 5: "text", 6: "true"}
    if len({3, 4, 5, 6} & set(epochs)) == 1:  # all of one kind
        texts = {epoch: {3: [1, 2], 4: 7, 6: True}.get(epoch) for epoch in texts}
    assert found.fetchall() == [(epoch, texts[epoch]) for epoch in sorted(epochs)]
    assert sum(name.casefold() == "note" for name in found.columns) == 1


def test_a_run_whose_name_looks_like_a_partition_adds_no_column(tmp_path):
    store = tmp_path / "epoch=99"
    record(store, "lr=0.1", {1: [("x", 0, [1.0, 0.0])]}, table="fold=3", content={"x": "text"})
    found = sg.connect(store).sql('FROM "lr=0.1/fold=3"')
    assert [name for name in found.columns if name in ("lr", "fold")] == []
    assert found.project("run, epoch").fetchall() == [("lr=0.1", 1)]
    assert sg.connect(store).sql("FROM examples").columns == ["examples", "id", "digest", "truth", "content"]


@pytest.mark.parametrize(
    "name", ["a[1]", "a*b", "a?b", "it's", 'q"q', "x y", "é 😀", "%41", "{a,b}", "-", "a=b", "a,b;--"]
)
def test_a_store_in_a_folder_of_any_name_answers_from_its_own_files(tmp_path, name):
    for folder in (name, "a1", "aXb"):
        record(tmp_path / folder, "cnn", {1: [("x", 0, 1)]}, content={"x": folder})
    store = sg.connect(tmp_path / name)
    assert store.sql("SELECT count(*) FROM cnn").fetchall() == [(1,)]
    assert store.sql("SELECT content FROM examples").fetchall() == [(name,)]


def test_a_table_or_run_that_is_not_there_is_named_with_what_is(tmp_path):
    record(tmp_path, "cnn", {1: [("x", 0, 1)]})
    store = sg.connect(tmp_path)
    with pytest.raises(NotFound) as caught:
        store.sql("FROM tset_predictions")
    assert str(caught.value) == (
        "no relation named 'tset_predictions'; the tables are: test_predictions; "
        'the runs, as in FROM "cnn@last": cnn; besides there are examples, runs and metrics'
    )
    with pytest.raises(NotFound, match="cnn/test_predictions has no epoch 2; it has: 1"):
        store.sql('FROM "cnn@2"')
    with pytest.raises(BadInput, match="no table here has images or other content, so there are no examples"):
        store.sql("FROM examples")


def test_an_empty_store_still_has_its_own_relations(tmp_path):
    store = sg.connect(tmp_path)
    for name in ("runs", "metrics"):
        assert store.sql(f"FROM {name}").fetchall() == []
    assert store.runs().fetchall() == []
    with pytest.raises(NotFound, match="no relation named 'cnn'; the store has no runs yet"):
        store.sql("FROM cnn")


def test_files_that_are_gone_are_named_and_the_rest_is_answered(tmp_path, caplog):
    record(tmp_path, "a", {1: [("x", 0, 1)], 2: [("x", 0, 0)]}, finish=False)
    record(tmp_path, "b", {1: [("x", 0, 1)], 2: [("x", 0, 1)]})
    (gone,) = (tmp_path / "a" / "test_predictions").glob("epoch-00002*")
    gone.unlink()
    store = sg.connect(tmp_path)
    assert store.sql("SELECT run, epoch FROM test_predictions ORDER BY ALL").fetchall() == [
        ("a", 1),
        ("b", 1),
        ("b", 2),
    ]
    assert f"left out a/test_predictions@2: {gone} is missing" in caplog.text
    for file in (tmp_path / "b" / "test_predictions").iterdir():
        file.unlink()
    caplog.clear()
    assert store.sql("SELECT run, epoch FROM test_predictions ORDER BY ALL").fetchall() == [("a", 1)]
    assert "left out b/test_predictions@1, 2: " in caplog.text
    with pytest.raises(sg.SecondguessError, match=r"b is committed, but its file .* is missing; restore it"):
        store.ask("errors", "b@all")
