"""`secondguess export`: a table for Hugging Face, or a whole run in one file."""

from pathlib import Path

import click

from secondguess.analysis.console import say
from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import STORE_OPTION


@click.command(short_help="Write a table as a Hugging Face data set, or a run as a zip file.")
@click.argument("what", metavar="RUN[/TABLE][@EPOCH]")
@click.option(
    "--hf",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write one epoch of a table, the last if none is named, as a folder that `load_dataset(FOLDER)` reads.",
)
@click.option("--images/--no-images", default=True, help="Whether the rows of --hf have their images.")
@click.option("--overwrite", is_flag=True, help="Replace what an earlier export wrote there.")
@click.option("--store", **STORE_OPTION)
def export(what: str, folder: Path | None, images: bool, overwrite: bool, store: Path) -> None:
    """Write what is recorded for other people and tools."""
    if folder is None:
        raise BadInput("name where to: --hf FOLDER")
    if folder.resolve().is_relative_to(store.resolve()):
        raise BadInput(f"{folder} lies in the store, which only recording writes to; name a folder outside {store}")
    # Half a second of Arrow, which `--help` need not wait for.
    from secondguess.analysis.exporting import data_set

    written = data_set.write(store.absolute(), what, folder, images=images, overwrite=overwrite)
    pictures = f", {written.images:,} images" if written.images else ""
    files = "1 file" if written.files == 1 else f"{written.files:,} files"
    say(f"wrote {written.table} to {folder}: {written.rows:,} rows{pictures}, {files} and README.md")
