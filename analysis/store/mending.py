"""What can be done about what a check found: records made anew out of the files they named, and leftovers removed.

Nothing that is committed is touched. Each step says what it would do before anybody does it.
"""

import contextlib
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.errors import AlreadyThere
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import FORMAT_VERSION
from secondguess.analysis.store import parquet
from secondguess.analysis.store.check import Checked, Finding
from secondguess.analysis.store.commits import now, verdicts
from secondguess.analysis.store.disk import put_record, remove_folder
from secondguess.analysis.store.lock import hold
from secondguess.analysis.store.records import format_of, span
from secondguess.analysis.store.runs import ASIDE, Run, is_named_by_its_bytes, list_runs, named_by, set_aside
from secondguess.analysis.store.verified import digest_of

OLD_S = 24 * 3600  # what is left over for so long has no writer, and no reader that still begins with it


@dataclass(frozen=True)
class Step:
    """Something that can be done: in words, as `write cnn/run.json`, and the doing, which raises OSError."""

    said: str
    do: Callable[[], None]


def repairs(checked: Checked) -> Iterator[Step]:
    """How the missing records of a store can be made anew, as far as its files say what they said."""
    runs = list_runs(checked.store)
    for finding in checked.findings:
        run = runs.get(finding.run or "")
        if run is None or run.outside:
            continue
        path = checked.store / finding.path
        if finding.what == "missing" and path == run.folder / "run.json":
            about = _about(run)
            if about is not None:
                yield Step(
                    f"write {finding.path} as the footers of the run's files have it",
                    partial(_put_held, run, path, about),
                )
        elif finding.what == "unrecorded" and (made := _record_of(runs, run, path)) is not None:
            record, content = made
            where = record.relative_to(checked.store)
            yield Step(f"write {where}, which commits {finding.path}", partial(_put_held, run, record, content))


def removals(checked: Checked, now_s: float | None = None) -> Iterator[Step]:
    """How what is left over in a store can be removed, if it has been for a day and nobody writes there."""
    now_s = time.time() if now_s is None else now_s
    runs = list_runs(checked.store)
    damaged = {finding.run for finding in checked.findings if finding.is_grave}
    for finding in checked.findings:
        path = checked.store / finding.path
        if finding.what != "left over" or path.parent == checked.store / "examples":
            continue
        run = runs.get(finding.run or "")
        if _age(path, now_s) < OLD_S or (run is not None and (run.name in damaged or _too_new(run, finding, now_s))):
            continue
        if path.parent.name == ".replaced" and not _is_replaced(path, runs):
            continue
        if path.parent.name == ASIDE or set_aside(path):  # the only copy of a run, which the next writer brings back
            continue
        yield Step(f"remove {finding.path}, which {finding.said}", partial(_remove, path, run))


def _age(path: Path, now_s: float) -> float:
    """For how many seconds nothing at or in a path has changed; 0 where it cannot be seen."""
    try:
        about = path.lstat()
        times = [about.st_mtime, about.st_ctime]
        if stat.S_ISDIR(about.st_mode):
            times += [inside.lstat().st_mtime for inside in path.rglob("*") if not inside.is_dir()]
    except OSError:
        return 0.0
    return now_s - max(times)


def _too_new(run: Run, finding: Finding, now_s: float) -> bool:
    """Whether what was superseded may still be read by somebody who listed it before it was."""
    if ".incoming" in Path(finding.path).parts:
        return False
    paths = sorted(run.commits_folder.iterdir())
    return (
        min((_age(path, now_s) for folder in paths if folder.is_dir() for path in folder.iterdir()), default=0.0)
        < OLD_S
    )


def _is_replaced(folder: Path, runs: Mapping[str, Run]) -> bool:
    """Whether the run that lies in a folder has a successor with at least one epoch."""
    return any(run.name in runs and any(runs[run.name].tables.values()) for run in _as_runs(folder))


def _as_runs(folder: Path) -> list[Run]:
    run = Run(folder.parent, folder.name, folder)
    return [Run(folder.parent, str(run.about["name"]), folder)] if "name" in run.about else []


