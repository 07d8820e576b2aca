"""What a person sees: legible at 80 characters, sides where they were asked for, nothing left out in silence."""

import datetime
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording import record
from rich.cells import cell_len

from secondguess.analysis.answers.answer import Answer, brief, cell
from secondguess.analysis.answers.grid import Grid, GridColumn
from secondguess.analysis.answers.terminal import markdown, terminal
from secondguess.analysis.cli import main

NAN = math.nan


def drawn(answer, width=80, limit=50):
    """The lines that a terminal of that width shows, and what is said of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        out = io.StringIO()
        found = terminal(answer, out, limit)
    lines = out.getvalue().splitlines()
    assert max(map(cell_len, lines), default=0) <= width
    return lines, found


def table(columns, rows, **how):
    """An answer whose numeric columns are those that hold a number in the first row."""
    first = rows[0] if rows else [None] * len(columns)
    numeric = [isinstance(value, int | float) and not isinstance(value, bool) for value in first]
    return Answer(columns, numeric, iter(rows), **how)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0.0000"),
        (0.123456, "0.1235"),
        (-12.5, "-12.5000"),
        (3.4701e-6, "3.47e-06"),
        (1234567.0, "1.235e+06"),
        (NAN, "nan"),
        (math.inf, "inf"),
        (7, "7"),
        (True, "True"),
        ("a\nb\tc\x1b[0m\u202e", "a\\nb\\tc\\x1b[0m\\u202e"),
        (b"abc", "<3 bytes>"),
        ({"bytes": b"\x89PNG", "path": None}, "<image, 4 bytes>"),
        ({3: 2, "x": None}, "3: 2, x: "),
        ([1, None, 0.5], "1, , 0.5000"),
        (datetime.datetime(2026, 2, 28, 1, 2, 3, 999), "2026-02-28 01:02:03"),
        (datetime.date(2026, 2, 28), "2026-02-28"),
    ],
)
def test_a_value_reads_as_a_person_writes_it(value, text):
    assert cell(value) == text


def test_what_is_very_long_shows_its_ends_and_how_long_it_is():
    assert brief(list(range(100))) == "0, 1, 2, 3, 4, 5, … 92 more …, 98, 99"
    assert brief("x" * 1000) == "x" * 200 + " … 1,000 characters"
    assert brief(list(range(12))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"


def test_numbers_stand_on_the_right_and_text_on_the_left():
    lines, _ = drawn(table(["name", "n"], [("a", 1), ("long name", 1000)]))
    assert lines == ["name          n", "───────────────", "a             1", "long name  1000"]


def test_five_or_more_scores_are_bars_and_fewer_are_numbers():
    lines, _ = drawn(table(["id", *(f"score_{index}" for index in range(5))], [("a", 0.0, 0.25, 0.5, 1.0, 0.999)]))
    assert lines[0].split() == ["id", "scores", "0…4"]
    assert lines[2] == "a   ▁▃▅██"
    lines, _ = drawn(table(["id", "score_3", "score_4"], [("a", 0.25, 0.5)]))
    assert lines[2].split() == ["a", "0.2500", "0.5000"]


def test_scores_that_are_null_nan_or_infinite_are_seen_in_the_bars():
    scores = [0.5, NAN, None, math.inf, -0.1, 1.7]
    lines, _ = drawn(table([f"score_{index}" for index in range(6)], [(0.5,) * 6, tuple(scores)]))
    assert lines[3] == "▅? ?▁█"


def test_text_in_a_column_called_like_a_score_is_shown_as_text():
    lines, _ = drawn(table([f"score_{index}" for index in range(5)], [("a", "b", "c", "d", "e")]))
    assert lines[2].split() == ["a", "b", "c", "d", "e"]


def test_where_all_rows_come_from_is_said_once_above_them():
    columns = ["run", "epoch", "id", "examples"]
    lines, _ = drawn(table(columns, [("cnn", 5, "a", "x-1"), ("cnn", 5, "b", "x-1")]))
    assert lines == ["run cnn · epoch 5 · examples x-1", "id", "──", "a", "b"]
    lines, _ = drawn(table(columns, [("cnn", 5, "a", "x-1"), ("cnn", 6, "b", "x-1")]))
    assert lines[0] == "run cnn · examples x-1"
    lines, _ = drawn(table(columns, [("cnn", 5, "a", "x-1"), ("cnn", 6, "b", "x-1")]), limit=1)
    assert lines[0] == "run cnn · examples x-1"  # the rows that are not shown count too


def test_rows_beyond_the_limit_are_counted():
    lines, found = drawn(table(["n"], [(index,) for index in range(1000)]), limit=3)
    assert [line.strip() for line in lines[2:]] == ["0", "1", "2"]
    assert (found.shown, found.total) == (3, 1000)


def test_an_answer_without_rows_shows_its_columns():
    lines, found = drawn(table(["run", "id"], []))
    assert lines[0].split() == ["run", "id"]
    assert (found.shown, found.total) == (0, 0)


BY_GUESS = ["run", "epoch", "guess", "errors", "truths", "ids"]
SIDES = [
    ("cnn", 5, 0, 2, {6: 1, 8: 1}, ["digits-test-1", "digits-test-22"]),
    ("cnn", 5, None, 1, {3: 1}, ["digits-test-9"]),
    ("double", 3, 0, 1, {6: 1}, ["digits-test-1"]),
    ("double", 3, 7, 1, {1: 1}, ["digits-test-5"]),
]
BESIDE = {"drawn": ("beside", ("guess",)), "order": [("double", 3), ("cnn", 5)]}


def test_two_tables_stand_side_by_side_in_the_order_they_were_named():
    lines, _ = drawn(table(BY_GUESS, SIDES, **BESIDE), width=100)
    assert lines[0].split() == ["double@3", "cnn@5"]
    assert lines[0].index("double@3") < lines[0].index("cnn@5")
    assert lines[1].split() == ["guess", "errors", "truths", "ids", "errors", "truths", "ids"]
    assert [" ".join(line.split()) for line in lines[3:]] == [
        "0 1 6: 1 digits-test-1 2 6: 1, 8: 1 digits-test-1, digits-test-22",
        "7 1 1: 1 digits-test-5 ·",
        "none · 1 3: 1 digits-test-9",
    ]


def test_the_tutorials_comparison_stands_side_by_side_at_80_characters():
    ids = [f"mnist-test-{number}" for number in (1234, 5678, 9012, 3456, 7890)]
    truths = dict.fromkeys(range(10), 1234)
    rows = [(run, 5, guess, 1234, truths, ids) for run in ("cnn", "double") for guess in range(10)]
    lines, found = drawn(table(BY_GUESS, rows, drawn=BESIDE["drawn"], order=[("double", 5), ("cnn", 5)]), width=80)
    assert lines[0].split() == ["double@5", "cnn@5"]
    assert found.hidden == ()
    assert all(name in " ".join(lines) for name in ids)


def test_what_is_too_wide_for_that_stands_below_each_other():
    lines, found = drawn(table(BY_GUESS, SIDES, **BESIDE), width=50)
    assert [line for line in lines if "@" in line] == ["double@3", "cnn@5"]
    assert [" ".join(line.split()) for line in lines if line[:5].strip() in {"0", "7", "none"}] == [
        "0 1 6: 1 digits-test-1",
        "7 1 1: 1 digits-test-5",
        "0 2 6: 1, 8: 1 digits-test-1,",
        "none 1 3: 1 digits-test-9",
    ]
    assert found.hidden == ()


def test_a_table_asked_about_twice_stands_twice():
    rows = [("cnn", 1, 3, 2)]
    how = {"drawn": ("beside", ("guess",)), "order": [("cnn", 1), ("cnn", 1)]}
    lines, _ = drawn(table(["run", "epoch", "guess", "errors"], rows, **how))
    assert lines[3].split() == ["3", "2", "2"]


def test_a_table_without_any_row_has_a_side_of_dots():
    lines, _ = drawn(table(BY_GUESS, SIDES[2:], **BESIDE), width=100)
    assert lines[0].split() == ["double@3", "cnn@5"]
    assert [line.split()[-1] for line in lines[3:]] == ["·", "·"]


def test_a_matrix_has_the_truth_down_and_the_guess_across():
    rows = [("a", 1, 0, 0, 5), ("a", 1, 0, 1, 2), ("a", 1, 1, 1, 7), ("a", 1, 1, None, 1)]
    how = {"drawn": ("matrix", ("truth", "guess", "rows")), "order": [("a", 1)]}
    lines, _ = drawn(table(["run", "epoch", "truth", "guess", "rows"], rows, **how))
    assert lines[0] == "a@1"
    assert lines[1].split() == ["truth", "↓", "guess", "→", "0", "1", "none"]
    assert [line.split() for line in lines[3:]] == [["0", "5", "2", "·"], ["1", "·", "7", "1"]]


def test_a_matrix_has_its_classes_in_their_own_order():
    rows = [("a", 1, truth, truth, 1) for truth in ("cat", "dog", "emu")]
    how = {"drawn": ("matrix", ("truth", "guess", "rows")), "order": [("a", 1)], "classes": ["emu", "dog", "cat"]}
    lines, _ = drawn(table(["run", "epoch", "truth", "guess", "rows"], rows, **how))
    assert [line.split()[0] for line in lines[3:]] == ["emu", "dog", "cat"]


def test_a_matrix_of_long_names_is_numbered_where_the_names_are_too_wide():
    rows = [("a", 1, "a long name", "another long name", 3), ("a", 1, "another long name", "another long name", 4)]
    how = {"drawn": ("matrix", ("truth", "guess", "rows")), "order": [("a", 1)]}
    answer = ["run", "epoch", "truth", "guess", "rows"], rows
    lines, _ = drawn(table(*answer, **how), width=60)
    assert lines[1].split("→")[1].split() == ["a", "long", "name", "another", "long", "name"]
    lines, _ = drawn(table(*answer, **how), width=30)
    assert [line.split() for line in lines[-2:]] == [
        ["0", "a", "long", "name", "·", "3"],
        ["1", "another", "long", "name", "·", "4"],
    ]


def test_a_full_matrix_of_ten_classes_is_drawn_whatever_the_limit_of_rows():
    rows = [("a", 1, truth, guess, 1000) for truth in range(10) for guess in range(10)]
    how = {"drawn": ("matrix", ("truth", "guess", "rows")), "order": [("a", 1)]}
    lines, found = drawn(table(["run", "epoch", "truth", "guess", "rows"], rows, **how), limit=50)
    assert len(lines) == 13
    assert (found.shown, found.total, found.hidden) == (100, 100, ())


@pytest.mark.parametrize(("classes", "width"), [(21, 400), (10, 30)])
def test_a_matrix_that_would_be_too_wide_is_a_list(classes, width):
    rows = [("a", 1, number, number, 1) for number in range(classes)]
    how = {"drawn": ("matrix", ("truth", "guess", "rows")), "order": [("a", 1)]}
    lines, _ = drawn(table(["run", "epoch", "truth", "guess", "rows"], rows, **how), width=width)
    assert lines[1].split() == ["truth", "guess", "rows"]


JOINED = ["id", *(f"{name}_{side}" for name in ("guess", "truth", "confidence") for side in "ab")]
JOINED += [f"score_{index}_{side}" for side in "ab" for index in range(10)]
JOINED += [f"{name}_{side}" for name in ("run", "epoch", "examples") for side in "ab"]


def joined(name, examples=("mnist-1", "mnist-1")):
    first, second = [0.5] + [0.0] * 9, [0.0] * 9 + [1.0]
    return (name, 0, 9, 9, 9, 0.5, 1.0, *first, *second, "cnn", "cnn", 1, 5, *examples)


def test_the_sides_of_a_join_stand_one_below_the_other_at_80_characters():
    how = {"drawn": ("under", ("id",)), "order": [("cnn", 1), ("cnn", 5)], "sides": 2}
    lines, found = drawn(table(JOINED, [joined("mnist-test-1"), joined("mnist-test-20")], **how))
    assert found.hidden == ()
    assert (found.shown, found.total) == (2, 2)
    assert lines == [
        "examples mnist-1",
        "id             table  guess  truth  scores 0…9  confidence",
        "──────────────────────────────────────────────────────────",
        "mnist-test-1   cnn@1      0      9  ▅▁▁▁▁▁▁▁▁▁      0.5000",
        "               cnn@5      9      9  ▁▁▁▁▁▁▁▁▁█      1.0000",
        "mnist-test-20  cnn@1      0      9  ▅▁▁▁▁▁▁▁▁▁      0.5000",
        "               cnn@5      9      9  ▁▁▁▁▁▁▁▁▁█      1.0000",
    ]


def test_sides_with_other_examples_say_so_in_each_row():
    how = {"drawn": ("under", ("id",)), "order": [("cnn", 1), ("cnn", 5)], "sides": 2}
    lines, _ = drawn(table(JOINED, [joined("a", ("x-1", "y-2"))], **how))
    assert lines[0].split()[-1] == "examples"
    assert [line.split()[-1] for line in lines[2:]] == ["x-1", "y-2"]


def test_a_column_that_one_side_lacks_is_blank_there():
    columns = ["id", "guess_a", "guess_b", "note_b", "run_a", "run_b", "epoch_a", "epoch_b"]
    how = {"drawn": ("under", ("id",)), "order": [("a", 1), ("b", 1)], "sides": 2}
    lines, _ = drawn(table(columns, [("x", 1, 2, "seen", "a", "b", 1, 1)], **how))
    assert [line.split() for line in lines[2:]] == [["x", "a@1", "1"], ["b@1", "2", "seen"]]


@pytest.mark.parametrize("how", [("beside", ("guess",)), ("matrix", ("truth", "guess", "rows")), ("under", ("id",))])
def test_an_answer_that_cannot_be_drawn_as_its_question_says_is_a_plain_table(how):
    for columns, row in (
        (["a", "b"], (1, 2)),
        (["run", "epoch", "id", "guess", "truth", "rows"], ("a", 1, "x", [1], {"y": 1}, 3)),
    ):
        lines, found = drawn(table(columns, [row], drawn=how, order=[("a", 1), ("b", 1)]))
        assert found.total == 1
        assert "b" in lines[0] or "rows" in "".join(lines)


def test_columns_that_do_not_fit_are_left_out_by_name_and_the_others_stay_whole():
    columns = ["id", *(f"long_column_name_{index}" for index in range(12))]
    lines, found = drawn(table(columns, [("x", *range(1000, 1012))]))
    assert found.width == 80
    shown = [name for name in columns if name not in found.hidden]
    assert shown[0] == "id" and 2 < len(shown) < 13
    assert len(lines[-1].split()) == len(shown)
    assert drawn(table(columns, [("x", *range(12))]), width=400)[1].hidden == ()


def test_a_head_is_broken_after_underscores_before_a_column_is_left_out():
    lines, found = drawn(table(["id", "truth_score", "other_score"], [("abcdefgh", 0.5, 0.25)]), width=24)
    assert found.hidden == ()
    assert [line.split() for line in lines[:2]] == [["truth_", "other_"], ["id", "score", "score"]]


def test_long_words_are_folded_and_texts_wrapped_between_words():
    lines, _ = drawn(table(["id", "text"], [("0123456789" * 6, "some words to wrap here"), ("b", "c")]), width=40)
    assert all(len(line) <= 40 for line in lines)
    assert "".join(line.split()[0] for line in lines[2:] if line and line[0].isdigit()) == "0123456789" * 6
    assert " ".join(lines).replace("\n", " ").count("wrap") == 1


@given(
    st.lists(st.tuples(st.text(max_size=60), st.text(max_size=30), st.one_of(st.none(), st.integers())), max_size=5),
    st.integers(12, 200),
)
def test_no_line_is_wider_than_the_terminal_and_no_control_character_is_printed(rows, width):
    lines, _ = drawn(Answer(["id", "name \x1b[1m", "n"], [False, False, True], iter(rows)), width=width)
    assert not any(ord(letter) < 32 for line in lines for letter in line)


WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1), max_size=12)


@given(WORDS, st.integers(5, 40))
def test_wrapping_loses_no_character(words, width):
    out = io.StringIO()
    Grid([GridColumn("x", [" ".join(words)], False)]).print(out, width)
    lines = out.getvalue().split("\n")[2:-1]
    assert "".join("".join(lines).split()) == "".join(words)
    assert all(cell_len(line) <= max(width, 2) for line in lines)
    assert not words or all(lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a|b", "a\\|b"),
        ("two\nlines", "two<br>lines"),
        ("<b>*x* `y` [z](w)", "\\<b>".replace(">", "\\>") + "\\*x\\* \\`y\\` \\[z\\](w)"),
        ("truth_score _x_", "truth_score \\_x\\_"),
        ("C:\\", "C:\\\\"),
        (None, ""),
    ],
)
def test_markdown_shows_a_value_and_obeys_nothing_in_it(value, text):
    assert list(markdown(Answer(["v"], [False], [(value,)])))[2] == f"| {text} |"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two runs with images' worth of columns: ten named classes, content, two epochs."""
    path = tmp_path_factory.mktemp("store")
    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
    ids = [f"fashion-mnist-test-{number}" for number in range(10)]
    for run, shift in (("cnn", 1), ("double", 2)):
        scores = [[0.1 if index != (row * shift) % 10 else 0.9 for index in range(10)] for row in range(10)]
        rows = list(zip(ids, classes, scores, strict=True))
        record(path, run, {1: rows, 2: rows}, classes=classes, content=dict(zip(ids, ids, strict=True)))
    return path


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize(
    "args",
    [
        ("runs",),
        ("ask", "errors", "double"),
        ("ask", "errors", "cnn@1", "double"),
        ("ask", "errors-by-guess", "double", "cnn"),
        ("ask", "errors-by-guess", "double"),
        ("ask", "errors-over-time", "cnn", "double"),
        ("ask", "confusion", "double"),
        ("ask", "disagreements", "cnn@1", "double@2"),
        ("sql", "FROM test_predictions"),
        ("sql", 'SELECT * FROM "cnn@1" a JOIN "double@1" b USING (id)'),
        ("sql", "FROM examples"),
        ("sql", "SUMMARIZE test_predictions"),
    ],
)
def test_every_command_is_legible_at_every_width(store, capsys, monkeypatch, args, width):
    monkeypatch.setenv("COLUMNS", str(width))
    main([*args, "--store", str(store)])
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert max(map(cell_len, lines)) <= width
    heads = [place for place, line in enumerate(lines) if line.startswith("──")]
    assert heads
    hidden = [line for line in err.splitlines() if "too wide for" in line]
    if args[0] in {"runs", "ask"} and width >= 100:
        assert not hidden or args in {("runs",), ("ask", "errors", "cnn@1", "double")}
    if args[1:2] == ("confusion",) and width >= 80:
        assert "truth ↓" in out
    if args[1:2] == ("disagreements",):
        assert "scores 0…9" in out or width == 60
        assert [line for line in lines if "cnn@1" in line] and [line for line in lines if "double@2" in line]


