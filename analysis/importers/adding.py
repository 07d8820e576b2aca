"""What is added to a run that is in the store: which run that is, and how what comes fits what is there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from secondguess.analysis.errors import AlreadyThere, BadInput, listing
from secondguess.analysis.importers.rows import Layout
from secondguess.analysis.importers.source import SourceRun
from secondguess.analysis.store.additions import check_ended
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import Run, list_runs


@dataclass(frozen=True)
class Asked:
    """The run, the table and the epoch that a person names, and whether what is there is replaced."""

    run: str | None
    table: str | None
    epoch: int | None
    overwrite: bool


def added_to(store: Path, source: SourceRun, asked: Asked) -> Run | None:
    """The run that an epoch or table which is asked for is added to; None where there is none, or it is replaced.

    Raises AlreadyThere where the whole run would be replaced by one epoch of it, or it has not ended.
    """
    if (asked.epoch is None and asked.table is None) or not store.is_dir():
        return None
    runs = list_runs(store)
    name = asked.run
    if name is None:
        if not is_run(source.origin):
            return None
        name = next((run.name for run in runs.values() if is_same(run.about.get("source") or {}, source.origin)), "")
    if name not in runs:
        return None
    old = runs[name]
    if not asked.overwrite:
        check_ended(old)
        return old
    others = {number for epochs in old.tables.values() for number in epochs} - {asked.epoch}
    if asked.epoch is not None and others:
        raise AlreadyThere(
            f"run {name!r} has the epochs {listing(sorted(others))} besides, which --overwrite with --epoch "
            f"{asked.epoch} would drop; add an epoch without --overwrite, or replace the whole run by --overwrite "
            "without --epoch"
        )
    return None


def like(how: Layout, last: Epoch) -> Layout:
    """The layout with labels of the type that the table's epochs have; raises BadInput where these are no such."""
    kinds = {kind for name, kind in last.columns if name in {"guess", "truth"}} - {"null"}
    if not kinds or {str(how.label)} == kinds or how.roles.guess == how.roles.truth:
        return how
    if kinds == {"double"} and pa.types.is_integer(how.label):
        return replace(how, label=pa.float64())
    raise BadInput(
        f"guess and truth are {how.label} here, but {listing(sorted(kinds))} in {last.name}; name the classes with "
        "--classes 'NAME,NAME,…', or the columns with --guess and --truth, so that they are alike"
    )


def unlike(old: Run, table: str, here: Sequence[str], how: Layout) -> Iterator[str]:
    """How the columns and classes of what is added differ from those of the table's last epoch.

    Raises BadInput where one is judged by a column and the other is not.
    """
    if not (epochs := old.tables.get(table)):
        return
    last = epochs[max(epochs)]
    before = [name for name, _ in last.columns]
    for names, where in (
        ([name for name in here if name not in before], "not in the epochs before"),
        ([name for name in before if name not in here], "in the epochs before only"),
    ):
        if names:
            yield f"{table}: {where}: {listing(names, 6)}"
    if how.verdict != last.right:
        raise BadInput(
            f"{last.name} is judged by {last.right or 'guess against truth'}, so what is added must be too; "
            f"{f'name --right {last.right}' if last.right else 'leave --right out'}"
        )
    now, then = (listing(names or ("numbers",), 6) for names in (how.classes.names, last.classes))
    if now != then:
        yield f"{table}: the classes are {now}, before they were {then}"


def is_same(origin: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two imports came from one place: the same W&B run, offline or not, or the same file."""
    if is_run(origin) and is_run(other):
        return bool(other.get("id")) and origin.get("id") == other["id"]
    return bool(origin) and _place(origin) == _place(other)


def _place(origin: Mapping[str, Any]) -> dict[str, Any]:
    """What an origin says but for when it began, which an import by an earlier version does not have."""
    return {name: value for name, value in origin.items() if name != "started"}


def is_run(origin: Mapping[str, Any]) -> bool:
    """Whether it is a whole run of W&B's, not one artifact of it."""
    return str(origin.get("kind", "")).startswith("wandb")
