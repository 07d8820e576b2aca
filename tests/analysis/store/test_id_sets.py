"""Sums of hashes over ids: against the same in plain whole numbers, and what changes them."""

import hashlib
import math
import struct

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secondguess.analysis.store.id_sets import SEEDS, id_hashes, list_texts, repeated, with_truth

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
IDS = st.lists(st.one_of(st.none(), TEXT, st.text("0123456789", max_size=30)))
LABELS = [
    (pa.string(), TEXT),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float64(), st.floats()),
]
M = 2**64


def mix(x: int) -> int:
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 % M
    x ^= x >> 27
    x = x * 0x94D049BB133111EB % M
    return x ^ x >> 31


def step(h: int, w: int) -> int:
    return mix(((h ^ w) + 0x9E3779B97F4A7C15) % M)


def slow(seed: int, value: bytes | None) -> int:
    """The hash as it is described, a word at a time."""
    h, length = seed, M - 1 if value is None else len(value)
    value = hashlib.sha256(value).digest() if value is not None and length > 256 else value or b""
    for at in range(0, len(value), 8):
        h = step(h, int.from_bytes(value[at : at + 8], "little"))
    return step(h, length)


def of_ids(ids: list[str | None]) -> list[list[int]]:
    return [lane.tolist() for lane in id_hashes(pa.array(ids, pa.string()))]


def test_mix_is_that_of_splitmix64() -> None:
    """The first numbers of the generator with the seed 1234567, as published with it."""
    numbers = [mix((1234567 + count * 0x9E3779B97F4A7C15) % M) for count in (1, 2, 3)]
    assert numbers == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(IDS)
@example([])
@example([None])
@example(["", None, "\0", "12345678", "123456789", "ü" * 128, "x" * 256, "x" * 257, "x" * 3000])
def test_the_hash_of_an_id_is_as_described(ids: list[str | None]) -> None:
    expected = [[slow(seed, None if name is None else name.encode()) for name in ids] for seed in SEEDS]
    assert of_ids(ids) == expected


def test_the_hash_never_changes() -> None:
    """The numbers are those of `slow`."""
    assert [[f"{number:016x}" for number in lane] for lane in of_ids(["test-0000001", "", None])] == [
        ["64b79db6211aa157", "2cb0f69f4abea221", "4e68389f0748aa13"],
        ["5baf696753ff31b0", "3bb548a553e612ba", "f7dabc502a5fa0d0"],
    ]


@given(st.lists(TEXT, min_size=1), st.data())
def test_a_slice_or_another_type_of_text_has_the_same_hashes(ids: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(ids)))
    array = pa.array(["before", *ids, "after"])[1:-1]
    assert [lane.tolist() for lane in id_hashes(array[start:])] == of_ids([*ids[start:]])
    assert [lane.tolist() for lane in id_hashes(array.cast(pa.large_string()))] == of_ids([*ids])


def test_bytes_under_a_null_count_for_nothing() -> None:
    hidden = pa.StringArray.from_buffers(2, *pa.array(["a", "b"]).buffers()[1:], pa.py_buffer(b"\1"))
    assert [lane.tolist() for lane in id_hashes(hidden)] == of_ids(["a", None])


def test_texts_that_only_zeros_or_their_number_tell_apart_have_other_hashes() -> None:
    texts = ["", "\0", "\0" * 7, "\0" * 8, "\0" * 9, "\0" * 16, "a", "a\0", None, "x" * 256, "x" * 257]
    for lane in of_ids([*texts]):
        assert len(set(lane)) == len(texts)


def truth_bytes(value: str | int | float) -> tuple[int, bytes]:
    if isinstance(value, str):
        return 1, value.encode()
    if isinstance(value, int):
        return 2, struct.pack("<q", value)
    return 3, struct.pack("<d", math.nan if math.isnan(value) else value + 0.0)


@pytest.mark.parametrize(("kind", "labels"), LABELS, ids=["text", "whole", "fractions"])
@given(data=st.data())
def test_the_hash_of_an_id_and_its_truth_is_as_described(kind: pa.DataType, labels, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(TEXT, st.one_of(st.none(), labels))))
    ids, truths = [name for name, _ in rows], [truth for _, truth in rows]
    number = {pa.string(): 1, pa.int64(): 2, pa.float64(): 3}[kind]
    expected = [
        [
            step(slow(seed, name.encode()), slow(seed + number, None if truth is None else truth_bytes(truth)[1]))
            for name, truth in rows
        ]
        for seed in SEEDS
    ]
    found = with_truth(id_hashes(pa.array(ids, pa.string())), pa.array(truths, kind))
    assert found is not None
    assert [lane.tolist() for lane in found] == expected


def paired(name: str, truth: object, kind: pa.DataType) -> tuple[int, ...]:
    found = with_truth(id_hashes(pa.array([name])), pa.array([truth], kind))
    assert found is not None
    return tuple(int(lane[0]) for lane in found)


def test_truths_that_differ_in_value_or_type_or_are_gone_have_other_hashes() -> None:
    truths = [
        *[("1", pa.string()), (1, pa.int64()), (1.0, pa.float64()), (None, pa.string()), ("", pa.string())],
        *[(0, pa.int64()), (None, pa.int64()), (0.0, pa.float64()), (None, pa.float64()), (math.nan, pa.float64())],
    ]
    assert len({paired("a", *truth) for truth in truths}) == len(truths)
    assert paired("ab", "c", pa.string()) != paired("a", "bc", pa.string())


def test_the_width_of_a_truth_and_its_dictionary_do_not_matter() -> None:
    assert paired("a", 7, pa.int8()) == paired("a", 7, pa.uint32()) == paired("a", 7, pa.int64())
    assert paired("a", 0.5, pa.float32()) == paired("a", 0.5, pa.float64())
    assert paired("a", -0.0, pa.float64()) == paired("a", 0.0, pa.float64())
    hashes = id_hashes(pa.array(["a", "b", "c"]))
    plain = pa.array(["x", None, "y"])
    with_null_inside = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), plain)
    expected = [lane.tolist() for lane in with_truth(hashes, plain) or ()]
    for truth in (plain.dictionary_encode(), with_null_inside, plain.cast(pa.large_string())):
        assert [lane.tolist() for lane in with_truth(hashes, truth) or ()] == expected


def test_a_list_of_labels_is_its_json() -> None:
    lists = pa.array([["a", "b"], ["a,b"], [], None, ["1"]])
    hashed = with_truth(id_hashes(pa.array(["x"] * 5)), lists)
    assert hashed is not None
    assert [len(set(lane.tolist())) for lane in hashed] == [5, 5]
    assert list_texts(lists).to_pylist() == ['["a","b"]', '["a,b"]', "[]", None, '["1"]']
    assert paired("x", [1], pa.list_(pa.int64())) == paired("x", [1], pa.list_(pa.int32()))
    assert paired("x", [1], pa.list_(pa.int64())) != paired("x", ["1"], pa.list_(pa.string()))


@pytest.mark.parametrize("truth", [pa.array([True]), pa.nulls(1), pa.array([2**63], pa.uint64())])
def test_truths_of_an_odd_type_have_no_hash(truth: pa.Array) -> None:
    assert with_truth(id_hashes(pa.array(["a"])), truth) is None


@given(st.lists(st.integers(0, 5)))
def test_what_is_repeated_is_there_more_than_once(numbers: list[int]) -> None:
    found = repeated(pa.array(numbers, pa.uint64()).to_numpy())
    assert found.tolist() == sorted({number for number in numbers if numbers.count(number) > 1})