def test_named_classes_are_listed_where_only_their_scores_numbers_are_shown(store, capsys):
    main(["ask", "errors", "double", "--store", str(store)])
    said = (
        "score_0, score_1, … are the scores of: T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, "
    )
    assert said + "Bag, Ankle boot" in capsys.readouterr().err.splitlines()
    main(["ask", "disagreements", "cnn@1", "double@1", "--store", str(store)])
    assert said + "Bag, Ankle boot" in capsys.readouterr().err.splitlines()
    main(["ask", "errors-over-time", "double", "--store", str(store)])
    assert "scores of" not in capsys.readouterr().err


def test_of_a_thousand_classes_the_three_highest_scores_are_shown_with_their_classes() -> None:
    scores = [0.0] * 1000
    scores[686], scores[3], scores[999], scores[5] = 0.5, 0.25, 0.125, 0.0625
    columns = ["id", *(f"score_{at}" for at in range(1000))]
    lines, _ = drawn(table(columns, [("a", *scores)]))
    assert lines[-1].split(maxsplit=1) == ["a", "686: 0.5000, 3: 0.2500, 999: 0.1250"]
    lines, _ = drawn(table(columns, [("a", *scores)], classes=[f"n{at}" for at in range(1000)]))
    assert lines[-1].split(maxsplit=1) == ["a", "n686: 0.5000, n3: 0.2500, n999: 0.1250"]


