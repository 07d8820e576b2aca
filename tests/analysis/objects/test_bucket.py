"""The client of a bucket against a real S3 server: what is on the wire, and what is said of each fault."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3_server import KEY, SECRET, S3Server, bucket_url, s3_process, s3_server

from secondguess.analysis.errors import BadInput
from secondguess.analysis.objects.bucket import Bucket, Entry, bucket
from secondguess.analysis.objects.s3 import S3

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures


def asked(server: S3Server) -> list[tuple[str, str, int]]:
    return [(request.method, request.key, request.status) for request in server.log]


def test_put_if_absent_is_one_conditional_request(s3_server: S3Server, bucket_url: str) -> None:
    etag = bucket(bucket_url).put("run/commits/00001.json", b"one", absent=True)
    assert etag == '"f97c5d29941bfb1b2fdab0874906ab82"'  # the MD5 of `one`
    assert [(r.method, r.key, r.if_none_match, r.status) for r in s3_server.log] == [
        ("PUT", "run/commits/00001.json", "*", 200)
    ]


def test_a_key_that_is_taken_is_refused_and_keeps_its_content(s3_server: S3Server, bucket_url: str) -> None:
    b = bucket(bucket_url)
    b.put("k", b"one", absent=True)
    for data in (b"two", b"one"):
        with pytest.raises(FileExistsError, match=f"^{bucket_url}/k is there already$"):
            b.put("k", data, absent=True)
    assert b.read("k") == b"one"
    assert asked(s3_server) == [("PUT", "k", 200), ("PUT", "k", 412), ("PUT", "k", 412), ("GET", "k", 200)]


def test_of_racing_writers_one_wins(bucket_url: str) -> None:
    b, start, won = bucket(bucket_url), threading.Barrier(8), []

    def write(number: int) -> None:
        start.wait()
        try:
            b.put("k", str(number).encode(), absent=True)
        except FileExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(number).encode() for number in won] == [b.read("k")]


@pytest.mark.parametrize("how", [{"status": 503}, {"drop": True}], ids=["503", "no answer"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_put_whose_answer_was_lost_is_ours_whether_it_was_written_or_not(
    s3_server: S3Server, bucket_url: str, how: dict[str, Any], when: str
) -> None:
    s3_server.fault(method="PUT", times=1, when=when, **how)
    bucket(bucket_url).put("k", b"ours", absent=True)
    assert bucket(bucket_url).read("k") == b"ours"
    assert len([r for r in s3_server.log if r.method == "PUT"]) == 2


def test_a_lost_answer_does_not_make_anothers_object_ours(s3_server: S3Server, bucket_url: str) -> None:
    bucket(bucket_url).put("k", b"theirs")
    s3_server.fault(method="PUT", times=1, status=503)
    with pytest.raises(FileExistsError):
        bucket(bucket_url).put("k", b"ours", absent=True)
    assert bucket(bucket_url).read("k") == b"theirs"


def test_a_put_that_was_written_each_time_but_never_answered_is_ours(s3_server: S3Server, bucket_url: str) -> None:
    s3_server.fault(method="PUT", when="after", status=503)
    assert bucket(bucket_url).put("k", b"ours", absent=True) == bucket(bucket_url).read_from("k")[1]


def test_a_conflict_with_a_request_under_way_is_asked_again(s3_server: S3Server, bucket_url: str) -> None:
    """S3 answers 409 while another conditional request for the key has not ended."""
    s3_server.fault(method="PUT", times=1, status=409, code="ConditionalRequestConflict")
    bucket(bucket_url).put("k", b"ours", absent=True)
    assert asked(s3_server) == [("PUT", "k", 409), ("PUT", "k", 200)]


def test_content_and_etag_come_in_one_request(s3_server: S3Server, bucket_url: str) -> None:
    etag = bucket(bucket_url).put("k", b"one")
    assert bucket(bucket_url).read_from("k") == (b"one", etag)
    assert asked(s3_server) == [("PUT", "k", 200), ("GET", "k", 200)]


def test_everything_below_a_prefix_is_listed_page_by_page(s3_server: S3Server, bucket_url: str) -> None:
    keys = [f"runs/{number:04d}" for number in range(1003)]
    b = bucket(bucket_url)
    for key in [*keys, "other", "run"]:
        b.put(key, b"1")
    s3_server.clear()
    entries = b.entries("runs/")
    assert [entry.key for entry in entries] == keys
    assert len(s3_server.log) == 2
    first = entries[0]
    assert first == Entry("runs/0000", 1, '"c4ca4238a0b923820dcc509a6f75849b"', first.modified)  # the MD5 of `1`
    assert first.modified.tzinfo is UTC
    assert abs(datetime.now(UTC) - first.modified) < timedelta(hours=1)
    b.delete([*keys, "not there"])
    assert [entry.key for entry in b.entries("")] == ["other", "run"]
    assert len([r for r in s3_server.log if r.method == "POST"]) == 2  # a thousand at once


@pytest.mark.parametrize("key", ["run a%20b/x.json", "ü/日本.json", "a b", "x*y?[z]", "~#+&=;@", "a//b", "%2e%2E"])
def test_a_key_is_taken_as_it_is(bucket_url: str, key: str) -> None:
    b = bucket(bucket_url)
    b.put(key, b"1", absent=True)
    assert [entry.key for entry in b.entries("")] == [key]
    assert b.read(key) == b"1"
    with b.filesystem().open(f"{bucket_url}/{key}") as file:
        assert file.read() == b"1"
    b.delete([key])
    assert b.entries("") == []


def test_a_file_larger_than_a_part_goes_up_in_parts_and_comes_back_the_same(
    s3_server: S3Server, bucket_url: str, tmp_path: Path
) -> None:
    data = os.urandom(1 << 20) * 40
    (tmp_path / "large").write_bytes(data)
    etag = bucket(bucket_url).put("large", tmp_path / "large")
    assert etag.endswith('-3"')
    parts = [r for r in s3_server.log if r.method == "PUT"]
    assert [r.query.partition("partNumber=")[2][0] for r in sorted(parts, key=lambda r: r.query[-1])] == ["1", "2", "3"]
    assert bucket(bucket_url).read("large") == data


def test_a_part_that_is_refused_once_is_sent_again_alone(s3_server: S3Server, bucket_url: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(40 << 20))
    s3_server.fault(method="PUT", pattern="partNumber=2", times=1, status=503)
    bucket(bucket_url).put("large", tmp_path / "large")
    assert len([r for r in s3_server.log if r.method == "PUT"]) == 4
    assert bucket(bucket_url).entry("large").size == 40 << 20


def test_an_upload_that_fails_leaves_nothing(s3_server: S3Server, bucket_url: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(40 << 20))
    s3_server.fault(method="PUT", pattern="partNumber=3", status=503)
    with pytest.raises(ConnectionError, match=r"/large cannot be written: .* answered 503 \(SlowDown\) 3 times"):
        bucket(bucket_url).put("large", tmp_path / "large")
    assert bucket(bucket_url).entries("") == []
    assert [r.status for r in s3_server.log if r.method == "DELETE"] == [204]  # its parts


def test_a_large_file_is_put_if_absent_too(s3_server: S3Server, bucket_url: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(20 << 20))
    bucket(bucket_url).put("large", tmp_path / "large", absent=True)
    (tmp_path / "large").write_bytes(bytes(30 << 20))
    with pytest.raises(FileExistsError, match="/large is there already"):
        bucket(bucket_url).put("large", tmp_path / "large", absent=True)
    assert bucket(bucket_url).entry("large").size == 20 << 20
    assert [r.status for r in s3_server.log if r.method == "DELETE"] == [204]  # the parts of the second


@pytest.mark.parametrize("absent", [True, False])
def test_a_large_file_whose_last_answer_was_lost_is_ours(
    s3_server: S3Server, bucket_url: str, tmp_path: Path, absent: bool
) -> None:
    (tmp_path / "large").write_bytes(bytes(20 << 20))
    s3_server.fault(method="POST", pattern="uploadId", times=1, when="after", status=503)
    etag = bucket(bucket_url).put("large", tmp_path / "large", absent=absent)
    assert etag == bucket(bucket_url).entry("large").etag


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_body_that_is_cut_is_read_again(s3_server: S3Server, bucket_url: str, size: int) -> None:
    data = os.urandom(size)
    bucket(bucket_url).put("k", data)
    s3_server.fault(method="GET", times=1, cut=size // 2)
    assert bucket(bucket_url).read("k") == data


def table(rows: int) -> pa.Table:
    return pa.table({f"c{column}": pa.array(range(column, rows + column)) for column in range(14)})


@pytest.fixture
def parquet_url(bucket_url: str, tmp_path: Path) -> str:
    """A Parquet file of 14 columns in the bucket."""
    pq.write_table(table(100_000), tmp_path / "t.parquet", row_group_size=25_000, use_dictionary=False)
    bucket(bucket_url).put("run/t.parquet", tmp_path / "t.parquet")
    return f"{bucket_url}/run/t.parquet"


def test_duckdb_reads_the_columns_it_needs_with_the_world_outside_shut(s3_server: S3Server, parquet_url: str) -> None:
    size = bucket(parquet_url).entry("run/t.parquet").size
    s3_server.clear()
    with duckdb.connect() as con:
        con.register_filesystem(bucket(parquet_url).filesystem())
        con.execute(f"SET allowed_paths = ['{parquet_url}']")
        con.execute("SET enable_external_access = false")
        asked = f"SELECT sum(c0), sum(c1), sum(c2), count(*) FROM read_parquet(['{parquet_url}'])"
        assert con.execute(asked).fetchall() == [(4_999_950_000, 5_000_050_000, 5_000_150_000, 100_000)]
        with pytest.raises(duckdb.PermissionException):
            con.execute(f"FROM read_parquet('{parquet_url}x')")
    assert s3_server.bytes_read() < 0.3 * size
    assert {(r.method, r.range != "", r.status) for r in s3_server.log} == {("GET", True, 206)}


def test_pyarrow_reads_the_row_groups_it_is_asked_for(s3_server: S3Server, parquet_url: str) -> None:
    size = bucket(parquet_url).entry("run/t.parquet").size
    s3_server.clear()
    with bucket(parquet_url).filesystem().open(parquet_url) as file:
        rows = pq.ParquetFile(file, pre_buffer=True).read_row_group(2, columns=["c3"])
    assert rows.column("c3").to_pylist() == list(range(50_003, 75_003))
    assert s3_server.bytes_read() < 0.1 * size


def test_stars_find_the_files_whose_parts_fit(bucket_url: str) -> None:
    b = bucket(bucket_url)
    for key in ("a/t/1.parquet", "b/t/2.parquet", "b/t/deep/3.parquet", "b[1]/t/4.parquet", "c/u/5.parquet"):
        b.put(key, b"")
    files = b.filesystem()
    name = bucket_url.removeprefix("s3://")
    assert files.glob(f"{bucket_url}/*/t/*.parquet") == [
        f"{name}/{key}" for key in ("a/t/1.parquet", "b/t/2.parquet", "b[1]/t/4.parquet")
    ]
    assert files.glob(f"{bucket_url}/b[[]1]/t/?.parquet") == [f"{name}/b[1]/t/4.parquet"]
    assert files.glob(f"{bucket_url}/b[[]1]/t/4.parquet") == [f"{name}/b[1]/t/4.parquet"]
    assert files.glob(f"{bucket_url}/[ab]/t/?.parquet") == [f"{name}/a/t/1.parquet", f"{name}/b/t/2.parquet"]


def test_a_file_that_was_replaced_while_it_is_read_is_no_mixture(bucket_url: str) -> None:
    b = bucket(bucket_url)
    b.put("k", b"one")
    file = b.filesystem().open(f"{bucket_url}/k")
    b.put("k", b"two")
    with pytest.raises(OSError, match="k cannot be read: it was changed meanwhile; ask again"):
        file.read(2)
    assert b.filesystem().open(f"{bucket_url}/k").read(2) == b"tw"


def test_files_are_only_read(bucket_url: str) -> None:
    with pytest.raises(PermissionError, match="only read"):
        bucket(bucket_url).filesystem().open(f"{bucket_url}/k", "wb")


def test_threads_share_a_bucket(s3_server: S3Server, bucket_url: str) -> None:
    b = bucket(bucket_url)
    b.put("k", bytes(range(256)) * 100)
    wrong = []

    def read(start: int) -> None:
        file = b.filesystem().open(f"{bucket_url}/k")
        for at in range(start, start + 20):
            file.seek(at)
            if file.read(1) != bytes([at % 256]):
                wrong.append(at)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_forked_child_opens_its_own(bucket_url: str) -> None:
    code = """
