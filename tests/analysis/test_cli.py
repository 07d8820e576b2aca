"""The command: answers on stdout, everything else on stderr, one line for what went wrong."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import duckdb
import pytest
from recording import bytes_of, record

from secondguess.analysis.ask import questions
from secondguess.analysis.cli import cli, main

COMMAND = [sys.executable, "-m", "secondguess"]
ROWS = {
    1: [("a", 0, [0.75, 0.25]), ("b", 1, [0.875, 0.125]), ("c", 1, [0.75, 0.25])],
    2: [("a", 0, [1.0, 0.0]), ("b", 1, [0.25, 0.75]), ("c", 1, [0.5, 0.5])],
}
ERRORS = [("b", 0, 1, 0.875), ("c", 0, 1, 0.75)]  # of cnn@1


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "predictions"
    record(path, "cnn", ROWS)
    record(path, 'it\'s "run" 😀 2', {1: ROWS[1]})
    record(path, "many", {1: [(f"{index:04}", 0, 1) for index in range(1234)] + [("right", 1, 1)]})
    return path


@pytest.fixture
def run(store, capsys, monkeypatch):
    """Run a command in this process: run(*args) -> (exit code, stdout, stderr)."""
    monkeypatch.delenv("SECONDGUESS_STORE", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)

    def command(*args, at=store):
        code = 0
        try:
            main([*map(str, args), *(["--store", str(at)] if at is not None else [])])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def strict(text):
    """JSON as the standard has it: no NaN, no Infinity, no key twice."""

    def once(pairs):
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def refuse(word):
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=once)


def test_json_is_one_array_with_an_object_per_row(run):
    code, out, err = run("ask", "errors", "cnn@1", "--format", "json")
    assert (code, err) == (0, "")
    found = [(row["id"], row["guess"], row["truth"], row["confidence"]) for row in strict(out)]
    assert found == ERRORS
    assert out.startswith("[\n {") and out.endswith("}\n]\n")
    assert strict(run("ask", "errors", "cnn@1", "--limit", "0", "--format", "json")[1]) == []


def test_csv_has_a_head_and_a_line_per_row(run):
    code, out, err = run("ask", "errors", "cnn@1", "--format", "csv")
    assert (code, err) == (0, "")
    found = list(csv.DictReader(io.StringIO(out)))
    assert [(row["id"], int(row["guess"]), int(row["truth"]), float(row["confidence"])) for row in found] == ERRORS


def test_markdown_is_a_table(run):
    code, out, err = run(
        "sql", 'SELECT id, guess FROM "cnn@1" WHERE guess <> truth ORDER BY id', "--format", "markdown"
    )
    assert (code, err) == (0, "")
    assert out == "| id | guess |\n|---|--:|\n| b | 0 |\n| c | 0 |\n"


def test_a_table_shows_the_rows_and_says_on_stderr_how_many(run):
    code, out, err = run("ask", "errors", "cnn@1")
    assert (code, err) == (0, "2 rows\n")
    assert [line.split()[:4] for line in out.splitlines()[-2:]] == [
        ["b", "0", "1", "0.8750"],
        ["c", "0", "1", "0.7500"],
    ]
    assert run("ask", "errors", "cnn@1", "--limit", "1")[2] == "1 row\n"


@pytest.mark.parametrize(
    ("args", "shown", "said"),
    [
        ((), 50, "50 of 1,234 rows; --rows 1234 draws all, --format csv writes all\n"),
        (("--rows", "7"), 7, "7 of 1,234 rows; --rows 1234 draws all, --format csv writes all\n"),
        (("--rows", "1234"), 1234, "1,234 rows\n"),
        (("--rows", "5000"), 1234, "1,234 rows\n"),
    ],
)
def test_a_long_answer_says_how_much_of_it_is_shown(run, args, shown, said):
    code, out, err = run("ask", "errors", "many", *args)
    assert (code, err) == (0, said)
    assert sum(line[:4].isdigit() for line in out.splitlines()) == shown


def test_the_other_formats_are_never_cut(run):
    for form in ("json", "csv", "markdown"):
        assert run("ask", "errors", "many", "--format", form)[1].count("test") == 0
    assert len(strict(run("ask", "errors", "many", "--format", "json")[1])) == 1234
    assert len(run("ask", "errors", "many", "--format", "csv")[1].splitlines()) == 1235
    assert len(run("ask", "errors", "many", "--format", "markdown")[1].splitlines()) == 1236


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json", ".md", ".PARQUET"])
def test_a_file_gets_all_rows_in_the_format_of_its_suffix(run, tmp_path, suffix):
    file = tmp_path / f"out file 😀{suffix}"
    file.write_text("what was there")
    code, out, err = run("ask", "errors", "many", "-o", file)
    assert (code, out, err) == (0, "", f"wrote 1,234 rows to {file}\n")
    if suffix.lower() == ".parquet":
        assert duckdb.read_parquet(str(file)).aggregate("count(*), min(id)").fetchall() == [(1234, "0000")]
    elif suffix == ".json":
        assert len(strict(file.read_text())) == 1234
    else:
        assert len(file.read_text().splitlines()) == 1234 + (2 if suffix == ".md" else 1)
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_may_have_any_name_when_the_format_is_given(run, tmp_path):
    assert run("ask", "errors", "cnn@1", "-o", tmp_path / "x.txt", "--format", "json")[0] == 0
    assert len(strict((tmp_path / "x.txt").read_text())) == 2


def test_a_link_keeps_pointing_and_a_device_stays_a_device(run, tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert run("ask", "errors", "cnn@1", "-o", tmp_path / "link.csv")[0] == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert len((tmp_path / "real.csv").read_text().splitlines()) == 3
    assert run("ask", "errors", "cnn@1", "-o", "/dev/null", "--format", "csv")[0] == 0
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize(
    "place", ["x.csv", "cnn/x.parquet", "../predictions/x.json", "questions/new.csv", "link/x.csv"]
)
def test_nothing_is_written_into_the_store(run, store, tmp_path, monkeypatch, place):
    if place.startswith("link"):
        (tmp_path / "link").symlink_to(store)
        file = tmp_path / place
    else:
        file = store / place
    before = bytes_of(store)
    code, out, err = run("ask", "errors", "cnn", "-o", file)
    assert (code, out) == (1, "")
    assert err == (
        f"secondguess: {file} lies in the store, which only recording writes to; name a file outside {store}\n"
    )
    assert bytes_of(store) == before


def test_a_failed_answer_leaves_the_file_that_was_there(run, tmp_path):
    for suffix in ("csv", "json", "md", "parquet"):
        file = tmp_path / f"x.{suffix}"
        file.write_text("old")
        late = "SELECT CASE WHEN i = 5000 THEN error('late') ELSE i END AS i FROM range(9000) t(i)"
        code, out, err = run("sql", late, "-o", file)
        assert (code, out, err.splitlines()[-1]) == (1, "", "secondguess: Invalid Input Error: late")
        assert file.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 4


WRONG = [
    (("ask", "errors", "cmm"), 1, "no run named 'cmm'; the store has cnn, it's \"run\" 😀 2, many"),
    (("ask", "errors", "cnn@9"), 1, "cnn/test_predictions has no epoch 9; it has: 1, 2"),
    (("ask", "errors", "cnn@x"), 1, "'cnn@x': epoch 'x' is neither a number nor one of last, best, all"),
    (("ask", "errors", "cnn/t"), 1, "run 'cnn' has no table 't'; it has: test_predictions"),
    (("ask", "errors", "@"), 1, "'@' is not a table reference; write RUN, RUN@EPOCH or RUN/TABLE@EPOCH"),
    (("ask", "errors"), 1, "errors takes 1 or more table references, as in cnn@5; 0 given"),
    (("ask", "disagreements", "cnn"), 1, "disagreements takes 2 table references, as in cnn@5; 1 given"),
    (
        ("ask", "error", "cnn"),
        1,
        "no question named 'error'; there are: calibration, calibration-difference, classi",
    ),
    (("ask", "errors", "cnn", "--limit", "x"), 1, "limit 'x' is not of type int"),
    (("ask", "errors", "cnn", "--limit=-1"), 1, "Binder Error: LIMIT/OFFSET cannot be negative"),
    (("ask", "errors", "cnn", "--limt", "1"), 2, "No such option '--limt'. Did you mean '--limit'?"),
    (
        ("ask", "confusion", "cnn", "--limit", "1"),
        2,
        "No such option '--limit'. confusion takes: --sort, --where, --chart, ",
    ),
    (("ask", "errors", "cnn", "--format", "xml"), 2, "Invalid value for '--format': 'xml' is not one of 'table'"),
    (("ask", "errors", "cnn", "--rows", "0"), 2, "Invalid value for '--rows': 0 is not in the range x>=1"),
    (
        ("ask", "errors", "cnn", "-o", "x.txt"),
        1,
        "no format is known for 'x.txt'; use one of .json, .csv, .md, .parquet",
    ),
    (
        ("ask", "errors", "cnn", "-o", "x", "--format", "table"),
        1,
        "a table is for the terminal; give x one of the form",
    ),
    (("ask", "errors", "cnn", "-o", "no/x.csv"), 1, "cannot write no/x.csv: No such file or directory"),
    (("ask", "errors", "cnn", "-o", "no/x.parquet"), 1, "cannot write no/x.parquet: No such file or directory"),
    (("ask", "errors", "cnn", "-o", "."), 2, "Invalid value for '-o' / '--output': File '.' is a directory."),
    (("ask", "errors", "cnn", "-o", "x" * 300 + ".csv"), 1, ".csv: File name too long"),
    (("sql", "SELECT 1; SELECT 2"), 1, "exactly one SELECT is run at a time, these are 2; run them one by one"),
    (("sql", "COPY (SELECT 1) TO 'x.csv'"), 1, "only a SELECT is run here"),
    (("sql", ""), 1, "the SQL is empty; write a SELECT"),
    (("sql", "SELECT 1 +"), 1, "syntax error"),
    (("sql", "FROM nothing"), 1, "no relation named 'nothing'; the tables are: test_predictions; the runs, as in FROM"),
    (("sql", "SELECT gess FROM cnn"), 1, 'Binder Error: Referenced column "gess" not found in FROM clause!'),
    (("sql", "SELECT error('first')"), 1, "Invalid Input Error: first"),
    (("sql", "SELECT $x"), 1, "the SQL has the parameter $x, which nothing fills; write its value"),
    (("sql", "SELECT \udcff"), 1, "the SQL is not valid Unicode text"),
    (("sql", "SELECT interval 1 day AS i", "-o", "x.parquet"), 1, "the answer cannot be written as Parquet"),
    (("sql",), 2, "give a SELECT, or --duckdb FILE"),
    (("sql", "SELECT 1", "SELECT 2"), 2, "Got unexpected extra argument"),
    (("nothing",), 2, "No such command 'nothing'. There are: demo, train, import, "),
    (("runs", "cnn"), 2, "Got unexpected extra argument"),
]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    WRONG,
    ids=lambda value: " ".join(value)[:60].encode("ascii", "replace").decode() if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("form", [(), ("--format", "json")])
def test_what_is_wrong_is_one_line_on_stderr_and_nothing_on_stdout(
    run, store, tmp_path, monkeypatch, args, code, words, form
):
    monkeypatch.chdir(tmp_path)
    before = bytes_of(store)
    options = form if "--format" not in args and args[0] != "nothing" and "-o" not in args else ()
    found = run(*args, *options, at=None if args == ("nothing",) else store)
    assert found[:2] == (code, "")
    lines = found[2].splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("secondguess: ")
    assert words in lines[0]
    assert list(tmp_path.iterdir()) == []
    assert bytes_of(store) == before


def test_every_command_takes_the_store_in_the_same_way(monkeypatch):
    monkeypatch.setenv("SECONDGUESS_STORE", "elsewhere")
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    del commands["demo"]  # which makes a store of its own
    options = {name: [each for each in command.params if each.name == "store"] for name, command in commands.items()}
    said = {name: [(each.opts, each.help, each.metavar) for each in found] for name, found in options.items()}
    (told,) = {str(each) for each in said.values()}
    assert "Where the runs lie: a folder, or s3://BUCKET/FOLDER [default: predictions, or $SECONDGUESS_STORE]." in told
    assert {each.get_default(context) for found in options.values() for each in found} == {Path("elsewhere")}


def test_a_store_that_is_not_there_is_named(run, tmp_path):
    (tmp_path / "file").write_text("")
    for at in (tmp_path / "none", tmp_path / "file"):
        for args in (("runs",), ("ask", "errors", "cnn"), ("sql", "SELECT 1")):
            code, out, err = run(*args, at=at)
            assert (code, out) == (1, "")
            assert err.startswith("secondguess: ") and str(at) in err and len(err.splitlines()) == 1


def test_an_empty_store_is_answered(run, tmp_path):
    code, out, err = run("runs", at=tmp_path)
    assert (code, out.split()[:2], err) == (0, ["run", "state"], "0 rows\n")
    assert strict(run("runs", "--format", "json", at=tmp_path)[1]) == []
    code, out, err = run("ask", "errors", "cnn", at=tmp_path)
    assert (code, out, err) == (1, "", "secondguess: no run named 'cnn'; the store has no runs yet\n")
    assert run("sql", "SELECT 1 AS one", "--format", "csv", at=tmp_path)[1] == "one\n1\n"


def test_a_record_that_cannot_be_read_is_named_and_the_rest_is_answered(run, tmp_path):
    record(tmp_path, "cnn", ROWS, finish=False)
    damaged = tmp_path / "cnn" / "commits" / "test_predictions" / "00002.json"
    damaged.write_text('{"format": 1, "epochs": [')
    code, out, err = run("sql", "SELECT DISTINCT epoch FROM cnn", "--format", "csv", at=tmp_path)
    assert (code, out) == (0, "epoch\n1\n")
    assert str(damaged) in err and "restore it from a copy or delete it" in err
    code, out, err = run("ask", "errors", "cnn@2", at=tmp_path)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "has no epoch 2; it has: 1; record " in err and str(damaged) in err
    damaged.write_text('{"format": 99}')
    assert "has format 99, this secondguess reads up to 2: upgrade it" in run("runs", at=tmp_path)[2]
    (tmp_path / "cnn" / "run.json").write_text(
        '{"format": 1, "name": "cnn", "created": "yesterday", "origin": {"a": 1}}'
    )
    (row,) = strict(run("runs", "--format", "json", at=tmp_path)[1])
    assert (row["run"], row["created"], row["epochs"]) == ("cnn", None, [1])


def test_a_run_of_any_name_can_be_asked_about(run):
    name = 'it\'s "run" 😀 2'
    found = strict(run("ask", "errors", f"{name}@1", "--format", "json")[1])
    assert [(row["run"], row["id"]) for row in found] == [(name, "b"), (name, "c")]
    quoted = name.replace('"', '""')
    assert strict(run("sql", f'SELECT count(*) AS n FROM "{quoted}@last"', "--format", "json")[1]) == [{"n": 3}]


def test_the_runs_are_listed_with_their_errors_per_epoch(run):
    found = strict(run("runs", "--format", "json")[1])
    assert [(row["run"], row["state"], row["table"], row["epochs"], row["rows"], row["errors"]) for row in found] == [
        ("cnn", "finished", "test_predictions", [1, 2], 6, [2, 1]),
        ('it\'s "run" 😀 2', "finished", "test_predictions", [1], 3, [2]),
        ("many", "finished", "test_predictions", [1], 1235, [1234]),
    ]


VALUES = """
SELECT 'NaN'::DOUBLE AS nan, '-inf'::FLOAT AS inf, NULL AS nothing, 9223372036854775807 AS big,
  9007199254740992 AS exact,
  1.50::DECIMAL(5, 2) AS money, DATE '9999-12-31' AS day, TIMESTAMP '2026-02-28 23:59:58.5' AS moment,
  TIME '10:00' AS time,
  '\\x00\\xFF'::BLOB AS bytes, [1, NULL, 3] AS list, {'a': 'x', 'b': [1.5, 'NaN'::DOUBLE]} AS record,
  MAP {1: 'one'} AS map,
  true AS yes, INTERVAL 36 HOUR AS span, '00000000-0000-0000-0000-000000000001'::UUID AS uuid, 'é"\n,|\t😀' AS text
