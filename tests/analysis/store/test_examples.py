"""Examples files: each image once, whatever number of epochs and runs saw it."""

import io
import json
import os
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from stores import names, plain, record

from secondguess.analysis.content import text_digests
from secondguess.analysis.errors import Damaged
from secondguess.analysis.store import examples, parquet
from secondguess.analysis.store.commits import ExamplesFile
from secondguess.analysis.store.examples import Batch, ExamplesWriter
from secondguess.analysis.store.rows import read_epoch
from secondguess.analysis.store.runs import find_run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def grey(*levels: int) -> np.ndarray:
    """N x 2 x 3 images, each of one grey."""
    return np.array(levels, np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)


def images(file: Path) -> dict[str, int]:
    """The grey of each id's image, as Pillow decodes it from a bare file."""
    found = duckdb.sql(f"SELECT id, image.bytes FROM read_parquet('{file}')").fetchall()
    decoded = {name: Image.open(io.BytesIO(data)) for name, data in found}
    assert all(image.size == (3, 2) and image.mode == "L" for image in decoded.values())
    return {name: int(np.asarray(image)[0, 0]) for name, image in decoded.items()}


def batch(ids: str, levels: list[int], **columns: Any) -> dict[str, Any]:
    return {"ids": list(ids), "images": grey(*levels), "guess": [0] * len(ids), **columns}


def test_an_image_is_stored_once_over_five_epochs_and_two_runs(store: Path) -> None:
    for run in ("cnn", "double"):
        record(store, run, [[batch("abc", [1, 2, 3], truth=[0, 1, 0])]] * 5)
    (file,) = (store / "examples").iterdir()
    assert images(file) == {"a": 1, "b": 2, "c": 3}
    held = [
        epoch.examples
        for run in ("cnn", "double")
        for epoch in find_run(store, run).tables["test_predictions"].values()
    ]
    assert held == [file] * 10


def test_the_order_and_size_of_batches_do_not_matter(store: Path) -> None:
    record(store, "cnn", [[batch("abc", [1, 2, 3])], [batch("ca", [3, 1]), batch("b", [2])]])
    record(store, "other", [[batch("c", [3]), batch("b", [2]), batch("a", [1])]])
    assert len(names(store / "examples")) == 1


@pytest.mark.parametrize(
    "other",
    [
        batch("ab", [1, 2], truth=[0, 1]),
        batch("ab", [1, 2], truth=[0, None]),
        batch("ab", [1, 2]),
        batch("ab", [1, 9], truth=[0, 0]),
        batch("ac", [1, 2], truth=[0, 0]),
        batch("ba", [1, 2], truth=[0, 0]),
        batch("abc", [1, 2, 2], truth=[0, 0, 0]),
        batch("ab", [1, 2], truth=["0", "0"]) | {"guess": ["0", "0"]},
    ],
    ids=["relabelled", "unlabelled", "without truth", "other image", "other id", "swapped", "one more", "as text"],
)
def test_other_examples_are_another_file(store: Path, other: dict[str, Any]) -> None:
    record(store, "cnn", [[batch("ab", [1, 2], truth=[0, 0])]])
    record(store, "other", [[other]])
    files = [find_run(store, run).tables["test_predictions"][1].examples for run in ("cnn", "other")]
    assert len(set(files)) == 2
    assert {path.name for path in files if path is not None} == set(names(store / "examples"))


def test_an_id_cannot_be_made_to_look_like_two(store: Path) -> None:
    """Names are joined into what identifies a set of examples; no separator in one may stand for another set."""
    levels = [1, 1]
    for run, ids in (
        ("a", ["x\x1f0\x1ey", "z"]),
        ("b", ["x", "y\x1f0\x1ez"]),
        ("c", ["x0", "1y"]),
        ("d", ["x", "01y"]),
    ):
        record(store, run, [[batch("ab", levels, truth=[0, 1]) | {"ids": ids}]])
    assert len(names(store / "examples")) == 4


def test_epochs_that_see_parts_of_a_data_set_keep_every_image(store: Path) -> None:
    """An image that was stored with an earlier epoch is taken from there, from whichever file has it."""
    parts = [("ab", [1, 2]), ("c", [3]), ("a", [1]), ("cb", [3, 2]), ("abcd", [1, 2, 3, 4]), ("d", [4])]
    record(store, "cnn", [[batch(*part)] for part in parts])
    epochs = find_run(store, "cnn").tables["test_predictions"]
    for number, (ids, levels) in enumerate(parts, start=1):
        file = epochs[number].examples
        assert file is not None
        assert images(file) == dict(zip(ids, levels, strict=True))


