"""`secondguess table`: rows on stdout, their number and what joins did on stderr, one line for what went wrong."""

import csv
import io
import json
import shlex
from functools import partial

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from recording import bytes_of, record
from stores import epoch, writer

from secondguess.analysis.answers.files import jsonable
from secondguess.analysis.cli import main
from secondguess.analysis.engine import duck
from secondguess.analysis.tables import select
from secondguess.analysis.tables.view import TableView
from secondguess.trainer.recorder import Recorder

# id, truth, scores. By hand: a right, b and c wrong, d unlabelled, e wrong; in the second epoch b is right.
FIRST = [
    ("a", 0, [0.75, 0.25]),
    ("b", 1, [0.875, 0.125]),
    ("c", 1, [0.625, 0.375]),
    ("d", None, [0.5, 0.5]),
    ("e", 0, [0.375, 0.625]),
]
SECOND = [*FIRST[:1], ("b", 1, [0.25, 0.75]), *FIRST[2:]]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "predictions"
    texts = {name: f"text of {name}" for name in "abcde"}
    days = [f"2026-02-0{day}" for day in range(1, 6)]
    record(path, "cnn", {1: FIRST, 2: SECOND}, content=texts, columns={'it\'s "day"': days})
    record(path, "double", {1: FIRST[:2], 3: FIRST[2:4]}, content=texts)
    record(path, "many", {1: [(f"{place:04}", 0, place % 3) for place in range(1_234)]})
    record(path, "names", {1: [("a", "cat", "dog"), ("b", "dog", "dog")]})
    record(path, "no truth", {1: [("a", None, 7), ("b", None, 8)]}, labelled=False)
    return path


@pytest.fixture
def run(made, capsys, monkeypatch):
    """Run a command in this process: run(*args) -> (exit code, stdout, stderr)."""
    monkeypatch.delenv("SECONDGUESS_STORE", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)

    def command(*args, at=made, name="table"):
        code = 0
        try:
            main([name, "--store", str(at), *map(str, args)])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def listed(run, *args, **how):
    """The rows, as lists."""
    code, out, err = run(*args, "--format", "json", **how)
    assert code == 0, err
    return [list(row.values()) for row in json.loads(out)]


# On the terminal


def test_a_table_is_drawn_with_what_is_the_same_in_all_rows_above_it(run):
    code, out, err = run("cnn@1", "--where", "guess <> truth", "--sort", "-confidence", "--columns", "run, id, guess")
    assert (code, err.splitlines()[-1]) == (0, "3 rows")
    assert out.splitlines() == ["run cnn", "id  guess", "─────────", "b       0", "c       0", "e       1"]


@pytest.mark.parametrize(
    ("args", "first", "rows", "said"),
    [
        ((), "0000", 50, "rows 1 to 50 of 1,234; --offset 50 shows what follows"),
        (("--limit", "3"), "0000", 3, "rows 1 to 3 of 1,234; --offset 3 shows what follows"),
        (("--limit", "50", "--offset", "100"), "0100", 50, "rows 101 to 150 of 1,234; --offset 150 shows what follows"),
        (("--offset", "1230"), "1230", 4, "rows 1,231 to 1,234 of 1,234"),
        (("--limit", "2000"), "0000", 1_234, "1,234 rows"),
        (("--offset", "5000"), None, 0, "no rows after the first 5,000; there are 1,234"),
        (("--where", "guess = 1", "--limit", "1"), "0001", 1, "rows 1 to 1 of 411; --offset 1 shows what follows"),
        (("--where", "guess = 9"), None, 0, "0 rows"),
        (("--sort", "-id", "--limit", "1"), "1233", 1, "rows 1 to 1 of 1,234; --offset 1 shows what follows"),
    ],
)
def test_a_page_says_which_rows_of_how_many_it_shows(run, args, first, rows, said):
    code, out, err = run("many", "--columns", "id", *args)
    assert (code, err) == (0, f"{said}\n")
    ids = [line for line in out.splitlines() if line.isdigit()]
    assert (len(ids), ids[0] if ids else None) == (rows, first)


def test_a_limit_of_0_shows_no_rows_and_says_how_many_there_are(run):
    code, out, err = run("many", "--limit", "0", "--format", "csv", "--columns", "id")
    assert (code, out) == (0, "id\n")
    assert "1,234" in err


