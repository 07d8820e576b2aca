"""Files that we write, opened in Chromium: nothing in them runs that came from a name, and nothing asks the network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from page import browser
from recording import record
from waiting import HANG_S

import secondguess as sg
from secondguess.analysis.answers import charts, lines
from secondguess.analysis.answers import html as answers_html
from secondguess.analysis.ask.statements import sql
from secondguess.analysis.cli import main
from secondguess.analysis.notebook import html
from secondguess.analysis.tables import saved
from secondguess.analysis.tables.view import TableView
from secondguess.trainer.recorder import Recorder

__all__ = ["browser"]  # a fixture

SAY = "alert('ran')"
ASK = "http://127.0.0.1:9/asked"
HOSTILE = [
    f"</script><script>{SAY}</script>",
    f"<!--<script>{SAY}</script>",
    f"<img src={ASK} onerror={SAY}>",
    f'"><svg onload={SAY}>',
    f"' onmouseover={SAY} x='",
    f"]]><script xmlns='http://www.w3.org/1999/xhtml'>{SAY}</script>",
    f"</style></title></text><script href='{ASK}'>{SAY}</script>",
    f"javascript:{SAY}",
    f"{{{{ 1 }}}}{{% raw %}}${{{SAY}}}",
    f'\\"-{SAY}-"\\\'-{SAY}//',
    f"\u2028{SAY}\u2029{SAY}\r\n{SAY}",
    "\x00\x01\x08\x0b\x1f\x7f\x85 &lt;script&gt; ]]> &#60; \ufffe\uffff",
]
RUNS = [f"{place} {name.replace('/', '|')}" for place, name in enumerate([HOSTILE[2], HOSTILE[3]])]
# Charts of questions that the store brings, with a value, a column and a name in them that are hostile.
COLUMN = (HOSTILE[2] + HOSTILE[9].replace('"', "'")).replace('"', "").replace(" ", "")
QUESTIONS = {
    "squares": "-- Hostile\n-- drawn: matrix image guess rows\n"
    "SELECT run, epoch, truth || '' AS image, guess, count(*) AS rows FROM predictions GROUP BY ALL",
    "bars": f"-- {HOSTILE[0]}\n-- drawn: beside {COLUMN}\n"
    f'SELECT run, epoch, id AS "{COLUMN}", count(*) AS errors FROM predictions GROUP BY ALL',
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "predictions"
    count = len(HOSTILE)
    ids = [f"{place} {text}" for place, text in enumerate(HOSTILE)]
    for run in RUNS:
        rows = [(ids[place], place, (place + 1) % count) for place in range(count)]
        columns = dict.fromkeys([*(text for text in HOSTILE if text.isprintable()), "note"], HOSTILE)
        content = dict(zip(ids, HOSTILE, strict=True))
        record(path, run, {1: rows, 2: rows}, classes=HOSTILE, columns=columns, content=content)
    with Recorder(path, run="told", config=dict(zip(HOSTILE, HOSTILE[::-1], strict=True))) as recorder:
        for name in HOSTILE:
            recorder.log(**{name: 0.5})
            recorder.log(**{name: 1})
    (path / "questions").mkdir()
    for name, text in QUESTIONS.items():
        (path / "questions" / f"{name}.sql").write_text(text)
    return path


@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 900, "height": 700})
    yield context.new_page()
    context.close()


def opened(tab: Any, path: Path) -> list[str]:
    """What went wrong when a file was opened and the mouse went over it: a script that ran, a request, an error."""
    faults: list[str] = []
    heard = {
        "dialog": lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()),
        "pageerror": lambda error: faults.append(f"error: {error}"),
        "console": lambda said: faults.append(f"console: {said.text}"),
        "request": lambda asked: faults.extend(
            [asked.url] if not asked.url.startswith((path.as_uri(), "data:")) else ()
        ),
    }
    for event, hear in heard.items():
        tab.on(event, hear)
    tab.goto(path.as_uri(), wait_until="load")
    drawn = tab.locator("canvas, svg, table").first
    drawn.wait_for(timeout=HANG_S * 1_000)
    box = drawn.bounding_box()
    for down in range(5, int(min(box["height"], 400)), 40):
        for across in range(5, int(min(box["width"], 700)), 80):
            tab.mouse.move(box["x"] + across, box["y"] + down)
    for event, hear in heard.items():
        tab.remove_listener(event, hear)
    return faults


ASKED = [("confusion", "2"), ("errors-by-guess", "2"), ("errors-over-time", "all"), ("squares", "2"), ("bars", "2")]


@pytest.mark.parametrize("kind", ["html", "svg"])
@pytest.mark.parametrize(("question", "epoch"), ASKED)
def test_no_name_runs_in_a_chart(tab: Any, store: Path, tmp_path: Path, question: str, epoch: str, kind: str) -> None:
    path = tmp_path / f"chart.{kind}"
    given = ["--chart", str(path), "--store", str(store), "--format", "json"]
    main(["ask", question, *(f"{run}@{epoch}" for run in RUNS), *given])
    assert opened(tab, path) == []


def notebook(path: Path, drawn: str) -> Path:
    path.write_text(f'<!doctype html><meta charset="utf-8"><title>notebook</title>{drawn}', encoding="utf-8")
    return path


@pytest.mark.parametrize(("question", "epoch"), ASKED)
def test_no_name_runs_in_a_chart_in_a_notebook(
    tab: Any, store: Path, tmp_path: Path, question: str, epoch: str
) -> None:
    """As a notebook shows it, as it saves itself, and as a reader's own change of it."""
    made = sg.connect(store).chart(question, *(f"{run}@{epoch}" for run in RUNS))
    (shown, _) = made._repr_mimebundle_().items()
    assert shown[0] == "image/svg+xml"
    assert opened(tab, notebook(tmp_path / "notebook.html", shown[1])) == []
    charts.write(made, tmp_path / "written.html", ".html")
    assert made.to_html() == (tmp_path / "written.html").read_text(encoding="utf-8")
    made.properties(title=HOSTILE[0]).save(tmp_path / "saved.html")
    assert opened(tab, tmp_path / "saved.html") == []


