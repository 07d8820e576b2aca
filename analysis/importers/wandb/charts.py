"""The tables that W&B's own charts were drawn from (`wandb.plot`), which nobody logged as tables of predictions."""

from collections.abc import Iterator, Mapping
from typing import Any


def chart_tables(config: Mapping[str, Any]) -> frozenset[str]:
    """The keys of the tables behind a run's charts, as its config tells: _wandb.visualize.CHART has each chart's query.

    The chart `pr` is drawn from the table `pr_table`; a table that was logged under a key of its own is none of these.
    """
    ours = config.get("_wandb")
    told = ours.get("value", ours) if isinstance(ours, Mapping) else None
    charts = told.get("visualize") if isinstance(told, Mapping) else None
    if not isinstance(charts, Mapping):
        return frozenset()
    return frozenset(key for name, chart in _leaves(charts) for key in _tables(chart) if key in _made(name))


def _leaves(charts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The charts by their keys: one called `val.pr` may be nested."""
    for name, chart in charts.items():
        if isinstance(chart, Mapping) and "panel_config" in chart:
            yield f"{above}{name}", chart
        elif isinstance(chart, Mapping):
            yield from _leaves(chart, f"{above}{name}.")


def _made(name: str) -> set[str]:
    """What W&B calls the table of a chart."""
    return {f"{name}_table", f"Custom Chart Tables/{name}_table"}


def _tables(value: Any) -> Iterator[str]:
    """The tables that a chart's query names, wherever it stands in there."""
    if isinstance(value, Mapping):
        if value.get("name") == "tableKey" and isinstance(value.get("value"), str):
            yield value["value"]
        for inner in value.values():
            yield from _tables(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _tables(inner)
