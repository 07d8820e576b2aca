"""Every address of the page, made and read in one place: a table view and its query string are the same thing."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from secondguess.analysis.errors import BadInput
from secondguess.analysis.serving.bounds import few_tables
from secondguess.analysis.tables.spelling import spelled
from secondguess.analysis.tables.view import TableView

_MANY = ("where", "wandb_filter")
_COMPUTED = ("add", "wandb_add", "aggregate", "wandb_aggregate")
_LISTS = ("key", "group", "columns")
_NUMBERS = ("limit", "offset")
_FLAGS = ("exact", "allow_duplicates")


LONGEST_SQL = 4_000  # characters in an address: servers and browsers refuse much longer ones


def runs() -> str:
    """The page of all runs."""
    return "/runs"


def check() -> str:
    """The page that says what is wrong or odd in the store."""
    return "/check"


def run(name: str, *others: str, metric: str | None = None) -> str:
    """The page of a run, or of several together; with a metric, of it alone."""
    parts = [("run", each) for each in (name, *others)]
    return "/run?" + urlencode([*parts, *([("metric", metric)] if metric else [])])


def table(view: TableView, path: str = "/table", **more: object) -> str:
    """The page of a table view; more is what the page itself adds, such as its layout."""
    return f"{path}?{urlencode(query(view, **more))}"


def query(view: TableView, **more: object) -> list[tuple[str, str]]:
    """A table view as the parts of a query string."""
    parts = [("t", name) for name in view.tables]
    said = view.as_dict()
    for name, value in said.items():
        if name in _MANY:
            parts += [(name, text) for text in value]
        elif name in _COMPUTED:
            parts += [(name, f"{_quoted(column)} = {text}") for column, text in value.items()]
        elif name in _LISTS:
            parts.append((name, listed(value)))
        elif name == "sort":
            parts.append((name, ",".join(value)))
        elif name in _FLAGS:
            parts.append((name, "1"))
        elif name != "tables":
            parts.append((name, str(value)))
    return parts + [(name, str(value)) for name, value in more.items() if value not in (None, "", False)]


def gallery(view: TableView, **more: object) -> str:
    """A table view as images."""
    return table(view, "/gallery", **more)


def head(view: TableView, column: str, show: str, **more: object) -> str:
    """What stands in the head of a column of a view: show is bins or values."""
    return table(view, "/head", **more, column=column, show=show)


def read_table(given: QueryParams) -> TableView:
    """The table view of a query string; raises BadInput for what cannot be one."""
    said: dict[str, object] = {"tables": tuple(text for text in given.getlist("t") if text.strip())}
    few_tables(given.getlist("t"))
    for name in (*_MANY, *_COMPUTED):
        said[name] = tuple(text for text in given.getlist(name) if text.strip())
    for name in (*_LISTS, "sort", "join"):
        said[name] = given.get(name, "").strip() or None
    for name in _NUMBERS:
        if text := given.get(name, "").strip():
            if not text.isdecimal() or len(text) > 12:
                raise BadInput(f"{name} is {text!r}, not a number of rows")
            said[name] = int(text)
    for name in _FLAGS:
        said[name] = given.get(name) == "1"
    said["at"] = given.get("at", "").strip() or None
    if said["at"] is None and given.get("nth"):  # which stands for a moment that only the store knows
        said["exact"] = False
    return spelled(said)


def read_nth(given: QueryParams) -> int | None:
    """The place of the slider that a form names, counted from 1; None where it names none. Raises BadInput."""
    text = given.get("nth", "").strip()
    if text and not (text.isdecimal() and len(text) <= 12):
        raise BadInput(f"nth is {text!r}, not a place of the slider")
    return int(text) if text else None


def read_from(given: QueryParams) -> int:
    """The place that a list goes on from, counted from 0; raises BadInput for what is none."""
    text = given.get("from", "").strip() or "0"
    if not text.isdecimal() or len(text) > 12:
        raise BadInput(f"from is {text!r}, not a place of the list")
    return int(text)


def listed(names: Iterable[str]) -> str:
    """Names of columns as one text, which `expressions.names` reads."""
    return ",".join(map(_quoted, names))


def _quoted(name: str) -> str:
    plain = name.replace("_", "a").isalnum()
    return name if plain else '"' + name.replace('"', '""') + '"'


def example(view: TableView, row: int) -> str:
    """The page of the example in a row of a view, counted from 0."""
    return table(view, "/example", row=row)


def question(
    name: str,
    refs: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    lines: Sequence[str] = (),
    **more: object,
) -> str:
    """The page of a question about tables; lines are those of its chart that are named, more is what the page adds."""
    (asked, *said) = question_form(name, options)
    parts = [asked, *(("t", ref) for ref in refs), *said, *(("line", line) for line in lines)]
    parts += [(key, str(value)) for key, value in more.items() if value not in (None, "", 0)]
    return f"/questions?{urlencode(parts)}"


def question_form(name: str, options: Mapping[str, object] | None = None) -> list[tuple[str, str]]:
    """A question and its options as the fields of a form."""
    return [("q", name), *((f"o.{key}", str(value)) for key, value in (options or {}).items() if value is not None)]


def compare(refs: Sequence[str], floor: str | None = None) -> str:
    """The page that compares two tables; floor names runs that differ by seed only."""
    return f"/compare?{urlencode([*(('t', ref) for ref in refs), *([('floor', floor)] if floor else [])])}"


def sql(text: str = "", sort: str = "", answer: str = "", *, twin: str = "") -> str:
    """The page of free SQL, with a text that is shown and not run; answer is the key of what came of it before."""
    parts = {"sql": text if len(text) <= LONGEST_SQL else "", "sort": sort, "answer": answer}
    said = urlencode({name: value for name, value in parts.items() if value})
    return f"/sql{twin}" + (f"?{said}" if said else "")


def naming(view: TableView, name: str) -> str:
    """The page that asks for a name for a view, where this one cannot be its."""
    return f"/save?{urlencode([*query(view), ('name', name)])}"


def saved(name: str, new: str | None = None) -> str:
    """The page of a saved view, where it is named anew or deleted; new is a name that it cannot have."""
    return f"/saved?{urlencode({'name': name} | ({} if new is None else {'new': new}))}"


def image(key: str) -> str:
    """An image that a page has shown, by the digest of its bytes."""
    return f"/image/{key}"


def twin(path: str, parts: str) -> str:
    """The same data as JSON."""
    return f"{path}.json" + (f"?{parts}" if parts else "")
