"""One foreign table being looked at: its columns, what all their values are, and what was decided about them so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from secondguess.analysis.importers import shapes
from secondguess.analysis.importers.classes import Classes
from secondguess.analysis.importers.commands import Commands
from secondguess.analysis.importers.facts import Facts
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.shapes import Column
from secondguess.analysis.importers.source import TableRows
from secondguess.analysis.importers.words import Recognised


@dataclass
class Looked:
    """A table's versions, what a person said, and what is decided: `made` columns, `used` ones, notes, classes.

    folder is where the files lie that cells name.
    """

    versions: Sequence[TableRows]
    given: Given
    commands: Commands
    folder: Path | None
    notes: list[str] = field(default_factory=list)
    made: dict[str, Column] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    classes: Classes | None = None
    names: Recognised = field(default_factory=Recognised)
    facts: dict[str, Facts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the columns of all versions together."""
        self.fields = {one.name: one for rows in self.versions for one in rows.schema}
        self.written = any(rows.written for rows in self.versions)
        self.decimal_comma = any(rows.decimal_comma for rows in self.versions)

    def make(self, column: Column) -> None:
        """Let a column be made, in the place of its own name's if there is one."""
        self.made[column.field.name] = column

    def is_text(self, name: str) -> bool:
        """Whether the column is text because its file has nothing else."""
        return any(rows.written for rows in self.versions if name in rows.schema.names)

    def as_number(self, name: str, kind: pa.DataType) -> str:
        """The column as numbers, if it is text that spells them."""
        if self.facts[name].kind != "number":
            self.make(shapes.number(name, kind, self.decimal_comma))
        return name
