"""`secondguess label`: labels from a file of their own, for predictions that are in the store."""

from pathlib import Path

import click

from secondguess.analysis.commands.apart import go_apart
from secondguess.analysis.schema import STORE_OPTION


@click.command(short_help="Label predictions from a file with the truth.")
@click.argument("table", metavar="TABLE")
@click.argument("labels", metavar="FILE")
@click.option("--on", metavar="COLUMN", help="The column that both have, or the file's own for the ids [default: id].")
@click.option("--truth", metavar="COLUMN", help="The file's column with the labels.")
@click.option("--replace", is_flag=True, help="Let the file's labels take the place of others.")
@click.option("--store", **STORE_OPTION)
def label(table: str, labels: str, store: Path, on: str | None, truth: str | None, replace: bool) -> None:
    """Give the rows of TABLE the labels of FILE, joined by id or by another column.

    TABLE is RUN[/TABLE][@EPOCH], all epochs where none is named; FILE whatever `secondguess import` reads, with lists
    of labels where rows have several. Labels that contradict those that are there are counted, and need --replace.
    """
    go_apart(labels)
    # A quarter of a second of Arrow, which `--help` need not wait for.
    from secondguess.analysis.importers.unseen_pandas import keep_pandas_unseen

    keep_pandas_unseen()
    import pyarrow as pa

    from secondguess.analysis.ask import refs
    from secondguess.analysis.importers import importing
    from secondguess.analysis.importers.labels import LabelsOptions
    from secondguess.analysis.store.runs import list_runs

    pa.enable_signal_handlers(False)  # Arrow would keep signals for itself while it reads
    store = store.absolute()
    chosen = refs.resolve(list_runs(store), table, "all")
    numbers = [epoch.moment for epoch in chosen.epochs]
    importing.bring_labels(store, chosen.run, chosen.table, numbers, labels, LabelsOptions(on, truth, replace))
