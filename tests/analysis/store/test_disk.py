"""Files that are whole, durable and never overwritten, and what a Parquet file says of itself."""

import errno
import hashlib
import json
import logging
import math
import os
import random
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stores import plain

from secondguess.analysis.errors import Damaged
from secondguess.analysis.store import parquet
from secondguess.analysis.store.disk import Part, make_folder, put_record, synced_at_end
from secondguess.analysis.store.seal import sealed


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_part_is_published_with_what_was_written_and_leaves_nothing_else(tmp_path: Path) -> None:
    with Part(tmp_path) as part:
        part.write(b"abc")
        part.write(memoryview(b"def"))
        assert part.tell() == part.size == 6
        assert part.sha256 == hashlib.sha256(b"abcdef").hexdigest()
        part.publish(tmp_path / "deep" / "er" / "final.bin")
    assert (tmp_path / "deep" / "er" / "final.bin").read_bytes() == b"abcdef"
    assert left(tmp_path) == ["final.bin"]


def test_a_part_that_is_not_published_disappears(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Part(tmp_path) as part:
        part.write(b"abc")
        raise RuntimeError
    assert left(tmp_path) == []


def test_no_glob_for_parquet_finds_a_part(tmp_path: Path) -> None:
    with Part(tmp_path) as part:
        assert not part.path.match("*.parquet")


def test_a_name_is_given_once(tmp_path: Path) -> None:
    final = tmp_path / "final"
    final.write_bytes(b"first")
    with Part(tmp_path) as part, pytest.raises(FileExistsError):
        part.write(b"second")
        part.publish(final)
    assert final.read_bytes() == b"first"
    assert left(tmp_path) == ["final"]


def test_a_closed_part_takes_no_more_bytes(tmp_path: Path) -> None:
    """A writer that is collected late must not write into the file that has got the number meanwhile."""
    with Part(tmp_path) as part:
        pass
    with (tmp_path / "other").open("wb") as other, pytest.raises(OSError, match="Bad file descriptor"):
        part.write(b"x")
        other.flush()
    assert (tmp_path / "other").read_bytes() == b""


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links, as FAT is."""

    def link(source: Any, target: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", str(target))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("no_links")
def test_where_there_are_no_hard_links_a_name_is_still_given_once(tmp_path: Path) -> None:
    put_record(tmp_path / "a" / "one.json", {"n": 1}, tmp_path)
    with pytest.raises(FileExistsError):
        put_record(tmp_path / "a" / "one.json", {"n": 2}, tmp_path)
    assert json.loads((tmp_path / "a" / "one.json").read_text()) == sealed({"n": 1})
    assert left(tmp_path) == ["one.json"]


def test_a_record_is_utf8_json_and_has_no_nan(tmp_path: Path) -> None:
    put_record(tmp_path / "r.json", {"name": "naïve 模型"}, tmp_path)
    assert json.loads((tmp_path / "r.json").read_bytes().decode()) == sealed({"name": "naïve 模型"})
    with pytest.raises(ValueError, match="not JSON compliant"):
        put_record(tmp_path / "s.json", {"loss": float("nan")}, tmp_path)
    assert left(tmp_path) == ["r.json"]


def test_a_folder_that_could_not_be_made_durable_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing(os.fsync))
        with pytest.raises(OSError, match="fsync"):
            make_folder(tmp_path / "a" / "b")
    assert left(tmp_path) == []
    assert not (tmp_path / "a").exists()
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def failing(call: Any) -> Any:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.EIO, call.__name__)

    return fail


def test_a_file_system_that_cannot_sync_folders_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def fsync(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    put_record(tmp_path / "deep" / "r.json", {}, tmp_path)
    assert left(tmp_path) == ["r.json"]


def test_data_that_cannot_be_made_durable_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    with pytest.raises(OSError, match="fsync"):
        put_record(tmp_path / "r.json", {}, tmp_path)
    assert left(tmp_path) == []


def test_a_name_that_cannot_be_made_durable_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is reported as failed must not count after all."""
    sync, calls = os.fsync, []

    def second_fails(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        sync(handle)

    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(OSError, match="Input/output"):
        put_record(tmp_path / "r.json", {}, tmp_path)
    assert left(tmp_path) == []


def test_litter_that_stays_behind_fails_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "unlink", failing(os.unlink))
    with caplog.at_level(logging.WARNING, "secondguess"):
        put_record(tmp_path / "r.json", {}, tmp_path)
    assert "could not be removed" in caplog.text
    assert "r.json" in left(tmp_path)


def test_what_is_synced_at_the_end_is_synced_once_and_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, sync = [], os.fsync

    def fsync(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    folder = tmp_path / "new"
    with synced_at_end(folder):
        put_record(folder / "a" / "1.json", {}, folder)
        put_record(folder / "a" / "2.json", {}, folder)
        assert synced == []
    assert sorted(synced) == [str(folder / name) for name in (".", "a", "a/1.json", "a/2.json")]
    put_record(tmp_path / "3.json", {}, tmp_path)
    assert len(synced) > 4


def test_what_fails_before_its_end_is_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(os.fsync))
    with pytest.raises(FileExistsError), synced_at_end(tmp_path):
        put_record(tmp_path / "1.json", {}, tmp_path)
        put_record(tmp_path / "1.json", {}, tmp_path)


# What Parquet files say of themselves


def written(folder: Path, table: pa.Table) -> dict[str, Any]:
    with Part(folder) as part:
        parquet.write_table(part, table)
        return parquet.publish(part, folder / "t", "epoch-00001", table.num_rows)


def test_a_file_is_named_by_its_content_and_described_by_its_size_and_digest(tmp_path: Path) -> None:
    said = written(tmp_path, pa.table({"id": ["a", "b"]}))
    data = (tmp_path / said["name"]).read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    assert said == {"name": f"t/epoch-00001-{sha256[:12]}.parquet", "rows": 2, "bytes": len(data), "sha256": sha256}


def test_the_same_content_again_is_the_same_file(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"]})
    assert written(tmp_path, table) == written(tmp_path, table)
    assert len(left(tmp_path)) == 1


def test_a_file_that_is_there_already_is_made_durable_before_it_is_relied_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gave it its name may have died before syncing the folder."""
    table = pa.table({"id": ["a", "b"]})
    written(tmp_path, table)
    synced, sync = [], os.fsync

    def fsync(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    written(tmp_path, table)
    assert synced[-1] == str(tmp_path / "t")


def test_a_name_that_is_taken_by_other_content_is_no_success(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"]})
    file = tmp_path / written(tmp_path, table)["name"]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(Damaged, match="is not what was written there"):
        written(tmp_path, table)


def test_fewer_rows_on_disk_than_were_written_are_found_before_the_file_counts(tmp_path: Path) -> None:
    with Part(tmp_path) as part, pytest.raises(Damaged, match="holds 1 rows after 2 were written"):
        parquet.write_table(part, pa.table({"id": ["a"]}))
        parquet.publish(part, tmp_path / "t", "epoch-00001", 2)
    assert left(tmp_path) == []


def test_pages_carry_checksums_that_find_every_flipped_bit_in_the_data(tmp_path: Path) -> None:
    rng = random.Random(0)
    score = np.random.default_rng(0).random(2_000, np.float32)
    file = tmp_path / written(tmp_path, pa.table({"id": [str(n) for n in range(2_000)], "score_0": score}))["name"]
    good = file.read_bytes()
    table = pq.read_table(file)
    group = pq.read_metadata(file).row_group(0)
    end = 4 + sum(group.column(at).total_compressed_size for at in range(group.num_columns))
    for _ in range(40):
        at, bad = rng.randrange(4, end), bytearray(good)
        bad[at] ^= 1 << rng.randrange(8)
        file.write_bytes(bad)
        try:
            found = pq.read_table(file, page_checksum_verification=True)
        except OSError:
            continue
        assert found.equals(table)  # a bit that nothing reads


def test_any_flipped_bit_is_found_by_the_digest(tmp_path: Path) -> None:
    rng = random.Random(1)
    said = written(tmp_path, pa.table({"id": ["a", "b"]}))
    file = tmp_path / said["name"]
    good = file.read_bytes()
    parquet.verify(file, said["sha256"])
    for _ in range(100):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        file.write_bytes(bad)
        with pytest.raises(Damaged, match="is not what was written"):
            parquet.verify(file, said["sha256"])


def test_text_that_repeats_has_a_dictionary_and_scores_have_none(tmp_path: Path) -> None:
    rows = {"guess": ["cat", "dog"] * 50, "id": [str(n) for n in range(100)], "score_0": np.linspace(0, 1, 100)}
    file = tmp_path / written(tmp_path, pa.table(rows))["name"]
    group = pq.read_metadata(file).row_group(0)
    dictionaries = {
        group.column(at).path_in_schema: group.column(at).has_dictionary_page for at in range(group.num_columns)
    }
    assert dictionaries == {"guess": True, "id": False, "score_0": False}
    assert {group.column(at).compression for at in range(group.num_columns)} == {"ZSTD"}


@pytest.mark.parametrize("values", [[0.1, math.nan, 0.2], [math.nan] * 3, [math.nan, -math.inf, math.inf], [0.5] * 3])
def test_duckdb_finds_nan_in_a_column_of_floats(tmp_path: Path, values: list[float]) -> None:
    """Bounds in the footer leave NaN out, and DuckDB believes them: with bounds, isnan() is false for all rows."""
    rows = pa.table({"x": pa.array(values, pa.float32()), "y": pa.array(values), "n": [1, 2, 3]})
    file = tmp_path / written(tmp_path, rows)["name"]
    broken = sum(map(math.isnan, values))
    assert plain(file, "count(*) FILTER (isnan(x)), count(*) FILTER (isnan(y))") == [(broken, broken)]
    for column in ("x", "y"):
        assert duckdb.sql(f"SELECT count(*) FROM '{file}' WHERE isnan({column})").fetchall() == [(broken,)]
        more = sum(math.isnan(value) or value > 0.3 for value in values)  # NaN sorts above everything
        assert duckdb.sql(f"SELECT count(*) FROM '{file}' WHERE {column} > 0.3").fetchall() == [(more,)]
    group = pq.read_metadata(file).row_group(0)
    assert [group.column(at).is_stats_set for at in range(3)] == [False, False, True]


def test_a_record_keeps_text_in_a_dictionary_as_text() -> None:
    schema = pa.schema([("id", pa.string()), ("guess", pa.dictionary(pa.int32(), pa.string())), ("n", pa.int64())])
    assert parquet.columns(schema) == [["id", "string"], ["guess", "string"], ["n", "int64"]]
