"""Runs out of W&B's run folders: what the real SDK logged comes back cell by cell, pixel by pixel."""

import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image
from waiting import PATIENT
from wandb.proto import wandb_internal_pb2 as pb
from wandb_scripts import environment, framed, real_run, write_run
from wandb_server import WandbServer

from secondguess.analysis.errors import BadInput, Damaged, NotFound, SecondguessError
from secondguess.analysis.importers.source import MEDIA, SourceTable, TableRows
from secondguess.analysis.importers.wandb.artifact import table_file
from secondguess.analysis.importers.wandb.media import WandbFolders
from secondguess.analysis.importers.wandb.offline import offline_runs

SCRIPT = """
def rows(epoch):
    chance = np.random.default_rng(epoch)
    table = wandb.Table(columns=["id", "이미지 😀", "n", "big", "yes", "s", "none", "at", "day", "zone", "dec", "list",
                                 "dict", "array", "page", "sound", "Image"])
    for i in range(3):
        pixels = chance.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        table.add_data(
            f"t-{i}", None if i == 1 else wandb.Image(pixels, caption=f"c{i}"), [1.5, math.nan, -math.inf][i],
            2**60 + i, i % 2 == 0, None if i == 0 else "값 😀", None, dt.datetime(2026, 1, 2, 3, 4, 5, 123456 + i),
            dt.date(2026, 1, 1 + i), dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=9))),
            decimal.Decimal("1.10") + i, [[1, 2], [i]], {"a": i, "b": {"c": ["x"]}}, pixels[:, :, 0],
            wandb.Html(f"<p>{i}</p>", inject=False), wandb.Audio(wav(f"{epoch}{i}.wav", i, 7)), "Image")
    return table

def numbers(*values, mode="IMMUTABLE"):
    return wandb.Table(columns=["a"], data=[[value] for value in values], log_mode=mode)

run.config.update({"lr": 0.5})
run.log({"loss": 2.0})
for epoch in (0, 1):
    run.log({"loss": 1.5 - epoch, "acc": 90})
    run.log({"test_predictions": rows(epoch), "epoch": epoch, "val/preds": numbers(epoch),
             "a": {"b": {"deep": numbers(epoch)}}, "한글 😀": numbers(epoch), "with space": numbers(epoch)})
same = numbers(1)
run.log({"fixed": same})
same.add_data(2)
run.log({"fixed": same})
run.log({"later": numbers(1)}, step=100, commit=True)
growing = numbers(1, mode="MUTABLE")
for value in (2, 3):
    run.log({"growing": growing})
    growing.add_data(value)
run.log({"growing": growing})
run.log({"growing": growing})
pieces = wandb.Table(columns=["a", "i"], log_mode="INCREMENTAL")
for value in range(12):
    pieces.add_data(value, wandb.Image(np.full((2, 2), value, np.uint8)))
    run.log({"pieces": pieces})
run.log({"twice": wandb.Table(columns=["a", "A", "a"], data=[[1, 2, 3]])})
run.log({"several": [numbers(1), numbers(2)]})
image = wandb.Image(np.zeros((2, 2), np.uint8))
run.log({"nested": wandb.Table(columns=["l"], data=[[[image, image]]])})
mixed = wandb.Table(columns=["x", "i"], allow_mixed_types=True)
for cell in (1, "a", [1], {"b": math.nan}):
    mixed.add_data(cell, image)
run.log({"mixed": mixed})
run.log({"joined": wandb.JoinedTable(numbers(1), numbers(1, 2), "a")})
run.log({"odd": math.nan, "inner": {"x": math.inf, "yes": True}, "text": "left out", "picture": image})
run.summary["final"] = numbers(7)
artifact = wandb.Artifact("mine", "dataset")
artifact.add(wandb.Table(columns=["a", "i"], data=[[1, image]]), "sub/mine")
run.log_artifact(artifact)
parts = wandb.Artifact("parts", "dataset")
parts.add(numbers(2), "p/b")
parts.add(numbers(1), "p/a")
parts.add(wandb.data_types.PartitionedTable("p"), "whole")
run.log_artifact(parts)
"""


class Logged:
    """A run that the real SDK logged, in a folder of its own, and what the importer makes of it."""

    def __init__(self, folder: Path, run: Path) -> None:
        self.folder = folder
        self.place = run
        (self.run,) = offline_runs(run)

    def tables(self, key: str) -> list[SourceTable]:
        return [table for table in self.run.tables if table.key == key]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    folder = tmp_path_factory.mktemp("logged")
    init = {"name": "첫 run 😀", "config": {"layers": [32, 64]}, "group": "g", "tags": ["x"], "notes": "n"}
    return Logged(folder, real_run(folder, SCRIPT, init=init))


def rows_of(rows: TableRows) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.Table.from_batches(rows.batches(), schema=rows.schema).to_pylist()
    return found


def pixels(cell: Mapping[str, Any]) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(cell["bytes"])))


