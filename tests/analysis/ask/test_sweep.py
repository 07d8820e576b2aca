"""The runs as one table: what of a config is a column, what a search, a filter, an order and a group make of it."""

from statistics import stdev
from typing import Any

import duckdb
import pytest

from secondguess.analysis.ask import sweep
from secondguess.analysis.errors import BadInput, Refused


def row(
    run: str, rate: float | None = None, *, tags: tuple[str, ...] = (), note: str = "", **config: Any
) -> dict[str, Any]:
    empty = dict.fromkeys(sweep.MEASURED)
    return {**empty, "run": run, "best_error_rate": rate, "tags": tags, "note": note, **config}


ROWS = [
    row("vit-1", 0.1, tags=("best",), lr=0.001, model="vit", warm=True),
    row("vit-2", 0.3, lr=0.01, model="vit", warm=False),
    row("cnn-1", 0.2, note="diverged, see Kim's mail", lr=0.001, model="cnn"),
    row("none", None, lr="auto", model="cnn"),
]


def names(rows: Any) -> list[str]:
    return [each["run"] for each in rows]


def test_what_is_nested_in_a_config_is_a_column_of_its_own() -> None:
    nested = {"optimizer": {"name": "adam", "lr": 0.1}, "epochs": 3, "empty": {}}
    assert sweep.flat(nested) == {"optimizer.name": "adam", "optimizer.lr": 0.1, "epochs": 3, "empty": {}}
    assert (sweep.column_of("lr"), sweep.column_of("Epochs")) == ("lr", "config.Epochs")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ["vit-1", "vit-2", "cnn-1", "none"]),
        ("VIT", ["vit-1", "vit-2"]),
        ("cnn kim", ["cnn-1"]),
        ("best", ["vit-1"]),
        ("0.01", ["vit-2"]),
        ("nothing", []),
    ],
)
def test_a_search_looks_into_names_tags_notes_and_config(words: str, found: list[str]) -> None:
    assert names(sweep.searched(ROWS, words)) == found


def test_runs_without_a_value_come_last_whichever_way_they_are_sorted() -> None:
    assert names(sweep.ordered(ROWS, "best_error_rate", down=False)) == ["vit-1", "cnn-1", "vit-2", "none"]
    assert names(sweep.ordered(ROWS, "best_error_rate", down=True)) == ["vit-2", "cnn-1", "vit-1", "none"]
    assert names(sweep.ordered(ROWS, "lr", down=False))[-1] == "none"  # a text among numbers


def filtered(*conditions: str) -> list[str]:
    with duckdb.connect() as con:
        statement = sweep.filtering(con, ROWS, conditions)
        return sorted(name for (name,) in con.execute(statement.sql).fetchall())


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("best_error_rate < 0.25 AND model = 'vit'", ["vit-1"]),
        ("lr = '0.001'", ["cnn-1", "vit-1"]),  # a column of numbers and a text is text
        ("NOT warm", ["vit-2"]),
        ("list_contains(tags, 'best')", ["vit-1"]),
        ("note ILIKE '%kim%'", ["cnn-1"]),
        ("run LIKE '%-1'", ["cnn-1", "vit-1"]),
    ],
)
def test_a_filter_is_an_expression_over_what_runs_came_to_and_their_config(condition: str, found: list[str]) -> None:
    assert filtered(condition) == found


def test_of_several_filters_all_are_true() -> None:
    assert filtered("model = 'vit'", "best_error_rate > 0.2") == ["vit-2"]


@pytest.mark.parametrize(
    ("condition", "error", "said"),
    [
        ("learning_rate > 1", BadInput, "there is no column 'learning_rate'"),
        ("true) OR (true", Refused, "in the filter"),
        ("run IN (SELECT run FROM runs)", (BadInput, Refused), "in the filter"),
        ("getenv('HOME') = 'x'", Refused, "in the filter"),
    ],
)
def test_what_is_no_condition_on_runs_is_refused(condition: str, error: Any, said: str) -> None:
    with pytest.raises(error, match=said.replace("(", r"\(")):
        filtered(condition)


def test_a_group_has_the_mean_the_spread_and_the_best_of_its_runs_error_rates() -> None:
    cnn, vit = sweep.groups(ROWS, "model")  # of equal means
    assert (vit.value, names(vit.runs), vit.mean) == ("vit", ["vit-1", "vit-2"], pytest.approx(0.2))
    assert vit.spread == pytest.approx(stdev([0.1, 0.3]))
    assert vit.best is not None
    assert vit.best["run"] == "vit-1"
    assert (cnn.mean, cnn.spread) == (pytest.approx(0.2), None)  # one run alone has no spread; one has no rate
    assert names(cnn.runs) == ["cnn-1", "none"]


@pytest.mark.parametrize("column", ["model", "lr", "warm", "tags"])
def test_the_condition_of_a_group_is_true_of_its_runs_alone(column: str) -> None:
    for group in sweep.groups(ROWS, column):
        assert filtered(group.condition) == sorted(names(group.runs))
