"""A Hugging Face data set in a folder: published, with a card and files by split, or saved with `save_to_disk`.

Weighed against `datasets` itself, 60 MB with what it needs: what it writes are Arrow's streams and Parquet, whose types
and class names stand in JSON beside or in them.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from secondguess.analysis.errors import BadInput, Damaged, NotFound, listing
from secondguess.analysis.importers.files.predictions import FileOptions, beside, read_files
from secondguess.analysis.importers.files.unpacked import by_number, format_by_name, unpacked
from secondguess.analysis.importers.hugging_face import exported, with_features
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.source import SourceRun, SourceTable, TableRows
from secondguess.analysis.opening import read_regular
from secondguess.analysis.schema import DEFAULT_TABLE, is_score

_DICT, _INFO, _STATE, _CARD = "dataset_dict.json", "dataset_info.json", "state.json", "README.md"
_LONGEST = 64 << 20  # bytes of JSON or of a card
_SHARD = re.compile(r"(.+?)-\d{5}-of-\d{5}\.")
# Words in the names of files and folders, and the splits that `datasets` takes them for.
_SPLITS = dict.fromkeys(("train", "training"), "train")
_SPLITS |= dict.fromkeys(("test", "testing", "eval", "evaluation"), "test")
_SPLITS |= dict.fromkeys(("validation", "valid", "val", "dev"), "validation")
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(r"^configs:[ \t]*\r?\n((?:[ \t-].*(?:\r?\n|\Z)|[ \t]*\r?\n)*)", re.MULTILINE)
_PAIR = re.compile(r"(config_name|data_files|data_dir|split|path):(?:[ \t]+(.*))?$")


@dataclass
class _Split:
    """Some rows of a data set: what they are called, None where nothing says so, and their files."""

    name: str | None
    files: list[Path]
    features: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _Reading:
    """How a data set is read: its folder, a place for what is packed, the epoch that is told, options of files."""

    folder: Path
    place: Path
    epoch: int | None
    options: FileOptions


@dataclass
class _Config:
    """One of the subsets of a card, None where it has no name, with the patterns of each split's files.

    folder is where they lie; a subset without patterns has the files that are there, by their names.
    """

    name: str | None
    splits: list[tuple[str | None, list[str]]]
    folder: str = ""


def is_data_set(folder: Path) -> bool:
    """Whether a folder is a data set: it says so, in a card or in JSON, or has the files of splits in `data`."""
    if (folder / _DICT).is_file() or ((folder / _STATE).is_file() and (folder / _INFO).is_file()):
        return True
    front = _front(folder)
    if re.search(r"^(configs|dataset_info):", front, re.MULTILINE):
        return bool(_configs(front)) or bool(_by_name(folder))
    inside = folder / "data"
    return inside.is_dir() and any(_SHARD.match(path.name) for path in inside.iterdir())


def has_splits(folder: Path) -> bool:
    """Whether a folder that does not say that it is a data set has the files of splits, and no others.

    So are train.csv beside test.csv, and test/metadata.csv; files of one split are a table like any other.
    """
    splits = _by_name(folder)
    there = {path for split in splits for path in split.files}
    own = {path for path in folder.iterdir() if path.is_file() and format_by_name(path.name) is not None}
    clear = all(split.name and len({format_by_name(path.name) for path in split.files}) == 1 for split in splits)
    return clear and own <= there and len(splits) > (1 if own else 0)


def data_set_runs(
    folder: Path, place: Path, epoch: int | None = None, options: FileOptions | None = None
) -> list[SourceRun]:
    """The data set as a run, a table for each split; of a card with several subsets a run each.

    A single split without a name of its own is the usual table. What is packed is put into place, which must stay until
    the runs are imported; options are of files that are text. Raises NotFound for files that are said and not there,
    Damaged, BadInput.
    """
    how = _Reading(folder, place, epoch, options or FileOptions())
    if (folder / _DICT).is_file():
        names = _texts(_read(folder / _DICT).get("splits"), folder / _DICT)
        return [_of_saved(how, [_saved(folder / name, name) for name in names])]
    if (folder / _STATE).is_file():
        return [_of_saved(how, [_saved(folder, None)])]
    configs = _configs(_front(folder))
    if not configs:
        return [_run(how, folder.resolve().name, _by_name(folder))]
    runs = []
    for config in configs:
        splits = _of_config(folder, config)
        name = folder.resolve().name if len(configs) == 1 else f"{folder.resolve().name}-{config.name}"
        runs.append(_run(how, name, splits))
    return runs


def _of_saved(how: _Reading, splits: Sequence[_Split]) -> SourceRun:
    """The run of what was saved; splits without rows are left out, which is said."""
    some = [split for split in splits if split.files]
    if not some:
        raise BadInput(f"{how.folder} has no rows, so there is nothing to import")
    empty = listing([split.name for split in splits if not split.files])
    run = _run(how, how.folder.resolve().name, some)
    return replace(run, notes=(f"left out, since it has no rows: {empty}",)) if empty else run


def _of_config(folder: Path, config: _Config) -> list[_Split]:
    """The splits of a subset; raises BadInput for files that are not in the folder, NotFound where there are none."""
    if any(patterns for _, patterns in config.splits):
        return [
            _Split(name, _matching(folder, [str(Path(config.folder, pattern)) for pattern in patterns]))
            for name, patterns in config.splits
        ]
    _checked_inside(folder, config.folder)
    splits = _by_name(folder / config.folder)
    if not splits:
        raise NotFound(f"{folder} has no files of the subset {config.name}, in {folder / config.folder}")
    return splits


def _run(how: _Reading, name: str, splits: Sequence[_Split]) -> SourceRun:
    ours = _ours(splits)
    tables = []
    for split in splits:
        key = split.name or DEFAULT_TABLE
        read = partial(_rows, split, ours, how)
        told = how.epoch or _number(ours.get("epoch"))
        step = _number(ours.get("step"), 0) if how.epoch is None else None
        key = str(ours["table"]) if isinstance(ours.get("table"), str) and len(splits) == 1 else key
        tables.append(
            SourceTable(key, told, step, read, {"split": split.name}, (), step is not None, beside(split.files))
        )
    config = ours.get("config")
    started = {"started": ours["started"]} if isinstance(ours.get("started"), str) else {}
    kind = format_by_name(splits[0].files[0].name) or "parquet"
    called = {"name": name} if name != how.folder.name else {}
    return SourceRun(
        str(ours.get("run") or name),
        {"kind": kind, "place": str(how.folder.absolute()), **called, **started},
        config=config if isinstance(config, Mapping) else {},
        tables=tables,
    )


def _number(value: object, least: int = 1) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else None


def _ours(splits: Sequence[_Split]) -> Mapping[str, Any]:
    """What the files of an export say of themselves; nothing of any other."""
    with suppress(OSError, pa.ArrowException, IndexError):
        first = splits[0].files[0]
        if first.suffix == ".parquet" and len(splits) == 1:
            return exported(pq.read_schema(first).metadata)
    return {}


def _rows(split: _Split, ours: Mapping[str, Any], how: _Reading) -> TableRows:
    files, folder = [], how.folder
    for path in split.files:
        name = str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name
        files.append(replace(unpacked(str(path), how.place), name=f"{folder.name}/{name}"))
    rows = read_files(files, how.place, how.options)
    if split.features is not None:
        rows = with_features(rows, split.features)
    if not ours:
        return rows
    right = ours.get("right")
    names = rows.schema.names
    has_scores = any(map(is_score, names))
    meant = Given(
        right=right if isinstance(right, str) and right in names else None,
        confidence="confidence" if "confidence" in names and not has_scores else None,
    )
    content = "content" if "content" in names else None
    return replace(_without(rows, "confidence") if has_scores else rows, meant=meant, content=content)


def _without(rows: TableRows, column: str) -> TableRows:
    """The rows without a column that follows from others."""
    names = [name for name in rows.schema.names if name != column]

    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        return rows.batches([name for name in names if columns is None or name in columns])

    schema = pa.schema([rows.schema.field(name) for name in names], rows.schema.metadata)
    return replace(rows, schema=schema, batches=batches)


def _saved(folder: Path, name: str | None) -> _Split:
    """A folder of `Dataset.save_to_disk`: Arrow's streams, and what the columns are in dataset_info.json."""
    state, info = _read(folder / _STATE), _read(folder / _INFO)
    said = state.get("_data_files")
    named = [one.get("filename") for one in said if isinstance(one, dict)] if isinstance(said, list) else None
    files = [folder / one for one in _texts(named, folder / _STATE)] if said != [] else []
    if gone := [path.name for path in files if not path.is_file()]:
        raise NotFound(f"{folder} is a data set whose files are not all there; missing: {listing(gone)}")
    features = info.get("features")
    return _Split(name, files, features if isinstance(features, Mapping) else None)


