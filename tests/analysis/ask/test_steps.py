"""Several validations within an epoch: what references name, and what questions, joins and free SQL say of them."""

from pathlib import Path
from typing import Any

import pytest
from stores import record, told

from secondguess.analysis.ask.refs import parse, resolve
from secondguess.analysis.connection import connect
from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.moments import Moment
from secondguess.analysis.store.runs import list_runs
from secondguess.trainer.recorder import Recorder

TRUTH = ["a", "b", "b", "a"]
# The guesses of each validation; the errors are 3, 1, 2, 1, 4.
GUESSES = {
    (1, 750): ["b", "a", "a", "a"],
    (1, 1500): ["a", "b", "b", "b"],
    (2, 750): ["b", "b", "b", "b"],
    (2, 1500): ["a", "a", "b", "a"],
    (3, None): ["b", "a", "a", "b"],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cnn, of two validations in each of two epochs and one at the end of a third, merged; half, still in pieces."""
    store = tmp_path_factory.mktemp("steps") / "predictions"
    for run in ("cnn", "half"):
        recorder = Recorder(store, run=run)
        for (epoch, step), guess in GUESSES.items():
            with recorder.table("test_predictions", epoch=epoch, step=step) as table:
                table.add(ids=["w", "x", "y", "z"], truth=TRUTH, guess=guess)
        recorder.close(finished=run == "cnn")
    record(store, "plain", [[{"ids": ["w", "x", "y", "z"], "truth": TRUTH, "guess": ["a", "b", "b", "a"]}]])
    return store


@pytest.mark.parametrize(
    ("reference", "moments"),
    {
        "cnn@all": ["1:750", "1:1500", "2:750", "2:1500", "3"],
        "cnn@1:750": ["1:750"],
        "cnn@1": ["1:1500"],
        "cnn@2": ["2:1500"],
        "cnn@3": ["3"],
        "cnn@last": ["3"],
        "cnn@best": ["1:1500"],
        "half/test_predictions@2:750": ["2:750"],
    }.items(),
)
def test_a_reference_names_validations(store: Path, reference: str, moments: list[str]) -> None:
    assert [str(epoch.moment) for epoch in resolve(list_runs(store), reference, "last").epochs] == moments


@pytest.mark.parametrize(
    ("reference", "error", "said"),
    [
        ("cnn@2:9", NotFound, "has no epoch 2:9; it has: 1:750, 1:1500, 2:750, 2:1500, 3"),
        ("cnn@3:750", NotFound, "has no epoch 3:750"),
        ("plain@1:0", NotFound, "has no epoch 1:0; it has: 1"),
        ("cnn@4", NotFound, "has no epoch 4"),
        (
            "cnn@2:",
            BadInput,
            "epoch '2:' is neither a number nor one of last, best, all; a step of an epoch is spelled 2:1500",
        ),
        ("cnn@last:5", BadInput, "epoch 'last:5' is neither"),
    ],
)
def test_a_reference_to_no_validation_says_which_there_are(
    store: Path, reference: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said.replace("(", r"\(")):
        resolve(list_runs(store), reference, "last")


def test_a_reference_is_read_with_its_step() -> None:
    assert parse("cnn/val@2:1500").epoch == Moment(2, 1500)
    assert parse("cnn@2").epoch == 2


def rows(answer: Any) -> list[dict[str, Any]]:
    found = answer["rows"] if isinstance(answer, dict) else answer
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("run", ["cnn", "half"])
def test_errors_over_time_has_each_validation_in_order(store: Path, run: str, capsys: Any) -> None:
    answer, _, _ = told(capsys, "ask", "errors-over-time", run, "--store", str(store))
    assert [(row["epoch"], row["step"], row["errors"], row["rows"]) for row in rows(answer)] == [
        (1, 750, 3, 4),
        (1, 1500, 1, 4),
        (2, 750, 2, 4),
        (2, 1500, 1, 4),
        (3, None, 4, 4),
    ]


def test_tables_without_steps_have_no_column_of_them_unless_they_stand_beside_one_that_has(
    store: Path, capsys: Any
) -> None:
    alone, _, _ = told(capsys, "ask", "errors-over-time", "plain", "--store", str(store))
    assert list(rows(alone)[0]) == ["run", "epoch", "errors", "accuracy", "rows", "unlabelled"]
    both, _, _ = told(capsys, "ask", "errors-over-time", "cnn@3", "plain", "--store", str(store))
    assert list(rows(both)[0]) == ["run", "epoch", "errors", "accuracy", "rows", "unlabelled"]
    with_steps, _, _ = told(capsys, "ask", "errors-over-time", "cnn@2", "plain", "--store", str(store))
    assert [(row["run"], row["epoch"], row["step"]) for row in rows(with_steps)] == [
        ("cnn", 2, 1500),
        ("plain", 1, None),
    ]


@pytest.mark.parametrize("question", ["errors-by-guess", "confusion"])
def test_validations_of_one_epoch_are_counted_apart(store: Path, question: str, capsys: Any) -> None:
    answer, _, _ = told(capsys, "ask", question, "cnn@1:750", "cnn@1:1500", "--store", str(store))
    count = "errors" if question == "errors-by-guess" else "rows"
    found = [(row["step"], row.get("truth"), row["guess"], row[count]) for row in rows(answer)]
    if question == "errors-by-guess":
        assert found == [(750, None, "a", 2), (750, None, "b", 1), (1500, None, "b", 1)]
    else:
        assert found == [
            (750, "a", "a", 1),
            (750, "a", "b", 1),
            (750, "b", "a", 2),
            (1500, "a", "a", 1),
            (1500, "a", "b", 1),
            (1500, "b", "b", 2),
        ]


def test_two_validations_of_one_epoch_are_joined_like_two_epochs(store: Path, capsys: Any) -> None:
    answer, said, _ = told(capsys, "ask", "flips", "cnn@1:750", "cnn@1:1500", "--store", str(store))
    assert sorted((row["outcome"], row["truth"], row["examples"]) for row in rows(answer)) == [
        ("broken", "a", 1),
        ("fixed", "a", 1),
        ("fixed", "b", 2),
    ]
    assert "joined cnn@1:750 with cnn@1:1500 on id: 4 matched" in said


def test_a_table_is_taken_at_a_step_or_the_last_validation_before(store: Path) -> None:
    opened = connect(store)
    for at, guess in ((1, ["a", "b", "b", "b"]), ("2:800", ["b", "b", "b", "b"]), ("2", ["a", "a", "b", "a"])):
        assert [row[0] for row in opened.table("cnn", at=at).project("guess").fetchall()] == guess
    with pytest.raises(NotFound, match="no epoch 2:800"):
        opened.table("cnn", at="2:800", exact=True)
    with pytest.raises(BadInput, match="at is '2:x', neither a number of an epoch nor a step of one"):
        opened.table("cnn", at="2:x")


def test_free_sql_has_the_step_beside_the_epoch(store: Path) -> None:
    opened = connect(store)
    found = opened.sql('SELECT epoch, step, count(*) FROM "cnn@all" GROUP BY ALL ORDER BY ALL').fetchall()
    assert found == [(1, 750, 4), (1, 1500, 4), (2, 750, 4), (2, 1500, 4), (3, None, 4)]
    assert opened.sql(
        'SELECT a.guess, b.guess FROM "half@1:750" a JOIN "cnn@2" b USING (id) ORDER BY id'
    ).fetchall() == [
        ("b", "a"),
        ("a", "a"),
        ("a", "b"),
        ("a", "a"),
    ]
    assert "step" not in opened.sql("SELECT * FROM plain").columns
    assert opened.sql("SELECT DISTINCT at_step FROM plain").fetchall() == [(None,)]
    assert opened.sql("SELECT epochs, validations FROM runs WHERE run = 'cnn'").fetchall() == [
        ([1, 1, 2, 2, 3], ["1:750", "1:1500", "2:750", "2:1500", "3"])
    ]


def test_a_question_of_ones_own_that_would_mix_the_validations_of_an_epoch_says_so(
    tmp_path: Path, store: Path, capsys: Any
) -> None:
    (store / "questions").mkdir(exist_ok=True)
    (store / "questions" / "mine.sql").write_text(
        "-- Mine\nSELECT run, epoch, count(*) AS n FROM predictions GROUP BY ALL"
    )
    (store / "questions" / "told.sql").write_text(
        "-- Told\n-- steps: told\nSELECT run, epoch, at_step AS step, count(*) AS n FROM predictions GROUP BY ALL"
    )
    said = [told(capsys, "ask", name, "cnn@all", "--store", str(store))[1] for name in ("mine", "told")]
    assert "mine tells epochs apart, not their steps, and epoch 1 of cnn/test_predictions has several" in said[0]
    assert said[1] == ""
    assert told(capsys, "ask", "mine", "cnn@1", "--store", str(store))[1] == ""


def test_a_column_of_that_name_stands_aside_where_validations_have_steps(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="own") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["w"], truth=["a"], guess=["b"], step=["warm-up"])
    with Recorder(tmp_path, run="cnn") as recorder, recorder.table("test_predictions", epoch=1, step=5) as table:
        table.add(ids=["w"], truth=["a"], guess=["b"])
    opened = connect(tmp_path)
    assert opened.sql("SELECT step FROM own").fetchall() == [("warm-up",)]
    found = opened.sql("SELECT run, epoch, step, source_step FROM test_predictions ORDER BY run").fetchall()
    assert found == [("cnn", 1, 5, None), ("own", 1, None, "warm-up")]
    both = opened.table("own", "cnn", join="inner")
    assert {"step_a", "step_b", "source_step_a"} <= set(both.columns)
    assert both.project("step_a, step_b, source_step_a").fetchall() == [(None, 5, "warm-up")]
