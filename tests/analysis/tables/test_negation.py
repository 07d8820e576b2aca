"""The opposite of a filter: all rows that it leaves out and no others, and back."""

import duckdb
import pytest

from secondguess.analysis.tables.negation import negated, negated_wandb

OPPOSITES = {
    "guess = 4": "(guess = 4) IS NOT TRUE",
    '"guess" IS NOT DISTINCT FROM 4': '"guess" IS DISTINCT FROM 4',
    '"a ""b""" IS DISTINCT FROM \'it\'\'s\'': '"a ""b""" IS NOT DISTINCT FROM \'it\'\'s\'',
    '"guess" IS NOT DISTINCT FROM NULL': '"guess" IS DISTINCT FROM NULL',
    '"guess" IS NOT DISTINCT FROM 4 OR true': '("guess" IS NOT DISTINCT FROM 4 OR true) IS NOT TRUE',
    "guess = 4 -- four": "(guess = 4 -- four\n) IS NOT TRUE",
    "(guess = 1) OR (guess = 2) IS NOT TRUE": "((guess = 1) OR (guess = 2) IS NOT TRUE) IS NOT TRUE",
    "id = ')' OR id = '('": "(id = ')' OR id = '(') IS NOT TRUE",
    "guess >= 1 AND guess < 2": "(guess >= 1 AND guess < 2) IS NOT TRUE",
}


@pytest.mark.parametrize("text", OPPOSITES)
def test_a_filter_is_negated_and_back(text: str) -> None:
    assert negated(text) == OPPOSITES[text]
    assert negated(OPPOSITES[text]) == text


@pytest.mark.parametrize(
    "text", ["guess = 4", '"guess" IS NOT DISTINCT FROM 4', "guess > truth -- or", "guess IS NULL"]
)
def test_every_row_is_kept_by_a_filter_or_by_its_opposite(text: str) -> None:
    rows = "FROM (VALUES (4, 3), (NULL, 4), (3, NULL), (4, 4)) t(guess, truth)"
    one, other = (duckdb.sql(f"SELECT * {rows} WHERE {each}\n").fetchall() for each in (text, negated(text)))
    assert sorted(map(str, one + other)) == sorted(map(str, duckdb.sql(f"SELECT * {rows}").fetchall()))


def test_wandbs_filters_are_negated_and_back() -> None:
    assert negated_wandb('row["guess"] == 4') == '(row["guess"] == 4) != true'
    assert negated_wandb('(row["guess"] == 4) != true') == 'row["guess"] == 4'
