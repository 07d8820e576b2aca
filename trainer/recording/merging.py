"""The shares of several ranks as one epoch: one order, each example once, and never more in memory than pieces."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.schema import is_score
from secondguess.analysis.store.id_sets import list_texts
from secondguess.trainer.recording.shard import DIGEST, Shard

Places = NDArray[np.int64]

_AT_ONCE = 65_536  # rows that are put in order together
_ROUNDING = 1e-3  # between what one model says of one example in two batches


@dataclass(frozen=True)
class Repeats:
    """The rows left out since their id was there: how many, and how many of them with another guess."""

    rows: int = 0
    other_guess: int = 0


@dataclass(frozen=True)
class _Turns:
    """All rows in turn: the first of each rank, then the second of each, and so on; ranks without more are passed over.

    rank and row say where each lies, code which id it has: ids are numbered as they come; first is the first row of it.
    """

    rank: Places
    row: Places
    code: Places
    first: NDArray[np.bool_]
    ids: pa.Array  # by code


@dataclass(frozen=True)
class Merged:
    """The rows of all shares: where each goes (-1: left out), in the order of their ids, and what they have in common.

    The order is the first epoch's where the ids are the same, else the ranks' in turn, which is that of the data set
    where a sampler gave out its examples in turn.
    """

    shards: Sequence[Shard]
    places: Sequence[Places]
    ids: pa.Array
    schema: pa.Schema
    repeats: Repeats

    @property
    def kind(self) -> str | None:
        """What the content of the rows is."""
        return next(shard.kind for shard in self.shards if shard.schema is not None)

    def pieces(self) -> Iterator[pa.Table]:
        """The rows in order, a piece at a time, with what says their content left out."""
        sources = [_Source(shard, places) for shard, places in zip(self.shards, self.places, strict=True)]
        for start in range(0, len(self.ids), _AT_ONCE):
            end = min(start + _AT_ONCE, len(self.ids))
            parts = [part for source in sources for part in source.until(end)]
            rows = pa.concat_tables([_alike(rows, self.schema) for rows, _ in parts])
            where = np.argsort(np.concatenate([places for _, places in parts]))
            yield rows.take(where).unify_dictionaries().combine_chunks()


class _Source:
    """One share's rows as their places come; a share whose places do not ascend is read whole and put in order."""

    def __init__(self, shard: Shard, places: Places) -> None:
        kept = places[places >= 0]
        self._places = places
        self._pieces = shard.pieces(None)
        self._at = 0
        self._rest: list[tuple[pa.Table, Places]] = []
        if len(kept) and (np.diff(kept) < 0).any():
            every = pa.concat_tables(list(self._pieces))
            order = np.argsort(places, kind="stable")
            self._places, self._pieces = places[order], iter([every.take(order)])

    def until(self, end: int) -> Iterator[tuple[pa.Table, Places]]:
        """The rows whose places are below end, with those places."""
        while True:
            if not self._rest and not self._more():
                return
            rows, places = self._rest.pop()
            count = int(np.searchsorted(places, end))
            if count:
                yield rows.slice(0, count), places[:count]
            if count < len(places):
                self._rest.append((rows.slice(count), places[count:]))
                return

    def _more(self) -> bool:
        rows = next(self._pieces, None)
        if rows is None:
            return False
        places = self._places[self._at : self._at + len(rows)]
        self._at += len(rows)
        kept = places >= 0
        self._rest.append((rows if kept.all() else rows.filter(pa.array(kept)), places[kept]))
        return True


