"""A record of a bucket is fetched once for an ETag, also by the next process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from s3_server import S3Server, bucket_url, s3_process, s3_server

import secondguess as sg
from secondguess.analysis import caches
from secondguess.analysis.objects import contents

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures


def test_another_etag_is_another_content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(contents, "_kept", {})
    contents.keep("s3://shop/run.json", '"one"', b"1")
    monkeypatch.setattr(contents, "_kept", {})  # as in another process
    assert contents.kept("s3://shop/run.json", '"one"') == b"1"
    for url, etag in (("s3://shop/run.json", '"two"'), ("s3://other/run.json", '"one"'), ("s3://shop/run.json", None)):
        assert contents.kept(url, etag) is None
    assert [oct(path.stat().st_mode & 0o777) for path in (tmp_path / "secondguess").rglob("*")] == ["0o700", "0o600"]


def test_a_cache_that_takes_nothing_costs_reading_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    monkeypatch.setattr(contents, "_kept", {})
    contents.keep("s3://shop/run.json", '"one"', b"1")
    assert contents.kept("s3://shop/run.json", '"one"') == b"1"
    monkeypatch.setattr(contents, "_kept", {})
    assert contents.kept("s3://shop/run.json", '"one"') is None
    assert caches.folder() == Path(os.devnull) / "secondguess"


def test_a_second_process_lists_and_reads_no_record_again(
    bucket_url: str, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"{bucket_url}/predictions"
    for run in ("cnn", "double"):
        with sg.Recorder(store, run=run) as recorder, recorder.table("t", epoch=1) as table:
            table.add(ids=["a"], guess=[1], truth=[2])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # which knows nothing of them
    asked = []
    for _ in range(2):
        s3_server.clear()
        command = [
            sys.executable,
            "-m",
            "secondguess",
            "ask",
            "errors",
            "cnn/t",
            "--store",
            store,
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
        assert (done.returncode, done.stderr) == (0, "1 row\n")
        asked.append([request.key for request in s3_server.log if request.key.endswith(".json")])
    assert len(asked[0]) > 3
    assert asked[1] == []
