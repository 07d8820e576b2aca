"""What a person's SQL may contain: one SELECT over known relations, found out from its syntax tree.

A statement type of SELECT is not enough: DuckDB 2 runs `WITH x AS (COPY …) SELECT …`, which writes. So the tree of the
text alone, before anything is put round it, is checked against lists of what is allowed, and what is new fails.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb

from secondguess.analysis.engine.passages import FREE_SQL, Passage
from secondguess.analysis.engine.statement import Parameter
from secondguess.analysis.errors import Refused
from secondguess.analysis.schema import folded

_NO_TREE = "not implemented"  # the kind of DuckDB's error for a statement that is no SELECT
_DEEPEST = 900  # levels of a tree: how many Python itself reads differs from version to version
_LONGEST = 65_536  # bytes: some hundred thousand brackets cost a gigabyte
_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"}
_TABLE_FUNCTIONS = {"range", "generate_series", "unnest", "repeat"}
_BANNED = {
    *("sleep_ms", "pg_sleep", "write_log", "current_setting", "getvariable", "getenv"),
    *("nextval", "currval", "setval", "setseed", "query", "query_table"),
    *("json_execute_serialized_sql", "json_serialize_plan"),  # they plan SQL that is not in the tree
}
_LIST = "SELECT "
_UNNESTING = frozenset({"unnest", "unlist"})  # the two that DuckDB itself knows; its macros are made of them
_FUNCTIONS = (
    "SELECT function_name, coalesce(list(macro_definition) FILTER (function_type = 'macro'), []) "
    "FROM duckdb_functions() WHERE internal = $internal GROUP BY ALL"
)
# DuckDB's own functions by folded name: whether each gives several rows for one. Listed once, by who checks a call.
_several: dict[str, bool] = {}
# What stands without brackets and is no column.
_WORDS = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "user", "current_user"}
_CLAUSES = ("where_clause", "group_expressions", "group_sets", "having", "sample", "qualify", "modifiers")
Span = tuple[int, int]
"""The byte of a text at which something begins, and how many bytes it takes: 0 where only its beginning is known."""

_BARE = re.compile(r"""\b(?:FROM|JOIN)\s+([^\s"'(),;]+)""", re.IGNORECASE)  # a table without quotes
_CTE_NAME = re.compile(r"[^./\\:'\"*?\[\]{}\x00-\x1f]+")  # nothing that could be a path or an address


@dataclass(frozen=True)
class Inspected:
    """A text that passed: one SELECT without its final semicolon, the relations and the parameters it names.

    columns are the names of columns anywhere in it, folded; ordered says that it has a window, whose rows come in an
    order of their own; plain are the columns that it names outside of anything that could bring names of its own, each
    with where it is named first. given are the names that it gives to columns, tables and WITHs itself, folded; places
    are where each relation is.
    """

    text: str
    relations: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    columns: frozenset[str] = frozenset()
    plain: Mapping[str, Span] = field(default_factory=dict)
    ordered: bool = False
    given: frozenset[str] = frozenset()
    places: Mapping[str, Span] = field(default_factory=dict)

    @property
    def read(self) -> frozenset[str]:
        """The folded names of columns that it may read, without those that it gives itself."""
        return frozenset(self.columns) - self.given

    def names(self, column: str) -> bool:
        """Whether it may read a column of that folded name, and means none by it that it gives that name itself."""
        return column in self.read


@dataclass(frozen=True)
class _Source:
    """A person's text as it is parsed: behind what makes it a SELECT."""

    text: str
    before: str = ""

    @property
    def sql(self) -> str:
        return self.before + self.text

    def span(self, node: Mapping[str, Any]) -> Span:
        """Where the text has what a node of its tree stands for."""
        return node["query_location"] - len(self.before), node.get("query_location_length", 0)

    def refused(self, reason: str, place: Span, name: str = "", more: str = "") -> Refused:
        """The error that says what is wrong at a place of the text, of what begins with a name at that."""
        if not 0 <= place[0] <= len(self.text.encode()):  # nobody knows where
            return Refused(reason + more)
        return Refused(reason + more, fault=Passage(FREE_SQL, self.text).fault(reason, *place, name))


def inspect(con: duckdb.DuckDBPyConnection, sql: str) -> Inspected:
    """Check a text; raises Refused with what is not allowed in it, and where it is no SQL at all."""
    source = _Source(sql)
    return _inspected(_tree(con, source), source)


def expression(con: duckdb.DuckDBPyConnection, text: str) -> Inspected:
    """Check a text that is to be one value of a row, in a filter say; raises Refused as `inspect`, or for more.

    As the only thing that a SELECT lists it is read alone: what closes a bracket of ours, or begins a clause, shows.
    """
    if not _holds_something(text):
        raise Refused("it is empty; write a value, such as guess <> truth")
    source = _Source(text, _LIST)
    tree = _tree(con, source)
    value = _inspected(tree, source)
    node = tree["statements"][0]["node"]
    listed = node.get("select_list", ())
    more = [clause for clause in _CLAUSES if node.get(clause)]
    if len(listed) != 1 or more or node["from_table"]["type"] != "EMPTY" or node["cte_map"]["map"]:
        raise Refused("this is more than one expression; write one value, such as guess <> truth")
    if listed[0]["alias"]:
        raise Refused(
            f"this is more than one expression, or names itself {listed[0]['alias']!r}; write one value alone"
        )
    for part in _outside_subqueries(listed[0]):
        if part.get("class") == "STAR":
            raise source.refused("* stands for several columns; name one", source.span(part))
        name = str(part.get("function_name", ""))
        if name and not part.get("is_operator") and _gives_several(con, folded(name)):
            raise source.refused(f"{name} gives several rows for one; write one value", source.span(part), name)
    if value.parameters:
        first = value.parameters[0]
        reason = f"nothing fills the parameter ${first.name}; write its value"
        raise source.refused(reason, (first.start - len(_LIST), first.length))
    own = value.text.removeprefix(_LIST)
    _tree(con, _Source(f"{own}\n)", f"{_LIST}(\n"))  # as it will stand: a window's name may follow a list but no value
    return replace(value, text=own)


def _inspected(tree: dict[str, Any], source: _Source) -> Inspected:
    nodes = list(_walk(tree))
    for node, _ in nodes:
        _check(node, source)
    relations: dict[str, str] = {}
    places: dict[str, Span] = {}
    for node, ctes in nodes:
        if node.get("type") == "BASE_TABLE" and folded(name := _relation(node)) not in ctes:
            relations.setdefault(folded(name), name)
            places.setdefault(relations[folded(name)], source.span(node))
    # One that stands in a set operation is twice in the tree.
    parameters = {
        node["query_location"]: Parameter(
            str(node["identifier"]), node["query_location"], node["query_location_length"]
        )
        for node, _ in nodes
        if node.get("type") == "VALUE_PARAMETER"
    }
    columns = {folded(part) for node, _ in nodes if node.get("type") == "COLUMN_REF" for part in node["column_names"]}
    columns |= {folded(str(name)) for node, _ in nodes for name in node.get("exclude_list") or ()}
    kinds = {node.get("class") for node, _ in nodes}
    alone: dict[str, Span] = {}
    for node, _ in nodes:
        if node.get("type") == "COLUMN_REF" and len(node["column_names"]) == 1:
            name, span = folded(str(node["column_names"][0])), source.span(node)
            if name not in _WORDS:
                alone[name] = min(alone.get(name, span), span)
    return Inspected(
        text=_without_semicolons(source.sql),
        relations=tuple(relations.values()),
        parameters=tuple(parameters.values()),
        columns=frozenset(columns),
        plain={} if kinds & {"LAMBDA", "SUBQUERY"} else alone,
        ordered="WINDOW" in kinds,
        given=frozenset(folded(name) for node, _ in nodes for name in _given(node)),
        places=places,
    )


def _given(node: dict[str, Any]) -> Iterator[str]:
    """The names that a node gives: its own, those of a table's columns, of its WITHs."""
    if node.get("alias"):
        yield str(node["alias"])
    for key in ("column_name_alias", "aliases"):
        yield from map(str, node.get(key) or ())
    yield from (str(entry["key"]) for entry in (node.get("cte_map") or {}).get("map", ()))


def _holds_something(text: str) -> bool:
    """Whether there is more in a text than comments and semicolons."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return True  # which is refused for what it is
    return any(
        kind != duckdb.token_type.comment and data[place : place + 1] != b";" for place, kind in duckdb.tokenize(text)
    )


def _outside_subqueries(node: Any) -> Iterator[dict[str, Any]]:
    """The nodes of an expression, but for what a SELECT inside it lists."""
    if isinstance(node, dict):
        yield node
        for key, value in node.items():
            if not (node.get("class") == "SUBQUERY" and key == "subquery"):
                yield from _outside_subqueries(value)
    elif isinstance(node, list):
        for item in node:
            yield from _outside_subqueries(item)


def _gives_several(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether a function of that folded name gives several rows for one, by what DuckDB says its macros are."""
    if not _several:
        _several.update(_unnesting(con, _UNNESTING, internal=True))
    if name in _several:
        return _several[name]
    several = _UNNESTING.union(known for known, unnests in _several.items() if unnests)
    return name in several or _unnesting(con, several, internal=False).get(name, False)


def _unnesting(con: duckdb.DuckDBPyConnection, several: frozenset[str], *, internal: bool) -> dict[str, bool]:
    """The functions by folded name, DuckDB's own or a person's: whether each is a macro that calls one of several."""
    macros = {folded(name): texts for name, texts in con.execute(_FUNCTIONS, {"internal": internal}).fetchall()}
    more = several
    while more:
        near = {
            name: [text for text in texts if any(part in text.casefold() for part in more)]
            for name, texts in macros.items()
            if name not in several
        }
        more = frozenset(name for name, texts in near.items() if any(_called(con, text) & several for text in texts))
        several |= more
    return {name: name in several for name in macros}


def _called(con: duckdb.DuckDBPyConnection, text: str) -> set[str]:
    """The functions, by folded name, that an expression calls outside of its SELECTs."""
    parts = _outside_subqueries(_tree(con, _Source(text, _LIST)))
    return {folded(str(part["function_name"])) for part in parts if "function_name" in part}


def _tree(con: duckdb.DuckDBPyConnection, source: _Source) -> dict[str, Any]:
    """The syntax tree of the one SELECT that a text is, after what stands before it."""
    sql = source.sql
    try:
        if len(sql.encode()) > _LONGEST:
            raise Refused(f"the SQL is longer than {_LONGEST:,} bytes; shorten it, or use Python")
        row = con.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True, "error_message": "nothing to parse"}
        if _deeper(tree, _DEEPEST):
            raise RecursionError
    except UnicodeEncodeError:
        raise Refused("the SQL is not valid Unicode text") from None
    except RecursionError:
        raise Refused("the SQL is nested too deeply; write it with fewer operators in a row") from None
    if tree["error"]:
        raise _why(tree, source)
    if not tree["statements"]:
        raise Refused("the SQL is empty; write a SELECT")
    if len(tree["statements"]) != 1:
        raise Refused(f"exactly one SELECT is run at a time, these are {len(tree['statements'])}; run them one by one")
    return tree


