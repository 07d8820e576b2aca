"""Each page's data as JSON, at the page's own address with .json behind its path."""

import json
import re
import shutil
from html import unescape
from typing import Any

import duckdb
import numpy as np
import pytest
from page import CAT, CLASSES, DOG, MARKUP, MOOD, NO_TRUTH, QUOTED, REVIEWS, SCRIPT, Server, table_url
from recording import record

import secondguess as sg
from secondguess.analysis.store.runs import find_epoch
from secondguess.trainer.recorder import Recorder

pytest_plugins = ["page"]


def data(server: Server, path: str, status: int = 200) -> Any:
    """What a twin says, as strict JSON."""
    answer = server.ask(path)
    assert (answer.status, answer.header("content-type")) == (status, "application/json")

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    return json.loads(answer.body, parse_constant=refuse)


def panel(server: Server, *tables: str, **more: Any) -> Any:
    panels = data(server, table_url(*tables, path="/table.json", **more))["panels"]
    assert len(panels) == 1
    return panels[0]


def test_runs(server: Server) -> None:
    runs = {run["name"]: run for run in data(server, "/runs.json")["runs"]}
    assert runs.keys() == {"cnn", "double", NO_TRUTH, "reviews", "media"}
    assert (runs["cnn"]["epochs"], runs["cnn"]["errors"]) == ([1, 2, 3], [12, 9, 6])
    assert (runs["double"]["rows"], runs["double"]["errors"]) == (180, [10, 8, 4])
    assert (runs["cnn"]["state"], runs["cnn"]["config"]) == ("finished", {"size": 8, "seed": 0})
    assert runs[NO_TRUTH]["errors"] == [None]


def test_what_is_wrong_in_a_store_is_said_by_its_runs_its_tables_and_the_check(server: Server) -> None:
    sound = data(server, "/check.json")
    assert (sound["sound"], sound["findings"]) == (True, [])
    assert "Nothing is wrong" in server.ask("/check").text
    assert 'href="/check"' in server.ask("/runs").text
    with Recorder(server.store, run="hurt", wandb="off") as recorder:
        for epoch in (1, 2):
            with recorder.table("test_predictions", epoch=epoch) as rows:
                rows.add(ids=["x"], truth=[0], guess=[1], images=np.full((1, 2, 2), 7, np.uint8))
    folder = server.store / "hurt"
    (file,) = folder.glob("test_predictions/*.parquet")
    examples = find_epoch(server.store, "hurt", "test_predictions", 1).examples
    assert examples is not None
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    whole = file.read_bytes()
    try:
        examples.unlink()
        pictures = panel(server, "hurt@2", columns="id,guess,image")
        drawn = data(server, "/questions.json?q=errors-by-guess&t=hurt%402")
        one = data(server, table_url("hurt@2", path="/example.json", row="0"))
        seen = [server.ask(url).text for url in ("/questions?q=errors-by-guess&t=hurt%402", table_url("hurt@2"))]
        file.write_bytes(damaged)
        refused = server.ask(table_url("hurt@2"))
        found = data(server, "/check.json")
        html = server.ask("/check").text
        file.write_bytes(whole)
        (folder / "run.json").unlink()
        notes = data(server, "/runs.json")["notes"], data(server, "/run.json?run=hurt")["notes"]
        pages = server.ask("/runs").text, server.ask("/run?run=hurt").text
    finally:
        shutil.rmtree(folder)
    assert [row["guess"] for row in pictures["rows"]] == [1]
    assert [note.startswith(f"left out examples: {examples} is missing, so ") for note in pictures["notes"]] == [True]
    assert [any(f"{examples} is missing" in note for note in each["notes"]) for each in (drawn, one)] == [True, True]
    assert [f"{examples.name} is missing" in page for page in seen] == [True, True]
    assert (refused.status, f"{file.name} is not as it was written" in refused.text) == (400, True)
    said = {(each["what"], each["grave"], each["path"]) for each in found["findings"]}
    assert said == {
        ("altered", True, f"hurt/test_predictions/{file.name}"),
        ("missing", True, f"examples/{examples.name}"),
    }
    assert (found["sound"], file.name in html, "Something is wrong" in html) == (False, True, True)
    assert [any("run.json is missing" in note for note in each) for each in notes] == [True, True]
    assert ["run.json is missing" in page for page in pages] == [True, True]


