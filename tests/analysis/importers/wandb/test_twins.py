"""What W&B holds of a training, imported, against the Parquet that was written in the same training: every cell."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image
from waiting import PATIENT
from wandb_scripts import environment, real_run

from secondguess.analysis.cli import main
from secondguess.analysis.store.runs import find_epoch
from secondguess.trainer.mirror.mirror import WandbOptions
from secondguess.trainer.recorder import Recorder

SEOUL = timezone(timedelta(hours=9))
SHAPES = [(4, 5), (4, 5, 3), (4, 5, 4), (4, 5), (4, 5, 3), (4, 5, 4)]
PIXELS = [np.random.default_rng(row).integers(0, 256, SHAPES[row], np.uint8) for row in range(6)]  # L, RGB, RGBA, …
SCORES = [[0.75, 0.25], [0.25, 0.75], [np.nan, 0.5], [0.5, 0.5], [np.inf, 0.0], [0.125, 0.875]]
COLUMNS: dict[str, list[Any]] = {
    "text": ["plain", "값 😀", "", None, '"quoted",\n\t\\', "Image"],
    "big": [2**53 + 1, -(2**63), 2**63 - 1, 0, None, 7],
    "number": [0.1, None, np.nan, np.inf, -np.inf, -0.0],
    "yes": [True, False, None, True, False, True],
    "day": [date(2026, 1, 2), None, date(1969, 12, 31), date(1, 1, 1), date(9999, 12, 31), date(2000, 2, 29)],
    "at": [
        datetime(2026, 1, 2, 3, 4, 5, 123456), None, datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(2000, 1, 1),
        datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999),
    ],
    "exact": [Decimal("1.10"), None, Decimal("-2.05"), Decimal("0.00"), Decimal("3.00"), Decimal("4.50")],
    "words": [["a", "😀"], [], None, ["값"], ["c", "", "e"], ["\n"]],
    "grid": [[[1, 2], [3]], [[]], None, [], [[4]], [[5, 6]]],
    "facts": [{"a": row, "b": {"c": [f"x{row}"], "d": row / 4}} for row in range(6)],
}  # fmt: skip
# NULL and NaN within lists and dicts, which W&B takes in no column with a type of its own.
HOLES: dict[str, list[Any]] = {
    "holes": [[1, None], [None], None, [], [3], [4]],
    "odd": [[0.5, np.nan], [np.inf, -np.inf], [], None, [1.0], [None]],
    "partial": [{"a": None, "b": ["x", None]}, {"a": 0.5, "b": None}, None, {"a": np.nan, "b": []},
                {"a": 1.0, "b": ["y"]}, {"a": 2.0, "b": [""]}],
}  # fmt: skip
# What W&B's tables have no kind of cell for: what goes in, and what is left of it.
CHANGED: dict[str, tuple[list[Any], list[Any]]] = {
    "zoned": (  # the moment is kept, the zone is not
        [datetime(2026, 1, 2, 3, 4, 5, 123456, SEOUL)] * 5 + [None],
        [datetime(2026, 1, 1, 18, 4, 5, 123456, UTC)] * 5 + [None],
    ),
    "raw": ([b"\x00\xff", b"", None, b"a", b"b", b"c"], ["00ff", "", None, "61", "62", "63"]),
    "clock": ([time(1, 2, 3, 4), time(1, 2), None] * 2, ["01:02:03.000004", "01:02:00", None] * 2),
    "span": ([timedelta(days=1, seconds=1.5), timedelta(0), None] * 2, ["1 day, 0:00:01.500000", "0:00:00", None] * 2),
    "days": ([[date(2026, 1, 2)], None, []] * 2, ['["2026-01-02"]', None, "[]"] * 2),
}


@dataclass(frozen=True)
class Twins:
    """A store with a run recorded beside an offline W&B run, and one into which the W&B run was imported."""

    here: Path
    there: Path


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    folder = tmp_path_factory.mktemp("twins")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment(folder / "sdk").items():
            patched.setenv(name, value)
        given = {**COLUMNS, **HOLES, **{name: cells for name, (cells, _) in CHANGED.items()}}
        with Recorder(folder / "here", run="cnn", wandb=WandbOptions(**PATIENT)) as recorder:
            for epoch in (1, 2):
                turn = slice(None, None, 1 if epoch == 1 else -1)  # so that another row's cells come first
                with recorder.table("preds", epoch=epoch) as table:
                    table.add(
                        ids=[f"값-{row}" for row in range(6)],
                        images=[Image.fromarray(one) for one in PIXELS],
                        truth=[0, 1, 1, None, 0, 1][turn],
                        guess=[0, 1, 1, 0, 1, 1][turn],
                        scores=np.array(SCORES)[turn],
                        **{name: cells[turn] for name, cells in given.items()},
                    )
        assert recorder.report is not None and recorder.report.faults == ()
        assert recorder.report.tables_sent == 2
        main(["import", str(folder / "here" / "wandb"), "--store", str(folder / "there")])
    return Twins(folder / "here", folder / "there")


def table(store: Path, run: str, epoch: int) -> pa.Table:
    """The rows of an epoch, from the bare Parquet files."""
    found = find_epoch(store, run, "preds", epoch)
    return ds.dataset(found.file, format="parquet").to_table(filter=ds.field("epoch") == epoch)


def images(store: Path, run: str, epoch: int) -> Mapping[str, bytes]:
    """The encoded image of each id."""
    path = find_epoch(store, run, "preds", epoch).examples
    assert path is not None
    return {row["id"]: row["image"]["bytes"] for row in pq.read_table(path, columns=["id", "image"]).to_pylist()}


@pytest.mark.parametrize("epoch", [1, 2])
def test_every_cell_equals_its_twin(twins: Twins, epoch: int) -> None:
    here, there = table(twins.here, "cnn", epoch), table(twins.there, "cnn", epoch)
    assert set(there.column_names) == {*here.column_names, "step"}
    assert here.num_rows == 6
    for name in here.column_names:
        if name not in CHANGED:
            # By their text, since NaN is unlike itself.
            assert repr(there[name].to_pylist()) == repr(here[name].to_pylist()), name


def test_every_cell_has_the_type_of_its_twin(twins: Twins) -> None:
    here, there = table(twins.here, "cnn", 1).schema, table(twins.there, "cnn", 1).schema
    assert there.field("guess").type == there.field("truth").type == pa.int64()
    for name in {*here.names} - {*CHANGED}:
        assert there.field(name).type == here.field(name).type, name


@pytest.mark.parametrize("name", CHANGED)
def test_what_wandb_has_no_cell_for_is_left_as_this(twins: Twins, name: str) -> None:
    given, left = CHANGED[name]
    assert table(twins.here, "cnn", 1)[name].to_pylist() == given
    assert table(twins.there, "cnn", 1)[name].to_pylist() == left
    assert table(twins.there, "cnn", 2)[name].to_pylist() == table(twins.there, "cnn", 1)[name].to_pylist()[::-1]


@pytest.mark.parametrize("epoch", [1, 2])
def test_every_pixel_equals_its_twin_s(twins: Twins, epoch: int) -> None:
    here, there = images(twins.here, "cnn", epoch), images(twins.there, "cnn", epoch)
    assert sorted(here) == sorted(there) == [f"값-{row}" for row in range(6)]
    for row, pixels in enumerate(PIXELS):
        for kept in (here, there):
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(kept[f"값-{row}"]))), pixels)


SCRIPT = """
import io
import pyarrow.parquet as pq
from PIL import Image
rows = pq.read_table(os.environ["TWIN"]).to_pylist()
MODE = os.environ["MODE"]
def filled(table, rows):
    for row in rows:
        row = {**row, "image": wandb.Image(Image.open(io.BytesIO(row["image"])))}
        table.add_data(*row.values())
    return table
