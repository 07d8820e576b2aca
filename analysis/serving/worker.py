"""A process that answers a server's questions: it can be killed at any moment, and nothing else is lost."""

import errno
import resource
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any

import duckdb

from secondguess.analysis.answers import files
from secondguess.analysis.answers.answer import Answer, TableAt
from secondguess.analysis.ask import questions, statements, sweep
from secondguess.analysis.ask.charted import of_chart
from secondguess.analysis.ask.overview import overview
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.engine import duck
from secondguess.analysis.engine.duck import Build, answered
from secondguess.analysis.engine.kinds import kind_of_sql
from secondguess.analysis.engine.statement import JoinReport, Statement
from secondguess.analysis.errors import BadInput, OutOfMemory, SecondguessError, listing
from secondguess.analysis.evidence import several
from secondguess.analysis.evidence.ledger import Comparison
from secondguess.analysis.memory import mapped_bytes, resident_bytes
from secondguess.analysis.schema import LEVEL
from secondguess.analysis.serving import bounds
from secondguess.analysis.serving.bounds import PAGE, Bounds, Taken
from secondguess.analysis.store.runs import Run
from secondguess.analysis.tables import best, heads, select
from secondguess.analysis.tables.usual import usual
from secondguess.analysis.tables.view import TableView

_EXPORTED = 1 << 30  # bytes of a file
_UNSAID = 1 << 30  # what this process is taken to have where the system does not say it
_ROOM = 1 << 30  # address space for what is mapped and not used: arenas, stacks, pyarrow's pool


@dataclass(frozen=True)
class Asked:
    """What is asked: how is table, head, best, runs, overview, question, chart, sql, compare or export; what, of which.

    runs are those of the store, where the page has listed them. Where only names some, it is asked of these alone, in
    this order; a process is sent those of them that it does not have. number tells it from the questions before.
    bounds are those of the answer, most its rows, the first of them left out as offset says. Where there are more rows
    than it holds they are counted, if the first came within so many seconds of counting.
    """

    how: str
    store: Path
    what: Any = None
    refs: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    most: int = bounds.MOST_ROWS
    runs: Runs | None = None
    only: tuple[str, ...] = ()
    number: int = 0
    bounds: Bounds = PAGE
    offset: int = 0
    counting: float = 0


