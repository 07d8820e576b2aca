"""Spark reads a bucket through our own classes: the same rows, and of the files only the columns that are asked for."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recording import like_digits
from s3_server import bucket_url, s3_process, s3_server
from spark_cluster import same

from secondguess.analysis.ask import questions, statements
from secondguess.analysis.commands.output import ran
from secondguess.analysis.engine import engines
from secondguess.analysis.engine.engines import Engine
from secondguess.analysis.engine.spark import session
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.objects.path import place
from secondguess.analysis.tables import select
from secondguess.analysis.tables.spelling import spelled
from secondguess.trainer.recorder import Recorder

__all__ = ["bucket_url", "s3_process", "s3_server"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def spark(s3_server: Any) -> Iterator[Engine]:
    """A session that begins with the server's environment, which its workers inherit."""
    yield engines.opened("spark", "local[2]")
    session.ended()


def test_questions_and_views_of_a_bucket_are_answered_alike(bucket_url: str, s3_server: Any, spark: Engine) -> None:
    store: Path = place(f"{bucket_url}/predictions")
    for seed, run in enumerate(("cnn", "double")):
        like_digits(store, run, seed)
    for name, refs in {"errors": ["cnn@5", "double"], "ledger": ["cnn@1", "cnn@5"], "confusion": ["cnn"]}.items():
        asked = questions.find(store, name)
        assert same(partial(statements.question, store=store, asked=asked, refs=refs, given={}), spark)
    view = spelled({"tables": "cnn@5", "limit": 5, "columns": "id,image,confidence", "offset": 3})
    assert len(same(partial(select.statement, store=store, view=view), spark, lambda engine: engine.page)) == 5


def test_columns_that_nobody_asks_for_are_not_read(bucket_url: str, s3_server: Any, spark: Engine) -> None:
    store, rows = place(f"{bucket_url}/predictions"), 100_000
    scores = np.random.default_rng(0).random((rows, 10), dtype=np.float32)
    with Recorder(store, run="cnn", wandb="off") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=[f"row-{row}" for row in range(rows)], truth=np.arange(rows) % 10, scores=scores)
    (size,) = [file.stat().st_size for file in store.glob("*/test_predictions/*.parquet")]
    build = partial(
        statements.sql, store=store, text='SELECT guess, count(*) FROM "cnn@1" GROUP BY guess ORDER BY guess'
    )
    s3_server.clear()
    assert sum(row[1] for row in ran(build, spark)[1]) == rows
    assert 0 < s3_server.bytes_read() < size / 5


def test_what_the_bucket_does_not_give_is_one_line(bucket_url: str, s3_server: Any, spark: Engine) -> None:
    store = place(f"{bucket_url}/predictions")
    like_digits(store, "cnn", 0)
    build = partial(statements.sql, store=store)
    ran(partial(build, text='SELECT sum(score_3) FROM "cnn@5"'), spark)  # so DuckDB, and maybe a worker, has the footer
    s3_server.fault(method="GET", pattern=r"\.parquet", status=403, code="AccessDenied")
    with pytest.raises(SecondguessError, match=r"^Spark: .*refused") as raised:
        ran(partial(build, text='SELECT sum(score_4) FROM "cnn@5"'), spark)  # no worker has this column
    assert "\n" not in str(raised.value)
    assert "Traceback" not in str(raised.value)
