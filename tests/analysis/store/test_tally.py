"""What a record says of rows: counted, digested and summed as they pass, in pieces of any size."""

import hashlib
import math
import random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secondguess.analysis.store import tally
from secondguess.analysis.store.id_sets import id_hashes
from secondguess.analysis.store.tally import Tally, all_differ

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def said(*pieces: pa.Table) -> dict:
    """What a record says of pieces of rows, taken one after another."""
    found = Tally()
    for piece in pieces:
        found.add(piece)
    return found.entry(1, None, found.has_all_ids and not list(found.repeated()))


def of_ids(*pieces: pa.Array) -> dict:
    return said(*(pa.table({"id": ids}) for ids in pieces))


# Errors and unlabelled rows

LABELS = st.one_of(st.none(), st.integers(0, 2))


def counted(guess: pa.Array, truth: pa.Array | None, cut: int = 0) -> tuple[int | None, int]:
    rows = pa.table({"id": pa.array([str(n) for n in range(len(guess))]), "guess": guess})
    rows = rows if truth is None else rows.append_column("truth", truth)
    found = said(rows.slice(0, cut), rows.slice(cut)) if cut else said(rows)
    return found["errors"], found["unlabelled"]


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1), st.booleans(), st.data())
def test_an_error_is_a_labelled_row_whose_guess_is_distinct_from_its_truth(
    pairs: list[tuple[int | None, int | None]], text: bool, data: st.DataObject
) -> None:
    labelled = [(guess, truth) for guess, truth in pairs if truth is not None]
    expected = (sum(guess != truth for guess, truth in labelled) if labelled else None, len(pairs) - len(labelled))
    sides: list[pa.Array] = [pa.array(side, pa.int64()) for side in zip(*pairs, strict=True)]
    if text:
        sides = [pa.DictionaryArray.from_arrays(side.cast(pa.int32()), ["a", "b", "c"]) for side in sides]
    assert counted(*sides, cut=data.draw(st.integers(0, len(pairs) - 1))) == expected


def test_without_a_truth_there_are_no_errors_and_none_unlabelled() -> None:
    assert counted(pa.array([1, 2]), None) == (None, 0)


def test_rows_with_a_nan_among_their_scores_are_counted_once() -> None:
    nan = math.nan
    scores = {"score_0": [nan, 0.5, nan], "score_1": [nan, 0.5, 0.1], "score_total": [0.0, nan, 0.0]}
    assert said(pa.table({"id": ["a", "b", "c"], **scores}))["nan_scores"] == 2


# The digest of ordered ids


def ids_by_hand(ids: list[str | None]) -> str:
    lengths = b"".join((-1 if name is None else len(name.encode())).to_bytes(4, "little", signed=True) for name in ids)
    parts = lengths, b"".join((name or "").encode() for name in ids)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


@given(st.lists(st.one_of(st.none(), TEXT)))
@example([])
@example([None])
@example(["", None, "ü"])
def test_the_digest_of_ids_is_the_sha256_of_two_of_their_lengths_and_of_their_bytes(ids: list[str | None]) -> None:
    assert of_ids(pa.array(ids, pa.string()))["ids"] == ids_by_hand(ids)


@given(st.lists(st.text(max_size=3), min_size=1), st.data())
def test_what_is_said_of_ids_knows_no_pieces_slices_or_types(ids: list[str], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(ids)))
    whole = pa.array(["before", *ids, "after"])[1:-1]
    expected = of_ids(pa.array(ids))
    assert expected["ids"] == ids_by_hand(ids)
    assert of_ids(whole[:cut], whole[cut:]) == expected
    assert of_ids(whole.cast(pa.large_string())) == expected
    assert of_ids(whole.dictionary_encode()) == expected


def test_the_digest_of_ids_takes_no_bytes_from_under_a_null() -> None:
    masked = pc.if_else(pa.array([True, False]), pa.array(["a", "b"]), None)
    hidden = pa.StringArray.from_buffers(2, *pa.array(["a", "b"]).buffers()[1:], pa.py_buffer(b"\1"))
    for array in (masked, hidden):
        assert array.to_pylist() == ["a", None]
        assert of_ids(array)["ids"] == ids_by_hand(["a", None])


