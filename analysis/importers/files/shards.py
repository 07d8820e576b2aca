"""A table that lies in several files: the rows of one after those of another."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers.hugging_face import class_labels
from secondguess.analysis.importers.source import MediaCount, TableRows


def stacked(names: Sequence[str], parts: Sequence[TableRows]) -> TableRows:
    """The rows of all the files, whose names are for messages; raises BadInput where they have not the same columns."""
    first = parts[0]
    if len(parts) == 1:
        return first
    for name, part in zip(names[1:], parts[1:], strict=True):
        if set(part.schema.names) != set(first.schema.names):
            raise BadInput(
                f"{name} has other columns ({listing(part.schema.names)}) than {names[0]} "
                f"({listing(first.schema.names)}), so they are not one table; import them one by one"
            )
    schema = _schema(names, parts)
    media = MediaCount()

    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        chosen = pa.schema([field for field in schema if columns is None or field.name in columns])
        pictured = any((field.metadata or {}).get(b"media") for field in chosen)
        if pictured:
            media.clear()
        for part in parts:
            for batch in part.batches(columns):
                arrays = [batch.column(field.name).cast(field.type) for field in chosen]
                yield pa.RecordBatch.from_arrays(arrays, schema=chosen)
            if pictured:
                media.add(part.media)

    # A note that every file gives is said once.
    counts = Counter(note for part in parts for note in dict.fromkeys(part.notes))
    said = [note for note, count in counts.items() if count == len(parts)]
    pairs = [(name, note) for name, part in zip(names, parts, strict=True) for note in part.notes]
    own = [f"{name}: {note}" for name, note in pairs if note not in said]
    return TableRows(
        schema=schema,
        rows=sum(part.rows for part in parts),
        batches=batches,
        media=media,
        media_cells=sum(part.media_cells for part in parts),
        notes=(f"{len(parts):,} files are read as one table: {listing(names, 4)}", *said, *own),
        written=first.written,
        decimal_comma=any(part.decimal_comma for part in parts),
    )


def _schema(names: Sequence[str], parts: Sequence[TableRows]) -> pa.Schema:
    """The types that hold the columns of all files."""
    fields = []
    for field in parts[0].schema:
        told = field
        for name, part in zip(names[1:], parts[1:], strict=True):
            other = part.schema.field(field.name)
            try:
                told = pa.unify_schemas([pa.schema([told]), pa.schema([other])], promote_options="permissive")[0]
            except pa.ArrowException:
                raise BadInput(
                    f"the column {field.name!r} is {other.type} in {name}, but {told.type} in {names[0]}; "
                    "write it alike, or import them one by one"
                ) from None
        fields.append(told)
    return pa.schema(fields, metadata=_metadata(names, parts))


def _metadata(names: Sequence[str], parts: Sequence[TableRows]) -> dict[bytes, bytes] | None:
    """What the first file says of its columns; raises BadInput where another names a column's classes otherwise."""
    first = class_labels(parts[:1])
    for name, part in zip(names[1:], parts[1:], strict=True):
        other = class_labels([part])
        if unlike := [column for column in {*first, *other} if first.get(column) != other.get(column)]:
            raise BadInput(
                f"the classes of the column {sorted(unlike)[0]!r} are not the same in {name} and in {names[0]}, so "
                "their numbers mean different things; import them one by one"
            )
    metadata: dict[bytes, bytes] | None = parts[0].schema.metadata
    return metadata
