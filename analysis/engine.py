"""DuckDB for what a person typed: a connection that reads the files it was given and can do nothing else."""

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from analysis.errors import Damaged, Refused, SecondguessError
from analysis.sqltext import Statement, literal

_CONFIG = {
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
}

Build = Callable[[duckdb.DuckDBPyConnection], Statement]


@contextmanager
def answered(build: Build) -> Iterator[tuple[Statement, duckdb.DuckDBPyConnection]]:
    """Run the statement that `build` makes on a connection locked down to the statement's files.

    A file that a compaction removed between listing and reading makes it start over, once, before any row is given.
    Raises SecondguessError for what DuckDB refuses.
    """
    spill = Path(tempfile.gettempdir()) / f"secondguess-{secrets.token_hex(8)}"  # made by DuckDB when it needs it
    try:
        try:
            statement, con = _run(build, spill)
        except duckdb.IOException:
            statement, con = _run(build, spill)
    except duckdb.Error as error:
        raise explained(error) from None
    try:
        yield statement, con
    except duckdb.Error as error:
        raise explained(error) from None
    finally:
        con.close()
        shutil.rmtree(spill, ignore_errors=True)


def _run(build: Build, spill: Path) -> tuple[Statement, duckdb.DuckDBPyConnection]:
    con = duckdb.connect(":memory:", config={**_CONFIG, "temp_directory": str(spill)})
    try:
        statement = build(con)
        con.execute(f"SET allowed_paths = {literal(sorted(str(path) for path in statement.files))}")
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")
        con.execute(statement.sql, statement.bound)
    except BaseException:
        con.close()
        raise
    return statement, con


def explained(error: duckdb.Error) -> SecondguessError:
    """DuckDB's error as one line, without the lines that quote the statement around the person's part."""
    lines = [line.strip() for line in str(error).split("\nLINE ")[0].splitlines()]
    message = " ".join(line for line in lines if line)
    kind = Damaged if isinstance(error, duckdb.IOException) else Refused
    return kind(message)
