"""What a record says of one epoch's rows, counted as they pass."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.schema import is_score, task_of
from secondguess.analysis.store.id_sets import Hashes, id_hashes, with_truth
from secondguess.analysis.store.recurrence import Recurrence

_CHECKED_AT_ONCE = 10_000


class Tally:
    """Counts, digests and sums of the rows so far, in bounded memory.

    ids, in the record, is the sha256, in hex, of two: the sha256 of the ids' lengths in bytes (int32, little-endian,
    NULL is -1), and that of their bytes, in the order of the rows. id_set and id_truth_set are the sums of the hashes
    of `id_sets` over the rows, first seed first, in 32 hexadecimal digits; id_truth_set is None without truths. right
    names the column of booleans that says which rows are right, where it is not guess against truth that does.
    """

    def __init__(self, right: str | None = None) -> None:
        self._right = right
        self._verdicts = [0, 0]  # right, NULL
        self._rows = self._unlabelled = self._same = self._nan_scores = self._null_ids = 0
        self._has_truth = self._has_guess = self._are_numbers = False
        self._lengths, self._bytes = hashlib.sha256(), hashlib.sha256()
        self._recurrence = Recurrence()
        self._ids = [0, 0]
        self._truths: list[int] | None = [0, 0]

    def add(self, rows: pa.Table) -> None:
        """Take the next rows; all have the same columns."""
        self._rows += rows.num_rows
        self._nan_scores += _nan_scores(rows)
        ids = _whole(rows["id"], pa.large_string())
        self._null_ids += ids.null_count
        self._add_order(ids)
        hashes = id_hashes(ids)
        self._recurrence.add(hashes[0])
        self._ids = _summed(self._ids, hashes)
        if self._right is not None:
            right = _whole(rows[self._right])
            self._verdicts[0] += right.true_count
            self._verdicts[1] += right.null_count
        if "truth" in rows.column_names:
            truth = _whole(rows["truth"])
            self._has_truth = True
            self._unlabelled += truth.null_count
            hashes_with_truth = with_truth(hashes, truth)
            self._truths = (
                _summed(self._truths, hashes_with_truth)
                if self._truths is not None and hashes_with_truth is not None
                else None
            )
            if "guess" in rows.column_names:
                self._has_guess = True
                guess = _whole(rows["guess"])
                self._are_numbers = task_of((str(guess.type), str(truth.type))) == "regression"
                self._same += _same(guess, truth)

    def entry(self, epoch: int, examples: str | None, unique: bool) -> dict[str, Any]:
        """What a record and a footer say of the rows."""
        labelled, same = self._rows - self._unlabelled, self._same
        judged = self._has_truth and self._has_guess and not self._are_numbers
        if self._right is not None:
            labelled, same, judged = self._rows - self._verdicts[1], self._verdicts[0], True
        ids = hashlib.sha256(self._lengths.digest() + self._bytes.digest())
        return {
            "epoch": epoch,
            "rows": self._rows,
            "errors": labelled - same if judged and labelled else None,
            "unlabelled": self._rows - labelled,
            "nan_scores": self._nan_scores,
            "ids": ids.hexdigest(),
            "unique": unique,
            "id_set": _written(self._ids),
            "id_truth_set": _written(self._truths) if self._has_truth and self._truths is not None else None,
            "examples": examples,
        }

    @property
    def has_all_ids(self) -> bool:
        """Whether no id is NULL."""
        return not self._null_ids

    def repeated(self) -> Iterator[Hashes]:
        """The hashes that more than one id has, in pieces, in order; where there are none, the ids differ."""
        return self._recurrence.repeated()

    def _add_order(self, ids: pa.Array) -> None:
        lengths = pc.fill_null(pc.binary_length(ids), -1).cast(pa.int32())
        self._lengths.update(lengths.to_numpy(zero_copy_only=False).astype("<i4").data)
        if ids.null_count:
            ids = ids.fill_null("")  # a NULL may stand over bytes that are no part of it
        _, offsets, data = ids.buffers()
        if data is not None:
            starts = np.frombuffer(offsets, np.int64)[ids.offset : ids.offset + len(ids) + 1]
            self._bytes.update(memoryview(data)[starts[0] : starts[-1]])


def all_differ(groups: Callable[[], Iterable[pa.Table]], hashes: Iterable[Hashes]) -> bool:
    """Whether the ids with these hashes, which more than one id has, are different nevertheless.

    groups gives all rows anew, in pieces; each call looks at some of the hashes, so that only their ids are held.
    """
    few = _CHECKED_AT_ONCE
    for some in (piece[start : start + few] for piece in hashes for start in range(0, len(piece), few)):
        known = pa.chunked_array([], pa.large_string())
        for group in groups():
            ids = _whole(group["id"], pa.large_string())
            suspects = ids.filter(pa.array(np.isin(id_hashes(ids)[0], some)))
            known = pa.chunked_array([*known.chunks, suspects])
            if pc.count_distinct(known).as_py() < len(known):
                return False
    return True


def _summed(sums: Sequence[int], hashes: Sequence[Hashes]) -> list[int]:
    return [(known + int(lane.sum())) % 2**64 for known, lane in zip(sums, hashes, strict=True)]


def _written(sums: Sequence[int]) -> str:
    return "".join(f"{one:016x}" for one in sums)


def _same(guess: pa.Array, truth: pa.Array) -> int:
    """The number of labelled rows that are no errors: as `schema.wrong` has it, where NaN is NaN."""
    if pa.types.is_nested(guess.type) or pa.types.is_nested(truth.type):  # of which pyarrow compares none
        pairs = zip(guess.to_pylist(), truth.to_pylist(), strict=True)
        return sum(true is not None and said == true for said, true in pairs)
    same = pc.equal(guess, truth)
    if pa.types.is_floating(guess.type) and pa.types.is_floating(truth.type):
        same = pc.or_(same, pc.and_(pc.is_nan(guess), pc.is_nan(truth)))
    return pc.sum(same).as_py() or 0


def _nan_scores(rows: pa.Table) -> int:
    """The number of rows with a NaN among their scores."""
    broken = pa.scalar(False)
    for name in filter(is_score, rows.column_names):
        broken = pc.or_(broken, pc.is_nan(rows[name]))
    return (pc.sum(broken).as_py() or 0) if not isinstance(broken, pa.Scalar) else 0


def _whole(column: pa.ChunkedArray, kind: pa.DataType | None = None) -> pa.Array:
    """The column in one piece, out of its dictionary."""
    plain = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return column.cast(kind or plain).combine_chunks()
