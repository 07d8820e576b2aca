"""A question's answer as a chart: the same in the page, in a notebook and in a file."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import altair as alt

from secondguess.analysis.answers.answer import Answer, TableAt, tables_in
from secondguess.analysis.answers.classes import ordered
from secondguess.analysis.answers.html import chart_page
from secondguess.analysis.answers.sides import OTHERS, colours
from secondguess.analysis.console import spelled_out
from secondguess.analysis.engine.sqltext import is_value
from secondguess.analysis.errors import BadInput, MissingExtra
from secondguess.analysis.moments import Moment
from secondguess.analysis.schema import WRONG, at_epoch
from secondguess.analysis.tables.view import TableView

_VEGA = "https://vega.github.io/vega-datasets/"
MOST_MARKS = 2_000
_TABLE = "\0table"  # beside a record's columns, of which none can be called so: its run and moment
NO_CHART = (
    "has no chart; confusion, data-map, errors-by-guess, errors-over-time, reliability and risk-coverage have one"
)
Link = Callable[[TableView], str]
"""From the rows behind a mark to their address."""


Where = Callable[[str], str]
"""From a condition on examples, over the columns of `dynamics`, to the address of those."""


def chart(answer: Answer, link: Link | None = None, examples: Where | None = None) -> Any:
    """The chart of an answer, None where it has none that says more than its table.

    A matrix becomes squares, what is drawn beside each other bars, a curve a line for each table, counts of errors by
    epoch lines, cells of a map squares in their place. Of the rows at most MOST_MARKS + 1 are read: an answer of more
    has no chart. With a link each mark leads to the rows behind it, with examples each cell to its examples.
    """
    columns, how = answer.columns, answer.drawn[0] if answer.drawn is not None else None
    rows = list(islice(answer.rows, MOST_MARKS + 1))
    if not rows or len(rows) > MOST_MARKS:
        return None
    if how == "cells":
        return _cells(answer, [dict(zip(columns, row, strict=True)) for row in rows], examples)
    if not {"run", "epoch"} <= set(columns):
        return None
    of_tables = zip(rows, tables_in(columns, rows, answer.order), strict=True)
    records = [{**dict(zip(columns, row, strict=True)), _TABLE: table} for row, table in of_tables]
    if how == "curve":
        return _curve(answer, records)
    if how == "matrix":
        return _matrix(answer, records, link)
    if how == "beside" and "errors" in columns:
        return _bars(answer, records, link)
    if how is None and "errors" in columns and len({record[_TABLE][1] for record in records}) > 1:
        return _lines(records, answer.order, link)
    return None


def metric(rows: Sequence[Mapping[str, Any]], names: Sequence[str], axis: str) -> Any:
    """One metric as a line per run, with a band from the least to the most where points stand for several values.

    Each row has run, x, value, least and most; names are the runs in the order of their colours, axis what x counts.
    """
    data = [{"run": _text(row["run"]), **{key: row[key] for key in ("x", "value", "least", "most")}} for row in rows]
    names = [_text(name) for name in names]
    encoding = {
        "x": alt.X(
            "x:Q",
            title=_title(axis),
            axis=alt.Axis(format=",d", tickMinStep=1, tickCount=6),
            scale=alt.Scale(nice=False),
        ),
        "color": alt.Color("run:N", scale=_scale(names), sort=names, legend=None),
    }
    value = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4, grid=True))
    few = len(rows) <= 25 * len(names)
    line = alt.Chart().mark_line(strokeWidth=1.5, point=few).encode(y=value, **encoding)
    layers = [line]
    if any(row["least"] != row["most"] for row in rows):
        between = {"y": alt.Y("least:Q", title=None), "y2": alt.Y2("most:Q")}
        layers.insert(0, alt.Chart().mark_area(opacity=0.18).encode(**between, **encoding))
    return _plain(alt.layer(*layers, data=alt.InlineData(values=data)).properties(width=500, height=150))


class _Offline:
    """What is changed of an Altair chart: drawn here it is an SVG, and as HTML a file that needs no network.

    Altair's own HTML fetches its scripts, and puts names into a script as they are.
    """

    def _repr_mimebundle_(self, *args: Any, **how: Any) -> dict[str, str]:
        return {"image/svg+xml": svg(self), "text/plain": repr(self)}

    def to_html(self, *args: Any, **how: Any) -> str:
        """The chart as HTML that needs no network; how Altair would fetch its scripts is left aside."""
        return _page(self)

    def save(self, fp: Any, format: str | None = None, *args: Any, **how: Any) -> None:
        """Write the chart to a path or an open file, in any of Altair's formats."""
        if (format or str(fp).rpartition(".")[2]).lower() != "html":
            super().save(fp, format, *args, **how)  # type: ignore[misc]
        elif hasattr(fp, "write"):
            fp.write(_page(self))
        else:
            Path(fp).write_text(_page(self), encoding="utf-8")