def merged(name: str, shards: Sequence[Shard], order: pa.Array | None, *, any_guess: bool, uneven: bool) -> Merged:
    """The shares of all ranks as one epoch; order are the first epoch's ids, where there was one.

    An id that several rows have is one example: all but the first in turn are left out, where they say the same, or are
    the last row of their rank in shares of one length, as torch's DistributedSampler fills them; with any_guess
    whatever they say. Raises BadInput for those that are about other examples or say another thing, for ranks whose
    numbers of rows differ by more than one unless uneven, and for columns that do not go together.
    """
    if not uneven:
        _check_even(name, shards)
    schema = _schema(name, shards)
    turns = _turns(shards)
    repeats = _checked(name, shards, turns, any_guess) if not turns.first.all() else Repeats()
    ids, where = turns.ids, np.arange(len(turns.ids))
    if order is not None and len(order) == len(ids) and not ids.equals(order):
        known = pc.index_in(ids, order)
        if not known.null_count:
            ids, where = order, known.to_numpy().astype(np.int64)
    of_turn = np.where(turns.first, where[turns.code], -1)
    places = [np.empty(shard.rows, np.int64) for shard in shards]
    for at, mine in enumerate(places):
        chosen = turns.rank == at
        mine[turns.row[chosen]] = of_turn[chosen]
    return Merged(shards, places, ids, schema, repeats)


