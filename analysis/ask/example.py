"""One example: what was said of it, what the store has of it, and the images of some; as SQL for `statements.sql`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from secondguess.analysis.engine.sqltext import identifier, literal
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import AT_STEP, COMPUTED, SCORES, STEP, WRONG, score_column

_WHEN = f"epoch, {AT_STEP} NULLS LAST"


@dataclass(frozen=True)
class Example:
    """Which example: the table that speaks of it, its id, and the stem of the file that describes it, if there is one.

    A table alone is that of all runs; RUN/TABLE is of one.
    """

    table: str
    id: str
    stem: str | None

    @property
    def where(self) -> str:
        """The condition that a row is about it."""
        return f"id = {literal(self.id)}" + (f" AND examples = {literal(self.stem)}" if self.stem else "")


def said(example: Example, first: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """Every row about the example, without its scores: those of the runs that are named first, in their order.

    step is that of the validation, NULL at the end of an epoch; more are other columns of the table, shown behind.
    """
    columns = f"run, epoch, {AT_STEP} AS {STEP}, id, guess, truth, confidence, truth_score, {WRONG}"
    columns = ", ".join((columns, *map(identifier, more)))
    cases = " ".join(f"WHEN {literal(run)} THEN {place}" for place, run in enumerate(first))
    order = f"CASE run {cases} ELSE {len(first)} END, run, {_WHEN}" if first else f"run, {_WHEN}"
    return f"SELECT {columns} FROM {identifier(example.table)} WHERE {example.where} ORDER BY {order}"


def lasts(example: Example, epochs: Iterable[int], *, every: bool) -> str:
    """What runs said in these epochs, of which each has its last: (id, run, epoch, step, whether it was an error).

    Of the example, or of every one in its file: the same statement whichever it is.
    """
    there = ", ".join(map(literal, sorted(set(epochs))))
    file = f" AND examples = {literal(example.stem)}" if example.stem else ""
    where = f"epoch IN ({there}){file}" if every else f"{example.where} AND epoch IN ({there})"
    return (
        f"SELECT id, run, epoch, {AT_STEP} AS {STEP}, {WRONG} FROM {identifier(example.table)} "
        f"WHERE {where} ORDER BY run, id, {_WHEN}"
    )


def whole(example: Example, tables: Iterable[tuple[str, Moment]]) -> str:
    """The whole rows about the example at some moments of runs; last their scores as a list, step, and whether wrong.

    A list, in the order of the table's own classes, since an answer has only so many columns.
    """
    computed = ", ".join(map(literal, COMPUTED))
    here = " OR ".join(f"(run = {literal(run)} AND {_is_at(moment)})" for run, moment in tables)
    return (
        f"SELECT COLUMNS(lambda name: NOT regexp_full_match(name, 'score_[0-9]+') AND name NOT IN ({computed})), "
        f"{SCORES}, {AT_STEP}, {WRONG} FROM {identifier(example.table)} "
        f"WHERE {example.where} AND ({here}) ORDER BY run, {_WHEN}"
    )


def _is_at(moment: Moment) -> str:
    return f"epoch = {literal(moment.epoch)} AND {AT_STEP} IS NOT DISTINCT FROM {literal(moment.step)}"


def described(example: Example) -> str:
    """What the file that describes it says of the example: its image or content, its digest, its truth."""
    return f"SELECT * FROM examples WHERE {example.where} LIMIT 1"


def images(stems: Iterable[str], ids: Iterable[str]) -> str:
    """The images of these ids in these files: (the file's stem, id, image)."""
    files, names = (", ".join(map(literal, each)) for each in (stems, ids))
    return f"SELECT examples, id, image FROM examples WHERE examples IN ({files}) AND id IN ({names})"


def texts(stems: Iterable[str], ids: Iterable[str]) -> str:
    """The texts of these ids in these files: (the file's stem, id, content)."""
    files, names = (", ".join(map(literal, each)) for each in (stems, ids))
    return f"SELECT examples, id, content FROM examples WHERE examples IN ({files}) AND id IN ({names})"


def surest(table: str, down: str, across: str, most: int) -> str:
    """Of each pair of unlike labels in two columns of a table the ids of at most so many rows, the surest first."""
    one, other = identifier(down), identifier(across)
    return (
        f"SELECT {one}, {other}, list(id ORDER BY confidence DESC NULLS LAST, id)[:{literal(most)}]\n"
        f"FROM {identifier(table)} WHERE {one} IS DISTINCT FROM {other} GROUP BY ALL"
    )


def by_class(
    rows: Iterable[dict[str, Any]], own: Iterable[Sequence[str]], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows of `whole` with score_0, score_1, … of these classes in place of the list.

    own are each row's classes, in the order of its list; of one that it does not have the score is None.
    """
    spread = []
    for row, names in zip(rows, own, strict=True):
        known = dict(zip(names, row.get(SCORES) or (), strict=False))
        scores = {score_column(index): known.get(name) for index, name in enumerate(classes)}
        spread.append({name: value for name, value in row.items() if name != SCORES} | scores)
    return spread