def test_a_run_with_its_metrics(server: Server) -> None:
    found = data(server, "/run.json?run=cnn&run=double")
    assert [run["name"] for run in found["runs"]] == ["cnn", "double"]
    values = [row["value"] for row in found["metrics"] if (row["run"], row["name"]) == ("cnn", "train_loss")]
    assert values == [2.0, 1.0, 2 / 3]
    assert [(row["axis"], row["x"], row["n"]) for row in found["metrics"][:3]] == [("epoch", x, 1) for x in (1, 2, 3)]
    assert found["more"] is False
    assert "python" in found["runs"][0]["provenance"]


def test_where_to_begin(server: Server) -> None:
    found = data(server, "/runs.json")["starts"]
    assert [(start["refs"], start["number"]) for start in found] == [
        (["cnn@1", "cnn@3"], "6"),
        (["cnn@1", "cnn@3"], "12 → 6"),
        (["double@3", "cnn@3"], "4 : 6"),
    ]


def test_the_tables_there_are(server: Server) -> None:
    found = {table["name"]: table for table in data(server, "/table.json")["tables"]}
    assert (found["cnn@3"]["rows"], found["cnn@3"]["errors"], found["cnn@3"]["epochs"]) == (60, 6, 3)


def test_a_table_has_fifty_rows_of_all_and_says_of_how_many(server: Server) -> None:
    found = panel(server, "cnn@3")
    assert (len(found["rows"]), found["total"]) == (50, 60)
    first = found["rows"][0]
    assert list(first) == found["columns"]
    assert (first["id"], first["truth"], first["guess"], first["note"]) == (QUOTED, CAT, SCRIPT, MARKUP)
    assert (first[MOOD], first["confidence"], first["truth_score"]) == ("sunny", 0.5, 0.25)
    assert (found["notes"], found["reports"]) == ([], [])


def test_the_statement_of_a_table_can_be_run_elsewhere(server: Server) -> None:
    found = panel(server, "cnn@3", where="guess <> truth", columns="id,guess")
    rows = duckdb.sql(found["sql"]).fetchall()
    assert [list(row) for row in rows] == [list(row.values()) for row in found["rows"]]
    assert len(rows) == 6


def test_a_page_of_a_sorted_filter(server: Server) -> None:
    found = panel(server, "cnn@3", where=f"truth = '{DOG}'", sort="-confidence", limit="2", offset="2", columns="id")
    assert (found["rows"], found["total"]) == ([{"id": "r53"}, {"id": "r50"}], 20)  # after r59 and r56


def test_groups(server: Server) -> None:
    found = panel(server, "cnn@3", where="guess <> truth", group="truth", sort="truth")
    assert [(row["truth"], row["n"]) for row in found["rows"]] == [(SCRIPT, 2), (DOG, 2), (CAT, 2)]
    assert found["total"] == 3


def test_a_join_with_its_report(server: Server) -> None:
    found = panel(server, "cnn@3", "double@3", join="inner", where="guess_a <> guess_b", columns="id,guess_a,guess_b")
    assert found["total"] == 8
    assert found["rows"][0] == {"id": QUOTED, "guess_a": SCRIPT, "guess_b": CAT}
    [report] = found["reports"]
    assert (report["matched"], report["only_left"], report["only_right"]) == (60, 0, 0)


def test_a_join_says_how_many_differ(server: Server) -> None:
    found = data(server, table_url("cnn@3", "double@3", path="/table.json", join="inner"))
    assert found["summary"] == {"differ": 8, "fixed": 4, "broken": 2, "both": 2}


def test_side_by_side_are_two_panels(server: Server) -> None:
    where = "guess <> truth"
    found = data(server, table_url("cnn@3", "double@3", path="/table.json", side="1", where=where))
    assert [each["total"] for each in found["panels"]] == [6, 4]


def test_an_example(server: Server) -> None:
    found = data(server, table_url("cnn@3", path="/example.json", row="9"))
    assert found["id"] == "r09"
    wrong = [(row["run"], row["epoch"]) for row in found["said"] if row["guess"] != row["truth"]]
    assert wrong == [("cnn", 1), ("double", 1), ("double", 2)]
    assert len(found["digest"]) >= 12
    assert found["facts"] == {"width": 8, "height": 8, "channels": 1, "format": "PNG"}
    [scored] = found["scores"]
    assert (scored["run"], scored["epoch"], scored[MOOD]) == ("cnn", 3, "rainy")
    assert scored["score_0"] == pytest.approx(0.545)
    assert (found["row"], found["total"], found["more"]) == (10, 60, False)


