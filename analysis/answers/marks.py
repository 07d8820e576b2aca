"""What the charts of answers have in common: how a table's marks look, how names are written, where marks lead."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt

from secondguess.analysis.answers.sides import LOOKS, QUIET, colours, looks
from secondguess.analysis.console import spelled_out
from secondguess.analysis.tables.view import TableView

Link = Callable[[TableView], str]
"""From the rows behind a mark to their address."""


def title_of(value: Any) -> str:
    """A name as a title: Vega-Lite puts it into an expression, where a backslash before a quote would end its text."""
    return text_of(value).replace("\\", "\N{REVERSE SOLIDUS OPERATOR}")


def text_of(value: Any) -> str:
    """A name as it is drawn: a line break ends an expression of Vega's, other control characters an SVG."""
    return "null" if value is None else spelled_out(str(value))


def linked(
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


def plain(made: Any) -> Any:
    """The chart without frames and grids."""
    return made.configure_view(stroke=None).configure_axis(grid=False, domain=False)


def caption(said: str) -> Any:
    """What is said of a chart's marks, above it."""
    return alt.TitleParams(title_of(said), anchor="start", fontSize=11, fontWeight="normal", color=QUIET)


def owns(place: int) -> int:
    """1 where the table in this place has a look of its own, else 0: what data say of each mark in `own`."""
    return int(place < len(LOOKS))


def coloured(names: Sequence[str], *, legend: bool, field: str = "run") -> Any:
    """The colour of each table's marks; the legend names those that have one of their own."""
    scale = alt.Scale(domain=list(names), range=colours(len(names)))
    return alt.Color(f"{field}:N", scale=scale, sort=list(names), title=None, legend=_legend(names, legend))


def shaped(names: Sequence[str], *, legend: bool, field: str = "run") -> Any:
    """The shape of each table's points."""
    scale = alt.Scale(domain=list(names), range=[look.shape for look in looks(len(names))])
    return alt.Shape(f"{field}:N", scale=scale, sort=list(names), title=None, legend=_legend(names, legend))


def _dashed(names: Sequence[str], *, legend: bool, field: str) -> Any:
    scale = alt.Scale(domain=list(names), range=[list(look.dash) for look in looks(len(names))])
    return alt.StrokeDash(f"{field}:N", scale=scale, sort=list(names), title=None, legend=_legend(names, legend))


def _legend(names: Sequence[str], legend: bool) -> Any:
    """Below the chart, whose width is the field's then, also where names are long."""
    own = list(names[: len(LOOKS)])
    columns = 2 if max(map(len, own), default=0) > 20 else 4
    return (
        alt.Legend(values=own, orient="bottom", columns=columns, labelLimit=230, columnPadding=16) if legend else None
    )


def lines_of(
    names: Sequence[str], encoding: Mapping[str, Any], *, points: bool, legend: bool, field: str = "run"
) -> list[Any]:
    """The lines of tables, each with its look, those that have none of their own below; with points, if there are few.

    Of more tables than have looks the data say in `own` of each mark which it is (`owns`).
    """
    color, named = coloured(names, legend=legend, field=field), alt.Description(f"{field}:N")
    dash = _dashed(names, legend=legend, field=field)
    line = alt.Chart().mark_line(strokeWidth=1.5).encode(color=color, strokeDash=dash, description=named, **encoding)
    layers = [line]
    if len(names) > len(LOOKS):
        grey = {"detail": f"{field}:N", "color": color, "description": named, **encoding}
        others = alt.Chart().mark_line(strokeWidth=1, opacity=0.6).encode(**grey)
        layers = [
            each.transform_filter(alt.FieldEqualPredicate(field="own", equal=own))
            for own, each in enumerate((others, line))
        ]
    if points:
        shape = shaped(names, legend=legend, field=field)
        dots = alt.Chart().mark_point(filled=True, size=40, opacity=1)
        layers.append(dots.encode(color=color, shape=shape, **encoding))
    return layers
