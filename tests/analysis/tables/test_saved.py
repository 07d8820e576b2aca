"""A saved view is one small file that a person can read, and gives back the very view that was saved."""

import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from killing import killed_at_random
from recording import bytes_of, record

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import AlreadyThere, BadInput, Damaged, NotFound
from secondguess.analysis.tables import saved
from secondguess.analysis.tables.view import TableView

# Every field with a value of its own; the texts are nasty.
FULL = TableView(
    tables=("cnn@1", "실행 😀/train@best"),
    join="outer",
    key=("id", 'a"b'),
    allow_duplicates=True,
    at=3,
    exact=True,
    add=(("gap = 1", "confidence - truth_score"), ("b", "'it''s; --'")),
    where=("guess <> truth", "id = 'a\nb\t\\ \u2028'"),
    wandb_add=(("w", 'row["x"] + 1'),),
    wandb_filter=('row["guess"] != row["truth"]',),
    group=("guess", "x,y"),
    aggregate=(("sure", "avg(confidence)"),),
    wandb_aggregate=(("m", 'row["x"].avg'),),
    sort=("-n", "gap"),
    columns=("guess", "두 값"),
    limit=0,
    offset=7,
)
DEFAULTS = TableView(("cnn",))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made")
    rows = [("a", 0, [0.75, 0.25]), ("b", 1, [0.875, 0.125]), ("c", 1, [0.25, 0.75])]
    record(path, "cnn", {1: rows, 2: rows[:2]}, content={"a": "x", "b": "y", "c": "z"})
    return path


@pytest.fixture
def store(made):
    """The store without the views that other tests left in it."""
    for path in (made / "views").glob("*"):
        path.unlink()
    return made


@pytest.fixture
def run(store, capsys):
    """Run a command in this process: run(*args) -> (exit code, stdout, stderr)."""

    def command(*args):
        code = 0
        try:
            main([*args, "--store", str(store)])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def listed(run, *args):
    """The rows of `secondguess table` as lists."""
    code, out, err = run("table", *args, "--format", "json")
    assert code == 0, err
    return [list(row.values()) for row in json.loads(out)]


# The value


def test_every_field_goes_there_and_back_through_plain_values():
    assert all(getattr(FULL, field.name) != field.default for field in fields(TableView))
    found = FULL.as_dict()
    assert list(found) == [field.name for field in fields(TableView)]
    assert TableView.from_dict(json.loads(json.dumps(found))) == FULL


@pytest.mark.parametrize("name", [field.name for field in fields(TableView) if field.name not in {"tables", "exact"}])
def test_each_field_goes_there_and_back_by_itself(name):
    needed = {"join": "outer"} if name in {"key", "allow_duplicates"} else {}
    view = replace(DEFAULTS, **needed, **{name: getattr(FULL, name)})
    assert set(view.as_dict()) == {"tables", name, *needed}
    assert TableView.from_dict(view.as_dict()) == view


def test_what_is_not_said_is_not_written():
    assert DEFAULTS.as_dict() == {"tables": ["cnn"]}
    assert TableView.from_dict({"tables": ["cnn"]}) == DEFAULTS
    assert TableView.from_dict({"tables": ["cnn"], "columns": None, "limit": None, "join": None}) == DEFAULTS


# The file


def test_a_file_has_a_line_per_thing_that_was_said_and_reads_as_it_was_typed(store):
    path = saved.save(store, "wrong guesses", TableView(("cnn@1",), where=("guess <> '고양이'",), limit=5))
    assert path == store / "views" / "wrong guesses.json"
    assert path.read_text(encoding="utf-8").splitlines() == [
        *("{", '  "tables": [', '    "cnn@1"', "  ],"),
        *('  "where": [', "    \"guess <> '고양이'\"", "  ],", '  "limit": 5,'),
        *('  "sha256": "96ddbb671fa3677f2bc3b7703d262cb0873b2856fc9d2ee158901155d6aa6f80"', "}"),
    ]


