"""Charts whose marks are lines: errors by epoch, and the metrics of runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import altair as alt

from secondguess.analysis.answers.answer import TableAt
from secondguess.analysis.answers.marks import (
    Link,
    coloured,
    lines_of,
    linked,
    owns,
    plain,
    shaped,
    text_of,
    title_of,
)
from secondguess.analysis.answers.sides import INK, LOOKS
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import WRONG, at_epoch
from secondguess.analysis.tables.view import TableView

_DOTS = 40  # of a line


@dataclass(frozen=True)
class Naming:
    """Which lines of many are named besides the best one, and where a line leads that is not: to its being chosen."""

    chosen: frozenset[str] = frozenset()
    choose: Callable[[str], str] | None = None


UNNAMED = Naming()


def metric(rows: Sequence[Mapping[str, Any]], names: Sequence[str], axis: str) -> Any:
    """One metric as a line per run, with a band from the least to the most where points stand for several values.

    Each row has run, x, value, least and most; names are the runs in the order of their looks, axis what x counts.
    """
    place = {name: owns(number) for number, name in enumerate(names)}
    values = ("x", "value", "least", "most")
    data = [{"run": text_of(row["run"]), "own": place[row["run"]], **{key: row[key] for key in values}} for row in rows]
    shown = [text_of(name) for name in names]
    ticks = alt.Axis(format=",d", values=whole_ticks([row["x"] for row in rows]))
    across = {"x": alt.X("x:Q", title=title_of(axis), axis=ticks, scale=alt.Scale(nice=False))}
    value = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4, grid=True))
    few = len(names) <= len(LOOKS)
    points = few and len(rows) <= 25 * len(names)
    layers = lines_of(shown, {"y": value, **across}, points=points, legend=False)
    if few and any(row["least"] != row["most"] for row in rows):
        between = {"y": alt.Y("least:Q", title=None), "y2": alt.Y2("most:Q"), "color": coloured(shown, legend=False)}
        layers.insert(0, alt.Chart().mark_area(opacity=0.18).encode(**between, **across))
    return plain(alt.layer(*layers, data=alt.InlineData(values=data)).properties(width=500, height=150))


def whole_ticks(values: Sequence[int], most: int = 6) -> list[int]:
    """At most so many whole numbers for an axis from the least to the greatest of these, evenly apart, none twice."""
    low, high = min(values), max(values)
    apart = next(step for step in _steps() if high // step - -(-low // step) < most)
    return list(range(-(-low // apart) * apart, high + 1, apart)) or [low]


def _steps() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, …."""
    return (digit * 10**power for power in count() for digit in (1, 2, 5))


def by_epoch(
    records: Sequence[Mapping[str, Any]],
    tables: Sequence[TableAt],
    order: Sequence[TableAt],
    link: Link | None = None,
    naming: Naming = UNNAMED,
) -> Any:
    """Errors by epoch, a line per run; of more runs than have looks the best and the chosen ones are named.

    tables says of which table each record is; order is that of the tables asked about. With n, records stand for so
    many validations each.
    """
    there = dict.fromkeys(record["run"] for record in records)
    runs = list(dict.fromkeys(name for name in (*(run for run, _ in order), *there) if name in there))
    names = list(dict.fromkeys(map(text_of, runs)))
    place = {run: owns(number) for number, run in enumerate(runs)}
    steps = any(moment.step is not None for _, moment in tables)
    across = _across(tables)
    data = [
        {"run": text_of(record["run"]), "epoch": record["epoch"], "errors": record["errors"]}
        | ({"across": across[table], "at": str(table[1])} if steps else {})
        | ({"own": place[record["run"]]} if len(names) > len(LOOKS) else {})
        for record, table in zip(records, tables, strict=True)
    ]
    axis = alt.Axis(values=_few(sorted({record["epoch"] for record in records})), format="d")
    encoding = {
        "x": alt.X("across:Q", title="epoch", axis=axis) if steps else alt.X("epoch:Q", axis=axis),
        "y": alt.Y("errors:Q", scale=alt.Scale(zero=True)),
    }
    if len(names) > len(LOOKS):
        return _many(runs, data, encoding, naming)
    layers = lines_of(names, encoding, points=False, legend=True)
    # More points than that would cover the lines, and take longer to draw than all else.
    if len(records) <= _DOTS * len(names) and all(record.get("n", 1) == 1 for record in records):
        views = dict(zip(map(id, records), tables, strict=True))
        is_linked = linked(
            data, records, link, lambda record: TableView((at_epoch(*views[id(record)]),), where=(WRONG,))
        )
        said = alt.Tooltip("at:N", title="epoch:step") if steps else "epoch:Q"
        dots = {"tooltip": ["run:N", said, "errors:Q"], **({"href": alt.Href("href:N")} if is_linked else {})}
        dots |= {"color": coloured(names, legend=True), "shape": shaped(names, legend=True)}
        layers.append(alt.Chart().mark_point(filled=True, size=60, opacity=1).encode(**encoding, **dots))
    return plain(alt.layer(*layers, data=alt.InlineData(values=data)).properties(width=520, height=180))


