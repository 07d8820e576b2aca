"""Buckets of other kinds than S3's, on fsspec's own file system in memory, which puts if absent as theirs do."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

import secondguess as sg
from secondguess.analysis.errors import BadInput
from secondguess.analysis.objects import bucket as buckets
from secondguess.analysis.objects import path as paths
from secondguess.analysis.objects.bucket import Bucket
from secondguess.analysis.objects.foreign import Foreign


@pytest.fixture
def client() -> Iterator[Foreign]:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    yield Foreign("gs", "shop", memory)
    memory.store.clear()


def test_objects_are_put_if_absent_listed_read_and_removed(client: Foreign, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"from a file")
    client.put("a/one.json", b"one", absent=True)
    client.put("a/b/two.json", tmp_path / "file", absent=True)
    client.put("c.json", b"three", absent=False)
    with pytest.raises(FileExistsError):
        client.put("a/one.json", b"another", absent=True)
    assert [(entry.key, entry.size) for entry in client.entries("a/")] == [("a/b/two.json", 11), ("a/one.json", 3)]
    assert [entry.key for entry in client.entries("")] == ["a/b/two.json", "a/one.json", "c.json"]
    assert client.entries("nothing/") == []
    assert client.read("a/one.json")[0] == b"one"
    assert client.read("a/b/two.json", (5, 6))[0] == b"a"
    before = client.entry("c.json").etag
    client.put("c.json", b"threefold", absent=False)
    assert client.entry("c.json").etag != before
    client.delete(["a/one.json", "a/nothing"])
    for ask in (client.read, client.entry):
        with pytest.raises(FileNotFoundError):
            ask("a/one.json")


def test_a_store_lies_in_one(client: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(buckets._open, "gs://shop", Bucket("gs://shop", client))
    monkeypatch.setattr(paths, "_known", {})
    with sg.Recorder("gs://shop/predictions", run="cnn") as recorder, recorder.table("t", epoch=1) as table:
        table.add(ids=["a", "b"], guess=["cat", "dog"], truth=["cat", "cat"])
    store = sg.connect("gs://shop/predictions")
    assert store.ask("errors", "cnn/t").select("id", "guess").fetchall() == [("b", "dog")]


@pytest.mark.parametrize("scheme, package", [("gs", "gcsfs"), ("az", "adlfs")])
def test_the_package_that_is_missing_is_named(scheme: str, package: str) -> None:
    with pytest.raises(BadInput, match=f"pip install {package}"):
        sg.connect(f"{scheme}://shop/predictions")
