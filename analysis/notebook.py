"""Answers in a notebook: the page's drawing of them as HTML that needs no server, no script and no network."""

import base64
import hashlib
import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from secondguess.analysis.answers.answer import Answer, Row
from secondguess.analysis.answers.classes import COUNTED_ROWS, by_class, whole
from secondguess.analysis.engine.exact import items
from secondguess.analysis.engine.kinds import inexact
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import MissingExtra
from secondguess.analysis.signals import heard
from secondguess.analysis.tables.select import Usual
from secondguess.analysis.tables.view import TableView

if TYPE_CHECKING:
    from secondguess.analysis.evidence.ledger import Comparison
    from secondguess.analysis.evidence.recipes import Recipes

AnswerWith = Callable[[Usual], tuple[Statement, duckdb.DuckDBPyRelation]]
"""From what chooses a view's columns to its answer with them."""

_ROWS = 50
_known: "OrderedDict[str, tuple[Statement, weakref.ref[duckdb.DuckDBPyConnection]]]" = OrderedDict()
_MOST_KNOWN = 1_000


class Table:
    """A table view's answer: a lazy DuckDB relation, with the statement behind it, that draws itself.

    Everything a relation has (df, filter, fetchall, …) this has too; `relation` is the relation itself, which combines
    with others in SQL. It is drawn with the columns that the page shows where the view names none: images, too.
    Ctrl-C while it is drawn is KeyboardInterrupt within a second, also where DuckDB does not listen (inside one long
    function call): then the connection is busy until that ends.
    """

    def __init__(
        self,
        statement: Statement,
        relation: duckdb.DuckDBPyRelation,
        view: TableView,
        drawn: AnswerWith,
        interrupt: Callable[[], object],
    ) -> None:
        self.statement = statement
        self.relation = relation
        self._view = view
        self._drawn = drawn
        self._interrupt = interrupt

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.relation, name)

    def __repr__(self) -> str:
        return repr(self.relation)

    def __iter__(self) -> Iterator[dict[str, object]]:
        """Each row as a dict by column, for loops and `pandas.DataFrame(table)`; `df` is faster."""
        names = self.relation.columns
        for row in self.relation.fetchall():
            yield dict(zip(names, row, strict=True))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows as Arrow's C stream, which polars, pandas, narwhals and pyarrow make their own tables of."""
        return self.relation.__arrow_c_stream__(requested_schema)

    def __narwhals_lazyframe__(self) -> object:
        """The relation as narwhals has it, which marimo's `mo.ui.table` and others take."""
        import narwhals

        return narwhals.from_native(self.relation)._compliant_frame

    @property
    def sql(self) -> str:
        """The complete statement, which runs in any DuckDB session."""
        return self.statement.text

    def _repr_html_(self) -> str:
        from secondguess.analysis.tables.usual import usual

        return heard(lambda: html(*self._drawn(partial(usual, self._view))), self._interrupt)

    def _repr_mimebundle_(self, **how: Any) -> dict[str, str]:
        """What a notebook chooses from; the relation has one of its own, which would come before our HTML."""
        words = [
            name for name, kind in zip(self.relation.columns, self.relation.types, strict=True) if not _media(kind)
        ]
        plain = self.relation.select(*words) if len(words) < len(self.relation.columns) and words else self.relation
        return {"text/html": self._repr_html_(), "text/plain": repr(plain)}

    def show(self) -> None:
        """Draw the first rows: in a notebook as HTML, with images and bars, elsewhere as text."""
        if "IPython" in sys.modules:
            from IPython.display import display

            display(self)  # type: ignore[no-untyped-call]
        else:
            self.relation.show()


class Compared:
    """A comparison of two tables that draws itself; what it has is that of `evidence.ledger.Comparison`.

    ledger is a lazy DuckDB relation with a row for each example that changed.
    """

    def __init__(self, comparison: "Comparison", ledger: Callable[[], duckdb.DuckDBPyRelation]) -> None:
        self.comparison = comparison
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.comparison, name)

    def __repr__(self) -> str:
        from secondguess.analysis.answers.comparison import lines

        return "\n".join(lines(self.comparison))

    def _repr_html_(self) -> str:
        from secondguess.analysis.answers.comparison import to_html

        return to_html(self.comparison)

    @property
    def ledger(self) -> duckdb.DuckDBPyRelation:
        """A row for each example that was fixed, broken, or is wrong in another way."""
        return self._ledger()

    def to_json(self) -> str:
        """What `secondguess compare --format json` writes."""
        from secondguess.analysis.answers.comparison import to_json

        return to_json([self.comparison])