def test_the_run_has_its_name_config_and_place(logged: Logged) -> None:
    origin = dict(logged.run.origin)
    assert logged.run.name == "첫 run 😀"
    assert logged.run.config == {"layers": [32, 64], "lr": 0.5}
    assert logged.run.finished
    assert logged.place.name.endswith(origin.pop("id")) and origin.pop("started")[:2] == "20"
    assert origin == {
        "kind": "wandb-offline",
        "name": "첫 run 😀",
        "project": "demo",
        "group": "g",
        "tags": ["x"],
        "notes": "n",
        "path": str(logged.place),
    }
    json.dumps(origin)


def test_metrics_have_the_step_and_epoch_of_their_row(logged: Logged) -> None:
    found = list(logged.run.metrics())
    assert [one for one in found if one[2] == "loss"] == [
        (0, None, "loss", 2.0),
        (1, None, "loss", 1.5),
        (3, None, "loss", 0.5),
    ]
    assert [(step, epoch) for step, epoch, name, _ in found if name == "acc"] == [(1, None), (3, None)]
    assert str([value for _, _, name, value in found if name == "odd"]) == "[nan]"
    assert [value for _, _, name, value in found if name == "inner.x"] == [math.inf]
    assert {name for _, _, name, _ in found} == {"loss", "acc", "odd", "inner.x", "inner.yes"}


@pytest.mark.parametrize("epoch", [0, 1])
def test_every_kind_of_cell_comes_back(logged: Logged, epoch: int) -> None:
    table = logged.tables("test_predictions")[epoch]
    assert (table.epoch, table.step) == (epoch + 1, 2 * epoch + 2)
    rows = table.read()
    assert (rows.rows, rows.media_cells, rows.notes) == (3, 8, ())
    found = rows_of(rows)
    assert (rows.media.whole, rows.media.missing, rows.media.refused) == (8, 0, 0)
    chance = np.random.default_rng(epoch)
    for i, row in enumerate(found):
        expected = chance.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        picture, about = row.pop("이미지 😀"), row.pop("이미지 😀_about")
        if i == 1:
            assert (picture, about) == (None, None)
        else:
            assert np.array_equal(pixels(picture), expected)
            assert json.loads(about) == {"caption": f"c{i}"}
        page, sound = row.pop("page"), row.pop("sound")
        assert page["bytes"] == f"<p>{i}</p>".encode() and page["path"].endswith(".html")
        assert sound["bytes"][-2:] == bytes([i, 7]) and sound["path"].endswith(f"/{epoch}{i}.wav")
        number = row.pop("n")
        assert str(number) == ["1.5", "nan", "-inf"][i]
        assert row == {
            "id": f"t-{i}",
            "big": 2**60 + i,
            "yes": i % 2 == 0,
            "s": None if i == 0 else "값 😀",
            "none": None,
            "at": datetime(2026, 1, 2, 3, 4, 5, 123456 + i),
            "day": date(2026, 1, 1 + i),
            "zone": datetime(2026, 1, 1, 15, tzinfo=UTC),
            "dec": Decimal("1.10") + i,
            "list": [[1, 2], [i]],
            "dict": {"a": i, "b": {"c": ["x"]}},
            "array": expected[:, :, 0].tolist(),
            "Image": "Image",
        }


def test_the_kinds_of_media_are_in_the_schema(logged: Logged) -> None:
    schema = logged.tables("test_predictions")[0].read().schema
    media = {field.name: field.metadata[b"media"] for field in schema if field.type == MEDIA}
    assert media == {"이미지 😀": b"image", "page": b"html", "sound": b"audio"}
    assert schema.field("big").type == pa.int64() and schema.field("none").type == pa.null()


def summary(logged: Logged, key: str) -> list[tuple[int | None, int | None, list[Any]]]:
    """The versions of a table: epoch, step, and the column `a`."""
    return [(table.epoch, table.step, [row["a"] for row in rows_of(table.read())]) for table in logged.tables(key)]


@pytest.mark.parametrize("key", ["val/preds", "a.b.deep", "한글 😀", "with space"])
def test_keys_keep_their_slashes_nesting_and_letters(logged: Logged, key: str) -> None:
    assert summary(logged, key) == [(1, 2, [0]), (2, 4, [1])]


def test_a_table_that_wandb_did_not_write_again_is_one_version(logged: Logged) -> None:
    assert summary(logged, "fixed") == [(2, 5, [1])]
    assert logged.tables("fixed")[0].notes == (
        "was logged again with 2 rows, which W&B did not write (log mode IMMUTABLE)",
    )


def test_the_step_is_that_of_the_history_row_not_of_the_file(logged: Logged) -> None:
    (table,) = logged.tables("later")
    assert (table.step, table.origin["path"][:20]) == (100, "media/table/later_7_")


def test_each_state_of_a_mutable_table_is_a_version(logged: Logged) -> None:
    assert summary(logged, "growing") == [(1, 101, [1]), (2, 102, [1, 2]), (3, 103, [1, 2, 3])]
    assert any("'growing' are numbered in order: epoch 2 would belong" in note for note in logged.run.notes)


