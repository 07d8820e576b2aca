"""Every question answers literal rows with literal rows; a file that is no question says what is wrong in it."""

import datetime
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording import bytes_of, record

import secondguess as sg
from secondguess.analysis.ask import questions
from secondguess.analysis.ask.questions import Option, read
from secondguess.analysis.errors import BadInput, NotFound, Refused

NAN = math.nan
# id, truth, scores. By hand: a right, b and c wrong (as confident), d wrong, e unlabelled, f without a guess (NaN).
FIRST = [
    ("a", 0, [0.75, 0.25]),
    ("c", 1, [0.625, 0.375]),
    ("b", 1, [0.625, 0.375]),
    ("d", 0, [0.125, 0.875]),
    ("e", None, [0.5, 0.5]),
    ("f", 1, [NAN, 0.5]),
]
SECOND = [
    ("a", 0, [0.875, 0.125]),
    ("c", 1, [0.25, 0.75]),
    ("b", 1, [0.75, 0.25]),
    ("d", 0, [1.0, 0.0]),
    ("e", None, [0.25, 0.75]),
    ("f", 1, [0.0, 1.0]),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store")
    record(path, "cnn", {1: FIRST, 2: SECOND})
    record(path, "perfect", {1: [("a", 0, [1.0, 0.0]), ("b", 1, [0.25, 0.75])]})
    record(path, "one row", {1: [("a", 1, [1.0, 0.0])]})
    record(path, "one class", {1: [("a", "x", [1.0]), ("b", "x", [1.0])]}, classes=["x"])
    record(path, "named", {1: [("a", "cat", [0.75, 0.25]), ("b", "dog", [0.75, 0.25])]}, classes=["cat", "dog"])
    record(path, "no truth", {1: [("a", None, [1.0, 0.0])]}, labelled=False)
    unlabelled = [("a", None, [1.0, 0.0]), ("b", None, [0.0, 1.0])]
    record(path, "no label", {1: unlabelled, 2: [("a", 0, [1.0, 0.0])]})
    return sg.connect(path)


def asked(store, question, *tables, columns, **options):
    return store.ask(question, *tables, **options).project(columns).fetchall()


def test_errors_are_the_labelled_rows_with_another_guess_most_confident_first_ties_by_id(store):
    found = asked(store, "errors", "cnn@1", columns="run, epoch, id, guess, truth, confidence, truth_score")
    assert found == [
        ("cnn", 1, "d", 1, 0, 0.875, 0.125),
        ("cnn", 1, "b", 0, 1, 0.625, 0.375),
        ("cnn", 1, "c", 0, 1, 0.625, 0.375),
        ("cnn", 1, "f", None, 1, None, 0.5),  # no guess is not right
    ]


def test_errors_are_limited_only_when_asked(store):
    assert asked(store, "errors", "cnn@1", limit=2, columns="id") == [("d",), ("b",)]
    assert asked(store, "errors", "cnn@1", limit=np.int64(1), columns="id") == [("d",)]
    assert asked(store, "errors", "cnn@1", limit="3", columns="id") == [("d",), ("b",), ("c",)]
    assert asked(store, "errors", "cnn@1", limit=0, columns="id") == []
    assert len(asked(store, "errors", "cnn@1", limit=None, columns="id")) == 4


def test_errors_of_two_tables_are_ordered_as_one_list(store):
    found = asked(store, "errors", "cnn@1", "cnn@2", columns="epoch, id")
    assert found == [(1, "d"), (2, "b"), (1, "b"), (1, "c"), (1, "f")]


def test_errors_by_guess_count_what_was_true_instead_and_name_the_most_confident(store):
    found = asked(store, "errors-by-guess", "cnn@1", columns="run, epoch, guess, errors, truths, ids")
    assert found == [
        ("cnn", 1, 0, 2, {1: 2}, ["b", "c"]),
        ("cnn", 1, 1, 1, {0: 1}, ["d"]),
        ("cnn", 1, None, 1, {1: 1}, ["f"]),
    ]
    fewer = asked(store, "errors-by-guess", "cnn@1", ids=1, columns="guess, errors, ids")
    assert fewer == [(0, 2, ["b"]), (1, 1, ["d"]), (None, 1, ["f"])]


def test_errors_by_guess_of_two_tables_have_the_same_columns_and_stand_apart(store):
    found = store.ask("errors-by-guess", "perfect", "cnn@1", "cnn@2")
    assert found.columns == ["run", "epoch", "guess", "errors", "truths", "ids"]
    assert found.project("run, epoch, guess, errors").fetchall() == [
        ("cnn", 1, 0, 2),
        ("cnn", 1, 1, 1),
        ("cnn", 1, None, 1),
        ("cnn", 2, 0, 1),
    ]


def test_errors_by_guess_of_named_classes_are_named(store):
    assert asked(store, "errors-by-guess", "named", columns="guess, errors, truths, ids") == [
        ("cat", 1, {"dog": 1}, ["b"])
    ]


def test_errors_over_time_count_each_epoch_and_leave_unlabelled_rows_apart(store):
    found = asked(store, "errors-over-time", "cnn", columns="run, epoch, errors, accuracy, rows, unlabelled")
    assert found == [("cnn", 1, 4, 0.2, 6, 1), ("cnn", 2, 1, 0.8, 6, 1)]


def test_confusion_counts_each_truth_and_guess(store):
    found = asked(store, "confusion", "cnn@1", columns="truth, guess, rows")
    assert found == [(0, 0, 1), (0, 1, 1), (1, 0, 2), (1, None, 1)]


def test_disagreements_are_the_ids_whose_guesses_differ_with_both_score_vectors(store):
    found = asked(
        store,
        "disagreements",
        "cnn@1",
        "cnn@2",
        columns="id, guess_a, guess_b, truth_a, truth_b, score_0_a, score_1_a, score_0_b, score_1_b",
    )
    assert found[:3] == [
        ("c", 0, 1, 1, 1, 0.625, 0.375, 0.25, 0.75),
        ("d", 1, 0, 0, 0, 0.125, 0.875, 1.0, 0.0),
        ("e", 0, 1, None, None, 0.5, 0.5, 0.25, 0.75),  # a disagreement needs no label
    ]
    assert found[3][:4] == ("f", None, 1, 1)
    assert math.isnan(found[3][5])
    assert asked(store, "disagreements", "cnn@1", "cnn@2", limit=1, columns="id") == [("c",)]
    assert asked(store, "disagreements", "cnn@1", "cnn@1", columns="id") == []


def test_a_model_without_errors_has_none_in_every_question(store):
    for name in ("errors", "errors-by-guess"):
        assert store.ask(name, "perfect").fetchall() == []
    assert asked(store, "confusion", "perfect", columns="truth, guess, rows") == [(0, 0, 1), (1, 1, 1)]
    assert asked(store, "errors-over-time", "perfect", columns="errors, accuracy, rows") == [(0, 1.0, 2)]


def test_one_row_and_one_class_are_answered(store):
    assert asked(store, "errors", "one row", columns="id, guess, truth") == [("a", 0, 1)]
    assert asked(store, "errors-by-guess", "one row", columns="guess, errors, truths, ids") == [(0, 1, {1: 1}, ["a"])]
    assert asked(store, "confusion", "one row", columns="truth, guess, rows") == [(1, 0, 1)]
    assert asked(store, "errors-over-time", "one row", columns="errors, accuracy, rows") == [(1, 0.0, 1)]
    assert asked(store, "confusion", "one class", columns="truth, guess, rows") == [("x", "x", 2)]
    assert asked(store, "errors-over-time", "one class", columns="errors, accuracy, rows") == [(0, 1.0, 2)]
    assert asked(store, "disagreements", "one row", "perfect", columns="id") == []


def test_rows_without_any_label_have_no_accuracy_and_no_errors(store):
    found = asked(store, "errors-over-time", "no label", columns="errors, accuracy, rows, unlabelled")
    assert found == [(0, None, 2, 2), (0, 1.0, 1, 0)]
    assert asked(store, "confusion", "no label@all", columns="epoch, truth, guess, rows") == [(2, 0, 0, 1)]


@pytest.mark.parametrize("name", ["errors", "errors-by-guess", "errors-over-time", "confusion"])
def test_a_question_about_errors_refuses_a_table_without_truth_by_name(store, name):
    with pytest.raises(BadInput, match=f"no truth@1 has no truth, so nothing in it is right or wrong; {name} needs it"):
        store.ask(name, "no truth")


def test_disagreements_need_no_truth(store):
    assert asked(store, "disagreements", "no truth", "no label@1", columns="id, truth_a, truth_b") == []
    assert asked(store, "disagreements", "no truth", "no truth", columns="id, truth_a, truth_b") == []


def test_rows_without_a_score_or_label_are_counted_aloud(store, caplog):
    store.ask("errors", "cnn@1")
    assert "cnn/test_predictions@1: 1 of 6 rows have NaN scores, so no confidence" in caplog.text
    assert "cnn/test_predictions@1: 1 of 6 rows are unlabelled, so neither right nor wrong" in caplog.text


ROWS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 3)), st.integers(0, 3), st.integers(0, 8)), min_size=1, max_size=30
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_any_table_counts_as_plain_python_and_scikit_learn_count_it(tmp_path_factory, drawn):
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn: pip install 'secondguess[train]'")
    path = tmp_path_factory.mktemp("any")
    table = [(f"{place:02}", truth, guess) for place, (truth, guess, _) in enumerate(drawn)]
    record(path, "m", {1: table}, columns={"weight": [weight for _, _, weight in drawn]})
    store = sg.connect(path)
    labelled = [(name, truth, guess) for name, truth, guess in table if truth is not None]
    wrong = [row for row in labelled if row[1] != row[2]]
    if not labelled:
        return
    truths, guesses = [row[1] for row in labelled], [row[2] for row in labelled]
    assert asked(store, "errors", "m", columns="id") == [(name,) for name, _, _ in wrong]
    matrix = np.zeros((4, 4), int)
    for truth, guess, count in asked(store, "confusion", "m", columns="truth, guess, rows"):
        matrix[truth, guess] = count
    assert (matrix == metrics.confusion_matrix(truths, guesses, labels=range(4))).all()
    ((errors, accuracy, rows, unlabelled),) = asked(
        store, "errors-over-time", "m", columns="errors, accuracy, rows, unlabelled"
    )
    assert (errors, rows, unlabelled) == (len(wrong), len(table), len(table) - len(labelled))
    assert accuracy == pytest.approx(metrics.accuracy_score(truths, guesses))
    expected = [
        (
            guess,
            sum(row[2] == guess for row in wrong),
            dict(Counter(row[1] for row in wrong if row[2] == guess)),
            [row[0] for row in wrong if row[2] == guess][:5],
        )
        for guess in sorted({row[2] for row in wrong})
    ]
    assert asked(store, "errors-by-guess", "m", columns="guess, errors, truths, ids") == expected


