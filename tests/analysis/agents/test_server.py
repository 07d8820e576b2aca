"""Agents ask through the protocol's own client; what is wrong is said in a line, and nothing is written."""

import base64
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agents import MAIN, Agent, connected, parameters, workers
from mcp import MCPError
from PIL import Image
from recording import bytes_of
from s3_server import bucket_url, s3_process, s3_server
from waiting import HANG_S, SOON_S

from secondguess.analysis.cli import main
from secondguess.trainer.recorder import Recorder

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures
CLASSES = ["ant", "bee 🐝", "cat"]
FOREVER = "SELECT count(*) FROM range(1000000000000) a WHERE a.range % 7 = 3"
HUGE = "SELECT repeat('x', 3000000000) FROM range(500)"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs of six examples; b and d are taken for others in the first, d in the second."""
    store = tmp_path_factory.mktemp("agents") / "predictions"
    images = np.arange(6, dtype=np.uint8)[:, None, None] * np.full((1, 4, 4), 40, np.uint8)
    truth = [0, 1, 2, 0, 1, 2]
    with Recorder(store, run="cnn", classes=CLASSES, config={"lr": 0.1}) as recorder:
        for epoch, guess in ((1, [0, 2, 2, 1, 1, 2]), (2, [0, 1, 2, 1, 1, 2])):
            scores = np.full((6, 3), 0.1)
            scores[np.arange(6), guess] = 0.8
            with recorder.table("test_predictions", epoch=epoch) as table:
                table.add(ids=list("abcdef"), truth=truth, scores=scores, images=images)
    return store


@pytest.fixture(scope="module")
def agent(store: Path) -> Iterator[Agent]:
    before = bytes_of(store)
    with connected(parameters(store, "--seconds", "4", "--memory", "300MB")) as agent:
        yield agent
    assert bytes_of(store) == before


def test_each_tool_says_what_it_is_for_and_takes_and_that_it_only_reads(agent: Agent) -> None:
    tools = agent.do("list_tools").tools
    names = ["runs", "tables", "schema", "ask", "table", "sql", "compare", "example"]
    assert [tool.name for tool in tools] == names
    for tool in tools:
        assert tool.annotations.read_only_hint
        assert len(tool.description) > 40
        assert tool.input_schema["additionalProperties"] is False
        assert all(field.get("description") for field in tool.input_schema["properties"].values()), tool.name
    assert sum(len(tool.model_dump_json(exclude_none=True)) for tool in tools) < 16_000  # an agent reads all of it


def test_runs_and_tables_are_listed(agent: Agent) -> None:
    runs = agent.answer("runs")
    assert dict(zip(runs["columns"], runs["rows"][0], strict=True))["run"] == "cnn"
    one = agent.answer("runs", run="cnn")
    row = dict(zip(one["columns"], one["rows"][0], strict=True))
    assert (row["epochs"], row["errors"], json.loads(row["config"])) == (["1", "2"], [2, 1], {"lr": 0.1})
    assert agent.answer("tables", offset=1)["said"] == "no rows after the first 1; there are 1"
    tables = agent.answer("tables", run="cnn", limit=None)
    assert tables["rows"] == [["cnn", "test_predictions", "1", "2", 2, 6, 1, 1]]


def test_a_schema_has_columns_computed_ones_and_classes(agent: Agent) -> None:
    schema = agent.answer("schema", table="cnn@2")
    assert dict(zip(schema["columns"], schema["types"], strict=True))["confidence"] == "FLOAT"
    assert not [name for name in schema["columns"] if name.startswith("score_")]
    assert schema["classes"] == CLASSES
    assert {"wrong", "truth_rank"} <= schema["computed"].keys()
    assert "image" in agent.answer("schema", table="examples")["columns"]
    assert "computed" not in agent.answer("schema", table="runs")


def test_a_question_is_answered_and_what_was_cut_is_said(agent: Agent) -> None:
    errors = agent.answer("ask", question="errors", tables=["cnn@all"])
    assert errors["said"] == "3 rows"
    assert [row[errors["columns"].index("id")] for row in errors["rows"]] == ["b", "d", "d"]
    first = agent.answer("ask", question="errors", tables="cnn@all", limit=2)
    assert first["said"] == "2 of 3 rows; offset 2 shows what follows"
    assert first["rows"] == errors["rows"][:2]
    rest = agent.answer("ask", question="errors", tables=["cnn@all"], limit=2, offset=2)
    assert rest["said"] == "rows 3 to 3 of 3"
    assert rest["rows"] == errors["rows"][2:]
    assert agent.answer("ask", question="errors", tables=["cnn"], offset=5)["said"].startswith(
        "no rows after the first 5"
    )
    bees = agent.answer("ask", question="errors", tables=["cnn@all"], where=["truth = 'bee 🐝'"])
    assert [row[bees["columns"].index("guess")] for row in bees["rows"]] == ["cat"]
    assert bees["classes"] == {f"score_{index}": name for index, name in enumerate(CLASSES)}


def test_without_a_question_all_are_listed_with_their_options(agent: Agent) -> None:
    listed = {one["name"]: one for one in agent.answer("ask")["questions"]}
    assert listed["disagreements"]["tables"][0] == 2
    assert "bins" in {option["name"] for option in listed["reliability"]["options"]}
    assert agent.answer("ask", question="reliability", tables=["cnn"], options={"bins": 3})["rows"]


def test_a_table_view_is_filtered_grouped_and_joined(agent: Agent) -> None:
    wrong = agent.answer("table", tables=["cnn@1"], where=["wrong"], columns=["id", "guess", "image"], sort=["-id"])
    assert [row[:2] for row in wrong["rows"]] == [["d", "bee 🐝"], ["b", "cat"]]
    assert wrong["rows"][0][2].startswith("<image, ")
    usual = agent.answer("table", tables=["cnn@1"])["columns"]
    assert usual == ["id", "truth", "guess", "confidence", "truth_score", "score_0", "score_1", "score_2"]
    assert "image" not in agent.answer("table", tables=["cnn@1"], group=["truth"])["columns"]
    grouped = agent.answer("table", tables="cnn@1", group="truth", aggregate={"errors": "count(*) FILTER (wrong)"})
    place = grouped["columns"].index("errors")
    assert {row[0]: row[place] for row in grouped["rows"]} == {"ant": 1, "bee 🐝": 1, "cat": 0}
    both = agent.answer(
        "table", tables=["cnn@1", "cnn@2"], join="inner", where=["guess_a <> guess_b"], columns='["id", "guess_b"]'
    )
    assert both["rows"] == [["b", "bee 🐝"]]
    assert any(note.startswith("joined cnn@1 with cnn@2") for note in both["notes"])


def test_sql_runs_one_select_and_shows_the_whole_of_it_if_asked(agent: Agent) -> None:
    query = 'SELECT id, score_0 FROM "cnn@1" WHERE wrong ORDER BY id'
    said = agent.answer("sql", query=query, show_sql=True)
    assert said["rows"] == [["b", 0.1], ["d", 0.1]]
    assert "read_parquet" in said["sql"]
    assert "sql" not in agent.answer("sql", query=query)
    many = agent.answer("sql", query="SELECT range FROM range(2000000)", limit=3)
    assert (many["said"], many["rows"]) == ("3 of 2,000,000 rows; offset 3 shows what follows", [[0], [1], [2]])


def test_a_comparison_has_its_verdict_in_words_and_numbers(agent: Agent) -> None:
    compared = agent.answer("compare", a="cnn@1", b="cnn@2")
    assert compared["said"].startswith("these 6 examples cannot tell cnn@1 and cnn@2 apart")
    assert (compared["fixed"], compared["broken"], compared["verdict"]) == (1, 0, "cannot_tell")
    by = agent.answer("compare", a="cnn@1", b="cnn@2", by="truth")["by"]
    assert {one["value"]: (one["n"], one["fixed"]) for one in by} == {"ant": (2, 0), "bee 🐝": (2, 1), "cat": (2, 0)}
    assert agent.refused("compare", a="cnn@1", b="cnn@9") == "cnn/test_predictions has no epoch 9; it has: 1, 2"


def test_an_example_comes_with_its_image_as_it_was(agent: Agent) -> None:
    result = agent.result("example", id="d", table="cnn")
    _, image = result.content
    assert (image.type, image.mime_type) == ("image", "image/png")
    with Image.open(BytesIO(base64.b64decode(image.data))) as opened:
        assert opened.size == (160, 160)
        assert set(np.asarray(opened).ravel()) == {120}
    answer = result.structured_content
    columns = answer["columns"]
    assert [row[columns.index("guess")] for row in answer["rows"]] == ["bee 🐝", "bee 🐝"]
    assert "an image of 4 x 4 pixels, each shown 40 times as wide and high" in answer["notes"]
    assert len(agent.result("example", id="d", table="cnn", image=False).content) == 1
    assert agent.refused("example", id="z", table="cnn").startswith("cnn has no example 'z'; it has: ")


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("runs", {"run": "cmm"}, "no run named 'cmm'; the store has cnn"),
        ("tables", {"run": "x"}, "no run named 'x'; the store has cnn"),
        ("schema", {"table": "cnn@7"}, "cnn/test_predictions has no epoch 7; it has: 1, 2"),
        ("ask", {"question": "erors", "tables": ["cnn"]}, "no question named 'erors'; there are: calibration"),
        ("ask", {"question": "errors", "tables": ["nn@1"]}, "no run named 'nn'; the store has cnn"),
        ("ask", {"question": "errors", "tables": ["cnn"], "options": {"x": 1}}, "errors has no option 'x'; it has: "),
        ("ask", {"tables": ["cnn"]}, "ask: name the question, as in question: errors; with no argument ask lists them"),
        ("ask", {"question": "errors", "limt": 3}, "ask: no argument 'limt' (did you mean limit?); it takes: limit"),
        ("ask", {"question": "errors", "limit": 5_000}, "ask: limit: Input should be less than or equal to 1000"),
        ("table", {}, "name a table, as in cnn@5, or a saved view"),
        ("table", {"saved": "x"}, "no view named 'x'; the store has: none yet"),
        ("table", {"tables": ["cnn"], "where": ["confidnce > 1"]}, "confidence"),
        ("sql", {"query": "COPY (SELECT 1) TO '/tmp/x'"}, "only a SELECT is run here"),
        ("sql", {"query": "SELECT * FROM read_text('/etc/passwd')"}, "the table function read_text is not allowed"),
        ("sql", {"query": "SELECT 1; DROP TABLE x"}, "SELECT"),
        ("sql", {"query": 'SELECT * FROM "dog@1"'}, "no relation named 'dog@1'; the tables are: test_predictions"),
        ("sql", {}, "sql: query: Field required; it takes: limit, offset, show_sql, query"),
        ("sql", {"query": "x" * 200_000}, "sql: query: String should have at most 100000 characters"),
        ("schema", {"table": ""}, "schema: table: String should have at least 1 character"),
        ("example", {"id": "a", "table": "runs"}, "runs has no predictions; name a table, such as test_predictions or"),
        ("compare", {"a": "cnn@1"}, "compare: b: Field required"),
        ("save_view", {"name": "x", "tables": ["cnn"]}, "no tool named 'save_view'; there are: runs, tables"),
        ("drop", {}, "no tool named 'drop'; there are: runs, tables, schema, ask, table, sql, compare, example"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 10 else "",
)
def test_what_is_wrong_is_said_with_what_there_is(
    agent: Agent, tool: str, arguments: dict[str, Any], said: str
) -> None:
    assert said in agent.refused(tool, **arguments)


def test_a_long_answer_is_cut_and_says_so(agent: Agent) -> None:
    cell = agent.answer("sql", query="SELECT repeat('🦀', 1000000) AS x FROM range(2)")
    assert [len(row[0]) for row in cell["rows"]] == [2_001, 2_001]
    assert cell["rows"][0][0].endswith("🦀…")
    assert "the first 2,000 of 1,000,000 characters in x of row 1" in cell["notes"][0]
    rows = agent.result("sql", query="SELECT range, repeat('x', 400) AS x FROM range(1000)", limit=1_000)
    assert len(rows.content[0].text) <= 40_000
    count = len(rows.structured_content["rows"])
    cut = f"an answer has at most 40,000 characters; offset {count} shows what follows"
    assert rows.structured_content["said"] == f"{count} of 1,000 rows; {cut}"
    columns = ", ".join(f"repeat('{number % 10}', 2000) AS c{number}" for number in range(40))
    assert agent.answer("sql", query=f"SELECT {columns}")["said"].startswith(
        "0 of 1 rows: one alone has more than 40,000 characters; name fewer columns"
    )
    wide = agent.answer("sql", query=f"SELECT {', '.join(f'{number} AS c{number}' for number in range(300))}")
    assert len(wide["columns"]) == 100
    assert "the first 100 of 300 columns: an answer shows at most 100" in " ".join(wide["notes"])


def test_values_that_json_has_no_number_for_are_texts(agent: Agent) -> None:
    query = "SELECT 'nan'::FLOAT AS a, 'inf'::DOUBLE AS b, 9007199254740993 AS c, 0.1::FLOAT AS d, 'x'::BLOB AS e"
    assert agent.answer("sql", query=query)["rows"] == [["nan", "inf", "9007199254740993", 0.1, "<1 bytes>"]]


def test_what_takes_too_long_or_too_much_ends_and_the_next_is_answered(agent: Agent) -> None:
    assert "stopped after 4 seconds" in agent.refused("sql", query=FOREVER)
    assert "memory" in agent.refused("sql", query=HUGE)
    assert agent.answer("sql", query="SELECT 1 AS x")["rows"] == [[1]]


def test_a_worker_that_is_killed_costs_one_call_at_most(agent: Agent) -> None:
    before = workers()
    assert before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    for _ in before:  # it may seem to be there while its threads end
        result = agent.result("sql", query="SELECT 2 AS x")
        assert not result.is_error or "stopped; ask again" in result.content[0].text
    assert agent.answer("sql", query="SELECT 2 AS x")["rows"] == [[2]]


def test_questions_and_views_are_resources(store: Path, agent: Agent) -> None:
    listed = {one.uri: one.description for one in agent.do("list_resources").resources}
    assert listed["secondguess://questions/errors"] == "Wrong guesses, most confident first"
    read = agent.do("read_resource", "secondguess://questions/errors").contents[0]
    assert read.mime_type == "application/json"
    assert "SELECT" in json.loads(read.text)["sql"]
    templates = [one.uri_template for one in agent.do("list_resource_templates").resource_templates]
    assert templates == ["secondguess://questions/{name}", "secondguess://views/{name}"]
    for uri, said in (
        ("secondguess://questions/nope", "no question named 'nope'"),
        ("secondguess://views/../../etc", "view name '../../etc' contains '/'"),
        ("file:///etc/passwd", "no resource 'file:///etc/passwd'"),
    ):
        with pytest.raises(MCPError, match=said):
            agent.do("read_resource", uri)


def test_an_example_comes_with_what_its_rows_say_besides(tmp_path: Path) -> None:
    """As the prompts and answers of evaluations do, which are columns of their table."""
    with Recorder(tmp_path / "p", run="lm") as recorder, recorder.table("quiz", epoch=1) as table:
        table.add(ids=["a"], guess=["4"], question=["2 + 2?"], answer=["It is 4."])
    with connected(parameters(tmp_path / "p")) as agent:
        shown = agent.answer("example", id="a", table="lm/quiz")
        row = dict(zip(shown["columns"], shown["rows"][0], strict=True))
        assert (row["guess"], row["question"], row["answer"]) == ("4", "2 + 2?", "It is 4.")
        assert not any("was recorded of it" in note for note in shown["notes"])


def test_with_write_agents_save_views_and_nothing_else(tmp_path: Path) -> None:
    with Recorder(tmp_path / "p", run="cnn") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["a", "b"], truth=[0, 1], guess=[0, 0])
    with connected(parameters(tmp_path / "p", "--write")) as agent:
        tools = {tool.name: tool for tool in agent.do("list_tools").tools}
        assert not tools["save_view"].annotations.read_only_hint
        none = "neither an image nor a text was recorded of it"
        assert agent.answer("example", id="a")["notes"] == [none]
        assert "confidnce" in agent.refused("save_view", name="x", tables=["cnn"], where=["confidnce > 0"])
        agent.answer("save_view", name="hard ones", tables=["cnn"], where=["wrong"], columns=["id"])
        taken = agent.refused("save_view", name="hard ones", tables=["cnn"])
        assert taken == "view 'hard ones' exists already, and none is replaced; choose another name"
        assert agent.answer("table", saved="hard ones")["rows"] == [["b"]]
        uri = "secondguess://views/hard%20ones"
        assert uri in [one.uri for one in agent.do("list_resources").resources]
        assert json.loads(agent.do("read_resource", uri).contents[0].text)["where"] == ["wrong"]
    assert [path.name for path in (tmp_path / "p" / "views").iterdir()] == ["hard ones.json"]


def test_it_starts_without_a_store_and_answers_once_there_is_one(tmp_path: Path) -> None:
    with connected(parameters(tmp_path / "later")) as agent:
        assert f"no store at {tmp_path / 'later'}" in agent.refused("runs")
        assert [one["name"] for one in agent.answer("ask")["questions"]]
        with Recorder(tmp_path / "later", run="cnn") as recorder:
            assert agent.answer("tables")["rows"] == []
            with recorder.table("test_predictions", epoch=1) as table:
                table.add(ids=["a"], truth=[0], guess=[1])
        assert agent.answer("sql", query="SELECT count(*) FROM cnn WHERE wrong")["rows"] == [[1]]


def test_a_store_in_a_bucket_is_asked_alike(bucket_url: str) -> None:
    with Recorder(f"{bucket_url}/p", run="cnn") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["a", "b"], truth=[0, 1], guess=[0, 0], images=np.zeros((2, 4, 4), np.uint8))
    with connected(parameters(f"{bucket_url}/p")) as agent:
        assert agent.answer("table", tables=["cnn@1"], where=["wrong"], columns=["id"])["rows"] == [["b"]]
        assert [one.type for one in agent.result("example", id="b").content] == ["text", "image"]
        assert agent.refused("runs", run="x") == "no run named 'x'; the store has cnn"


HELLO: list[dict[str, Any]] = [
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]


def spoken(store: Path) -> subprocess.Popen[str]:
    """The server, after its greeting, with pipes to speak through by hand."""
    command = [sys.executable, "-c", MAIN, "mcp", "--store", str(store)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    server = subprocess.Popen(command, text=True, **pipes)
    send(server, *HELLO)
    assert json.loads(server.stdout.readline())["result"]["serverInfo"]["name"] == "secondguess"  # type: ignore[union-attr]
    return server


def send(server: subprocess.Popen[str], *messages: dict[str, Any]) -> None:
    for message in messages:
        server.stdin.write(json.dumps(message) + "\n")  # type: ignore[union-attr]
    server.stdin.flush()  # type: ignore[union-attr]


def calling(number: int, query: str) -> dict[str, Any]:
    params = {"name": "sql", "arguments": {"query": query}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


@pytest.mark.parametrize("how", ["the end of stdin", "SIGINT", "SIGTERM"])
def test_it_ends_at_once_also_while_it_answers_and_says_nothing_else_on_stdout(store: Path, how: str) -> None:
    with spoken(store) as server:
        send(server, calling(2, "SELECT 1 AS x"))
        assert json.loads(server.stdout.readline())["id"] == 2  # type: ignore[union-attr]
        send(server, calling(3, FOREVER))
        assert not select.select([server.stdout], [], [], 0.5)[0]
        began = time.monotonic()
        if how == "the end of stdin":
            server.stdin.close()  # type: ignore[union-attr]
        else:
            server.send_signal(getattr(signal, how))
        code = server.wait(HANG_S)
        assert time.monotonic() - began < SOON_S
        assert code == {"the end of stdin": 0, "SIGINT": 130, "SIGTERM": 143}[how]
        assert [json.loads(line)["jsonrpc"] for line in server.stdout] in ([], ["2.0"])  # type: ignore[union-attr]
        assert "Traceback" not in server.stderr.read()  # type: ignore[union-attr]


def test_what_is_no_message_is_answered_or_left_and_the_next_is_answered(store: Path) -> None:
    with spoken(store) as server:
        for line in ("", "{", '{"jsonrpc": "2.0", "id": 5}', "[]", '"\\ud800"', "\x00"):
            server.stdin.write(line + "\n")  # type: ignore[union-attr]
        send(server, calling(7, "SELECT '\ud83d\ude00' AS x"))
        answers = []
        while not answers or answers[-1].get("id") != 7:
            answers.append(json.loads(server.stdout.readline()))  # type: ignore[union-attr]
        assert answers[-1]["result"]["structuredContent"]["rows"] == [["😀"]]
        server.stdin.close()  # type: ignore[union-attr]
        assert server.wait(HANG_S) == 0


def test_a_new_token_and_a_memory_that_is_none_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["--new-token"], "--new-token goes with --http PORT"),
        (["--memory", "much"], "--memory is 'much', not an amount such as 500MB or 2GB"),
    ):
        with pytest.raises(SystemExit):
            main(["mcp", *words])
        assert said in capsys.readouterr().err