def test_a_page_of_groups_counts_groups(run):
    code, _, err = run("many", "--group", "guess", "--columns", "guess, n", "--limit", "2")
    assert (code, err) == (0, "rows 1 to 2 of 3; --offset 2 shows what follows\n")


def test_the_sides_of_a_join_are_drawn_below_each_other(run):
    how = ("--join", "inner", "--where", "guess_a <> guess_b", "--columns", "id, guess_a, guess_b")
    code, out, err = run("cnn@1", "cnn@2", *how)
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines == [["id", "table", "guess"], ["────────────────"], ["b", "cnn@1", "0"], ["cnn@2", "1"]]
    report = "5 matched, 0 only in cnn@1, 0 only in cnn@2, 0 with another truth; same examples"
    assert err.splitlines()[-2:] == [f"joined cnn@1 with cnn@2 on id: {report}", "1 row"]


def test_what_is_to_be_known_of_a_table_is_said_once(run):
    err = run("cnn@1", "cnn@1", "--join", "inner", "--columns", "id")[2]
    assert err.count("1 of 5 rows are unlabelled") == 1


# Written


def test_the_other_formats_are_never_cut_unless_a_limit_says_so(run):
    assert len(listed(run, "many")) == 1_234
    assert len(run("many", "--format", "csv", "--columns", "id")[1].splitlines()) == 1_235
    assert len(run("many", "--format", "markdown", "--columns", "id")[1].splitlines()) == 1_236
    code, out, err = run("many", "--format", "csv", "--columns", "id", "--limit", "2", "--offset", "7")
    assert (code, out) == (0, "id\n0007\n0008\n")
    assert err == "rows 8 to 9 of 1,234; --offset 9 shows what follows\n"


@pytest.mark.parametrize("suffix", [".csv", ".json", ".md", ".parquet"])
def test_what_is_shown_is_what_is_written(run, tmp_path, suffix):
    file = tmp_path / f"out{suffix}"
    how = ("cnn@1", "--where", "guess <> truth", "--sort", "-confidence", "--columns", "id, truth", "--limit", "2")
    code, out, err = run(*how, "-o", file)
    assert (code, out) == (0, "")
    assert err.splitlines()[-1].startswith("wrote 2 rows")
    if suffix == ".parquet":
        found = [list(row) for row in duckdb.read_parquet(str(file)).fetchall()]
    elif suffix == ".json":
        found = [list(row.values()) for row in json.loads(file.read_text())]
    elif suffix == ".csv":
        found = [[row["id"], int(row["truth"])] for row in csv.DictReader(io.StringIO(file.read_text()))]
    else:
        cells = [line.split("|")[1:-1] for line in file.read_text().splitlines()[2:]]
        found = [[name.strip(), int(truth)] for name, truth in cells]
    assert found == [["b", 1], ["c", 1]]


def test_a_file_with_a_part_of_the_rows_is_said_to_be_a_part(run, tmp_path):
    assert "1,234" in run("many", "--limit", "2", "-o", tmp_path / "x.csv")[2]


# The SQL

SHOWN = [
    "cnn@1",
    "cnn double",
    "cnn@all --sort '-confidence, epoch'",
    "cnn double --at 1 --columns 'run, id'",
    "cnn@1 --where 'guess <> truth -- a comment' --sort -truth --limit 2 --offset 1",
    """cnn@1 --only 'it'"'"'s "day"' 2026-02-02""",
    'cnn@1 --exclude id "it\'s; --"',
    "cnn@1 --where 'id IN (SELECT id FROM double)' --sort -id",
    "cnn@1 --add 'gap = confidence - truth_score' --add 'twice = gap * 2' --sort -twice --limit 3",
    "cnn@1 --group guess",
    "cnn@1 cnn@2 --group 'guess, truth' --sort -n --limit 3",
    "cnn@1 --group guess --aggregate 'sd = stddev_pop(confidence)' --aggregate 'top = arg_max(id, confidence)'",
    "cnn@1 --aggregate 'accuracy = avg((guess = truth)::INT)'",
    "cnn@1 cnn@2 --join outer",
    "cnn@1 double@1 double@3 --join outer --sort -score_0_a --columns 'id, score_0_a, guess_c'",
    "cnn@1 double@1 --join inner --key digest --columns 'digest, id_a, id_b'",
    "cnn@1 cnn@2 --join inner --key guess --allow-duplicates --columns 'guess, id_a, id_b'",
    "cnn@1 --columns 'id, content, digest' --sort -id --limit 2",
    "cnn@1 --group digest --columns 'n, content'",
    "cnn@1 --where 'digest IS NOT NULL' --columns content",
    "names --group guess",
    "'no truth'",
]


