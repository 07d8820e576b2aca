"""The tables and the metrics in rows of W&B's history, wherever the rows come from."""

from collections.abc import Iterator, Mapping
from typing import Any

from analysis.importers.epochs import EpochClock
from analysis.importers.source import Metric

TABLES = {"table-file", "incremental-table-file", "joined-table", "partitioned-table"}
_OF_WANDB = {"_step", "_timestamp", "_runtime", "_wandb"}
_DEEPEST = 50


def tables_in(values: Mapping[str, Any], outer: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (key, value) of each table in a row; keys of nested ones are joined by dots, those in lists by position."""
    for key, value in values.items():
        parts = value
        if isinstance(value, list) and value and isinstance(value[0], dict):
            parts = {str(index): one for index, one in enumerate(value)}
        if not isinstance(parts, dict):
            continue
        if str(parts.get("_type")) in TABLES:
            yield f"{outer}{key}", parts
        elif "_type" not in parts and depth < _DEEPEST:
            yield from tables_in(parts, f"{outer}{key}.", depth + 1)


def metrics_in(step: int | None, values: Mapping[str, Any], clock: EpochClock) -> Iterator[Metric]:
    """Yield the numbers of a row as metrics, with the epoch that the row itself names; nested names get dots."""
    epoch = clock.epoch(clock.see(values))
    for name, value in _numbers(values):
        if name not in _OF_WANDB and (name != clock.key or epoch is None):
            yield step, epoch, name, value


def _numbers(values: Mapping[str, Any], outer: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, bool | int | float):
            try:
                yield f"{outer}{key}", float(value)
            except OverflowError:
                continue
        elif isinstance(value, dict) and "_type" not in value and depth < _DEEPEST:
            yield from _numbers(value, f"{outer}{key}.", depth + 1)
