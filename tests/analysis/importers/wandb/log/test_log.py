"""The reader of W&B's run log, against logs that the real SDK wrote and against a writer of a few lines."""

import contextlib
import gzip
import io
import json
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wandb.proto import wandb_internal_pb2 as pb
from wandb_scripts import framed, real_run

from secondguess.analysis import frames
from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.importers import wire
from secondguess.analysis.importers.wandb.log import log as wandb_log
from secondguess.analysis.importers.wandb.log.log import (
    Artifact,
    ConfigChange,
    Exit,
    HistoryRow,
    RunInfo,
    SummaryChange,
    WandbLog,
)
from secondguess.analysis.importers.wandb.media import Entry

HEADER = b":W&B" + struct.pack("<HB", 0xBEE1, 0)


def read(data: bytes) -> list[bytes]:
    return [frame.payload for frame in frames.frames(io.BytesIO(data), "a log")]


sizes = st.one_of(st.integers(0, 40), st.integers(32_740, 32_780), st.integers(0, 100_000))


@settings(deadline=None, max_examples=60)
@given(st.lists(sizes, max_size=8), st.integers(0, 255))
def test_records_of_any_size_come_back(lengths: list[int], fill: int) -> None:
    records = [bytes([(fill + number) % 256]) * length for number, length in enumerate(lengths)]
    data = framed(records)
    assert read(data) == records
    found = list(frames.frames(io.BytesIO(data), "a log"))
    for number, frame in enumerate(found):
        again = frames.frames(io.BytesIO(data), "a log", frame.offset)
        assert [one.payload for one in again] == records[number:]


@settings(deadline=None, max_examples=60)
@given(st.lists(sizes, min_size=1, max_size=4), st.data())
def test_a_log_cut_anywhere_is_a_shorter_log(lengths: list[int], data: st.DataObject) -> None:
    records = [bytes([number]) * length for number, length in enumerate(lengths)]
    whole = framed(records)
    cut = read(whole[: data.draw(st.integers(7, len(whole)))])
    assert cut == records[: len(cut)]


def test_zeros_at_the_end_are_what_a_crash_leaves_and_zeros_within_are_damage() -> None:
    data = framed([b"a" * 100])
    assert read(data + bytes(100_000)) == [b"a" * 100]
    two_blocks = framed([b"a" * 100, b"b" * 32_600, b"c" * 100])
    hole = bytearray(two_blocks)
    hole[114:32_768] = bytes(32_768 - 114)
    with pytest.raises(Damaged, match="a log is damaged at byte 114: zeros"):
        read(bytes(hole))


def test_a_record_that_begins_within_another_is_damage() -> None:
    part = b"a" * 10
    first = struct.pack("<IHB", zlib.crc32(b"\2" + part), len(part), 2) + part
    last = struct.pack("<IHB", zlib.crc32(b"\4" + part), len(part), 4) + part
    assert read(HEADER + first + last) == [b"a" * 20]
    assert read(HEADER + first) == []
    with pytest.raises(Damaged, match="byte 24: a record begins or ends out of place"):
        read(HEADER + first + first)
    with pytest.raises(Damaged, match="byte 7: a record begins or ends out of place"):
        read(HEADER + last)


def test_a_record_too_large_to_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_RECORD_LIMIT", 100_000)
    with pytest.raises(Damaged, match="a record of more than 100,000 bytes at byte 7"):
        read(framed([bytes(100_001)]))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> WandbLog:
    script = """
run.config.update({"lr": 0.5, "nested": {"a": {"b": 2}}})
run.config.update({"nested": {"a": {"b": 7}}, "날": "값 😀"}, allow_val_change=True)
run.log({"loss": 1.5})
run.log({"epoch": 1, "val/loss": math.nan, "a.b": -math.inf, "d": {"e": {"f": 2**60}}, "😀": True, "none": None})
run.log({"t": wandb.Table(columns=["a", "i"], data=[[1, wandb.Image(np.zeros((2, 2), np.uint8))]])}, step=100)
run.summary["best"] = {"x": 3}
"""
    init = {"name": "한글 😀", "config": {"a": [1, None]}, "group": "g", "tags": ["t1", "t2"], "notes": "two\nlines"}
    folder = real_run(tmp_path_factory.mktemp("log"), script, init=init)
    return WandbLog(next(folder.glob("run-*.wandb")))