def test_an_example_of_a_thousand_classes_has_all_its_scores_and_shows_the_largest(server: Server) -> None:
    names, scores = [f"class {number}" for number in range(1_000)], [0.0005] * 1_000
    scores[7], scores[960] = 0.3, 0.2005
    record(server.store, "thousand", {1: [("k1", names[999], scores)]}, table="kinds", classes=names)
    address = table_url("thousand/kinds@1", path="/example.json", row="0")
    [scored] = data(server, address)["scores"]
    assert [scored[f"score_{index}"] for index in (7, 960, 999)] == pytest.approx([0.3, 0.2005, 0.0005])
    answer = server.ask(address.replace(".json", "")).text
    assert all(f">{name}<" in answer for name in ("class 7", "class 960", "class 999"))


def test_an_example_with_its_text(server: Server) -> None:
    found = data(server, table_url("reviews/reviews@1", path="/example.json", row="1"))
    assert found["content"] == REVIEWS["r2"]


def test_questions(server: Server) -> None:
    names = [each["name"] for each in data(server, "/questions.json")["questions"]]
    assert names == [
        *("calibration", "calibration-difference", "classification", "confusion", "data-map"),
        *("disagreements", "dynamics"),
        *("errors", "errors-by-guess", "errors-by-label", "errors-over-time", "flips", "labels", "ledger"),
        *("multi-label", "regression", "reliability", "residuals", "risk-coverage", "temperature", "trajectories"),
        "worst",
    ]


def test_an_answer(server: Server) -> None:
    found = data(server, "/questions.json?q=errors-by-guess&t=cnn%403&t=double%403")
    counts = {(row["run"], row["guess"]): (row["errors"], row["truths"]) for row in found["rows"]}
    assert counts == {
        ("cnn", SCRIPT): (2, {CAT: 2}),  # rows 0 and 3
        ("cnn", DOG): (2, {SCRIPT: 2}),
        ("cnn", CAT): (2, {DOG: 2}),
        ("double", CAT): (2, {SCRIPT: 2}),  # rows 4 and 7
        ("double", SCRIPT): (1, {DOG: 1}),
        ("double", DOG): (1, {CAT: 1}),
    }
    assert found["columns"] == ["run", "epoch", "guess", "errors", "truths", "ids"]
    assert "read_parquet" in found["sql"]


def test_the_links_of_an_answer_lead_to_the_table_that_it_is_about(server: Server) -> None:
    """A run has a further table: by the run's name alone its links would lead to the default one."""
    with Recorder(server.store, run="mine", wandb="off") as recorder:
        for table, guess in (("test_predictions", 0), ("preds", 1)):
            with recorder.table(table, epoch=2) as rows:
                rows.add(ids=["x"], truth=[0], guess=[guess])
    answers = [server.ask(f"/questions?q={name}&t=mine%2Fpreds%402").text for name in ("errors-by-guess", "confusion")]
    shutil.rmtree(server.store / "mine")
    for answer in answers:
        assert "t=mine%2Fpreds%402" in answer
        assert "t=mine%402" not in answer


def test_an_answer_over_time(server: Server) -> None:
    found = data(server, "/questions.json?q=errors-over-time&t=cnn&t=double")
    assert [row["errors"] for row in found["rows"]] == [12, 9, 6, 10, 8, 4]


def test_an_answer_that_is_cut_says_so(server: Server) -> None:
    folder = server.store / "questions"
    folder.mkdir(exist_ok=True)
    (folder / "many.sql").write_text(
        "-- Many rows\nSELECT range AS n FROM range(1001), (SELECT 1 FROM predictions LIMIT 1)\n"
    )
    found = data(server, "/questions.json?q=many&t=cnn%403")
    (folder / "many.sql").unlink()
    assert len(found["rows"]) == 1000
    assert found["more"] is True


def asked(server: Server, text: str, address: str) -> str:
    """The page of a question that is the store's own for so long."""
    folder = server.store / "questions"
    folder.mkdir(exist_ok=True)
    (folder / "own.sql").write_text(text)
    try:
        return server.ask(f"/questions?q=own&{address}").text
    finally:
        (folder / "own.sql").unlink()


def test_the_chart_of_an_answer_that_is_cut_is_of_all_its_rows(server: Server) -> None:
    """Of 60 x 60 pairs 1,200, each an epoch of its own: the page has room for 1,000 rows."""
    many = "SELECT a.run, CAST(row_number() OVER () AS INTEGER) AS epoch, 1 AS errors FROM predictions a, predictions b"
    page = asked(server, f"-- Many epochs\n{many} LIMIT 1200\n", "t=cnn%403")
    drawn = re.findall(r'line mark" d="([^"]*)"', page)
    assert sum(path.count("L") + 1 for path in drawn) == 1200