def _deeper(tree: Any, levels: int) -> bool:
    """Whether a tree has more levels than these."""
    level = [tree]
    for _ in range(levels):
        parts = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list))
        level = [each for part in parts for each in part]
    return bool(level)


def _walk(tree: Any) -> Iterator[tuple[dict[str, Any], frozenset[str]]]:
    """Every node of a tree, with the WITH names that it can see, folded."""
    waiting: list[tuple[Any, frozenset[str]]] = [(tree, frozenset())]
    while waiting:
        part, ctes = waiting.pop()
        if isinstance(part, dict):
            yield part, ctes
            waiting.extend(reversed(list(_children(part, ctes))))
        elif isinstance(part, list):
            waiting.extend((item, ctes) for item in reversed(part))


def _children(node: dict[str, Any], ctes: frozenset[str]) -> Iterator[tuple[Any, frozenset[str]]]:
    """A node's parts with the WITH names they see: a WITH entry sees those before it, and itself where it recurs."""
    for entry in (node.get("cte_map") or {}).get("map", ()):
        if not _CTE_NAME.fullmatch(entry["key"]):
            raise Refused(f"a WITH name may not be {entry['key']!r}; use a plain name")
        yield entry["value"], ctes
        ctes |= {folded(entry["key"])}
    itself = {folded(node["cte_name"])} if node.get("type") == "RECURSIVE_CTE_NODE" else set()
    for key, value in node.items():
        if key != "cte_map":
            yield value, ctes if key == "left" else ctes | itself


