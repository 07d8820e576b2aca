"""What a file is, whatever its name; what is packed, taken out; what would fill the disk, refused."""

import bz2
import gzip
import io
import lzma
import os
import sys
import threading
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from secondguess.analysis.errors import BadInput, Damaged, NotFound
from secondguess.analysis.importers.files import unpacked as module
from secondguess.analysis.importers.files.unpacked import named_files, stem_of, unpacked

ROWS = b"id,pred\na,1\n"


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, "zstd", asbytes=True))


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in files.items():
            package.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("p.csv", ROWS),
        ("p.csv.gz", gzip.compress(ROWS, mtime=0)),
        ("p.csv.gz", gzip.compress(ROWS[:9], mtime=0) + gzip.compress(ROWS[9:], mtime=0)),
        ("p.csv.zst", zstd(ROWS)),
        ("p.csv.bz2", bz2.compress(ROWS)),
        ("p.csv.xz", lzma.compress(ROWS)),
        ("p.zip", zipped({"p.csv": ROWS, "__MACOSX/._p.csv": b"x"})),
        ("p.csv", gzip.compress(ROWS, mtime=0)),  # a name that has lost its end
        ("p.csv.gz.zip", zipped({"p.csv.gz": gzip.compress(ROWS, mtime=0)})),
    ],
)
def test_what_is_packed_is_taken_out(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "made").mkdir()
    file = unpacked(str(tmp_path / name), tmp_path / "made")
    assert (file.path.read_bytes(), file.name, file.format) == (ROWS, str(tmp_path / name), "csv")


def test_the_content_of_binary_formats_says_what_they_are_and_text_is_what_its_name_says(tmp_path: Path) -> None:
    for name, data, format in [
        ("a.bin", b"PAR1....", "parquet"),
        ("a.csv", b"ARROW1..", "arrow"),
        ("a.xlsx", zipped({"[Content_Types].xml": b"<x/>"}), "xlsx"),
        ("a.txt", b"a|b\n", "csv"),
        ("a.TSV", b"a\tb\n", "tsv"),
        ("a.ndjson", b"{}", "jsonl"),
        ("a.json", b"[]", "json"),
    ]:
        (tmp_path / name).write_bytes(data)
        assert unpacked(str(tmp_path / name), tmp_path).format == format, name
    (tmp_path / "a.log").write_bytes(ROWS)
    with pytest.raises(BadInput, match=r"a\.log is none of \.csv, .*; --format names its format: csv, tsv"):
        unpacked(str(tmp_path / "a.log"), tmp_path)
    assert unpacked(str(tmp_path / "a.log"), tmp_path, "csv").format == "csv"
    (tmp_path / "b.parquet").write_bytes(ROWS)
    with pytest.raises(Damaged, match="does not begin as a file of the format parquet does"):
        unpacked(str(tmp_path / "b.parquet"), tmp_path)


@pytest.mark.parametrize(
    ("data", "format"), [(ROWS, "csv"), (b'\n[{"a": 1}]', "json"), (gzip.compress(ROWS, mtime=0), "csv")]
)
def test_standard_input_is_staged_and_told_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, format: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert unpacked("-", tmp_path).format == format


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(ROWS,))
    writer.start()
    (source,) = named_files([str(tmp_path / "pipe")])
    (tmp_path / "made").mkdir()
    file = unpacked(source, tmp_path / "made")
    writer.join()
    assert (file.path.read_bytes(), file.name, file.format) == (ROWS, source, "csv")


def test_a_package_that_holds_far_more_than_it_takes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ALWAYS", 1 << 20)
    for name, data in [("p.csv.gz", gzip.compress(bytes(1 << 24), mtime=0)), ("p.csv.zst", zstd(bytes(1 << 26)))]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadInput, match=r"holds more than [\d,]+ bytes, far more than it takes"):
            unpacked(str(tmp_path / name), tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("p.csv.gz", gzip.compress(ROWS, mtime=0)[:-9], "cannot be unpacked"),
        ("p.csv.zst", zstd(ROWS)[:12] + b"xxxxxxxx", "cannot be unpacked"),
        (
            "p.zip",
            zipped({"a.csv": ROWS, "b.csv": ROWS}),
            r"has 2 files \(a\.csv, b\.csv\); unpack it and name",
        ),
        ("p.zip", zipped({}), r"has 0 files \(nothing\)"),
    ],
)
def test_a_broken_package_or_one_of_several_files_is_refused_by_name(
    tmp_path: Path, name: str, data: bytes, why: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises((Damaged, BadInput), match=f"{name}.* {why}"):
        unpacked(str(tmp_path / name), tmp_path)


def test_a_folder_and_a_pattern_stand_for_their_files_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("p-10.csv", "p-2.csv", "p-1.csv.gz", ".hidden.csv", "_SUCCESS", "notes.md"):
        (tmp_path / name).write_bytes(b"x")
    in_order = [str(tmp_path / name) for name in ("p-1.csv.gz", "p-2.csv", "p-10.csv")]
    assert named_files([str(tmp_path)]) == in_order
    assert named_files([str(tmp_path / "p-*.csv")]) == in_order[1:]
    assert named_files([in_order[2], str(tmp_path), "-"]) == [in_order[2], *in_order[:2], "-"]
    (tmp_path / "q.parquet").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"several formats \(3 csv, 1 parquet\); name those of one table: '.*\*\.csv"):
        named_files([str(tmp_path)])
    for nothing, why in [("z*.csv", "no file matches"), ("z.csv", "no file or folder")]:
        with pytest.raises(NotFound, match=why):
            named_files([str(tmp_path / nothing)])


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a/preds.csv.gz", "preds"),
        ("a.b.jsonl", "a.b"),
        ("x.CSV", "x"),
        ("v1.2", "v1.2"),
        ("-", "stdin"),
        ("p.gz", "p"),
    ],
)
def test_a_run_is_called_as_its_file_without_what_says_the_format(name: str, stem: str) -> None:
    assert stem_of(name) == stem
