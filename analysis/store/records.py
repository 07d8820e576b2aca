"""Commit records: the only thing that says which files count, and for which epochs.

Weighed against Delta Lake, whose log does the same for many writers: after a compaction its old files stay, so that a
plain glob would read each row twice.
"""

import errno
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import BadInput, Damaged, NotFound
from secondguess.analysis.moments import LAST_STEP, Moment
from secondguess.analysis.objects.path import ObjectPath
from secondguess.analysis.opening import read_regular
from secondguess.analysis.schema import (
    FORMAT_VERSION,
    NEWEST_FORMAT,
    STEPS_FORMAT,
    Task,
    is_score,
    task_of,
    whole_name,
)
from secondguess.analysis.store.seal import is_whole
from secondguess.analysis.store.verified import StoredFile, leads_out

_LONGEST = 64 << 20  # bytes; a record of 10,000 merged epochs has 3 MB
# One half of a character outside the 16-bit plane, as JSON can spell it: alone it is no text, and nothing can show it.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

# What a record says of each epoch, and its type.
_ENTRY: dict[str, Any] = {
    "epoch": int,
    "rows": int,
    "errors": int | None,
    "unlabelled": int,
    "nan_scores": int,
    "ids": str,
    "unique": bool,
    "examples": str | None,
}
# Where its records lie: another folder than the usual where it replaced a run that cannot be moved.
_COMMITS = re.compile(r"commits|\.commits-[0-9a-f]{12}")
# What it may say besides.
_SETS = ("id_set", "id_truth_set")
# What run.json may say of a run, and its type.
_ABOUT: dict[str, Any] = {
    "name": str,
    "origin": str,
    "created": str,
    "config": dict,
    "classes": list | None,
    "provenance": dict | None,
    "source": dict | None,
    "commits": str | None,
}


@dataclass(frozen=True)
class Epoch:
    """One committed validation of one table: of an epoch, or of a step within it.

    rows, errors and unlabelled count rows; errors is None for a table without truth. ids is the sha256 of the ordered
    ids, unique whether they are all there and all different. id_set and id_truth_set are alike for tables with the same
    ids, and the same truth for each, in any order; None where the record does not say, or truths are of an odd type.
    columns are (name, Arrow type) in file order; classes are the names behind score_0, score_1, …, or None for plain
    integers. rows_file and examples_file are absolute; in_file are the moments that the file holds. recorded_as is the
    run's name inside the file: another one once its folder is renamed. has_steps says that the column `step` of the
    file is the step of the validation, NULL for that at the end of an epoch, and no column of the user's. right is the
    column of booleans that says which rows are right, where it is not guess against truth that does.
    """

    run: str
    recorded_as: str
    table: str
    epoch: int
    rows: int
    errors: int | None
    unlabelled: int
    nan_scores: int
    ids: str
    unique: bool
    id_set: str | None
    id_truth_set: str | None
    columns: tuple[tuple[str, str], ...]
    classes: tuple[str, ...] | None
    rows_file: StoredFile
    in_file: tuple[Moment, ...]
    examples_file: StoredFile | None
    right: str | None = None
    step: int | None = None
    has_steps: bool = False

    @property
    def file(self) -> Path:
        """Where the rows lie."""
        return self.rows_file.path

    @property
    def examples(self) -> Path | None:
        """Where the examples lie that the rows are about."""
        return self.examples_file.path if self.examples_file is not None else None

    @property
    def moment(self) -> Moment:
        """When its rows were predicted."""
        return Moment(self.epoch, self.step)

    @property
    def name(self) -> str:
        """RUN/TABLE@EPOCH."""
        return whole_name(self.run, self.table, self.moment)

    @property
    def task(self) -> Task:
        """What its guesses and truths are: a class, lists of labels, or numbers, of which none is an error."""
        return _task(self.columns)

    @property
    def labelled(self) -> int:
        """The number of rows that are right or wrong."""
        return self.rows - self.unlabelled

    @property
    def error_rate(self) -> float | None:
        """Errors as a share of the labelled rows, 0 to 1; None where there are none, or no truth."""
        return self.errors / self.labelled if self.errors is not None and self.labelled else None

    @property
    def lacks(self) -> str | None:
        """Which of guess and truth it has not, so that nothing in it is right or wrong; None where errors are counted.

        A truth that no row has is none; numbers are no classes.
        """
        if self.errors is not None:
            return None
        there = {name for name, _ in self.columns}
        missing = " and ".join(role for role in ("guess", "truth") if role not in there)
        return missing or ("classes" if self.task == "regression" else "truth")

    @property
    def score_classes(self) -> tuple[str, ...]:
        """The classes behind score_0, score_1, …; their numbers where they have no names."""
        known = self.classes if self.scores else ()
        return known if known is not None else tuple(str(index) for index in range(self.scores))

    @property
    def scores(self) -> int:
        """The number of score columns."""
        return sum(is_score(name) for name, _ in self.columns)


