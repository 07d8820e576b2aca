"""The page of SQL: its example runs in every store, an answer has an address, and opening one runs nothing."""

from pathlib import Path

import pytest
from page import Server, serving
from recording import add, record

from secondguess.analysis.page import urls
from secondguess.analysis.page.answers import Answered, Answers
from secondguess.analysis.page.pages.sql import example
from secondguess.analysis.store.runs import list_runs
from secondguess.trainer.recorder import Recorder

pytest_plugins = ["page"]
ODD = 'of "mine" & <b>'


@pytest.mark.parametrize(
    ("table", "labelled", "said"),
    [
        ("test_predictions", True, "WHERE wrong"),
        ("valid", True, "FROM valid"),
        (ODD, True, 'FROM "of ""mine"" & <b>"'),
        ("test_predictions", False, "count(*)"),
        (None, True, "SELECT 42"),
    ],
)
def test_the_example_runs_in_this_store(tmp_path: Path, table: str | None, labelled: bool, said: str) -> None:
    store = tmp_path / "predictions"
    store.mkdir()
    if table is not None:
        truth = 0 if labelled else None
        record(store, "cnn", {1: [("a", truth, 0), ("b", truth, 1)]}, table=table, labelled=labelled)
    assert said in example(list_runs(store))
    with serving(store, tmp_path / "stderr") as server:
        answer = server.sql(example(list_runs(store)))
        assert answer.status == 200
        assert "1</b> row, all of them" in answer.text


def test_a_table_with_truth_goes_first(tmp_path: Path) -> None:
    record(tmp_path, "one", {1: [("a", None, 0)]}, labelled=False)
    record(tmp_path, "two", {1: [("a", 0, 0)]}, table="valid")
    assert "FROM valid" in example(list_runs(tmp_path))


class TestAddress:
    """What stands in the address of an answer."""

    def test_the_sql_and_its_sort_are_in_it_and_opening_it_shows_the_answer_while_it_is_held(
        self, server: Server
    ) -> None:
        sent = server.post("/sql", {"sql": "SELECT 4200 + range AS n FROM range(43)", "sort": "-n"})
        assert sent.status == 303
        address = sent.header("location")
        assert address.startswith("/sql?sql=SELECT+4200+%2B+range+AS+n+FROM+range%2843%29&sort=-n&answer=")
        for _ in range(2):
            assert "4,242" in server.ask(address).text
        assert server.ask(address.replace("/sql?", "/sql.json?")).data["rows"][0] == {"n": 4242}

    @pytest.mark.parametrize("change", [("42", "43"), ("answer=", "answer=x"), ("sort=-n", "sort=n")])
    def test_of_another_address_nothing_is_run_or_shown(self, server: Server, change: tuple[str, str]) -> None:
        address = server.post("/sql", {"sql": "SELECT 4200 + 42 AS n", "sort": "-n"}).header("location")
        text = server.ask(address.replace(*change)).text
        assert "4,242" not in text
        assert "is not held any more; Run asks again" in text

    def test_an_error_has_an_address_too(self, server: Server) -> None:
        sent = server.post("/sql", {"sql": "SELECT guss FROM test_predictions"})
        assert sent.status == 303
        assert server.ask(sent.header("location")).status == 400

    def test_sql_that_is_too_long_for_one_is_answered_and_it_is_said(self, server: Server) -> None:
        text = "SELECT 4200 + 42 AS n --" + "x" * 20_000
        sent = server.post("/sql", {"sql": text})
        assert len(sent.header("location")) < 100
        page = server.ask(sent.header("location")).text
        assert "4,242" in page
        assert "too long for an address" in page
        assert text in page

    @pytest.mark.parametrize("sort", ["(", "nocolumn", "n; DROP TABLE x", "(SELECT max(epoch) FROM runs)"])
    def test_a_sort_that_is_none_is_an_error_in_words(self, server: Server, sort: str) -> None:
        answer = server.ask(server.post("/sql", {"sql": "SELECT 1 AS n", "sort": sort}).header("location"))
        assert answer.status == 400
        assert 'role="alert"' in answer.text

    def test_the_sort_is_of_all_rows_not_of_those_that_are_shown(self, server: Server) -> None:
        address = server.post("/sql", {"sql": "SELECT range AS n FROM range(5000)", "sort": "-n"}).header("location")
        assert "4,999" in server.ask(address).text


@pytest.mark.parametrize(
    ("form", "begins"), [("csv", b"n\n4242"), ("json", b"["), ("markdown", b"| n"), ("parquet", b"PAR1")]
)
def test_all_rows_are_exported(server: Server, form: str, begins: bytes) -> None:
    answer = server.post("/sql/export", {"sql": "SELECT range AS n FROM range(4243)", "sort": "-n", "format": form})
    assert answer.status == 200
    assert answer.body.startswith(begins)
    assert "attachment" in answer.header("content-disposition")
    for bad in ({"sql": "SELECT 1", "format": "exe"}, {"sql": "SELECT nothing", "format": form}):
        sent = server.post("/sql/export", bad)
        assert (sent.status, server.ask(sent.header("location")).status) == (303, 400)


def test_rows_get_the_image_of_their_own_table_or_none(tmp_path: Path) -> None:
    """Of a run with two tables of one epoch nothing says which the row is of."""
    record(tmp_path, "one", {1: [("a", 0, 0)]}, content={"a": "x"})
    record(tmp_path, "two", {1: [("a", 0, 0)]}, table="one_table")
    with Recorder(tmp_path, run="three", wandb="off") as recorder:
        for name in ("t1", "t2"):
            with recorder.table(name, epoch=1) as table:
                add(table, [("a", 0, 0)])
    with serving(tmp_path, tmp_path / "stderr") as server:
        for run, leads in (("one", True), ("two", True), ("three", False), ("four", False)):
            text = server.sql(f"SELECT '{run}' AS run, 1 AS epoch, 'a' AS id").text
            assert ("/example?" in text) is leads, run


def test_the_latest_answers_are_held() -> None:
    answers = Answers()
    keys = [answers.keep(Answered(f"SELECT {number}", "")) for number in range(30)]
    assert len(set(keys)) == 30
    held = [answers.get(key) for key in keys]
    assert held[:10] == [None] * 10
    assert [one.text for one in held[10:] if one is not None] == [f"SELECT {number}" for number in range(10, 30)]
    assert answers.get("") is None


def test_addresses_are_made_in_one_place() -> None:
    assert urls.sql() == "/sql"
    assert urls.sql("SELECT 1", "-n") == "/sql?sql=SELECT+1&sort=-n"
