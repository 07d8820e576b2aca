"""What an import would bring, down to its odd rows: everything is read and nothing written."""

from dataclasses import replace

from analysis.content import FileDigests
from analysis.importers.foreign_rows import pictures, rows
from analysis.importers.oddities import Oddities
from analysis.importers.progress import Progress, unseen
from analysis.importers.writing import ImportedRun, Plan, image_notes
from analysis.schema import at_epoch


def surveyed(planned: Plan, progress: Progress = unseen) -> ImportedRun:
    """The run as importing would leave it; raises Damaged where a file cannot be read to its end."""
    promised = planned.promised
    known = FileDigests()
    tables = []
    for table, version in zip(promised.tables, planned.versions, strict=True):
        progress(at_epoch(table.table, table.epoch), 0)
        how = planned.layouts[table.table]
        odd, broken = Oddities(how), 0
        for batch in version.found.batches():
            seen = pictures(batch, how.roles.image, known)
            broken += seen.broken
            odd.add(batch, rows(batch, how, seen, (promised.run, table.epoch, version.source.step)))
            progress(at_epoch(table.table, table.epoch), batch.num_rows)
        media = version.found.media
        notes = (*table.notes, *odd.notes(), *image_notes(media, broken))
        tables.append(replace(table, images=media.found, missing=media.missing + media.refused, notes=notes))
    return replace(promised, tables=tuple(tables))