def _texts(value: Any, where: Path) -> list[str]:
    """Names of files or folders beside one of JSON; raises Damaged where they are no such."""
    plain = isinstance(value, list) and value and all(isinstance(one, str) and Path(one).name == one for one in value)
    if not plain:
        raise Damaged(f"{where} names no files of a data set; save it again with save_to_disk")
    return [str(one) for one in value]


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_regular(path, _LONGEST, links=True))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise Damaged(f"{path} is not what `datasets` writes")
    return value


def _front(folder: Path) -> str:
    """The lines of YAML that a card begins with."""
    try:
        text = read_regular(folder / _CARD, _LONGEST, links=True).decode("utf-8-sig")
    except (NotFound, BadInput, OSError, UnicodeDecodeError):
        return ""
    match = _FRONT.match(text)
    return match[1] if match is not None else ""


def _configs(front: str) -> list[_Config]:
    """The subsets that a card names, with the splits of each; none where it names no files."""
    block = _BLOCK.search(front)
    configs: list[_Config] = []
    margin = -1
    for line in block[1].splitlines() if block is not None else ():
        text = line.strip()
        dash = len(line) - len(line.lstrip()) if text.startswith("-") else None
        margin = dash if margin < 0 and dash is not None else margin
        if dash == margin:
            configs.append(_Config(None, []))
        if configs:
            _take(configs[-1], text)
    some = any(config.folder or any(patterns for _, patterns in config.splits) for config in configs)
    return configs if some else []