"""


def test_every_type_is_strict_json_with_its_exact_value(run):
    (row,) = strict(run("sql", VALUES, "--format", "json")[1])
    assert row == {
        **{"nan": "nan", "inf": "-inf", "nothing": None, "big": "9223372036854775807", "exact": 9007199254740992},
        **{"money": "1.50", "day": "9999-12-31", "moment": "2026-02-28T23:59:58.500000", "time": "10:00:00"},
        **{"bytes": "AP8=", "list": [1, None, 3], "record": {"a": "x", "b": [1.5, "nan"]}, "map": {"1": "one"}},
        **{"yes": True, "span": "1 day, 12:00:00", "uuid": "00000000-0000-0000-0000-000000000001"},
        "text": 'é"\n,|\t😀',
    }


ENDLESS = "SELECT DATE 'infinity' AS day, TIMESTAMP '-infinity' AS moment, INTERVAL '14 months' AS span"


@pytest.mark.parametrize("form", ["json", "csv", "markdown", "table"])
def test_what_python_has_no_like_of_is_text_in_every_medium(run, form):
    """Python's last day is no infinity, and 14 months are not 420 days."""
    said = run("sql", ENDLESS, "--format", form)[1]
    assert [word for word in ("infinity", "-infinity", "1 year 2 months") if word not in said] == []
    assert [word for word in ("9999", "0001", "420") if word in said] == []