def test_the_number_of_tables_is_checked(store):
    for name, tables, words in (
        ("errors", (), "errors takes 1 or more table references, as in cnn@5; 0 given"),
        ("disagreements", ("cnn",), "disagreements takes 2 table references, as in cnn@5; 1 given"),
        ("disagreements", ("cnn",) * 3, "disagreements takes 2 table references, as in cnn@5; 3 given"),
    ):
        with pytest.raises(BadInput) as caught:
            store.ask(name, *tables)
        assert str(caught.value) == words


def test_an_option_that_is_not_there_or_of_another_type_is_refused(store):
    with pytest.raises(BadInput, match="errors has no option 'limt'; it has: limit"):
        store.ask("errors", "cnn", limt=3)
    with pytest.raises(BadInput, match="confusion has no option 'limit'; it has: none"):
        store.ask("confusion", "cnn", limit=3)
    for value in ("x", "1.5", "", 1.5, [1], True, object(), np.array([1, 2])):
        with pytest.raises(BadInput, match="of type int"):
            store.ask("errors", "cnn", limit=value)
    with pytest.raises(BadInput, match="of type int"):
        store.ask("errors", "cnn", limit=2**64)
    with pytest.raises(Refused, match="cannot be negative"):
        store.ask("errors", "cnn", limit=-1)


