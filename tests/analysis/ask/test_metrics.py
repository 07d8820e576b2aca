"""The metrics of runs in so many points as a chart has room for."""

import math
from pathlib import Path
from typing import Any

import pytest

import secondguess as sg
from secondguess.analysis.ask.metrics import binned
from secondguess.trainer.recorder import Recorder


def points(store: Path, *runs: str) -> list[dict[str, Any]]:
    text, most = binned(runs)
    found = sg.connect(store).sql(text)
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    assert len(rows) <= most
    return rows


def test_a_hundred_thousand_steps_are_drawn_whole_in_three_hundred_points(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="long") as recorder:
        for step in range(1, 100_001):
            recorder.log(step=step, loss=float(step))
    found = points(tmp_path, "long")
    assert len(found) == 300
    assert sum(row["n"] for row in found) == 100_000
    assert (found[0]["x"], found[0]["least"], found[-1]["most"]) == (1, 1.0, 100_000.0)
    assert found[0]["value"] == pytest.approx(sum(range(1, found[0]["n"] + 1)) / found[0]["n"])
    assert all(row["least"] <= row["value"] <= row["most"] for row in found)


def test_few_values_are_each_a_point(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="short") as recorder:
        for step, value in ((10, 3.0), (20, 1.0), (500, 2.0)):
            recorder.log(step=step, loss=value)
    assert [(row["x"], row["value"], row["axis"]) for row in points(tmp_path, "short")] == [
        (10, 3.0, "step"),
        (20, 1.0, "step"),
        (500, 2.0, "step"),
    ]


def test_one_value_an_epoch_is_drawn_by_epoch_so_that_other_batch_sizes_compare(tmp_path: Path) -> None:
    for run, steps in (("a", 10), ("b", 40)):
        with Recorder(tmp_path, run=run) as recorder:
            for epoch in (1, 2):
                recorder.log(step=epoch * steps, epoch=epoch, acc=epoch / 2)
    assert [(row["run"], row["axis"], row["x"]) for row in points(tmp_path, "a", "b")] == [
        ("a", "epoch", 1),
        ("a", "epoch", 2),
        ("b", "epoch", 1),
        ("b", "epoch", 2),
    ]


def test_values_that_are_not_finite_are_counted_and_spoil_no_mean(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="odd") as recorder:
        for step in range(1, 1001):
            recorder.log(step=step, loss=math.nan if step % 2 else 4.0)
    found = points(tmp_path, "odd")
    assert {row["value"] for row in found} == {4.0}
    assert sum(row["odd"] for row in found) == 500


def test_many_runs_have_fewer_points_each(tmp_path: Path) -> None:
    names = [f"run-{number:02}" for number in range(20)]
    text, _ = binned(names)
    assert "many <= 150" in text
