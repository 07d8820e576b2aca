"""`--help --format json` says what a command takes, so that a program need not read a person's help."""

import json
from pathlib import Path
from typing import Any

import pytest
from recording import record

from secondguess.analysis.ask import questions
from secondguess.analysis.cli import cli, main
from secondguess.analysis.commands.help import is_asked

ROWS = [("a", 4, 4), ("b", 4, 1), ("c", 1, 4)]


def helped(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    main([*map(str, words), "--help", "--format", "json"])
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def test_the_whole_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    said = helped(capsys)
    assert said["name"] == "secondguess"
    commands = {command["name"]: command["help"] for command in said["commands"]}
    assert set(commands) == set(cli.list_commands(None))  # type: ignore[arg-type]
    assert commands["sql"] == "Run one SELECT over the store."


def test_a_command_says_its_options_with_their_types_and_choices(capsys: pytest.CaptureFixture[str]) -> None:
    said = helped(capsys, "table")
    options = {option["names"][0]: option for option in said["options"]}
    assert options["--join"]["choices"] == ["inner", "outer"]
    assert options["--where"]["many"]
    assert options["--stack"]["type"] == "flag"
    assert all(option["help"] for option in said["options"]), said["options"]
    assert said["arguments"] == [{"name": "[TABLE]...", "required": False, "many": True}]


def test_each_question_says_the_columns_of_its_answer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    store = tmp_path / "p"
    every = {question["name"]: question for question in helped(capsys, "ask", "--store", store)["questions"]}
    assert set(every) == set(questions.names(store))
    assert all(isinstance(question["columns"], list) for question in every.values())
    record(store, "cnn", {1: ROWS, 2: ROWS})
    for name, question in every.items():
        tables = ["cnn@1", "cnn@2"][: question["tables"][0]]
        try:
            main(["ask", name, *tables, "--store", str(store), "--format", "json"])
        except SystemExit:  # it needs scores, which this store has none of
            capsys.readouterr()
            continue
        own = {column["name"] for column in question["columns"] if "score_" not in column["name"]}
        for row in json.loads(capsys.readouterr().out):
            assert own <= set(row), name


def test_one_question_says_its_options_and_columns(capsys: pytest.CaptureFixture[str]) -> None:
    question = helped(capsys, "ask", "reliability")["question"]
    assert {option["name"]: option["choices"] for option in question["options"]}["binning"] == ["width", "mass"]
    assert {"name": "accuracy", "type": "DOUBLE"} in question["columns"]


def test_a_question_of_ones_own_is_told_too_or_why_it_is_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "questions"
    folder.mkdir()
    (folder / "mine.sql").write_text("-- Mine\nSELECT run, count(*) AS n FROM predictions GROUP BY run")
    (folder / "hers.sql").write_text("-- Hers\nSELECT weather FROM predictions")
    (folder / "none.sql").write_text("")
    every = {question["name"]: question for question in helped(capsys, "ask", "--store", tmp_path)["questions"]}
    assert every["mine"]["columns"] == [{"name": "run", "type": "VARCHAR"}, {"name": "n", "type": "BIGINT"}]
    assert "weather" in every["hers"]["columns"]
    assert "must begin with a comment" in every["none"]["fault"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope"], "No such command 'nope'; there are: demo, train, import"),
        (["ask", "erors"], "No such command 'erors'; there are: calibration"),
    ],
)
def test_of_what_there_is_not_it_says_what_there_is(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        helped(capsys, *words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--help", "--format", "json"], True),
        (["table", "-h", "--format=json"], True),
        (["--format", "json", "--help"], True),
        (["table", "--help"], False),
        (["table", "--format", "json"], False),
        (["table", "--help", "--format", "csv"], False),
    ],
)
def test_it_is_asked_by_both_options(words: list[str], asked: bool) -> None:
    assert is_asked(words) is asked