@pytest.mark.parametrize(
    ("type", "given", "read"),
    [
        ("int", "7", 7),
        ("int", -1, -1),
        ("float", "0.5", 0.5),
        ("float", 1, 1.0),
        ("float", np.float32(0.5), 0.5),
        ("float", "-inf", -math.inf),
        ("text", "it's", "it's"),
        ("text", "", ""),
        ("date", "2026-02-28", datetime.date(2026, 2, 28)),
        ("date", datetime.date(2026, 2, 28), datetime.date(2026, 2, 28)),
        ("date", np.datetime64("2026-02-28"), datetime.date(2026, 2, 28)),
        ("int", None, None),
    ],
)
def test_an_option_is_read_in_its_type(type, given, read):
    found = Option("x", type, None, "").read(given)
    assert (found, found.__class__) == (read, read.__class__)


@pytest.mark.parametrize(
    ("type", "given"), [("date", "28.2.2026"), ("date", 5), ("float", "x"), ("text", 5), ("int", "9" * 5000)]
)
def test_an_option_of_another_type_is_refused(type, given):
    with pytest.raises(BadInput, match=f"is not of type {type}"):
        Option("x", type, None, "").read(given)


FULL = """-- What it answers
-- a comment of its own
-- epochs: all
-- tables: 2..3
-- truth: optional
-- drawn: matrix a b c
-- $from_day date = 2026-02-28  the first day
-- $name text = 'two words'  a name
-- $least float = null
-- $none text = ''
SELECT 1  -- epochs: not a header here
-- tables: nor here
WHERE $name = 'x'
"""