def _task(columns: Iterable[Sequence[str]]) -> Task:
    """The task of a table with these columns, (name, Arrow type)."""
    return task_of(kind for name, kind in columns if name in {"guess", "truth"})


def read(path: Path) -> dict[str, Any]:
    """A record's content; raises Damaged where it is not whole or newer than this version can read."""
    try:
        text = read_regular(path, _LONGEST, links=True)
        record = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(record, ensure_ascii=False).encode()
    except NotFound:
        raise FileNotFoundError(errno.ENOENT, "no such record", str(path)) from None
    except UnicodeEncodeError:
        raise Damaged(f"record {path} holds what is no Unicode text; restore it from a copy or delete it") from None
    except (BadInput, ValueError, RecursionError) as error:
        raise Damaged(f"record {path} cannot be read ({error}); restore it from a copy or delete it") from None
    if not isinstance(record, dict) or not isinstance(version := record.get("format"), int):
        raise Damaged(f"record {path} is not one of secondguess; restore it from a copy or delete it")
    if version > NEWEST_FORMAT:
        raise Damaged(f"{path} has format {version}, this secondguess reads up to {NEWEST_FORMAT}: upgrade it")
    if is_whole(record) is False:
        raise Damaged(
            f"record {path} is not as it was written (its sha256 differs): it is damaged, or was edited; restore it "
            "from a copy, or take its sha256 out to have it read as it is"
        )
    return record


def read_about(path: Path) -> dict[str, Any]:
    """What run.json says; raises Damaged where it cannot be what a run begins with."""
    record = read(path)
    try:
        datetime.fromisoformat(record.get("created", "1970-01-01"))
        typed = all(isinstance(record[key], kind) for key, kind in _ABOUT.items() if key in record)
        whole = typed and all(isinstance(name, str) for name in record.get("classes") or ())
        whole = whole and _COMMITS.fullmatch(record.get("commits") or "commits") is not None
    except (TypeError, ValueError):
        whole = False
    if not whole:
        raise Damaged(f"record {path} is not what a run begins with; restore it from a copy")
    return record


def read_end(path: Path) -> dict[str, Any]:
    """What end.json says; raises Damaged where it cannot be what a run ends with."""
    record = read(path)
    metrics, tables = record.get("metrics"), record.get("tables", {})
    inside = metrics is None or (isinstance(metrics, dict) and _is_inside(str(metrics.get("name", "/"))))
    typed = isinstance(record.get("status", ""), str) and isinstance(tables, dict)
    if not inside or not typed or not all(map(_are_numbers, tables.values())):
        raise Damaged(f"record {path} is not what a run ends with; restore it from a copy or delete it")
    return record


def _are_numbers(epochs: Any) -> bool:
    return isinstance(epochs, list) and all(
        isinstance(epoch, int) or (isinstance(epoch, str) and Moment.parse(epoch) is not None) for epoch in epochs
    )


def format_of(moments: Iterable[Moment]) -> int:
    """The format of a record of these moments: versions that know no steps refuse one that has some."""
    return FORMAT_VERSION if all(moment.step is None for moment in moments) else STEPS_FORMAT


def table_records(store: Path, folder: Path) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """The (file name, content) of each live record in a table's commits folder, by first epoch, and what is wrong.

    A record that another supersedes is not live; one that cannot be read is left out and said.
    """
    commits, faults = all_records(store, folder)
    superseded = {name for record in commits.values() for name in record.get("supersedes", ())}
    live = [(name, record) for name, record in commits.items() if name not in superseded]
    return sorted(live, key=lambda item: Moment.of(item[1]["epochs"][0])), faults