def statement(text):
    """The SQL on stderr, without what is said of the page behind it."""
    return text[: text.index("\n);\n") + 4]


@pytest.mark.parametrize("args", SHOWN)
def test_the_sql_that_is_shown_gives_the_same_rows_in_the_same_order_in_any_session(run, made, args):
    before = bytes_of(made)
    code, out, err = run(*shlex.split(args), "--show-sql", "--format", "json")
    assert code == 0, err
    with duckdb.connect() as session:
        found = session.execute(statement(err))
        names = [column[0] for column in found.description]
        rows = [{name: jsonable(value) for name, value in zip(names, row, strict=True)} for row in found.fetchall()]
    assert rows == json.loads(out)
    assert rows
    assert [one.type for one in duckdb.extract_statements(statement(err))] == [duckdb.StatementType.SELECT]
    assert bytes_of(made) == before


def test_all_of_stderr_can_be_pasted_what_is_said_of_the_page_too(run):
    err = run("cnn@1", "--limit", "2", "--show-sql", "--format", "json")[2]
    with duckdb.connect() as session:
        assert len(session.execute(err).fetchall()) == 2


def test_all_of_stderr_can_be_pasted_where_a_file_is_written(run, tmp_path):
    for name in ("rows.csv", "rows.parquet"):
        err = run("cnn@1", "--limit", "2", "--show-sql", "-o", tmp_path / name)[2]
        with duckdb.connect() as session:
            assert len(session.execute(err).fetchall()) == 2


def test_pages_of_equal_rows_are_the_same_every_time(run):
    how = ("many", "--sort", "guess", "--columns", "id", "--limit", "40", "--offset", "400")
    # By hand: 412 rows have guess 0; the last 12 of them, then the first 28 of guess 1, as they were recorded.
    expected = [[f"{place:04}"] for place in (*range(1_200, 1_234, 3), *range(1, 85, 3))]
    assert all(listed(run, *how) == expected for _ in range(3))


# What joins did


IMAGES = np.arange(12, dtype=np.uint8)[:, None, None] * np.full((1, 2, 2), 20, np.uint8)
NAMED = [f"image {place:02}" for place in range(12)]
TRUTH = [place % 3 for place in range(12)]


def recorded(store, name, order, *, size=5, ids=NAMED, truth=TRUTH, guess=1, images=IMAGES, batched=False):
    """A run over these of the images, in batches of a size; batched ids are `place in the batch_batch`."""
    with Recorder(store, run=name, wandb="off") as recorder, recorder.table("test_predictions", epoch=1) as table:
        for number, start in enumerate(range(0, len(order), size)):
            places = list(order)[start : start + size]
            table.add(
                ids=[f"{at}_{number}" for at in range(len(places))] if batched else [ids[place] for place in places],
                images=images[places],
                truth=[truth[place] for place in places],
                guess=[(place * guess) % 5 for place in places],
                index=places,
            )


def changed(values, **others):
    """A copy with other values at some places: changed(TRUTH, p3=2)."""
    return [others.get(f"p{place}", value) for place, value in enumerate(values)]


def counts(matched, **others):
    """A whole report of `base` joined with `other` on id; the counts that are not named are 0."""
    names = {"left": "base@1", "right": "other@1", "key": "id", "matched": matched}
    zeros = ("only_left", "only_right", "duplicates_left", "duplicates_right", "nulls_left", "nulls_right")
    rest = {"truths_differ": 0, "same_examples": True, "by_position": False}
    return {**names, **dict.fromkeys(zeros, 0), **rest, **others}


