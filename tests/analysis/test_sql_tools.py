"""The tools in which people write SQL see a store's views: jupysql, ibis, marimo, each as it is published."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from secondguess.trainer.recorder import Recorder

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JUPYSQL = """
import json, duckdb, secondguess as sg
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
con = sg.views(duckdb.connect(), "s")
shell.user_ns["con"] = con
shell.run_line_magic("load_ext", "sql")
shell.run_line_magic("sql", "con --alias mine")
said = shell.run_cell_magic("sql", "", 'SELECT id, guess FROM "cnn@1" WHERE wrong ORDER BY id')
of_both = "SELECT count(*) AS n FROM test_predictions JOIN examples USING (examples, id)"
joined = shell.run_cell_magic("sql", "", of_both)
answer = json.dumps([said.dict(), joined.dict()])
"""

IBIS = """
import json, duckdb, ibis, secondguess as sg
tables = ibis.duckdb.from_connection(sg.views(duckdb.connect(), "s"))
every = tables.table("test_predictions")
wrong = every.filter(every.wrong).group_by("epoch").agg(n=ibis._.count()).order_by("epoch").to_pyarrow().to_pylist()
last = tables.table("cnn@last").filter(ibis._.wrong).id.to_pyarrow().to_pylist()
counts = [tables.table(name).count().to_pyarrow().as_py() for name in ("runs", "examples", "metrics", "cnn@2")]
answer = json.dumps([wrong, last, counts])
"""

MARIMO = """
import json, sys
import marimo
app = marimo.App()

@app.cell
def _():
    import duckdb
    import marimo as mo
    import secondguess as sg
    con = sg.views(duckdb.connect(), "s")
    store = sg.connect("s")
    return con, mo, sg, store

@app.cell
def _(con, mo):
    wrong = mo.sql('SELECT id, guess FROM "cnn@1" WHERE wrong ORDER BY id', engine=con)
    return (wrong,)

@app.cell
def _(store):
    view = store.table("cnn@1", columns="id, guess, image")
    view
    return (view,)

@app.cell
def _(store):
    answer = store.ask("errors", "cnn@1")
    answer
    return (answer,)

@app.cell
def _(store):
    compared = store.compare("cnn@1", "cnn@2")
    compared
    return (compared,)

@app.cell
def _(answer, mo, view):
    tables = [mo.ui.table(view), mo.ui.table(answer)]
    return (tables,)

@app.cell
def _(con, mo):
    other = con.sql("SELECT 42 AS others")
    other
    return (other,)

_, made = app.run()
drawn = {name: made["mo"].as_html(made[name]).text for name in ("view", "answer", "compared", "other")}
answer = json.dumps({
    "sql": json.loads(made["wrong"].to_json(orient="values")),
    "tables": ["marimo-table" in table.text for table in made["tables"]],
    "view": "data:image/png;base64," in drawn["view"],
    "answer": 'class="secondguess"' in drawn["answer"],
    "compared": "accuracy on 3 examples" in drawn["compared"],
    "other": "secondguess" not in drawn["other"] and "42" in drawn["other"],
})
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the three, this checkout and what it needs to draw."""
    folder = tmp_path_factory.mktemp("tools")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"]
    packages = ["jupysql>=0.11", "ipython>=9", "ibis-framework[duckdb]>=12", "marimo>=0.25"]
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", *needed, *packages], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "checkout.pth").write_text(f"{ROOT}\n")
    return folder / "bin/python"


def run(python: Path, script: str, folder: Path) -> object:
    images = np.arange(3 * 16, dtype=np.uint8).reshape(3, 4, 4)
    with Recorder(folder / "s", run="cnn") as recorder:
        for epoch, guess in ((1, [0, 1, 1]), (2, [0, 1, 0])):
            with recorder.table("test_predictions", epoch=epoch) as table:
                table.add(ids=["a", "b", "c"], truth=[0, 0, 0], guess=guess, images=images)
    (folder / "script.py").write_text(f"{script}\nopen('answer.json', 'w').write(answer)\n")
    (folder / "home").mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "XDG"))}
    env |= {"HOME": str(folder / "home"), "PLOOMBER_STATS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    ran = subprocess.run([python, "script.py"], cwd=folder, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads((folder / "answer.json").read_text())


def test_jupysql_reads_them(python: Path, tmp_path: Path) -> None:
    assert run(python, JUPYSQL, tmp_path) == [{"id": ["b", "c"], "guess": [1, 1]}, {"n": [6]}]


def test_ibis_reads_them(python: Path, tmp_path: Path) -> None:
    assert run(python, IBIS, tmp_path) == [
        [{"epoch": 1, "n": 2}, {"epoch": 2, "n": 1}],
        ["b"],
        [1, 3, 0, 3],
    ]


def test_marimo_reads_them_and_draws_tables_answers_and_comparisons(python: Path, tmp_path: Path) -> None:
    assert run(python, MARIMO, tmp_path) == {
        "sql": [["b", 1], ["c", 1]],
        "tables": [True, True],
        "view": True,
        "answer": True,
        "compared": True,
        "other": True,
    }
