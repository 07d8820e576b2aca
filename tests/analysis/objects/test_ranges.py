"""How much of a bucket's files is read: the ranges that a question needs, in few requests."""

import html
import re
from collections import Counter

import numpy as np
import page_in_process
import pytest
from s3_server import S3Server, bucket_url, s3_process, s3_server

from secondguess.analysis.cli import main
from secondguess.analysis.connection import connect
from secondguess.analysis.objects.path import place
from secondguess.trainer.recorder import Recorder

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures

ROWS = 1_000_000


def largest(store: str) -> int:
    """The bytes of the store's largest object."""
    return max(entry.size for entry in place(store).bucket.entries(""))  # type: ignore[attr-defined]


def test_questions_read_the_columns_that_they_name(
    s3_server: S3Server, bucket_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a million rows with ten scores."""
    rng = np.random.default_rng(0)
    store = f"{bucket_url}/predictions"
    with Recorder(place(store), run="cnn") as recorder, recorder.table("test_predictions", epoch=1) as table:
        for start in range(0, ROWS, ROWS // 10):
            scores = rng.dirichlet(np.ones(10) * 0.2, ROWS // 10).astype(np.float32)
            missed = rng.random(ROWS // 10) < 0.05
            truth = np.where(missed, rng.integers(0, 10, ROWS // 10), scores.argmax(1))
            ids = [f"test-{row:07d}" for row in range(start, start + ROWS // 10)]
            table.add(ids=ids, scores=scores, truth=truth)
    size = largest(store)
    assert size > 40_000_000
    wrong = "SELECT id, guess, truth, confidence, truth_score FROM test_predictions WHERE guess <> truth"
    for most, command in (
        (0.15, ["ask", "errors-by-guess", "cnn"]),
        (0.05, ["ask", "confusion", "cnn"]),
        (0.05, ["ask", "errors-over-time", "cnn"]),
        (0.30, ["sql", wrong]),
        (0.001, ["runs"]),
    ):
        s3_server.clear()
        main([*command, "--store", store])
        assert s3_server.bytes_read() < most * size, command
        assert len(s3_server.log) < 60, command
    assert connect(store).sql("SELECT count(*) FROM test_predictions").fetchall() == [(ROWS,)]


@pytest.mark.slow
def test_a_page_of_images_reads_little_more_than_these(s3_server: S3Server, bucket_url: str) -> None:
    """Fifty images of 21 KB from a file of 105 MB."""
    rng = np.random.default_rng(0)
    store = f"{bucket_url}/predictions"
    with Recorder(place(store), run="cnn") as recorder, recorder.table("test_predictions", epoch=1) as table:
        for start in range(0, 5_000, 500):
            ids = [f"photo-{row:04d}" for row in range(start, start + 500)]
            images = rng.integers(0, 256, (500, 83, 84, 3), np.uint8)
            table.add(ids=ids, images=images, guess=rng.integers(0, 10, 500), truth=rng.integers(0, 10, 500))
    assert largest(store) > 100_000_000
    for address in ("/gallery?t=cnn%401&limit=50", "/gallery?t=cnn%401&limit=50&offset=2510"):
        s3_server.clear()
        (page,) = page_in_process.texts(place(store), address)
        assert len(re.findall(r'<img[^>]*src="/image/', html.unescape(page))) == 50
        assert s3_server.bytes_read() < 2_000_000
        assert len(s3_server.log) < 30


def test_a_run_ends_in_few_requests(s3_server: S3Server, bucket_url: str) -> None:
    """Of forty epochs with metrics: each file is written, read to be merged, and removed with many others."""
    with Recorder(place(f"{bucket_url}/predictions"), run="cnn") as recorder:
        for epoch in range(1, 41):
            recorder.log(loss=1 / epoch)
            with recorder.table("test_predictions", epoch=epoch) as table:
                table.add(ids=["a", "b"], guess=[epoch, epoch], truth=[1, 2])
        s3_server.clear()
    count = Counter(request.method for request in s3_server.log)
    assert count["HEAD"] == 0
    assert count["POST"] <= 4  # of removals
    assert count["PUT"] <= 5
    assert count["GET"] <= 40 * 5 + 5  # the records; rows and metrics to see that they are sound, and to merge them
