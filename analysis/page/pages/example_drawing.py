"""An example as its page draws it: the guesses by epoch, the truth's score as a curve, the scores of all classes."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from secondguess.analysis.answers import cells
from secondguess.analysis.answers.answer import TableAt, records, text
from secondguess.analysis.answers.sides import side
from secondguess.analysis.ask.refs import Referent
from secondguess.analysis.engine.sqltext import literal
from secondguess.analysis.moments import Moment
from secondguess.analysis.page import urls
from secondguess.analysis.page.pages.controls import few
from secondguess.analysis.schema import AT_STEP, STEP, WRONG, at_epoch, is_score, reference
from secondguess.analysis.serving.worker import Reply
from secondguess.analysis.store.runs import Run
from secondguess.analysis.tables.view import TableView

MOST_RUNS, MOST_CLASSES, MOST_TABLES = 12, 12, 6
_STANDARD = {"run", "epoch", "id", "guess", "truth", "confidence", "truth_score", "examples", WRONG, AT_STEP}
_LEFT, _RIGHT, _TOP, _BOTTOM = 28, 354, 10, 166  # pixels: the field of the curve
_LABEL = 13  # pixels between the names at the lines
_DOTS = 60  # epochs: with more, points would cover the line
_NEAR = 4  # lines: the names of more stand beside the field, where they cover none of them
_BAR = 120  # pixels of a full score


@dataclass(frozen=True)
class TableColours:
    """Which tables the person came from, and their colours: the first green, the second purple."""

    tables: tuple[TableAt, ...]

    def of_table(self, run: str, epoch: Moment) -> str:
        """The colour of a run's epoch: its table's, or else its run's."""
        place = self.tables.index((run, epoch)) if (run, epoch) in self.tables else -1
        return side(place) if place >= 0 and side(place) else self.of_run(run)

    def of_run(self, run: str) -> str:
        """The colour of a run: that of its first table in the view, none beyond the second."""
        names = list(dict.fromkeys(name for name, _ in self.tables))
        return side(names.index(run)) if run in names else ""


def sides(named: Sequence[Referent], view: TableView) -> TableColours:
    """The view's tables at the epochs that it shows, named are what they name; those that name nothing are left out."""
    tables = []
    for table in named:
        if table.selection is None:
            continue
        there = table.selection.epochs if view.at is None else table.epochs
        epochs = [entry.moment for entry in there if view.at is None or entry.moment <= view.at]
        if epochs:
            tables.append((table.ref.run, epochs[-1]))
    return TableColours(tuple(dict.fromkeys(tables)))


