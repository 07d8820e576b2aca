"""A statement of DuckDB's as Spark's: its files as views, what goes by habit said, then written part by part."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from sqlglot import exp, parse_one
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from secondguess.analysis.engine.spark.quoting import Node, unlike
from secondguess.analysis.engine.spark.types import annotators
from secondguess.analysis.engine.spark.writer import Writer
from secondguess.analysis.engine.sqltext import pattern
from secondguess.analysis.schema import folded

PLACE = "file_row_number"
_OPTIONS = {"hive_partitioning", "union_by_name", "filename", PLACE}
_KNOWN = DuckDB.EXPRESSION_METADATA
_NUMBER = re.compile(r"(?:\d[\d_]*)?\.?\d*(?:[eE][+-]?\d+)?")


class _Read(DuckDB):
    """DuckDB's SQL with the places in lists as they are written: from 1."""

    INDEX_OFFSET = 0


@dataclass(frozen=True)
class Source:
    """Files that a statement reads under a name, its columns, and read_parquet's options that are set."""

    name: str
    files: tuple[Path, ...]
    columns: Mapping[str, str]
    options: frozenset[str]


@dataclass(frozen=True)
class Translated:
    """Spark's SQL, whose columns are called c0, c1, …, and what it reads.

    steps are parts of it, by the names it has for them, that are to be kept while it runs: Spark would compute a WITH
    anew wherever it is named.
    """

    sql: str
    sources: tuple[Source, ...]
    steps: tuple[tuple[str, str], ...] = ()


def translated(
    con: duckdb.DuckDBPyConnection, text: str, files: Iterable[Path], columns: int, *, pruned: bool = False
) -> Translated:
    """The statement, which DuckDB has bound and found to have so many columns; con reads its files' schemas.

    pruned leaves of the files' columns those that it needs: for what reads all that it is asked for.

    Raises Refused for what Spark would compute otherwise, or not at all.
    """
    for number in _numbers(text):
        if not _NUMBER.fullmatch(number):
            raise unlike(f"the number {number!r}")
    try:
        tree = _whole(parse_one(text, read=_Read))
        sources = _sources(con, tree, {pattern(path): path for path in files})
        for cte in tree.ctes:
            cte.set("materialized", None)
            if cte.alias == "joined":
                _joined_by_id(cte)
        for part in tree.find_all(exp.CTE):
            part.set("materialized", None)
        _ordered_as_read(tree)
        _numbered(tree)
        schema: dict[str, object] = {source.name: dict(source.columns) for source in sources}
        tree = qualify(tree, schema=schema, dialect="duckdb", canonicalize_table_aliases=False)
        _ordered_by_all(tree)
        if pruned:
            tree = pushdown_projections(tree)
            sources = [replace(source, columns=_used(tree, source)) for source in sources]
        told = MappingSchema(schema, dialect="duckdb")
        tree = annotate_types(tree, schema=told, expression_metadata=annotators(_KNOWN), dialect="duckdb")
    except SqlglotError as error:
        said = " ".join(re.sub(r"\x1b\[\d+m", "", str(error)).split())
        raise unlike(f"this SQL ({said})") from None
    if len(tree.selects) != columns:
        raise unlike("this SQL, whose columns are not told apart,")
    names = ", ".join(f"c{number}" for number in range(columns))
    steps = tuple((name, Writer().generate(step)) for name, step in _steps(tree))
    sql = f"SELECT * FROM ({Writer().generate(tree)}) AS sg_answer({names})"
    return Translated(sql, tuple(sources), steps)


