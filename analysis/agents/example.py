"""One example as an agent is shown it: what was said of it, its text, and its image as a model can see it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from secondguess.analysis.agents import pictures, told
from secondguess.analysis.agents.arguments import NO_PREDICTIONS
from secondguess.analysis.agents.arguments import Example as Asked
from secondguess.analysis.agents.desk import Desk
from secondguess.analysis.ask.example import Example, described, said
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import BadInput, NotFound, SecondguessError, listing
from secondguess.analysis.schema import DEFAULT_TABLE, STEP, WRONG, is_score

_MOST_SAID = 200  # rows about it
_SOME_IDS = 5
_SAID = {"run", "epoch", STEP, "id", "guess", "truth", "confidence", "truth_score", "examples", WRONG}


@dataclass(frozen=True)
class Picture:
    """An image that goes with an answer, and its type."""

    data: bytes
    kind: str


async def answer(desk: Desk, given: Asked) -> tuple[dict[str, Any], Picture | None]:
    """What each run and epoch said of the example, and what the store has of it; raises NotFound."""
    if given.table.casefold() in NO_PREDICTIONS:
        raise BadInput(f"{given.table} has no predictions; name a table, such as {DEFAULT_TABLE} or cnn@last")
    one = Example(given.table, given.id, None)
    columns = await _columns(desk, given.table)
    more = [name for name in columns if name not in _SAID]
    reply = await desk.ask("sql", said(one, more=more), most=_MOST_SAID)
    if not reply.rows:
        some = [name for (name,) in await desk.rows(f"SELECT DISTINCT id FROM {identifier(given.table)} LIMIT 1000")]
        raise NotFound(f"{given.table} has no example {given.id!r}; it has: {listing(some, _SOME_IDS) or 'none'}")
    shown = told.rows_told(reply)
    shown["said"] = f"what was said of {given.id}: {shown['said']}"
    try:
        files = await _files(desk, given.table, one) if "examples" in columns else []
        about = await desk.ask("sql", described(Example(given.table, given.id, files[0]))) if files else None
    except SecondguessError as error:
        shown["notes"].append(f"its image or text cannot be shown: {error}")
        return shown, None
    if about is None:
        shown["notes"] += [] if more else ["neither an image nor a text was recorded of it"]
        return shown, None
    if len(files) > 1:
        shown["notes"].append(f"{len(files)} data sets have an example of this id; shown is that of {files[0]}")
    return await _with_content(shown, about, image=given.image)


async def _columns(desk: Desk, table: str) -> Sequence[str]:
    """The table's columns but for the scores."""
    reply = await desk.ask("sql", f"SELECT * FROM {identifier(table)} LIMIT 0")
    return [name for name in reply.columns if not is_score(name)]


async def _files(desk: Desk, table: str, one: Example) -> list[str]:
    """The stems of the files that describe the example; none where no table here has such."""
    stems = f"SELECT DISTINCT examples FROM {identifier(table)} WHERE {one.where} AND examples IS NOT NULL"
    return [stem for (stem,) in await desk.rows(f"{stems} ORDER BY ALL")]


async def _with_content(shown: dict[str, Any], about: Any, *, image: bool) -> tuple[dict[str, Any], Picture | None]:
    """The answer with what the examples file says, its image apart."""
    rows = told.rows_told(about)
    shown["notes"] += [note for note in rows["notes"] if note not in shown["notes"]]
    if not about.rows:
        return shown, None
    shown["example"] = dict(zip(rows["columns"], rows["rows"][0] if rows["rows"] else (), strict=False))
    values = dict(zip(about.columns, about.rows[0], strict=True)).get("image")
    data = values.get("bytes") if isinstance(values, dict) else None
    if not image or not isinstance(data, bytes):
        return shown, None
    try:
        drawn, kind, done = await asyncio.to_thread(pictures.shown, data)
    except SecondguessError as error:
        shown["notes"].append(f"its image cannot be shown: {error}")
        return shown, None
    shown["notes"] += [done] if done else []
    return shown, Picture(drawn, kind)