def test_every_type_is_one_csv_field(run):
    (row,) = csv.DictReader(io.StringIO(run("sql", VALUES, "--format", "csv")[1]))
    assert (row["nan"], row["nothing"], row["big"], row["money"]) == ("nan", "", "9223372036854775807", "1.50")
    assert (row["list"], row["map"], row["bytes"]) == ("[1, null, 3]", '{"1": "one"}', "AP8=")
    assert row["text"] == 'é"\n,|\t😀'


def test_every_type_is_one_line_of_markdown_and_of_the_terminal(run):
    head, _, line = run("sql", VALUES, "--format", "markdown")[1].splitlines()
    assert head.count("|") == 18
    assert 'é"<br>,\\|\\\\t😀' in line  # a backslash and a t, when it is drawn
    code, out, err = run("sql", VALUES, "--rows", "1")
    assert code == 0
    assert "\t" not in out
    assert "\\n,|\\t😀" in out or "text" in err


def test_columns_of_the_same_name_are_all_there(run):
    (row,) = strict(run("sql", "SELECT 1 AS id, 2 AS id, 3 AS ID", "--format", "json")[1])
    assert list(row.values()) == [1, 2, 3]


def test_control_characters_reach_no_terminal(run):
    out = run("sql", "SELECT chr(27) || '[2J' || chr(7) || chr(8238) || 'x' AS \"a\x1b[31m\", '[bold]:smile:[/]' AS b")[
        1
    ]
    assert "\x1b" not in out and "\x07" not in out and "\u202e" not in out
    assert "\\x1b[2J\\x07\\u202ex" in out
    assert "[bold]:smile:[/]" in out