table = wandb.Table(columns=[*rows[0]], log_mode=MODE)
for epoch, some in ((1, rows[:3]), (2, rows[3:])):
    fresh = wandb.Table(columns=[*rows[0]]) if MODE == "IMMUTABLE" else table
    run.log({"preds": filled(fresh, some), "epoch": epoch})
"""
# Which rows W&B has of each epoch, where a table grows by three rows each.
LOGGED = {
    "IMMUTABLE": [(0, 3), (3, 6)],  # a new table each time
    "MUTABLE": [(0, 3), (0, 6)],
    "INCREMENTAL": [(0, 3), (3, 6)],
}


@pytest.mark.parametrize("mode", LOGGED)
def test_every_cell_and_pixel_equals_its_twin_in_every_log_mode(twins: Twins, tmp_path: Path, mode: str) -> None:
    """The real SDK logs the recorder's own rows in that mode."""
    here, pictures = table(twins.here, "cnn", 1), images(twins.here, "cnn", 1)
    names = ["id", "guess", "truth", "score_0", "score_1", *COLUMNS]
    twin = here.select(names).append_column("image", pa.array([pictures[name] for name in here["id"].to_pylist()]))
    pq.write_table(twin, tmp_path / "twin.parquet")
    folder = real_run(tmp_path, SCRIPT, MODE=mode, TWIN=str(tmp_path / "twin.parquet"))
    main(["import", str(folder), "--run", "cnn", "--store", str(tmp_path / "there")])
    for epoch, (start, stop) in enumerate(LOGGED[mode], start=1):
        there = table(tmp_path / "there", "cnn", epoch)
        for name in [*names, "confidence", "truth_score"]:
            assert repr(there[name].to_pylist()) == repr(here[name].to_pylist()[start:stop]), name
        kept = images(tmp_path / "there", "cnn", epoch)
        assert len(kept) == stop - start
        for row in range(start, stop):
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(kept[f"값-{row}"]))), PIXELS[row])
