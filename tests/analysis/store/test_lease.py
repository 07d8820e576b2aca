"""A run in a bucket has one writer: whoever renews its lease."""

import os
import threading

import pytest
from s3_server import S3Server, bucket_url, s3_process, s3_server

from secondguess.analysis.objects.path import ObjectPath, look, place
from secondguess.analysis.store import lease
from secondguess.analysis.store.lease import Lease, Leased, is_leased

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures


@pytest.fixture
def run(bucket_url: str) -> ObjectPath:
    folder = place(f"{bucket_url}/predictions/cnn")
    assert isinstance(folder, ObjectPath)
    return folder


def test_one_has_the_lease_until_it_lets_go(run: ObjectPath) -> None:
    first = Lease(run)
    assert first.holds() and is_leased(run)
    with pytest.raises(Leased, match=r"ends in (60|59) s unless it is renewed"):
        Lease(run)
    first.release()
    assert not first.holds() and not is_leased(run) and not run.exists()
    second = Lease(run)
    assert second.holds()
    second.release()
    second.release()


def test_of_many_that_want_it_at_once_one_has_it(run: ObjectPath) -> None:
    leases: list[Lease] = []
    start = threading.Barrier(8)

    def want() -> None:
        start.wait()
        try:
            leases.append(Lease(run))
        except Leased:
            return

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.holds() for each in leases] == [True]
    leases[0].release()


def test_one_that_was_not_renewed_for_a_minute_is_taken_over_and_lost(
    run: ObjectPath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = Lease(run)
    monkeypatch.setattr(lease, "LEASE_S", 0.0)  # as if it had been long ago
    second = Lease(run)
    monkeypatch.undo()
    look(run)
    assert [path.name for path in (run / ".lease").iterdir()] == ["00002"]
    first._renew()
    assert (first.holds(), second.holds()) == (False, True)
    assert "another process has taken over" in caplog.text
    first.release()
    look(run)
    assert is_leased(run)
    second.release()


def test_it_is_renewed_as_long_as_it_is_held(
    run: ObjectPath, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWED_EVERY_S", 0.01)
    first = Lease(run)
    held = s3_server.fault(method="PUT", pattern="[.]lease", skip=2, hold=True)
    held.reached()  # it was renewed twice, and is about to be again
    held.release()
    assert first.holds()
    first.release()


def test_an_outage_shorter_than_the_lease_loses_nothing(run: ObjectPath, s3_server: S3Server) -> None:
    first = Lease(run)
    s3_server.fault(status=503)
    with pytest.raises((OSError, lease.NotReached)):
        first._renew()
    assert first.holds()
    s3_server.clear()
    first._renew()
    assert first.holds()
    first.release()


def test_a_forked_child_has_no_lease_and_leaves_its_parents(run: ObjectPath) -> None:
    first = Lease(run)
    child = os.fork()
    if child == 0:
        try:
            holds = first.holds()
            first.release()
            os._exit(1 if holds else 0)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert first.holds() and is_leased(run)
    first.release()