def test_the_questions_are_listed_with_their_help(run, store, tmp_path):
    code, out, err = run("ask", at=None)
    assert (code, err) == (0, "")
    names = [line.split()[0] for line in out.splitlines()]
    assert names == questions.names(store)
    assert "errors                  Wrong guesses, most confident first" in out.splitlines()


@pytest.fixture
def own(tmp_path):
    """A store with a question of its own, and one that is none."""
    record(tmp_path, "cnn", ROWS)
    (tmp_path / "questions").mkdir()
    (tmp_path / "questions" / "sure.sql").write_text(
        "-- Sure of it\n-- tables: 1..2\n-- $at_least float = 0.8  how sure\n"
        "SELECT id FROM predictions WHERE confidence >= $at_least ORDER BY id"
    )
    (tmp_path / "questions" / "broken.sql").write_text("-- Broken\n-- tables: many\nSELECT 1")
    return tmp_path


def test_the_questions_are_listed_for_a_program(run, own):
    code, out, err = run("ask", "--format", "json", at=own)
    assert (code, err) == (0, "")
    told = {question["name"]: question for question in strict(out)}
    assert told["sure"] == {
        "name": "sure",
        "help": "Sure of it",
        "about": "",
        "tables": [1, 2],
        "epochs": "last",
        "truth": True,
        "tasks": ["classification", "multi-label"],
        "not_spark": None,
        "options": [{"name": "at_least", "type": "float", "choices": [], "default": 0.8, "help": "how sure"}],
    }
    assert (
        told["broken"]["fault"] == "question 'broken': tables is 'many', not a number or a range such as 1..2 or 1..n"
    )
    assert (told["errors"]["help"], told["errors"]["tables"]) == ("Wrong guesses, most confident first", [1, None])
    assert run("ask", "--format", "json", "errors", "cnn", at=None)[2].endswith("write ask errors … --format json\n")


