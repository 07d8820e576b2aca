"""The file of one epoch, written as its rows come."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from analysis.store import parquet
from analysis.store.commits import EpochRows
from analysis.store.files import Part
from analysis.store.tally import Tally, all_differ


def write_epoch(
    epoch: EpochRows, about: Mapping[str, Any], incoming: Path, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write an epoch's rows into a new file of the folder; returns what a record says of them, and of the file.

    about goes into the footer besides. No more is held than one row group, and 8 bytes of each row.
    """
    schema, stem, tally = parquet.widened(epoch.rows.schema), f"epoch-{epoch.epoch:05d}", Tally()
    with Part(incoming) as part:
        with parquet.open_writer(part, schema) as file:
            for group in parquet.grouped(epoch.batches, schema):
                tally.add(group)
                file.write_table(group)
            repeated = tally.repeated()
            said = tally.entry(epoch.epoch, epoch.examples(), unique=tally.has_all_ids and not repeated.size)
            file.add_key_value_metadata(parquet.footer({**about, "epochs": [said]}))
        ids = partial(parquet.row_groups, part.path, ["id"])
        if not (tally.has_all_ids and repeated.size and all_differ(ids, repeated)):
            return said, parquet.publish(part, folder, stem, said["rows"])
        # Different ids with one hash: that can be seen only in the file, whose footer says by then that ids repeat.
        said["unique"] = True
        with Part(incoming) as again:
            with parquet.open_writer(again, schema) as file:
                for group in parquet.row_groups(part.path):
                    file.write_table(group)
                file.add_key_value_metadata(parquet.footer({**about, "epochs": [said]}))
            return said, parquet.publish(again, folder, stem, said["rows"])
