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
from secondguess.analysis.schema import DEFAULT_TABLE
from secondguess.analysis.store.commits import EpochRows
from secondguess.analysis.store.writer import RunWriter

_RUNS = ("a", "b")
_CLASSES = ("no", "yes")


@contextmanager
def sample() -> Iterator[Path]:
    """A store of two runs of two epochs of two classes, for as long as the block takes."""
    with tempfile.TemporaryDirectory(prefix="secondguess-") as folder:
        store = Path(folder) / "sample"
        for run in _RUNS:
            writer = RunWriter.create(store, run, {"origin": "sample", "config": {}, "classes": list(_CLASSES)})
            for epoch in (1, 2):
                writer.commit(EpochRows(DEFAULT_TABLE, epoch, _rows(run, epoch), _CLASSES))
            writer.close()
        yield store


def columns(store: Path, asked: Question) -> list[dict[str, str]] | str:
    """Name and SQL type of each column of the answer that the sample gives; why there is none, where there is none."""
    con = fresh()
    try:
        statement = statements.question(con, store, asked, _RUNS[: asked.tables[0]], {})
        described = con.execute(f"DESCRIBE {statement.sql}", statement.bound).fetchall()
        return [{"name": name, "type": kind} for name, kind, *_ in described]
    except SecondguessError as error:
        return str(error)
    except duckdb.Error as error:
        return str(explained(error))
    finally:
        con.close()


def _rows(run: str, epoch: int) -> pa.Table:
    """Four examples, of which one is taken for the other class."""
    guess, truth = ["no", "yes", "yes", "yes"], ["no", "yes", "no", "yes"]
    high = pa.array([0.75] * 4, pa.float32())
    return pa.table(
        {
            "run": pa.array([run] * 4).dictionary_encode(),
            "epoch": pa.array([epoch] * 4, pa.int32()),
            "id": pa.array(["1", "2", "3", "4"]),
            "guess": pa.array(guess).dictionary_encode(),
            "truth": pa.array(truth).dictionary_encode(),
            "confidence": high,
            "truth_score": pa.array([0.75, 0.75, 0.25, 0.75], pa.float32()),
            "score_0": pa.array([0.75 if name == "no" else 0.25 for name in guess], pa.float32()),
            "score_1": pa.array([0.25 if name == "no" else 0.75 for name in guess], pa.float32()),
        }
    )