def picture_facts(data: bytes) -> dict[str, Any]:
    """An image's size, channels and format as its first bytes claim them; nothing where they claim nothing."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            size = {"width": image.width, "height": image.height}
            return {**size, "channels": len(image.getbands()), "format": image.format}
    except (OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return {}


def spoken(
    said: Reply,
    table: str,
    colours: TableColours,
    runs: Mapping[str, Run],
    others: Mapping[str, bool | None] | None = None,
) -> dict[str, Any]:
    """What each run said at each epoch, the view's first; of many runs or epochs some, and of how many.

    others are runs that are not shown, each with whether it was wrong in the end.
    """
    by_run: dict[str, dict[Moment, list[dict[str, Any]]]] = {}
    for row in records(said.columns, said.rows):
        by_run.setdefault(row["run"], {}).setdefault(Moment.of(row), []).append(row)
    names = list(by_run)[:MOST_RUNS]
    epochs = sorted({epoch for name in names for epoch in by_run[name]})
    shown = few(epochs, [epoch for _, epoch in colours.tables])
    truth = next((row["truth"] for row in _rows(by_run) if row["truth"] is not None), None)
    last = {name: by_epoch[max(by_epoch)][0][WRONG] for name, by_epoch in by_run.items()} | dict(others or {})
    return {
        "truth": None if truth is None else text(truth),
        "runs": [_line(name, by_run[name], shown, table, colours, runs.get(name)) for name in names],
        "more_runs": len(last) - len(names),
        "epochs": shown,
        "more_epochs": len(epochs) - len(shown),
        "said": len(last),
        "judged": sum(wrong is not None for wrong in last.values()),
        "wrong": sum(wrong is True for wrong in last.values()),
        "curve": curve({name: by_run[name] for name in names}, epochs, shown, colours),
    }


def _rows(by_run: Mapping[str, Mapping[Moment, Sequence[dict[str, Any]]]]) -> list[dict[str, Any]]:
    return [row for by_epoch in by_run.values() for rows in by_epoch.values() for row in rows]


def _line(
    name: str,
    by_epoch: Mapping[Moment, Sequence[dict[str, Any]]],
    epochs: Sequence[Moment],
    table: str,
    colours: TableColours,
    run: Run | None,
) -> dict[str, Any]:
    """One run: a cell per epoch, and the scores at its last one."""
    there = run.tables.get(table, {}) if run is not None else {}
    line_cells = []
    for epoch in epochs:
        rows = by_epoch.get(epoch, ())
        view = TableView((reference(name, table, epoch),), where=(f"id = {literal(rows[0]['id'])}",)) if rows else None
        line_cells.append(
            {
                "labels": [_label(row) for row in rows],
                "side": colours.of_table(name, epoch),
                "missing": "no row" if epoch in there else "not yet",
                "url": urls.table(view) if view else "",
            }
        )
    last = by_epoch[max(by_epoch)][0]
    return {
        "name": name,
        "side": colours.of_run(name),
        "url": urls.run(name.partition("/")[0]),
        "cells": line_cells,
        "truth_score": _three(last["truth_score"]),
        "confidence": _three(last["confidence"]),
    }


def _label(row: Mapping[str, Any]) -> cells.Label:
    if row["guess"] is None:
        return cells.Label("", None, "null")
    return cells.Label(text(row["guess"]), row[WRONG])


def _three(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def curve(
    by_run: Mapping[str, Mapping[Moment, Sequence[dict[str, Any]]]],
    epochs: Sequence[Moment],
    ticks: Sequence[Moment],
    colours: TableColours,
) -> dict[str, Any] | None:
    """The truth's score by epoch, a line per run with its name at its end; None where it is known at one epoch only."""
    field = _Across(epochs)
    lines = []
    for name, by_epoch in by_run.items():
        rows = [by_epoch[epoch][0] for epoch in sorted(by_epoch) if by_epoch[epoch][0]["truth_score"] is not None]
        points = [_point(row, field) for row in rows]
        if points:
            side = colours.of_run(name)
            dots = points if len(points) <= _DOTS else []
            end = {"x": points[-1]["x"] + 9, "y": points[-1]["y"] + 4}
            lines.append({"name": name, "side": side, "points": points, "dots": dots, **end})
    if len({point["x"] for line in lines for point in line["points"]}) < 2:
        return None
    if len(lines) > _NEAR:
        for line in lines:
            line["x"] = _RIGHT + 9
    _apart(lines)
    lines.sort(key=lambda line: bool(line["side"]))  # the coloured ones over the others
    return {"lines": lines, "ticks": [(epoch, field.x(epoch)) for epoch in ticks]}


class _Across:
    """Where moments stand across the field: epochs by their number, the validations of one evenly up to it."""

    def __init__(self, epochs: Sequence[Moment]) -> None:
        several = any(moment.step is not None for moment in epochs)
        of_epoch: dict[int, list[Moment]] = {}
        for moment in epochs:
            of_epoch.setdefault(moment.epoch, []).append(moment)
        self._places: dict[Moment, float] = {
            moment: epoch - 1 + place / len(moments) if several else epoch
            for epoch, moments in of_epoch.items()
            for place, moment in enumerate(moments, start=1)
        }
        self._first = self._places[epochs[0]]
        self._wide = (self._places[epochs[-1]] - self._first) or 1

    def x(self, moment: Moment) -> float:
        """The pixel of a moment."""
        return round(_LEFT + (self._places[moment] - self._first) / self._wide * (_RIGHT - _LEFT), 1)