def test_each_increment_is_a_version_in_order_with_its_images(logged: Logged) -> None:
    tables = logged.tables("pieces")
    assert [table.epoch for table in tables] == list(range(1, 13))
    for value, table in enumerate(tables):
        rows = table.read()
        (row,) = rows_of(rows)
        assert row["a"] == value and pixels(row["i"]).tolist() == [[value] * 2] * 2
        assert rows.notes == () and table.notes == ()


def test_columns_of_the_same_name_are_all_kept(logged: Logged) -> None:
    rows = logged.tables("twice")[0].read()
    assert rows_of(rows) == [{"a": 1, "A_2": 2, "a_3": 3}]
    assert rows.notes == ("column 'A' is called 'A_2'", "column 'a' is called 'a_3'")


def test_tables_in_a_list_are_told_apart_by_position(logged: Logged) -> None:
    assert [found for key in ("several.0", "several.1") for _, _, found in summary(logged, key)] == [[1], [2]]


def test_images_in_lists_and_beside_other_types_are_not_words(logged: Logged) -> None:
    (row,) = rows_of(logged.tables("nested")[0].read())
    assert [pixels(cell).tolist() for cell in row["l"]] == [[[0, 0], [0, 0]]] * 2
    rows = logged.tables("mixed")[0].read()
    found = rows_of(rows)
    assert [row["x"] for row in found] == ["1", '"a"', "[1]", '{"b": NaN}']
    assert [pixels(row["i"]).tolist() for row in found] == [[[0, 0], [0, 0]]] * 4
    assert rows.notes == ("column 'x' mixes whole numbers, text, lists, dicts; kept as JSON text",)


def test_joined_partitioned_summary_and_logged_artifacts_tables(logged: Logged) -> None:
    keys = ["joined.table1", "joined.table2", "final", "mine/sub/mine", "parts/whole"]
    found = {key: [values for _, _, values in summary(logged, key)] for key in keys}
    assert list(found.values()) == [[[1]], [[1, 2]], [[7]], [[1]], [[1, 2]]]
    assert [key for key in sorted({table.key for table in logged.run.tables}) if key.startswith("parts/")] == [keys[-1]]
    (row,) = rows_of(logged.tables("mine/sub/mine")[0].read())
    assert pixels(row["i"]).tolist() == [[0, 0], [0, 0]]


def test_what_a_person_should_know_is_said(logged: Logged) -> None:
    assert "epoch counts from 0 in W&B; 1 is added" in logged.run.notes
    assert not any("left out" in note for note in logged.run.notes)


@pytest.mark.parametrize("place", ["", "wandb", "wandb/latest-run"])
def test_a_run_is_found_once_from_its_folder_and_those_above(logged: Logged, place: str) -> None:
    assert [run.origin["id"] for run in offline_runs(logged.folder / place)] == [logged.run.origin["id"]]


def test_the_log_file_itself_is_the_run(logged: Logged) -> None:
    assert offline_runs(next(logged.place.glob("*.wandb")))[0].config == logged.run.config


def moved(logged: Logged, tmp_path: Path) -> Path:
    """The run's folder alone, as it arrives on another machine, where W&B's data folder is not."""
    copy = tmp_path / "elsewhere" / logged.place.name
    shutil.copytree(logged.place, copy)
    hidden = logged.folder / "hidden"
    (logged.folder / "data").rename(hidden)
    return copy


@pytest.fixture
def copied(logged: Logged, tmp_path: Path) -> Iterator[Path]:
    yield moved(logged, tmp_path)
    (logged.folder / "hidden").rename(logged.folder / "data")


def test_images_that_are_gone_are_null_counted_and_never_a_word(copied: Path) -> None:
    (run,) = offline_runs(copied)
    table = next(table for table in run.tables if table.key == "test_predictions")
    rows = table.read()
    found = rows_of(rows)
    assert [row["이미지 😀"] for row in found] == [row["page"] for row in found] == [None] * 3
    assert {rows.schema.field(name).type for name in ("이미지 😀", "page", "sound")} == {MEDIA}
    # Without the artifact's table, a column that says Image in every row is a column of images.
    assert (rows.media_cells, rows.media.whole, rows.media.missing) == (11, 0, 11)
    assert found[2]["id"] == "t-2" and str(found[1]["n"]) == "nan"
    assert any("the artifact's copy, which has the media, is left out: no file" in note for note in rows.notes)
    assert "Image" not in str(found[0].values())
    words = next(table for table in run.tables if table.key == "nested").read()
    assert rows_of(words) == [{"l": [None, None]}]


def test_what_only_the_artifact_had_is_named_when_it_is_gone(copied: Path) -> None:
    (run,) = offline_runs(copied)
    assert any("the tables of artifact 'parts' are left out: no file" in note for note in run.notes)
    side = next(table for table in run.tables if table.key == "joined.table1")
    with pytest.raises(NotFound, match=r"nothing is left of the table 'joined\.table1': .* no file"):
        side.read()