import os, sys, warnings
from secondguess.analysis.objects.bucket import bucket
url = sys.argv[1]
files = bucket(url).filesystem()
bucket(url).put("k", b"one")
child = os.fork()
if child == 0:
    try:
        assert files.open(url + "/k").read() == bucket(url).read("k") == b"one"
        bucket(url).put("child", b"two", absent=True)
        os._exit(0)
    finally:
        os._exit(1)
assert os.waitpid(child, 0)[1] == 0
assert bucket(url).read("child") == b"two"
"""
    subprocess.run([sys.executable, "-c", code, bucket_url], check=True, timeout=120)


def test_a_bucket_is_one_in_a_process(bucket_url: str) -> None:
    assert bucket(f"{bucket_url}/any/key") is bucket(bucket_url)
    assert bucket(bucket_url).url == bucket_url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://host/x", "'ftp://host/x' is not in a bucket that can be opened; those are s3://"),
        ("ftp://me:pass@host/x", "'ftp://host/x' is not in a bucket that can be opened; those are s3://"),
        ("predictions", "'predictions' is not in a bucket that can be opened; those are s3://"),
        ("s3://", "'s3://' names no bucket; write s3://BUCKET/FOLDER"),
        ("s3:///x", "'s3:///x' names no bucket; write s3://BUCKET/FOLDER"),
        ("s3://me:pass@b/x", "'s3://b/x' names no bucket; write s3://BUCKET/FOLDER"),
        ("s3://Bad Bucket!/x", "'s3://Bad Bucket!/x' names no bucket; write s3://BUCKET/FOLDER"),
    ],
)
def test_a_url_that_names_no_bucket_is_refused(url: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        bucket(url)
    assert str(caught.value).startswith(said)


def fault_of(b: Bucket) -> str:
    """What is said of a read."""
    with pytest.raises(OSError) as caught:
        b.read("run/k")
    said = f"{type(caught.value).__name__}: {caught.value}"
    assert SECRET not in said
    assert KEY not in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 503}, "ConnectionError: {k} cannot be read: {s} answered 503 (SlowDown) 3 times; try again later"),
        ({"drop": True}, "ConnectionError: {k} cannot be read: the connection to {s} was lost 3 times; try again"),
        ({"cut": 1}, "ConnectionError: {k} cannot be read: the connection to {s} was lost 3 times; try again"),
        (
            {"status": 403, "code": "AccessDenied"},
            "PermissionError: {k} cannot be read: refused (403 AccessDenied); look at AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and at what these may do",
        ),
        (
            {"status": 400, "code": "ExpiredToken"},
            "PermissionError: {k} cannot be read: the credentials have expired; fetch new ones",
        ),
        ({"status": 404, "code": "NoSuchKey"}, "FileNotFoundError: {k} cannot be read: it is not there"),
    ],
    ids=["503", "hung-up", "cut", "403", "expired", "absent"],
)
def test_a_fault_is_said_in_one_line(s3_server: S3Server, bucket_url: str, fault: dict[str, Any], said: str) -> None:
    bucket(bucket_url).put("run/k", b"content")
    s3_server.fault(method="GET", **fault)
    assert fault_of(bucket(bucket_url)) == said.format(k=f"{bucket_url}/run/k", s=s3_server.url)


def test_an_answer_that_does_not_come_is_given_up(s3_server: S3Server, bucket_url: str) -> None:
    s3_server.fault(method="GET", hold=True)
    b = Bucket(bucket_url, S3(bucket_url.removeprefix("s3://"), timeout=0.2))
    assert fault_of(b) == (
        f"TimeoutError: {bucket_url}/run/k cannot be read: {s3_server.url} did not answer within 0.2 s; try again"
    )


def test_a_bucket_that_is_not_there_is_named(s3_server: S3Server) -> None:
    said = f"s3://nobody-made-this/run/k cannot be read: there is no bucket 'nobody-made-this' at {s3_server.url}"
    assert fault_of(bucket("s3://nobody-made-this")) == f"OSError: {said}; make it, or name another one"


def test_an_endpoint_that_is_not_there_is_named(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:pass@127.0.0.1:1")
    assert fault_of(bucket("s3://behind-no-door")) == (
        "ConnectionError: s3://behind-no-door/run/k cannot be read: http://127.0.0.1:1 cannot be reached; "
        "look at AWS_ENDPOINT_URL and the network"
    )


def test_missing_credentials_are_named(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert fault_of(bucket("s3://without-credentials")) == (
        "PermissionError: s3://without-credentials/run/k cannot be read: no credentials; "
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )


def test_credentials_come_from_a_profile_and_one_that_is_not_there_is_named(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "credentials").write_text("[lab]\naws_access_key_id = a\naws_secret_access_key = b\n")
    (tmp_path / "config").write_text(f"[profile lab]\nregion = us-east-1\nendpoint_url = {s3_server.url}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    s3_server.make_bucket("of-a-profile")
    bucket("s3://of-a-profile").put("k", b"one", absent=True)
    assert asked(s3_server) == [("PUT", "k", 200)]
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(OSError, match=r"s3://of-nobody cannot be opened: The config profile \(nobody\)"):
        bucket("s3://of-nobody")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_ENDPOINT_URL", "me:pass@host", "Invalid endpoint: "),
        ("AWS_ENDPOINT_URL", "ftp//me:pass@ho st", "Invalid endpoint: "),
        ("AWS_MAX_ATTEMPTS", "abc", "invalid literal for int"),
    ],
)
def test_a_setting_that_is_none_is_named(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(OSError, match=f"^s3://a-bucket cannot be opened: {said}.*; look at .*{name}") as caught:
        bucket("s3://a-bucket")
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize("package", ["boto3", "fsspec"])
def test_the_extra_that_is_missing_is_named(package: str) -> None:
    code = """
import sys
sys.modules[sys.argv[1]] = None
from secondguess.analysis.objects.bucket import bucket
try:
    bucket("s3://any/key")
except ImportError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code, package], capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"MissingExtra {package}, which opens s3://, is not installed; install it with: pip install 'secondguess[s3]', "
        "or in a checkout: pip install -e '.[s3]'\n"
    )
