"""What a person's SQL may contain: one SELECT over known relations, found out from its syntax tree.

A statement type of SELECT is not enough: DuckDB 2 runs `WITH x AS (COPY …) SELECT …`, which writes. So the tree of the
text alone, before anything is put round it, is checked against lists of what is allowed, and what is new fails.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from analysis.errors import Refused
from analysis.sqltext import Parameter

_LONGEST = 65_536  # bytes: some hundred thousand brackets cost a gigabyte
_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_TABLE_FUNCTIONS = {"range", "generate_series", "unnest", "repeat"}
_BANNED = {
    *("sleep_ms", "pg_sleep", "write_log", "current_setting", "getvariable", "getenv"),
    *("nextval", "currval", "setseed", "query", "query_table", "json_execute_serialized_sql"),
}
_CTE_NAME = re.compile(r"[^./\\:'\"*?\[\]{}\x00-\x1f]+")  # nothing that could be a path or an address


@dataclass(frozen=True)
class Inspected:
    """A text that passed: one SELECT without its final semicolon, the relations and the parameters it names."""

    text: str
    relations: tuple[str, ...]
    parameters: tuple[Parameter, ...]


def inspect(con: duckdb.DuckDBPyConnection, sql: str) -> Inspected:
    """Check a text; raises Refused with what is not allowed in it, and where it is no SQL at all."""
    if len(sql.encode()) > _LONGEST:
        raise Refused(f"the SQL is longer than {_LONGEST:,} bytes; shorten it, or use Python")
    found = con.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tree: dict[str, Any] = json.loads(found[0]) if found else {"error": True, "error_message": "nothing to parse"}
    if tree["error"]:
        raise Refused(_why(tree, sql))
    if len(tree["statements"]) != 1:
        raise Refused(f"exactly one SELECT is run at a time, these are {len(tree['statements'])}; run them one by one")
    nodes = list(_walk(tree))
    ctes = {entry["key"] for node in nodes for entry in (node.get("cte_map") or {}).get("map", ())}
    for name in ctes:
        if not _CTE_NAME.fullmatch(name):
            raise Refused(f"a WITH name may not be {name!r}; use a plain name")
    for node in nodes:
        _check(node)
    used = [_relation(node) for node in nodes if node.get("type") == "BASE_TABLE"]
    folded = {name.casefold() for name in ctes}
    relations = tuple(dict.fromkeys(name for name in used if name.casefold() not in folded))
    parameters = tuple(
        Parameter(str(node["identifier"]), node["query_location"], node["query_location_length"])
        for node in nodes
        if node.get("type") == "VALUE_PARAMETER"
    )
    return Inspected(_without_semicolon(sql), relations, parameters)


def _walk(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(reversed(found.values()))
        elif isinstance(found, list):
            waiting.extend(reversed(found))


def _check(node: dict[str, Any]) -> None:
    kind = node.get("type")
    if not isinstance(kind, str):
        return
    if kind.endswith("_NODE") and kind not in _NODES:
        raise Refused(f"only reading is allowed: {kind.removesuffix('_NODE').replace('_', ' ')} is not a SELECT")
    if kind == "TABLE_FUNCTION" and (name := _function(node)) not in _TABLE_FUNCTIONS:
        allowed = ", ".join(sorted(_TABLE_FUNCTIONS))
        raise Refused(f"the table function {name or '(unnamed)'} is not allowed; allowed are {allowed}")
    if kind == "FUNCTION" and str(node.get("function_name", "")).casefold() in _BANNED:
        raise Refused(f"the function {node['function_name']} is not allowed here")
    if kind == "SHOW_REF" and node.get("show_type") not in {"DESCRIBE", "SUMMARY"}:
        raise Refused("SHOW is not available; `secondguess runs` lists what there is")


def _function(node: dict[str, Any]) -> str:
    return str((node.get("function") or {}).get("function_name", "")).casefold()


def _relation(node: dict[str, Any]) -> str:
    if node.get("catalog_name") or node.get("schema_name"):
        name = ".".join(filter(None, (node.get("catalog_name"), node.get("schema_name"), node["table_name"])))
        raise Refused(f"{name} names a schema, which the store has none of; quote a name that contains a dot")
    return str(node["table_name"])


def _why(tree: dict[str, Any], sql: str) -> str:
    message = str(tree["error_message"]).splitlines()[0]
    if "Only SELECT" in message:
        if re.search(r"\bpivot\b", sql, re.IGNORECASE):
            return "PIVOT needs its values named: PIVOT … ON column IN (…)"
        return "only a SELECT is run here; nothing else reads the store without changing something"
    if str(tree.get("position", "")).isdigit():
        before = sql.encode()[: int(tree["position"])].decode(errors="ignore").split("\n")
        return f"{message} (line {len(before)}, column {len(before[-1]) + 1})"
    return message


def _without_semicolon(sql: str) -> str:
    text = sql.encode()
    for start, kind in duckdb.tokenize(sql):
        if kind == duckdb.token_type.operator and text[start : start + 1] == b";":
            return text[:start].decode()
    return sql