def _point(row: Mapping[str, Any], field: "_Across") -> dict[str, Any]:
    score = min(1.0, max(0.0, row["truth_score"]))
    return {
        "epoch": str(Moment.of(row)),
        "x": field.x(Moment.of(row)),
        "y": round(_BOTTOM - score * (_BOTTOM - _TOP), 1),
        "wrong": row[WRONG],
        "text": f"{at_epoch(row['run'], Moment.of(row))}: {row['truth_score']:.3f}, guess {text(row['guess'])}",
    }


def _apart(lines: Sequence[dict[str, Any]]) -> None:
    """Move the names at the lines up and down until none covers another."""
    least = _TOP
    for line in sorted(lines, key=lambda line: line["y"]):
        line["y"] = least = max(line["y"], least)
        least += _LABEL
    most = _BOTTOM + 4
    for line in sorted(lines, key=lambda line: -line["y"]):
        line["y"] = round(min(line["y"], most), 1)
        most = line["y"] - _LABEL


def scores(reply: Reply, colours: TableColours) -> dict[str, Any] | None:
    """The scores of the view's tables class by class; of many classes the truth and those with the largest scores."""
    by_table = {
        (row["run"], Moment(row["epoch"], row.get(AT_STEP))): row
        for row in reversed(records(reply.columns, reply.rows))
    }
    tables = [(by_table[table], table) for table in colours.tables if table in by_table][:MOST_TABLES]
    # Classes that other runs have and these have not are no classes of the example.
    names = [name for name in reply.columns if is_score(name) and any(row[name] is not None for row, _ in tables)]
    known = [(row, table) for row, table in tables if any(row[name] is not None for name in names)]
    if not known:
        return None
    labels = {name: _class(name, reply.classes) for name in names}
    truth = next((text(row["truth"]) for row, _ in known if row["truth"] is not None), None)
    largest = {name: max((row[name] or 0 for row, _ in known), default=0) for name in names}
    order = sorted(names, key=lambda name: (labels[name] != truth, -largest[name]))
    kept = set(order[:MOST_CLASSES])
    left = [largest[name] for name in names if name not in kept]
    return {
        "tables": [{"name": at_epoch(run, epoch), "side": colours.of_table(run, epoch)} for _, (run, epoch) in known],
        "more_tables": len(colours.tables) - len(tables),
        "classes": [_class_line(name, labels[name], truth, known, colours) for name in names if name in kept],
        "left": len(left),
        "left_most": f"{max(left, default=0):.3f}",
    }


def _class(name: str, classes: Sequence[str]) -> str:
    index = int(name.removeprefix("score_"))
    return classes[index] if index < len(classes) else str(index)


def _class_line(
    name: str,
    label: str,
    truth: str | None,
    known: Sequence[tuple[dict[str, Any], TableAt]],
    colours: TableColours,
) -> dict[str, Any]:
    parts = []
    for place, (row, (run, epoch)) in enumerate(known):
        value = row[name]
        guessed = row["guess"] is not None and text(row["guess"]) == label
        parts.append(
            {
                "y": 1 + place * 8,
                "width": round(min(1.0, value) * (_BAR - 1), 1) if value is not None and value >= 0.005 else 0,
                "text": _three(value),
                "side": colours.of_table(run, epoch),
                "wrong": row[WRONG] if guessed else None,
                "guessed": guessed,
            }
        )
    return {"label": label, "truth": label == truth, "parts": parts, "high": 1 + 8 * len(known)}


def extras(reply: Reply) -> list[tuple[str, str]]:
    """What else the first row of the view's tables says of the example: the person's own columns, in their order."""
    if not reply.rows:
        return []
    row = records(reply.columns, reply.rows)[0]
    if row.get(AT_STEP) is not None:  # which the heading says
        row[STEP] = None
    return [
        (name, text(value))
        for name, value in row.items()
        if name not in _STANDARD and not is_score(name) and value is not None and not isinstance(value, dict | bytes)
    ]