def _check(node: dict[str, Any], source: _Source) -> None:
    kind = node.get("type")
    if not isinstance(kind, str):
        return
    if kind.endswith("_NODE") and kind not in _NODES:
        raise Refused(f"only reading is allowed: {kind.removesuffix('_NODE').replace('_', ' ')} is not a SELECT")
    if kind == "TABLE_FUNCTION" and (name := _function(node)) not in _TABLE_FUNCTIONS:
        allowed = ", ".join(sorted(_TABLE_FUNCTIONS))
        reason = f"the table function {name or '(unnamed)'} is not allowed; allowed are {allowed}"
        raise source.refused(reason, source.span(node), name)
    if (name := str(node.get("function_name", ""))).casefold() in _BANNED:
        raise source.refused(f"the function {name} is not allowed here", source.span(node), name)
    if kind == "SHOW_REF" and node.get("show_type") not in {"DESCRIBE", "SUMMARY"}:
        raise Refused("SHOW is not available; `secondguess runs` lists what there is")


def _function(node: dict[str, Any]) -> str:
    return str((node.get("function") or {}).get("function_name", "")).casefold()


def _relation(node: dict[str, Any]) -> str:
    if node.get("catalog_name") or node.get("schema_name"):
        name = ".".join(filter(None, (node.get("catalog_name"), node.get("schema_name"), node["table_name"])))
        raise Refused(f"{name} names a schema, which the store has none of; quote a name that contains a dot")
    return str(node["table_name"])


