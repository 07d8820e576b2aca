"""The files behind media cells: found, checked, and refused by name where they are not what they should be."""

import base64
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.importers.source import MediaCount
from secondguess.analysis.importers.wandb import media
from secondguess.analysis.importers.wandb.media import Entry, FolderFiles, MediaCells, StagedFiles, WandbFolders
from secondguess.analysis.opening import below, open_regular, read_regular


def image(kind: str, size: tuple[int, int] = (5, 3), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (10, 20, 30)).save(file, kind, **options)
    return file.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def cell(path: str, data: bytes | None = None) -> dict[str, Any]:
    return {"_type": "image-file", "path": path} | ({"sha256": sha256(data)} if data is not None else {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifact's folder, beside a file that is none of its own."""
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "artifact"
    (root / "media" / "images").mkdir(parents=True)
    (root / "media" / "images" / "good.png").write_bytes(image("PNG"))
    return root


def loaded(root: Path, *cells: Any) -> tuple[list[Any], MediaCount]:
    count = MediaCount()
    reader = MediaCells(FolderFiles(root), count)
    reader.begin_row()
    return [reader.load("image", one) for one in cells], count


def test_a_file_that_is_what_the_table_means_is_read(folder: Path) -> None:
    good = image("PNG")
    found, count = loaded(folder, cell("media/images/good.png", good), cell("media/images/good.png"))
    assert found == [{"bytes": good, "path": "media/images/good.png"}] * 2
    assert count == MediaCount(whole=2)


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "media/../../secret.txt",
        "media/images/../../../secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "media//images/good.png",
        "./media/images/good.png",
        "..\\..\\secret.txt",
        "C:\\secret.txt",
        "C:secret.txt",
        "file:///etc/passwd",
        "media/images/good.png\0",
        "media/images/\ud800",
        "media/images/a\nb",
        "",
        "x" * 5000,
        None,
        7,
        ["media"],
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_and_counted(path: Any, folder: Path) -> None:
    found, count = loaded(folder, {"_type": "image-file", "path": path})
    assert found == [None]
    assert (count.whole, count.missing, count.refused) == (0, 0, 1)
    assert count.reasons and len(count.reasons[0]) < 200


@pytest.mark.parametrize("path", ["~root", "media/..hidden", "media/images/$HOME", "미디어/😀 x.png"])
def test_a_path_that_only_looks_odd_is_a_plain_name(path: str, folder: Path) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(image("PNG"))
    assert loaded(folder, cell(path))[1] == MediaCount(whole=1)


def test_links_pipes_devices_and_folders_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    images = folder / "media" / "images"
    os.symlink(tmp_path / "secret.txt", images / "link.png")
    os.symlink(images / "good.png", images / "inside.png")
    os.symlink(tmp_path, folder / "out")
    os.symlink("/dev/zero", images / "zero.png")
    os.mkfifo(images / "pipe.png")
    (images / "folder.png").mkdir()
    names = ["link.png", "inside.png", "zero.png", "pipe.png", "folder.png"]
    found, count = loaded(folder, *(cell(f"media/images/{name}") for name in names), cell("out/secret.txt"))
    assert found == [None] * 6
    assert count.refused == 6
    assert [any(name in reason for reason in count.reasons) for name in names] == [True] * 5
    assert "is a link" in count.reasons[0] and "not a regular file" in count.reasons[3]
    _, count = loaded(folder, cell("out/secret.txt"))
    assert "'out/secret.txt' leads through a link" in count.reasons[0]


def test_a_file_that_may_not_be_read_is_refused_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    _, count = loaded(folder, cell("media/images/good.png"))
    assert count.reasons == [f"{folder}/media/images/good.png cannot be read: Permission denied"]


def test_a_file_that_is_gone_is_missing_not_refused(folder: Path) -> None:
    found, count = loaded(folder, cell("media/images/gone.png"), cell("media/images/good.png/x"))
    assert found == [None, None]
    assert (count.whole, count.missing, count.refused) == (0, 2, 0)
    assert count.reasons[0] == f"no file {folder}/media/images/gone.png"


def test_a_file_of_another_size_than_the_table_says_is_refused(folder: Path) -> None:
    """Where the table has no digest, its size is all that tells."""
    size = len(image("PNG"))
    good = {"_type": "image-file", "path": "media/images/good.png"}
    found, count = loaded(folder, good | {"size": size}, good | {"size": size + 1}, good | {"size": None})
    assert [value is not None for value in found] == [True, False, True]
    assert count.reasons == [
        f"'media/images/good.png' is not the file that the table means: it has {size} bytes, not {size + 1}"
    ]


def test_a_changed_byte_is_refused(folder: Path) -> None:
    good = bytearray(image("PNG"))
    _, count = loaded(folder, cell("media/images/good.png", bytes(good) + b"x"))
    assert count.refused == 1
    assert "'media/images/good.png' is not the file that the table means: its sha256 differs" in count.reasons[0]


def test_a_large_file_is_refused_unread(folder: Path) -> None:
    with open(folder / "large.png", "wb") as file:
        file.truncate(media.MEDIA_LIMIT + 1)
    _, count = loaded(folder, cell("large.png"))
    assert count.reasons == [f"{folder}/large.png has 16,777,217 bytes; at most 16,777,216 are read"]


def test_one_row_has_only_so_much(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "_ROW_LIMIT", 1)
    good = cell("media/images/good.png")
    count = MediaCount()
    reader = MediaCells(FolderFiles(folder), count)
    for _ in range(2):
        reader.begin_row()
        assert reader.load("image", good) is not None
        assert reader.load("image", good) is None
    assert (count.whole, count.refused) == (2, 2)


def test_a_reason_is_given_once_and_only_a_few_are_kept() -> None:
    count = MediaCount()
    for number in range(100):
        count.say(f"reason {number // 2}")
    assert count.reasons == [f"reason {number}" for number in range(5)]


def staged(tmp_path: Path, data: bytes, **changes: str) -> tuple[StagedFiles, Path]:
    """An artifact of one image, staged where W&B stages it."""
    place = tmp_path / "data" / "artifacts" / "staging" / "tmpabc"
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    entry = {"path": "media/a.png", "md5": md5(data), "local_path": str(place)} | changes
    return StagedFiles({"media/a.png": Entry(**entry)}, WandbFolders()), place


def test_a_staged_file_is_found_where_the_log_says(tmp_path: Path) -> None:
    files, place = staged(tmp_path, b"abc")
    assert files.read("media/a.png") == b"abc"
    assert files.local("media/a.png") == place


def test_a_staged_file_is_found_in_a_data_folder_that_moved_or_in_the_cache(tmp_path: Path) -> None:
    files, place = staged(tmp_path, b"abc", local_path="/gone/data/artifacts/staging/tmpabc")
    with pytest.raises(NotFound, match=r"no file 'media/a.png' in W&B's staging folder or cache"):
        files.read("media/a.png")
    moved = StagedFiles(files.entries, WandbFolders(data=[tmp_path / "nowhere", tmp_path / "data"]))
    assert moved.local("media/a.png") == place
    digest = hashlib.md5(b"abc").hexdigest()
    kept = tmp_path / "cache" / "artifacts" / "obj" / "md5" / digest[:2] / digest[2:]
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"abc")
    cached = StagedFiles(files.entries, WandbFolders(cache=[tmp_path / "cache"]))
    assert cached.read("media/a.png") == b"abc"
    assert cached.local("media/a.png") == kept


def test_wrong_bytes_are_passed_over_for_the_right_ones_and_else_refused(tmp_path: Path) -> None:
    files, place = staged(tmp_path, b"abc")
    place.write_bytes(b"abd")
    with pytest.raises(BadInput, match=r"tmpabc is not 'media/a.png': its MD5 differs"):
        files.read("media/a.png")
    with pytest.raises(BadInput, match="its MD5 differs"):
        files.local("media/a.png")
    other = tmp_path / "other"
    (other / "artifacts" / "staging").mkdir(parents=True)
    (other / "artifacts" / "staging" / "tmpabc").write_bytes(b"abc")
    assert StagedFiles(files.entries, WandbFolders(data=[other])).read("media/a.png") == b"abc"


@pytest.mark.parametrize(
    "place", ["secret.txt", "data/artifacts/staging/../../../secret.txt", "data/artifacts/staging/deeper/tmpabc"]
)
def test_a_log_cannot_name_a_file_outside_the_staging_folder(place: str, tmp_path: Path) -> None:
    data = b"abc"
    (tmp_path / "secret.txt").write_bytes(data)
    files, _ = staged(tmp_path, b"other", md5=md5(data), local_path=str(tmp_path / place))
    with pytest.raises(BadInput, match=r"'media/a.png' is said to be at '.*', outside W&B's folders"):
        files.read("media/a.png")


def test_a_staging_folder_that_is_a_link_to_elsewhere_is_none(tmp_path: Path) -> None:
    data = b"abc"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "tmpabc").write_bytes(data)
    (tmp_path / "x" / "artifacts").mkdir(parents=True)
    os.symlink(tmp_path / "elsewhere", tmp_path / "x" / "artifacts" / "staging")
    place = tmp_path / "x" / "artifacts" / "staging" / "tmpabc"
    files = StagedFiles({"a": Entry("a", md5(data), str(place))}, WandbFolders())
    with pytest.raises(BadInput, match="outside W&B's folders"):
        files.read("a")