def test_one_more_filter_is_one_more_line(store):
    import difflib

    view = TableView(("cnn@1",), where=("guess <> truth",), sort=("-n",))
    texts = []
    for found in (view, view.only("guess", 3)):
        texts.append(saved.save(store, "v", found, overwrite=True).read_text().splitlines())
    changed = [line[1:].strip() for line in difflib.ndiff(*texts) if line.startswith("+ ")]
    assert changed[:-1] == ['"guess <> truth",', '"\\"guess\\" IS NOT DISTINCT FROM 3"']
    assert changed[-1].startswith('"sha256": ')


def test_a_view_that_was_changed_by_hand_is_not_shown_until_that_is_settled(store, run):
    """A filter that is lost would show all rows."""
    view = TableView(("cnn@1",), where=("guess <> truth",))
    path = saved.save(store, "v", view)
    said = json.loads(path.read_text())
    del said["where"]
    path.write_text(json.dumps(said))
    code, out, err = run("table", "--saved", "v")
    assert (code, out) == (1, "")
    assert f"{path} was edited by hand since it was saved, or is damaged" in err
    del said["sha256"]
    path.write_text(json.dumps(said))
    assert saved.load(store, "v") == replace(view, where=())
    saved.save(store, "v", view, overwrite=True)
    assert saved.load(store, "v") == view


@pytest.mark.parametrize("name", ["v", "실행 😀", "it's", 'say "hi"', "a.b", "x.json", ".hidden", "a\\b", "v 2", "="])
def test_a_view_of_any_name_is_saved_and_found(store, name):
    saved.save(store, name, FULL)
    assert saved.load(store, name) == FULL
    assert saved.names(store) == [name]
    assert len(list((store / "views").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a/b", "view name 'a/b' contains '/'; / @ * ? and control characters are not allowed"),
        ("../x", "contains '/'"),
        ("a\nb", "contains"),
        ("", "a view name must not be empty"),
        (" ", "a view name must not be empty"),
        ("views", "view name 'views' is reserved"),
        ("x" * 250, "is longer than 200 bytes as a folder name"),
        ("\udcff", "is not valid Unicode text"),
    ],
)
def test_a_name_that_cannot_be_a_file_everywhere_is_refused(store, name, said):
    before = bytes_of(store)
    for call in (lambda: saved.save(store, name, DEFAULTS), lambda: saved.load(store, name)):
        with pytest.raises(BadInput) as caught:
            call()
        assert said in str(caught.value)
    assert bytes_of(store) == before


def test_a_view_is_replaced_only_when_asked(store):
    saved.save(store, "v", DEFAULTS)
    with pytest.raises(AlreadyThere, match=r"^view 'v' exists already; choose another name, or --overwrite it$"):
        saved.save(store, "v", FULL)
    assert saved.load(store, "v") == DEFAULTS
    saved.save(store, "v", FULL, overwrite=True)
    assert saved.load(store, "v") == FULL


def test_saving_leaves_no_other_file_and_touches_none(store):
    before = bytes_of(store)
    saved.save(store, "v", FULL)
    saved.save(store, "v", DEFAULTS, overwrite=True)
    after = bytes_of(store)
    assert after.pop("views/v.json")
    assert after == before


def test_an_unknown_view_is_said_with_those_there_are(store):
    with pytest.raises(NotFound, match=r"^no view named 'v'; the store has: none yet$"):
        saved.load(store, "v")
    saved.save(store, "one", DEFAULTS)
    saved.save(store, "two", DEFAULTS)
    with pytest.raises(NotFound, match=r"^no view named 'v'; the store has: one, two$"):
        saved.load(store, "v")


def test_a_folder_that_is_no_store_gets_no_view(tmp_path):
    with pytest.raises(NotFound):
        saved.save(tmp_path / "nosuch", "v", DEFAULTS)
    assert not (tmp_path / "nosuch").exists()