def _few(epochs: Sequence[int]) -> list[int]:
    """So many epochs as have room for their numbers: of many round ones."""
    return list(epochs) if len(epochs) <= 12 else whole_ticks(epochs, 12)


def _across(tables: Sequence[TableAt]) -> dict[TableAt, float]:
    """Where a validation stands on the axis of epochs: the last of each at its number, those before evenly up to it."""
    by_epoch: dict[tuple[str, int], list[Moment]] = {}
    for run, moment in sorted(dict.fromkeys(tables), key=lambda table: table[1]):
        by_epoch.setdefault((run, moment.epoch), []).append(moment)
    return {
        (run, moment): epoch - 1 + place / len(moments)
        for (run, epoch), moments in by_epoch.items()
        for place, moment in enumerate(moments, start=1)
    }


def _many(runs: Sequence[str], data: Sequence[dict[str, Any]], encoding: Mapping[str, Any], naming: Naming) -> Any:
    """Lines of more runs than have looks: grey beyond those, each leading to its being named."""
    names = list(dict.fromkeys(map(text_of, runs)))
    known = [mark for mark in data if mark["errors"] is not None]
    told = {text_of(run) for run in naming.chosen if run in set(runs)}
    told |= {min(known, key=lambda mark: mark["errors"])["run"]} if known else set()
    where = {text_of(run): naming.choose(run) for run in runs} if naming.choose is not None else {}
    for mark in data:
        mark["told"] = int(mark["run"] in told)
        mark |= {"href": where[mark["run"]]} if where else {}
    leading = {"href": alt.Href("href:N")} if where else {}
    layers = lines_of(names, {**encoding, **leading}, points=False, legend=True)
    strong = alt.Chart().transform_filter(alt.FieldEqualPredicate(field="told", equal=1))
    named = {"detail": "run:N", "description": alt.Description("run:N")}
    layers.append(strong.mark_line(strokeWidth=2.5, color=INK).encode(**named, **encoding))
    ends = {mark["run"]: mark for mark in known if mark["told"]}
    labels = alt.Chart(
        alt.InlineData(values=_one_above_another([{**mark, "name": name} for name, mark in ends.items()]))
    )
    beside = {**encoding, "y": alt.Y("at:Q", title="errors"), "text": "name:N"}
    layers.append(
        labels.mark_text(align="right", dx=-4, dy=-7, fontSize=11, fontWeight="bold", color=INK).encode(**beside)
    )
    return plain(alt.layer(*layers, data=alt.InlineData(values=data)).properties(width=520, height=220))


def _one_above_another(ends: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The names at the ends of lines, each at least a line of text above the one before."""
    apart = max((end["errors"] for end in ends), default=0) / 16
    placed: list[dict[str, Any]] = []
    for end in sorted(ends, key=lambda end: end["errors"]):
        placed.append({**end, "at": max(end["errors"], placed[-1]["at"] + apart) if placed else end["errors"]})
    return placed
