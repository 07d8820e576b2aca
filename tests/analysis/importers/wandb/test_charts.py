"""Tables behind W&B's charts: known by the run's config, left out, and brought where one asks for them."""

from pathlib import Path

import pytest
from recording import bytes_of
from wandb_scripts import real_run

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.importers.wandb.charts import chart_tables
from secondguess.analysis.importers.wandb.offline import offline_runs
from secondguess.analysis.store.runs import find_run

SCRIPT = """
table = wandb.Table(columns=["id", "guess", "truth"], data=[["a", 0, 1], ["b", 1, 1]])
other = wandb.Table(columns=["id", "guess", "truth"], data=[["c", 0, 0]])
bars = wandb.Table(columns=["label", "value"], data=[["x", 1.0]])
run.log({"preds": table, "val": other, "bars": wandb.plot.bar(bars, "label", "value"), "loss": 1.0})
run.log({"conf": wandb.plot.confusion_matrix(y_true=[0, 1], preds=[0, 1], class_names=["a", "b"])})
run.log({"own_table": wandb.Table(columns=["id", "guess"], data=[["a", 1]])})
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_run(tmp_path_factory.mktemp("charts"), SCRIPT)


def imported(run: Path, store: Path, *words: str) -> None:
    main(["import", str(run), "--run", "mine", "--store", str(store), *words])


def test_the_tables_of_charts_are_known_by_the_config_not_by_how_they_are_called(logged: Path) -> None:
    (run,) = offline_runs(logged)
    assert {table.key for table in run.tables} - run.charts == {"preds", "val", "own_table"}
    assert {key for key in run.charts if key.startswith(("bars", "conf"))} == run.charts
    assert len(run.charts) == 2


def test_they_are_left_out_and_named(logged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imported(logged, tmp_path)
    assert sorted(find_run(tmp_path, "mine").tables) == ["own_table", "preds", "val"]
    assert "left out 2 tables of charts (wandb.plot): " in capsys.readouterr().out


def test_a_second_table_is_added_to_the_run_and_a_charts_table_where_it_is_named(
    logged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(logged, tmp_path, "--table", "preds")
    before = bytes_of(tmp_path / "mine")
    main(["import", str(logged), "--table", "val", "--store", str(tmp_path)])  # the run that W&B's id names
    after = bytes_of(tmp_path / "mine")
    assert {path: after[path] for path in before} == before
    imported(logged, tmp_path, "--table", "bars_table")
    assert sorted(find_run(tmp_path, "mine").tables) == ["bars_table", "preds", "val"]
    store = sg.connect(tmp_path)
    assert store.ask("errors", "mine/preds").project("id").fetchall() == [("a",)]
    assert store.sql("SELECT DISTINCT name, value FROM metrics").fetchall() == [("loss", 1.0)]
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["import", str(logged), "--table", "val", "--store", str(tmp_path)])
    assert "mine/val@1 is there already" in capsys.readouterr().err


@pytest.mark.parametrize("ours", [None, 3, {"visualize": [1]}, {"visualize": {"a": 3}}, {"value": {"visualize": None}}])
def test_a_config_of_another_shape_names_no_chart(ours: object) -> None:
    assert chart_tables({}) == chart_tables({"_wandb": ours}) == set()
