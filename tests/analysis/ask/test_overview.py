"""The runs at a glance: what fits 80 columns, what is the best epoch, what differs between configs."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from recording import record
from rich.cells import cell_len

import secondguess as sg
from secondguess.analysis.ask.overview import overview
from secondguess.analysis.cli import main
from secondguess.trainer.recorder import Recorder


def rows(store: Path) -> list[tuple[object, ...]]:
    return sg.connect(store).con.sql(overview(store).text).fetchall()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for run, config in (("a", {"lr": 0.1, "seed": 1, "size": 8}), ("b", {"lr": 0.30000000000000004, "seed": 1})):
        with Recorder(tmp_path, run=run, wandb="off", config=config) as recorder:
            for epoch, wrong in ((1, 2), (2, 1), (3, 1)):
                with recorder.table("test_predictions", epoch=epoch) as table:
                    table.add(ids=list("pqrs"), truth=[0] * 4, guess=[int(place < wrong) for place in range(4)])
    record(tmp_path, "other", {1: [("x", None, 0)]}, table="valid", labelled=False, finish=False)
    return tmp_path


def test_the_best_epoch_is_the_earliest_with_fewest_errors(store: Path) -> None:
    assert rows(store) == [
        ("a", "finished", 3, 1, "2", Decimal("25.00"), "lr 0.1, seed 1, size 8"),
        ("b", "finished", 3, 1, "2", Decimal("25.00"), "lr 0.3, seed 1"),
        ("other/valid", "interrupted", 1, None, None, None, ""),
    ]


def test_what_is_the_same_is_said_once(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "other").rename(store.parent / "elsewhere")
    main(["runs", "--store", str(store)])
    said = capsys.readouterr()
    assert said.err.splitlines()[0] == "the same in every run: state finished, seed 1"
    assert "lr 0.1, size 8" in said.out
    assert "seed" not in said.out


def test_other_formats_and_wide_have_all_that_is_known(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["runs", "--store", str(store), "--format", "csv"])
    assert capsys.readouterr().out.splitlines()[0] == "run,state,table,epochs,rows,errors,origin,created,config"
    main(["runs", "--store", str(store), "--wide"])
    assert re.split(" +", capsys.readouterr().out.splitlines()[0].strip())[:3] == ["run", "state", "table"]


@pytest.mark.parametrize("name", ["sweep_store", "wide_store"])
def test_the_large_stores_fit_80_columns_and_nothing_is_left_out(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main(["runs", "--store", str(request.getfixturevalue(name))])
    said = capsys.readouterr()
    assert max(map(cell_len, said.out.splitlines())) <= 80
    assert "too wide" not in said.err
    assert "differs" in said.out or name == "sweep_store"


def test_a_config_that_is_odd_is_shown_and_a_store_without_runs_has_no_rows(tmp_path: Path) -> None:
    assert rows(tmp_path) == []
    odd = {"x" * 40: "y" * 4_000, "deep": {"a": [1, None]}, "quote": 'it\'s "it"\n', "none": None}
    with Recorder(tmp_path, run="one", wandb="off", config=odd):
        pass
    record(tmp_path, "two", {1: [("x", 0, 0)]})
    (first, second) = rows(tmp_path)
    assert first[:4] == ("one", 0, None, None)
    assert str(first[-1]).startswith("xxxxxxx…xxxxxx yyyyyyy…yyyyyy, deep {")
    assert second[:5] == ("two", 1, 0, "1", Decimal("0.00"))
