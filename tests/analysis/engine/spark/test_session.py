"""Spark answers as DuckDB does, on a standalone cluster; what it lacks is said at once, by name."""

import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recording import like_digits, record, record_prices, record_tags
from spark_cluster import cluster, on_cluster, same
from stores import told

import secondguess as sg
from secondguess.analysis.ask import questions, statements
from secondguess.analysis.commands.output import ran
from secondguess.analysis.engine import engines
from secondguess.analysis.engine.engines import Engine
from secondguess.analysis.engine.spark import session
from secondguess.analysis.engine.sqltext import read_parquet
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import BadInput, Damaged, MissingExtra, Refused, SecondguessError
from secondguess.analysis.evidence import several
from secondguess.analysis.tables import select
from secondguess.analysis.tables.spelling import spelled
from secondguess.trainer.recorder import Recorder

__all__ = ["cluster", "on_cluster"]
pytestmark = pytest.mark.timeout(
    900
)  # of a machine with other work, Spark takes minutes to plan what it does in seconds
NAN = float("nan")
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
NAMES = [("a", "cat", [0.9, 0.1]), ("b", "dog it's", [0.75, 0.25]), ("é", "cat", [0.1, 0.9]), ("d\\n", None, [1, 0])]
TRUTH = ["a", "b", "b", "a"]
STEPS = {(1, 750): "baaa", (1, 1500): "abbb", (2, 750): "bbbb", (3, None): "baab"}
# Runs that are asked about together; of a question about two tables at one epoch each, the first and the last.
GROUPS = {
    "digits": ("cnn", "double"),
    "tiny": ("ti ny#1 {x}*", "other"),
    "names": ("na=med", "again"),
    "steps": ("steps", "plain"),
}
OF_TASK: Mapping[str, tuple[str, str]] = {"multi-label": ("tags", "tags2"), "regression": ("price", "price2")}
# Besides the defaults.
OPTIONS: Mapping[str, list[dict[str, Any]]] = {
    "calibration": [{"by": "class", "bins": 4, "level": 0.9}],
    "reliability": [{"binning": "mass", "by": "class", "bins": 3}],
    "risk-coverage": [{"points": 7}],
    "classification": [{"k": 1, "level": 0.5}],
    "errors": [{"limit": 3}, {"where": "confidence > 0.5", "sort": ["-truth", "id"]}],
    "errors-by-guess": [{"ids": 1}],
    "ledger": [{"only": "fixed", "limit": 2}],
    "disagreements": [{"limit": 4}],
    "data-map": [{"bins": 3}],
    "errors-by-label": [{"ids": 1}],
    "residuals": [{"bins": 3}],
    "worst": [{"limit": 2}],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("spark") / "predictions"
    for seed, run in enumerate(GROUPS["digits"]):
        like_digits(store, run, seed)
    tiny, other = GROUPS["tiny"]
    texts = {name: f"text of {name}" for name in "abcdef"}
    record(store, tiny.replace("*", ""), {1: FIRST, 2: SECOND}, content=texts)
    record(store, other, {1: SECOND[:3], 3: FIRST[2:]}, content=texts)
    one, two = GROUPS["names"]
    record(store, one, {1: NAMES, 2: NAMES[::-1]}, classes=["cat", "dog it's"], columns={"a b": [1, None, 3, 4]})
    record(store, two, {1: NAMES[:2]}, classes=["dog it's", "cat"])
    steps, plain = GROUPS["steps"]
    recorder = Recorder(store, run=steps)
    for (epoch, step), guess in STEPS.items():
        with recorder.table("test_predictions", epoch=epoch, step=step) as table:
            table.add(ids=list("wxyz"), truth=TRUTH, guess=list(guess))
    recorder.close()
    record(store, plain, {1: list(zip("wxyz", TRUTH, "abba", strict=True))})
    return store


@pytest.fixture(scope="module")
def of_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of tables with several labels a row, and with numbers."""
    store = tmp_path_factory.mktemp("tasks") / "predictions"
    for run in OF_TASK["multi-label"]:
        record_tags(store, run)
    for run in OF_TASK["regression"]:
        record_prices(store, run)
    return store


def refs_of(group: str, asked: questions.Question) -> list[str]:
    one, other = (run.replace("*", "") for run in (GROUPS | OF_TASK)[group])
    if asked.tables == (2, 2):
        return [f"{one}@1", f"{one}@last"]
    return [one, other]


@pytest.mark.slow
@pytest.mark.parametrize("name", questions.names(Path("none")))
def test_a_question_is_answered_alike(store: Path, of_task: Path, on_cluster: Engine, name: str) -> None:
    asked = questions.find(store, name)
    is_other = "classification" not in asked.tasks
    groups = [task for task in asked.tasks if task in OF_TASK] if is_other else list(GROUPS)
    store = of_task if is_other else store
    if asked.not_spark:
        refs = [f"{ref}@last" for ref in refs_of(groups[0], asked)[:1]]
        build = partial(statements.question, store=store, asked=asked, refs=refs, given={})
        with pytest.raises(AssertionError, match=f"Spark cannot run {name}: .*ask DuckDB: --engine duckdb"):
            same(build, on_cluster)
        return
    found = []
    for group in groups:
        for given in [{}, *(OPTIONS.get(name, []) if group != "steps" else [])]:
            refs = refs_of(group, asked)
            found += same(partial(statements.question, store=store, asked=asked, refs=refs, given=given), on_cluster)
    assert found


VIEWS: list[dict[str, Any]] = [
    {"tables": "cnn@5"},
    {"tables": "cnn@5", "where": "wrong", "sort": "-confidence", "limit": 3, "offset": 2},
    {"tables": "cnn@5", "limit": 7, "offset": 190},
    {"tables": "cnn@5", "limit": 7, "offset": 500},
    {"tables": ("cnn@5", "double@4", "cnn@1"), "limit": 20, "offset": 195},
    {"tables": "cnn@5", "add": "margin = confidence - truth_score", "where": ["margin > 0", "guess IN (1, 2, 3)"]},
    {"tables": "cnn@5", "where": "confidence >= 0.5", "columns": "id,image,digest,score_3", "sort": "id", "limit": 4},
    {"tables": "cnn@5", "wandb_filter": 'row["guess"] != row["truth"] && row["confidence"] > 0.4'},
    {"tables": "cnn@5", "wandb_add": 'twice = row["confidence"] * 2', "limit": 5},
    {"tables": "cnn@5", "group": "truth", "aggregate": "right = avg(CASE WHEN wrong THEN 0 ELSE 1 END)"},
    {"tables": ("cnn@5", "double@5"), "group": "guess,run", "sort": "-n"},
    {"tables": "cnn@5", "group": "truth", "wandb_aggregate": 'mean = row["confidence"].avg'},
    {"tables": ("cnn@1", "cnn@5"), "join": "inner", "where": "guess_a <> guess_b", "limit": 9},
    {"tables": ("cnn@1", "double@5"), "join": "outer", "key": "digest", "limit": 9},
    {"tables": ("other@1", "other@3"), "join": "outer"},
    {"tables": ("na=med@1", "na=med@2"), "join": "inner"},
    {"tables": "na=med@2", "where": "truth = 'dog it''s' OR id LIKE '%\\%'", "columns": 'id,truth,"a b"'},
    {"tables": ("na=med", "cnn@5"), "where": "epoch = 2"},
    {"tables": "steps@all", "sort": "epoch,step,id"},
    {"tables": "ti ny#1 {x}@2", "columns": "id,content,truth"},
]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(VIEWS)))
def test_a_view_shows_the_same_rows_and_their_number(store: Path, on_cluster: Engine, number: int) -> None:
    build = partial(select.statement, store=store, view=spelled(VIEWS[number]))
    same(build, on_cluster, lambda engine: engine.page)


SELECTS = [
    'SELECT a.id, a.guess, b.guess FROM "cnn@1" a JOIN "cnn@5" b USING (id) WHERE a.guess <> b.guess ORDER BY a.id',
    "SELECT run, epoch, count(*) AS n FROM test_predictions GROUP BY ALL ORDER BY ALL",
    "SELECT * FROM runs ORDER BY run",
    "SELECT run, epoch, name, value FROM metrics ORDER BY run, epoch, name",
    "SELECT examples, id, digest FROM examples ORDER BY examples, id",
    'SELECT e.id, length(e.content) FROM examples e JOIN "other@1" o ON o.id = e.id ORDER BY ALL',
    'WITH x AS (SELECT *, row_number() OVER (PARTITION BY truth ORDER BY confidence DESC, id) AS k FROM "cnn@5") '
    "SELECT truth, id FROM x WHERE k <= 2 ORDER BY truth, k",
    'SELECT truth, list(id ORDER BY confidence DESC, id)[:3] AS ids FROM "cnn@5" GROUP BY truth ORDER BY truth',
    "SELECT 'it''s \\ ${x} $y :z ? `b` \"q\" é😀' AS t, '\n' AS n, chr(0) || 'x' AS c",
    'SELECT id, wrong, other_score, truth_rank, brier_score, scores FROM "cnn@3" ORDER BY id LIMIT 5',
    'SELECT id FROM "na=med@1" WHERE "a b" IS NULL',
]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SELECTS)))
def test_free_sql_gives_the_same(store: Path, on_cluster: Engine, number: int) -> None:
    assert same(partial(statements.sql, store=store, text=SELECTS[number]), on_cluster)


@pytest.mark.slow
def test_tables_are_compared_alike(store: Path, on_cluster: Engine) -> None:
    for tables in (("cnn@1", "cnn@5"), ("cnn@5", "double@5"), ("na=med@1", "na=med@2")):
        ours, theirs = (
            [one.as_dict() for one in several.compared(run, store, tables, by=None, level=0.95, floor=[])]
            for run in (ran, partial(ran, engine=on_cluster))
        )
        assert theirs == ours


@pytest.mark.slow
def test_in_python_answers_are_relations_as_ever(store: Path, cluster: str, on_cluster: Engine) -> None:
    ours, theirs = sg.connect(store), sg.connect(store, engine="spark", master=cluster)
    one, other = (each.ask("errors", "cnn@5") for each in (ours, theirs))
    assert (other.columns, other.types, other.fetchall()) == (one.columns, one.types, one.fetchall())
    view = theirs.table("cnn@5", where="wrong", columns="id", sort="id")
    assert view.fetchall() == ours.table("cnn@5", where="wrong", columns="id", sort="id").fetchall()
    assert theirs.compare("cnn@1", "cnn@5").as_dict() == ours.compare("cnn@1", "cnn@5").as_dict()


@pytest.mark.slow
def test_the_commands_say_the_same(store: Path, cluster: str, on_cluster: Engine, capsys: Any, tmp_path: Path) -> None:
    """The tutorial's three comparisons, a table, a comparison and SQL; files are written alike."""
    commands = [
        ("ask", "disagreements", "cnn@1", "cnn@5", "--limit", "4"),
        ("ask", "errors-over-time", "cnn", "double"),
        ("ask", "errors-by-guess", "double@5", "cnn@5", "--ids", "1"),
        ("table", "cnn@5", "--where", "wrong", "--limit", "3"),
        ("compare", "cnn@1", "cnn@5"),
        ("sql", 'SELECT count(*) AS n FROM "cnn@5" WHERE wrong'),
    ]
    for command in commands:
        ours = told(capsys, *command, "--store", str(store))
        theirs = told(capsys, *command, "--store", str(store), "--engine", "spark", "--master", cluster)
        assert theirs == ours
        assert theirs[2] == 0
    file = tmp_path / "errors.parquet"
    spark = ("--engine", "spark", "--master", cluster)
    assert told(capsys, "ask", "errors", "cnn@5", "--store", str(store), "-o", str(file), *spark)[2] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    {
        "SELECT * FROM parquet.`/etc/passwd`": "",
        'SELECT * FROM "parquet"."/etc/passwd"': "names a schema",
        "SELECT * FROM csv.`/etc/passwd`": "",
        'SELECT * FROM text."/etc/passwd"': "names a schema",
        "SELECT reflect('java.lang.System', 'getenv')": "reflect",
        "SELECT java_method('java.lang.System', 'getenv')": "java_method",
        "SELECT input_file_name()": "input_file_name",
        "SELECT TRANSFORM(id) USING 'cat' FROM \"cnn@5\"": "",
        "ADD JAR '/tmp/x.jar'": "",
        "SET x = 1": "only a SELECT",
        "LOAD 'x'": "only a SELECT",
        "SELECT * FROM read_files('/etc/passwd')": "is not allowed",
        'SELECT * FROM "sg_0"': "no relation named",
        'SELECT _metadata.file_path FROM "cnn@5"': "",
        "SELECT try_reflect('x', 'y')": "try_reflect",
        "SELECT secret('x', 'y')": "secret",
    }.items(),
)
def test_what_reaches_beyond_the_store_is_refused_on_both_engines(
    store: Path, on_cluster: Engine, text: str, said: str
) -> None:
    for engine in (engines.DUCKDB, on_cluster):
        with pytest.raises(SecondguessError) as raised:
            ran(partial(statements.sql, store=store, text=text), engine)
        assert said in str(raised.value)


