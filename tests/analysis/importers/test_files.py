"""Foreign Parquet files that are odd, large or hostile: imported, or refused in a line, in bounded memory and time."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from waiting import HANG_S

ROWS = {"id": ["a", "b", "c"], "guess": [0, 1, 2], "truth": [0, 1, 1]}
_MOST_S = 60
_MOST_BYTES = 4 << 30


def brought(path: Path) -> tuple[int, str]:
    """The exit code and what was said of the import of a file, in a process of four gigabytes, within a minute."""
    command = [sys.executable, "-m", "secondguess", "import", str(path), "--store", str(path.parent / "predictions")]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, preexec_fn=limit)
    assert time.monotonic() - began < _MOST_S
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1] if done.returncode else done.stdout


def imported(path: Path, columns: str) -> list[tuple[Any, ...]]:
    """The rows that the import of a file left in the store."""
    files = f"{path.parent}/predictions/{path.stem}/test_predictions/*.parquet"
    return duckdb.sql(f"SELECT {columns} FROM '{files}' ORDER BY id").fetchall()


def write(path: Path, more: dict[str, Any], **how: Any) -> None:
    pq.write_table(pa.table({**ROWS, **more}), path, **how)


def bomb_of_repeated_text(path: Path) -> None:
    """A few KB, of which 2 GB become."""
    text = pa.array(["x" * 1_000_000]).take(pa.array(np.zeros(1_000, np.int64)))
    rows = pa.table({"id": [str(row) for row in range(1_000)], "guess": [0] * 1_000, "truth": [0] * 1_000, "t": text})
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for _ in range(2):
            writer.write_table(rows)


def bomb_of_one_image(path: Path) -> None:
    """A few KB, of which 2 GB become."""
    data = pa.array([b"x" * 1_000_000]).take(pa.array(np.zeros(300, np.int64)))
    image = pa.StructArray.from_arrays([data, pa.nulls(300, pa.string())], ["bytes", "path"])
    rows = pa.table({"id": [str(row) for row in range(300)], "guess": [0] * 300, "truth": [0] * 300, "image": image})
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for _ in range(7):
            writer.write_table(rows)


def bomb_of_zeros(path: Path) -> None:
    """600 KB, of which 1 GB becomes; its footer says so."""
    schema = pa.schema([("id", pa.int64()), ("guess", pa.int64()), ("truth", pa.int64())])
    zeros = np.zeros(4_500_000, np.int64)
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for _ in range(10):
            writer.write_table(pa.table(dict.fromkeys(schema.names, zeros)), row_group_size=len(zeros))


@pytest.mark.parametrize("write_bomb", [bomb_of_repeated_text, bomb_of_one_image, bomb_of_zeros])
def test_a_file_that_becomes_a_thousand_times_as_large_is_refused(
    tmp_path: Path, write_bomb: Callable[[Path], None]
) -> None:
    path = tmp_path / "bomb.parquet"
    write_bomb(path)
    assert path.stat().st_size < 1_100_000
    code, said = brought(path)
    assert (code, "becomes more than 1,073,741,824 when it is read" in said) == (1, True), said
    assert not (tmp_path / "predictions" / "bomb").exists()


def test_a_file_of_too_many_columns_is_refused_by_its_footer(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    write(path, {f"c{number}": [1.0, 2.0, 3.0] for number in range(20_000)})
    assert brought(path) == (
        1,
        f"secondguess: {path} has 20,003 columns; at most 10,000 are taken: leave some out",
    )


def test_a_file_of_many_columns_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    write(path, {f"c{number}": [1.0, 2.0, 3.0] for number in range(3_000)})
    assert brought(path)[0] == 0
    assert imported(path, "id, c0, c2999") == [("a", 1.0, 1.0), ("b", 2.0, 2.0), ("c", 3.0, 3.0)]


def test_a_file_without_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    pq.write_table(pa.table({}), path)
    assert brought(path) == (1, f"secondguess: {path} has no columns, so there is nothing to import")


@pytest.mark.parametrize("groups", [0, 1])
def test_a_file_without_rows_is_a_run_without_rows(tmp_path: Path, groups: int) -> None:
    path = tmp_path / "empty.parquet"
    with pq.ParquetWriter(path, pa.table(ROWS).schema) as writer:
        if groups:
            writer.write_table(pa.table(ROWS).slice(0, 0))
    code, said = brought(path)
    assert (code, "epoch 1: 0 rows" in said) == (0, True)


def test_dates_of_96_bits_are_dates(tmp_path: Path) -> None:
    path = tmp_path / "int96.parquet"
    write(path, {"day": pa.array([0, 1, None], pa.timestamp("s"))}, use_deprecated_int96_timestamps=True)
    assert brought(path)[0] == 0
    assert imported(path, "day::TIMESTAMP::VARCHAR") == [("1970-01-01 00:00:00",), ("1970-01-01 00:00:01",), (None,)]


def test_nested_columns_stay_nested(tmp_path: Path) -> None:
    path = tmp_path / "nested.parquet"
    words = pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64()))
    write(path, {"list": [[1], [2, 3], None], "record": [{"a": 1}, {"a": 2}, None], "words": words})
    assert brought(path)[0] == 0
    assert imported(path, "list, record, words") == [([1], {"a": 1}, {"k": 1}), ([2, 3], {"a": 2}, {}), (None,) * 3]


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.parquet"
    write(path, {})
    path.write_bytes(path.read_bytes()[:-4] + b"PARE")
    code, said = brought(path)
    assert code == 1
    assert said.startswith(f"secondguess: {path} cannot be read: Could not read encrypted metadata")
