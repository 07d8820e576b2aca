"""A sample store, which shows what columns a question's answer has before there is a store of one's own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from secondguess.analysis.ask import statements
from secondguess.analysis.ask.questions import Question
from secondguess.analysis.engine.duck import explained, fresh
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.schema import Task, whole_name
from secondguess.analysis.store.commits import EpochRows
from secondguess.analysis.store.writer import RunWriter

_RUNS = ("a", "b")
_CLASSES = ("no", "yes")
_LABELS: dict[Task, pa.Array] = {
    "classification": pa.array(["no", "yes"]).dictionary_encode(),
    "multi-label": pa.array([["no"], ["no", "yes"]]),
    "regression": pa.array([0.5, 1.0]),
}


@contextmanager
def sample() -> Iterator[Path]:
    """A store of two runs of two epochs, with a table for each task, for as long as the block takes."""
    with tempfile.TemporaryDirectory(prefix="secondguess-") as folder:
        store = Path(folder) / "sample"
        for run in _RUNS:
            writer = RunWriter.create(store, run, {"origin": "sample", "config": {}, "classes": list(_CLASSES)})
            for task, labels in _LABELS.items():
                for epoch in (1, 2):
                    classes = None if task == "regression" else _CLASSES
                    writer.commit(EpochRows(task, epoch, _rows(run, epoch, labels), classes))
            writer.close()
        yield store


def columns(store: Path, asked: Question) -> list[dict[str, str]] | str:
    """Name and SQL type of each column of the answer that the sample gives; why there is none, where there is none."""
    con = fresh()
    try:
        tables = [whole_name(run, asked.tasks[0]) for run in _RUNS[: asked.tables[0]]]
        statement = statements.question(con, store, asked, tables, {})
        described = con.execute(f"DESCRIBE {statement.sql}", statement.bound).fetchall()
        return [{"name": name, "type": kind} for name, kind, *_ in described]
    except SecondguessError as error:
        return str(error)
    except duckdb.Error as error:
        return str(explained(error))
    finally:
        con.close()


def _rows(run: str, epoch: int, labels: pa.Array) -> pa.Table:
    """Three examples of these labels, the last of which is taken for the second; two scores each."""
    scores = {
        name: pa.array([0.75, 0.25, 0.25], pa.float32()) for name in ("confidence", "truth_score", "score_0", "score_1")
    }
    return pa.table(
        {
            "run": pa.array([run] * 3).dictionary_encode(),
            "epoch": pa.array([epoch] * 3, pa.int32()),
            "id": pa.array(["1", "2", "3"]),
            "guess": labels.take(pa.array([0, 1, 1])),
            "truth": labels.take(pa.array([0, 1, 0])),
            **({} if labels.type == pa.float64() else scores),
        }
    )
