"""A run in a zip file: the same bytes in another store, and nothing from a file that is not as it was written."""

import json
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from s3_server import bucket_url, s3_process, s3_server
from stores import epoch, writer
from stores import ran as told

import secondguess as sg
from secondguess.analysis.errors import Damaged
from secondguess.analysis.objects.path import place
from secondguess.analysis.store import archive, remarks
from secondguess.analysis.store.check import check
from secondguess.analysis.store.runs import find_run
from secondguess.analysis.store.upkeep import compact

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures

PICTURES = np.arange(3 * 16, dtype=np.uint8).reshape(3, 4, 4)


def fill(store: Path, run: str = "cnn|1") -> None:
    with sg.Recorder(store, run=run, classes=["cat", "dog"], config={"lr": 0.5}) as recorder:
        for number in (1, 2):
            recorder.log(loss=1 / number)
            with recorder.table("test_predictions", epoch=number) as table:
                table.add(
                    ids=list("abc"),
                    images=PICTURES,
                    truth=[0, 1, None],
                    scores=[[0.75, 0.25], [0.25 * number, 1 - 0.25 * number], [0.5, 0.5]],
                )
        with recorder.table("texts", epoch=1) as table:
            table.add(ids=["x"], content=["a text"], guess=["dog"], truth=["cat"])
        recorder.log(last=1)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    fill(tmp_path / "predictions")
    remarks.change(tmp_path / "predictions", "cnn|1", ["good"], note="overfits")
    return tmp_path / "predictions"


@pytest.fixture
def packed(store: Path, tmp_path: Path) -> Path:
    archive.pack(store, "cnn|1", tmp_path / "run.zip")
    return tmp_path / "run.zip"


def parquet(store: Path) -> dict[str, bytes]:
    """The Parquet files of a store, each under its path below the run's folder."""
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("*.parquet")}


def answers(store: Path | str, run: str) -> list[list[tuple[Any, ...]]]:
    one = sg.connect(store)
    rows = f'SELECT * EXCLUDE run FROM "{run}" ORDER BY ALL'
    metrics = f"SELECT step, epoch, name, value FROM metrics WHERE run = '{run}' ORDER BY ALL"
    joined = f'SELECT id, e.digest, e.image FROM "{run}@2" JOIN examples e USING (examples, id) ORDER BY id'
    texts = f'SELECT id, e.content FROM "{run}/texts@1" JOIN examples e USING (examples, id)'
    return [one.sql(text).fetchall() for text in (rows, metrics, joined, texts)]


def test_a_run_comes_into_another_store_byte_for_byte(store: Path, tmp_path: Path, capsys: Any) -> None:
    file, other = tmp_path / "run.zip", tmp_path / "other"
    said, code = told(capsys, "export", "cnn|1", file, "--store", store)
    assert (said.startswith("wrote run cnn|1, finished: epochs 2 of test_predictions, 1 of texts; "), code) == (True, 0)
    said, code = told(capsys, "import", file, "--store", other)
    assert (said.startswith("run cnn|1, finished: epochs 2 of test_predictions, 1 of texts; "), code) == (True, 0)
    assert parquet(other) == parquet(store) != {}
    assert answers(other, "cnn|1") == answers(store, "cnn|1")
    assert check(other).findings == ()
    run = find_run(other, "cnn|1")
    assert remarks.read(run) == remarks.Remarks(("good",), "overfits")
    assert (run.about["config"], run.about["classes"]) == ({"lr": 0.5}, ["cat", "dog"])


def test_under_another_name_it_is_the_same_run(packed: Path, store: Path, tmp_path: Path, capsys: Any) -> None:
    assert told(capsys, "import", packed, "--run", "twin", "--store", store)[1] == 0
    assert answers(store, "twin") == answers(store, "cnn|1")
    assert check(store).findings == ()
    assert len(list((store / "examples").iterdir())) == 2


