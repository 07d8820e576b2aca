"""The texts of the examples that an answer is about, beside its rows as a terminal shows them."""

import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

from secondguess.analysis.answers.answer import Answer, Row
from secondguess.analysis.ask import example, statements
from secondguess.analysis.console import say
from secondguess.analysis.engine.duck import answered, rows
from secondguess.analysis.errors import SecondguessError

_LARGEST_FOOTER = 1 << 20  # bytes


def with_texts(answer: Answer, store: Path, most: int) -> Answer:
    """The answer with a column of what its first rows' examples say as text; as it is where they say nothing."""
    names = list(answer.columns)
    if answer.sides > 1 or not {"id", "examples"} <= set(names) or "content" in names:
        return answer
    rest = iter(answer.rows)
    first = list(islice(rest, most))
    at, of = names.index("id"), names.index("examples")
    stems = sorted({row[of] for row in first if isinstance(row[of], str)})
    texts = _texts(store, [stem for stem in stems if _may_have(store / "examples" / f"{stem}.parquet")], first, at)
    if not texts:
        return replace(answer, rows=chain(first, rest))

    def wider(row: Row) -> Row:
        return (*row[: at + 1], texts.get((row[of], row[at])), *row[at + 1 :])

    numeric = [*answer.numeric[: at + 1], False, *answer.numeric[at + 1 :]]
    columns = [*names[: at + 1], "content", *names[at + 1 :]]
    return replace(answer, columns=columns, numeric=numeric, rows=map(wider, chain(first, rest)))


def _texts(store: Path, stems: Sequence[str], first: Sequence[Row], at: int) -> dict[tuple[str, str], str]:
    """The texts of these rows' examples, by file and id."""
    ids = sorted({row[at] for row in first if isinstance(row[at], str)})
    if not stems or not ids:
        return {}
    build = partial(statements.sql, store=store, text=example.texts(stems, ids))
    try:
        with answered(build, rows) as (_, found):
            return {(stem, name): text for stem, name, text in found.rows if text is not None}
    except SecondguessError as fault:  # the rows stay
        say(f"the texts of the examples are not shown: {fault}", err=True)
        return {}


def _may_have(path: Path) -> bool:
    """Whether a file may have texts: its footer has the name. Asking DuckDB takes as long as a quick answer."""
    with suppress(OSError, struct.error), path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        (length,) = struct.unpack("<I", file.read(4))
        file.seek(-8 - min(length, _LARGEST_FOOTER), os.SEEK_END)
        return b"content" in file.read(min(length, _LARGEST_FOOTER))
    return False
