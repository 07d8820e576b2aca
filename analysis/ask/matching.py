"""How the keys of two tables match: counted, or known from their records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from secondguess.analysis.ask.scope import Relation, ctes, examples
from secondguess.analysis.engine.kinds import Kind
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.engine.statement import JoinReport
from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import reference
from secondguess.analysis.store import verified
from secondguess.analysis.store.records import Epoch

# What each side has per key: how many rows, and the least and greatest truth among them.
_KEYS = """SELECT key, count(*) AS n, min(truth) AS least, max(truth) AS greatest
FROM (SELECT {key} AS key, {letter}.truth FROM {table} {letter})
WHERE key IS NOT NULL
GROUP BY key"""
_UNIQUE_KEYS = "SELECT {key} AS key, 1 AS n, {letter}.truth AS least, {letter}.truth AS greatest FROM {table} {letter}"
_COUNTS = """
SELECT
  count(*) FILTER (WHERE a.key IS NOT NULL AND b.key IS NOT NULL) AS matched,
  count(*) FILTER (WHERE b.key IS NULL) AS only_left,
  count(*) FILTER (WHERE a.key IS NULL) AS only_right,
  coalesce(sum(a.n - 1), 0)::BIGINT AS duplicates_left,
  coalesce(sum(b.n - 1), 0)::BIGINT AS duplicates_right,
  count(*) FILTER (
    WHERE a.key = b.key AND a.least IS NOT NULL AND b.least IS NOT NULL
    AND NOT (a.least = a.greatest AND b.least = b.greatest AND a.least = b.least)
  ) AS truths_differ
FROM a FULL JOIN b ON a.key = b.key"""
_TRUTHS = """SELECT count(*) FROM {left} a POSITIONAL JOIN {right} b WHERE a.truth <> b.truth"""
_OTHER_CONTENT = "SELECT count(*) FROM a JOIN b ON a.id = b.id WHERE a.digest <> b.digest"


@dataclass(frozen=True)
class Side:
    """One table of a join: its name for a person, its record, the relation with its rows, its letter and key in SQL."""

    name: str
    epoch: Epoch
    table: str
    letter: str
    key: str


def with_digests(name: str, epoch: Epoch, table: Relation) -> Relation:
    """The table's rows, each with the digest of its content; raises BadInput where that is not known."""
    if epoch.examples is None:
        raise BadInput(f"{epoch.name} has no images or other content, so no digest")
    if not epoch.unique:
        raise BadInput(f"{epoch.name} has repeated or missing ids, so it is not known which row has which content")
    seen = examples([epoch])
    sql = (
        f"SELECT rows.*, seen.digest\nFROM {identifier(name)} rows LEFT JOIN (\n{seen.sql}\n) seen ON seen.id = rows.id"
    )
    columns: dict[str, Kind] = {**table.columns, "digest": "text"}
    return Relation(sql, table.files | seen.files, table.classes, columns, notes=seen.notes)


def reports(
    con: duckdb.DuckDBPyConnection, relations: Mapping[str, Relation], sides: Sequence[Side], key: str
) -> list[JoinReport]:
    """How the first table joins with each of the others; raises BadInput where an id means different content."""
    return [_report(con, relations, sides[0], other, key) for other in sides[1:]]


def _report(
    con: duckdb.DuckDBPyConnection, relations: Mapping[str, Relation], left: Side, right: Side, key: str
) -> JoinReport:
    a, b = left.epoch, right.epoch
    by_id = key == "id"
    if by_id and a.unique and b.unique and a.ids == b.ids:
        report = JoinReport(left.name, right.name, key, a.rows, same_examples=True, by_position=True)
        if a.examples == b.examples and a.examples is not None:  # the records say so: nothing to count
            return report
        tables = {name: relations[name] for name in (left.table, right.table)}
        truths = _TRUTHS.format(left=identifier(left.table), right=identifier(right.table))
        report = replace(report, truths_differ=_first(con, f"WITH {ctes(tables)} {truths}")[0])
    elif by_id and _same_set(a, b):
        report = JoinReport(left.name, right.name, key, a.rows)
    else:
        report = _counted(con, relations, left, right, key)
    if not by_id:
        whole = report.only_left + report.only_right + report.nulls_left + report.nulls_right == 0
        return replace(report, same_examples=whole and report.matched > 0 if key == "digest" else None)
    same = _same_content(con, a, b, report.matched)
    if same is not None:
        same = same and report.only_left + report.only_right == 0
    return replace(report, same_examples=same)


def _same_set(a: Epoch, b: Epoch) -> bool:
    """Whether the records say that both have the same ids, each once, with the same labels, in whatever order."""
    return (
        a.unique
        and b.unique
        and None not in (a.id_set, a.id_truth_set)
        and ((a.id_set, a.id_truth_set) == (b.id_set, b.id_truth_set))
    )


def _counted(
    con: duckdb.DuckDBPyConnection, relations: Mapping[str, Relation], left: Side, right: Side, key: str
) -> JoinReport:
    keys = [_side_keys(side, key) for side in (left, right)]
    scope = f"WITH {ctes(relations)},\na AS (\n{keys[0]}\n),\nb AS (\n{keys[1]}\n)"
    matched, only_left, only_right, more_left, more_right, truths = _first(con, scope + _COUNTS)
    return JoinReport(
        left=left.name,
        right=right.name,
        key=key,
        matched=matched,
        only_left=only_left,
        only_right=only_right,
        duplicates_left=more_left,
        duplicates_right=more_right,
        nulls_left=left.epoch.rows - matched - only_left - more_left,
        nulls_right=right.epoch.rows - matched - only_right - more_right,
        truths_differ=truths,
    )


def _side_keys(side: Side, key: str) -> str:
    known = key == "id" and side.epoch.unique
    return (_UNIQUE_KEYS if known else _KEYS).format(key=side.key, letter=side.letter, table=identifier(side.table))


def _other(count: int, epoch: Epoch) -> str:
    name = reference(epoch.run, epoch.table, epoch.moment)
    return f"1 id of {name} means another example" if count == 1 else f"{count:,} ids of {name} mean other examples"


def _first(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = con.execute(sql).fetchone()
    return row if row is not None else ()


def _same_content(con: duckdb.DuckDBPyConnection, a: Epoch, b: Epoch, matched: int) -> bool | None:
    files = [epoch.examples_file for epoch in (a, b) if epoch.examples_file is not None]
    if len(files) < 2 or verified.faults(files):
        return None
    if a.examples == b.examples and a.unique and b.unique:  # one file says of each id what it is
        return matched > 0
    sides: dict[str, Relation] = {"a": examples([a]), "b": examples([b])}
    other = _first(con, f"WITH {ctes(sides)} {_OTHER_CONTENT}")[0]
    if other:
        raise BadInput(
            f"{_other(other, a)} in {reference(b.run, b.table, b.moment)} (their content differs); "
            "a join on id would pair different things; were the ids made from positions? the key digest pairs equal "
            "content, as in `secondguess table … --join inner --key digest`"
        )
    return matched > 0