def _check_even(name: str, shards: Sequence[Shard]) -> None:
    counts = [shard.rows for shard in shards]
    if max(counts) - min(counts) <= 1:
        return
    usual = sorted(counts)[len(counts) // 2]
    usual = usual if counts.count(usual) > 1 else max(counts)
    others = [f"rank {shard.rank} handed in {shard.rows:,}" for shard in shards if abs(shard.rows - usual) > 1]
    raise BadInput(
        f"{name} is not committed: the ranks saw other numbers of examples: {listing(others, 4)} rows, the others "
        f"{usual:,}; a sampler gives each as many, or one more. Where that is meant: recorder.table(…, uneven=True)"
    )


def _schema(name: str, shards: Sequence[Shard]) -> pa.Schema:
    """The columns of all shares but their digests; raises BadInput where they do not go together."""
    full = [shard for shard in shards if shard.schema is not None]
    first = full[0]
    for shard in full[1:]:
        assert first.schema is not None and shard.schema is not None
        if set(shard.schema.names) != set(first.schema.names):
            one, other = ([name for name in each.names if name != DIGEST] for each in (shard.schema, first.schema))
            raise BadInput(
                f"{name} is not committed: rank {shard.rank} has the columns {one}, rank {first.rank} {other}"
            )
        if shard.kind != first.kind:
            raise BadInput(
                f"{name} is not committed: rank {shard.rank} has content of kind {shard.kind}, rank {first.rank} of "
                f"{first.kind}"
            )
    try:
        schemas = [shard.schema.remove_metadata() for shard in full if shard.schema is not None]
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise BadInput(f"{name} is not committed: a column has other types on other ranks: {error}") from None
    return schema.remove(schema.get_field_index(DIGEST))


def _alike(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    return rows.select(schema.names).cast(schema)


def _turns(shards: Sequence[Shard]) -> _Turns:
    rank = np.concatenate([np.full(shard.rows, at, np.int64) for at, shard in enumerate(shards)])
    row = np.concatenate([np.arange(shard.rows, dtype=np.int64) for shard in shards])
    turn = np.lexsort((rank, row))
    pieces = [piece["id"] for shard in shards for piece in shard.pieces(["id"])]
    ids = pa.chunked_array(list(chain.from_iterable(piece.chunks for piece in pieces)), pa.string())
    known = ids.combine_chunks().take(pa.array(turn)).dictionary_encode()
    code = known.indices.to_numpy().astype(np.int64)
    newest = np.maximum.accumulate(code)
    first = np.ones(len(code), np.bool_)
    first[1:] = code[1:] > newest[:-1]
    return _Turns(rank[turn], row[turn], code, first, known.dictionary)


def _checked(name: str, shards: Sequence[Shard], turns: _Turns, any_guess: bool) -> Repeats:
    """How many rows are left out; raises BadInput where one of them is not the example that came first."""
    again = np.flatnonzero(~turns.first)
    firsts = np.flatnonzero(turns.first)[turns.code[again]]
    one, other = _rows_at(shards, turns, firsts), _rows_at(shards, turns, again)
    strange = np.zeros(len(again), np.bool_)
    for column in {"truth", DIGEST} & set(one.column_names):
        strange |= _differ(one[column], other[column])
    if strange.any():
        at = int(np.argmax(strange))
        raise BadInput(
            f"{name} is not committed: {_both(shards, turns, firsts[at], again[at])} other examples ({strange.sum():,} "
            "such rows); an id names one example of the whole data set, not the place in a rank's share"
        )
    unlike = _differ(one["guess"], other["guess"])
    apart = ~_close(one, other)  # where there are scores, the guess of two that are alike may be either
    apart |= unlike if not any(map(is_score, one.column_names)) else False
    lengths = np.array([shard.rows for shard in shards])
    padding = (turns.row[again] == lengths[turns.rank[again]] - 1) & (len(set(lengths.tolist())) == 1)
    if (apart & ~padding).any() and not any_guess:
        at = int(np.argmax(apart & ~padding))
        raise BadInput(
            f"{name} is not committed: {_both(shards, turns, firsts[at], again[at])} the same example, of which the "
            f"model says another thing ({(apart & ~padding).sum():,} such rows); give each rank a share of its own, or "
            'keep the first of them: recorder.table(…, duplicates="first")'
        )
    return Repeats(len(again), int(unlike.sum()))


def _both(shards: Sequence[Shard], turns: _Turns, one: int, other: int) -> str:
    ranks = [shards[turns.rank[at]].rank for at in (one, other)]
    return f"id {turns.ids[turns.code[one]].as_py()!r} is on rank {ranks[0]} and on rank {ranks[1]}, for"


def _rows_at(shards: Sequence[Shard], turns: _Turns, at: Places) -> pa.Table:
    """What was said of the rows at these turns, in the order of `at`."""
    parts, where = [], []
    for rank, shard in enumerate(shards):
        mine = np.flatnonzero(turns.rank[at] == rank)
        if not len(mine) or shard.schema is None:
            continue
        names = [name for name in shard.schema.names if name in {"guess", "truth", "confidence", DIGEST}]
        names += [name for name in shard.schema.names if is_score(name)]
        wanted, inverse = np.unique(turns.row[at[mine]], return_inverse=True)
        taken, start = [], 0
        for piece in shard.pieces(names):
            here = wanted[(wanted >= start) & (wanted < start + len(piece))] - start
            taken.append(_plain(piece.take(pa.array(here))))
            start += len(piece)
        parts.append(pa.concat_tables(taken, promote_options="permissive").take(pa.array(inverse)))
        where.append(mine)
    every = pa.concat_tables(parts, promote_options="permissive")
    return every.take(pa.array(np.argsort(np.concatenate(where))))


def _plain(rows: pa.Table) -> pa.Table:
    """The rows out of their dictionaries."""
    for at, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            rows = rows.set_column(at, field.name, rows.column(at).cast(field.type.value_type))
    return rows


def _differ(one: pa.ChunkedArray, other: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Where two columns differ; NULL is NULL."""
    if pa.types.is_list(one.type) and pa.types.is_list(other.type):
        one, other = list_texts(one.combine_chunks()), list_texts(other.combine_chunks())
    if pa.types.is_null(one.type) or pa.types.is_null(other.type):
        differ = pc.xor(one.is_valid(), other.is_valid())
    else:
        differ = pc.or_(pc.fill_null(pc.not_equal(one, other), False), pc.xor(one.is_valid(), other.is_valid()))
    return np.asarray(differ.to_numpy(zero_copy_only=False), np.bool_)


def _close(one: pa.Table, other: pa.Table) -> NDArray[np.bool_]:
    """Where all scores of two rows are alike but for rounding."""
    close = np.ones(len(one), np.bool_)
    for name in one.column_names:
        if is_score(name) or name == "confidence":
            left, right = (table[name].to_numpy().astype(np.float64) for table in (one, other))
            close &= np.isclose(left, right, rtol=0, atol=_ROUNDING, equal_nan=True)
    return close
