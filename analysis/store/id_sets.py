"""Sums of hashes that tell whether two tables have the same ids, whatever their order; the hash is fixed for ever.

All numbers are of 64 bits, arithmetic is modulo 2^64. `mix(x)` is splitmix64's last step (Steele, Lea, Flood 2014):
x ^= x >> 30, x *= 0xBF58476D1CE4E5B9, x ^= x >> 27, x *= 0x94D049BB133111EB, x ^= x >> 31. `step(h, w)` is
mix((h ^ w) + 0x9E3779B97F4A7C15). The hash of bytes under a seed begins as h = seed; every 8 bytes, the last ones
filled up with zeros, are a little-endian w in h = step(h, w); last comes h = step(h, length). Of more than 256 bytes,
their sha256 stands for them, before their own length. NULL has no bytes and the length 2^64 - 1.

Chance makes two sets alike less often than disks err, but whoever chooses ids for it can: this is no cryptography.

Weighed against xxhash, which takes one value a call, and the hashes of DuckDB and polars, which no version promises to
the next.
"""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

SEEDS = (0x243F6A8885A308D3, 0x13198A2E03707344)  # of pi
TEXT, WHOLE, FRACTION, LIST = 1, 2, 3, 4  # added to the seeds for truths, so that "1", 1, 1.0 and ["1"] differ

_GAMMA, _FIRST, _SECOND = map(np.uint64, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_LONGEST = 256
_WRITE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NO_BYTES = np.uint64(2**64 - 1)
_LOWEST = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)  # masks of the lowest `count` bytes


def id_hashes(ids: pa.Array, seeds: Sequence[int] = SEEDS) -> list[Hashes]:
    """The hash of each text id, under each of the seeds."""
    return _of_texts(ids, seeds)


def with_truth(ids: Sequence[Hashes], truth: pa.Array) -> list[Hashes] | None:
    """The hash of each row's id and truth, step(hash of the id, hash of the truth), under each of SEEDS.

    A truth is its UTF-8 text, or 8 bytes: a whole number's as int64, a fraction's as a double, -0.0 as 0.0; a list's is
    its JSON without spaces. Its seeds are SEEDS + TEXT, + WHOLE, + FRACTION or + LIST. None where truths are of another
    type.
    """
    of_truths = _of_truths(truth)
    return of_truths and [_step(of_id, of_truth) for of_id, of_truth in zip(ids, of_truths, strict=True)]


def paired(hashes: Hashes, others: Hashes) -> Hashes:
    """The hash of each two hashes."""
    return _step(hashes, others)


def repeated(hashes: Hashes) -> Hashes:
    """Those that are there more than once, each once, in order."""
    hashes = np.sort(hashes)
    again = hashes[1:][hashes[1:] == hashes[:-1]]
    return np.unique(again) if again.size else again  # for which NumPy loads more of itself


def _of_truths(truth: pa.Array) -> list[Hashes] | None:
    if pa.types.is_dictionary(truth.type):
        truth = truth.cast(truth.type.value_type)
    if pa.types.is_string(truth.type) or pa.types.is_large_string(truth.type):
        known = truth.dictionary_encode("encode")
        places = known.indices.to_numpy(zero_copy_only=False)
        return [lane[places] for lane in _of_texts(known.dictionary, [seed + TEXT for seed in SEEDS])]
    if pa.types.is_integer(truth.type) and truth.type != pa.uint64():
        whole = truth.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        return [_of_words(whole.view(np.uint64), truth, seed + WHOLE) for seed in SEEDS]
    if pa.types.is_floating(truth.type):
        numbers = truth.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False) + 0.0
        numbers[np.isnan(numbers)] = np.nan
        return [_of_words(numbers.view(np.uint64), truth, seed + FRACTION) for seed in SEEDS]
    if pa.types.is_list(truth.type):
        return _of_texts(list_texts(truth), [seed + LIST for seed in SEEDS])
    return None


def list_texts(lists: pa.Array) -> pa.Array:
    """Lists as JSON without spaces, NULL as NULL: of them Arrow compares and casts none."""
    texts = (None if one is None else _WRITE.encode(one) for one in lists.to_pylist())
    return pa.array(texts, pa.string())


def _of_words(words: Hashes, values: pa.Array, seed: int) -> Hashes:
    """The hashes of values of 8 bytes each."""
    hashes = _step(_step(np.full(len(words), seed, np.uint64), words), np.uint64(8))
    if values.null_count:
        hashes[values.is_null().to_numpy(zero_copy_only=False)] = _step(np.full(1, seed, np.uint64), _NO_BYTES)
    return hashes


def _of_texts(texts: pa.Array, seeds: Sequence[int]) -> list[Hashes]:
    texts = texts.cast(pa.large_binary())
    lengths = pc.binary_length(texts).fill_null(0).to_numpy(zero_copy_only=False)
    lanes = [np.full(len(texts), seed, np.uint64) for seed in seeds]
    _take_bytes(lanes, *_short(texts, lengths))
    ends = lengths.astype(np.uint64)
    if texts.null_count:
        ends[texts.is_null().to_numpy(zero_copy_only=False)] = _NO_BYTES
    return [_step(lane, ends) for lane in lanes]


def _short(texts: pa.Array, lengths: NDArray[np.int64]) -> tuple[pa.Array, NDArray[np.int64]]:
    """Bytes and their lengths, with the sha256 of long ones in their place."""
    if lengths.max(initial=0) <= _LONGEST:
        return texts, lengths
    short_texts = [
        hashlib.sha256(text).digest() if text and len(text) > _LONGEST else text for text in texts.to_pylist()
    ]
    return pa.array(short_texts, pa.large_binary()), np.where(lengths <= _LONGEST, lengths, 32)


def _take_bytes(lanes: Sequence[Hashes], texts: pa.Array, lengths: NDArray[np.int64]) -> None:
    """Put the bytes of each text into its hashes, 8 at a time."""
    shortest, longest = int(lengths.min(initial=_LONGEST)), int(lengths.max(initial=0))
    if not longest:
        return
    starts, words = _unaligned(texts)
    for at in range(0, longest, 8):
        rows = slice(None) if shortest > at else np.flatnonzero(lengths > at)
        words_at = words[starts[rows] + at]
        if shortest < at + 8:
            words_at &= _LOWEST[np.minimum(lengths[rows] - at, 8)]
        for lane in lanes:
            lane[rows] = _step(lane[rows], words_at)


def _unaligned(texts: pa.Array) -> tuple[NDArray[np.int64], Hashes]:
    """Where each text begins, and the words of 8 bytes that begin at each byte of all texts."""
    _, offsets, data = texts.buffers()
    places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    first, last = int(places[0]), int(places[-1])
    padded = np.zeros(last - first + 8, np.uint8)
    if last > first:
        padded[: last - first] = np.frombuffer(data, np.uint8)[first:last]
    return places[:-1] - first, np.ndarray(len(padded) - 7, "<u8", padded.data, strides=(1,))


def _step(hashes: Hashes, words: Hashes | np.uint64) -> Hashes:
    hashes = hashes ^ words
    hashes += _GAMMA
    hashes ^= hashes >> np.uint64(30)
    hashes *= _FIRST
    hashes ^= hashes >> np.uint64(27)
    hashes *= _SECOND
    hashes ^= hashes >> np.uint64(31)
    return hashes
