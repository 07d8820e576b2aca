"""A reference RUN[/TABLE][@EPOCH] names committed epochs, or says what there is instead."""

import unicodedata

import pytest
from recording import record

from secondguess.analysis.ask.refs import TableRef, parse, resolve
from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.store.runs import list_runs

RIGHT, WRONG = [0.9, 0.1], [0.1, 0.9]  # of two classes, where the truth is 0


def rows(errors: int) -> list[tuple[str, int, list[float]]]:
    """Three rows, so many of them wrong."""
    return [(name, 0, WRONG if index < errors else RIGHT) for index, name in enumerate("abc")]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    record(store, "cnn", {1: rows(3), 2: rows(1), 5: rows(1), 7: rows(2)})
    record(store, "unlabelled", {1: rows(0)}, labelled=False)
    record(store, "one table", {3: rows(2)}, table="validation")
    record(store, "Größe 1", {1: rows(1)})
    record(store, "two", {1: rows(0)}, table="train_predictions", finish=False)
    record(store, "two", {1: rows(1)}, table="validation", finish=False)
    record(store, "nothing", {})
    return store


def named(store, text, epochs="last"):
    found = resolve(list_runs(store), text, epochs)
    return found.run, found.table, [epoch.epoch for epoch in found.epochs]


@pytest.mark.parametrize(
    ("text", "run", "table", "epoch"),
    [
        ("cnn", "cnn", None, None),
        ("cnn@5", "cnn", None, 5),
        ("cnn@05", "cnn", None, 5),
        ("cnn@0", "cnn", None, 0),
        ("cnn/train_predictions@3", "cnn", "train_predictions", 3),
        ("cnn/validation", "cnn", "validation", None),
        ("cnn@last", "cnn", None, "last"),
        ("cnn@best", "cnn", None, "best"),
        ("cnn@all", "cnn", None, "all"),
        ("my run, 2 (lr=0.1)@1", "my run, 2 (lr=0.1)", None, 1),
        ("실행 😀@1", "실행 😀", None, 1),
        (unicodedata.normalize("NFD", "실행 é@1"), unicodedata.normalize("NFC", "실행 é"), None, 1),
    ],
)
def test_a_reference_is_read_into_run_table_and_epoch(text, run, table, epoch):
    assert parse(text) == TableRef(run, table, epoch)


@pytest.mark.parametrize(
    "text",
    ["", "@1", "/t", "/t@1", "cnn@", "cnn/", "cnn/@1", "cnn@x", "cnn@-1", "cnn@1.5", "cnn@LAST", "cnn@1@2", "cnn@²"],
)
def test_what_is_no_reference_is_refused_with_the_text(text):
    with pytest.raises(BadInput, match=r"reference|neither a number nor one of last, best, all") as caught:
        parse(text)
    assert repr(text) in str(caught.value)


def test_an_epoch_of_five_thousand_digits_is_refused_and_not_read():
    with pytest.raises(BadInput, match="neither a number"):
        parse("cnn@" + "9" * 5000)


def test_a_reference_without_an_epoch_takes_what_the_question_says(store):
    assert named(store, "cnn", "last") == ("cnn", "test_predictions", [7])
    assert named(store, "cnn", "all") == ("cnn", "test_predictions", [1, 2, 5, 7])


def test_an_epoch_that_is_named_counts_whatever_the_question_says(store):
    for epochs in ("last", "all"):
        assert named(store, "cnn@2", epochs)[2] == [2]
        assert named(store, "cnn@last", epochs)[2] == [7]
        assert named(store, "cnn@all", epochs)[2] == [1, 2, 5, 7]


def test_best_is_the_epoch_with_the_fewest_errors_and_the_earliest_of_equals(store):
    assert named(store, "cnn@best")[2] == [2]  # as few errors as epoch 5


def test_best_is_found_again_after_the_run_was_resumed_and_its_records_are_out_of_order(tmp_path):
    record(tmp_path, "a", {2: rows(1)}, finish=False)
    record(tmp_path, "a", {1: rows(1)}, finish=False)
    assert named(tmp_path, "a@best")[2] == [1]
    assert named(tmp_path, "a@all")[2] == [1, 2]


def test_the_usual_table_is_taken_where_none_is_named_else_the_only_one(store):
    assert named(store, "one table")[1] == "validation"
    with pytest.raises(BadInput, match=r"run 'two' has several tables: train_predictions, validation; name one"):
        named(store, "two")
    assert named(store, "two/validation@1") == ("two", "validation", [1])


def test_a_name_is_found_however_its_accents_are_typed(store):
    assert named(store, unicodedata.normalize("NFD", "Größe 1"))[0] == "Größe 1"


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("cmm", NotFound, "no run named 'cmm'; the store has cnn, unlabelled, one table, Größe 1, two, nothing"),
        ("CNN", NotFound, "no run named 'CNN'; the store has cnn"),
        ("cnn/validation", NotFound, "run 'cnn' has no table 'validation'; it has: test_predictions"),
        ("cnn@0", NotFound, "cnn/test_predictions has no epoch 0; it has: 1, 2, 5, 7"),
        ("cnn@3", NotFound, "cnn/test_predictions has no epoch 3; it has: 1, 2, 5, 7"),
        ("nothing", NotFound, "run 'nothing' has no table 'test_predictions'; it has: none yet"),
        ("unlabelled@best", BadInput, "unlabelled/test_predictions has no truth, so no epoch of it is best"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(store, text, error, words):
    with pytest.raises(error) as caught:
        named(store, text)
    assert words in str(caught.value)


def test_an_empty_store_says_that_it_has_no_runs(tmp_path):
    with pytest.raises(NotFound, match="no run named 'cnn'; the store has no runs yet"):
        named(tmp_path, "cnn")


def test_a_selection_is_called_by_the_shortest_reference_that_names_it(store):
    runs = list_runs(store)
    assert resolve(runs, "cnn/test_predictions@best", "last").name == "cnn@2"
    assert resolve(runs, "one table", "last").name == "one table/validation@3"
    assert resolve(runs, "cnn", "all").name == "cnn"
