"""Answers as HTML: the templates and the sheet that the page and notebooks share, with no address in them."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from secondguess.analysis.answers.sides import INK, LOOKS, OTHERS, QUIET, side
from secondguess.analysis.console import shortened
from secondguess.analysis.schema import LETTERS

SHEET = "secondguess.css"
# The other colours of charts, and what the sheet calls them.
_OF_CHARTS = {INK: "ink", OTHERS: "edge", QUIET: "ink-2"}
# What the sheet calls the colours of the third table and further ones: `--c` is that of whatever is being drawn.
_NAMES = dict(zip("cdefgh", ("third", "fourth", "fifth", "sixth", "seventh", "eighth"), strict=True))


def environment(*packages: str) -> Environment:
    """The templates of these packages and of this one; what they are given is text, and no markup."""
    templates = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "secondguess.analysis.answers")]),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["sides"] = [side(place) for place in range(len(LETTERS))]
    templates.filters["count"] = lambda value: f"{value:,}"
    templates.filters["shortened"] = shortened
    return templates


def fragment(template: str, **context: Any) -> str:
    """A template of this package, drawn without a server."""
    return _TEMPLATES.get_template(template).render(**context)


def chart_page(drawing: Mapping[str, Any], library: str) -> str:
    """A Vega-Lite chart as HTML that needs no network; library is the script that draws it, all else is data."""
    return fragment("chart.html", drawing=drawing, library=Markup(library))


def sheet() -> str:
    """The style sheet: the looks of the tables, also in charts, and what the file says."""
    names = {side: _NAMES.get(side, side) for side in LOOKS}
    light, dark = (
        "".join(f"  --{names[side]}: {getattr(look, how)};\n" for side, look in LOOKS.items())
        for how in ("light", "dark")
    )
    own = "".join(f".{side} {{ --c: var(--{name}); }}\n" for side, name in names.items())
    dashes = "".join(
        f".line.{side} {{ stroke-dasharray: {' '.join(map(str, look.dash))}; }}\n"
        for side, look in LOOKS.items()
        if look.dash[1]
    )
    marks = "".join(
        f'.chart svg [{how}="{look.light}"] {{ {how}: var(--{names[side]}); }}\n'
        for side, look in LOOKS.items()
        for how in ("fill", "stroke")
    )
    marks += "".join(
        f'.chart svg [{how}="{colour}"] {{ {how}: var(--{name}); }}\n'
        for colour, name in _OF_CHARTS.items()
        for how in ("fill", "stroke")
    )
    on_black = f"@media (prefers-color-scheme: dark) {{\n:root {{\n{dark}}}\n}}\n"
    text = (files("secondguess.analysis.answers") / SHEET).read_text(encoding="utf-8")
    return f":root {{\n{light}}}\n{on_black}{own}{dashes}{marks}{text}"


_TEMPLATES = environment()