def test_ids_may_share_an_image_and_an_id_may_change_its_image(store: Path) -> None:
    record(store, "cnn", [[batch("abc", [1, 1, 2])], [batch("abc", [2, 1, 1])]])
    files = [epoch.examples for epoch in find_run(store, "cnn").tables["test_predictions"].values()]
    assert [images(file) for file in files if file] == [{"a": 1, "b": 1, "c": 2}, {"a": 2, "b": 1, "c": 1}]


def test_images_beyond_memory_wait_on_disk_and_come_out_the_same(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "HELD_BYTES", 150)
    in_order = [batch(chr(97 + at), [at]) for at in range(8)]
    mixed = [batch("ab", [7, 7]), batch("c", [1]), batch("de", [1, 8]), batch("f", [9]), batch("gh", [20, 7])]
    record(store, "cnn", [in_order, mixed])
    first, second = (epoch.examples for epoch in find_run(store, "cnn").tables["test_predictions"].values())
    assert first and second
    assert images(first) == {chr(97 + at): at for at in range(8)}
    assert images(second) == {"a": 7, "b": 7, "c": 1, "d": 1, "e": 8, "f": 9, "g": 20, "h": 7}
    assert pq.read_metadata(first).num_row_groups > 1  # read and written a piece at a time
    assert list((store / "cnn" / ".incoming").iterdir()) == []


def test_an_image_column_is_what_hugging_face_shows_as_images(store: Path) -> None:
    record(store, "cnn", [[batch("ab", [1, 2], truth=["x", "y"]) | {"guess": ["x", "y"]}]])
    (file,) = (store / "examples").iterdir()
    schema = pq.read_schema(file)
    assert schema.names == ["id", "digest", "truth", "image"]
    assert schema.field("image").type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert json.loads(schema.metadata[b"huggingface"]) == {"info": {"features": {"image": {"_type": "Image"}}}}
    assert json.loads(schema.metadata[b"secondguess"])["dataset"] == "test_predictions"
    assert plain(file, "id, truth, image.path") == [("a", "x", None), ("b", "y", None)]


def test_pages_of_images_carry_checksums(store: Path) -> None:
    record(store, "cnn", [[batch("abcdefgh", list(range(8)))]])
    (file,) = (store / "examples").iterdir()
    bad = bytearray(file.read_bytes())
    bad[len(bad) // 3] ^= 1
    file.write_bytes(bad)
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(file, page_checksum_verification=True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (["one", "zwei"], ["one", "zwei"]),
        ([[1, 2.5], [3, 4]], [[1.0, 2.5], [3.0, 4.0]]),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
    ],
)
def test_what_is_no_image_is_kept_as_text_or_numbers(store: Path, content: Any, expected: list[Any]) -> None:
    record(store, "cnn", [[{"ids": ["a", "b"], "content": content, "guess": [0, 1]}]] * 2)
    (file,) = (store / "examples").iterdir()
    assert plain(file, "id, content") == list(zip("ab", expected, strict=True))
    assert b"huggingface" not in pq.read_schema(file).metadata


def test_without_content_there_is_no_examples_file(store: Path) -> None:
    record(store, "cnn", [[{"ids": ["a"], "guess": [0]}]])
    assert not (store / "examples").exists()
    assert find_run(store, "cnn").tables["test_predictions"][1].examples is None


def test_a_batch_without_any_label_does_not_stop_one_that_has_them(store: Path) -> None:
    record(store, "cnn", [[batch("a", [1], truth=[None]), batch("b", [2], truth=[3]), batch("c", [3], truth=[None])]])
    (file,) = (store / "examples").iterdir()
    assert plain(file, "id, truth") == [("a", None), ("b", 3), ("c", None)]


def test_a_data_set_names_the_file(store: Path) -> None:
    from secondguess.trainer.recorder import Recorder

    with Recorder(store, run="cnn") as recorder:
        for table in ("one", "two"):
            with recorder.table(table, epoch=1, dataset="mnist: test") as rows:
                rows.add(**batch("ab", [1, 2]))
    (name,) = names(store / "examples")
    assert name.startswith("mnist%3A test-")


def test_the_rows_for_a_mirror_come_with_their_images(store: Path) -> None:
    record(store, "cnn", [[batch("ba", [2, 1]), batch("c", [2])], [batch("ba", [2, 1])]])
    found = read_epoch(store, "cnn", "test_predictions", 1, None)
    assert found.predictions["id"].to_pylist() == ["b", "a", "c"]
    assert found.images is not None
    assert [int(np.asarray(Image.open(io.BytesIO(data or b"")))[0, 0]) for data in found.images] == [2, 1, 2]
    first = read_epoch(store, "cnn", "test_predictions", 2, 1)
    assert (first.predictions["id"].to_pylist(), first.rows) == (["b"], 2)


