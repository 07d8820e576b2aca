"""Free text in a view is one value of a row and no more; any column can be named, whatever it is called."""

import json
from contextlib import suppress
from functools import partial

import duckdb
import pytest
from hostile import HOSTILE, SECRET, filled
from recording import bytes_of, record

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.engine import expressions
from secondguess.analysis.engine.duck import answered, rows
from secondguess.analysis.errors import BadInput, Refused, SecondguessError
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView

pytest_plugins = ["hostile"]

CON = duckdb.connect()

# Reading text


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("gap = confidence - truth_score", "gap", "confidence - truth_score"),
        ("same=guess=truth", "same", "guess=truth"),
        ('"a = b" = 3', "a = b", "3"),
        ('"say ""hi""" = 1', 'say "hi"', "1"),
        ("이름 = 1", "이름", "1"),
        ("😀=1", "😀", "1"),
        ("two words = '='", "two words", "'='"),
        ("x = f(a = 1)", "x", "f(a = 1)"),
        ("order = 1 -- last", "order", "1 -- last"),
    ],
)
def test_a_computed_column_is_a_name_and_what_stands_after_the_first_equals_sign(text, name, value):
    assert expressions.named(text) == (name, value)


@pytest.mark.parametrize("text", ["", " ", "x", "x =", "= 1", "=", '"" = 1', "(x = 1)", "'x = 1'"])
def test_a_computed_column_without_a_name_or_a_value_is_refused_with_an_example(text):
    with pytest.raises(BadInput, match="is no computed column; write name = expression, as in 'gap = confidence"):
        expressions.named(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ("a",)),
        (" a , b ", ("a", "b")),
        ("f(a, b), c", ("f(a, b)", "c")),
        ("[1, 2], {'x': 1, 'y': 2}", ("[1, 2]", "{'x': 1, 'y': 2}")),
        ("'a,b', \"c,d\"", ("'a,b'", '"c,d"')),
        ("가, 'é,😀', b", ("가", "'é,😀'", "b")),
        ("a /* x, y */, b", ("a /* x, y */", "b")),
        ("$$a,b$$, c", ("$$a,b$$", "c")),
    ],
)
def test_a_list_is_split_at_commas_outside_of_brackets_quotes_and_comments(text, parts):
    assert expressions.listed(text) == parts


@pytest.mark.parametrize("text", ["", ",", "a,", ",a", "a,,b", " "])
def test_a_list_with_a_gap_is_refused(text):
    with pytest.raises(BadInput, match="has nothing between two commas, or at an end; leave the comma out"):
        expressions.listed(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("n", ("n", False)),
        ("-n", ("n", True)),
        ("- n", ("n", True)),
        ("n desc", ("n", True)),
        ("n  ASC ", ("n", False)),
        ("-(a - b)", ("(a - b)", True)),
        ("a - b", ("a - b", False)),
        ("desc", ("desc", False)),
        ("--n", ("--n", False)),
    ],
)
def test_a_minus_or_desc_puts_the_largest_first(text, found):
    assert expressions.order(text) == found


@pytest.mark.parametrize(("text", "name"), [("a", "a"), ('"a"', "a"), ('"a""b"', 'a"b'), ('a"b', 'a"b'), ('"', '"')])
def test_a_name_may_be_quoted_as_in_sql(text, name):
    assert expressions.unquoted(text) == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [("guss", " (did you mean guess?)"), ("GUESSS", " (did you mean guess?)"), ("margin", "")],
)
def test_a_name_that_is_nearly_a_column_is_hinted_at(name, hint):
    with pytest.raises(BadInput) as said:
        expressions.column("sort", name, {"guess": 0, "truth": 1})
    assert str(said.value) == f"sort: there is no column {name!r}{hint}; there are: guess, truth"