@pytest.mark.parametrize("question", ["errors-by-guess", "errors", "bars"])
def test_no_name_runs_in_an_answer_in_a_notebook(tab: Any, store: Path, tmp_path: Path, question: str) -> None:
    asked = (question, *(f"{run}@2" for run in RUNS))
    drawn = html(sg.connect(store).statement(*asked), sg.connect(store).ask(*asked))
    assert opened(tab, notebook(tmp_path / "notebook.html", drawn)) == []


@pytest.mark.parametrize("select", ["SELECT * FROM metrics", "SELECT run, config FROM runs"])
def test_no_metric_and_no_config_runs_in_a_notebook(tab: Any, store: Path, tmp_path: Path, select: str) -> None:
    with duckdb.connect() as con:
        statement = sql(con, store, select)
    drawn = html(statement, sg.connect(store).sql(select))
    assert opened(tab, notebook(tmp_path / "notebook.html", drawn)) == []


def test_no_name_runs_in_the_chart_of_a_metric(tab: Any, tmp_path: Path) -> None:
    rows = [{"run": name, "x": x, "value": x / 2, "least": 0, "most": x} for name in HOSTILE for x in (1, 2, 3)]
    for axis in HOSTILE:
        made = lines.metric(rows, HOSTILE, axis)
        assert opened(tab, notebook(tmp_path / "metric.html", charts.svg(made))) == []


def test_no_name_of_a_view_runs_in_its_table(tab: Any, store: Path, tmp_path: Path) -> None:
    name = HOSTILE[2].replace("/", "|")
    saved.save(store, name, TableView((f"{RUNS[0]}@2",), group=("guess",)))
    drawn = sg.connect(store).table(saved=name)._repr_html_()
    assert opened(tab, notebook(tmp_path / "notebook.html", drawn)) == []


@pytest.mark.parametrize("how", [{}, {"join": "outer"}, {"group": "guess"}], ids=str)
def test_no_name_runs_in_a_table_in_a_notebook(tab: Any, store: Path, tmp_path: Path, how: dict[str, str]) -> None:
    table = sg.connect(store).table(*(f"{run}@2" for run in RUNS), **how)
    assert opened(tab, notebook(tmp_path / "notebook.html", table._repr_html_())) == []


def test_a_chart_page_says_that_nothing_comes_from_elsewhere_and_has_data_as_data(tab: Any, tmp_path: Path) -> None:
    path = tmp_path / "chart.html"
    library = (
        "function vegaEmbed(place, drawing) { document.querySelector(place).textContent = JSON.stringify(drawing) }"
    )
    path.write_text(answers_html.chart_page({"texts": HOSTILE}, library), encoding="utf-8")
    tab.goto(path.as_uri())
    assert tab.evaluate("JSON.parse(document.querySelector('#chart').textContent).texts") == HOSTILE
    blocked = "document.addEventListener('securitypolicyviolation', event => { window.blocked = event.blockedURI })"
    tab.evaluate(f"{blocked}; new Image().src = '{ASK}'")
    tab.wait_for_function("window.blocked")
    assert tab.evaluate("window.blocked") == ASK