@dataclass(frozen=True)
class Reply:
    """An answer: rows with their columns and SQL types, the statement, and what its reader should know.

    total is the number of rows of which these are a part, None where it is not known; more says that rows were left
    out since there were more than a page takes. seconds is the time the answer took in this process. sides is how many
    tables stand side by side in it; own the part of the statement that is not its scope; verdicts as of the statement.
    comparison is the answer where two tables are compared.
    """

    columns: Sequence[str]
    types: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    total: int | None
    more: bool
    sql: str
    notes: tuple[str, ...]
    reports: tuple[JoinReport, ...]
    classes: tuple[str, ...]
    order: tuple[TableAt, ...]
    seconds: float
    sides: int = 1
    own: str = ""
    verdicts: bool = False
    comparison: Comparison | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the reader of the answer should know, with a line for each join."""
        return (*self.notes, *(report.line for report in self.reports))


@dataclass
class _Now:
    """The question that is being answered, and its connection: what another thread may interrupt."""

    con: duckdb.DuckDBPyConnection
    number: int = 0


def serve(pipe: Connection, stops: Connection, memory: str) -> None:
    """Answer what comes through the pipe, until it closes: a Reply, or the SecondguessError that it raised.

    The number of a question that comes through `stops` ends that question, if it is the one being answered.
    """
    with suppress(BrokenPipeError):  # whoever asked has ended
        _serve(pipe, stops, memory)


def _interrupted(stops: Connection, now: _Now) -> None:
    """Interrupt questions that nobody waits for any more, until the pipe closes."""
    with suppress(EOFError, OSError):
        while True:
            if stops.recv() == now.number:
                with suppress(duckdb.Error):  # it was answered just now
                    now.con.interrupt()


def _serve(pipe: Connection, stops: Connection, memory: str) -> None:
    con = duck.fresh(memory)
    bound = limited(duck.memory_of(con))
    now = _Now(con)
    Thread(target=_interrupted, args=(stops, now), daemon=True).start()
    pipe.send(bound)  # it takes questions now; what it took to begin is no question's time
    held: dict[str, Run] = {}  # as they were sent last
    while True:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        held.update(asked.runs or {})
        runs = None if asked.runs is None else {name: held[name] for name in asked.only}
        now.number = asked.number
        try:
            answer: Reply | SecondguessError = _answer(replace(asked, runs=runs), memory, con)
        except (OutOfMemory, duckdb.OutOfMemoryException, MemoryError):
            answer = too_much(memory)
        except SecondguessError as error:
            answer = error
        except OSError as error:  # of a file that is exported
            answer = _not_exported(error)
        now.number = 0
        pipe.send(answer)
        con.close()
        con = now.con = duck.fresh(memory)  # while nobody waits: no question finds what another left


def too_much(memory: str) -> SecondguessError:
    """What is said of a question that takes more memory than it may."""
    return SecondguessError(
        f"this takes more than {memory} of memory; filter more, use the command line, or start this with --memory"
    )


def limited(memory: int) -> int:
    """Let this process take so many bytes beside what it has, by the system's own limit where there is one.

    DuckDB's own limit knows nothing of what functions such as repeat make. Returns the most bytes that it has in memory
    when it keeps to its limits: those of before, of the question, and a quarter more for the rows it gives.
    """
    space = (mapped_bytes() or _UNSAID) + memory * 5 // 4 + _ROOM
    for kind, most in ((resource.RLIMIT_FSIZE, _EXPORTED), (resource.RLIMIT_AS, space)):
        hard = resource.getrlimit(kind)[1]
        with suppress(OSError, ValueError):  # a system that does not know it, or has less
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    return (resident_bytes() or _UNSAID) + memory * 5 // 4 + (_ROOM >> 2)


def _answer(asked: Asked, memory: str, con: duckdb.DuckDBPyConnection) -> Reply:
    if asked.how == "export":
        return _exported(asked, memory)
    if asked.how == "compare":
        return _compared(asked, memory, con)
    began = perf_counter()
    notes: list[str] = []
    start = partial(_taken, asked=asked, began=began)
    with answered(_anew(asked, notes), start, memory, con) as (statement, (taken, total)):
        return Reply(
            columns=tuple(taken.columns),
            types=tuple(taken.types),
            rows=taken.rows,
            total=total if total is not None or taken.more else _all(asked, len(taken.rows)),
            more=taken.more,
            sql=statement.text,
            notes=(*statement.notes, *notes, *taken.notes),
            reports=statement.reports,
            classes=statement.classes,
            verdicts=statement.verdicts,
            order=statement.order,
            seconds=perf_counter() - began,
            sides=statement.sides,
            own=statement.own,
        )


def _compared(asked: Asked, memory: str, con: duckdb.DuckDBPyConnection) -> Reply:
    """Two tables compared; with the option floor, beside what the runs that it names differ by."""
    unused = [con]  # which is locked by its first statement to that one's files

    def run(build: Build) -> tuple[Statement, list[tuple[Any, ...]]]:
        with answered(build, duck.rows, memory, unused.pop() if unused else None) as (statement, found):
            return statement, list(found.rows)

    began = perf_counter()
    floor = [text for text in [asked.options.get("floor")] if text]
    by, level = asked.options.get("by"), asked.options.get("level", LEVEL)
    pairs = several.compared(run, asked.store, asked.refs, by=by, level=level, floor=floor)
    if len(pairs) != 1:
        raise BadInput(f"{listing(asked.refs)} are more than two tables; name two, or use `secondguess compare`")
    made = pairs[0]
    reports = () if made.report is None else (made.report,)
    notes = tuple(note for note in made.notes if all(note != report.line for report in reports))
    answer = Reply((), (), (), None, False, made.sql, notes, reports, (), (), perf_counter() - began)
    return replace(answer, own=made.question, comparison=made)


def _taken(
    con: duckdb.DuckDBPyConnection, statement: Statement, asked: Asked, began: float
) -> tuple[Taken, int | None]:
    """The rows of a statement as far as an answer holds them, and how many there are where they may be a part."""
    read = duck.rows(con, statement, bounds.at_once)
    if asked.offset:
        read = replace(read, rows=islice(read.rows, asked.offset, None))
    taken = bounds.take(read, asked.most, asked.bounds, statement.sides)
    total = duck.total(con, statement, len(taken.rows), more=taken.more)
    if total is None and (taken.more or (asked.offset and not taken.rows)) and perf_counter() - began < asked.counting:
        ((total,),) = con.execute(f"SELECT count(*) FROM ({statement.sql})", statement.bound).fetchall()
    return taken, total


def _all(asked: Asked, rows: int) -> int | None:
    """How many rows there are where these were the last; None where they begin behind the last."""
    return None if asked.offset and not rows else asked.offset + rows


def _exported(asked: Asked, memory: str) -> Reply:
    """Write every row of a view, or of a person's SQL, to a file; of images, text formats get none."""
    path, form = Path(asked.options["path"]), asked.options["form"]
    if isinstance(asked.what, TableView):
        build: Build = partial(select.statement, store=asked.store, view=asked.what)
    else:
        build = _free(asked)
    if form == "parquet":
        with answered(build, duck.batches, memory) as (_, reader):
            count = files.write_parquet(reader, path)
    else:
        start = partial(duck.rows, at_once=bounds.at_once)
        with answered(build, start, memory) as (_, rows), path.open("w", encoding="utf-8", newline="") as out:
            numeric = [kind_of_sql(kind) == "number" for kind in rows.types]
            count = files.write_text(Answer(rows.columns, numeric, rows.rows), form, out)
    return Reply((), (), (), count, False, "", (), (), (), (), 0)


