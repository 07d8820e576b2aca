"""An answer as an agent is given it: rows as JSON, not too long, and first what of it was cut."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from secondguess.analysis.answers.answer import LEFT_OUT, Cut, cell
from secondguess.analysis.answers.files import jsonable
from secondguess.analysis.errors import counted
from secondguess.analysis.schema import own_name, score_index
from secondguess.analysis.serving.bounds import Bounds, score_places
from secondguess.analysis.serving.worker import Reply

LONGEST = 40_000
"""Characters of an answer: about 10,000 tokens, where clients take 25,000."""
AGENTS = Bounds(of="an answer", rows=1_000, columns=100, signs=2_000, bytes=1 << 20, scores=24)
"""Of a thousand scores of a row an agent wants a few."""
_SAID = 200  # characters that the first sentence may have
_WHOLE = "-o FILE on the command line writes all"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "said": {"type": "string", "description": "How many of how many rows these are, or the answer in words."},
        "columns": {"type": "array", "items": {"type": "string"}},
        "types": {"type": "array", "items": {"type": "string"}, "description": "SQL types of the columns."},
        "rows": {"type": "array", "items": {"type": "array"}, "description": "Values in the order of columns."},
        "notes": {"type": "array", "items": {"type": "string"}, "description": "What the reader should know."},
    },
    "required": ["said"],
}
"""What every tool gives."""


def rows_told(reply: Reply, offset: int = 0, *, sql: bool = False) -> dict[str, Any]:
    """A reply of rows as plain values of JSON, as many of them as an answer has room for."""
    every = [_row(row, reply.types) for row in reply.rows]
    answer: dict[str, Any] = {
        "said": "",
        "notes": list(dict.fromkeys(reply.remarks)),
        **_classes(reply),
        **({"sql": reply.sql} if sql else {}),
        "columns": list(reply.columns),
        "types": [str(kind) for kind in reply.types],
        "rows": every,
    }
    kept = _fitting(every, LONGEST - _SAID - len(json.dumps({**answer, "rows": []}, ensure_ascii=False)))
    answer["rows"] = every[:kept]
    answer["said"] = _said(reply, offset, kept)
    return answer


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON has them."""
    return {name: jsonable(value) for name, value in values.items()}


def shortened_list(
    values: Sequence[Any], most: int, what: str, whole: str | None = _WHOLE
) -> tuple[list[Any], list[str]]:
    """The first of some values, and what is said of the rest; whole is how to have them all, None if none does."""
    more = f"; {whole}" if whole is not None else ""
    rest = len(values) - most
    return list(values[:most]), [f"the first {most} of {len(values):,} {what}{more}"] if rest > 0 else []


def text(answer: Mapping[str, Any]) -> str:
    """An answer as the text that stands beside the structured one: the same."""
    return json.dumps(answer, ensure_ascii=False)


def _said(reply: Reply, offset: int, kept: int) -> str:
    """Which rows of how many these are, why no more, and how to go on."""
    cut, total = kept < len(reply.rows), reply.total
    of = "" if total is None else f" of {total:,}"
    if cut and not kept:
        return f"0{of} rows: one alone has more than {LONGEST:,} characters; name fewer columns, or {_WHOLE}"
    if offset and not kept:
        return f"no rows after the first {offset:,}" + ("" if total is None else f"; there are {total:,}")
    more = cut or reply.more or (total is not None and offset + kept < total)
    if not more and not offset:
        return counted(kept, "row")
    span = f"rows {offset + 1:,} to {offset + kept:,}{of}" if offset or total is None else f"{kept:,}{of} rows"
    if more and total is None:
        span += ", of more that were not counted"
    why = f"an answer has at most {LONGEST:,} characters; " if cut else ""
    return f"{span}; {why}offset {offset + kept} shows what follows" if more else span


def _fitting(rows: Sequence[Sequence[Any]], room: int) -> int:
    """How many of the rows have so many characters."""
    for number, row in enumerate(rows):
        room -= len(json.dumps(row, ensure_ascii=False)) + 2
        if room < 0:
            return number
    return len(rows)


def _row(row: Sequence[Any], types: Sequence[str]) -> list[Any]:
    return [_cell(value, "FLOAT" in str(kind)) for value, kind in zip(row, types, strict=True)]


def _cell(value: Any, single: bool) -> Any:
    """A value as JSON: images and bytes as their size, single floats as short as they are, a cut value marked."""
    if isinstance(value, bytes) or (isinstance(value, dict) and _is_image(value)):
        return cell(value)
    if isinstance(value, dict):
        return {str(key): _cell(item, single) for key, item in value.items()}
    if isinstance(value, float) and single:
        return jsonable(float(str(np.float32(value))))
    if isinstance(value, list | tuple):
        return [*(_cell(item, single) for item in value), *(["…"] if isinstance(value, Cut) else [])]
    if isinstance(value, str) and isinstance(value, Cut):
        return f"{value}…"
    return jsonable(value)


def _is_image(value: Mapping[Any, Any]) -> bool:
    return isinstance(value.get("bytes"), bytes) or LEFT_OUT in value


def _classes(reply: Reply) -> dict[str, Any]:
    """The classes behind the columns score_0, score_1, …, where there are such and their numbers are no names."""
    places = [
        score_index(own_name(reply.columns[place], reply.sides)[0])
        for place in score_places(reply.columns, reply.sides)
    ]
    if not places or all(map(str.isdigit, reply.classes)):
        return {}
    known = dict(enumerate(reply.classes))
    return {"classes": {f"score_{place}": known[place] for place in places if place is not None and place in known}}