def _take(config: _Config, text: str) -> None:
    """A line of a subset: its name, a split, a path, or one more pattern of those before."""
    item = text.startswith("- ")
    text = re.sub(r"^(- +)+", "", text)
    pair = _PAIR.match(text)
    splits = config.splits
    if pair is None:
        if item:
            splits.extend([(None, [])] if not splits else [])
            splits[-1][1].extend(_values(text))
        return
    key, values = pair[1], _values(pair[2] or "")
    if key == "config_name":
        config.name = values[0] if values else None
    elif key == "data_dir":
        config.folder = values[0] if values else ""
    elif key == "split" and (item or not splits):
        splits.append((values[0] if values else None, []))
    elif key == "split":
        splits[-1] = (values[0] if values else None, splits[-1][1])
    elif key == "path" and (item or not splits):
        splits.append((None, values))
    elif key == "path":
        splits[-1][1].extend(values)
    elif values:
        splits.append((None, values))


def _values(text: str) -> list[str]:
    """The texts of a scalar or of a list in brackets."""
    text = text.strip()
    if text.startswith("["):
        return [one for part in text.strip("[]").split(",") for one in _values(part)]
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        with suppress(ValueError):
            return [str(json.loads(text))]
    text = text.strip("'") if text.startswith("'") else text.split(" #")[0].strip()
    return [text] if text else []


def _matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of a split; raises BadInput for a pattern that leads out, NotFound where no file is there."""
    files: list[Path] = []
    for pattern in patterns:
        _checked_inside(folder, pattern)
        found = [path for path in folder.glob(pattern) if path.is_file() and format_by_name(path.name) is not None]
        files += sorted(found, key=lambda path: by_number(str(path)))
    if not files:
        raise NotFound(f"{folder} has no files {listing(patterns, 4)}, which its card names")
    return list(dict.fromkeys(files))


def _checked_inside(folder: Path, pattern: str) -> None:
    if "://" in pattern or ":/" in pattern or pattern.startswith("/") or ".." in Path(pattern).parts:
        raise BadInput(f"the card of {folder} has the files {pattern!r}, which are not in the folder; bring them there")


def _by_name(folder: Path) -> list[_Split]:
    """The splits as the names of files or of their folders say them; one without a name where they say none.

    `data/test-00000-of-00002.parquet` is of the split test, and so are `test.csv` and `data/test/1.parquet`.
    """
    inside = folder / "data" if (folder / "data").is_dir() else folder
    paths = [path for pattern in ("*", "*/*") for path in inside.glob(pattern) if path.is_file()]
    hidden = [path for path in paths if any(part.startswith((".", "_")) for part in path.relative_to(inside).parts)]
    files = [path for path in paths if path not in hidden and format_by_name(path.name) is not None]
    splits: dict[str | None, list[Path]] = {}
    for path in sorted(files, key=lambda path: by_number(str(path))):
        splits.setdefault(_split_named(path, inside), []).append(path)
    return [_Split(name, some) for name, some in splits.items()]


def _split_named(path: Path, inside: Path) -> str | None:
    if (match := _SHARD.match(path.name)) is not None:
        return match[1]
    words = [*re.split(r"[^a-z]+", path.name.lower()), *(part.lower() for part in path.relative_to(inside).parts[:-1])]
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)