def test_the_pages_chart_is_the_notebooks(server: Server) -> None:
    text = "-- Errors by truth\n-- drawn: beside truth\nSELECT run, epoch, truth, count(*) AS errors FROM predictions"
    page = asked(server, f"{text} WHERE guess <> truth GROUP BY ALL ORDER BY truth\n", "t=cnn%403&t=double%403")
    heads = [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", page.partition('class="chart"')[2])]
    assert [head for head in heads if head in CLASSES] == CLASSES
    store = sg.connect(server.store)
    assert store.chart("errors-by-guess", "cnn@3", "double@3").to_dict()["encoding"]["x"]["sort"] == CLASSES


def test_of_more_than_twelve_classes_rows_have_no_scores_and_the_example_its_largest(server: Server) -> None:
    names = [f"a class with a long name {number}" for number in range(14)]
    scores = [0.02] * 14
    scores[3], scores[9] = 0.5, 0.26
    record(server.store, "many", {1: [("m1", names[9], scores)]}, classes=names)
    answer = server.ask("/questions?q=errors&t=many").text
    example = server.ask(table_url("many@1", path="/example", row="0")).text
    shutil.rmtree(server.store / "many")
    assert "The scores of 14 classes are not shown" in answer
    assert f'<span title="{names[3]}">a clas…ame 3</span>' in answer
    assert "The other 2 classes have at most 0.020." in example
    assert example.count('class="istruth"') == 1


def test_a_text_in_the_address_is_not_run(server: Server) -> None:
    assert "4242" not in server.ask("/sql.json?sql=SELECT+4200+%2B+42+AS+n").text


def test_a_statement_that_is_sent(server: Server) -> None:
    answer = server.post("/sql.json", {"sql": "SELECT 4200 + 42 AS n"})
    assert (answer.status, answer.data) == (200, {"columns": ["n"], "rows": [{"n": 4242}], "more": False, "notes": []})


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/run.json?run=nobody", 404, "no run named 'nobody'"),
        (table_url("cnn@9", path="/table.json"), 404, "9"),
        (table_url("cnn@3", path="/table.json", where="guss = 1"), 400, "guess"),
        (table_url("cnn@3", path="/example.json", row="60"), 404, "the view has no row 61; it has 60"),
        ("/questions.json?q=nothing", 404, "nothing"),
        ("/questions.json?q=errors&t=nobody", 404, "nobody"),
        ("/nothing.json", 404, "no such page"),
    ],
)
def test_what_is_wrong_is_said_in_json(server: Server, path: str, status: int, said: str) -> None:
    found = data(server, path, status)
    assert list(found) == ["error"]
    assert said in found["error"]


def test_a_twin_says_what_its_page_shows(server: Server) -> None:
    """The same numbers, drawn."""
    page = server.ask(table_url("cnn@3", where="guess <> truth")).text
    found = panel(server, "cnn@3", where="guess <> truth")
    assert [row["id"] for row in found["rows"]] == [QUOTED, "r01", "r02", "r03", "r04", "r05"]
    places = [page.index(f">{name}</a>") for name in ("r01", "r02", "r03", "r04", "r05")]
    assert places == sorted(places)
    assert ">r06</a>" not in page


def test_a_number_that_json_has_not_is_text(server: Server) -> None:
    found = panel(server, "cnn@3", add=["big = 9007199254740993::BIGINT", "nan = 'nan'::DOUBLE"], limit="1")
    assert (found["rows"][0]["big"], found["rows"][0]["nan"]) == ("9007199254740993", "nan")


def test_what_python_has_no_like_of_is_text_on_the_page_and_in_its_twin(server: Server) -> None:
    text = "SELECT DATE 'infinity' AS day, INTERVAL '14 months' AS span"
    assert server.post("/sql.json", {"sql": text}).data["rows"] == [{"day": "infinity", "span": "1 year 2 months"}]
    assert "1 year 2 months" in server.sql(text).text


def test_classes_are_named_as_they_were_recorded(server: Server) -> None:
    found = panel(server, "cnn@3", group="truth", columns="truth", sort="truth")
    assert [row["truth"] for row in found["rows"]] == sorted(CLASSES)


def test_a_lone_carriage_return_is_quoted_in_an_exported_csv(server: Server) -> None:
    how = {"add": "x = 'a' || chr(13) || 'b'", "columns": "id,x,note", "where": "id = 'r01'"}
    assert server.ask(table_url("cnn@3", path="/export", format="csv", **how)).body == b'id,x,note\nr01,"a\rb",\n'
