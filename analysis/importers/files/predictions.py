"""Prediction files of any kind as a run with one table."""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import BadInput
from secondguess.analysis.importers.files import columnar
from secondguess.analysis.importers.files.delimited import DELIMITERS, TextOptions, read_delimited
from secondguess.analysis.importers.files.encodings import in_utf8
from secondguess.analysis.importers.files.json_lines import read_json
from secondguess.analysis.importers.files.shards import stacked
from secondguess.analysis.importers.files.unpacked import STDIN, DataFile, named_files, stem_of, unpacked
from secondguess.analysis.importers.files.workbook import read_workbook
from secondguess.analysis.importers.source import SourceRun, SourceTable, TableRows
from secondguess.analysis.schema import DEFAULT_TABLE

_SHARD = re.compile(r"[-_. ]*(?:\d+[-_ ]of[-_ ]\d*)?[-_. ]*$")


@dataclass(frozen=True)
class FileOptions:
    """What a person says of files: format, delimiter, encoding, header, texts that stand for nothing, quotes.

    Where it is None, the file tells.
    """

    format: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = ()
    quotes: bool = True

    def of_text(self, usual: str) -> TextOptions:
        """What is said of a delimited file; raises BadInput for a delimiter that cannot be one."""
        told = self.delimiter
        if told is not None:
            told = DELIMITERS.get(told.casefold(), told.replace("\\t", "\t"))
            if len(told.encode()) != 1 or told in '"\r\n\0':
                raise BadInput(
                    f"--delimiter is {self.delimiter!r}; expected one character or one of {', '.join(DELIMITERS)}"
                )
        return TextOptions(told, self.header, self.missing, usual, self.quotes)


def prediction_run(
    sources: Sequence[str],
    folder: Path,
    epoch: int | None = None,
    options: FileOptions | None = None,
    files: Sequence[DataFile] | None = None,
) -> SourceRun:
    """The files as a run with one table, `test_predictions`, in the order of the sources, within each by name.

    What is packed, in another encoding or on standard input is put into the folder, which must stay until the run is
    imported; files are those of the sources where they are unpacked already. Raises NotFound or BadInput where a
    source is no file that can be read.
    """
    options = options or FileOptions()
    if files is None:
        files = [unpacked(name, folder, options.format) for name in named_files(sources)]
    names = [file.name for file in files]
    places = [source if source == STDIN else str(Path(source).absolute()) for source in sources]
    read = partial(read_files, files, folder, options)
    table = SourceTable(DEFAULT_TABLE, epoch, None, read, folder=beside(names))
    return SourceRun(
        _run_name(sources, names), {"kind": files[0].format, "place": os.pathsep.join(places)}, tables=[table]
    )


def beside(files: Iterable[str | Path]) -> Path:
    """The folder in which files lie, all of them: where the files that their cells name are looked for."""
    return Path(os.path.commonpath([Path(file).absolute().parent for file in files]))


def _run_name(sources: Sequence[str], names: Sequence[str]) -> str:
    """The one file's or folder's name, or what the names of several have in common."""
    if len(names) == 1:
        return stem_of(names[0])
    if len(sources) == 1 and Path(sources[0]).is_dir():
        return Path(sources[0]).resolve().name
    shared = _SHARD.sub("", _shared([stem_of(name) for name in names]))
    return shared or Path(names[0]).absolute().parent.name


def _shared(names: Sequence[str]) -> str:
    """What all names begin with."""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)


def read_files(files: Sequence[DataFile], folder: Path, options: FileOptions) -> TableRows:
    """The rows of files that are one table; what is in another encoding is put into the folder."""
    kinds = {file.format for file in files}
    if kinds <= {"json", "jsonl"}:
        texts = [in_utf8(file.path, file.name, options.encoding, folder, must_be=True)[0] for file in files]
        found = read_json([(text, file.name) for text, file in zip(texts, files, strict=True)])
    else:
        readers = [(_READERS.get(file.format) or _json, file) for file in files]
        found = stacked([file.name for file in files], [read(file, folder, options) for read, file in readers])
    return found if found.written or not options.missing else _without(found, options.missing)


def _without(contents: TableRows, missing: Sequence[str]) -> TableRows:
    """The rows with NULL for the texts that stand for nothing."""
    nothing = pa.array(missing, pa.string())

    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        for batch in contents.batches(columns):
            arrays = [
                pc.if_else(pc.is_in(column, nothing), None, column) if pa.types.is_string(column.type) else column
                for column in batch.columns
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=batch.schema)

    return replace(contents, batches=batches)


def _json(file: DataFile, folder: Path, options: FileOptions) -> TableRows:
    return read_json([(in_utf8(file.path, file.name, options.encoding, folder, must_be=True)[0], file.name)])


def _delimited(file: DataFile, folder: Path, options: FileOptions) -> TableRows:
    text = options.of_text("\t" if file.format == "tsv" else ",")
    path, encoding = in_utf8(file.path, file.name, options.encoding, folder)
    guessed = encoding is not None and options.encoding is None
    return read_delimited(path, file.name, text, [f"read as {encoding}; --encoding names another"] if guessed else [])


_READERS: dict[str, Callable[[DataFile, Path, FileOptions], TableRows]] = {
    "csv": _delimited,
    "tsv": _delimited,
    "parquet": lambda file, _, __: columnar.read_parquet(file.path, file.name),
    "arrow": lambda file, _, __: columnar.read_arrow(file.path, file.name),
    "xlsx": lambda file, _, options: read_workbook(file.path, file.name, options.header, options.missing),
}
