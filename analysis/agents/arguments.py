"""What each tool takes, as the protocol tells an agent: types, bounds, and what an argument means."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from secondguess.analysis.schema import DEFAULT_TABLE, LEVEL

NO_PREDICTIONS = frozenset({"runs", "examples", "metrics"})
"""The relations that SQL may name beside those of predictions."""
MOST_ROWS = 1_000
_USUAL_ROWS = 50
_LONGEST = 100_000  # characters of a text
_MOST = 100  # texts of a list


def _listed(value: Any) -> Any:
    """A list, also where an agent gave its only text, or the list spelled as JSON."""
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            pass
    return [value]


def _mapped(value: Any) -> Any:
    """A mapping, also where an agent spelled it as JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


Text = Annotated[str, Field(max_length=_LONGEST)]
TableName = Annotated[Text, Field(min_length=1)]
Texts = Annotated[list[Text], BeforeValidator(_listed), Field(max_length=_MOST)]
Named = Annotated[dict[str, Text], BeforeValidator(_mapped), Field(max_length=_MOST)]
Option = str | int | float | bool | None
_REFERENCE = "as RUN[/TABLE][@EPOCH], such as cnn@5; EPOCH is a number, last, best (fewest errors) or all"


class Arguments(BaseModel):
    """Nothing but what is named: an argument that is spelled wrong is no argument."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class Paged(Arguments):
    """An answer of rows, of which some are given."""

    limit: int = Field(_USUAL_ROWS, ge=1, le=MOST_ROWS, description="How many rows are given at most.")
    offset: int = Field(0, ge=0, lt=2**53, description="How many rows are left out before the first.")
    show_sql: bool = Field(False, description="Whether to give the complete SQL too, which runs in any DuckDB.")


class Runs(Paged):
    """Of the runs."""

    run: Text | None = Field(None, description="One run, to have its whole config, counts per epoch and origin.")


class Tables(Paged):
    """Of the tables."""

    run: Text | None = Field(None, description="The run whose tables are listed; left out, all are.")


class Schema(Arguments):
    """Of columns."""

    table: TableName = Field(
        DEFAULT_TABLE,
        description=f"A table {_REFERENCE}; or {DEFAULT_TABLE} and the like (all runs), examples, runs, metrics.",
    )


class Ask(Paged):
    """A question of tables."""

    question: Text | None = Field(None, description="Its name; left out, the questions are listed with their options.")
    tables: Texts = Field([], description=f"Tables {_REFERENCE}.")
    options: Annotated[dict[str, Option], BeforeValidator(_mapped)] = Field(
        {}, max_length=_MOST, description='The question\'s own options by name, such as {"bins": 10}.'
    )
    where: Texts = Field([], description="SQL conditions over the answer's columns; rows for which all are true stay.")
    sort: Texts = Field([], description="SQL expressions over the answer's columns; with - before one, largest first.")


class View(Arguments):
    """A table view, as W&B's table panel has it."""

    tables: Texts = Field([], description=f"Tables {_REFERENCE} [last]; several are stacked, or joined by join.")
    where: Texts = Field([], description="SQL conditions; rows for which all are true stay: wrong, truth = 4.")
    group: Texts = Field([], description="Columns to group by.")
    aggregate: Named = Field(
        {}, description='A group\'s columns by SQL, beside n, its rows: {"sure": "avg(confidence)"}.'
    )
    add: Named = Field({}, description='Columns of a row by SQL: {"margin": "confidence - truth_score"}.')
    sort: Texts = Field([], description="Expressions over the columns shown; with - before one, largest first.")
    columns: Texts = Field([], description="The columns shown; left out, the usual ones without images.")
    join: Literal["inner", "outer"] | None = Field(
        None, description="Put tables side by side by id: columns end in _a, _b, …"
    )
    key: Texts = Field([], description="The column that is joined on [id].")


class Table(View, Paged):
    """A table view, a page of it."""

    saved: Text | None = Field(None, description="A saved view to begin with; the other arguments change it.")


class Save(View):
    """A table view to keep."""

    name: Text = Field(description="What the view is saved as; a name that is taken is refused.")


class Sql(Paged):
    """A SELECT."""

    query: Text = Field(
        description='One SELECT in DuckDB\'s SQL. FROM takes "cnn@5" (quoted), "cnn" (at all its epochs together), '
        f"{DEFAULT_TABLE} (all runs and epochs), examples, runs, metrics. wrong, truth_rank, other_score, brier_score, "
        "scores are columns where named."
    )


class Compare(Arguments):
    """Two tables."""

    a: Text = Field(description=f"The first table {_REFERENCE}.")
    b: Text = Field(description="The second table.")
    by: Text | None = Field(None, description="A column: what became of the examples by it.")
    level: float = Field(LEVEL, gt=0, lt=1, description="How sure intervals and verdict are.")


class Example(Arguments):
    """One example."""

    id: Text = Field(description="The example's id, as in the column id of any answer.")
    table: TableName = Field(DEFAULT_TABLE, description=f"Whose rows about it: a table's name, or one {_REFERENCE}.")
    image: bool = Field(True, description="Whether to give its image.")
