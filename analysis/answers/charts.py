"""A question's answer as a chart: the same in the page, in a notebook and in a file."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import altair as alt

from secondguess.analysis.answers.answer import Answer, tables_in
from secondguess.analysis.answers.classes import ordered
from secondguess.analysis.answers.html import chart_page
from secondguess.analysis.answers.lines import UNNAMED, Naming, by_epoch
from secondguess.analysis.answers.marks import Link, caption, coloured, lines_of, linked, owns, plain, text_of, title_of
from secondguess.analysis.answers.sides import OTHERS, colours
from secondguess.analysis.engine.sqltext import is_value, literal
from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import MOST_MARKS, WRONG, at_epoch
from secondguess.analysis.tables.view import TableView

# A line of Vega's, which says to a screen reader of which table it is: with a title it says so to the pointer, too.
_LINE = re.compile(r'(<path aria-label="([^"]*)"[^>]*aria-roledescription="line mark"[^>]*)/>')
_VEGA = "https://vega.github.io/vega-datasets/"
_TABLE = "\0table"  # beside a record's columns, of which none can be called so: its run and moment
NO_CHART = (
    "has no chart; confusion, data-map, errors-by-guess, errors-over-time, reliability, residuals and risk-coverage "
    "have one"
)
Where = Callable[[str], str]
"""From a condition on examples, over the columns of `dynamics`, to the address of those."""


def chart(
    answer: Answer,
    link: Link | None = None,
    examples: Where | None = None,
    said: str = "",
    naming: Naming = UNNAMED,
) -> Any:
    """The chart of an answer, None where it has none that says more than its table.

    A matrix becomes squares, what is drawn beside each other bars, a curve a line for each table, a histogram bars from
    end to end, counts of errors by epoch lines, cells of a map squares in their place. It is of all rows: of more than
    MOST_MARKS there is none, and `ask.charted` has what they come to, of which said is put above the chart. With a link
    each mark leads to the rows behind it, with examples each cell to its examples.
    """
    made = _chart(answer, link, examples, naming)
    return made.properties(title=caption(said)) if made is not None and said else made


def _chart(answer: Answer, link: Link | None, examples: Where | None, naming: Naming) -> Any:
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
    if how == "histogram":
        return _histogram(answer, records, link)
    if how == "beside" and "errors" in columns:
        return _bars(answer, records, link)
    if how is None and "errors" in columns and len({record[_TABLE][1] for record in records}) > 1:
        return by_epoch(records, [record[_TABLE] for record in records], answer.order, link, naming)
    return None


class _Offline:
    """What is changed of an Altair chart: drawn here it is an SVG, and as HTML a file that needs no network.

    Altair's own HTML fetches its scripts, and puts names into a script as they are.
    """

    def _repr_mimebundle_(self, *args: Any, **how: Any) -> dict[str, str]:
        # A notebook may be dark, letters are not.
        return {"image/svg+xml": svg(self, "white"), "text/plain": repr(self)}

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


def svg(made: Any, background: str | None = None) -> str:
    """A chart as SVG; without a background that of where it stands shows."""
    import vl_convert

    # An address without a host is put behind one of Vega's.
    drawing = str(vl_convert.vegalite_to_svg({**made.to_dict(), "background": background})).replace(_VEGA, "")
    return _LINE.sub(r"\1><title>\2</title></path>", drawing)


def write(made: Any, path: Path, suffix: str) -> None:
    """Write a chart to a file as .svg, .png (twice as fine) or .html, which needs no network; raises BadInput."""
    kind = suffix.lower().removeprefix(".")
    if kind not in {"svg", "png", "html"}:
        raise BadInput(f"a chart is written as .svg, .png or .html, not {suffix or 'without a suffix'}")
    import vl_convert

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


def _matrix(answer: Answer, records: Sequence[Mapping[str, Any]], link: Link | None) -> Any:
    down, across, count = answer.drawn[1] if answer.drawn else ()
    labels = ordered((record[name] for record in records for name in (down, across)), answer.classes)
    data = [
        {
            "table": text_of(_named(record)),
            "down": text_of(record[down]),
            "across": text_of(record[across]),
            "count": record[count],
            "shade": 0 if record[down] == record[across] else record[count],
        }
        for record in records
    ]
    leading = linked(
        data,
        records,
        link,
        lambda record: TableView(
            (_named(record),), where=(is_value(down, record[down]), is_value(across, record[across]))
        ),
    )
    listed = [text_of(label) for label in labels]
    # The columns may be called whatever: as the name of a field it would be read as a path with a type.
    titles = {"down": title_of(down), "across": title_of(across), "count": title_of(count)}
    encoding = {
        "x": alt.X("across:N", title=titles["across"], sort=listed, axis=alt.Axis(labelAngle=0, orient="top")),
        "y": alt.Y("down:N", title=titles["down"], sort=listed),
        "tooltip": [
            "table:N",
            *(alt.Tooltip(f"{field}:{'Q' if field == 'count' else 'N'}", title=titles[field]) for field in titles),
        ],
    }
    if leading:
        encoding["href"] = alt.Href("href:N")
    squares = alt.Chart().mark_rect()
    numbers = alt.Chart().mark_text(fontSize=10).encode(x=encoding["x"], y=encoding["y"], text="count:Q")
    drawn = []
    tables = list(dict.fromkeys(text_of(at_epoch(run, epoch)) for run, epoch in answer.order))
    for table, colour in zip(tables, colours(len(tables)), strict=True):
        shade = alt.Color("shade:Q", scale=alt.Scale(range=["#f6f6f3", colour]), legend=None)
        own = alt.InlineData(values=[cell for cell in data if cell["table"] == table])
        layered = alt.layer(squares.encode(color=shade, **encoding), numbers, data=own)
        sized = layered.properties(width=alt.Step(26), height=alt.Step(26))
        drawn.append(sized.facet(column=alt.Column("table:N", title=None)))
    return plain(drawn[0] if len(drawn) == 1 else alt.hconcat(*drawn).resolve_scale(color="independent"))


def _bars(answer: Answer, records: Sequence[Mapping[str, Any]], link: Link | None) -> Any:
    [key] = answer.drawn[1] if answer.drawn else ()
    names = [text_of(at_epoch(run, epoch)) for run, epoch in dict.fromkeys(answer.order)]
    data = [
        {"table": text_of(_named(record)), "key": text_of(record[key]), "errors": record["errors"]}
        for record in records
    ]
    leading = linked(
        data, records, link, lambda record: TableView((_named(record),), where=(is_value(key, record[key]), WRONG))
    )
    labels = ordered((record[key] for record in records), answer.classes)
    encoding = {
        "x": alt.X(
            "key:N", title=title_of(key), sort=[text_of(label) for label in labels], axis=alt.Axis(labelAngle=0)
        ),
        "y": alt.Y("errors:Q"),
        "xOffset": alt.XOffset("table:N", sort=names),
        "color": coloured(names, legend=True, field="table"),
        "tooltip": ["table:N", alt.Tooltip("key:N", title=title_of(key)), "errors:Q"],
    }
    if leading:
        encoding["href"] = alt.Href("href:N")
    return plain(alt.Chart(alt.InlineData(values=data), width=520, height=160).mark_bar().encode(**encoding))


def _histogram(answer: Answer, records: Sequence[Mapping[str, Any]], link: Link | None) -> Any:
    """The tables' bars one below the other over one axis, each from its bin's low to its high end."""
    low, high, count = answer.drawn[1] if answer.drawn else ("", "", "")
    names = [text_of(at_epoch(run, epoch)) for run, epoch in dict.fromkeys(answer.order)]
    data = [
        {"table": text_of(_named(record)), "low": record[low], "high": record[high], "count": record[count]}
        for record in records
    ]
    most = max(record[high] for record in records)

    def view(record: Mapping[str, Any]) -> TableView:
        end = "<=" if record[high] == most else "<"
        where = f"guess - truth >= {literal(record[low])}", f"guess - truth {end} {literal(record[high])}"
        return TableView((_named(record),), where=where)

    leading = linked(data, records, link, view)
    encoding = {
        "x": alt.X("low:Q", bin="binned", title="guess minus truth", axis=alt.Axis(tickCount=8)),
        "x2": alt.X2("high:Q"),
        "y": alt.Y("count:Q", title=title_of(count)),
        "color": coloured(names, legend=False, field="table"),
        "tooltip": ["table:N", "low:Q", "high:Q", alt.Tooltip("count:Q", title=title_of(count))],
    }
    if leading:
        encoding["href"] = alt.Href("href:N")
    bars = alt.Chart(alt.InlineData(values=data), width=520, height=90).mark_bar().encode(**encoding)
    own_row = alt.Row("table:N", title=None, sort=names, header=alt.Header(labelAngle=0, labelAlign="left"))
    return plain(bars.facet(row=own_row) if len(names) > 1 else bars)


def _curve(answer: Answer, records: Sequence[Mapping[str, Any]]) -> Any:
    """A line for each table, with the interval of each point where there is one; a diagonal where right is equal."""
    x, y = answer.drawn[1] if answer.drawn else ("", "")
    names = [text_of(at_epoch(run, epoch)) for run, epoch in dict.fromkeys(answer.order)]
    place = {table: owns(number) for number, table in enumerate(dict.fromkeys(answer.order))}
    data = [
        {
            "table": text_of(_named(record)),
            "own": place.get(record[_TABLE], 0),
            **{key: record.get(key) for key in ("low", "high", "n")},
            "x": record[x],
            "y": record[y],
        }
        for record in records
        if record.get("class") is None
    ]
    encoding = {
        "x": alt.X("x:Q", title=title_of(x), scale=alt.Scale(domain=[0, 1])),
    }
    calibrated = (x, y) == ("confidence", "accuracy")
    value = alt.Y("y:Q", title=title_of(y), scale=alt.Scale(domain=[0, 1]) if calibrated else alt.Undefined)
    said = {"tooltip": ["table:N", "x:Q", "y:Q", *(["n:Q"] if calibrated else [])]}
    layers = lines_of(
        names, {"y": value, **said, **encoding}, points=len(data) <= 30 * len(names), legend=True, field="table"
    )
    if calibrated:
        color = coloured(names, legend=True, field="table")
        bounds = {"y": alt.Y("low:Q", title=title_of(y)), "y2": alt.Y2("high:Q"), "color": color}
        layers.insert(0, alt.Chart().mark_rule(opacity=0.5).encode(**bounds, **encoding))
        ends = alt.InlineData(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        diagonal = alt.Chart(ends).mark_line(color=OTHERS, strokeDash=[4, 4], strokeWidth=1)
        layers.insert(0, diagonal.encode(x=alt.X("x:Q", title=title_of(x)), y=alt.Y("y:Q", title=title_of(y))))
    drawn = alt.layer(*layers, data=alt.InlineData(values=data))
    return plain(drawn.properties(width=300, height=300 if calibrated else 180))


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
    return plain(alt.Chart(alt.InlineData(values=data), width=360, height=320).mark_rect().encode(**encoding))