BROKEN = {
    "": "Expecting value",
    "[]": "it is not an object",
    "null": "it is not an object",
    '"cnn"': "it is not an object",
    "{}": "a table view needs its tables",
    '{"tables": []}': "a table view needs a table; name one, as in cnn@5",
    '{"tables": "cnn"}': 'a table view cannot have "cnn" as its tables',
    '{"tables": ["cnn"], "nope": 1}': "a table view has no 'nope'; it has: add, aggregate, allow_",
    '{"tables": ["cnn"], "limit": true}': "a table view cannot have true as its limit",
    '{"tables": ["cnn"], "limit": "3"}': 'a table view cannot have "3" as its limit',
    '{"tables": ["cnn"], "limit": 1.5}': "a table view cannot have 1.5 as its limit",
    '{"tables": ["cnn"], "limit": NaN}': "a table view cannot have NaN as its limit",
    '{"tables": ["cnn"], "limit": -1}': "limit and offset are numbers of rows, so not below 0",
    '{"tables": ["cnn"], "offset": null}': "a table view cannot have null as its offset",
    '{"tables": ["cnn"], "exact": 1}': "a table view cannot have 1 as its exact",
    '{"tables": ["cnn"], "exact": true}': "exact needs an epoch to be at",
    '{"tables": ["cnn"], "join": "left"}': "join is 'left', not one of inner, outer",
    '{"tables": ["cnn"], "key": ["x"]}': "a key is for a join",
    '{"tables": ["cnn"], "join": "inner", "key": []}': "a join needs a key",
    '{"tables": ["cnn"], "sort": [1]}': "a table view cannot have [1] as its sort",
    '{"tables": ["cnn"], "sort": "n"}': 'a table view cannot have "n" as its sort',
    '{"tables": ["cnn"], "where": {"a": "b"}}': 'a table view cannot have {"a": "b"} as its where',
    '{"tables": ["cnn"], "add": {"x": 1}}': 'a table view cannot have {"x": 1} as its add',
    '{"tables": ["cnn"], "add": ["x = 1"]}': 'a table view cannot have ["x = 1"] as its add',
    '{"tables": ["cnn"], "columns": ["id", "ID"]}': "columns: 'id' stands there twice",
    '{"tables": ["cnn"]': "Expecting",
    '{"tables": ["cnn"]} x': "Extra data",
    "[" * 100_000: "maximum recursion depth exceeded",
    '{"tables": ["cnn"], "at": 1' + "0" * 5_000 + "}": "",
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:60])
def test_a_file_that_is_no_view_is_named_in_one_line_with_what_is_wrong(store, run, text):
    (store / "views").mkdir(exist_ok=True)
    path = store / "views" / "broken.json"
    path.write_text(text)
    with pytest.raises(Damaged) as caught:
        saved.load(store, "broken")
    assert str(caught.value).startswith(f"{path} is not a saved view: ")
    assert BROKEN[text] in str(caught.value)
    code, out, err = run("table", "--saved", "broken")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith("secondguess: ")


def test_a_file_that_is_no_text_is_no_view(store, run):
    (store / "views").mkdir(exist_ok=True)
    (store / "views" / "broken.json").write_bytes(b"\xff\xfe\x00")
    code, _, err = run("table", "--saved", "broken")
    assert code == 1 and len(err.splitlines()) == 1
    assert "broken.json is not a saved view" in err


def test_a_view_with_hostile_sql_in_its_file_is_guarded_like_what_is_typed(store, run):
    (store / "views").mkdir(exist_ok=True)
    before = bytes_of(store)
    for field, value in {
        "where": ["true) UNION ALL SELECT (1"],
        "sort": ["1; COPY (SELECT 1) TO 'x.csv'"],
        "add": {"x": "(SELECT content FROM read_text('/etc/passwd'))"},
        "aggregate": {"x": "getenv('HOME')"},
        "columns": ["id FROM read_text('/etc/passwd') --"],
    }.items():
        (store / "views" / "v.json").write_text(json.dumps({"tables": ["cnn"], field: value}))
        code, out, err = run("table", "--saved", "v", "--format", "csv")
        assert (code, out, len(err.splitlines())) == (1, "", 1), field
    (store / "views" / "v.json").unlink()
    assert bytes_of(store) == before