def test_no_colour_and_no_bold_where_nobody_wants_it(monkeypatch):
    """https://no-color.org, and terminals that know no escapes."""

    class Tty(io.StringIO):
        def isatty(self):
            return True

    def head():
        out = Tty()
        Grid([GridColumn("a", ["1"], False)]).print(out, 80)
        return out.getvalue().splitlines()[0]

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert head() == "\x1b[1ma\x1b[0m"
    monkeypatch.setenv("TERM", "dumb")
    assert head() == "a"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert head() == "a"
    monkeypatch.setenv("NO_COLOR", "")
    assert head() == "\x1b[1ma\x1b[0m"


def test_of_a_thousand_classes_the_highest_scores_are_named_and_no_line_lists_them_all(wide_store, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    main(["ask", "errors", "wide-large@last", "--limit", "2", "--store", str(wide_store)])
    said = capsys.readouterr()
    assert max(map(cell_len, said.out.splitlines())) <= 100
    assert said.err == "2 rows\n"
    assert "315: 0.2823" in " ".join(said.out.split())
    main(["ask", "errors", "wide-large@last", "--limit", "2", "--store", str(wide_store), "--format", "csv"])
    assert max(map(len, capsys.readouterr().err.splitlines())) < 400


def test_a_table_of_texts_shows_its_texts(wide_store, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    store = ["--store", str(wide_store)]
    main(["table", "wide-texts", "--limit", "2", *store])
    out = capsys.readouterr().out
    assert "content" in out
    assert "Review" in out
    main(["table", "wide-texts@1", "wide-texts@2", "--join", "inner", "--limit", "1", *store])
    assert capsys.readouterr().out.count("content") == 1
    main(["ask", "errors", "wide-texts@1", "--limit", "2", *store])
    shown = " ".join(capsys.readouterr().out.split())
    assert "id content guess truth" in shown
    assert "Review" in shown
    main(["ask", "errors", "wide-large", "--limit", "2", *store])
    assert "content" not in capsys.readouterr().out
    for form in ("csv", "json"):  # whose columns stay as they were
        main(["table", "wide-texts", "--limit", "1", "--format", form, *store])
        assert "content" not in capsys.readouterr().out


def test_a_list_shows_where_its_texts_begin_and_end() -> None:
    assert cell(["cat", "a, b", "", "[x]"]) == 'cat, "a, b", "", [x]'
    assert (cell([]), cell([1, 2.5]), cell([None])) == ("[]", "1, 2.5000", "")
