"""Event files that TensorBoard and PyTorch wrote: the same scalars as TensorBoard's own reader has of them."""

import struct
from pathlib import Path
from typing import Any

import pytest
from event_files import restart, scalar, tensor, written
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from tensors import NEEDS_TORCH

from secondguess.analysis.importers.tensorboard.events import masked_crc, read_events

TYPES = {1: "<f", 2: "<d", 3: "<i", 9: "<q"}


def theirs(folder: Path) -> dict[str, list[tuple[int, float, float]]]:
    """What TensorBoard's own reader has of a folder: (step, time, value) by tag."""
    seen = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    seen.Reload()
    scalars = {
        tag: [(one.step, one.wall_time, one.value) for one in seen.Scalars(tag)] for tag in seen.Tags()["scalars"]
    }
    for tag in set(seen.Tags()["tensors"]) - {"nought"}:  # of which TensorBoard's NumPy makes nothing
        values = [(one.step, one.wall_time, make_ndarray(one.tensor_proto)) for one in seen.Tensors(tag)]
        if all(value.shape == () and value.dtype.kind in "fi" for _, _, value in values):
            scalars[tag] = [(step, time, float(value)) for step, time, value in values]
    return scalars


def ours(file: Path) -> dict[str, list[tuple[int, float, float]]]:
    by_tag: dict[str, list[tuple[int, float, float]]] = {}
    for one in read_events(file).scalars:
        by_tag.setdefault(one.tag, []).append((one.step, one.time, one.value))
    return by_tag


def test_the_checksum_is_the_one_of_the_castagnoli_polynomial() -> None:
    """RFC 3720, B.4: CRC-32C of 32 zeros, of 32 ones, of 0 to 31; masked as TFRecord says."""
    for data, crc in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)):
        assert masked_crc(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def test_scalars_are_those_that_tensorboard_reads(tmp_path: Path) -> None:
    events = [scalar("loss", step, 1 / (step + 1), 1_700_000_000.25 + step) for step in range(300)]
    events += [scalar("größe/ä", 2**40, 3.5), scalar("", 1, float("nan")), scalar("inf", -3, float("-inf"))]
    events += [
        tensor(f"{kind} {number}", 4, dtype=number, tensor_content=struct.pack(TYPES[number], number))
        for number in TYPES
        for kind in ("content",)
    ]
    events += [
        tensor("one", 1, dtype=1, float_val=[0.5]),
        tensor("two", 1, dtype=2, double_val=[0.25]),
        tensor("three", 1, dtype=3, int_val=[-7]),
        tensor("nine", 1, dtype=9, int64_val=[1 << 40]),
        tensor("nought", 1, dtype=1),
        tensor("again", 1, dtype=1, float_val=[1.0]),
        tensor("again", 2, plugin="", dtype=1, float_val=[2.0]),
    ]
    file = written(tmp_path, events)
    mine, other = ours(file), theirs(tmp_path)
    assert repr(sorted(mine.pop(""))) == repr([(1, 1_700_000_000.0, float("nan"))])
    other.pop("")
    assert mine.pop("nought") == [(1, 1_700_000_000.0, 0.0)]
    assert mine == other
    assert len(mine["loss"]) == 300


def test_what_is_no_scalar_is_counted(tmp_path: Path) -> None:
    shaped = {"dtype": 1, "tensor_shape": {"dim": [{"size": 2}]}, "float_val": [1, 2]}
    events = [
        tensor("h", 1, plugin="histograms", **shaped),
        tensor("t", 1, plugin="text", dtype=7, string_val=[b"hello"]),
        tensor("v", 1, plugin="", **shaped),
        scalar("a", 1, 1.0),
    ]
    seen = read_events(written(tmp_path, events))
    assert (seen.others, [one.tag for one in seen.scalars]) == (
        {"histograms": 1, "text": 1, "values of other kinds": 1},
        ["a"],
    )


def test_what_pytorch_writes_is_read(tmp_path: Path) -> None:
    import numpy as np

    torch_s = pytest.importorskip("torch.utils.tensorboard", reason=NEEDS_TORCH)
    with torch_s.SummaryWriter(str(tmp_path)) as writer:
        for step in range(50):
            writer.add_scalar("loss/train", 1 / (step + 1), step)
            writer.add_scalar("acc", step / 50, step, new_style=True)
        writer.add_histogram("h", np.arange(10), 3)
        writer.add_image("i", np.zeros((3, 4, 4)), 3)
        writer.add_text("t", "hello", 1)
    (file,) = tmp_path.iterdir()
    assert ours(file) == theirs(tmp_path)
    assert read_events(file).others == {"histograms": 1, "images": 1, "text": 1}


def test_a_file_that_is_cut_off_anywhere_gives_what_is_before(tmp_path: Path) -> None:
    """A training that goes on has such a file."""
    file = written(tmp_path, [scalar("a", step, step) for step in range(5)])
    whole = file.read_bytes()
    counts = []
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        seen = read_events(file)
        assert [one.value for one in seen.scalars] == list(range(len(seen.scalars)))
        assert bool(seen.fault) == (size not in _ends(whole))
        counts.append(len(seen.scalars))
    assert counts == sorted(counts)
    assert set(counts) == set(range(5))


def _ends(data: bytes) -> set[int]:
    """Where records begin and end."""
    at, ends = 0, {0}
    while at < len(data):
        at += 16 + struct.unpack("<Q", data[at : at + 8])[0]
        ends.add(at)
    return ends


def test_no_value_is_read_from_a_damaged_record(tmp_path: Path) -> None:
    """Each bit of the file in turn: values are those that were written, or are not there and it is said."""
    file = written(tmp_path, [scalar("a", step, step) for step in range(3)])
    whole = file.read_bytes()
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        seen = read_events(file)
        assert {(one.tag, one.step, one.value) for one in seen.scalars} <= {("a", 0, 0.0), ("a", 1, 1.0), ("a", 2, 2.0)}
        if len(seen.scalars) < 3:
            assert seen.damaged or seen.fault


@pytest.mark.parametrize("data", [b"", b"x", b"id,guess\n1,2\n" * 9, bytes(100), b"\xff" * 64])
def test_what_is_no_event_file_has_no_scalars(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.tfevents.1").write_bytes(data)
    seen: Any = read_events(tmp_path / "x.tfevents.1")
    assert seen.scalars == []
    assert bool(seen.fault) == bool(data)


def test_a_restart_is_told(tmp_path: Path) -> None:
    seen = read_events(written(tmp_path, [scalar("a", 1, 1), restart(1), scalar("a", 1, 2)]))
    assert seen.restarts == [(1, 1)]
    assert seen.began is not None
