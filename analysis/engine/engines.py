"""The engines that run a statement, which meet at its text: DuckDB, and Spark where a person asks for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from secondguess.analysis.engine import duck
from secondguess.analysis.engine.duck import Rows
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    import pyarrow as pa

Con = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class Engine:
    """How a statement is run: for its rows, for a page and the number of all, as Arrow batches, as a relation.

    Each is given a connection of DuckDB's that may read the statement's files; the first three are what `duck.answered`
    starts.
    """

    rows: Callable[[Con, Statement], Rows]
    page: Callable[[Con, Statement], tuple[Rows, int | None]]
    batches: Callable[[Con, Statement], "pa.RecordBatchReader"]
    relation: Callable[[Con, Statement], duckdb.DuckDBPyRelation]


DUCKDB = Engine(duck.rows, duck.page, duck.batches, lambda con, statement: con.sql(statement.text))
NAMES = ("duckdb", "spark")


def opened(name: str = "duckdb", master: str | None = None) -> Engine:
    """The engine of that name, ready to run; master is where Spark's is.

    Raises BadInput for another name, or a master without Spark, and what `spark.session.opened` raises.
    """
    if name == "duckdb":
        if master is not None:
            raise BadInput(f"--master {master} is Spark's; add --engine spark, or leave it out")
        return DUCKDB
    if name != "spark":
        raise BadInput(f"there is no engine {name!r}; there are: {', '.join(NAMES)}")
    try:
        from secondguess.analysis.engine.spark import session
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name}, which --engine spark needs,", "spark") from None
    spark = session.opened(master)
    return Engine(spark.rows, spark.page, spark.batches, spark.relation)