def test_a_real_log_tells_of_the_run_its_config_and_its_end(log: WandbLog) -> None:
    records = list(log.records())
    about: dict[str, Any] = {}
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for record in records:
        if isinstance(record, RunInfo):
            about |= record.about
            record.config.apply(config)
        elif isinstance(record, ConfigChange):
            record.apply(config)
        elif isinstance(record, SummaryChange):
            record.apply(summary)
    assert about.pop("id") in log.path.name
    assert about.pop("started").endswith("+00:00")
    assert about == {"name": "한글 😀", "project": "demo", "group": "g", "tags": ["t1", "t2"], "notes": "two\nlines"}
    config.pop("_wandb", None)
    assert config == {"a": [1, None], "lr": 0.5, "nested": {"a": {"b": 7}}, "날": "값 😀"}
    assert summary["best"] == {"x": 3}
    assert records[-1] == Exit(0)


def test_history_rows_are_nested_values_with_their_step(log: WandbLog) -> None:
    rows = [record for record in log.records() if isinstance(record, HistoryRow)]
    assert [row.step for row in rows] == [0, 1, 100]
    own = [{key: value for key, value in row.values.items() if not key.startswith("_")} for row in rows]
    assert own[0] == {"loss": 1.5}
    assert str(own[1].pop("val/loss")) == "nan"
    assert own[1] == {"epoch": 1, "a.b": float("-inf"), "d": {"e": {"f": 2**60}}, "😀": True, "none": None}
    table = own[2]["t"]
    assert (table["_type"], table["nrows"], table["log_mode"]) == ("table-file", 1, "IMMUTABLE")


def test_an_artifact_lists_its_files(log: WandbLog) -> None:
    (artifact,) = (record for record in log.records() if isinstance(record, Artifact))
    assert artifact.type == "run_table" and artifact.name.endswith("-t")
    manifest = log.manifest(artifact)
    assert {Path(path).suffix for path in manifest} == {".png", ".json"}
    table = manifest["t.table.json"]
    assert json.loads(Path(table.local_path).read_text())["columns"] == ["a", "i"]


def test_every_length_of_a_torn_log_gives_the_records_before(log: WandbLog, tmp_path: Path) -> None:
    # NaN equals nothing, itself included: compared is what is written.
    whole, data = [repr(record) for record in log.records()], log.path.read_bytes()
    torn = WandbLog(tmp_path / "run-torn.wandb")
    for length in [*range(7, 60), *range(len(data) - 200, len(data))]:
        torn.path.write_bytes(data[:length])
        found = [repr(record) for record in torn.records()]
        assert found == whole[: len(found)] and len(found) < len(whole)