MUTATIONS = {
    "nothing": ({"order": range(12)}, counts(12, by_position=True)),
    "another batch size": ({"order": range(12), "size": 7}, counts(12, by_position=True)),
    "shuffled": ({"order": [7, 2, 9, 4, 0, 11, 5, 1, 8, 3, 10, 6]}, counts(12)),
    "relabelled": (
        {"order": range(12), "truth": changed(TRUTH, p1=0, p5=0, p11=1)},
        counts(12, truths_differ=3, by_position=True),
    ),
    "unlabelled": ({"order": range(12), "truth": changed(TRUTH, p1=None, p2=None)}, counts(12, by_position=True)),
    "dropped": ({"order": range(4, 12)}, counts(8, only_left=4, same_examples=False)),
    "the last one dropped": ({"order": range(11)}, counts(11, only_left=1, same_examples=False)),
    "shuffled, dropped, relabelled": (
        {"order": [9, 8, 3, 2, 1, 0, 11], "truth": changed(TRUTH, p0=2, p4=2, p9=2)},
        counts(7, only_left=5, truths_differ=2, same_examples=False),
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_changed_table_is_reported_with_the_exact_counts(run, tmp_path, mutation):
    how, expected = MUTATIONS[mutation]
    recorded(tmp_path / "store", "base", range(12))
    recorded(tmp_path / "store", "other", guess=2, **how)
    report = tmp_path / "report.json"
    for join, rows in (("inner", expected["matched"]), ("outer", 12)):
        args = ("base", "other", "--join", join, "--columns", "id, index_a, index_b, guess_a, guess_b")
        code, out, err = run(*args, "--format", "json", "--report", report, at=tmp_path / "store")
        assert code == 0, err
        assert json.loads(report.read_text()) == [expected]
        found = [list(row.values()) for row in json.loads(out)]
        assert len(found) == rows
        # Both sides are the same image wherever both are there, and each has its own guess.
        assert all(a == b for _, a, b, _, _ in found if None not in (a, b))
        assert all(guess == a % 5 for _, a, _, guess, _ in found if a is not None)
        assert all(guess == b * 2 % 5 for _, _, b, _, guess in found if b is not None)
    said = f"{expected['matched']} matched, {expected['only_left']} only in base@1, 0 only in other@1"
    assert f"{said}, {expected['truths_differ']} with another truth" in err


def test_examples_that_are_there_twice_are_reported_on_the_digest_and_multiply_nothing_unasked(run, tmp_path):
    store, report = tmp_path / "store", tmp_path / "report.json"
    recorded(store, "base", range(12))
    images = np.concatenate([IMAGES, IMAGES[[3, 3, 7]]])
    ids = [*NAMED, "again", "once more", "seven"]
    recorded(store, "other", range(15), ids=ids, images=images, truth=[*TRUTH, 0, 0, 1])
    args = ("base", "other", "--join", "inner", "--format", "json", "--columns", "id_a, index_a, index_b")
    assert run("base", "other", "--join", "inner", "--columns", "id", "--report", report, at=store)[0] == 0
    assert json.loads(report.read_text()) == [counts(12, only_right=3, same_examples=False)]
    code, out, err = run(*args, "--key", "digest", at=store)
    assert (code, out) == (1, "")
    assert err == (
        "secondguess: other@1 has 3 rows with a repeated key (digest), so the join would multiply rows; "
        "name another key, or allow it with --allow-duplicates\n"
    )
    code, out, _ = run(*args, "--key", "digest", "--allow-duplicates", "--report", report, at=store)
    pairs = [tuple(row.values())[1:] for row in json.loads(out)]
    assert sorted(pairs) == sorted([*((place, place) for place in range(12)), (3, 12), (3, 13), (7, 14)])
    assert json.loads(report.read_text()) == [counts(12, key="digest", duplicates_right=3)]


def test_ids_made_from_batches_are_refused_with_the_exact_count_and_the_digest_finds_the_same_examples(run, tmp_path):
    store = tmp_path / "store"
    recorded(store, "base", range(12), batched=True, size=4)
    recorded(store, "other", [*range(6, 12), *range(6)], batched=True, size=5)
    # By hand, brute force: the ids of both that stand for another image.
    ids = [
        {f"{at}_{number}": place for number, batch in enumerate(batches) for at, place in enumerate(batch)}
        for batches in (
            [range(0, 4), range(4, 8), range(8, 12)],
            [[6, 7, 8, 9, 10], [11, 0, 1, 2, 3], [4, 5]],
        )
    ]
    wrong = sum(ids[0][name] != ids[1][name] for name in ids[0].keys() & ids[1].keys())
    assert wrong == 10
    code, out, err = run("base", "other", "--join", "inner", at=store)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith(
        f"secondguess: {wrong} ids of base@1 mean other examples in other@1 (their content differs); "
    )
    assert "--join inner --key digest" in err
    found = listed(
        run, *("base", "other", "--join", "inner", "--key", "digest", "--columns", "index_a, index_b"), at=store
    )
    assert found == [[place, place] for place in range(12)]


@pytest.mark.parametrize("others", [2, 12])
def test_ids_that_mean_other_images_are_refused_with_how_many(run, tmp_path, others):
    store = tmp_path / "store"
    recorded(store, "base", range(12))
    images = IMAGES.copy()
    images[:others, 0, 0] = 255
    recorded(store, "other", range(12), images=images)
    code, _, err = run("base", "other", "--join", "outer", at=store)
    assert code == 1
    assert err.startswith(f"secondguess: {others} ids of base@1 mean other examples in other@1")
    code, out, _ = run("base", "other", "--join", "outer", "--key", "digest", "--format", "json", at=store)
    assert (code, len(json.loads(out))) == (0, 12 + others)


def test_one_id_is_one_id(run, tmp_path):
    record(tmp_path, "base", {1: [("a", 0, 0)]}, content={"a": "x"})
    record(tmp_path, "other", {1: [("a", 0, 0)]}, content={"a": "y"})
    assert (
        "secondguess: 1 id of base@1 means another example" in run("base", "other", "--join", "inner", at=tmp_path)[2]
    )


def test_repeated_and_missing_ids_are_counted(run, tmp_path):
    for name, ids in {"base": ["a", "a", "b", None], "other": ["a", "b", "b", "b", "c", None, None]}.items():
        open_run = writer(tmp_path / "store", name)
        open_run.commit(epoch(1, ids, run=name, truth=[0] * len(ids)))
        open_run.end()
        open_run.close()
    args = ("base", "other", "--join", "outer", "--columns", "id")
    code, out, err = run(*args, at=tmp_path / "store")
    assert (code, out) == (1, "")
    assert err == (
        "secondguess: base@1 has 1 rows with a repeated key; other@1 has 2 rows with a repeated key (id), so the join "
        "would multiply rows; name another key, or allow it with --allow-duplicates\n"
    )
    report = tmp_path / "report.json"
    code, out, err = run(*args, "--allow-duplicates", "--format", "json", "--report", report, at=tmp_path / "store")
    # By hand: a twice with one, b once with three, c and three rows without an id alone.
    assert [row["id"] for row in json.loads(out)] == ["a", "a", "b", "b", "b", None, "c", None, None]
    others = {"duplicates_left": 1, "duplicates_right": 2, "nulls_left": 1, "nulls_right": 2, "same_examples": None}
    assert json.loads(report.read_text()) == [counts(2, only_right=1, **others)]
    assert "1 with a repeated key in base@1, 1 without a key in base@1, 2 with a repeated key in other@1, 2 with" in err


def test_the_report_is_a_file_of_its_own_with_one_entry_per_further_table(run, tmp_path):
    report, file = tmp_path / "report.json", tmp_path / "rows.parquet"
    tables = ("cnn@1", "double@1", "cnn@2")
    assert run(*tables, "--join", "outer", "--report", report, "-o", file)[0] == 0
    found = json.loads(report.read_text())
    assert [(entry["left"], entry["right"], entry["matched"]) for entry in found] == [
        ("cnn@1", "double@1", 2),
        ("cnn@1", "cnn@2", 5),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "rows.parquet"]


def test_a_join_is_answered_in_little_memory_and_spills(made):
    def limit(*tables, **how):
        build = partial(select.statement, store=made, view=TableView(tables, **how))
        with duck.answered(build, lambda con, _: con.execute("SELECT current_setting('memory_limit')")) as (_, found):
            return found.fetchone()[0]

    assert limit("cnn@1", "cnn@2", join="outer") == "953.6 MiB"  # 1,000 MB
    with duckdb.connect() as session:
        usual = session.execute("SELECT current_setting('memory_limit')").fetchone()[0]
    assert limit("cnn@1", "cnn@2") == usual


def test_a_report_of_stacked_tables_is_empty(run, tmp_path):
    assert run("cnn", "double", "--report", tmp_path / "r.json", "--columns", "id")[0] == 0
    assert json.loads((tmp_path / "r.json").read_text()) == []


def test_the_report_and_the_rows_cannot_be_one_file(run, tmp_path):
    code, _, err = run("cnn@1", "cnn@2", "--join", "inner", "-o", tmp_path / "x.json", "--report", tmp_path / "x.json")
    assert (code, len(err.splitlines())) == (1, 1)


# What goes wrong


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "name a table, as in cnn@5, or a saved view"),
        (("nosuch",), "no run named 'nosuch'; the store has cnn, double, many, names, no truth"),
        (("cnn@9",), "cnn/test_predictions has no epoch 9; it has: 1, 2"),
        (("cnn/nosuch",), "run 'cnn' has no table 'nosuch'; it has: test_predictions"),
        (("cnn@first",), "epoch 'first' is neither a number nor one of last, best, all"),
        (("@1",), "'@1' is not a table reference"),
        (("no truth@best",), "no truth/test_predictions has no truth, so no epoch of it is best"),
        (("cnn", "cnn"), "cnn@2 is named twice; stacked, a table stands once"),
        (("cnn@all", "double", "--join", "inner"), "cnn is several epochs (1, 2); a join takes one, as in cnn@last"),
        (("cnn", "--join", "inner"), "2 to 25 tables can be joined, not 1"),
        (("cnn", "--stack", "--join", "inner"), "--stack puts tables under each other, --join side by side"),
        (("cnn", "--key", "guess"), "a key is for a join; name the join, inner or outer"),
        (("cnn", "--allow-duplicates"), "a key is for a join"),
        (("cnn", "--exact"), "exact needs an epoch to be at; name it, as in --at 3"),
        (("cnn@1", "--at", "1"), "cnn@1 names its epoch, and so does --at 1; leave one out"),
        (("cnn", "--at", "9", "--exact"), "nothing to show at epoch 9; left out cnn: no epoch 9; it has 1, 2"),
        (("cnn", "--columns", "nosuch"), "columns: there is no column 'nosuch'; there are: run, epoch, id, guess"),
        (("cnn", "--columns", "id,,guess"), "'id,,guess' has nothing between two commas"),
        (("cnn", "--group", "nosuch"), "group: there is no column 'nosuch'; there are: run, epoch"),
        (("cnn", "--add", "x"), "'x' is no computed column; write name = expression"),
        (("cnn", "--aggregate", ""), "'' is no computed column; write name = expression"),
        (("cnn", "--where", "a, b"), "in the filter 'a, b': this is more than one expression; write one value"),
        (("cnn", "--sort", "guess;; truth"), "in the sort 'guess;; truth': "),
        (("cnn", "--add", "x = guess AS y"), "in the column x 'guess AS y': this is more than one expression"),
        (("cnn", "--saved", "nosuch"), "no view named 'nosuch'; the store has: none yet"),
        (("cnn", "--format", "parquet"), "Parquet is no text; name a file for it, as in -o answer.parquet"),
        (("cnn", "-o", "x.nosuch"), "no format is known for 'x.nosuch'"),
        (("cnn", "-o", "/nonexistent/x.csv"), "cannot write /nonexistent/x.csv"),
        (("cnn", "--report", "/nonexistent/x.json"), "cannot write /nonexistent/x.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_shown_is_one_line_that_says_what_there_is(run, args, said):
    code, out, err = run(*args)
    assert (code, out) == (1, "")
    line = err.splitlines()[-1]
    assert line.startswith("secondguess: ") and said in line
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("cnn", "--limit", "-1"), "--limit"),
        (("cnn", "--limit", "x"), "--limit"),
        (("cnn", "--at", "1.5"), "--at"),
        (("cnn", "--join", "left"), "'left' is not one of 'inner', 'outer'"),
        (("cnn", "--only", "guess"), "--only"),
        (("cnn", "--nosuch"), "--nosuch"),
        (("cnn", "--columns"), "--columns"),
        (("cnn", "--format", "xml"), "--format"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(run, args, said):
    code, out, err = run(*args)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize("option", ["--columns", "--group", "--sort", "--key"])
def test_an_empty_text_is_not_everything(run, option):
    """What `--columns "$NAMES"` is where NAMES is not set."""
    tables = ("cnn@1", "cnn@2", "--join", "inner") if option == "--key" else ("cnn@1",)
    code, out, err = run(*tables, option, "")
    assert (code, out, len(err.splitlines())) == (1, "", 1)


def test_there_is_nothing_at_epoch_0(run):
    assert run("cnn", "--at", "0")[:2] == (1, "")


def test_a_store_that_is_not_there_is_said(run, tmp_path):
    code, out, err = run("cnn", at=tmp_path / "nosuch")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert str(tmp_path / "nosuch") in err


def test_writing_files_changes_no_byte_of_the_store(run, made, tmp_path):
    before = bytes_of(made)
    how = ("cnn@1", "cnn@2", "--join", "inner", "--report", tmp_path / "r.json")
    for file in ("x.csv", "x.parquet", "x.json"):
        assert run(*how, "-o", tmp_path / file)[0] == 0
    assert bytes_of(made) == before


HELP = "--stack --join --key --allow-duplicates --at --exact --add --where --only --exclude --group --aggregate --sort"
MORE = "--columns --limit --offset --saved --report --format -o --output --show-sql --store"


def test_the_help_names_every_option(run):
    code, out, _ = run("--help")
    assert code == 0
    assert [option for option in f"{HELP} {MORE}".split() if f"{option} " not in out and f"{option}," not in out] == []
    assert run("--help", name="save")[0] == 0


# A user's own questions


def test_a_users_question_is_asked_of_any_table(run, made):
    (made / "questions").mkdir(exist_ok=True)
    (made / "questions" / "guesses.sql").write_text(
        "-- How often each guess was made\n-- truth: optional\n-- $least int = 1  At least so often\n"
        "SELECT run, epoch, guess, count(*) AS n FROM predictions GROUP BY ALL HAVING count(*) >= $least "
        "ORDER BY run, epoch, guess\n"
    )
    (made / "questions" / "changed.sql").write_text(
        "-- What two tables say of an example\n-- tables: 2\n-- truth: optional\n"
        "SELECT id, guess_a, guess_b FROM joined WHERE guess_a IS DISTINCT FROM guess_b ORDER BY id\n"
    )
    try:
        assert listed(run, "guesses", "no truth", name="ask") == [["no truth", 1, 7, 1], ["no truth", 1, 8, 1]]
        assert listed(run, "guesses", "names", name="ask") == [["names", 1, "dog", 2]]
        assert listed(run, "guesses", "cnn@1", "--least", "4", name="ask") == [["cnn", 1, 0, 4]]
        assert listed(run, "changed", "cnn@1", "cnn@2", name="ask") == [["b", 0, 1]]
        assert "guesses" in run(name="ask")[1]
    finally:
        for path in (made / "questions").iterdir():
            path.unlink()
        (made / "questions").rmdir()


OPTIONS = [
    *(("--where", "guess <> truth"), ("--only", "guess", "0"), ("--add", "x = length(id)"), ("--sort", "-guess")),
    *(("--limit", "2"), ("--offset", "0"), ("--group", "truth"), ("--aggregate", "k = count(*)"), ("--stack",)),
    *(("--columns", "truth, guess"), ("--show-sql",)),
]


@pytest.mark.parametrize("without", range(len(OPTIONS)))
def test_options_go_together(run, without):
    args = [part for place, option in enumerate(OPTIONS) if place != without for part in option]
    code, out, err = run("cnn@1", *args, "--format", "csv")
    assert code == 0, err
    assert out.splitlines()[0] == "truth,guess" or without == OPTIONS.index(("--columns", "truth, guess"))


def test_images_in_a_parquet_file_are_hugging_faces(run, tmp_path):
    """As in the store's own files: `load_dataset("parquet", …)` decodes the column."""
    store, file = tmp_path / "predictions", tmp_path / "rows.parquet"
    recorded(store, "cnn", range(12))
    assert run("cnn", "--columns", "id,image", "-o", file, at=store)[0] == 0
    said = json.loads(pq.read_schema(file).metadata[b"huggingface"])
    assert said == {"info": {"features": {"image": {"_type": "Image"}}}}
    own = pq.read_schema(next((store / "examples").glob("*.parquet")))
    assert own.metadata[b"huggingface"] == pq.read_schema(file).metadata[b"huggingface"]
    assert own.field("image").type == pq.read_schema(file).field("image").type
    assert run("cnn", "--columns", "id", "-o", tmp_path / "ids.parquet", at=store)[0] == 0
    assert b"huggingface" not in (pq.read_schema(tmp_path / "ids.parquet").metadata or {})
