"""DuckDB for what a person typed: a connection that reads the files it was given and can do nothing else."""

import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from secondguess.analysis import signals
from secondguess.analysis.engine import conversions
from secondguess.analysis.engine.kinds import inexact
from secondguess.analysis.engine.passages import Passage, fault_in, moved
from secondguess.analysis.engine.sqltext import literal, pattern
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import Damaged, NotReached, OutOfMemory, Refused, SecondguessError
from secondguess.analysis.objects.bucket import filesystems
from secondguess.analysis.objects.path import forget_all

if TYPE_CHECKING:
    import pyarrow as pa

_CONFIG = {
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
}

_LOOKS = 10  # each of which fails only where a run is compacted within it
# Of a file that is gone DuckDB asks whether it is a folder, which a locked connection must not know.
_OF_VALUES = ("Invalid Input Error", "Conversion Error", "Out of Range Error")
_GONE = (duckdb.IOException, duckdb.PermissionException)
_RESTORE = "; ask again, and if it stays so, restore the file from a copy"
_RAISED = re.compile(r"^(?:[\w.]+\.)?(\w*Error|StaleObject): (.+)$", re.MULTILINE)
_EXPLAIN = "EXPLAIN "
_JOINING = "1000MB"  # what a join holds in memory, so that one of any size leaves some to others; the rest is spilled
Build = Callable[[duckdb.DuckDBPyConnection], Statement]
Started = TypeVar("Started")


@dataclass(frozen=True)
class Rows:
    """An answer that is being read: the columns, their SQL types, and the rows, which can be read once."""

    columns: Sequence[str]
    types: Sequence[str]
    rows: Iterator[tuple[Any, ...]]


def _at_once(columns: int) -> int:
    return 1_000


def rows(con: duckdb.DuckDBPyConnection, statement: Statement, at_once: Callable[[int], int] = _at_once) -> Rows:
    """Start a statement and wait for its first rows, so that what is wrong with it is known before any is given.

    at_once says of how many columns how many rows are fetched together. Values that Python has no like of are text:
    `exact`.
    """
    con.execute(statement.sql, statement.bound)
    described = con.description or []
    names, types = [column[0] for column in described], [str(column[1]) for column in described]
    if inexact(types):
        from secondguess.analysis.engine.exact import exact  # few answers need it

        told = exact(statement.sql, names, [column[1] for column in described])
        if told is not None:
            con.execute(told, statement.bound)
    count = at_once(len(names))
    first = con.fetchmany(count)
    return Rows(
        columns=names,
        types=types,
        rows=chain(first, _more(con, count) if first else ()),
    )


def _more(con: duckdb.DuckDBPyConnection, count: int) -> Iterator[tuple[Any, ...]]:
    while batch := con.fetchmany(count):
        yield from batch


def page(con: duckdb.DuckDBPyConnection, statement: Statement) -> tuple[Rows, int | None]:
    """The rows of a statement and, where they may be a part of more, how many there are: a query of its own at most."""
    asked = statement.page
    if asked is None or (asked.limit is None and not asked.offset):
        return rows(con, statement), None
    result = rows(con, statement)
    rows_read = list(result.rows)
    return replace(result, rows=iter(rows_read)), total(con, statement, len(rows_read))


def total(con: duckdb.DuckDBPyConnection, statement: Statement, count: int, *, more: bool = False) -> int | None:
    """How many rows there are of which so many were read; more says that further ones were not.

    None where all were asked for. Counting is a query of its own where it needs one.
    """
    asked = statement.page
    if asked is None or (asked.limit is None and not asked.offset):
        return None
    if not more and (asked.limit is None or count < asked.limit) and (count or not asked.offset):
        return asked.offset + count
    with _explaining(statement.in_total):
        counted = con.execute(statement.total, statement.bound).fetchone()
    return int(counted[0]) if counted else 0


def batches(con: duckdb.DuckDBPyConnection, statement: Statement, at_once: int = 100_000) -> "pa.RecordBatchReader":
    """Start a statement, to be read as Arrow batches of so many rows."""
    return con.sql(statement.sql, params=statement.bound).to_arrow_reader(at_once)


def bind(con: duckdb.DuckDBPyConnection, statement: Statement) -> None:
    """Find out what is wrong with a statement without running it."""
    with _explaining(moved(statement.in_sql, len(_EXPLAIN))):
        con.execute(_EXPLAIN + statement.sql, statement.bound)


@contextmanager
def _explaining(passages: Sequence[Passage]) -> Iterator[None]:
    """Explain what DuckDB refuses of SQL with these passages; a file that is gone is left to who starts over."""
    try:
        yield
    except _GONE:
        raise
    except duckdb.Error as error:
        raise explained(error, passages) from None


