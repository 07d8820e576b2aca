"""What a page of a view shows from the examples files: looked up for its few rows, after they are found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import duckdb

from secondguess.analysis.ask import scope
from secondguess.analysis.ask.scope import PLACE, Relation
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import folded
from secondguess.analysis.tables.rows import ViewRows

RELATION = "examples shown"
_FIRST = 3  # images that a group shows
_PLACE = ("examples file", "example")
_PAGE, _ALL = identifier("rows shown"), identifier(RELATION)
_NAMES = ("image", "content", "digest")


@dataclass(frozen=True)
class PictureColumns:
    """The columns that the examples of a view's rows have, by name: the examples' column, and the SQL of file and id.

    In a join they are suffixed as all columns are; without a suffix they are what all sides show. taken are the names
    that the rows' own columns have.
    """

    relations: Mapping[str, Relation]
    columns: Mapping[str, tuple[str, tuple[str, str]]]
    taken: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        con: duckdb.DuckDBPyConnection,
        rows: ViewRows,
        own: Iterable[str],
        asked: Sequence[str] | None,
        *,
        always: bool = False,
    ) -> Self:
        """The pictures of a view, if any of the columns asked for may be one; always, where none are asked for.

        own are the columns of its rows. Raises BadInput where ids are repeated, so that it is not known whose a picture
        is; where nobody asked there are none then.
        """
        own = set(own)
        wanted = always if asked is None else any(name not in own and folded(name).startswith(_NAMES) for name in asked)
        if not wanted or not rows.examples:
            return cls({}, {}, frozenset(own))
        if repeated := [epoch for epoch in rows.epochs if not epoch.unique and epoch.examples is not None]:
            if asked is None:
                return cls({}, {}, frozenset(own))
            name = repeated[0].name
            raise BadInput(f"{name} has repeated or missing ids, so it is not known which row has which image")
        relation = scope.examples(rows.epochs, place=True, spare=True)
        con.execute(f"DESCRIBE {relation.sql}")
        named = {str(row[0]) for row in con.fetchall()}
        columns = {
            f"{name}{suffix}": (name, place)
            for name in _NAMES
            if name in named
            for suffix, place in rows.examples.items()
            if f"{name}{suffix}" not in own
        }
        return cls({RELATION: relation}, columns, frozenset(own))

    def places(self, names: Sequence[str]) -> list[str]:
        """The items that a page must select besides its own columns, so that the named ones can be looked up."""
        return [
            f"{sql} AS {identifier(self._free(f'{what} {number}'))}"
            for number, place in enumerate(self._places(names))
            for sql, what in zip(place, _PLACE, strict=True)
        ]

    def beside(self, page: str, names: Sequence[str]) -> str:
        """The page's rows, in their order, with the named columns, its own and looked up ones.

        First the places of its examples are found, which reads ids alone; then, of few pages of the files, the images.
        """
        row = identifier(self._free("row in page"))
        places = self._places(names)
        items = []
        lookups = [f"{_PAGE} AS MATERIALIZED (\nSELECT *, row_number() OVER () AS {row}\nFROM (\n{page}\n)\n)"]
        for name in names:
            column, place = self.columns.get(name, (name, None))
            table = f"seen_{places.index(place)}" if place is not None else "page"
            items.append(f"{table}.{identifier(column)} AS {identifier(name)}")
        for number, place in enumerate(places):
            pairs = [self.columns[name] for name in names if name in self.columns]
            lookups += self._lookup(number, row, list(dict.fromkeys(column for column, at in pairs if at == place)))
        seen = "\n".join(f"LEFT JOIN {identifier(f'seen {n}')} seen_{n} USING ({row})" for n in range(len(places)))
        shown = f"SELECT {', '.join(items)}\nFROM {_PAGE} page\n{seen}\nORDER BY page.{row}"
        relations = ",\n".join(lookups)
        return f"WITH {relations}\n{shown}"

    def _lookup(self, number: int, row: str, names: Sequence[str]) -> list[str]:
        """The relations that find the places of a page's examples, and what is held there."""
        file, example = (f"page.{identifier(self._free(f'{what} {number}'))}" for what in _PLACE)
        places, seen = identifier(f"places {number}"), identifier(f"seen {number}")
        at = f"all_of.examples = {file} AND all_of.id = {example}"
        lookup = f"SELECT page.{row}, all_of.examples, all_of.{PLACE}\nFROM {_PAGE} page JOIN {_ALL} all_of ON {at}"
        there = f"all_of.examples = places.examples AND all_of.{PLACE} = places.{PLACE}"
        columns = ", ".join(f"all_of.{identifier(name)}" for name in names)
        shown = f"SELECT places.{row}, {columns}\nFROM {places} places JOIN {_ALL} all_of ON {there}"
        return [f"{places} AS MATERIALIZED (\n{lookup}\n)", f"{seen} AS (\n{shown}\n)"]

    def first(self, name: str) -> tuple[str, str]:
        """What a group gathers and shows of a column that is looked up: that of its first rows, by file and id."""
        column, (file, example) = self.columns[name]
        gathered = f"min({{'file': {file}, 'id': {example}}}, {_FIRST})"
        on = "seen.examples = place.row.file AND seen.id = place.row.id"
        places = f"unnest(page.{identifier(name)}) place(row)"
        select = f"SELECT list(seen.{identifier(column)} ORDER BY seen.examples, seen.id)"
        return gathered, f"({select} FROM {places} JOIN {identifier(RELATION)} seen ON {on})"

    def _free(self, name: str) -> str:
        """The name, or one like it that no column has."""
        while any(folded(name) == folded(other) for other in self.taken):
            name += "'"
        return name

    def _places(self, names: Sequence[str]) -> list[tuple[str, str]]:
        return list(dict.fromkeys(self.columns[name][1] for name in names if name in self.columns))
