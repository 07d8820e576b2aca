"""The rows of a chart where an answer has more of them than a chart has room for: what they come to, in SQL.

A chart is never drawn from the first rows of an answer. What its marks stand for is said with it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, isqrt

from secondguess.analysis.ask.confusion import MOST_DRAWN
from secondguess.analysis.engine.passages import moved
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import MOST_MARKS, STEP

_LEAST = 2  # points of a line

_LINE = """SELECT
  run,
  last(epoch ORDER BY {when}) AS epoch,
  {step}avg(errors) AS errors,
  min(errors) AS least,
  max(errors) AS most,
  count(*) AS n
FROM (SELECT *, ntile({points}) OVER (PARTITION BY run ORDER BY {when}) AS point FROM answer)
GROUP BY run, point
ORDER BY run, point"""
_CURVE = """SELECT * EXCLUDE (point, place)
FROM (
  SELECT
    *,
    ntile({points}) OVER (PARTITION BY {table} ORDER BY {x}, {y}) AS point,
    row_number() OVER (PARTITION BY {table} ORDER BY {x}, {y}) AS place
  FROM answer{where}
)
QUALIFY place = max(place) OVER (PARTITION BY {table}, point)
ORDER BY ALL"""
_LARGEST = """SELECT answer.*
FROM answer, (SELECT {key}, sum(errors) AS n FROM answer GROUP BY ALL ORDER BY n DESC, {key} LIMIT {most}) kept
WHERE answer.{key} IS NOT DISTINCT FROM kept.{key}"""
_MISTAKEN = """SELECT answer.*
FROM answer
WHERE EXISTS (FROM kept WHERE label IS NOT DISTINCT FROM answer.{down})
  AND EXISTS (FROM kept WHERE label IS NOT DISTINCT FROM answer.{across})"""
_LABELS = """SELECT label
FROM (
  SELECT {down} AS label, {count} AS n FROM answer WHERE {down} IS DISTINCT FROM {across}
  UNION ALL
  SELECT {across}, {count} FROM answer WHERE {down} IS DISTINCT FROM {across}
)
GROUP BY label
ORDER BY sum(n) DESC, label
LIMIT {most}"""
_CELLS = """SELECT
  floor({x} / wide) * wide AS {x},
  (floor({x} / wide) + 1) * wide AS {to_x},
  floor({y} / high) * high AS {y},
  (floor({y} / high) + 1) * high AS {to_y},
  sum({count}) AS {count}{correctness}
FROM (
  SELECT *, min({to_x} - {x}) OVER () * many AS wide, min({to_y} - {y}) OVER () * many AS high
  FROM answer, (SELECT ceil(sqrt(count(*) / {most})) AS many FROM answer)
)
GROUP BY ALL
ORDER BY ALL"""


@dataclass(frozen=True)
class Charted:
    """What is put before and after an answer's SQL for the rows of its chart, and what is said of its marks."""

    before: str
    after: str
    said: str


def charted(
    drawn: tuple[str, tuple[str, ...]] | None, columns: Sequence[str], order: Sequence[tuple[str, Moment]]
) -> Charted | None:
    """How an answer of many rows becomes at most some MOST_MARKS of its chart; None where it has no chart.

    drawn, columns and order are the answer's: how it is drawn, what it has, the (run, epoch) asked about.
    """
    how, named = drawn or ("", ())
    names = [identifier(name) for name in named]
    tables = max(1, len(dict.fromkeys(order)))
    if how == "cells" and {*named, *(f"to_{name}" for name in named[:2])} <= set(columns):
        return _cells(named, "correctness" in columns)
    if not {"run", "epoch", *named} <= set(columns):
        return None
    step = STEP in columns and any(moment.step is not None for _, moment in order)
    if how == "curve":
        points = max(_LEAST, MOST_MARKS // tables)
        where = " WHERE class IS NULL" if "class" in columns else ""
        table = f"run, epoch{f', {STEP}' if step else ''}"
        sql = _CURVE.format(points=points, table=table, x=names[0], y=names[1], where=where)
        return _wrapped(sql, f"at most {points:,} points of each curve")
    if how == "matrix":
        most = min(MOST_DRAWN, isqrt(MOST_MARKS // tables) or 1)
        labels = _LABELS.format(down=names[0], across=names[1], count=names[2], most=most)
        sql = _MISTAKEN.format(down=names[0], across=names[1])
        return _wrapped(sql, f"the {most} classes with most mistakes", f",\nkept AS (\n{labels}\n)")
    if how == "beside" and "errors" in columns:
        most = max(1, min(60, MOST_MARKS // tables))
        return _wrapped(_LARGEST.format(key=names[0], most=most), f"the {most} with most errors")
    return _lines(order, step) if not how and "errors" in columns else None


def _lines(order: Sequence[tuple[str, Moment]], step: bool) -> Charted:
    per_run = Counter(run for run, _ in dict.fromkeys(order))
    points = max(_LEAST, MOST_MARKS // max(1, len(per_run)))
    most = ceil(max(per_run.values(), default=1) / points)
    when = f"epoch{f', {STEP} NULLS LAST' if step else ''}"
    own = f"last({STEP} ORDER BY {when}) AS {STEP},\n  " if step else ""
    said = f"each point is the mean of up to {most} validations, at the last of them" if most > 1 else ""
    return _wrapped(_LINE.format(points=points, when=when, step=own), said)


def _cells(named: tuple[str, ...], correctness: bool) -> Charted:
    x, y, count = (identifier(name) for name in named)
    to_x, to_y = (identifier(f"to_{name}") for name in named[:2])
    mean = f",\n  sum(correctness * {count}) / sum({count}) AS correctness" if correctness else ""
    sql = _CELLS.format(x=x, y=y, to_x=to_x, to_y=to_y, count=count, correctness=mean, most=MOST_MARKS)
    return _wrapped(sql, "squares of several cells each")


def _wrapped(sql: str, said: str, more: str = "") -> Charted:
    return Charted("WITH answer AS (\n", f"\n){more}\n{sql}", said)


def of_chart(statement: Statement, how: Charted) -> Statement:
    """The statement for the chart's rows instead of the answer's."""
    ahead = len(how.before.encode())
    return replace(
        statement,
        body=f"{how.before}{statement.body}{how.after}",
        parameters=tuple(replace(one, start=one.start + ahead) for one in statement.parameters),
        passages=moved(statement.passages, ahead),
        left_out=None,
        page=None,
    )