def test_a_question_of_the_stores_own_is_a_command_with_help(run, own):
    for args in (("ask", "sure", "cnn@1", "--at-least", "0.8"), ("ask", "sure", "cnn@1")):
        assert run(*args, "--format", "csv", at=own) == (0, "id\nb\n", "")
    assert run("ask", "--store", own, "sure", "cnn@1", "--format", "csv", at=None) == (0, "id\nb\n", "")
    code, out, _ = run("ask", "sure", "--help", at=own)
    assert code == 0
    assert "Sure of it" in out and "[TABLE]" in out and "--at-least FLOAT" in out and "how sure [default: 0.8]" in out


def test_an_option_may_be_called_what_it_likes_but_for_what_every_command_has(run, own):
    names = ["file", "form", "tables", "given", "run", "option", "self", "class", "a_b", "question"]
    header = "".join(f"-- ${name} int = 1\n" for name in names)
    values = ", ".join(f"${name} AS {name}_" for name in names)
    (own / "questions" / "named.sql").write_text(f"-- Names\n{header}SELECT {values} ORDER BY 1")
    given = [word for place, name in enumerate(names) for word in (f"--{name.replace('_', '-')}", place)]
    (row,) = strict(run("ask", "named", "cnn", *given, "--format", "json", at=own)[1])
    assert list(row.values()) == list(range(len(names)))


