"""What a store in a bucket is after anything that can befall those who record it: epochs that are whole, or none."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import recording_process
from recording_process import ROWS, add_epoch, guess_of
from s3_server import S3Server, bucket_url, environment, s3_process, s3_server
from stores import ABOUT
from waiting import HANG_S, until

from secondguess.analysis.cli import main
from secondguess.analysis.connection import connect
from secondguess.analysis.errors import AlreadyThere, NotFound, NotWritten
from secondguess.analysis.importers import importing
from secondguess.analysis.objects import contents
from secondguess.analysis.objects.path import forget_all, look, place
from secondguess.analysis.store import lease
from secondguess.analysis.store.check import check
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.writer import RunWriter
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
@pytest.mark.timeout(900)  # some forty children, each started, killed and followed
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


def guess(store: str, run: str, guess: int) -> None:
    with Recorder(place(store), run=run) as recorder, recorder.table("test_predictions", epoch=1) as table:
        table.add(ids=["id-0"], guess=[guess], truth=[7])


@pytest.mark.parametrize("run", ["cnn", "a b=[1]'%"])
def test_a_run_of_any_name_is_asked(store: str, run: str) -> None:
    guess(f"{store}[x]y z", run, 1)
    assert connect(f"{store}[x]y z").ask("errors", run).fetchall()[0][:4] == (run, 1, "id-0", 1)


def said(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What a command that fails says."""
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 1
    return capsys.readouterr().err


