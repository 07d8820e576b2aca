"""Tables of several labels a row and of numbers: what is counted of them, and which questions refuse them by name."""

from pathlib import Path

import numpy as np
import pytest
from recording import PRICES, TAGS, record, record_prices, record_tags

import secondguess as sg
from secondguess.analysis.connection import Connection
from secondguess.analysis.errors import BadInput


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Connection:
    folder = tmp_path_factory.mktemp("tasks")
    record_tags(folder)
    record_prices(folder)
    record(folder, "cnn", {1: [("a", 0, 0), ("b", 1, 0)]})
    return sg.connect(folder)


def test_a_row_of_labels_is_right_where_all_of_them_are(store: Connection) -> None:
    """By hand, after one epoch: a lacks dog, b has one too many, c is right, d lacks fish, e is unlabelled."""
    assert store.sql('SELECT id, wrong FROM "tags@1" ORDER BY id').fetchall() == [
        ("a", True), ("b", True), ("c", False), ("d", True), ("e", None),
    ]  # fmt: skip
    over = store.ask("errors-over-time", "tags").fetchall()
    assert over == [("tags", 1, 3, 0.25, 5, 1), ("tags", 2, 2, 0.5, 5, 1)]
    assert [row[2] for row in store.ask("errors", "tags@2").fetchall()] == ["c", "d"]


def test_each_label_has_its_precision_and_recall(store: Connection) -> None:
    """By hand, after two epochs; a row without a guess (d) guesses no label."""
    found = store.ask("labels", "tags@2").fetchall()
    assert found == [
        ("tags", 2, "cat", 0.5, 1.0, pytest.approx(2 / 3), 1, 2, 1),
        ("tags", 2, "dog", 1.0, 1.0, 1.0, 2, 2, 2),
        ("tags", 2, "fish", 0.0, 0.0, 0.0, 1, 0, 0),
    ]


def test_errors_by_label_are_missed_or_added(store: Connection) -> None:
    found = store.ask("errors-by-label", "tags@1").fetchall()
    assert found == [
        ("tags", 1, "dog", 2, 1, 1, ["a"], ["b"]),
        ("tags", 1, "fish", 1, 1, 0, ["d"], []),
    ]
    assert store.ask("errors-by-label", "tags@1", ids=0).fetchall()[0][-2:] == ([], [])


def test_averages_over_labels_are_scikit_learns(store: Connection) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    names = ["cat", "dog", "fish"]
    for epoch, found in enumerate(store.ask("multi-label", "tags").fetchall(), 1):
        rows = [row for row in TAGS.values() if row[0] is not None]
        truth, guess = (
            np.array([[name in (row[place] or []) for name in names] for row in rows]) for place in (0, epoch)
        )
        expected = [metrics.accuracy_score(truth, guess), metrics.hamming_loss(truth, guess)]
        for average in ("micro", "macro"):
            expected += metrics.precision_recall_fscore_support(truth, guess, average=average, zero_division=0)[:3]
        assert found[:2] == ("tags", epoch)
        assert found[2:10] == pytest.approx(tuple(expected))
        assert found[10:] == (3, 4, 1)


def test_a_regression_is_measured_as_scikit_learn_does(store: Connection) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for epoch, found in enumerate(store.ask("regression", "price").fetchall(), 1):
        pairs = [(row[0], row[epoch]) for row in PRICES.values() if row[0] is not None and row[epoch] == row[epoch]]
        truth, guess = np.array(pairs).T
        expected = (
            metrics.mean_absolute_error(truth, guess),
            metrics.root_mean_squared_error(truth, guess),
            (guess - truth).mean(),
            metrics.median_absolute_error(truth, guess),
            metrics.max_error(truth, guess),
            metrics.r2_score(truth, guess),
        )
        assert found[2:8] == pytest.approx(expected)
        assert found[8:] == (len(pairs), 1, 3 - len(pairs))


