"""What a store in a bucket is after anything that can befall those who record it: epochs that are whole, or none."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import recording_process
from recording_process import ROWS, add_epoch, guess_of
from s3_server import S3Server, bucket_url, environment, s3_process, s3_server
from waiting import HANG_S, until

from secondguess.analysis.connection import connect
from secondguess.analysis.errors import NotFound
from secondguess.analysis.objects.path import look, place
from secondguess.analysis.store import lease
from secondguess.analysis.store.check import check
from secondguess.analysis.store.runs import list_runs
from secondguess.trainer.recorder import Recorder

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures


@pytest.fixture
def store(bucket_url: str) -> str:
    return f"{bucket_url}/team/predictions"


def in_child(url: str, environ: dict[str, str], do: Callable[..., None], args: tuple[Any, ...], pipe: Any) -> None:
    """Do something in a child of the fork server, which knows nothing of the test's server."""
    os.environ.update(environ)
    do(place(url), *args, pipe)


def child(server: S3Server, url: str, do: Callable[..., None], *args: Any) -> Any:
    return recording_process.run(in_child, url, environment(server), do, args)


def guesses(store: str) -> dict[int, list[int]]:
    """Each epoch's guesses in the order of the ids."""
    look(place(store))
    if not has_run(store) or not list_runs(place(store))["cnn"].tables:
        return {}
    asked = "SELECT epoch, guess FROM test_predictions ORDER BY epoch, CAST(substr(id, 4) AS INTEGER)"
    found: dict[int, list[int]] = {}
    for epoch, guess in connect(store).sql(asked).fetchall():
        found.setdefault(epoch, []).append(guess)
    return found


def expected(epochs: int) -> dict[int, list[int]]:
    return {number: [guess_of(number, row) for row in range(ROWS)] for number in range(1, epochs + 1)}


def resumed(store: str, epochs: int) -> None:
    """Record what is missing of three epochs, as whoever starts a training again."""
    where = place(store)
    try:
        recorder = Recorder(where, run="cnn", resume=True)
    except NotFound:
        recorder = Recorder(where, run="cnn")
    with recorder:
        assert recorder.last_epoch == epochs
        for number in range(epochs + 1, 4):
            add_epoch(recorder, number)


def has_run(store: str) -> bool:
    return place(store).is_dir() and "cnn" in list_runs(place(store))


def has_ended(store: str) -> bool:
    return has_run(store) and list_runs(place(store))["cnn"].end is not None


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_writer_killed_at_any_request_leaves_whole_epochs_and_is_resumed(
    s3_server: S3Server, bucket_url: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two epochs and the end: killed before and after each of the requests that write takes effect."""
    monkeypatch.setattr(lease, "LEASE_S", 0.0)  # of this process: those who died hold nothing
    said_counts = []
    for number in range(1000):
        url = f"{bucket_url}/{number}/predictions"
        s3_server.clear()
        held = s3_server.fault(hold=True, drop=when == "before", skip=number, when=when)
        process, pipe = child(s3_server, url, recording_process.to_be_killed, 2)
        with pipe:
            until(lambda: held.is_reached or not process.is_alive())  # noqa: B023
            ended = not held.is_reached
            process.kill()
            process.join(HANG_S)
            s3_server.clear()
            said = os.read(pipe.fileno(), 10)
        if ended:
            assert said == b"\x01\x02\xff"
            break
        said_counts.append(len(said))
        found = guesses(url)
        assert found == expected(len(found)), number  # each is whole
        assert len(found) >= min(len(said), 2), number  # what was said is there
        findings = check(place(url)).findings if place(url).is_dir() else ()
        left = {"left over", "unrecorded", "foreign"}
        assert [finding for finding in findings if finding.what not in left] == [], number
        if has_ended(url):
            continue
        resumed(url, len(found))
        assert guesses(url) == expected(3), number
        assert check(place(url)).findings == (), number
    assert said_counts == sorted(said_counts)
    assert {0, 1, 2} <= set(said_counts)


def record_one(store: Path, guess: int, pipe: Any) -> None:
    with Recorder(store, run="cnn") as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["id-0"], guess=[guess])


def test_rows_whose_writer_was_killed_before_their_record_are_cleared_by_the_next(
    s3_server: S3Server, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or whoever reads a bucket's files with `*` would see them beside those of the next try."""
    held = s3_server.fault(method="PUT", pattern="commits/test_predictions/", hold=True, drop=True)
    process, pipe = child(s3_server, store, record_one, 1)
    with pipe:
        held.reached()
        process.kill()
        process.join(HANG_S)
    s3_server.clear()
    monkeypatch.setattr(lease, "LEASE_S", 0.0)  # it died more than a minute ago
    assert len(list(place(store).rglob("epoch-*.parquet"))) == 1
    with Recorder(place(store), run="cnn", resume=True) as again:
        look(place(store))
        assert list(place(store).rglob("epoch-*.parquet")) == []
        with again.table("test_predictions", epoch=1) as rows:
            rows.add(ids=["id-0"], guess=[2])
    look(place(store))
    assert guesses(store) == {1: [2]}
    assert len(list(place(store).rglob("epoch-*.parquet"))) == 1
    assert check(place(store)).findings == ()
