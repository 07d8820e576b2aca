"""Where in a person's SQL an error is shown."""

import pytest

from analysis.web.sql_error import Place, place, without_place


@pytest.mark.parametrize(
    ("sql", "message", "expected"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC" (line 1, column 1)', Place(1, "SELEC 1", "^^^^^")),
        ("SELECT 1\nFROM (", 'syntax error at or near "(" (line 2, column 6)', Place(2, "FROM (", "     ^")),
        (
            "SELECT 1,\n  2 FROM t WHERE guss = 1",
            'Binder Error: Referenced column "guss" not found in FROM clause! Candidate bindings: "guess"',
            Place(2, "  2 FROM t WHERE guss = 1", " " * 17 + "^^^^"),
        ),
        ("FROM nothing", "no relation named 'nothing'; the tables are: t", Place(1, "FROM nothing", "     ^^^^^^^")),
        ("SELECT Foo(1)", "Scalar Function with name foo does not exist!", Place(1, "SELECT Foo(1)", " " * 7 + "^^^")),
        ("SELECT\tguss", 'column "guss" not found', Place(1, "SELECT\tguss", " " * 6 + "\t^^^^")),
        ("FROM read_text('x')", "read_text is not allowed", Place(1, "FROM read_text('x')", "     ^^^^^^^^^")),
        ("SELECT guess_a", 'column "guess" not found', None),  # a part of a name is another name
        ("SELECT 1", "stopped after 20 seconds", None),
        ("SELECT 1", "odd (line 7, column 1)", None),
    ],
)
def test_an_error_is_shown_under_what_is_wrong(sql: str, message: str, expected: Place | None) -> None:
    assert place(sql, message) == expected


def test_the_place_is_not_said_twice() -> None:
    assert without_place('syntax error at or near "SELEC" (line 1, column 1)') == 'syntax error at or near "SELEC"'
