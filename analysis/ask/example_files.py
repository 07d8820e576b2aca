"""Several files of examples read as one relation, whatever their content and labels are."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from secondguess.analysis.engine.kinds import Kind, kind_of
from secondguess.analysis.engine.sqltext import as_text, read_parquet
from secondguess.analysis.errors import listing

_NAMED = "SELECT parse_filename(filename, true) AS examples, * EXCLUDE (filename)"
_MIXED = ("truth", "content")  # which hold texts in one file, and numbers or lists in another


def read(files: Sequence[Path], options: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The SELECT that reads them all, and what its reader should know.

    A column that is lists in some files and not in others is text: DuckDB reads such files together by no type of both.
    """
    options = ["union_by_name = true", "filename = true", *options]
    by_kinds: dict[tuple[tuple[str, Kind], ...], list[Path]] = {}
    if len(files) > 1:
        for file in files:
            by_kinds.setdefault(_known(file), []).append(file)
    held = {name: {dict(kinds)[name] == "list" for kinds in by_kinds if name in dict(kinds)} for name in _MIXED}
    mixed = [name for name, are_lists in held.items() if len(are_lists) > 1]
    if not mixed:
        return f"{_NAMED}\nFROM {read_parquet(files, *options)}", ()
    selects = []
    for kinds, group in by_kinds.items():
        texts = [f"{as_text(name, kind)} AS {name}" for name, kind in kinds if name in mixed]
        replaced = f" REPLACE ({', '.join(texts)})" if texts else ""
        selects.append(f"{_NAMED}{replaced}\nFROM {read_parquet(group, *options)}")
    verb = "holds" if len(mixed) == 1 else "hold"
    note = f"examples: {listing(mixed)} {verb} lists in some files and not in others, so all are read as text"
    return "\nUNION ALL BY NAME\n".join(selects), (note,)


@lru_cache(1_000)  # a file never changes
def _kinds(file: Path) -> tuple[tuple[str, Kind], ...]:
    """What the columns of a file hold that may differ."""
    from secondguess.analysis.store import parquet  # Arrow takes a moment to load: where there is one file, for nothing

    types = {field.name: str(field.type) for field in parquet.schema(file)}
    return tuple((name, kind_of(types[name])) for name in _MIXED if name in types)


def _known(file: Path) -> tuple[tuple[str, Kind], ...]:
    """The same, and nothing of a file that cannot be read: whoever reads its rows says what is wrong with it."""
    try:
        return _kinds(file)
    except (OSError, ValueError):  # Arrow's are one or the other
        return ()
