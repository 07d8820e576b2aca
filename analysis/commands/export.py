"""`secondguess export`: a table for Hugging Face, or a whole run in one file."""

from pathlib import Path

import click

from secondguess.analysis.console import say
from secondguess.analysis.errors import AlreadyThere, BadInput
from secondguess.analysis.schema import STORE_OPTION


@click.command(short_help="Write a table as a Hugging Face data set, or a run as a zip file.")
@click.argument("what", metavar="RUN[/TABLE][@EPOCH]")
@click.argument("file", type=click.Path(path_type=Path), required=False, metavar="[FILE.zip]")
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
def export(what: str, file: Path | None, folder: Path | None, images: bool, overwrite: bool, store: Path) -> None:
    """Write what is recorded for other people and tools.

    RUN FILE.zip is the whole run, every epoch of its tables, its metrics, tags and note, and the examples that it saw:
    `secondguess import FILE.zip` brings it into another store. Of a run that is being recorded it is what is committed.
    """
    if (file is None) == (folder is None):
        raise BadInput("name where to, one of: FILE.zip for a whole run, --hf FOLDER for one epoch of a table")
    if file is not None:
        _whole_run(what, file, store.absolute(), images=images, overwrite=overwrite)
        return
    assert folder is not None
    if folder.resolve().is_relative_to(store.resolve()):
        raise BadInput(f"{folder} lies in the store, which only recording writes to; name a folder outside {store}")
    # Half a second of Arrow, which `--help` need not wait for.
    from secondguess.analysis.exporting import data_set

    written = data_set.write(store.absolute(), what, folder, images=images, overwrite=overwrite)
    pictures = f", {written.images:,} images" if written.images else ""
    files = "1 file" if written.files == 1 else f"{written.files:,} files"
    for note in written.notes:
        say(note, err=True)
    if written.texts:
        names = ", ".join(written.texts)
        say(f"written as JSON, since Hugging Face's datasets have no such type: {names}", err=True)
    say(f"wrote {written.table} to {folder}: {written.rows:,} rows{pictures}, {files} and README.md")


def _whole_run(name: str, file: Path, store: Path, *, images: bool, overwrite: bool) -> None:
    if "@" in name or "/" in name:
        whole = name.partition("@")[0].partition("/")[0]
        raise BadInput(
            f"{file.name} takes a whole run, not {name}: name {whole}; one epoch of a table goes to --hf FOLDER"
        )
    if not images:
        raise BadInput("--no-images is for --hf; a run has the examples that it saw")
    if file.suffix.lower() != ".zip":
        raise BadInput(f"{file} is no name for a zip file; write {file.with_suffix('.zip')}, or --hf {file}")
    if file.resolve().is_relative_to(store.resolve()):
        raise BadInput(f"{file} lies in the store, which only recording writes to; name a file outside {store}")
    from secondguess.analysis.answers.files import replaced
    from secondguess.analysis.store import archive

    if file.exists() and not overwrite:
        raise AlreadyThere(f"{file} is there already; name another file, or --overwrite it")
    with replaced(file) as part:
        packed = archive.pack(store, name, part)
    say(f"wrote {packed.told()}, to {file}")
    if packed.state == "running":
        say(f"{name} is being recorded: what it commits from now on is not in {file}", err=True)