def test_a_header_says_what_the_question_takes():
    found = read("q", FULL)
    assert (found.name, found.help, found.epochs, found.tables) == ("q", "What it answers", "all", (2, 3))
    assert (found.truth, found.drawn) == (False, ("matrix", ("a", "b", "c")))
    assert found.options == (
        Option("from_day", "date", datetime.date(2026, 2, 28), "the first day"),
        Option("name", "text", "two words", "a name"),
        Option("least", "float", None, ""),
        Option("none", "text", "", ""),
    )
    assert found.sql == (
        "-- a comment of its own\nSELECT 1  -- epochs: not a header here\n-- tables: nor here\nWHERE $name = 'x'"
    )
    assert found.values({"name": "y"}) == {
        "from_day": datetime.date(2026, 2, 28),
        "name": "y",
        "least": None,
        "none": "",
    }


def test_what_a_header_leaves_out_has_a_default():
    found = read("q", "-- Help\nSELECT 1")
    assert (found.epochs, found.tables, found.truth, found.drawn, found.options) == ("last", (1, None), True, None, ())


@pytest.mark.parametrize(
    ("text", "tables"), [("1", (1, 1)), ("0", (0, 0)), ("2..2", (2, 2)), ("1..n", (1, None)), ("0..n", (0, None))]
)
def test_the_number_of_tables_is_a_number_or_a_range(text, tables):
    assert read("q", f"-- Help\n-- tables: {text}\nSELECT 1").tables == tables


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "question 'q' must begin with a comment that says what it answers"),
        ("SELECT 1", "question 'q' must begin with a comment that says what it answers"),
        ("-- epochs: last\nSELECT 1", "question 'q' must begin with a comment that says what it answers"),
        ("--\nSELECT 1", "question 'q' must begin with a comment that says what it answers"),
        ("-- H\n-- epochs: first\nSELECT 1", "question 'q': epochs is 'first', not one of last, all"),
        ("-- H\n-- epoch: last\nSELECT 1", "a header line is 'epoch', not one of epochs, tables, tasks, drawn, truth"),
        ("-- H\n-- truth: yes\nSELECT 1", "question 'q': truth is 'yes', not one of needed, optional"),
        ("-- H\n-- tables: n\nSELECT 1", "tables is 'n', not a number or a range such as 1..2 or 1..n"),
        ("-- H\n-- tables: 3..2\nSELECT 1", "tables is '3..2', not a number or a range"),
        ("-- H\n-- tables: -1\nSELECT 1", "tables is '-1', not a number or a range"),
        ("-- H\n-- drawn: pie guess\nSELECT 1", "drawn is 'pie', not one of histogram, beside, under, matrix"),
        ("-- H\n-- drawn:\nSELECT 1", "drawn is '', not one of histogram, beside, under, matrix"),
        ("-- H\n-- drawn: matrix a\nSELECT 1", "drawn matrix names 3 columns, not 1"),
        (
            "-- H\n-- $x integer = 5\nSELECT 1",
            "'-- $x integer = 5' is no option; write -- $name TYPE = default  help, where TYPE is int, ",
        ),
        ("-- H\n-- $x int\nSELECT 1", "is no option; write"),
        ("-- H\n-- $X int = 1\nSELECT 1", "is no option; write"),
        ("-- H\n-- $x int = 1.5\nSELECT 1", "question 'q': the default of x '1.5' is not of type int"),
        ("-- H\n-- $x date = today\nSELECT 1", "question 'q': the default of x 'today' is not of type date"),
        ("-- H\n-- $rows int = 5\nSELECT 1", "an option cannot be called 'rows', which there is already"),
        ("-- H\n-- $x int = 5\n-- $x int = 6\nSELECT 1", "an option cannot be called 'x', which there is already"),
    ],
)
def test_a_file_that_is_no_question_says_what_is_wrong_in_it(text, words):
    with pytest.raises(BadInput) as caught:
        read("q", text)
    assert words in str(caught.value)


