"""A run that is made elsewhere comes into a bucket whole, with one put, or not at all."""

import threading
from pathlib import Path

import pyarrow as pa
import pytest
from s3_server import S3Server, bucket_url, s3_process, s3_server

from secondguess.analysis.errors import AlreadyThere, NotWritten
from secondguess.analysis.importers import importing
from secondguess.analysis.objects.path import ObjectPath, look, place
from secondguess.analysis.store import lease
from secondguess.analysis.store.check import check
from secondguess.analysis.store.mending import removals
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.store.writer import RunWriter

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures


@pytest.fixture
def store(bucket_url: str) -> ObjectPath:
    store = place(f"{bucket_url}/predictions")
    assert isinstance(store, ObjectPath)
    return store


def bring(store: Path, guess: str, *, overwrite: bool = False) -> None:
    """Import three rows as run p."""
    rows = pa.table({"id": ["0", "1", "2"], "guess": [guess] * 3, "truth": ["cat"] * 3})
    options = dict.fromkeys(("table", "epoch", "step", "id", "guess", "truth", "image", "scores", "classes"))
    importing.bring_frame(rows, store, importing.how(run="p", overwrite=overwrite, **options))


def errors(store: ObjectPath) -> dict[str, list[int | None]]:
    """What the store has: the errors of each run's epochs."""
    runs = list_runs(store) if store.is_dir() else {}
    return {name: [epoch.errors for epoch in run.tables["test_predictions"].values()] for name, run in runs.items()}


def put_requests(server: S3Server) -> int:
    return sum(request.method == "PUT" for request in server.log)


def test_an_import_that_fails_at_any_put_leaves_nothing_and_the_next_one_works(
    store: ObjectPath, s3_server: S3Server
) -> None:
    tried = 0
    while True:
        s3_server.clear()
        s3_server.fault(method="PUT", skip=tried, status=403, code="AccessDenied")
        try:
            bring(store, "dog")
        except NotWritten as error:
            assert "refused" in str(error)
        else:
            break
        look(store)
        assert not store.is_dir() or check(store).findings == ()
        tried += 1
    assert tried >= 3  # its rows, their record, that it has ended, run.json
    look(store)
    assert errors(store) == {"p": [3]}
    assert check(store).is_sound


def test_a_run_that_is_replaced_stays_as_it_was_until_the_one_put(store: ObjectPath, s3_server: S3Server) -> None:
    bring(store, "dog")
    tried = 0
    while True:
        s3_server.clear()
        s3_server.fault(method="PUT", pattern="^(?!.*[.]lease)", skip=tried, status=403, code="AccessDenied")
        try:
            bring(store, "cat", overwrite=True)
        except NotWritten:
            look(store)
            assert errors(store) == {"p": [3]}
            assert [finding for finding in check(store).findings if finding.is_grave] == []
        else:
            break
        tried += 1
    assert tried >= 3
    look(store)
    assert errors(store) == {"p": [0]}
    assert check(store).findings == ()
    assert len(list((store / "p").rglob("*.parquet"))) == 1


def test_what_was_replaced_and_not_removed_is_left_over_and_cleared(
    store: ObjectPath, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(store, "dog")
    s3_server.fault(method="POST", status=403, code="AccessDenied")  # so removals are asked for
    bring(store, "cat", overwrite=True)
    s3_server.clear()
    monkeypatch.setattr(lease, "LEASE_S", 0.0)  # it could not be given back either, and ends by itself
    look(store)
    assert errors(store) == {"p": [0]}
    found = check(store)
    assert found.is_sound and {finding.what for finding in found.findings} == {"left over"}
    for step in removals(found, now_s=4e9):
        step.do()
    look(store)
    assert check(store).findings == ()
    assert errors(store) == {"p": [0]}


def test_of_two_that_bring_one_run_at_once_the_second_is_refused_and_takes_nothing_away(
    store: ObjectPath, s3_server: S3Server
) -> None:
    held = s3_server.fault(method="PUT", pattern="run.json", times=1, hold=True)
    first = threading.Thread(target=bring, args=(store, "dog"))
    first.start()
    held.reached()
    with pytest.raises(NotWritten, match=r"another process has it, or had until it died; its lease ends in \d+ s"):
        bring(store, "dog")
    held.release()
    first.join()
    look(store)
    assert errors(store) == {"p": [3]}
    assert check(store).findings == ()


def test_what_is_copied_to_a_folder_is_a_run_there(store: ObjectPath, tmp_path: Path) -> None:
    """As `aws s3 sync` does: also where run.json names another folder of records."""
    bring(store, "dog")
    bring(store, "cat", overwrite=True)
    for path in (path for path in store.rglob("*") if path.is_file()):
        there = tmp_path / "copy" / str(path.relative_to(store))
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
    copy = tmp_path / "copy"
    assert (
        list_runs(copy)["p"].tables["test_predictions"].keys()
        == list_runs(store)["p"].tables["test_predictions"].keys()
    )
    assert check(copy).findings == ()
    about = {"origin": "recorded", "config": {}, "classes": None}
    with pytest.raises(AlreadyThere):
        RunWriter.create(copy, "p", about)


def test_a_run_that_was_only_leased_is_left_over_and_cleared(
    store: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer was killed before its first record."""
    bring(store, "dog")
    (store / "cnn" / lease.LEASES / "00001").put(b"somebody")
    assert check(store).findings == ()
    monkeypatch.setattr(lease, "LEASE_S", 0.0)
    found = check(store)
    assert [(finding.what, finding.path) for finding in found.findings] == [("left over", "cnn")]
    for step in removals(found, now_s=4e9):
        step.do()
    look(store)
    assert check(store).findings == ()
