"""Members of zip files by what real writers pack: deflate by `zipfile`, zstd by Inspect."""

import json
import zipfile
from pathlib import Path

import pytest
from evaluation_logs import LOGS

from secondguess.analysis.errors import Damaged, NotFound
from secondguess.analysis.importers.evaluations.archive import open_archive

(ZSTD,) = (LOGS / "inspect-0.3.285").glob("*_cut_*.eval")


def test_members_packed_with_zstd_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(ZSTD) as plain:
        assert {about.compress_type for about in plain.infolist()} == {93}
    with open_archive(ZSTD, "log") as archive:
        assert json.loads(archive.read("_journal/start.json"))["eval"]["model"] == "mockllm/model"
        with pytest.raises(NotFound, match=r"log has no header\.json"):
            archive.read("header.json")


def test_of_members_called_alike_the_last_counts(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for text in ("old", "new"):
            file.writestr("a", text)
    with open_archive(tmp_path / "a.zip", "a.zip") as archive:
        assert (archive.names, archive.read("a")) == (["a"], b"new")


@pytest.mark.parametrize("packed", ["zstd", "deflate"])
def test_a_changed_byte_is_damage_and_no_other_content(tmp_path: Path, packed: str) -> None:
    path = tmp_path / "a.zip"
    if packed == "zstd":
        path.write_bytes(ZSTD.read_bytes())
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("_journal/start.json", ZSTD.read_bytes())
    content = bytearray(path.read_bytes())
    for place in range(60, 200, 10):
        content[place] ^= 0x55
    path.write_bytes(content)
    with (
        open_archive(path, "log") as archive,
        pytest.raises(Damaged, match=r"log: _journal/start\.json cannot be unpacked"),
    ):
        archive.read("_journal/start.json")


def test_a_file_that_was_cut_off_or_claims_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(ZSTD.read_bytes()[:1000])
    with pytest.raises(Damaged, match="it was cut off, or is no zip file"), open_archive(tmp_path / "a.zip", "a.zip"):
        pass
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as file, file.open("a", "w") as member:
        for _ in range(513):
            member.write(bytes(1 << 20))
    with open_archive(tmp_path / "b.zip", "b.zip") as archive, pytest.raises(Damaged, match="at most 536,870,912"):
        archive.read("a")