def _not_exported(error: OSError) -> SecondguessError:
    if error.errno == errno.EFBIG or "File too large" in str(error):
        limit = f"an export from the page has at most {_EXPORTED >> 30} GB"
        return BadInput(f"{limit}, so nothing was sent; filter more, or export with the command line: -o FILE")
    return SecondguessError(f"the file cannot be written: {error.strerror or error}")


def _anew(asked: Asked, notes: list[str]) -> Build:
    """Make the statement of the runs that the page has listed; again, of those there are then, where files are gone."""
    known = iter([asked.runs])

    def attempt(con: duckdb.DuckDBPyConnection) -> Statement:
        notes.clear()
        return _build(replace(asked, runs=next(known, None)), notes)(con)

    return attempt


def _build(asked: Asked, notes: list[str]) -> Build:
    """What makes the statement; notes gets what of the question is left out."""
    if asked.how == "table":
        view: TableView = asked.what
        if view.limit is not None and view.limit > asked.most:
            notes.append(f"{asked.bounds.of} has at most {asked.most:,} rows, not the {view.limit:,} of its address")
            view = replace(view, limit=asked.most)
        if view.columns is not None:
            view = replace(view, columns=tuple(_few(view.columns, notes, asked.bounds)))

        def chosen(own: Sequence[str], others: Sequence[str]) -> Sequence[str]:
            if not asked.options.get("images", True):
                others = [name for name in others if name != "image"]
            return _few(usual(view, own, others, scores=asked.options.get("scores", True)), notes, asked.bounds)

        return partial(select.statement, store=asked.store, view=view, usual=chosen, known=asked.runs)
    if asked.how == "head":
        return partial(_head, asked=asked)
    if asked.how == "best":
        return partial(best.statement, store=asked.store, view=asked.what, keys=asked.options["keys"], known=asked.runs)
    if asked.how == "question":
        question = questions.find(asked.store, asked.what)
        build = partial(statements.question, store=asked.store, asked=question, known=asked.runs)
        return partial(build, refs=asked.refs, given=asked.options)
    if asked.how == "overview":
        return lambda con: overview(asked.store)
    if asked.how == "runs":
        rows, conditions = asked.what
        return partial(sweep.filtering, rows=rows, conditions=conditions)
    if asked.how == "chart":
        name, charted = asked.what
        build = partial(statements.question, store=asked.store, asked=questions.find(asked.store, name))
        build = partial(build, refs=asked.refs, given=asked.options, known=asked.runs)
        return lambda con: of_chart(build(con), charted)
    return _free(asked)


def _free(asked: Asked) -> Build:
    """What makes the statement of a person's SQL, its rows sorted as the option sort says."""
    sort = [text for text in [asked.options.get("sort")] if text]
    return partial(statements.sql, store=asked.store, text=asked.what, known=asked.runs, sort=sort)


def _head(con: duckdb.DuckDBPyConnection, asked: Asked) -> Statement:
    """What makes the statement of a column's head: its bins, where the option edges has some, or its values."""
    column, edges = asked.options["column"], asked.options.get("edges")
    view = heads.binned(con, asked.what, column, edges) if edges else heads.listed(con, asked.what, column)
    return select.statement(con, asked.store, view, known=asked.runs)


def _few(columns: Sequence[str], notes: list[str], most: Bounds) -> Sequence[str]:
    """As many of a view's columns as are shown."""
    if said := bounds.columns_said(len(columns), "name others under Columns", most):
        notes[:] = [*(note for note in notes if note != said), said]  # a compaction makes the statement anew
    return columns[: most.columns]