def test_unpacked_by_hand_it_is_a_store(packed: Path, store: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as package:
        assert {one.compress_type for one in package.infolist() if one.filename.endswith(".parquet")} == {0}
        package.extractall(tmp_path / "by hand")
    assert answers(tmp_path / "by hand", "cnn|1") == answers(store, "cnn|1")


def test_the_same_run_is_the_same_file(packed: Path, store: Path, tmp_path: Path) -> None:
    archive.pack(store, "cnn|1", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_what_is_there_already_stays_unless_it_is_to_be_replaced(packed: Path, store: Path, capsys: Any) -> None:
    before = parquet(store)
    said, code = told(capsys, "import", packed, "--store", store)
    assert ("run 'cnn|1' exists already; name another with --run, or --overwrite it" in said, code) == (True, 1)
    said, code = told(capsys, "import", packed, "--run", "CNN|1", "--store", store)
    assert ("differs from 'cnn|1' only in case" in said, code) == (True, 1)
    assert told(capsys, "import", packed, "--overwrite", "--store", store)[1] == 0
    assert parquet(store) == before
    file = packed.read_bytes()
    assert "is there already" in told(capsys, "export", "cnn|1", packed, "--store", store)[0]
    assert packed.read_bytes() == file
    assert told(capsys, "export", "cnn|1", packed, "--overwrite", "--store", store)[1] == 0


def test_a_dry_run_reads_all_and_writes_nothing(packed: Path, tmp_path: Path, capsys: Any) -> None:
    said, code = told(capsys, "import", packed, "--dry-run", "--store", tmp_path / "none")
    assert ("epochs 2 of test_predictions, 1 of texts" in said, code) == (True, 0)
    assert not (tmp_path / "none").exists()


def test_other_options_are_not_for_a_run(packed: Path, tmp_path: Path, capsys: Any) -> None:
    for option in (("--epoch", "3"), ("--table", "t"), ("--guess", "g"), ("--classes", "a,b")):
        said, code = told(capsys, "import", packed, *option, "--store", tmp_path / "none")
        assert ("is a run, which comes as it is; leave out all but" in said, code) == (True, 1)
    said, code = told(capsys, "export", "cnn|1@2", "x.zip", "--store", tmp_path / "predictions")
    assert ("takes a whole run, not cnn|1@2: name cnn|1" in said, code) == (True, 1)
    for words in (("x",), ("x.tar",), ("x.zip", "--hf", "y"), ("x.zip", "--no-images"), ()):
        assert told(capsys, "export", "cnn|1", *words, "--store", tmp_path / "predictions")[1] == 1


def test_a_run_that_is_recorded_is_packed_as_far_as_it_is(tmp_path: Path, capsys: Any) -> None:
    store, file = tmp_path / "s", tmp_path / "going.zip"
    with sg.Recorder(store, run="going") as recorder:
        with recorder.table("test_predictions", epoch=1) as table:
            table.add(ids=["a"], guess=[1], truth=[1])
        said, code = told(capsys, "export", "going", file, "--store", store)
        assert code == 0
        assert "going is being recorded: what it commits from now on is not in" in said
        with recorder.table("test_predictions", epoch=2) as table:
            table.add(ids=["a"], guess=[0], truth=[1])
    assert told(capsys, "import", file, "--store", tmp_path / "other")[0].startswith(
        "run going, interrupted: epochs 1 "
    )
    assert list(find_run(tmp_path / "other", "going").tables["test_predictions"]) == [1]
    with sg.Recorder(tmp_path / "other", run="going", resume=True) as recorder:
        assert recorder.last_epoch == 1


def test_a_run_whose_files_are_merged_meanwhile_is_packed_as_it_is_then(tmp_path: Path, monkeypatch: Any) -> None:
    store = tmp_path / "s"
    own = writer(store)
    for number in (1, 2):
        own.commit(epoch(number, ["a", "b"]))
    put: Callable[..., Any] = archive._put

    def merging(package: Any, member: Any) -> Any:
        if len(find_run(store, "cnn").commits["test_predictions"]) == 2:
            compact(find_run(store, "cnn"))
        return put(package, member)

    monkeypatch.setattr(archive, "_put", merging)
    archive.pack(store, "cnn", tmp_path / "run.zip")
    own.close()
    archive.bring(tmp_path / "run.zip", tmp_path / "other")
    assert list(find_run(tmp_path / "other", "cnn").tables["test_predictions"]) == [1, 2]
    assert check(tmp_path / "other").findings == ()


def test_what_is_damaged_is_not_packed(store: Path, tmp_path: Path, capsys: Any) -> None:
    path = next((store / "examples").glob("test*.parquet"))
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    said, code = told(capsys, "export", "cnn|1", tmp_path / "run.zip", "--store", store)
    assert (f"{path} is not as it was written" in said, code) == (True, 1)
    path.unlink()
    assert f"{path} is missing" in told(capsys, "export", "cnn|1", tmp_path / "run.zip", "--store", store)[0]
    assert not (tmp_path / "run.zip").exists()


def test_each_damaged_file_is_named_and_nothing_comes(packed: Path, tmp_path: Path, capsys: Any) -> None:
    with zipfile.ZipFile(packed) as package:
        members = package.infolist()
    whole = packed.read_bytes()
    for member in members:
        at = member.header_offset + 30 + len(member.filename.encode()) + member.compress_size // 2
        data = bytearray(whole)
        data[at] ^= 0xFF
        packed.write_bytes(data)
        for dry in ((), ("--dry-run",)):
            said, code = told(capsys, "import", packed, *dry, "--store", tmp_path / "none")
            assert (member.filename in said, said.count("\n"), code) == (True, 1, 1), said
    assert not (tmp_path / "none" / "cnn%7C1").exists()
    for size in (len(whole) - 1, len(whole) // 2, 40, 3):
        packed.write_bytes(whole[:size])
        said, code = told(capsys, "import", packed, "--store", tmp_path / "none")
        assert (said.count("\n"), code) == (1, 1), said


def test_damage_anywhere_is_said_in_one_line(packed: Path, tmp_path: Path, capsys: Any) -> None:
    """Bytes of the directory at the end, and of the heads of files, in turn."""
    whole = packed.read_bytes()
    start = whole.index(b"PK\x01\x02")
    for at in [*range(0, 60), *range(start, len(whole), 3)]:
        for value in (0, 0xFF, whole[at] ^ 1):
            packed.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            said, code = told(capsys, "import", packed, "--dry-run", "--store", tmp_path / "none")
            assert code == 0 or said.count("\n") == 1, said


def rewritten(packed: Path, change: Callable[[str, bytes], list[tuple[str, bytes]]], method: int = 0) -> None:
    """The file with other members, of which the manifest says what they are unless it is changed itself."""
    with zipfile.ZipFile(packed) as package:
        members = [(one.filename, package.read(one)) for one in package.infolist()]
    new = [pair for name, data in members for pair in change(name, data)]
    with zipfile.ZipFile(packed, "w", method) as package:
        for name, data in new:
            package.writestr(name, data)


def also(name: str) -> Callable[[str, bytes], list[tuple[str, bytes]]]:
    """One more member, which the manifest names."""

    def change(own: str, data: bytes) -> list[tuple[str, bytes]]:
        if own != archive.MANIFEST:
            return [(own, data)]
        said = json.loads(data)
        said["files"][name] = {"bytes": 1, "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}
        return [(name, b"x"), (own, json.dumps(said).encode())]

    return change


@pytest.mark.parametrize(
    "name",
    [
        *("../evil.parquet", "/etc/evil.parquet", "cnn%7C1/../../evil.parquet", "..\\evil", "C:/evil.parquet"),
        *("evil", "other/run.json", "cnn%7C1/notes.txt", "cnn%7C1/.lock", "examples/x.csv", "questions/q.sql"),
        *("views/v.json", "cnn%7C1/commits/a/b/c.json", "cnn%7C1/./run.json", "examples/../run.json"),
    ],
)
def test_other_files_than_those_of_a_run_are_refused(packed: Path, tmp_path: Path, capsys: Any, name: str) -> None:
    rewritten(packed, also(name))
    said, code = told(capsys, "import", packed, "--store", tmp_path / "none")
    assert (code, said.count("\n")) == (1, 1), said
    assert sorted(tmp_path.rglob("evil*")) == []
    assert not (tmp_path / "none").exists()


def test_a_manifest_that_is_none_is_refused(packed: Path, tmp_path: Path, capsys: Any) -> None:
    whole = packed.read_bytes()
    good = json.loads(zipfile.ZipFile(packed).read(archive.MANIFEST))
    for said, words in (
        ({**good, "format": 2}, "has format 2, this secondguess reads up to 1: upgrade it"),
        ({**good, "format": "x"}, "is not what an export wrote"),
        ({**good, "files": 3}, "is not what an export wrote"),
        ({**good, "run": None}, "is not what an export wrote"),
        ({**good, "run": "../x"}, "are not allowed"),
        ({**good, "run": "examples"}, "is reserved"),
        ({**good, "files": {**good["files"], "gone.json": {"bytes": 1, "sha256": ""}}}, "lacks gone.json"),
        ([], "is not what an export wrote"),
    ):
        packed.write_bytes(whole)
        text = json.dumps(said).encode()
        rewritten(packed, lambda name, data, text=text: [(name, text if name == archive.MANIFEST else data)])
        answer, code = told(capsys, "import", packed, "--store", tmp_path / "none")
        assert (words in answer, answer.count("\n"), code) == (True, 1, 1), answer


def test_what_a_record_names_must_have_come(packed: Path, tmp_path: Path, capsys: Any) -> None:
    def without(name: str, data: bytes) -> list[tuple[str, bytes]]:
        if name == archive.MANIFEST:
            said = json.loads(data)
            said["files"] = {own: about for own, about in said["files"].items() if "examples/" not in own}
            return [(name, json.dumps(said).encode())]
        return [] if "examples/" in name else [(name, data)]

    rewritten(packed, without)
    answer, code = told(capsys, "import", packed, "--store", tmp_path / "none")
    assert ("which a record in it names" in answer, code) == (True, 1)


def test_bombs_are_refused_before_they_are_unpacked(
    packed: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    whole = packed.read_bytes()
    rewritten(packed, lambda name, data: [(name, data)], zipfile.ZIP_DEFLATED)
    assert "is packed, and no export packs it" in told(capsys, "import", packed, "--store", tmp_path / "none")[0]
    packed.write_bytes(whole)
    with pytest.warns(UserWarning, match="Duplicate name"):
        rewritten(packed, lambda name, data: [(name, data)] * (2 if "examples" in name else 1))
    assert "twice" in told(capsys, "import", packed, "--store", tmp_path / "none")[0]
    packed.write_bytes(whole)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 0, 10))
    said, _ = told(capsys, "import", packed, "--store", tmp_path / "none")
    assert "bytes, and" in said
    assert "has 10 free; make room" in said


def test_files_of_other_kinds_are_what_they_were(tmp_path: Path, capsys: Any) -> None:
    with zipfile.ZipFile(tmp_path / "p.csv.zip", "w") as package:
        package.writestr("p.csv", "id,guess,truth\n1,a,a\n")
    assert told(capsys, "import", tmp_path / "p.csv.zip", "--store", tmp_path / "s")[1] == 0


def test_a_large_run_needs_no_memory(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    with sg.Recorder(tmp_path / "s", run="large") as recorder, recorder.table("test_predictions", epoch=1) as table:
        for part in range(10):
            pictures = random.integers(0, 256, (40, 256, 256), np.uint8)
            table.add(ids=[f"{part}-{row}" for row in range(40)], images=pictures, guess=[0] * 40)
    tracemalloc.start()
    archive.pack(tmp_path / "s", "large", tmp_path / "run.zip")
    archive.bring(tmp_path / "run.zip", tmp_path / "other")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "run.zip").stat().st_size > 20 << 20
    assert most < 8 << 20


def test_from_bucket_to_bucket(bucket_url: str, tmp_path: Path, capsys: Any) -> None:
    one, other = f"{bucket_url}/one", f"{bucket_url}/other"
    fill(place(one), "cnn")
    said, code = told(capsys, "export", "cnn", tmp_path / "a.zip", "--store", one)
    assert code == 0, said
    said, code = told(capsys, "import", tmp_path / "a.zip", "--store", other)
    assert code == 0, said
    assert answers(other, "cnn") == answers(one, "cnn")
    said, code = told(capsys, "import", tmp_path / "a.zip", "--store", other)
    assert code == 1, said
    said, code = told(capsys, "import", tmp_path / "a.zip", "--overwrite", "--store", other)
    assert code == 0, said
    said, code = told(capsys, "export", "cnn", tmp_path / "b.zip", "--store", other)
    assert code == 0, said
    with zipfile.ZipFile(tmp_path / "a.zip") as a, zipfile.ZipFile(tmp_path / "b.zip") as b:
        assert a.namelist() == b.namelist()
        assert {name: a.read(name) == b.read(name) for name in a.namelist() if name.endswith(".parquet")}
    archive.bring(tmp_path / "b.zip", tmp_path / "here")
    assert answers(tmp_path / "here", "cnn") == answers(one, "cnn")


def test_a_run_that_is_not_whole_is_said(store: Path, tmp_path: Path) -> None:
    record = next((store / "cnn%7C1" / "commits" / "texts").iterdir())
    record.write_text(record.read_text().replace('"rows": 1', '"rows": 2'))
    with pytest.raises(Damaged, match="cannot be packed: record"):
        archive.pack(store, "cnn|1", tmp_path / "run.zip")