def offline(made: Any) -> Any:
    """The Altair chart, which needs no network wherever it is drawn."""
    kind: Any = type(made)
    object.__setattr__(made, "__class__", _offline_class(kind))  # its own would make it a property of the chart
    return made


@cache
def _offline_class(kind: Any) -> Any:
    return type(kind.__name__, (_Offline, kind), {"__module__": kind.__module__})


def svg(made: Any) -> str:
    """A chart as SVG."""
    import vl_convert

    # Without a background the page's own shows, light or dark. An address without a host is put behind one of Vega's.
    return str(vl_convert.vegalite_to_svg({**made.to_dict(), "background": None})).replace(_VEGA, "")


def write(made: Any, path: Path, suffix: str) -> None:
    """Write a chart to a file as .svg, .png (twice as fine) or .html, which needs no network; raises BadInput."""
    kind = suffix.lower().removeprefix(".")
    if kind not in {"svg", "png", "html"}:
        raise BadInput(f"a chart is written as .svg, .png or .html, not {suffix or 'without a suffix'}")
    try:
        import vl_convert
    except ImportError:
        raise MissingExtra("vl-convert, which charts need,", "view") from None
    drawing = made.to_dict()
    if kind == "png":
        path.write_bytes(vl_convert.vegalite_to_png(drawing, scale=2))
    elif kind == "svg":
        path.write_text(str(vl_convert.vegalite_to_svg(drawing)), encoding="utf-8")
    else:
        path.write_text(_page(made), encoding="utf-8")


def _page(made: Any) -> str:
    import vl_convert

    library: Any = vl_convert.javascript_bundle  # which is typed as if it had to be given a script
    return chart_page(made.to_dict(), library())


def _named(record: Mapping[str, Any]) -> str:
    return at_epoch(*record[_TABLE])


def _scale(names: Sequence[str]) -> alt.Scale:
    return alt.Scale(domain=list(names), range=colours(len(names)))


def _title(value: Any) -> str:
    """A name as a title: Vega-Lite puts it into an expression, where a backslash before a quote would end its text."""
    return _text(value).replace("\\", "\N{REVERSE SOLIDUS OPERATOR}")


def _text(value: Any) -> str:
    """A name as it is drawn: a line break ends an expression of Vega's, other control characters an SVG."""
    return "null" if value is None else spelled_out(str(value))


def _linked(
    data: Sequence[dict[str, Any]],
    records: Sequence[Mapping[str, Any]],
    link: Link | None,
    view: Callable[[Mapping[str, Any]], TableView],
) -> bool:
    """Give each mark, of a record each, its address, where there are any."""
    if link is not None:
        for mark, record in zip(data, records, strict=True):
            mark["href"] = link(view(record))
    return link is not None


def _plain(made: Any) -> Any:
    return made.configure_view(stroke=None).configure_axis(grid=False, domain=False)