def _steps(tree: Node) -> Iterator[tuple[str, Node]]:
    """Take out of a statement what it names several times and is no plain look at rows, in order; each has a name."""
    every = tree.args.get("with_")
    if every is None or every.args.get("recursive") or len(list(tree.find_all(exp.With))) > 1:
        return
    kept: list[Node] = []
    for number, cte in enumerate(list(every.expressions)):
        uses = [table for table in tree.find_all(exp.Table) if table.name == cte.alias and table is not cte]
        if len(uses) < 2 or not cte.this.find(exp.Group, exp.Window):
            kept.append(cte)
            continue
        step, name = cte.this, f"sg_step_{number}"
        if kept:
            step.set("with_", exp.With(expressions=[one.copy() for one in kept]))
        for table in uses:
            table.set("this", exp.to_identifier(name, quoted=True))
        yield name, step
    if kept:
        every.set("expressions", kept)
    else:
        tree.set("with_", None)


def _used(tree: Node, source: Source) -> Mapping[str, str]:
    """The columns of a source that a statement names, or one where it names none, with their types."""
    names: set[str] = set()
    for table in tree.find_all(exp.Table):
        if table.name == source.name:
            select = table.find_ancestor(exp.Select)
            own = (column for column in select.find_all(exp.Column) if column.table == table.alias_or_name)
            names.update(folded(column.name) for column in own)
    used = {name: kind for name, kind in source.columns.items() if folded(name) in names}
    return used or dict(list(source.columns.items())[:1])


def _whole(tree: Node) -> Node:
    """The statement without the SELECT * that is put round a person's, where that has no WITH of the same names."""
    start = tree.args.get("from_")
    inner = start.this.this if start is not None and isinstance(start.this, exp.Subquery) else None
    (item, *more) = tree.expressions
    bare = isinstance(item, exp.Star) and not more and not any(item.args.values())
    if inner is None or not bare or len([value for value in tree.args.values() if value]) > 3:
        return tree
    names = [cte.alias.lower() for cte in (*tree.ctes, *inner.ctes)]
    if len(set(names)) < len(names):
        return tree
    recursive = any(part.args.get("recursive") for part in (tree.args.get("with_"), inner.args.get("with_")) if part)
    if names:
        inner.set("with_", exp.With(expressions=[*tree.ctes, *inner.ctes], recursive=recursive))
    return inner.pop()


def _numbers(text: str) -> Iterator[str]:
    """The numbers that a text has, as they are written: with what is stuck to them."""
    data = text.encode()
    places = duckdb.tokenize(text)
    ends = [place for place, _ in places[1:]] + [len(data)]
    for (place, kind), end in zip(places, ends, strict=True):
        if kind == duckdb.token_type.numeric_const:
            stuck = re.match(rb"[\w.]+(?:(?<=[eE])[+-]\d+)?", data[place:])
            yield (stuck.group() if stuck is not None else data[place:end]).decode(errors="replace")


def _sources(con: duckdb.DuckDBPyConnection, tree: Node, paths: Mapping[str, Path]) -> list[Source]:
    """Put names in the place of the files that are read; those that are read alike have one."""
    sources: dict[str, Source] = {}
    for table in list(tree.find_all(exp.Table)):
        if not isinstance(table.this, exp.ReadParquet):
            continue
        call = table.this.sql("duckdb", comments=False)
        if call not in sources:
            given, *settings = table.this.expressions
            files = tuple(paths[item.name] for item in given.expressions)
            options = {one.this.name: one.expression.name == "true" or one.expression.this for one in settings}
            if not options.keys() <= _OPTIONS:
                raise unlike(f"read_parquet with {', '.join(options)}")
            described = con.execute(f"DESCRIBE SELECT * FROM {call}").fetchall()
            on = frozenset(name for name, value in options.items() if value)
            sources[call] = Source(f"sg_{len(sources)}", files, {row[0]: row[1] for row in described}, on)
        alias = table.args.get("alias")
        table.replace(exp.Table(this=exp.to_identifier(sources[call].name), alias=alias))
    return list(sources.values())


