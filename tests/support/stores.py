"""Small stores for the tests: literal rows in, and what plain tools read out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from secondguess.analysis.cli import main
from secondguess.analysis.store.commits import EpochRows
from secondguess.analysis.store.seal import sealed
from secondguess.analysis.store.writer import RunWriter
from secondguess.trainer.recorder import Recorder

ABOUT = {"origin": "recorded", "config": {}, "classes": None}


def writer(store: Path, run: str = "cnn") -> RunWriter:
    return RunWriter.create(store, run, ABOUT)


def epoch(
    number: int, ids: Sequence[str], *, run: str = "cnn", table: str = "test_predictions", **columns: Any
) -> EpochRows:
    """One epoch as the store takes it; guess is the epoch's number where it is not given."""
    rows = pa.table(
        {
            "run": pa.array([run] * len(ids)).dictionary_encode(),
            "epoch": pa.array([number] * len(ids), pa.int32()),
            "id": pa.array(ids, pa.string()),
            **{"guess": [number] * len(ids), **columns},
        }
    )
    return EpochRows(table, number, rows)


def record(
    store: Path, run: str, epochs: Sequence[Sequence[dict[str, Any]]], table: str = "test_predictions", **how: Any
) -> None:
    """A finished run with an epoch per list of batches."""
    with Recorder(store, run=run, **how) as recorder:
        for number, batches in enumerate(epochs, start=1):
            with recorder.table(table, epoch=number) as rows:
                for batch in batches:
                    rows.add(**batch)


def told(capsys: Any, *command: str) -> tuple[Any, str, int]:
    """What a command answers as JSON, None where it answers nothing; what it says besides; its exit code."""
    code = 0
    try:
        main([*command, "--format", "json"])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return json.loads(out) if out else None, err, code


def plain(pattern: Path | str, columns: str = "epoch, id") -> list[tuple[Any, ...]]:
    """What a bare DuckDB reads from the files of a glob, in order."""
    return duckdb.sql(f"SELECT {columns} FROM read_parquet('{pattern}') ORDER BY ALL").fetchall()


def names(folder: Path) -> list[str]:
    """The names in a folder, hidden ones left out."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def write_record(path: Path, content: Any) -> None:
    """A record as a secondguess would have written it, sealed as one that was."""
    path.write_text(json.dumps(sealed(content) if "sha256" in content else content), encoding="utf-8")


def read_record(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    assert isinstance(found, dict)
    return found


def ran(capsys: Any, *words: object) -> tuple[str, int]:
    """What a command prints, on stdout and then on stderr, and its exit code."""
    code = 0
    try:
        main([*map(str, words)])
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return out + err, code