def test_a_column_is_found_whatever_the_case_of_its_letters_but_exactly_first():
    columns = {"Mark": 0, "id": 1}
    assert expressions.column("columns", "mark", columns) == "Mark"
    with pytest.raises(BadInput, match=r"^group: there is no column 'x'; there are: Mark, id$"):
        expressions.column("group", "x", columns)
    many = {f"c{place}": place for place in range(50)}
    with pytest.raises(BadInput, match=r"c39 and 10 more$"):
        expressions.column("group", "x", many)


def test_an_expression_may_be_exactly_the_name_of_a_column():
    for name in ("a b", "-x", "order", "1=1) OR (1=1", "x; DROP TABLE y", '"'):
        quoted = '"' + name.replace('"', '""') + '"'
        assert expressions.expression(CON, "the filter", name, [name]).sql == quoted


# What is more than one value

MORE = [
    *("", " ", ";", "--", "-- x", "/* x */", "\n"),
    *("a, b", "a b", "a AS b", "* ", "*", "COLUMNS(*)", "COLUMNS('x.*')", "* EXCLUDE (a)", "t.*", "max(COLUMNS(*))"),
    *("a FROM cnn", "a WHERE true", "a LIMIT 1", "a OFFSET 1", "a ORDER BY 1", "a GROUP BY a", "a HAVING true"),
    *("a QUALIFY true", "a WINDOW w AS ()", "a USING SAMPLE 1", "DISTINCT a", "DISTINCT ON (a) a", "a INTO b"),
    *("a UNION SELECT 1", "a UNION ALL SELECT 1", "a EXCEPT SELECT 1", "a INTERSECT SELECT 1", "a FROM range(3)"),
    *("a)", "(a", "true) OR (true", "1) UNION ALL SELECT (2", "a) AS b, (c", "1)) FROM x --", "a) --", "a)--\n(b"),
    *("a; b", "a; SELECT 1", "a; COPY (SELECT 1) TO 'x'", "1; DROP TABLE cnn", "a;; b", ";a", "a;--\nb"),
    *("$1", "?", "$x", "a = $x", ":x", "a = ?1", "#1 + $y"),
    *("'a", '"a', "a /*", "a /* /* */", "$$a", "E'\\'", "a -- \n b c"),
    *("SELECT 1", "SELECT", "FROM cnn", "VALUES (1)", "TABLE cnn", "WITH x AS (SELECT 1) SELECT 1", "SHOW TABLES"),
    *("COPY (SELECT 1) TO 'x'", "ATTACH 'x' AS y", "PRAGMA version", "SET threads = 1", "INSTALL httpfs", "CALL x()"),
    *("getenv('HOME')", "current_setting('home_directory')", "getvariable('x')", "nextval('x')", "sleep_ms(1)"),
    *("GetEnv('HOME')", "main.getenv('HOME')", "'HOME'.getenv()", "\"getenv\"('HOME')", "system.main.getenv('x')"),
    *("(SELECT content FROM read_text('/etc/passwd'))", "a IN (FROM read_csv('/etc/passwd'))", "(FROM glob('*'))"),
    *("(SELECT a FROM other.t)", "(FROM information_schema.tables)", "(FROM query('x'))", "(FROM sqlite_scan('x'))"),
    *("(WITH x AS (COPY (SELECT 1) TO 'x') SELECT 1 FROM x)", "(WITH x AS (DELETE FROM t RETURNING *) FROM x)"),
    *("[x FOR x IN (FROM read_text('x'))]", "list_transform([1], x -> (SELECT count(*) FROM read_text('x')))"),
    *("CASE WHEN (SELECT true FROM glob('*')) THEN 1 END", "sum(1) OVER (ORDER BY (SELECT 1 FROM glob('*')))"),
    *("count(*) FILTER (WHERE 1 IN (FROM glob('*')))", "(SELECT 1 LIMIT (SELECT count(*) FROM glob('*')))"),
    # What looks like a sign of SQL: fullwidth and Greek ones, typographic quotes, wide blanks.
    *("guess \uff1d 1", "guess = 1\uff1b DROP TABLE x", "guess = 1\u037e DROP TABLE x", "guess \uff1c\uff1e truth"),
    *("\uff08guess\uff09; x", "guess \u2212 1 x", "\u2018a\u2019 \u2018b\u2019", "guess\u00a0=\u00a01; x"),
    *("guess\u200b = 1 x y", "\ufeffguess, truth", "guess\u2028FROM x", "guess\u3000FROM\u3000cnn", "\u0455elect 1"),
    *("x" * 100_000, "'" + "x" * 100_000 + "'", "'" + "가" * 30_000 + "'", "1" + "+1" * 50_000),
    *("(" * 5_000 + "1" + ")" * 5_000, "[" * 5_000 + "]" * 5_000, "+".join(["1"] * 2_000), "-" * 9_999 + "1"),
    *("NOT " * 5_000 + "true", "a" + "::INT" * 5_000, "CASE WHEN true THEN " * 2_000 + "1" + " END" * 2_000),
    "\udcff",
    "'\udcff'",
]