def _matrix(answer: Answer, records: Sequence[Mapping[str, Any]], link: Link | None) -> Any:
    down, across, count = answer.drawn[1] if answer.drawn else ()
    labels = ordered((record[name] for record in records for name in (down, across)), answer.classes)
    data = [
        {
            "table": _text(_named(record)),
            "down": _text(record[down]),
            "across": _text(record[across]),
            "count": record[count],
            "shade": 0 if record[down] == record[across] else record[count],
        }
        for record in records
    ]
    linked = _linked(
        data,
        records,
        link,
        lambda record: TableView(
            (_named(record),), where=(is_value(down, record[down]), is_value(across, record[across]))
        ),
    )
    listed = [_text(label) for label in labels]
    # The columns may be called whatever: as the name of a field it would be read as a path with a type.
    titles = {"down": _title(down), "across": _title(across), "count": _title(count)}
    encoding = {
        "x": alt.X("across:N", title=titles["across"], sort=listed, axis=alt.Axis(labelAngle=0, orient="top")),
        "y": alt.Y("down:N", title=titles["down"], sort=listed),
        "color": alt.Color("shade:Q", scale=alt.Scale(range=["#f6f6f3", *colours(1)]), legend=None),
        "tooltip": [
            "table:N",
            *(alt.Tooltip(f"{field}:{'Q' if field == 'count' else 'N'}", title=titles[field]) for field in titles),
        ],
    }
    if linked:
        encoding["href"] = alt.Href("href:N")
    squares = alt.Chart().mark_rect().encode(**encoding)
    numbers = alt.Chart().mark_text(fontSize=10).encode(x=encoding["x"], y=encoding["y"], text="count:Q")
    layered = alt.layer(squares, numbers, data=alt.InlineData(values=data)).properties(
        width=alt.Step(26), height=alt.Step(26)
    )
    tables = [at_epoch(run, epoch) for run, epoch in answer.order]
    return _plain(layered.facet(column=alt.Column("table:N", sort=tables, title=None)))


def _bars(answer: Answer, records: Sequence[Mapping[str, Any]], link: Link | None) -> Any:
    [key] = answer.drawn[1] if answer.drawn else ()
    names = [_text(at_epoch(run, epoch)) for run, epoch in dict.fromkeys(answer.order)]
    data = [
        {"table": _text(_named(record)), "key": _text(record[key]), "errors": record["errors"]} for record in records
    ]
    linked = _linked(
        data, records, link, lambda record: TableView((_named(record),), where=(is_value(key, record[key]), WRONG))
    )
    labels = ordered((record[key] for record in records), answer.classes)
    encoding = {
        "x": alt.X("key:N", title=_title(key), sort=[_text(label) for label in labels], axis=alt.Axis(labelAngle=0)),
        "y": alt.Y("errors:Q"),
        "xOffset": alt.XOffset("table:N", sort=names),
        "color": alt.Color("table:N", scale=_scale(names), sort=names, title=None),
        "tooltip": ["table:N", alt.Tooltip("key:N", title=_title(key)), "errors:Q"],
    }
    if linked:
        encoding["href"] = alt.Href("href:N")
    return _plain(alt.Chart(alt.InlineData(values=data), width=520, height=160).mark_bar().encode(**encoding))