# The file itself


def name_of(file: ExamplesFile | None) -> str:
    assert file is not None
    return file.name


def added(writer: ExamplesWriter, *texts: str) -> None:
    digests = text_digests(texts)
    new = {digest: texts[row] for digest, row in writer.unknown(digests).items()}
    writer.add(Batch(list(texts), digests, None, new))


def test_only_unknown_content_is_asked_for_and_a_given_up_epoch_is_forgotten(tmp_path: Path) -> None:
    writer = ExamplesWriter(tmp_path, tmp_path / "in", "d", "text")
    one, two = text_digests(["one", "two"])
    assert writer.unknown([one, two, one]) == {one: 0, two: 1}
    added(writer, "one")
    assert writer.unknown([one, two]) == {two: 1}
    writer.drop()
    assert writer.unknown([one]) == {one: 0}
    assert writer.finish() is None
    added(writer, "one")
    name = writer.finish()
    assert writer.unknown([one]) == {}
    added(writer, "one")
    assert writer.finish() == name


@pytest.mark.parametrize("at_once", [1, 2, 6])
def test_an_id_with_the_same_content_is_kept_once_with_the_truth_it_had_first(tmp_path: Path, at_once: int) -> None:
    """A table that came from elsewhere may have a row twice."""
    writer = ExamplesWriter(tmp_path, tmp_path / "in", "d", "text")
    rows = [("a", "x", 1), ("b", "x", 2), ("a", "y", 3), ("a", "x", 4), ("b", "x", None), ("c", "z", 5)]
    for start in range(0, len(rows), at_once):
        ids, texts, truth = zip(*rows[start : start + at_once], strict=True)
        digests = text_digests(texts)
        new = {digest: texts[row] for digest, row in writer.unknown(digests).items()}
        writer.add(Batch(ids, digests, pa.array(truth, pa.int64()), new))
    file = tmp_path / "examples" / name_of(writer.finish())
    assert plain(file, "id, content, truth") == [("a", "x", 1), ("a", "y", 3), ("b", "x", 2), ("c", "z", 5)]


def test_a_file_of_another_run_is_made_durable_before_it_is_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer may have died between giving the name and syncing the folder."""
    synced: list[str] = []
    sync = os.fsync

    def fsync(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    for _ in range(2):
        synced.clear()
        writer = ExamplesWriter(tmp_path, tmp_path / "in", "d", "text")
        added(writer, "one")
        writer.finish()
    assert synced == [str(tmp_path / "examples")]


def test_content_that_is_gone_is_an_error_and_no_empty_image(tmp_path: Path) -> None:
    writer = ExamplesWriter(tmp_path, tmp_path / "in", "d", "text")
    added(writer, "one", "two")
    name = name_of(writer.finish())
    file = tmp_path / "examples" / name
    table = pq.read_table(file)
    pq.write_table(table.slice(0, 1), file)
    added(writer, "two")
    with pytest.raises(Damaged, match="the content of 1 examples is gone"):
        writer.finish()
    writer.drop()
    added(writer, "one")
    assert name_of(writer.finish()) != name


def test_a_disk_that_refuses_content_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "HELD_BYTES", 10)
    writer = ExamplesWriter(tmp_path, tmp_path / "in", "d", "text")
    added(writer, "a text of some length")
    with monkeypatch.context() as broken:

        def full(handle: int, data: Any) -> int:
            raise OSError(28, "No space left on device")

        broken.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            added(writer, "another text of some length")
        writer.drop()
    assert list((tmp_path / "in").iterdir()) == []
    added(writer, "a text of some length")
    assert plain(tmp_path / "examples" / name_of(writer.finish()), "content") == [("a text of some length",)]


def test_row_groups_are_read_one_at_a_time(tmp_path: Path) -> None:
    with pq.ParquetWriter(tmp_path / "x.parquet", pa.schema([("a", pa.int64()), ("b", pa.int64())])) as file:
        for number in range(3):
            file.write_table(pa.table({"a": [number] * 2, "b": [0, 1]}))
    assert [table.to_pydict() for table in parquet.row_groups(tmp_path / "x.parquet", ["a"])] == [
        {"a": [0, 0]},
        {"a": [1, 1]},
        {"a": [2, 2]},
    ]