def test_a_broken_question_of_the_stores_own_spoils_neither_the_list_nor_the_others(run, own):
    code, out, err = run("ask", at=own)
    assert (code, err) == (0, "")
    assert "sure                    Sure of it" in out.splitlines()
    assert "broken                  Cannot be asked: question 'broken': tables is 'many', not a number" in out
    assert run("ask", "errors", "cnn@1", "--format", "csv", at=own)[0] == 0
    code, out, err = run("ask", "broken", "cnn", at=own)
    assert (code, out) == (1, "")
    assert err.startswith("secondguess: question 'broken': tables is 'many'")
    assert run("ask", "--help", at=own)[0] == 0


def test_the_store_is_the_one_named_else_the_environments_else_the_usual_folder(run, store, tmp_path, monkeypatch):
    record(tmp_path / "predictions", "here", {1: ROWS[1]})
    record(tmp_path / "other", "other", {1: ROWS[1]})

    def names(*args):
        return [row["run"] for row in strict(run("runs", "--format", "json", *args, at=None)[1])]

    monkeypatch.chdir(tmp_path)
    assert names() == ["here"]
    monkeypatch.setenv("SECONDGUESS_STORE", str(tmp_path / "other"))
    assert names() == ["other"]
    assert names("--store", str(store))[0] == "cnn"
    assert run("ask", "errors", "other", "--format", "csv", at=None)[0] == 0
    assert run("ask", "--store", store, "errors", "cnn", "--format", "csv", at=None)[0] == 0
    monkeypatch.setenv("SECONDGUESS_STORE", "")
    assert names() == ["here"]


