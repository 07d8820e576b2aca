"""Checksums of files that came from elsewhere, against md5sum's and sha256sum's own words."""

from pathlib import Path

import pytest

from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.importers import checksums

# printf abc | md5sum; printf abc | openssl md5 -binary | base64; printf abc | sha256sum
MD5, IN_BASE64 = "900150983cd24fb0d6963f7d28e17f72", "kAFQmDzST7DWlj99KOF/cg=="
SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_bytes_and_files_have_their_checksums(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert checksums.md5(b"abc") == checksums.md5_of(path) == checksums.md5_hex(IN_BASE64) == MD5
    for told in (SHA256, SHA256.upper()):
        assert checksums.is_sha256(b"abc", told) and checksums.is_sha256_of(path, told)
    assert not checksums.is_sha256(b"abd", SHA256)
    assert checksums.object_file(Path("cache"), MD5) == Path("cache/artifacts/obj/md5/90") / MD5[2:]


def test_a_file_of_many_pieces_has_the_checksum_of_all(tmp_path: Path) -> None:
    path = tmp_path / "zeros"
    path.write_bytes(bytes(3 << 20))
    assert checksums.md5_of(path) == checksums.md5(bytes(3 << 20))


@pytest.mark.parametrize("text", ["", "abc", "kAFQmDzST7DWlj99KOF/cg", "kAFQmDzST7DWlj99KOF/cg== ", MD5, "AAAA"])
def test_what_is_no_md5_in_base64_is_none(text: str) -> None:
    assert checksums.md5_hex(text) is None


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        checksums.md5_of(tmp_path / "none")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(BadInput, match="is a link"):
        checksums.is_sha256_of(tmp_path / "link", SHA256)


def test_hashing_in_pieces_and_md5_stand_once() -> None:
    root = Path(__file__).parents[3]
    modules = {
        path.name: path.read_text() for package in ("analysis", "trainer") for path in (root / package).rglob("*.py")
    }
    assert [name for name, text in modules.items() if "hashlib.md5" in text or "b64decode(text, val" in text] == [
        "checksums.py"
    ]
    assert [name for name, text in modules.items() if "while piece" in text] == []