@given(st.lists(st.text(max_size=2), min_size=2, max_size=4), st.lists(st.text(max_size=2), min_size=2, max_size=4))
@example(["ab", "c"], ["a", "bc"])
def test_ids_with_one_digest_are_the_same_in_the_same_order(one: list[str], other: list[str]) -> None:
    digests = [of_ids(pa.array(ids))["ids"] for ids in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


# Sets of ids and truths

ROWS = st.lists(st.tuples(TEXT, st.one_of(st.none(), TEXT)), min_size=1)


def sets(rows: list[tuple[str, str | None]]) -> tuple[str, str | None]:
    ids, truth = zip(*rows, strict=True)
    found = said(pa.table({"id": pa.array(ids), "truth": pa.array(truth, pa.string())}))
    return found["id_set"], found["id_truth_set"]


@given(ROWS, st.randoms())
def test_the_order_of_rows_does_not_change_the_sets(rows: list, chance: random.Random) -> None:
    other = list(rows)
    chance.shuffle(other)
    assert sets(other) == sets(rows)


@given(ROWS, st.data())
def test_one_other_id_changes_both_sets_and_one_other_truth_only_its_own(rows: list, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    name, truth = rows[at]
    other_id = data.draw(TEXT.filter(lambda text: text != name))
    other_truth = data.draw(st.one_of(st.none(), TEXT).filter(lambda text: text != truth))
    before, by_id = sets(rows), sets([*rows[:at], (other_id, truth), *rows[at + 1 :]])
    by_truth = sets([*rows[:at], (name, other_truth), *rows[at + 1 :]])
    assert by_id[0] != before[0] and by_id[1] != before[1]
    assert by_truth[0] == before[0] and by_truth[1] != before[1]


def test_truths_that_change_places_change_the_set() -> None:
    assert sets([("a", "x"), ("b", "y")])[1] != sets([("a", "y"), ("b", "x")])[1]


def test_an_id_that_is_there_twice_counts_twice() -> None:
    assert len({sets([("a", "x")] * count)[0] for count in (1, 2, 3)}) == 3


def test_a_set_is_the_two_sums_of_the_hashes_modulo_2_to_the_64() -> None:
    ids = pa.array([f"test-{number}" for number in range(100)])
    sums = [sum(lane.tolist()) % 2**64 for lane in id_hashes(ids)]
    assert of_ids(ids[:30], ids[30:])["id_set"] == f"{sums[0]:016x}{sums[1]:016x}"


def test_there_is_no_set_of_truths_without_truths_or_with_odd_ones() -> None:
    assert of_ids(pa.array(["a"]))["id_truth_set"] is None
    assert said(pa.table({"id": ["a"], "truth": [True]}))["id_truth_set"] is None
    assert of_ids()["id_set"] == "0" * 32


# Whether ids are unique


@pytest.mark.parametrize(
    ("ids", "unique"), [(["a", "b"], True), (["a", "a"], False), (["a", None], False), ([None, None], False)]
)
def test_ids_are_unique_when_all_are_there_and_different(ids: list[str | None], unique: bool) -> None:
    assert of_ids(pa.array(ids, pa.string()))["unique"] is unique
    assert of_ids(*(pa.array([name], pa.string()) for name in ids))["unique"] is unique


@given(st.lists(st.integers(0, 30).map(str), min_size=1), st.integers(1, 4), st.integers(1, 5))
def test_ids_with_one_hash_are_compared(ids: list[str], few: int, at_once: int) -> None:
    """A hash of a few values makes ids alike that are not."""

    def hashes(ids: pa.Array) -> list[np.ndarray]:
        return [np.array([int(name) % few for name in ids.to_pylist()], np.uint64)] * 2

    pieces = [pa.table({"id": ids[at : at + 4]}) for at in range(0, len(ids), 4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tally, "id_hashes", hashes)
        patch.setattr(tally, "_CHECKED_AT_ONCE", at_once)
        found = Tally()
        for piece in pieces:
            found.add(piece)
        assert all_differ(lambda: iter(pieces), found.repeated()) is (len(set(ids)) == len(ids))