@pytest.mark.parametrize(
    "args",
    [(), ("ask",), ("runs",), ("sql",), ("train",), *((("ask", name)) for name in questions.names(Path("none")))],
)
def test_every_command_has_help(run, args):
    code, out, err = run(*args, "--help", at=None)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: secondguess")
    assert max(len(line) for line in out.splitlines()) <= 80
    assert run(*args, "-h", at=None)[1] == out


def test_the_command_alone_shows_its_help(run):
    code, out, err = run(at=None)
    assert (code, err) == (0, "")
    assert out == run("--help", at=None)[1]
    for name in ("train", "runs", "ask", "sql"):
        assert f"\n  {name} " in out


def test_the_version_is_said(run):
    assert run("--version", at=None)[1].split() == ["secondguess", "0.1.0"]


@pytest.mark.parametrize("missing", ["torch", "secondguess.trainer.command"])
def test_a_missing_extra_is_named_in_one_line_and_the_help_still_works(missing):
    script = (
        f"import sys; sys.modules[{missing!r}] = None; from secondguess.analysis.cli import main; main(sys.argv[1:])"
    )
    found = subprocess.run([sys.executable, "-c", script, "train"], capture_output=True, text=True)
    assert (found.returncode, found.stdout, len(found.stderr.splitlines())) == (1, "", 1)
    assert "is not installed; install it with: pip install 'secondguess[train]'" in found.stderr
    if missing == "torch":
        found = subprocess.run([sys.executable, "-c", script, "--help"], capture_output=True, text=True)
        assert (found.returncode, found.stderr) == (0, "")


def process(*args, **options):
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "SECONDGUESS_STORE")}
    environment.update(options.pop("env", {}))
    return subprocess.run(args, capture_output=True, env=environment, **options)


def test_the_installed_command_and_the_module_are_the_same(store):
    for command in (COMMAND, [str(Path(sys.executable).with_name("secondguess"))]):
        found = process(*command, "ask", "errors", "cnn@1", "--store", store, "--format", "csv", text=True)
        assert (found.returncode, found.stderr) == (0, "")
        assert len(found.stdout.splitlines()) == 3


@pytest.mark.parametrize("form", ["csv", "json", "markdown", "table"])
def test_a_reader_that_has_seen_enough_is_no_error(store, form):
    command = " ".join([*COMMAND, "sql", "'SELECT * FROM range(50000)'", "--store", f"'{store}'", "--rows 50000"])
    found = process("bash", "-c", f"{command} --format {form} | head -1", text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert len(found.stdout.splitlines()) == 1


def test_a_terminal_of_another_encoding_still_gets_utf_8(store):
    found = process(
        *COMMAND, "sql", "SELECT chr(44032) || chr(233) AS x", "--store", store, "--format", "csv",
        env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert (found.returncode, found.stderr, found.stdout) == (0, b"", "x\n가é\n".encode())


def test_asking_imports_only_what_it_needs(store):
    script = (
        "import sys; from secondguess.analysis.cli import main; main(sys.argv[1:]); "
        "heavy = {'torch', 'wandb', 'pandas', 'pyarrow', 'scipy', 'altair', 'numpy'}; "
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    found = process(
        sys.executable, "-c", script, "ask", "errors", "cnn@1", "--store", store, "--format", "csv", text=True
    )
    assert (found.returncode, found.stderr) == (0, "[]\n")