@pytest.mark.parametrize("data", [b"", b":W&", HEADER])
def test_a_log_that_has_only_begun_tells_nothing(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "run-x.wandb").write_bytes(data)
    assert list(WandbLog(tmp_path / "run-x.wandb").records()) == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"PK\3\4", "is no W&B log"),
        (b"PAR1PAR1PAR1", "is no W&B log"),
        (b":W&B" + struct.pack("<HB", 0xBEE1, 1), "version 1; only version 0"),
    ],
)
def test_another_file_is_no_log(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "run-x.wandb"
    path.write_bytes(data)
    with pytest.raises(Damaged, match=why) as raised:
        list(WandbLog(path).records())
    assert str(path) in str(raised.value)


def test_a_flipped_bit_is_found_and_never_read_as_something_else(log: WandbLog, tmp_path: Path) -> None:
    data, whole = log.path.read_bytes(), [repr(record) for record in log.records()]
    broken = WandbLog(tmp_path / "run-x.wandb")
    chance = random.Random(3)
    caught = 0
    for _ in range(200):
        at = chance.randrange(7, len(data))
        flipped = bytearray(data)
        flipped[at] ^= 1 << chance.randrange(8)
        broken.path.write_bytes(flipped)
        found = []
        try:
            for record in broken.records():
                found.append(repr(record))
        except Damaged as error:
            assert "run-x.wandb is damaged at byte " in str(error)
            caught += 1
        assert found == whole[: len(found)] and len(found) < len(whole)
    # What is left: lengths in the last block that now reach beyond the end, as in a torn log.
    assert caught > 180


def test_a_flipped_bit_in_the_middle_names_file_and_byte(log: WandbLog, tmp_path: Path) -> None:
    data = bytearray(log.path.read_bytes())
    data[40] ^= 1
    path = tmp_path / "run-x.wandb"
    path.write_bytes(data)
    with pytest.raises(Damaged) as raised:
        list(WandbLog(path).records())
    assert str(raised.value) == f"{path} is damaged at byte 7: a checksum is wrong"


def told(tmp_path: Path, *records: bytes) -> list[Any]:
    path = tmp_path / "run-x.wandb"
    path.write_bytes(framed(list(records)))
    return list(WandbLog(path).records())


def test_typed_values_of_history_are_read_too(tmp_path: Path) -> None:
    record = pb.Record()
    record.history.step.num = 7
    for key, kind, value in [
        ("none", "none", 0),
        ("boolean", "boolean", True),
        ("integer", "integer", -(2**63)),
        ("number", "number", -0.5),
        ("text", "text", "값"),
        ("json", "json", '{"a": [1]}'),
        ("value_json", "value_json", "NaN"),
    ]:
        item = record.history.item.add(key=key)
        setattr(item, kind, value)
    (row,) = told(tmp_path, record.SerializeToString())
    assert str(row.values.pop("value_json")) == "nan"
    assert row == HistoryRow(
        7,
        {"none": None, "boolean": True, "integer": -(2**63), "number": -0.5, "text": "값", "json": {"a": [1]}},
    )


def test_the_step_of_the_row_counts_before_that_of_the_record(tmp_path: Path) -> None:
    record = pb.Record()
    record.history.step.num = 7
    record.history.item.add(nested_key=["_step"], value_json="100")
    assert [row.step for row in told(tmp_path, record.SerializeToString())] == [100]


def test_config_is_updated_and_removed_in_order(tmp_path: Path) -> None:
    first, second = pb.Record(), pb.Record()
    first.config.update.add(key="a", value_json='{"b": 1, "c": 2}')
    first.config.update.add(nested_key=["x", "y"], value_json="1")
    second.config.remove.add(nested_key=["a", "b"])
    second.config.remove.add(key="not there")
    second.config.update.add(nested_key=["x", "y", "z"], value_json="2")
    config: dict[str, Any] = {}
    for change in told(tmp_path, first.SerializeToString(), second.SerializeToString()):
        change.apply(config)
    assert config == {"a": {"c": 2}, "x": {"y": {"z": 2}}}


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (DEEP, "nested too deep"),
        ("{", "Expecting property name"),
        ("1" * 5000, "Exceeds the limit"),
    ],
)
def test_values_that_are_no_json_are_refused_with_the_byte(value: str, why: str, tmp_path: Path) -> None:
    record = pb.Record()
    record.history.item.add(key="a", value_json=value)
    with pytest.raises(Damaged, match=rf"run-x\.wandb has a record that cannot be read at byte 7: {why}"):
        told(tmp_path, record.SerializeToString())


def test_a_key_of_a_thousand_parts_is_refused(tmp_path: Path) -> None:
    record = pb.Record()
    record.history.item.add(nested_key=["a"] * 1000, value_json="1")
    with pytest.raises(Damaged, match="a key of 1000 parts"):
        told(tmp_path, record.SerializeToString())


def test_values_too_large_for_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_log, "_VALUES_LIMIT", 1000)
    record = pb.Record()
    record.summary.update.add(key="a", value_json=json.dumps("x" * 2000))
    with pytest.raises(Damaged, match="values of more than 1,000 bytes"):
        told(tmp_path, record.SerializeToString())