@pytest.fixture
def own(tmp_path):
    """A store that takes questions of its own: own(name, text) writes one and gives the open store."""
    record(tmp_path, "cnn", {1: FIRST, 2: SECOND})
    (tmp_path / "questions").mkdir()

    def write(name, text):
        (tmp_path / "questions" / f"{name}.sql").write_bytes(text if isinstance(text, bytes) else text.encode())
        return sg.connect(tmp_path)

    return write


def test_a_question_of_the_stores_own_is_asked_like_any_other(own):
    store = own(
        "sure",
        "-- Sure of it\n-- $least float = 0.8  how sure\nSELECT id FROM predictions "
        "WHERE confidence >= $least ORDER BY id",
    )
    assert store.ask("sure", "cnn@1").fetchall() == [("d",)]
    assert store.ask("sure", "cnn@1", least=0.7).fetchall() == [("a",), ("d",)]
    assert store.ask("sure", "cnn@1", least=None).fetchall() == []
    assert questions.names(store.store)[-1] == "sure"


def test_a_question_may_read_the_store_without_naming_a_table(own):
    store = own(
        "how-many",
        "-- How many runs\n-- tables: 0..n\nSELECT (SELECT count(*) FROM runs) AS runs, "
        "(SELECT count(*) FROM metrics) AS metrics",
    )
    assert store.ask("how-many").fetchall() == [(1, 0)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_a_question_file_may_begin_with_a_mark_and_end_its_lines_as_windows_does(own, encoding):
    store = own("wörter 1", "-- Häufig\r\n-- tables: 1\r\nSELECT count(*) AS n FROM Predictions;\r\n".encode(encoding))
    assert store.ask("wörter 1", "cnn@1").fetchall() == [(6,)]


def test_a_built_in_name_wins_over_a_file_of_the_store(own):
    store = own("errors", "-- Mine\nSELECT 1")
    assert len(store.ask("errors", "cnn@1").fetchall()) == 4
    assert questions.names(store.store).count("errors") == 1


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (b"-- H\nSELECT \xff", BadInput, "question 'mine' cannot be read"),
        ("-- H\nCOPY (SELECT 1) TO 'x.csv'", Refused, "question 'mine': only a SELECT is run here"),
        ("-- H\nWITH x AS (COPY (SELECT 1) TO 'x.csv') FROM x", Refused, "question 'mine': only reading is allowed"),
        (
            "-- H\nFROM read_text('/etc/passwd')",
            Refused,
            "question 'mine': the table function read_text is not allowed",
        ),
        ("-- H\nSELECT 1; SELECT 2", Refused, "question 'mine': exactly one SELECT is run at a time, these are 2"),
        ("-- H", BadInput, "question 'mine': the SQL is empty; write a SELECT"),
        (
            "-- H\nSELECT $x",
            BadInput,
            "question 'mine' uses $x, which its header does not have; add the line -- $x int",
        ),
        ("-- H\nSELECT ?", BadInput, "question 'mine' uses $1, which its header does not have"),
        ("-- H\nSELECT * FROM cnn", NotFound, "a question reads predictions, joined, examples, runs or metrics"),
        ("-- H\nSELECT * FROM joined", BadInput, "joined is tables side by side; name two, not 1"),
        ("-- H\nSELECT nothing FROM predictions", Refused, 'Referenced column "nothing" not found'),
    ],
)
def test_a_broken_question_is_named_in_one_line_and_breaks_no_other(own, text, error, words):
    store = own("mine", text)
    before = bytes_of(store.store)
    with pytest.raises(error) as caught:
        store.ask("mine", "cnn@1").fetchall()
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(store.ask("errors", "cnn@1").fetchall()) == 4
    assert bytes_of(store.store) == before