@pytest.mark.parametrize("text", MORE, ids=lambda text: ascii(text[:40]))
def test_what_is_no_single_value_is_refused_in_one_line(text):
    with pytest.raises(SecondguessError) as caught:
        expressions.expression(CON, "the filter", text)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith("in the filter ")


def test_a_refusal_does_not_repeat_a_text_that_is_very_long():
    with pytest.raises(Refused) as caught:
        expressions.expression(CON, "the filter", "'" + "x" * 100_000 + "'")
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("text", ["", " ", ";", "-- x"])
def test_an_empty_expression_is_said_to_be_empty(text):
    with pytest.raises(Refused, match="empty"):
        expressions.expression(CON, "the filter", text)


VALUES = [
    *("a", '"a b"', "a + 1", "-a", "a = b", "a IS NULL", "a BETWEEN 1 AND 2", "a IN (1, 2)", "NOT a", "a::INT", "NULL"),
    *("CASE a WHEN 1 THEN 2 END", "coalesce(a, b)", "a.b", "a[1]", "[1, 2]", "{'x': 1}", "a LIKE '%;--%'", "x -> x"),
    *("count(*)", "sum(a) OVER (PARTITION BY b ORDER BY c)", "list(a ORDER BY b)", "count(*) FILTER (WHERE a)"),
    *("(SELECT max(a) FROM cnn)", "a IN (FROM cnn SELECT id)", "EXISTS (SELECT 1)", "a -- end", "a /* b; c */", "a;"),
    *("'it''s; -- \"'", "$$;$$", "E'\\''", "'가😀'", "DATE '2026-02-28'", "INTERVAL 1 DAY", "@a", "(a)", "((a))"),
    *("(WITH x AS (SELECT 1) FROM x)", "(SELECT 1 WHERE EXISTS (FROM cnn))", "a ~ '^b'", "a COLLATE nocase"),
    *("  a  ", "a\n", "\ta", "a;  ;", "a; -- b", "1e5", "try_cast(a AS INT)"),
]


@pytest.mark.parametrize("text", VALUES, ids=lambda text: text[:40])
def test_one_value_is_let_through_and_stands_in_brackets(text):
    found = expressions.expression(CON, "the filter", text)
    assert found.sql.startswith("(") and found.sql.endswith(")")
    one = duckdb.extract_statements(f"SELECT {found.sql}, 1 WHERE {found.sql} ORDER BY {found.sql} DESC")
    assert len(one) == 1


# What a person's text does to the store

OPTIONS = ("where", "add", "sort", "aggregate")


def ask(store, option, text):
    """The rows of a view with the text as one of its expressions."""
    value = (("x", text),) if option in {"add", "aggregate"} else (text,)
    build = partial(select.statement, store=store, view=TableView(("cnn@1",), **{option: value}))
    with suppress(duckdb.Error):  # which `answered` puts into words
        build(CON)
    with answered(build, rows) as (_, found):
        return list(found.rows)