def test_a_file_that_an_editor_marked_as_utf8_is_read(store):
    (store / "views").mkdir(exist_ok=True)
    (store / "views" / "v.json").write_text('\ufeff{"tables": ["cnn"]}', encoding="utf-8")
    assert saved.load(store, "v") == DEFAULTS


def test_a_field_that_stands_there_twice_is_said(store):
    (store / "views").mkdir(exist_ok=True)
    (store / "views" / "v.json").write_text('{"tables": ["cnn"], "limit": 1, "limit": 2}')
    with pytest.raises(Damaged, match="limit"):
        saved.load(store, "v")


# The commands


def test_a_view_that_was_saved_shows_what_it_showed(store, run):
    how = (
        "cnn@1",
        "--where",
        "guess <> truth OR id = 'a'",
        "--group",
        "guess",
        "--sort",
        "-n",
        "--columns",
        "guess, n",
    )
    code, out, err = run("save", "v", *how)
    assert (code, out, err) == (0, f"saved in {store / 'views' / 'v.json'}\n", "")
    assert listed(run, "--saved", "v") == listed(run, *how) == [[0, 2]]
    assert run("table", "--saved", "v")[1].split() == ["guess", "n", "────────", "0", "2"]


def test_every_option_that_makes_a_view_is_saved(store, run):
    joined = ["cnn", "cnn@1", "--join", "outer", "--key", "id, guess", "--allow-duplicates"]
    rows = ["--add", "x = 1 -- one", "--where", "x = 1", "--only", "id", "it's", "--exclude", "id", "b"]
    groups = ["--group", 'guess_a, "id"', "--aggregate", "k = sum(x)", "--sort", "-n, k", "--columns", "n, k"]
    assert run("save", "v", *joined, *rows, *groups, "--limit", "3")[0] == 0
    assert saved.load(store, "v") == TableView(
        tables=("cnn", "cnn@1"),
        join="outer",
        key=("id", "guess"),
        allow_duplicates=True,
        add=(("x", "1 -- one"),),
        where=("x = 1", "\"id\" IS NOT DISTINCT FROM 'it''s'", "\"id\" IS DISTINCT FROM 'b'"),
        group=("guess_a", "id"),
        aggregate=(("k", "sum(x)"),),
        sort=("-n", "k"),
        columns=("n", "k"),
        limit=3,
    )
    assert run("save", "at", "cnn", "--at", "2", "--exact", "--offset", "2")[0] == 0
    assert saved.load(store, "at") == TableView(("cnn",), at=2, exact=True, offset=2)


@pytest.mark.parametrize("option", ["--only", "--exclude"])
def test_the_page_of_only_some_rows_can_be_chosen(run, option):
    value = {"--only": "0", "--exclude": "1"}[option]
    how = ("cnn@1", option, "guess", value, "--columns", "id", "--limit", "1", "--offset", "1")
    assert listed(run, *how) == [["b"]]


def test_a_view_that_cannot_be_shown_is_not_saved(store, run):
    for how in (("nosuch",), ("cnn@9",), ("cnn", "--where", "nosuch = 1"), ("cnn", "--columns", "nosuch"), ()):
        code, out, err = run("save", "v", *how)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert saved.names(store) == []


def test_saving_again_needs_to_be_asked_for(store, run):
    assert run("save", "v", "cnn@1")[0] == 0
    code, _, err = run("save", "v", "cnn@2")
    assert (code, err) == (1, "secondguess: view 'v' exists already; choose another name, or --overwrite it\n")
    assert run("save", "v", "cnn@2", "--overwrite")[0] == 0
    assert saved.load(store, "v").tables == ("cnn@2",)


@pytest.fixture
def saved_views(run):
    """A view v: the wrong guesses of cnn@1 by guess, and a join j on the digest."""
    assert run("save", "v", "cnn@1", "--where", "guess <> truth", "--columns", "id, guess", "--limit", "5")[0] == 0
    assert run("save", "g", "cnn@1", "--group", "guess", "--sort", "-n", "--columns", "guess, n")[0] == 0
    assert run("save", "j", "cnn@1", "cnn@2", "--join", "outer", "--key", "digest", "--columns", "id_a, id_b")[0] == 0


