"""One SELECT over the store's files: its text, its values, what it may read and what its answer is; what joins did."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from secondguess.analysis.engine.passages import Passage, moved
from secondguess.analysis.engine.sqltext import identifier, literal
from secondguess.analysis.moments import Moment


@dataclass(frozen=True)
class JoinReport:
    """The counts of one join of two tables.

    matched, only_left and only_right count keys, each once; duplicates_left and duplicates_right the rows beyond the
    first of their key; nulls_left and nulls_right the rows without a key, which match nothing. So a side has matched +
    only + duplicates + nulls rows. truths_differ counts the matched keys for which two labelled rows disagree.
    same_examples is None where a side has no images or content to compare, or the key is neither id nor digest.
    by_position says that equal ids in equal order made a lookup needless.
    """

    left: str
    right: str
    key: str
    matched: int
    only_left: int = 0
    only_right: int = 0
    duplicates_left: int = 0
    duplicates_right: int = 0
    nulls_left: int = 0
    nulls_right: int = 0
    truths_differ: int = 0
    same_examples: bool | None = None
    by_position: bool = False

    @property
    def line(self) -> str:
        """The report as one line of text."""
        same = {True: "same examples", False: "not the same examples", None: "examples not compared"}
        odd = [
            f"{count:,} {what} in {side}"
            for side, duplicates, nulls in (
                (self.left, self.duplicates_left, self.nulls_left),
                (self.right, self.duplicates_right, self.nulls_right),
            )
            for count, what in ((duplicates, "with a repeated key"), (nulls, "without a key"))
            if count
        ]
        return (
            f"joined {self.left} with {self.right} on {self.key}: {self.matched:,} matched, "
            f"{self.only_left:,} only in {self.left}, {self.only_right:,} only in {self.right}, "
            f"{', '.join([*odd, ''])}{self.truths_differ:,} with another truth; {same[self.same_examples]}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Parameter:
    """Where a `$name` stands in a statement: the byte it begins at and how many bytes it takes."""

    name: str
    start: int
    length: int


@dataclass(frozen=True)
class Page:
    """Which of all rows a statement gives: at most limit (None: all) from offset on; total is SQL for their number.

    passages are where total has what a person wrote.
    """

    total: str
    limit: int | None
    offset: int
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True)
class Statement:
    """One SELECT that reads the store's files and nothing else.

    scope is the CTEs put before the person's or question's text; values are bound when it runs, and written into
    `text` when it is shown. files are all it may read; notes is what the reader of its answer should know. classes are
    the names behind score_0, score_1, …. order is the (run, epoch) asked about, as they were named; drawn how the
    answer may be drawn, (how, columns). page says which part of the rows it gives, where that can be a part; reports
    what its joins did. sides is how many tables stand side by side in it, their columns suffixed _a, _b, …: 1 where
    nothing is joined, and then a suffix means nothing. passages are where the body has what a person wrote. verdicts
    says that some of its rows are right or wrong by a column of theirs, not by guess against truth. left_out is a
    column of the body that the answer does not have. only_duckdb says why no other engine runs it, where none does.
    """

    scope: str
    body: str
    parameters: tuple[Parameter, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    files: frozenset[Path] = frozenset()
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    order: tuple[tuple[str, Moment], ...] = ()
    page: Page | None = None
    reports: tuple[JoinReport, ...] = ()
    drawn: tuple[str, tuple[str, ...]] | None = None
    sides: int = 1
    passages: tuple[Passage, ...] = ()
    verdicts: bool = False
    left_out: str | None = None
    only_duckdb: str = ""

    @property
    def sql(self) -> str:
        """The statement with its `$name` parameters, to be run with `bound`."""
        return self._wrapped(self.body)

    @property
    def total(self) -> str:
        """The statement that counts the rows of which `page` is a part; raises TypeError where there is no page."""
        if self.page is None:
            raise TypeError("a statement without a page gives all its rows")
        return self._wrapped(self.page.total)

    @property
    def bound(self) -> dict[str, Any]:
        """The values of the parameters that the statement has."""
        return {parameter.name: self.values[parameter.name] for parameter in self.parameters}

    @property
    def in_sql(self) -> tuple[Passage, ...]:
        """Where `sql` has what a person wrote."""
        return moved(self.passages, len(self._head.encode()))

    @property
    def in_total(self) -> tuple[Passage, ...]:
        """Where `total` has what a person wrote."""
        return moved(self.page.passages if self.page is not None else (), len(self._head.encode()))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the reader of the answer should know, with a line for each join."""
        return (*self.notes, *(report.line for report in self.reports))

    @property
    def text(self) -> str:
        """The complete statement with its values written in; it gives the same rows in any DuckDB session."""
        return self._wrapped(self.own)

    @property
    def own(self) -> str:
        """The body with its values written in: the complete statement without the scope."""
        body = self.body.encode()
        for parameter in sorted(self.parameters, key=lambda parameter: parameter.start, reverse=True):
            value = literal(self.values[parameter.name]).encode()
            body = body[: parameter.start] + value + body[parameter.start + parameter.length :]
        return body.decode()

    @property
    def _head(self) -> str:
        every = "*" if self.left_out is None else f"* EXCLUDE ({identifier(self.left_out)})"
        return (f"WITH {self.scope}\n" if self.scope else "") + f"SELECT {every} FROM (\n"

    def _wrapped(self, body: str) -> str:
        # The line breaks keep a comment at the body's end from swallowing the bracket.
        return f"{self._head}{body}\n)"