FORMS = ("({})", "EXISTS ({})", "1 IN ({})", "1) ; {}; SELECT (1", "1\n)\n;{}--")


@pytest.mark.parametrize("option", OPTIONS)
def test_no_hostile_text_changes_or_reads_anything_but_the_tables(world, option, monkeypatch):
    """Each text as it is, and inside of something in one of the options: they share the way through the guard."""
    monkeypatch.chdir(world / "out")
    before = bytes_of(world)
    some = [text for text in HOSTILE if text.strip()][OPTIONS.index(option) :: len(OPTIONS)]
    for text in [*HOSTILE, *(FORMS[place % len(FORMS)].replace("{}", text) for place, text in enumerate(some))]:
        with pytest.raises(SecondguessError) as caught:
            ask(world / "store", option, filled(text, world))
        assert SECRET not in str(caught.value), text
        assert len(str(caught.value).splitlines()) == 1, text
    assert bytes_of(world) == before


@pytest.mark.parametrize("option", ["columns", "group", "key"])
def test_hostile_text_as_a_name_is_a_column_that_is_not_there(world, option):
    before = bytes_of(world)
    for text in [*(text for text in MORE[:-2:5] if len(text) < 1_000), *HOSTILE[::40]]:
        more = {"join": "inner"} if option == "key" else {}
        with pytest.raises(BadInput, match="column"):
            select.statement(
                CON, world / "store", TableView(("cnn@1", "cnn 2@1"), **more, **{option: (filled(text, world),)})
            )
    assert bytes_of(world) == before


def test_a_hostile_value_is_a_value(world):
    store = sg.connect(world / "store")
    for text in [*HOSTILE[::20], "'; COPY (SELECT 1) TO 'x.csv'; --", "a' OR 'a' = 'a", "\\' OR 1=1 --", "a\0b", "$x"]:
        if not text.isascii() or len(text) > 60_000:
            continue
        text = filled(text, world)
        assert store.table("cnn@1", only=[("id", text)]).fetchall() == []
        assert len(store.table("cnn@1", exclude=[("id", text)]).fetchall()) == 3


@pytest.mark.parametrize("option", ["--columns", "--group", "--sort", "--add", "--aggregate"])
def test_bytes_that_are_no_text_are_refused_in_one_line(world, option, capsys):
    with pytest.raises(SystemExit):
        main(["table", "cnn@1", option, "\udcff = 1", "--store", str(world / "store")])
    assert len(capsys.readouterr().err.splitlines()) == 1


# Columns of any name