def test_halves_of_characters_are_replaced(tmp_path: Path) -> None:
    record = pb.Record()
    record.config.update.add(key="a", value_json=r'["\ud83d\ude00", "\ud83dx"]')
    config: dict[str, Any] = {}
    (change,) = told(tmp_path, record.SerializeToString())
    change.apply(config)
    assert config == {"a": ["😀", "\N{REPLACEMENT CHARACTER}x"]}


@given(st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(), st.binary(max_size=300))
def test_the_wire_format_is_protobufs(whole: int, real: float, text: str, raw: bytes) -> None:
    item = pb.HistoryItem(integer=whole, key=text)
    fields = dict(wire.fields(item.SerializeToString()))
    assert (wire.text(fields.get(1, b"")), wire.zigzag(fields[5])) == (text, whole)
    fields = dict(wire.fields(pb.HistoryItem(number=real).SerializeToString()))
    assert repr(wire.double(fields[6])) == repr(real)
    assert wire.number(dict(wire.fields(pb.HistoryStep(num=whole).SerializeToString())).get(1, 0)) == whole
    with contextlib.suppress(ValueError):
        list(wire.fields(raw))


def long_manifest(folder: Path, lines: bytes) -> WandbLog:
    """A log of one artifact whose files are listed in a file of their own, as W&B does beyond 100,000."""
    folder.mkdir(parents=True)
    listed = folder / "1.manifest_contents.jl.gz"
    listed.write_bytes(gzip.compress(lines, mtime=0))
    record = pb.Record()
    record.artifact.client_id = "c"
    record.artifact.manifest.manifest_file_path = str(listed)
    log = folder / "run-x.wandb"
    log.write_bytes(framed([record.SerializeToString()]))
    return WandbLog(log)


def test_a_long_manifest_is_read_from_its_own_file(tmp_path: Path) -> None:
    entry = {"path": "media/a.png", "digest": "m", "local_path": "/x", "size": 3, "skip_cache": False}
    reference = {"path": "b", "digest": "", "ref": "s3://b"}
    lines = "".join(json.dumps(one) + "\n" for one in (entry, reference)).encode()
    log = long_manifest(tmp_path / "artifacts" / "staging" / "artifact_manifests", lines)
    (artifact,) = log.records()
    assert isinstance(artifact, Artifact)
    assert log.manifest(artifact) == {
        "media/a.png": Entry("media/a.png", "m", "/x"),
        "b": Entry("b", "", ref="s3://b"),
    }


@pytest.mark.parametrize(
    ("place", "lines", "error", "why"),
    [
        ("elsewhere/artifact_manifests", b"", BadInput, "outside W&B's folders"),
        ("artifacts/staging/other", b"", BadInput, "outside W&B's folders"),
        ("artifacts/staging/artifact_manifests", b"{", Damaged, "is no manifest"),
        ("artifacts/staging/artifact_manifests", b"[1]\n", Damaged, "is no manifest"),
        ("artifacts/staging/artifact_manifests", DEEP.encode()[:60_000], Damaged, "is no manifest"),
    ],
)
def test_a_long_manifest_elsewhere_or_broken_is_refused(
    place: str, lines: bytes, error: type[Exception], why: str, tmp_path: Path
) -> None:
    log = long_manifest(tmp_path / place, lines)
    (artifact,) = log.records()
    assert isinstance(artifact, Artifact)
    with pytest.raises(error, match=why):
        log.manifest(artifact)


def test_a_manifest_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_log, "_MOST_LINES_BYTES", 100_000)
    lines = (json.dumps({"path": "a", "digest": "b"}) + "\n").encode() * 100_000
    log = long_manifest(tmp_path / "artifacts" / "staging" / "artifact_manifests", lines)
    (artifact,) = log.records()
    assert isinstance(artifact, Artifact)
    with pytest.raises(Damaged, match="is longer than 100,000 bytes"):
        log.manifest(artifact)


def test_the_readers_need_neither_wandb_nor_torch() -> None:
    code = """
import sys
import secondguess.analysis.importers.wandb.offline, secondguess.analysis.importers.wandb.artifact
print(sorted({"wandb", "torch", "secondguess.trainer", "google.protobuf"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