class ComparedRecipes:
    """Two recipes compared, which draw themselves; what it has is that of `evidence.recipes.Recipes`."""

    def __init__(self, recipes: "Recipes") -> None:
        self.recipes = recipes

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.recipes, name)

    def __repr__(self) -> str:
        from secondguess.analysis.answers.recipes import lines

        return "\n".join(lines(self.recipes))

    def _repr_html_(self) -> str:
        from secondguess.analysis.answers.recipes import to_html

        return to_html(self.recipes)

    def to_json(self) -> str:
        """What `secondguess compare --with … --format json` writes."""
        from secondguess.analysis.answers.recipes import to_json

        return to_json(self.recipes)


def remember(statement: Statement, relation: duckdb.DuckDBPyRelation, con: duckdb.DuckDBPyConnection) -> None:
    """Let a notebook, Jupyter's or marimo's, draw this relation as the page would; elsewhere do nothing."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    in_marimo = "marimo" in sys.modules and _drawn_in_marimo()
    if shell is None and not in_marimo:
        return
    _known[relation.sql_query()] = statement, weakref.ref(con)
    while len(_known) > _MOST_KNOWN:
        _known.popitem(last=False)
    if shell is not None:
        shell.display_formatter.formatters["text/html"].for_type(duckdb.DuckDBPyRelation, _drawn)


def _drawn_in_marimo() -> bool:
    """Let marimo ask us how a relation is drawn; False where its inside, which says so to nobody, is another by now."""
    try:
        from marimo._output.formatters.repr_formatters import maybe_get_repr_formatter
        from marimo._output.formatting import FORMATTERS
    except ImportError:
        return False

    def formatted(relation: duckdb.DuckDBPyRelation) -> Any:
        drawn = _drawn(relation)
        return ("text/html", drawn) if drawn is not None else maybe_get_repr_formatter(relation)(relation)

    FORMATTERS.add_formatter(duckdb.DuckDBPyRelation, formatted)
    return True


def _drawn(relation: duckdb.DuckDBPyRelation) -> str | None:
    """The HTML of a relation that came from a store; None, so its text, for any other."""
    statement, con = _known.get(relation.sql_query(), (None, None))
    if statement is None or con is None:
        return None

    def interrupt() -> None:
        if (open_con := con()) is not None:
            open_con.interrupt()

    return heard(lambda: html(statement, relation), interrupt)


def html(statement: Statement, relation: duckdb.DuckDBPyRelation) -> str:
    """The first rows of an answer as HTML; raises MissingExtra without the drawing."""
    try:
        from secondguess.analysis.answers import cells, columns
        from secondguess.analysis.answers.html import fragment, sheet
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name}, which drawing needs,", "view") from None
    first_rows = _first(statement, relation)
    shown = columns.shown(relation.columns, [str(kind) for kind in relation.types], statement.sides, statement.classes)
    images = cells.Images()
    rows = cells.rows(shown, relation.columns, first_rows[:_ROWS], images, 0, verdicts=statement.verdicts)

    def source(key: str) -> str:
        kind, data = images.get(key) or ("image/png", b"")
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"

    return fragment(
        "notebook.html",
        columns=[{"shown": column} for column in shown],
        rows=rows,
        more=len(first_rows) > _ROWS,
        sheet=_scoped(sheet()),
        reports=statement.reports,
        notes=statement.notes,
        image_source=source,
        title="answer",
        name=f"sg-{hashlib.sha256(statement.text.encode()).hexdigest()[:8]}",
    )


def _first(statement: Statement, relation: duckdb.DuckDBPyRelation) -> Sequence[Row]:
    """The first rows and one more; of what is drawn by its classes, in their order, unless there are too many."""
    answer = Answer(relation.columns, (), (), statement.drawn, statement.order, statement.classes)
    if inexact(map(str, relation.types)):
        columns = [identifier(name) for name in relation.columns]
        told = items(columns, relation.columns, relation.types)
        relation = relation.project(told) if told is not None else relation
    if whole(answer):
        rows = relation.limit(COUNTED_ROWS + 1).fetchall()
        return by_class(answer, rows) if len(rows) <= COUNTED_ROWS else rows
    return relation.limit(_ROWS + 1).fetchall()


def _media(kind: object) -> bool:
    """Whether a column of this SQL type has bytes, which are no words."""
    return "BLOB" in str(kind)


def _scoped(sheet: str) -> str:
    """The page's sheet for one part of a notebook: what it says of the whole page is said of that part."""
    here = sheet.replace(":root", ":scope").replace("\nbody {", "\n:scope {")
    return here.replace("\nhtml {", "\n.none-such {")