NAMES = [
    *('a"b', "it's", "-x", "n", "order", "select", "a b", "두 값", "😀", "x,y", "x=y", "a.b", "--c", "*", "page", "t"),
    *("ranges", "filtered rows", "digests", "joined", "(x)", "1", "asc", "x desc", "$p", ";", "/*", "a\nb", "NULL"),
    *("É", "row"),
]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Two runs whose columns have these names, and values with their place and that of the row: 3-0, 3-1, 3-1."""
    path = tmp_path_factory.mktemp("named")
    columns = {name: [f"{place}-0", f"{place}-1", f"{place}-1"] for place, name in enumerate(NAMES)}
    for run in ("u", "v"):
        rows = [("a", 0, 0), ("b", 1, 0), ("c", 1, 1)]
        record(path, run, {1: rows}, columns=columns, content={name: f"text of {name}" for name in "abc"})
    return path


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_any_name_can_be_named_in_every_option(named, name, capsys):
    first, second = (f"{NAMES.index(name)}-{row}" for row in (0, 1))

    def found(*args):
        main(["table", *args, "--format", "json", "--store", str(named)])
        return [list(row.values()) for row in json.loads(capsys.readouterr().out)]

    own = quoted(name)
    how = ("--where", f"{own} LIKE '%-1'", "--sort", f"-{own}, -id", "--columns", f"{own}, id, content")
    assert found("u", *how) == [[second, "c", "text of c"], [second, "b", "text of b"]]
    assert found("u", "--group", own, "--columns", f"{own}, rows, id") == [[first, 1, ["a"]], [second, 2, ["b", "c"]]]
    how = ("--group", f"{own}, guess", "--aggregate", f"x = max({own})", "--sort", f"-{own}, -guess")
    grouped = found("u", *how, "--columns", f"guess, x, {own}")
    assert grouped == [[1, second, second], [0, second, second], [0, first, first]]
    added = found("u", "--only", name, second, "--add", f"x = {own} || '!'", "--columns", "id, x")
    assert added == [["b", f"{second}!"], ["c", f"{second}!"]]
    pairs = found("u", "v", "--join", "inner", "--key", own, "--allow-duplicates", "--columns", f"{own}, id_a, id_b")
    assert pairs == [[first, "a", "a"], *([second, left, right] for left in "bc" for right in "bc")]
    both = quoted(f"{name}_b")
    how = ("--join", "outer", "--where", f"{both} = '{first}'", "--columns", f"id, {both}")
    assert found("u", "v", *how) == [["a", first]]


@pytest.mark.parametrize("name", [name for name in NAMES if not set(name) & set('",')])
def test_a_name_that_has_no_comma_needs_no_quotes_as_a_column(named, name):
    first = f"{NAMES.index(name)}-0"
    store = sg.connect(named)
    assert store.table("u", columns=name, sort=name, limit=1).fetchall() == [(first,)]
    assert store.table("u", group=name, columns=name, limit=1).fetchall() == [(first,)]


@pytest.mark.parametrize("name", NAMES)
def test_a_computed_column_may_have_any_name_that_is_free(world, name):
    store = sg.connect(world / "store")
    how = {"add": {name: "guess + 7"}, "aggregate": {f"{name} 2": "max(id)"}}
    found = store.table("cnn@1", **how, group=[name], columns=[name, f"{name} 2"], sort=f"-{quoted(name)}").fetchall()
    assert found == [(8, "c"), (7, "b")]


def numbered(store, run, **columns):
    rows = [("a", 0, [0.75, 0.25]), ("b", 0, [0.25, 0.75])]
    record(store, run, {1: rows}, columns=columns, content={"a": "x", "b": "y"})
    return sg.connect(store)


@pytest.mark.parametrize("name", ["file_row_number", "file_row_numbers"])
def test_a_column_called_as_the_place_of_a_row_is_a_column(tmp_path, name):
    store = numbered(tmp_path, "u", **{name: [9, 8]})
    assert store.table("u").columns[-2:] == [name, "examples"]
    assert store.table("u", columns=[name], sort=name).fetchall() == [(8,), (9,)]
    assert store.table("u", group=[name], columns=[name]).fetchall() == [(8,), (9,)]
    assert store.table("u", "u", join="inner", columns=[f"{name}_a"]).fetchall() == [(9,), (8,)]


@pytest.mark.parametrize(("name", "values"), [("e", ["x", "y"]), ("place", [1, 2])])
def test_a_column_called_as_a_name_inside_our_sql_is_summarised(tmp_path, name, values):
    store = numbered(tmp_path, "u", **{name: values})
    (found,) = store.table("u", group="truth", columns=[name]).fetchall()
    other = numbered(tmp_path, "v", other=values).table("v", group="truth", columns="other").fetchall()
    assert (found,) == tuple(other)


@pytest.mark.parametrize("name", ["row in page", "examples file 0", "example 0"])
def test_a_column_called_as_one_inside_our_sql_can_be_shown_with_content(tmp_path, name):
    store = numbered(tmp_path, "u", **{name: ["2", "1"]})
    found = store.table("u", columns=["id", name, "content"]).fetchall()
    assert found == [("a", "2", "x"), ("b", "1", "y")]