def test_the_data_folder_may_be_given(logged: Logged, copied: Path) -> None:
    (run,) = offline_runs(copied, WandbFolders(data=[logged.folder / "hidden"]))
    rows = next(table for table in run.tables if table.key == "test_predictions").read()
    assert rows_of(rows)[0]["이미지 😀"]["path"].startswith("media/images/")
    assert (rows.media.whole, rows.notes) == (8, ())


def test_one_image_that_is_gone_and_one_that_was_changed_are_counted(logged: Logged, tmp_path: Path) -> None:
    table = logged.tables("test_predictions")[1]
    staging = logged.folder / "data" / "artifacts" / "staging"
    shutil.copytree(staging, tmp_path / "data" / "artifacts" / "staging")
    copy = shutil.copytree(logged.place, tmp_path / "copy" / logged.place.name)
    staging.rename(logged.folder / "aside")
    try:
        images = [
            path
            for path in (tmp_path / "data" / "artifacts" / "staging").iterdir()
            if path.read_bytes()[:4] == b"\x89PNG"
        ]
        wanted = [cell["이미지 😀"] for cell in _with(copy, tmp_path / "data", table.key, 1)[0] if cell["이미지 😀"]]
        same = {path.read_bytes(): path for path in images}
        same[wanted[0]["bytes"]].unlink()
        changed = same[wanted[1]["bytes"]]
        changed.chmod(0o600)
        changed.write_bytes(changed.read_bytes() + b"x")
        found, rows = _with(copy, tmp_path / "data", table.key, 1)
    finally:
        (logged.folder / "aside").rename(staging)
    assert [row["이미지 😀"] for row in found] == [None] * 3
    assert (rows.media.whole, rows.media.missing, rows.media.refused) == (6, 1, 1)
    assert "no file 'media/images/" in rows.media.reasons[0] and "MD5 differs" in rows.media.reasons[1]


def _with(place: Path, data: Path, key: str, version: int) -> tuple[list[dict[str, Any]], TableRows]:
    (run,) = offline_runs(place, WandbFolders(data=[data]))
    rows = [table for table in run.tables if table.key == key][version].read()
    return rows_of(rows), rows


def test_a_runs_own_table_that_was_changed_is_left_out_and_named(logged: Logged, tmp_path: Path) -> None:
    copy = shutil.copytree(logged.place, tmp_path / logged.place.name)
    (path,) = (copy / "files" / "media" / "table").glob("fixed_*")
    path.write_text('{"columns":["a"],"data":[[8]]}')
    (run,) = offline_runs(copy)
    rows = next(table for table in run.tables if table.key == "fixed").read()
    assert rows_of(rows) == [{"a": 1}]  # the artifact's
    assert any(f"{path} is not what was logged: its sha256 differs" in note for note in rows.notes)


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_a_sha256_is_the_same_in_small_and_in_large_letters(spelled: Callable[[str], str], tmp_path: Path) -> None:
    data = b'{"columns": ["a"], "data": [[8]]}'
    told = {"_type": "table-file", "path": "media/t.table.json", "nrows": 1}
    run = write_run(tmp_path / "run-1", [(0, {"t": told | {"sha256": spelled(hashlib.sha256(data).hexdigest())}})])
    (run / "files" / "media").mkdir(parents=True, exist_ok=True)
    (run / "files" / "media" / "t.table.json").write_bytes(data)
    ((table,),) = (one.tables for one in offline_runs(run))
    assert rows_of(table.read()) == [{"a": 8}]


def test_links_in_a_run_folder_are_not_followed(logged: Logged, tmp_path: Path) -> None:
    copy = shutil.copytree(logged.place, tmp_path / logged.place.name)
    files = copy / "files"
    files.rename(tmp_path / "files")
    os.symlink(tmp_path / "files", files)
    (run,) = offline_runs(copy)
    rows = next(table for table in run.tables if table.key == "val/preds").read()
    assert any("leads through a link" in note for note in rows.notes)


