"""Paths in a bucket do what pathlib's do on a folder, and fail aloud where they cannot."""

import os
import pickle
from pathlib import Path

import pytest
from s3_server import S3Server, bucket_url, s3_process, s3_server

from secondguess.analysis.errors import BadInput, NotReached
from secondguess.analysis.objects import path as paths
from secondguess.analysis.objects.path import ObjectPath, delete, look, place, warm

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures

NAMES = ("run.json", "commits/t/00001.json", "commits/t/00002.json", "commits/end.json", "lr=0.1%2F é/x[1].parquet")


@pytest.fixture
def store(bucket_url: str) -> ObjectPath:
    """A prefix of a bucket with a few objects, each holding its name, beside another prefix that begins alike."""
    store = place(f"{bucket_url}/team/predictions")
    assert isinstance(store, ObjectPath)
    for name in NAMES:
        (store / name).put(name.encode())
    (store.parent / "predictions-old" / "run.json").put(b"old")
    look(store)
    return store


def test_what_lies_below_a_path_is_found_as_in_a_folder(store: ObjectPath, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())

    def found(root: Path) -> list[object]:
        every = sorted(root.rglob("*"))
        return [
            [str(path.relative_to(root)) for path in every],
            [(path.is_dir(), path.is_file(), path.exists(), path.is_symlink()) for path in every],
            sorted(path.name for path in root.iterdir()),
            sorted(path.name for path in (root / "commits").glob("*/*.json")),
            sorted(path.name for path in (root / "commits" / "t").glob("00001*.json")),
            sorted(path.name for path in root.rglob("*.json")),
            [path.read_text() for path in every if path.is_file()],
            [path.stat().st_size for path in every if path.is_file()],
            [(root / name).is_file() for name in ("commits", "nothing", "predictions-old", "commit")],
            [(root / name).is_dir() for name in ("commits", "nothing", "run.json", "commit")],
        ]

    assert found(store) == found(tmp_path)
    assert store.is_dir() and not (store.parent / "predictio").is_dir()


def test_what_is_not_there_is_said_as_of_a_folder(store: ObjectPath) -> None:
    nothing = store / "nothing"
    for ask in (lambda: list(nothing.iterdir()), nothing.stat, nothing.lstat, nothing.read_bytes, nothing.read_text):
        with pytest.raises(FileNotFoundError):
            ask()
    assert list((store / "nothing").glob("*")) == [] and list((store / "nothing").rglob("*")) == []
    (store / "nothing").unlink()


def test_a_path_is_its_url_and_is_no_file_of_this_machine(store: ObjectPath, bucket_url: str) -> None:
    assert str(store / "a" / "b.json") == f"{bucket_url}/team/predictions/a/b.json"
    assert (store / "a" / "b.json").key == "team/predictions/a/b.json"
    assert pickle.loads(pickle.dumps(store / "a")) == store / "a"
    assert store.absolute() == store.resolve() == store == place(Path(str(store)))
    assert str((store / "a" / "b").relative_to(store)) == "a/b"
    for system in (os.listdir, os.stat, os.unlink, open):
        with pytest.raises(TypeError, match="lies in a bucket, and is no file of this machine"):
            system(store)
    with pytest.raises(TypeError, match="opened for reading only"):
        store.open("wb")


def test_bytes_are_read_by_ranges(store: ObjectPath, s3_server: S3Server) -> None:
    (store / "large").put(bytes(range(256)) * 4096)
    s3_server.clear()
    with (store / "large").open() as file:
        file.seek(-4, os.SEEK_END)
        assert file.read() == b"\xfc\xfd\xfe\xff"
    assert s3_server.bytes_read() < 1 << 16


def test_what_is_written_is_known_at_once(store: ObjectPath, s3_server: S3Server) -> None:
    s3_server.clear()
    new = store / "commits" / "u" / "00001.json"
    new.put(b"one", absent=True)
    assert new.is_file() and new.parent.is_dir() and new.read_bytes() == b"one"
    with pytest.raises(FileExistsError):
        new.put(b"two", absent=True)
    new.put(b"two")
    assert new.read_bytes() == b"two"
    new.unlink()
    assert not new.exists() and not new.parent.exists()
    delete(store.rglob("*.json"))  # type: ignore[arg-type]
    assert [path.name for path in store.rglob("*") if path.is_file()] == ["x[1].parquet"]
    assert [request.method for request in s3_server.log if request.method == "GET" and not request.key] == []


def test_what_another_process_writes_is_seen_when_the_listing_is_old(
    store: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = store / "commits" / "u" / "00001.json"
    assert not new.exists()
    store.bucket.put(new.key, b"one")
    assert not new.exists()
    monkeypatch.setattr(paths, "_FRESH_S", 0.0)
    assert new.exists()


def test_small_objects_are_read_once_for_an_etag(store: ObjectPath, s3_server: S3Server) -> None:
    names = [name for name in NAMES if name.endswith(".json")]
    files = [store / name for name in names]
    warm(files)
    s3_server.clear()
    assert [path.read_bytes().decode() for path in files] == names
    assert s3_server.log == []
    store.bucket.put(files[0].key, b"another")
    look(store)
    assert files[0].read_bytes() == b"another"
    assert [request.key for request in s3_server.log if request.method == "GET" and request.key] == [files[0].key]


def test_an_object_that_went_after_it_was_listed_is_not_there(store: ObjectPath) -> None:
    store.bucket.delete([(store / "run.json").key])
    with pytest.raises(FileNotFoundError):
        (store / "run.json").read_bytes()
    assert not (store / "run.json").is_file()


def test_what_a_bucket_does_not_answer_is_no_empty_folder(store: ObjectPath, s3_server: S3Server) -> None:
    s3_server.fault(method="GET", status=403, code="AccessDenied")
    for ask in (lambda: look(store), lambda: (store / "run.json").read_bytes()):
        with pytest.raises(NotReached, match="refused"):
            ask()


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "s3://b/../c", "ftp://bucket/x", "http://host/x"])
def test_a_url_that_names_no_place_in_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        place(url)


@pytest.mark.parametrize("url", ["s3://shop/x", "S3://shop/x", "s3:/shop/x", "s3://shop/x/", Path("s3://shop/x")])
def test_a_url_may_be_written_otherwise(url: str) -> None:
    """pathlib makes one slash of two: a folder called `s3:` is meant by nobody."""
    assert str(place(url)) == "s3://shop/x"


def test_other_texts_are_folders() -> None:
    assert place("predictions") == Path("predictions")
    assert place("file:///data/predictions") == Path("/data/predictions")
    assert place("a:b") == Path("a:b")
    assert type(place("predictions")) is type(Path())