def test_an_unknown_question_is_refused_with_those_there_are(store):
    with pytest.raises(NotFound) as caught:
        store.ask("error", "cnn")
    assert str(caught.value) == (
        "no question named 'error'; there are: calibration, calibration-difference, classification, confusion, "
        "data-map, disagreements, dynamics, errors, errors-by-guess, errors-by-label, errors-over-time, flips, labels, "
        "ledger, multi-label, regression, reliability, residuals, risk-coverage, temperature, trajectories, worst"
    )


def test_what_is_no_sql_file_is_no_question(own, tmp_path):
    store = own("mine", "-- H\nSELECT 1")
    (tmp_path / "questions" / "notes.txt").write_text("not a question")
    (tmp_path / "questions" / ".hidden.sql").write_text("-- H\nSELECT 1")
    (tmp_path / "questions" / "folder.sql").mkdir()
    assert questions.names(store.store) == [
        *("calibration", "calibration-difference", "classification", "confusion", "data-map"),
        *("disagreements", "dynamics"),
        *("errors", "errors-by-guess", "errors-by-label", "errors-over-time", "flips", "labels", "ledger"),
        *("multi-label", "regression", "reliability", "residuals", "risk-coverage", "temperature", "trajectories"),
        *("worst",),
        *("folder", "mine"),
    ]
    with pytest.raises(BadInput, match="question 'folder' cannot be read"):
        store.ask("folder", "cnn")


def test_every_built_in_question_ends_in_an_order(store):
    for name in questions.names(store.store):
        assert "ORDER BY" in questions.find(store.store, name).sql