def test_errors_of_a_regression_are_binned_and_the_worst_come_first(store: Connection) -> None:
    """By hand: errors are +0.5, -1 and 0 after one epoch, +0.25 and +0.5 after two."""
    assert store.ask("residuals", "price@1", "price@2", bins=3).fetchall() == [
        ("price", 1, -1.0, -0.5, 1),
        ("price", 1, 0.0, 0.5, 2),
        ("price", 2, 0.0, 0.5, 2),
    ]
    worst = store.ask("worst", "price@1", limit=2)
    assert [(row[2], row[-1]) for row in worst.fetchall()] == [("q", -1.0), ("p", 0.5)]


def test_one_error_for_all_rows_is_one_bin(tmp_path: Path) -> None:
    with sg.Recorder(tmp_path, run="r") as recorder, recorder.table("t", epoch=1) as table:
        table.add(ids=["a", "b"], truth=[0.5, 1.5], guess=[1.0, 2.0])
    assert sg.connect(tmp_path).ask("residuals", "r/t").fetchall() == [("r", 1, 0.5, 0.5, 2)]


@pytest.mark.parametrize(
    ("asked", "tables", "message"),
    [
        ("confusion", ["tags"], r"tags/test_predictions@2 is a table of several labels a row \(multi-label\), and "
         "confusion is asked of tables of classes; of this one ask: errors-by-label, labels, multi-label, disagree"),
        ("dynamics", ["tags"], "tags/test_predictions@1 is a table of several labels"),
        ("errors", ["price"], r"price/test_predictions@2 is a table of numbers \(regression\), of which none is right "
         "or wrong, and errors is asked of .*; of this one ask: regression, residuals, worst"),
        ("disagreements", ["price@1", "price@2"], "price/test_predictions@1 is a table of numbers"),
        ("labels", ["cnn"], "cnn/test_predictions@1 is a table of classes, and labels is asked of tables of several"),
        ("worst", ["tags"], "and worst is asked of tables of numbers"),
        ("errors-over-time", ["cnn", "price"], "price/test_predictions@1 is a table of numbers"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(store: Connection, asked: str, tables: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        store.ask(asked, *tables)


def test_nothing_in_a_regression_is_wrong_and_that_is_said(store: Connection, caplog: pytest.LogCaptureFixture) -> None:
    assert store.table("price@1", where="wrong").fetchall() == []
    assert "price/test_predictions@1: guesses are numbers, so no row is right or wrong" in caplog.messages
    with pytest.raises(BadInput, match="price/test_predictions has no classes, so no epoch of it is best"):
        store.table("price@best")


def test_two_models_of_labels_are_compared_by_exact_matches(store: Connection) -> None:
    """By hand: a and b are fixed, c broken, d wrong both times; e is unlabelled."""
    made = store.compare("tags@1", "tags@2")
    assert (made.counts.fixed, made.counts.broken, made.counts.n, made.classes) == (2, 1, 4, ())
    with pytest.raises(BadInput, match="of numbers"):
        store.compare("price@1", "price@2")


def test_a_question_of_ones_own_says_what_it_is_asked_of(store: Connection) -> None:
    (store.store / "questions").mkdir(exist_ok=True)
    own = store.store / "questions" / "own.sql"
    own.write_text("-- Mean\n-- tasks: regression\nSELECT run, epoch, avg(guess) AS mean FROM predictions GROUP BY ALL")
    assert store.ask("own", "price@1").fetchall() == [("price", 1, 2.125)]
    own.write_text("-- Mean\n-- tasks: ranking\nSELECT 1")
    with pytest.raises(BadInput, match="tasks is 'ranking', not one of classification, multi-label, regression"):
        store.ask("own", "price@1")
    own.unlink()


def test_rows_stay_as_they_were_given_when_epochs_are_merged(store: Connection) -> None:
    rows = store.sql('SELECT id, guess, truth FROM "tags@2" ORDER BY id').fetchall()
    assert rows == [(name, guess, truth) for name, (truth, _, guess) in TAGS.items()]
    rows = store.sql('SELECT id, guess, truth FROM "price@1" ORDER BY id').fetchall()
    assert rows == [(name, guess, truth) for name, (truth, guess, _) in PRICES.items()]


def test_tables_without_a_truth_are_read_beside_those_that_have_one(tmp_path: Path) -> None:
    with (
        sg.Recorder(tmp_path, run="new", classes=["cat", "dog"]) as recorder,
        recorder.table("test_predictions", epoch=1, task="multi-label") as table,
    ):
        table.add(ids=["a", "b"], guess=[["cat"], ["cat", "dog"]])
    with (
        sg.Recorder(tmp_path, run="old", classes=["cat", "dog"]) as recorder,
        recorder.table("test_predictions", epoch=1, task="multi-label") as table,
    ):
        table.add(ids=["a", "b"], truth=[["cat"], ["cat"]], guess=[["cat"], ["cat"]])
    store = sg.connect(tmp_path)
    read = "SELECT id, guess, truth, wrong FROM {} ORDER BY id"
    assert store.sql(read.format("new")).fetchall() == [("a", ["cat"], None, None), ("b", ["cat", "dog"], None, None)]
    for pair in (("new", "old"), ("old", "new")):
        assert store.ask("disagreements", *pair).project("id").fetchall() == [("b",)]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("cnn", "numbers in cnn/test_predictions@1"),
        ("price", "numbers in price/test_predictions@2"),
    ],
)
def test_tables_of_unlike_tasks_are_not_taken_for_numbers_and_names(
    store: Connection, caplog: pytest.LogCaptureFixture, other: str, said: str
) -> None:
    store.table("tags", other).fetchall()
    assert (
        f"guess, truth: {said}, but lists of names in tags/test_predictions@2, so all are read as text" in caplog.text
    )
    assert "--classes" not in caplog.text
    with pytest.raises(BadInput, match=r"cannot be compared; one is a table of .*look at each by itself"):
        store.table("tags", other, join="inner").fetchall()


def test_lists_of_numbers_and_of_names_are_not_compared(tmp_path: Path) -> None:
    """All-empty lists are like any others."""
    for run, labels in {"numbers": [[0], [1]], "names": [["cat"], ["dog"]], "empty": [[], []]}.items():
        with (
            sg.Recorder(tmp_path, run=run) as recorder,
            recorder.table("test_predictions", epoch=1, task="multi-label") as table,
        ):
            table.add(ids=["a", "b"], truth=labels, guess=labels)
    store = sg.connect(tmp_path)
    with pytest.raises(
        BadInput, match=r"guess is list<.*numbers/test.*, but list<.*import numbers anew with --classes"
    ):
        store.ask("flips", "names", "numbers")
    assert len(store.ask("disagreements", "names", "empty").fetchall()) == 2


def test_two_infinities_have_no_difference(tmp_path: Path) -> None:
    inf = float("inf")
    with sg.Recorder(tmp_path, run="r") as recorder, recorder.table("t", epoch=1, task="regression") as table:
        table.add(ids=["a", "b"], truth=[inf, 1.0], guess=[inf, 1.5])
    (row,) = sg.connect(tmp_path).ask("regression", "r/t").fetchall()
    assert row[2:] == (0.5, 0.5, 0.5, 0.5, 0.5, None, 1, 0, 1)


def test_no_exact_match_among_many_labels_is_no_sign_of_two_vocabularies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [str(number) for number in range(100)]
    with sg.Recorder(tmp_path, run="r") as recorder, recorder.table("t", epoch=1, task="multi-label") as table:
        table.add(ids=rows, truth=[["x", "y"]] * 100, guess=[["x"]] * 100)
    assert sg.connect(tmp_path).ask("errors-over-time", "r/t").fetchall() == [("r", 1, 100, 0.0, 100, 0)]
    assert caplog.messages == []