FAULTS = {
    "503": ({"status": 503}, "answered 503 (SlowDown) 3 times; try again later"),
    "403": ({"status": 403, "code": "AccessDenied"}, "refused (403 AccessDenied); look at AWS_ACCESS_KEY_ID and"),
    "hung up": ({"drop": True}, "was lost 3 times; try again"),
    "cut": ({"cut": 3}, " 3 times; try again"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("pattern", ["^[?]", "run[.]json", r"\.parquet"], ids=["listing", "record", "rows"])
def test_a_question_that_the_bucket_does_not_answer_says_why_in_one_line(
    s3_server: S3Server,
    store: str,
    pattern: str,
    fault: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    how, expected = FAULTS[fault]
    guess(store, "cnn", 1)
    forget_all()
    monkeypatch.setattr(contents, "_kept", {})  # as for another user
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    s3_server.fault(method="GET", pattern=pattern, **how)
    text = said(capsys, "ask", "errors", "cnn", "--store", store)
    assert expected in text
    assert text.count("\n") == 1
    assert "Traceback" not in text


def test_a_question_starts_over_where_its_rows_were_merged_meanwhile(s3_server: S3Server, store: str) -> None:
    """Between the listing and the reading of the rows another process merges them into one file."""
    with Recorder(place(store), run="cnn") as recorder:
        for number in (1, 2):
            with recorder.table("test_predictions", epoch=number) as table:
                table.add(ids=["id-0"], guess=[number], truth=[7])
        held = s3_server.fault(method="GET", pattern="epoch-", times=1, hold=True)
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.extend(connect(store).ask("errors", "cnn@all").fetchall()))
        asking.start()
        held.reached()
    held.release()
    asking.join()
    assert [row[1:4] for row in answers] == [(1, "id-0", 1), (2, "id-0", 2)]


def test_rows_that_are_gone_are_named(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    guess(store, "cnn", 1)
    look(place(store))
    (rows,) = place(store).rglob("epoch-*.parquet")
    place(store).bucket.delete([rows.key])  # type: ignore[attr-defined]
    assert f"{rows} " in said(capsys, "ask", "errors", "cnn", "--store", store)


def test_of_two_writers_of_an_epoch_one_wins_and_one_is_told_in_20_races(s3_server: S3Server, store: str) -> None:
    """With the lease out of the way, and in every other round with the same rows, which make the same file."""
    RunWriter.create(place(store), "cnn", ABOUT).close()
    barrier = recording_process.processes.Barrier(2)
    both = [child(s3_server, store, recording_process.race_to_commit, 20, rows, barrier) for rows in ("left", "right")]
    said = list(zip(*(recording_process.sent(pipe) for _, pipe in both), strict=True))
    for process, _ in both:
        process.join(HANG_S)
    assert [sorted(round) for round in said] == [["lost", "won"]] * 20
    look(place(store))
    rows = connect(store).sql("SELECT epoch, id FROM test_predictions ORDER BY epoch").fetchall()
    winners = ["left" if left == "won" else "right" for left, _ in said]
    assert rows == [(number, winners[number - 1] if number % 2 else "same") for number in range(1, 21)]
    assert check(place(store)).findings == ()  # the losers' files are gone


def test_of_two_trainings_of_one_run_the_second_is_told_until_when(store: str) -> None:
    with Recorder(place(store), run="cnn") as first:
        add_epoch(first, 1)
        with pytest.raises(AlreadyThere, match=r"its lease ends in \d+ s unless it is renewed"):
            Recorder(place(store), run="cnn", resume=True)
        add_epoch(first, 2)
    assert guesses(store) == expected(2)
    assert check(place(store)).findings == ()  # its metrics among them


def test_a_server_that_overwrites_what_is_there_is_refused_before_the_first_epoch(
    s3_server: S3Server, store: str
) -> None:
    s3_server.fault(method="PUT", heedless=True)
    with pytest.raises(NotWritten, match=r"its server overwrites what is to be put only if absent"):
        Recorder(place(store), run="cnn")
    assert place(store).bucket.entries("") == []  # type: ignore[attr-defined]


PLANS: dict[str, list[dict[str, Any]]] = {
    "each request is refused once": [{"status": 503, "times": 1, "skip": skip} for skip in range(0, 60, 2)],
    "each other answer is lost": [
        {"status": 503, "when": "after", "times": 1, "skip": skip} for skip in range(0, 60, 2)
    ],
    "each other one is hung up on": [
        {"drop": True, "when": "after", "times": 1, "skip": skip} for skip in range(0, 60, 2)
    ],
    "each body is cut once": [{"method": "GET", "cut": 2, "times": 1, "skip": skip} for skip in range(0, 30, 2)],
}


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_a_bucket_that_answers_at_the_second_try_only_is_recorded_to_and_asked(
    s3_server: S3Server, store: str, plan: str
) -> None:
    for fault in PLANS[plan]:
        s3_server.fault(**fault)
    with Recorder(place(store), run="cnn") as recorder:
        for number in (1, 2):
            add_epoch(recorder, number)
    forget_all()
    assert guesses(store) == expected(2)
    assert [request.status for request in s3_server.log if request.status in {0, 503}] != [] or "cut" in plan
    s3_server.clear()
    assert check(place(store)).findings == ()


def test_an_answer_that_is_late_is_waited_for(s3_server: S3Server, store: str) -> None:
    held = s3_server.fault(method="PUT", pattern="commits/test_predictions/", times=1, hold=True)
    process, pipe = child(s3_server, store, recording_process.to_be_killed, 1)
    with pipe:
        held.reached()
        assert guesses(store) == {}
        held.release()
        process.join(HANG_S)
        assert os.read(pipe.fileno(), 10) == b"\x01\xff"
    assert guesses(store) == expected(1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_epoch_that_the_bucket_does_not_take_is_not_reported_and_recorded_later(
    s3_server: S3Server, store: str, when: str
) -> None:
    """Also where it took it, and said that it did not."""
    with Recorder(place(store), run="cnn") as recorder:
        add_epoch(recorder, 1)
        s3_server.fault(method="PUT", when=when, status=403, code="AccessDenied")
        with pytest.raises(
            NotWritten, match=r"^cnn/test_predictions@2 could not be recorded: .*refused \(403 AccessDenied\)"
        ):
            add_epoch(recorder, 2)
        s3_server.clear()
        found = guesses(store)
        assert found in ({1: expected(1)[1]}, expected(2))
        if len(found) == 1:
            add_epoch(recorder, 2)
    assert guesses(store) == expected(2)
    assert check(place(store)).findings == ()


def bring(store: Path, guess: str, pipe: Any) -> None:
    """Import three rows as run p, in the place of those that are there; say when it is done."""
    rows = pa.table({"id": ["0", "1", "2"], "guess": [guess] * 3, "truth": ["cat"] * 3})
    options = dict.fromkeys(("table", "epoch", "step", "id", "guess", "truth", "image", "scores", "classes"))
    importing.bring_frame(rows, store, importing.how(run="p", overwrite=True, **options))
    os.write(pipe.fileno(), b"d")


def bring_at_once(store: Path, guess: str, pipe: Any) -> None:
    """The same, as if the one before had died more than a minute ago."""
    lease.LEASE_S = 0.0
    bring(store, guess, pipe)


@pytest.mark.slow
@pytest.mark.timeout(900)  # some forty children, each started, killed and followed
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_import_killed_at_any_request_leaves_the_old_run_or_the_new_one(
    s3_server: S3Server, bucket_url: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_S", 0.0)  # of this process: those who died hold nothing
    seen = []
    for number in range(1000):
        url = f"{bucket_url}/{number}/predictions"
        s3_server.clear()
        process, pipe = child(s3_server, url, bring, "dog")
        with pipe:
            process.join(HANG_S)
        held = s3_server.fault(hold=True, drop=when == "before", skip=number, when=when)
        process, pipe = child(s3_server, url, bring, "cat")
        with pipe:
            until(lambda: held.is_reached or not process.is_alive())  # noqa: B023
            ended = not held.is_reached
            process.kill()
            process.join(HANG_S)
            s3_server.clear()
            said = os.read(pipe.fileno(), 1)
        look(place(url))
        rows = connect(url).sql("SELECT id, guess FROM test_predictions ORDER BY id").fetchall()
        assert rows in ([(str(row), guess) for row in range(3)] for guess in ("dog", "cat")), number
        assert rows[0][1] == "cat" or not said, number
        assert {finding.what for finding in check(place(url)).findings} <= {"left over", "unrecorded"}, number
        if ended:
            break
        seen.append(rows[0][1])
        process, pipe = child(s3_server, url, bring_at_once, "cat")
        with pipe:
            process.join(HANG_S)
        look(place(url))
        assert check(place(url)).findings == (), number  # the next one clears what is left over
    assert seen == sorted(seen, reverse=True)  # dog, dog, …, cat, cat
    assert set(seen) == {"dog", "cat"}
