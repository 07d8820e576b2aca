"""What the tables of a foreign run are taken for: surveyed, and laid out as ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from secondguess.analysis.errors import BadInput, listing
from secondguess.analysis.importers.adding import like
from secondguess.analysis.importers.classes import classes_of
from secondguess.analysis.importers.commands import Commands
from secondguess.analysis.importers.held import held
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.rows import Layout, layout
from secondguess.analysis.importers.source import SourceTable, TableRows
from secondguess.analysis.importers.survey import Surveyed, survey
from secondguess.analysis.moments import Moment
from secondguess.analysis.store.runs import Run


@dataclass(frozen=True)
class Version:
    """One version of a table that is to be imported: what it is called, its epoch, its rows."""

    source: SourceTable
    table: str
    epoch: int
    contents: TableRows

    @property
    def moment(self) -> Moment:
        """Its epoch, and the step within that, if it has one."""
        return Moment(self.epoch, self.source.step if self.source.within else None)


def surveyed(versions: Sequence[Version], commands: Commands) -> tuple[list[Version], dict[str, Surveyed]]:
    """The versions with their columns as they are meant, and what was decided about each table."""
    surveys: dict[str, Surveyed] = {}
    meant: dict[int, TableRows] = {}
    every = [version.contents for version in versions]
    for table in dict.fromkeys(version.table for version in versions):
        places = [at for at, version in enumerate(versions) if version.table == table]
        contents = [versions[at].contents for at in places]
        if commands.strict and len(contents) == 1:
            contents = [held(contents[0])]
        given = _told(contents[0], commands.given, every)
        if commands.given.right not in (None, given.right):
            note = (
                f"--right {commands.given.right}: this table has no such column, so {given.right or 'nothing'} decides"
            )
            contents = [replace(rows, notes=(*rows.notes, note)) for rows in contents]
        surveys[table] = survey(contents, given, commands, versions[places[0]].source.folder)
        meant |= dict(zip(places, surveys[table].versions, strict=True))
    return [replace(version, contents=meant[at]) for at, version in enumerate(versions)], surveys


def _told(rows: TableRows, given: Given, every: Sequence[TableRows]) -> Given:
    """What a person named, over what the table's format means; a verdict that other tables have is named for those."""
    if given.right is not None and rows.meant is not None and given.right not in rows.schema.names:
        others = any(given.right in other.schema.names for other in every)
        given = replace(given, right=None) if others else given
    return given.over(rows.meant)


def layouts_of(
    versions: Sequence[Version],
    surveys: Mapping[str, Surveyed],
    given: Given,
    mirrored: Sequence[str] | None,
    old: Run | None = None,
) -> Mapping[str, Layout]:
    """The layout of each table; raises BadInput where the classes that were given are those of none.

    What is added to an old run has the classes and the type of labels that its table has.
    """
    layouts: dict[str, Layout] = {}
    every = [version.contents for version in versions]
    for table, seen in surveys.items():
        contents = [version.contents for version in versions if version.table == table]
        right = _told(contents[0], given, every).right
        epochs = old.tables.get(table, {}) if old is not None else {}
        last = epochs[max(epochs)] if epochs else None
        roles = seen.roles
        told = [roles.guess or "", *roles.scores]
        # The types often say enough: they come before the first batch is read.
        batches = (batch for rows in contents for batch in chain([rows.nothing], rows.batches(told)))
        numbered = roles.suffixes == tuple(map(str, range(len(roles.scores))))  # else they say whose scores they are
        known = last.classes if last is not None and numbered else mirrored
        classes = seen.classes if given.classes is None and last is None else None
        classes = classes or classes_of(roles, batches, given.classes, known)
        if classes.names and len(roles.scores) not in {0, len(classes.names)}:
            raise BadInput(
                f"{table}: {len(classes.names):,} classes are named ({classes.line}), but there are "
                f"{len(roles.scores):,} scores ({listing(roles.scores, 4)}); name the columns of all with --scores, or "
                "leave them with --no-scores"
            )
        layouts[table] = layout([rows.schema for rows in contents], roles, classes)
        if right is not None:
            layouts[table] = _judged(layouts[table], right)
        if last is not None:
            layouts[table] = like(layouts[table], last)
    if given.classes is not None and all(how.classes.names != given.classes for how in layouts.values()):
        scores = ", ".join(f"{table} has {len(how.roles.scores)} scores" for table, how in layouts.items())
        raise BadInput(f"--classes names {len(given.classes)} classes, but {scores}")
    return layouts


def _judged(how: Layout, right: str) -> Layout:
    """The layout with the column that says which rows are right; raises BadInput where there is no such one."""
    if right not in how.others:
        used = {how.roles.id, how.roles.guess, how.roles.truth, how.roles.image, *how.roles.scores}
        why = "it is taken for something else" if right in used else f"the table has: {listing(how.others)} besides"
        raise BadInput(f"no column {right!r} for --right: {why}")
    return replace(how, right=right)