def test_a_torn_log_imports_as_far_as_it_goes(logged: Logged, tmp_path: Path) -> None:
    copy = shutil.copytree(logged.place, tmp_path / logged.place.name)
    (path,) = copy.glob("*.wandb")
    data = path.read_bytes()
    whole = [(table.key, table.step) for table in logged.run.tables if table.step is not None]
    counts = set()
    for length in range(7, len(data), len(data) // 40):
        path.write_bytes(data[:length])
        (run,) = offline_runs(copy)
        assert not run.finished
        assert "the log has no end: the run is still going, or was killed; this is what is there" in run.notes
        found = [(table.key, table.step) for table in run.tables]
        assert set(found) <= set(whole) and "final" not in dict(found)
        counts.add(len(found))
        if found:
            assert (
                rows_of(next(table for table in run.tables if table.key == "test_predictions").read())[0]["id"] == "t-0"
            )
    assert len(counts) > 15 and min(counts) == 0


def test_a_run_that_was_killed_at_once_is_a_run_without_tables(tmp_path: Path) -> None:
    place = real_run(tmp_path, "run.log({'a': 1})\nimport signal", end="\nos.kill(os.getpid(), signal.SIGKILL)\n")
    (run,) = offline_runs(place)
    assert (run.tables, run.finished) == ([], False)
    (log,) = place.glob("*.wandb")
    log.write_bytes(log.read_bytes()[:7])
    (run,) = offline_runs(place)
    assert run.name and run.name in place.name
    assert (run.origin, run.config, list(run.metrics())) == ({"kind": "wandb-offline", "path": str(place)}, {}, [])


def test_table_files_that_a_torn_log_does_not_reach_are_said(logged: Logged, tmp_path: Path) -> None:
    copy = shutil.copytree(logged.place, tmp_path / logged.place.name)
    (log,) = copy.glob("*.wandb")
    log.write_bytes(log.read_bytes()[:7])
    files = sorted(copy.glob("files/media/table/**/*.table.json"))
    (run,) = offline_runs(copy)
    said = next(note for note in run.notes if "the log ends before" in note)
    assert said == (
        f"the log ends before {len(files)} of the table files in {copy}/files/media/table; "
        f"each can be imported by itself, {min(files).name} among them"
    )
    assert not any("the log ends before" in note for note in logged.run.notes)


LARGE = """
exact = wandb.Table(columns=["a"], data=[[i] for i in range(10_000)])
run.log({"exact": exact})
begin, second = dt.datetime(2026, 1, 1, 0, 0, 0, 1), dt.timedelta(seconds=1)
cells = [[i, math.nan if i % 2 else i / 2, begin + i * second, [i]] for i in range(10_050)]
run.log({"long": wandb.Table(columns=["a", "n", "at", "l"], data=cells)})
from wandb.sdk.interface import interface
interface.MANIFEST_FILE_SIZE_THRESHOLD = 2
image = [wandb.Image(np.full((1, 1), i, np.uint8)) for i in range(3)]
run.log({"many": wandb.Table(columns=["i"], data=[[one] for one in image])})
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    folder = tmp_path_factory.mktemp("large")
    return Logged(folder, real_run(folder, LARGE))


def test_rows_beyond_ten_thousand_come_from_the_artifact(large: Logged) -> None:
    rows = large.tables("long")[0].read()
    table = pa.Table.from_batches(rows.batches(), schema=rows.schema)
    assert table["a"].to_pylist() == list(range(10_050))
    assert [table["n"][i].as_py() is None for i in (9_999, 10_001)] == [False, True]
    assert [table["n"][i].as_py() for i in (9_998, 10_000)] == [4999.0, 5000.0]
    assert [table["at"][i].as_py().microsecond for i in (9_999, 10_000)] == [1, 0]
    assert table["l"][10_049].as_py() == [10_049]
    assert rows.notes == (
        "the rows after the first 10,000 come from the artifact's table, "
        "where NaN is NULL and a time is UTC and ends at the millisecond",
    )


def test_exactly_ten_thousand_rows_are_whole_where_the_log_says_so(large: Logged) -> None:
    assert large.tables("exact")[0].read().notes == ()
    (path,) = (large.place / "files" / "media" / "table").glob("exact_*")
    assert table_file(path).tables[0].read().notes == ("has exactly 10,000 rows: probably cut by W&B",)


def test_without_the_artifact_a_long_table_says_how_much_is_left(large: Logged, tmp_path: Path) -> None:
    copy = moved(large, tmp_path)
    try:
        (run,) = offline_runs(copy)
        rows = next(table for table in run.tables if table.key == "long").read()
    finally:
        (large.folder / "hidden").rename(large.folder / "data")
    assert rows.rows == 10_000
    assert rows.notes[-1] == "has 10,000 of the 10,050 rows that were logged; W&B cut the rest"


def test_a_manifest_in_a_file_of_its_own_is_read(large: Logged) -> None:
    rows = large.tables("many")[0].read()
    assert [pixels(row["i"]).tolist() for row in rows_of(rows)] == [[[0]], [[1]], [[2]]]


def test_the_mirror_of_our_own_recorder_equals_the_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.dataset as ds

    from secondguess.trainer.mirror.mirror import WandbOptions
    from secondguess.trainer.recorder import Recorder

    for name, value in environment(tmp_path).items():
        if name.startswith("WANDB_") or name == "HOME":
            monkeypatch.setenv(name, value)
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    scores = np.random.default_rng(1).dirichlet([1, 1, 1], (2, 12)).astype(np.float32)
    extra = {
        "note": ["값", None] * 6,
        "odd": [0.5, math.nan] * 6,
        "at": [datetime(2026, 1, 1, 0, 0, 0, i) for i in range(12)],
    }
    store = tmp_path / "store"
    with Recorder(store, run="cnn", config={"lr": 0.1}, wandb=WandbOptions(**PATIENT)) as recorder:
        for epoch in (1, 2):
            recorder.log(loss=1 / epoch)
            with recorder.table("test_predictions", epoch=epoch, acc=90.0 + epoch) as table:
                ids = [f"t-{i}" for i in range(12)]
                table.add(ids=ids, images=images, truth=np.arange(12) % 3, scores=scores[epoch - 1], **extra)
    expected = ds.dataset(sorted((store / "cnn" / "test_predictions").glob("*.parquet"))).to_table().to_pylist()
    for place in (store, shutil.copytree(store, tmp_path / "copy")):
        if place != store:
            shutil.rmtree(store)
        (run,) = offline_runs(place)
        assert (run.name, run.config["lr"], run.finished) == ("cnn", 0.1, True)
        assert [(table.key, table.epoch) for table in run.tables] == [("test_predictions", 1), ("test_predictions", 2)]
        metrics = {(epoch, name, value) for _, epoch, name, value in run.metrics()}
        assert metrics == {(None, "loss", 1.0), (1, "acc", 91.0), (None, "loss", 0.5), (2, "acc", 92.0)}
        for table in run.tables:
            rows = table.read()
            twin = [row for row in expected if row["epoch"] == table.epoch]
            for number, (row, other) in enumerate(zip(rows_of(rows), twin, strict=True)):
                assert np.array_equal(pixels(row.pop("image")), images[number])
                assert list(row) == ["id", "guess", "truth", "score_0", "score_1", "score_2", "note", "odd", "at"]
                assert repr(row) == repr({name: other[name] for name in row})
            assert (rows.media.whole, rows.notes) == (12, ())


def test_an_online_runs_folder_has_cells_but_no_images(tmp_path: Path) -> None:
    script = """
table = wandb.Table(columns=["a", "i"], data=[[1, wandb.Image(np.zeros((2, 2), np.uint8))]])
run.log({"t": table, "epoch": 3})
"""
    with WandbServer() as server:
        place = real_run(tmp_path, script, WANDB_MODE="online", WANDB_BASE_URL=server.url)
    (run,) = offline_runs(place)
    (table,) = run.tables
    rows = table.read()
    assert (table.epoch, table.step, rows_of(rows)) == (3, 0, [{"a": 1, "i": None}])
    assert (rows.media_cells, rows.media.missing) == (1, 1)
    assert any("the log does not list the artifact, as that of a run that was online" in note for note in rows.notes)


def table_value(number: int, **more: Any) -> dict[str, Any]:
    return {"_type": "table-file", "path": f"media/table/t_{number}.table.json", "nrows": 1} | more


T = [{"t": table_value(number)} for number in range(5)]


@pytest.mark.parametrize(
    ("history", "epochs", "note"),
    [
        ([{**T[0], "epoch": 1}, {**T[1], "epoch": 2}], [1, 2], None),
        ([{**T[0], "epoch": 0}, {**T[1], "epoch": 1}], [1, 2], "epoch counts from 0 in W&B; 1 is added"),
        ([{"epoch": 0}, {**T[0], "epoch": 4}], [5], "epoch counts from 0 in W&B; 1 is added"),
        ([{"epoch": 3}, {"loss": 1}, T[0], {"epoch": 7}, T[1]], [3, 7], None),
        ([T[0], {"epoch": 1}, T[1], {"epoch": 2}, T[2]], [1, 2, 3], "epoch 1 would belong to more than one"),
        ([T[0], {"epoch": 5}, T[1]], [1, 5], "1 of the versions of 't' come before any epoch"),
        ([T[0], T[1], T[2]], [1, 2, 3], "the history has no epoch; the versions of each table are numbered in order"),
        ([{**T[0], "epoch": 2}, {**T[1], "epoch": 2}], [1, 2], "epoch 2 would belong to more than one"),
        ([{**T[0], "epoch": 3.0}], [3], None),
        ([{"epoch": 0}, {"epoch": 0.5}, {**T[0], "epoch": 1.0}, {**T[1], "epoch": 2.0}], [1, 2], None),
        ([{**T[0], "epoch": 0.5}, {**T[1], "epoch": 1.0}], [1, 2], "epoch 0.5 is no whole number"),
        ([{**T[0], "epoch": -1}, {**T[1], "epoch": 1}], [1, 2], "epoch -1 is no whole number"),
        ([{**T[0], "epoch": "one"}], [1], "the history has no epoch"),
        ([{**T[0], "epoch": 10**400}], [1], "the history has no epoch"),
        ([{**T[0], "epoch": float("nan")}], [1], "the history has no epoch"),
        ([{**T[0], "epoch": True}], [1], "the history has no epoch"),
        ([{**T[0], "epoch": 1}, {**T[0], "epoch": 2}], [1], None),
    ],
)
def test_the_epoch_of_a_table(
    history: list[dict[str, Any]], epochs: list[int], note: str | None, tmp_path: Path
) -> None:
    place = write_run(tmp_path / "offline-run-1-x", enumerate(history))
    (run,) = offline_runs(place)
    assert [table.epoch for table in run.tables] == epochs
    said = [one for one in run.notes if "the log has no end" not in one]
    assert len(said) == (note is not None) and all(note in one for one in said if note)


@pytest.mark.parametrize("key", ["step", "trainer/global_step"])
def test_versions_of_one_epoch_are_told_apart_by_the_steps_of_their_rows(key: str, tmp_path: Path) -> None:
    history = [{**T[at], "epoch": 1 + at // 2, key: 100 * (at + 1)} for at in range(4)]
    (run,) = offline_runs(write_run(tmp_path / "offline-run-1-x", enumerate(history)))
    assert [(table.epoch, table.step, table.within) for table in run.tables] == [
        (1, 100, True),
        (1, 200, True),
        (2, 300, True),
        (2, 400, True),
    ]
    assert any("'t' has several versions in epoch 1, told apart by their step" in note for note in run.notes)
    history = [{**T[at], "epoch": 1, key: 7} for at in range(2)]
    (run,) = offline_runs(write_run(tmp_path / "offline-run-2-y", enumerate(history)))
    assert [(table.epoch, table.within) for table in run.tables] == [(1, False), (2, False)]


def test_another_key_may_tell_the_epoch(tmp_path: Path) -> None:
    history = [{**T[0], "epoch": 9, "trainer/epoch": 4, "t2": {"e": 6}}, {**T[1], "trainer/epoch": 5}]
    place = write_run(tmp_path / "offline-run-1-x", enumerate(history))
    assert [table.epoch for table in offline_runs(place, epoch_key="trainer/epoch")[0].tables] == [4, 5]
    assert [table.epoch for table in offline_runs(place, epoch_key="t2.e")[0].tables][:1] == [1]
    (run,) = offline_runs(place, epoch_key="trainer/epoch")
    assert (0, 4, "epoch", 9.0) in list(run.metrics())


def test_a_metrics_epoch_is_shifted_as_the_tables_is(tmp_path: Path) -> None:
    place = write_run(tmp_path / "run-1-x", enumerate([{"epoch": 0, "acc": 1}, {"loss": 2}, {"epoch": 1, "acc": 3}]))
    (run,) = offline_runs(place)
    expected = [(0, 1, "acc", 1.0), (1, None, "loss", 2.0), (2, 2, "acc", 3.0)]
    assert list(run.metrics()) == list(run.metrics()) == expected


def test_a_folder_full_of_runs_gives_each_in_order(tmp_path: Path) -> None:
    for name in ("offline-run-2-b", "offline-run-1-a", "run-3-c"):
        write_run(tmp_path / "wandb" / name, [])
    (tmp_path / "wandb" / "not a run").mkdir()
    (tmp_path / "wandb" / "debug.log").write_text("x")
    os.symlink(tmp_path / "wandb" / "run-3-c", tmp_path / "wandb" / "latest-run")
    assert [run.name for run in offline_runs(tmp_path / "wandb")] == ["a", "b", "c"]
    assert [run.name for run in offline_runs(tmp_path)] == ["a", "b", "c"]


@pytest.mark.parametrize("place", ["", "nowhere", "file"])
def test_where_no_run_is_the_message_says_what_was_looked_for(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "wandb").mkdir()
    with pytest.raises(NotFound, match=r"no W&B run at .*: no run-\*\.wandb in it"):
        offline_runs(tmp_path / place)


def exit_record(code: int) -> pb.Record:
    record = pb.Record()
    record.exit.exit_code = code
    return record


def test_how_the_run_ended_is_told(tmp_path: Path) -> None:
    (run,) = offline_runs(write_run(tmp_path / "run-1-x", [], exit_record(3)))
    assert (run.finished, run.origin["exit_code"]) == (True, 3)


HOSTILE: list[tuple[dict[str, Any], str]] = [
    ({"path": "../../secret.table.json"}, "leads out of its folder"),
    ({"path": "/etc/passwd"}, "leads out of its folder"),
    ({"path": "media/pipe.table.json"}, "is not a regular file"),
    ({"path": "media/link.table.json"}, "is a link"),
    ({"path": "media/out/secret.table.json"}, "leads through a link"),
    ({"path": "media/zero.table.json"}, "is a link"),
    ({"path": "media/gone.table.json"}, "no file"),
    ({"path": 7}, "nothing is left"),
    ({"artifact_path": "wandb-client-artifact://x/t.table.json", "path": ""}, "the log does not list the artifact"),
]


@pytest.mark.parametrize(("value", "why"), HOSTILE)
def test_a_log_cannot_have_other_files_read(value: dict[str, Any], why: str, tmp_path: Path) -> None:
    (tmp_path / "secret.table.json").write_text('{"columns": ["secret"], "data": [[1]]}')
    place = write_run(tmp_path / "run-1-x", [(0, {"t": {"_type": "table-file", **value}})])
    media = place / "files" / "media"
    media.mkdir(parents=True)
    os.mkfifo(media / "pipe.table.json")
    os.symlink(tmp_path / "secret.table.json", media / "link.table.json")
    os.symlink("/dev/zero", media / "zero.table.json")
    os.symlink(tmp_path, media / "out")
    (run,) = offline_runs(place)
    (table,) = run.tables
    with pytest.raises(NotFound) as raised:
        table.read()  # a pipe and /dev/zero never end
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)


def staged_run(folder: Path, entries: Mapping[str, Mapping[str, str]]) -> Path:
    """A run whose only table is in an artifact with these entries (path: digest, local_path, ref)."""
    record = pb.Record()
    record.artifact.client_id = "c"
    record.artifact.type = "run_table"
    for path, about in entries.items():
        record.artifact.manifest.contents.add(path=path, **about)
    value = {"_type": "table-file", "artifact_path": "wandb-client-artifact://c/t.table.json", "nrows": 1}
    return write_run(folder, [(0, {"t": value})], record)


def digest(data: bytes) -> str:
    import base64
    import hashlib

    return base64.b64encode(hashlib.md5(data).digest()).decode()


def test_a_log_cannot_have_an_image_read_from_outside_wandbs_folders(tmp_path: Path) -> None:
    staging = tmp_path / "data" / "artifacts" / "staging"
    staging.mkdir(parents=True)
    secret = tmp_path / "secret.png"
    Image.new("L", (2, 2)).save(secret)
    cells = [{"_type": "image-file", "path": path} for path in ("a.png", "../a.png", "b.png", "/etc/passwd")]
    types = {"wb_type": "typedDict", "params": {"type_map": {"i": {"wb_type": "image-file"}}}}
    table = {"_type": "table", "column_types": types, "columns": ["i"], "data": [[cell] for cell in cells]}
    (staging / "tmp1").write_text(json.dumps(table))
    md5 = digest(secret.read_bytes())
    entries = {
        "t.table.json": {"digest": digest((staging / "tmp1").read_bytes()), "local_path": str(staging / "tmp1")},
        "a.png": {"digest": md5, "local_path": str(secret)},
        "../a.png": {"digest": md5, "local_path": str(secret)},
        "b.png": {"digest": md5, "ref": f"file://{secret}"},
        "/etc/passwd": {"digest": md5, "local_path": "/etc/passwd"},
    }
    (run,) = offline_runs(staged_run(tmp_path / "run-1-x", entries))
    rows = run.tables[0].read()
    assert rows_of(rows) == [{"i": None}] * 4
    assert (rows.media.whole, rows.media.missing, rows.media.refused) == (0, 1, 3)
    shown = str(secret)[:80]  # a long path is cut
    assert rows.media.reasons[0] == f"'a.png' is said to be at {shown!r}, outside W&B's folders"


def test_history_that_is_nested_without_end_is_no_table(tmp_path: Path) -> None:
    deep: dict[str, Any] = table_value(1)
    for _ in range(200):
        deep = {"x": deep}
    (run,) = offline_runs(write_run(tmp_path / "run-1-x", [(0, {"a": deep, "b": [deep]})]))
    assert (run.tables, list(run.metrics())) == ([], [])


def test_odd_values_in_the_history_do_not_stop_an_import(tmp_path: Path) -> None:
    odd = {"_type": "table-file", "path": None, "sha256": 3, "artifact_path": ["x"], "nrows": "many"}
    history = [{"t": odd, "_step": 10**40}, {"t": {"_type": ["x"]}, "n": 10**400, "m": [1]}, {"": 1.5}]
    (run,) = offline_runs(write_run(tmp_path / "run-1-x", enumerate(history)))
    assert [(table.key, table.step) for table in run.tables] == [("t", 0)]
    with pytest.raises(SecondguessError):
        run.tables[0].read()
    assert [one for one in run.metrics() if one[2] != "_step"] == [(2, None, "", 1.5)]


def test_a_damaged_log_is_refused_by_name(tmp_path: Path) -> None:
    place = write_run(tmp_path / "run-1-x", [(step, {"a": step}) for step in range(50)])
    (log,) = place.glob("*.wandb")
    data = bytearray(log.read_bytes())
    data[100] ^= 4
    log.write_bytes(data)
    with pytest.raises(Damaged, match=r"run-x\.wandb is damaged at byte"):
        offline_runs(place)


def test_a_log_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run-1-x").mkdir()
    os.mkfifo(tmp_path / "run-1-x" / "run-x.wandb")
    with pytest.raises(BadInput, match="is not a regular file"):
        offline_runs(tmp_path / "run-1-x")


def test_reading_a_log_does_not_hold_it(tmp_path: Path) -> None:
    record = pb.Record()
    record.output_raw.line = "x" * 1000
    place = tmp_path / "run-1-x"
    place.mkdir()
    (place / "run-x.wandb").write_bytes(framed([record.SerializeToString()] * 50_000))
    import tracemalloc

    tracemalloc.start()
    (run,) = offline_runs(place)
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()
    assert run.tables == []