@pytest.mark.usefixtures("saved_views")
def test_other_options_change_a_saved_view_and_filters_add_to_its_own(run):
    assert listed(run, "--saved", "v") == [["b", 0]]
    assert listed(run, "--saved", "v", "--where", "id = 'c'") == []
    assert listed(run, "--saved", "v", "--only", "guess", "0") == [["b", 0]]
    assert listed(run, "--saved", "v", "cnn@2") == [["b", 0]]
    assert listed(run, "--saved", "v", "--columns", "id") == [["b"]]
    assert listed(run, "--saved", "g", "--sort", "n", "--limit", "1") == [[1, 1]]
    assert listed(run, "--saved", "j", "--join", "inner") == [["a", "a"], ["b", "b"]]
    assert listed(run, "--saved", "j") == [["a", "a"], ["b", "b"], ["c", None]]


@pytest.mark.usefixtures("saved_views")
def test_a_saved_view_can_be_opened_in_python(store):
    found = sg.connect(store).table(saved="g", where="guess = 0").fetchall()
    assert found == [(0, 2)]


@pytest.mark.usefixtures("saved_views")
def test_a_saved_join_can_be_stacked(run):
    assert listed(run, "--saved", "j", "--stack", "--columns", "id") == [["a"], ["b"], ["c"], ["a"], ["b"]]


@pytest.mark.usefixtures("saved_views")
def test_a_saved_page_can_be_changed_to_0(run):
    assert listed(run, "--saved", "v", "--limit", "0") == []
    assert run("save", "second page", "cnn@1", "--columns", "id", "--offset", "1")[0] == 0
    assert listed(run, "--saved", "second page", "--offset", "0") == [["a"], ["b"], ["c"]]


@pytest.mark.usefixtures("saved_views")
def test_a_saved_group_sort_or_choice_of_columns_can_be_taken_away(run):
    found = listed(run, "--saved", "g", "--group", "", "--sort", "", "--columns", "id")
    assert found == [["a"], ["b"], ["c"]]


@pytest.mark.usefixtures("saved_views")
def test_a_computed_column_adds_to_those_of_a_saved_view(run):
    assert run("save", "c", "cnn@1", "--add", "x = 1", "--columns", "id, x", "--limit", "1")[0] == 0
    assert listed(run, "--saved", "c", "--add", "y = x + 1", "--columns", "x, y") == [[1, 2]]


@pytest.mark.usefixtures("saved_views")
def test_one_more_filter_goes_to_the_first_page(run):
    assert run("save", "second page", "cnn@1", "--columns", "id", "--limit", "1", "--offset", "1")[0] == 0
    assert listed(run, "--saved", "second page", "--where", "id = 'c'") == [["c"]]


@pytest.mark.usefixtures("saved_views")
def test_a_view_of_a_run_that_is_gone_says_what_there_is(store, run):
    saved.save(store, "gone", TableView(("nosuch@3",)))
    assert run("table", "--saved", "gone") == (1, "", "secondguess: no run named 'nosuch'; the store has cnn\n")


def save_over(store: Path) -> None:
    saved.save(store, "v", DEFAULTS, overwrite=True)


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_a_kill_while_a_view_is_saved_over_leaves_the_old_one_or_the_new(tmp_path: Path, rounds: int) -> None:
    template = tmp_path / "store"
    template.mkdir()
    saved.save(template, "v", FULL)

    def prepare(number: int) -> tuple[Callable[..., None], tuple[Any, ...]]:
        return save_over, (Path(shutil.copytree(template, tmp_path / str(number))),)

    def check(number: int, done: bool) -> str:
        view = saved.load(tmp_path / str(number), "v")
        assert view == DEFAULTS or (view == FULL and not done)
        saved.save(tmp_path / str(number), "w", FULL)
        assert [path.name for path in (tmp_path / str(number)).rglob("*") if path.is_file()] == ["v.json", "w.json"]
        return "old" if view == FULL else "new"

    assert killed_at_random(rounds, 5, prepare, check).total() == rounds