def test_a_staged_link_or_pipe_is_refused(tmp_path: Path) -> None:
    files, place = staged(tmp_path, b"abc")
    place.rename(tmp_path / "abc")
    os.symlink(tmp_path / "abc", place)
    with pytest.raises(BadInput, match="is a link"):
        files.read("media/a.png")
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(BadInput, match="is not a regular file"):
        files.local("media/a.png")


@pytest.mark.parametrize("wrong", ["", "abc", "AAAA", "é", "A" * 24])
def test_without_an_md5_nothing_is_taken_for_the_file(wrong: str, tmp_path: Path) -> None:
    files, _ = staged(tmp_path, b"abc", md5=wrong)
    with pytest.raises(BadInput, match=r"'media/a.png' has no MD5"):
        files.read("media/a.png")


def test_a_reference_and_an_unknown_path_are_missing(tmp_path: Path) -> None:
    files, _ = staged(tmp_path, b"abc", ref="wandb-artifact://41/media/a.png")
    with pytest.raises(NotFound, match=r"only a reference to wandb-artifact://41/media/a.png"):
        files.read("media/a.png")
    with pytest.raises(NotFound, match="'b' is not in the artifact's manifest"):
        files.read("b")


def test_wandbs_folders_follow_its_environment(tmp_path: Path) -> None:
    folders = WandbFolders.of({}, Path("/home/me"))
    assert folders.data[0] == Path("/home/me/.local/share/wandb")
    assert folders.cache[0] == Path("/home/me/.cache/wandb")
    folders = WandbFolders.of({"WANDB_DATA_DIR": "/d", "WANDB_CACHE_DIR": "/c", "XDG_DATA_HOME": "/x"}, Path("/h"))
    assert [str(one) for one in folders.data[:2]] == ["/d", "/x/wandb"]
    assert str(folders.cache[0]) == "/c"
    beside = folders.beside(Path("/store/wandb/offline-run-1-a"))
    assert (str(beside.data[0]), str(beside.data[1])) == ("/store/wandb/data", "/d")


def test_a_file_that_a_person_names_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    os.symlink(tmp_path / "a", tmp_path / "b")
    with open_regular(tmp_path / "b", links=True) as file:
        assert file.read() == b"abc"
    with pytest.raises(BadInput, match="links are not followed"):
        open_regular(tmp_path / "b")
    assert read_regular(below(tmp_path, "a"), 3) == b"abc"
    with pytest.raises(BadInput, match="has 3 bytes; at most 2"):
        read_regular(tmp_path / "a", 2)