@pytest.mark.slow
def test_hints_and_comments_do_not_reach_spark(store: Path, on_cluster: Engine) -> None:
    text = 'SELECT /*+ BROADCAST(x), REPARTITION(1) */ count(*) AS n -- ; SET x = 1\nFROM "cnn@5" /* */ x'
    assert same(partial(statements.sql, store=store, text=text), on_cluster) == [(200,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("select", "error", "said"),
    [
        ("sum(x)", Damaged, "a file is damaged: restore it"),
        ("count(*)", None, ""),
        ("CAST('x' AS INTEGER) + count(*)", Refused, "Spark: [CAST_INVALID_INPUT] The value 'x' of the type"),
        ("list(x)", Refused, "Spark cannot run a list without ORDER BY"),
    ],
)
def test_what_goes_wrong_on_spark_is_one_line(
    on_cluster: Engine, tmp_path: Path, select: str, error: type[Exception] | None, said: str
) -> None:
    """The file's footer is whole, its rows are not."""
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": list(range(1_000))}), file)
    data = file.read_bytes()
    footer = int.from_bytes(data[-8:-4], "little") + 8
    file.write_bytes(data[:4] + bytes(len(data) - 4 - footer) + data[-footer:])
    made = Statement("", f"SELECT {select} FROM {read_parquet([file])}", files=frozenset({file}))
    if error is None:
        assert ran(lambda con: made, on_cluster)[1] == [(1_000,)]
        return
    with pytest.raises(error) as raised:
        ran(lambda con: made, on_cluster)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_without_java_it_is_said_at_once(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(session, "_open", {})
    _, err, code = told(capsys, "ask", "errors", "cnn@5", "--store", str(tmp_path / "none"), "--engine", "spark")
    assert code == 1
    assert err == (
        "secondguess: --engine spark needs Java, and there is none on the PATH; install Java 17 or newer "
        "(apt-get install openjdk-17-jre-headless), or set JAVA_HOME to where it is\n"
    )


@pytest.mark.parametrize(
    ("says", "said"),
    {
        'openjdk version "11.0.2" 2019-01-15': "needs Java 17 or newer, and {java} is Java 11; install Java 17",
        'java version "1.8.0_202"': "needs Java 17 or newer, and {java} is Java 8; install Java 17",
        "nothing": "{java} does not say its version",
    }.items(),
)
def test_an_older_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, said: str) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(session, "_open", {})
    with pytest.raises(BadInput) as raised:
        engines.opened("spark")
    assert said.format(java=java) in str(raised.value)


@pytest.mark.parametrize("module", ["pyspark", "sqlglot"])
def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setattr(session, "find_spec", lambda name: None if name == module else name)
    with pytest.raises(MissingExtra, match=rf"{module}, which --engine spark needs, is not .*secondguess\[spark\]"):
        engines.opened("spark")


@pytest.mark.parametrize(
    ("name", "master", "said"),
    [
        ("duckdb", "local[2]", "is Spark's; add --engine spark"),
        ("spork", None, "there is no engine 'spork'; there are: duckdb, spark"),
        ("spark", "here", "--master 'here' is none; it is local"),
        ("spark", "local[2]; rm", "is none"),
    ],
)
def test_an_engine_or_a_master_that_is_none_is_named(name: str, master: str | None, said: str) -> None:
    with pytest.raises(BadInput, match=said.replace("[", r"\[")):
        engines.opened(name, master)


def test_a_master_that_is_not_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_open", {})
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Refused, match=rf"Spark's master is not to be reached \({place}: Connection refused\)"):
            engines.opened("spark", f"spark://{place}")


def test_asking_duckdb_loads_nothing_of_spark() -> None:
    code = "import sys\nfrom secondguess.analysis import cli\nfrom secondguess.analysis.commands import output\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print({{'pyspark', 'sqlglot', 'py4j'}} & set(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_lists_read_as_text_beside_classes_are_refused_by_name(on_cluster: Engine, tmp_path: Path) -> None:
    """As one table over all runs, of which some have lists of labels and some one label a row."""
    record_tags(tmp_path, "tags")
    record(tmp_path, "cnn", {1: FIRST})
    both = partial(statements.sql, store=tmp_path, text="SELECT count(*) AS n FROM test_predictions")
    with pytest.raises(AssertionError, match=r"Spark cannot run the function to_json .* ask DuckDB: --engine duckdb"):
        same(both, on_cluster)