def _curve(answer: Answer, records: Sequence[Mapping[str, Any]]) -> Any:
    """A line for each table, with the interval of each point where there is one; a diagonal where right is equal."""
    x, y = answer.drawn[1] if answer.drawn else ("", "")
    names = [_text(at_epoch(run, epoch)) for run, epoch in dict.fromkeys(answer.order)]
    data = [
        {
            "table": _text(_named(record)),
            **{key: record.get(key) for key in ("low", "high", "n")},
            "x": record[x],
            "y": record[y],
        }
        for record in records
        if record.get("class") is None
    ]
    encoding = {
        "x": alt.X("x:Q", title=_title(x), scale=alt.Scale(domain=[0, 1])),
        "color": alt.Color("table:N", scale=_scale(names), sort=names, title=None),
    }
    calibrated = (x, y) == ("confidence", "accuracy")
    value = alt.Y("y:Q", title=_title(y), scale=alt.Scale(domain=[0, 1]) if calibrated else alt.Undefined)
    line = alt.Chart().mark_line(point=len(data) <= 30 * len(names), strokeWidth=1.5)
    layers = [line.encode(y=value, tooltip=["table:N", "x:Q", "y:Q", *(["n:Q"] if calibrated else [])], **encoding)]
    if calibrated:
        bounds = {"y": alt.Y("low:Q", title=_title(y)), "y2": alt.Y2("high:Q")}
        layers.insert(0, alt.Chart().mark_rule(opacity=0.5).encode(**bounds, **encoding))
        ends = alt.InlineData(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        diagonal = alt.Chart(ends).mark_line(color=OTHERS, strokeDash=[4, 4], strokeWidth=1)
        layers.insert(0, diagonal.encode(x=alt.X("x:Q", title=_title(x)), y=alt.Y("y:Q", title=_title(y))))
    drawn = alt.layer(*layers, data=alt.InlineData(values=data))
    return _plain(drawn.properties(width=300, height=300 if calibrated else 180))


def _cells(answer: Answer, records: Sequence[Mapping[str, Any]], examples: Where | None) -> Any:
    """A data map: cells by the variability and the mean of the truth's score, darker where more examples lie."""
    x, y, count = answer.drawn[1] if answer.drawn else ("", "", "")
    data = []
    for record in records:
        left, right, low, high = record[x], record[f"to_{x}"], record[y], record[f"to_{y}"]
        cell = {"x": left, "x2": right, "y": low, "y2": high, "count": record[count]}
        cell["correctness"] = record.get("correctness")
        if examples is not None:
            below = "".join(
                f" AND {name} < {end!r}" for name, end, last in ((x, right, 0.5), (y, high, 1)) if end < last
            )
            cell["href"] = examples(f"{x} >= {left!r} AND {y} >= {low!r}{below}")
        data.append(cell)
    encoding = {
        "x": alt.X("x:Q", title="variability", scale=alt.Scale(domain=[0, 0.5])),
        "x2": alt.X2("x2:Q"),
        "y": alt.Y("y:Q", title="confidence (Swayamdipta et al.)", scale=alt.Scale(domain=[0, 1])),
        "y2": alt.Y2("y2:Q"),
        "color": alt.Color("count:Q", title="examples", scale=alt.Scale(type="log", range=["#d5e6dd", *colours(1)])),
        "tooltip": ["count:Q", "correctness:Q", "x:Q", "y:Q"],
    }
    if examples is not None:
        encoding["href"] = alt.Href("href:N")
    return _plain(alt.Chart(alt.InlineData(values=data), width=360, height=320).mark_rect().encode(**encoding))


def _few(epochs: Sequence[int]) -> list[int]:
    """So many epochs as have room for their numbers."""
    every = -(-len(epochs) // 12)
    return list(epochs[::every])


def _across(records: Sequence[Mapping[str, Any]]) -> dict[TableAt, float]:
    """Where a validation stands on the axis of epochs: the last of each at its number, those before evenly up to it."""
    by_epoch: dict[tuple[str, int], list[Moment]] = {}
    for run, moment in sorted(dict.fromkeys(record[_TABLE] for record in records), key=lambda table: table[1]):
        by_epoch.setdefault((run, moment.epoch), []).append(moment)
    return {
        (run, moment): epoch - 1 + place / len(moments)
        for (run, epoch), moments in by_epoch.items()
        for place, moment in enumerate(moments, start=1)
    }


def _lines(records: Sequence[Mapping[str, Any]], order: Sequence[TableAt], link: Link | None) -> Any:
    there = dict.fromkeys(record["run"] for record in records)
    names = list(dict.fromkeys(_text(name) for name in (*(run for run, _ in order), *there) if name in there))
    steps = any(record[_TABLE][1].step is not None for record in records)
    across = _across(records)
    data = [
        {"run": _text(record["run"]), "epoch": record["epoch"], "errors": record["errors"]}
        | ({"across": across[record[_TABLE]], "at": str(record[_TABLE][1])} if steps else {})
        for record in records
    ]
    linked = _linked(data, records, link, lambda record: TableView((_named(record),), where=(WRONG,)))
    axis = alt.Axis(values=_few(sorted({record["epoch"] for record in records})), format="d")
    encoding = {
        "x": alt.X("across:Q", title="epoch", axis=axis) if steps else alt.X("epoch:Q", axis=axis),
        "y": alt.Y("errors:Q", scale=alt.Scale(zero=True)),
        "color": alt.Color("run:N", scale=_scale(names), sort=names, title=None),
    }
    line = alt.Chart().mark_line().encode(**encoding)

    said = alt.Tooltip("at:N", title="epoch:step") if steps else "epoch:Q"
    dots = {**encoding, "tooltip": ["run:N", said, "errors:Q"], **({"href": alt.Href("href:N")} if linked else {})}
    points = alt.Chart().mark_point(filled=True, size=60).encode(**dots)
    return _plain(alt.layer(line, points, data=alt.InlineData(values=data)).properties(width=520, height=180))
