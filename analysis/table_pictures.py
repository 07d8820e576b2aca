"""What a page of a view shows from the examples files: looked up for its few rows, after they are found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import duckdb

from analysis import scope
from analysis.errors import BadInput
from analysis.scope import Relation
from analysis.sqltext import identifier
from analysis.table_rows import TableRows

RELATION = "examples shown"
_FIRST = 3  # images that a group shows
_PLACE = ("examples file", "example")
_NAMES = ("image", "content", "digest")


@dataclass(frozen=True)
class Pictures:
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
        rows: TableRows,
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
        wanted = (
            always if asked is None else any(name not in own and name.casefold().startswith(_NAMES) for name in asked)
        )
        if not wanted or not rows.examples:
            return cls({}, {}, frozenset(own))
        if repeated := [epoch for epoch in rows.epochs if not epoch.unique and epoch.examples is not None]:
            if asked is None:
                return cls({}, {}, frozenset(own))
            name = f"{repeated[0].run}/{repeated[0].table}@{repeated[0].epoch}"
            raise BadInput(f"{name} has repeated or missing ids, so it is not known which row has which image")
        relation = scope.examples(rows.epochs)
        con.execute(f"DESCRIBE {relation.sql}")
        held = {str(row[0]) for row in con.fetchall()}
        columns = {
            f"{name}{suffix}": (name, place)
            for name in _NAMES
            if name in held
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
        """The page's rows, in their order, with the named columns, its own and looked up ones."""
        row = identifier(self._free("row in page"))
        places = self._places(names)
        items = []
        for name in names:
            held, place = self.columns.get(name, (name, None))
            table = f"seen_{places.index(place)}" if place is not None else "page"
            items.append(f"{table}.{identifier(held)} AS {identifier(name)}")
        lookups = []
        for number in range(len(places)):
            file, example = (f"page.{identifier(self._free(f'{what} {number}'))}" for what in _PLACE)
            on = f"seen_{number}.examples = {file} AND seen_{number}.id = {example}"
            lookups.append(f"LEFT JOIN {identifier(RELATION)} seen_{number} ON {on}")
        numbered = f"SELECT *, row_number() OVER () AS {row}\nFROM (\n{page}\n)"
        found = "\n".join(lookups)
        return f"SELECT {', '.join(items)}\nFROM (\n{numbered}\n) page\n{found}\nORDER BY page.{row}"

    def first(self, name: str) -> tuple[str, str]:
        """What a group gathers and shows of a column that is looked up: that of its first rows, by file and id."""
        held, (file, example) = self.columns[name]
        gathered = f"min({{'file': {file}, 'id': {example}}}, {_FIRST})"
        on = "seen.examples = place.row.file AND seen.id = place.row.id"
        places = f"unnest(page.{identifier(name)}) place(row)"
        found = f"SELECT list(seen.{identifier(held)} ORDER BY seen.examples, seen.id)"
        return gathered, f"({found} FROM {places} JOIN {identifier(RELATION)} seen ON {on})"

    def _free(self, name: str) -> str:
        """The name, or one like it that no column has."""
        while any(name.casefold() == other.casefold() for other in self.taken):
            name += "'"
        return name

    def _places(self, names: Sequence[str]) -> list[tuple[str, str]]:
        return list(dict.fromkeys(self.columns[name][1] for name in names if name in self.columns))