def _why(tree: dict[str, Any], source: _Source) -> Refused:
    """What DuckDB says of a text without a tree."""
    if tree.get("error_type") == _NO_TREE:
        if re.search(r"\bpivot\b", source.sql, re.IGNORECASE):
            return Refused("PIVOT needs its values named: PIVOT … ON column IN (…)")
        return Refused("only a SELECT is run here; nothing else reads the store without changing something")
    message = " ".join(str(tree["error_message"]).split("\nLINE ")[0].split()) or "this is no SQL"
    try:
        start, length = json.loads(tree["location"])
    except (KeyError, ValueError):
        return Refused(message)
    own = start - len(source.before.encode())
    read = source.text.encode()[: max(own, 0)].decode(errors="ignore")
    before = read.split("\n")
    place = f" (line {len(before)}, column {len(before[-1]) + 1})"
    bare = next((table[1] for table in _BARE.finditer(source.text) if table.start(1) < len(read) < table.end(1)), "")
    quoted = f'; a table\'s name is quoted: "{bare}"' if bare else ""
    return source.refused(message, (own, length), more=place + quoted)


def _without_semicolons(sql: str) -> str:
    """The text up to the semicolon that ends it; those before it begins become spaces, so that nothing moves."""
    text, begun = bytearray(sql.encode()), False
    for start, kind in duckdb.tokenize(sql):
        if kind != duckdb.token_type.operator or text[start : start + 1] != b";":
            begun = begun or kind != duckdb.token_type.comment
        elif begun:
            return text[:start].decode()
        else:
            text[start] = ord(" ")
    return text.decode()