def all_records(store: Path, folder: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Every record in a table's commits folder by its file's name, superseded ones too, and what is wrong."""
    while True:
        commits: dict[str, dict[str, Any]] = {}
        faults: list[str] = []
        try:
            paths = _listed(folder)
        except FileNotFoundError:
            return {}, []
        try:
            for path, is_link in paths:
                try:
                    if is_link:
                        check_link(store, path)
                    commits[path.name] = _commit(path)
                except Damaged as fault:
                    faults.append(str(fault))
        except FileNotFoundError:
            continue  # a compaction removed a record between listing and reading: list again
        return commits, faults


def _listed(folder: Path) -> list[tuple[Path, bool]]:
    """The records in a folder, and whether each is a link."""
    if isinstance(folder, ObjectPath):
        return [(path, False) for path in folder.glob("*.json")]
    with os.scandir(folder) as entries:
        return [(Path(entry.path), entry.is_symlink()) for entry in entries if entry.name.endswith(".json")]


def check_link(store: Path, path: Path) -> None:
    """Raise Damaged where a link leads out of the store: what lies there is not read."""
    if leads_out(store, path):
        raise Damaged(f"{path} is a link that leads out of the store, and is not read; put a copy in its place")


def _commit(path: Path) -> dict[str, Any]:
    """The content of a record of epochs; raises Damaged where it does not say what a record of its name says."""
    try:
        record = read(path)
    except FileNotFoundError:
        if path.is_symlink():
            raise Damaged(f"record {path} is a link to nothing; restore it from a copy or delete it") from None
        raise
    try:
        whole = path.stem == _name_of(record) and _is_typed(record) and all(map(_is_inside, _files_of(record)))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        whole = False
    if not whole:
        raise Damaged(f"record {path} is not what a commit of that name says; restore it from a copy or delete it")
    return record


def span(epochs: Iterable[Mapping[str, Any]]) -> str:
    """What a record and its file are called for their moments: the first and the last, or the one."""
    moments = [Moment.of(entry) for entry in epochs]
    return "-".join(dict.fromkeys((min(moments).stem, max(moments).stem)))


def named(folder: Path, record: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The path for a record that supersedes others, and its content: a further revision where they have its name."""
    stem = span(record["epochs"])
    names = (path.name.removesuffix(".json").partition(".") for path in folder.glob(f"{stem}*.json"))
    taken = [int(revision or 1) for epochs, _, revision in names if epochs == stem and (revision or "1").isdecimal()]
    if not taken:
        return folder / f"{stem}.json", record
    revision = max(taken) + 1
    return folder / f"{stem}.{revision}.json", {**record, "revision": revision}


def _name_of(record: dict[str, Any]) -> str:
    """What a record's file is called, without `.json`."""
    revision = record.get("revision")
    return span(record["epochs"]) if revision is None else f"{span(record['epochs'])}.{revision:d}"


def _is_typed(record: dict[str, Any]) -> bool:
    entries, columns, classes = record["epochs"], record["columns"], record["classes"]
    moments = [Moment.of(entry) for entry in entries]
    texts = [
        *(classes or ()),
        *record.get("supersedes", ()),
        *(text for name, kind in columns for text in (name, kind)),
    ]
    return (
        all(isinstance(entry[key], kind) for entry in entries for key, kind in _ENTRY.items())
        and isinstance(classes, list | None)
        and (record.get("right") is None or [record["right"], "bool"] in [list(column) for column in columns])
        and all(isinstance(entry.get(key), str | None) for entry in entries for key in _SETS)
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(entry.get("step"), int | None) for entry in entries)
        and all(0 <= (entry.get("step") or 0) <= LAST_STEP for entry in entries)
        and len({"step" in entry for entry in entries}) == 1
        and moments == sorted(set(moments))
        and all(map(_is_said, (record["file"], record["metrics"] or {}, *record.get("examples", {}).values())))
    )


def _is_said(file: Mapping[str, Any]) -> bool:
    """Whether what is said of a file, if anything, is a digest and a number of bytes."""
    return isinstance(file.get("sha256", ""), str) and isinstance(file.get("bytes", 0), int)


def stored_file(folder: Path, said: Mapping[str, Any]) -> StoredFile:
    """A run's file of which a record says this."""
    return StoredFile(folder.parent, folder / said["name"], said.get("sha256"), said.get("bytes"))


def _examples_file(store: Path, name: str, record: Mapping[str, Any]) -> StoredFile:
    """The file of a record's examples; older records say nothing but its name."""
    said = record.get("examples", {}).get(name, {})
    return StoredFile(store, store / "examples" / name, said.get("sha256"), said.get("bytes"))


def _files_of(record: dict[str, Any]) -> list[str]:
    seen = dict.fromkeys(entry["examples"] for entry in record["epochs"] if entry["examples"])
    named = [record["file"]["name"], *seen]
    return [*named, record["metrics"]["name"]] if record["metrics"] else named


def _is_inside(name: str) -> bool:
    """Whether a record may name the file: one in the store. A run that somebody sent may say anything."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def epochs_of(store: Path, folder: Path, names: tuple[str, str], table: str, record: dict[str, Any]) -> list[Epoch]:
    """The epochs that a record of a run's folder commits; names are the run's, now and when it was recorded."""
    moments = tuple(Moment.of(entry) for entry in record["epochs"])
    counted = record.get("right") is not None or _task(record["columns"]) != "regression"
    rows_file = stored_file(folder, record["file"])
    shown = {entry["examples"] for entry in record["epochs"] if entry["examples"]}
    examples = {name: _examples_file(store, name, record) for name in shown}
    columns = tuple((name, kind) for name, kind in record["columns"])
    classes = tuple(record["classes"]) if record["classes"] is not None else None
    return [
        Epoch(
            run=names[0],
            recorded_as=names[1],
            table=table,
            epoch=entry["epoch"],
            rows=entry["rows"],
            errors=entry["errors"] if counted else None,
            unlabelled=entry["unlabelled"],
            nan_scores=entry["nan_scores"],
            ids=entry["ids"],
            unique=entry["unique"],
            id_set=entry.get("id_set"),
            id_truth_set=entry.get("id_truth_set"),
            columns=columns,
            classes=classes,
            rows_file=rows_file,
            in_file=moments,
            examples_file=examples.get(entry["examples"]),
            right=record.get("right"),
            step=entry.get("step"),
            has_steps="step" in entry,
        )
        for entry in record["epochs"]
    ]