@contextmanager
def answered(
    build: Build,
    start: Callable[[duckdb.DuckDBPyConnection, Statement], Started],
    memory: str | None = None,
    con: duckdb.DuckDBPyConnection | None = None,
) -> Iterator[tuple[Statement, Started]]:
    """Start the statement that `build` makes, on a connection locked down to the statement's files.

    memory, such as 2GB, is the most it may take, and then nothing is spilled to disk. con is a `fresh` connection to
    use, which is not closed here.

    A file that a compaction removed between listing and reading makes it start over, before any row is given. Raises
    SecondguessError for what DuckDB refuses.
    """
    spill = None if memory else spill_folder()
    ready = [] if con is None else [con]
    opened: list[duckdb.DuckDBPyConnection] = []
    passages: list[Passage] = []

    def attempt() -> tuple[Statement, Started]:
        passages.clear()
        if ready:
            own = ready.pop()
        else:
            own = fresh(memory, spill)
            opened.append(own)
        statement = locked(own, build, memory)
        passages.extend(statement.in_sql)
        return statement, start(own, statement)

    def clear() -> None:
        if spill is not None:
            shutil.rmtree(spill, ignore_errors=True)

    try:
        with signals.undone(clear):
            yield starting_over(attempt)
    except duckdb.Error as error:
        raise explained(error, passages) from None
    finally:
        for own in opened:
            own.close()
        clear()


def spill_folder() -> Path:
    """A new folder for what does not fit into memory, for its owner's eyes only: DuckDB would let others look."""
    spill = Path(tempfile.gettempdir()) / f"secondguess-{secrets.token_hex(8)}"
    os.mkdir(spill, 0o700)
    return spill


def starting_over(attempt: Callable[[], Started]) -> Started:
    """What the attempt returns; made anew where it met a file that is gone, which a compaction may have removed."""
    for _ in range(_LOOKS - 1):
        try:
            return attempt()
        except duckdb.Error as error:
            if not isinstance(error, _GONE) and not _is_gone(_fault_of_bucket(_message(error))):
                raise
        forget_all()  # of a bucket it is known what was there
    return attempt()


def fresh(memory: str | None = None, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A new connection that takes so much memory and spills into that folder, before it is locked."""
    limits = {"memory_limit": memory or _JOINING, "temp_directory": str(spill or "")}
    con = duckdb.connect(":memory:", config={**_CONFIG, **limits})
    con.execute("SET enable_progress_bar = false")  # it is drawn on stdout, between the rows
    con.execute("SET errors_as_json = true")  # they say where, whatever their words
    return con


def register(con: duckdb.DuckDBPyConnection) -> None:
    """Let a connection read from the buckets that this process has opened."""
    known = con.list_filesystems()
    for files in filesystems():
        if files.protocol not in known:
            con.register_filesystem(files)


def memory_of(con: duckdb.DuckDBPyConnection) -> int:
    """The bytes that a connection may take, as DuckDB understood them."""
    number, unit = con.execute("SELECT current_setting('memory_limit')").fetchall()[0][0].split()
    return int(float(number) * 1024 ** ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB").index(unit))


def locked(con: duckdb.DuckDBPyConnection, build: Build, memory: str | None = None) -> Statement:
    """Let a fresh connection read the files of the statement `build` makes, and write only where it spills.

    DuckDB grants writing with reading, but no statement of one SELECT round a person's text can ask for it.
    """
    register(con)
    statement = build(con)
    if memory is None and not statement.reports:
        con.execute("RESET memory_limit")
    if len(con.extract_statements(statement.sql)) != 1:
        raise Refused("exactly one SELECT is run at a time")
    # The name of a file is checked as it is written in SQL, and again as it is opened.
    allowed = {name for path in statement.files for name in (str(path), pattern(path))}
    con.execute(f"SET allowed_paths = {literal(sorted(allowed))}")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return statement


def _is_a_readers(error: duckdb.Error, message: str) -> bool:
    """Whether an error without a place is Parquet's reader's: of a type of its own, and no value's that a row has."""
    return type(error) is duckdb.Error and not message.startswith(_OF_VALUES)


def _message(error: duckdb.Error) -> str:
    """What an error says, whose rest says where."""
    kind, _, rest = str(error).partition("{")
    try:
        return kind + str(json.loads("{" + rest)["exception_message"])
    except (ValueError, KeyError):  # of a connection that was opened elsewhere; the statement is quoted below it
        return str(error).split("\nLINE ")[0]


def _fault_of_bucket(message: str) -> tuple[str, str]:
    """The kind and the text of what a bucket's files raised, which DuckDB says as a traceback; else nothing."""
    raised = _RAISED.findall(message) if "Traceback (most recent call last)" in message else []
    return raised[-1] if raised else ("", "")


def _is_gone(fault: tuple[str, str]) -> bool:
    """Whether an object is not there any more, or another one by now."""
    return fault[0] in {"FileNotFoundError", "StaleObject"}


def explained(error: duckdb.Error, passages: Sequence[Passage] = ()) -> SecondguessError:
    """DuckDB's error as one line, and where it is in a person's text, of which the SQL that ran had these passages."""
    message = _message(error)
    if (fault := _fault_of_bucket(message))[0]:
        return Damaged(fault[1] + _RESTORE) if _is_gone(fault) else NotReached(fault[1])
    try:
        told = json.loads("{" + str(error).partition("{")[2])
    except ValueError:
        told = {}
    message = " ".join(message.split())
    if isinstance(error, duckdb.OutOfMemoryException):
        return OutOfMemory(message)
    if isinstance(error, _GONE):
        return Damaged(message + _RESTORE)
    if "location" not in told and (" file " in message or _is_a_readers(error, message)):
        return Damaged(f"{message}; a file is damaged: restore it, or leave it out by name with --verify")
    if "location" not in told:
        return Refused(conversions.said(message, (), 0, 0))
    start, length = json.loads(told["location"])
    message = conversions.said(message, passages, start, length)
    return Refused(message, fault=fault_in(passages, message, start, length, str(told.get("name", ""))))