def _joined_by_id(cte: Node) -> None:
    """Sides that are joined by position have the same ids, each once: Spark joins them by these."""
    for join in cte.find_all(exp.Join):
        if str(join.args.get("method") or "").upper() != "POSITIONAL":
            continue
        siblings = join.parent.args["joins"]
        place = siblings.index(join)
        before = siblings[place - 1].this if place else _beginning(join.parent)
        own, other = (exp.column("id", table=part.alias_or_name) for part in (join.this, before))
        join.set("method", None)
        join.set("on", exp.EQ(this=other, expression=own))


def _beginning(node: Node) -> Node:
    """The first table of a FROM, or of a bracket round joins."""
    start = node.args["from_"].this if isinstance(node, exp.Select) else node
    return start.this if isinstance(start, exp.Paren) else start


def _ordered_as_read(tree: Node) -> None:
    """Rows that come as they were recorded, which DuckDB keeps: Spark is told their order."""
    ctes = {cte.alias: cte.this for cte in tree.ctes}
    for select in _rows_of_page(tree):
        start = select.args.get("from_")
        plain = isinstance(select, exp.Select) and start is not None and isinstance(start.this, exp.Table)
        clauses = ("group", "order", "distinct", "joins", "having")
        if not plain or any(select.args.get(clause) for clause in clauses) or _aggregates(select):
            continue
        read = ctes.get(start.this.name)
        if read is not None and any(item.alias_or_name == PLACE for item in read.selects):
            select.set("order", _order([exp.column(PLACE, quoted=True)]))


def _rows_of_page(tree: Node) -> Iterator[Node]:
    """The SELECTs that give the rows of an answer, the outermost first: each all there is of the one before."""
    node: Node | None = tree
    while node is not None:
        yield node
        start = node.args.get("from_")
        inner = start.this if start is not None else None
        if isinstance(inner, exp.Table) and (cte := next((one for one in node.ctes if one.alias == inner.name), None)):
            node = cte.this
        else:
            node = inner.this if isinstance(inner, exp.Subquery) else None


def _aggregates(select: Node) -> bool:
    return any(part.find(exp.AggFunc) for part in select.expressions if not part.find(exp.Window))


def _ordered_by_all(tree: Node) -> None:
    """ORDER BY ALL is by each column in turn, which are known by now."""
    for order in tree.find_all(exp.Order):
        every = [term for term in order.expressions if term.this.name.upper() == "ALL" and _is_bare(term.this)]
        if every and isinstance(select := order.parent, exp.Query):
            terms = [exp.column(item.alias_or_name, quoted=True) for item in select.selects]
            down, first = every[0].args.get("desc"), every[0].args.get("nulls_first")
            order.set("expressions", [exp.Ordered(this=term, desc=down, nulls_first=first) for term in terms])


def _is_bare(node: Node) -> bool:
    """Whether it is a word of SQL, not a column that is called so."""
    return isinstance(node, exp.Var) or (isinstance(node, exp.Column) and not node.table and not node.this.quoted)


def _order(terms: Sequence[Node]) -> exp.Order:
    return exp.Order(expressions=[exp.Ordered(this=term, nulls_first=False) for term in terms])


def _numbered(tree: Node) -> None:
    """Rows that are numbered as they come from a subquery are numbered in it, by its order."""
    for window in list(tree.find_all(exp.Window)):
        clauses = ("partition_by", "order", "spec", "alias")
        if not isinstance(window.this, exp.RowNumber) or any(window.args.get(clause) for clause in clauses):
            continue
        item, select = window.parent, window.find_ancestor(exp.Select)
        start = select.args.get("from_") if select is not None else None
        inner = start.this.this if start is not None and isinstance(start.this, exp.Subquery) else None
        if not isinstance(item, exp.Alias) or item.parent is not select or not isinstance(inner, exp.Select):
            raise unlike("row_number() OVER (), which goes by no order,")
        order = inner.args.get("order")
        if order is None or inner.args.get("group") or inner.args.get("distinct") or _aggregates(inner):
            raise unlike("row_number() OVER () of rows in no order")
        window.set("order", order.copy())
        item.pop()
        inner.append("expressions", item)