def _remove(path: Path, run: Run | None) -> None:
    with _held(run):
        if path.is_dir() and not path.is_symlink():
            remove_folder(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


@contextlib.contextmanager
def _held(run: Run | None) -> Iterator[None]:
    """Keep writers from a run; raises AlreadyThere where one is at work."""
    if run is None:
        yield
        return
    try:
        lock = hold(run.folder)
    except BlockingIOError:
        raise AlreadyThere(f"run {run.name!r} is being recorded; check it when it has ended") from None
    try:
        yield
    finally:
        lock.release()


def _put(path: Path, content: dict[str, Any]) -> None:
    with contextlib.suppress(FileExistsError):  # somebody was quicker
        put_record(path, content, path.parents[_depth(path)] / ".incoming")


def _depth(path: Path) -> int:
    """How many folders a record lies below its run's."""
    return 0 if path.name == "run.json" else 2


def _put_held(run: Run, path: Path, content: dict[str, Any]) -> None:
    with _held(run):
        _put(path, content)


def _about(run: Run) -> dict[str, Any] | None:
    """What run.json said, as a file of the run has it in its footer."""
    files = [epoch.file for table in run.tables.values() for epoch in table.values()]
    for path in dict.fromkeys([*files, *run.unnamed()]):
        about = _footer(path).get("about") if is_named_by_its_bytes(path) else None
        if isinstance(about, dict) and about.get("format") == FORMAT_VERSION and "created" in about:
            return about
    return None


def _footer(path: Path) -> dict[str, Any]:
    try:
        return parquet.said(path)
    except (OSError, pa.ArrowException):
        return {}


def _record_of(runs: Mapping[str, Run], run: Run, path: Path) -> tuple[Path, dict[str, Any]] | None:
    """The record that commits a whole file of rows, and where it belongs; None where the file does not say enough."""
    footer = _footer(path) if is_named_by_its_bytes(path) else {}
    epochs, table = footer.get("epochs"), named_by(path.parent)
    if not epochs or "classes" not in footer or footer.get("table") != table:
        return None
    moments = {Moment.of(entry) for entry in epochs}
    if not moments.isdisjoint(run.tables.get(table, {})):
        return None
    with parquet.opened(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    size = path.stat().st_size
    content = {
        "format": format_of(moments),
        "committed": now(),
        "file": {"name": f"{path.parent.name}/{path.name}", "rows": rows, "bytes": size, "sha256": digest_of(path)},
        "columns": parquet.columns(schema),
        "classes": footer["classes"],
        **verdicts(footer.get("right")),
        "epochs": epochs,
        "metrics": _metrics_of(run, {moment.epoch for moment in moments}),
        "examples": _stated(runs, {entry["examples"] for entry in epochs}),
        "repaired": True,
    }
    return run.commits_folder / path.parent.name / f"{span(epochs)}.json", content


def _stated(runs: Mapping[str, Run], names: set[str | None]) -> dict[str, Any]:
    """What other records say of examples files."""
    every = [record for run in runs.values() for live in run.commits.values() for _, record in live]
    return {name: said for record in every for name, said in record.get("examples", {}).items() if name in names}


def _metrics_of(run: Run, epochs: set[int]) -> dict[str, Any] | None:
    """The one file of metrics that no record names and that is about these epochs, if there is such a one."""
    named = set(run.metrics)
    paths = [path for path in (run.folder / "metrics").glob("metrics-*.parquet") if path not in named]
    found = [(path, _epochs_in(path)) for path in paths if digest_of(path).startswith(path.stem[-12:])]
    fitting = [path for path, about in found if about and about <= epochs]
    if len(fitting) != 1:
        return None
    rows = parquet.metadata(fitting[0]).num_rows
    size = fitting[0].stat().st_size
    return {"name": f"metrics/{fitting[0].name}", "rows": rows, "bytes": size, "sha256": digest_of(fitting[0])}


def _epochs_in(path: Path) -> set[int]:
    with parquet.opened(path) as file:
        return set(pc.unique(file.read(["epoch"])["epoch"]).drop_null().to_pylist())
