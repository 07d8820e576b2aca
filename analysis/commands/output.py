"""Where an answer goes: rows to stdout or a file, everything else to stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from secondguess.analysis.answers import files
from secondguess.analysis.answers.answer import MOST_BARS, Answer, Row
from secondguess.analysis.commands import progress
from secondguess.analysis.commands.texts import with_texts
from secondguess.analysis.console import readable, say, shortened
from secondguess.analysis.engine import engines
from secondguess.analysis.engine.duck import Build, Rows, answered, bind
from secondguess.analysis.engine.engines import DUCKDB, Engine
from secondguess.analysis.engine.kinds import kind_of_sql
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import BadInput, MissingExtra, listing
from secondguess.analysis.objects.httpfs import before
from secondguess.analysis.schema import MOST_MARKS, is_score, own_name
from secondguess.analysis.store.verified import every_file

_LONGEST_CLASS = 24  # characters of a class in a note


@dataclass(frozen=True)
class OutputOptions:
    """How to give an answer: form is table, json, csv, markdown or None; rows the most a table draws.

    spreadsheet is for csv: no text in it is a formula to a spreadsheet. seconds is how long it may take. verify reads
    large files too for their digests. engine is what runs the statement, and master where Spark does.

    report is a file for what joins did, as JSON; chart one for the answer's chart, .svg, .png or .html.
    """

    form: str | None = None
    file: Path | None = None
    show_sql: bool = False
    rows: int = 50
    report: Path | None = None
    chart: Path | None = None
    spreadsheet: bool = False
    seconds: float | None = None
    verify: bool = False
    engine: str = "duckdb"
    master: str | None = None


def give(build: Build, store: Path, options: OutputOptions) -> None:
    """Answer on stdout, or in a file; the SQL, notes and what was left out go to stderr. Raises SecondguessError."""
    engine = engines.opened(options.engine, options.master)
    with every_file(options.verify), watching(options.seconds) as watch:
        _give(watch, engine, watch.over(build), store, options)


@dataclass(frozen=True)
class Watch:
    """What is seen and bounded of statements: over wraps each build of one, unseen ends that it is seen."""

    over: Callable[[Build], Build]
    unseen: Callable[[], None]


@contextmanager
def watching(seconds: float | None, **said: Any) -> Iterator[Watch]:
    """A watch over what is answered in the block: all within so many seconds (None: any), seen on a terminal."""
    with progress.answering() as (seen, unseen):
        if seconds is None:
            yield Watch(seen, unseen)
            return
        from secondguess.analysis.commands.time_limit import within

        with within(seconds, **said) as limited:
            yield Watch(lambda build: limited(seen(build)), unseen)


def _give(watch: Watch, engine: Engine, build: Build, store: Path, options: OutputOptions) -> None:
    form = files.format_of(options.file, options.form) if options.file is not None else options.form or "table"
    if form == "parquet" and options.file is None:
        raise BadInput("Parquet is no text; name a file for it, as in -o answer.parquet")
    if options.spreadsheet and form != "csv":
        raise BadInput(f"--spreadsheet is for CSV, and this is {form}; add --format csv, or -o FILE.csv")
    given = [file for file in (options.file, options.report, options.chart) if file is not None]
    if len({file.resolve() for file in given}) < len(given):
        raise BadInput(f"{given[0]} would be written twice; give each thing a file of its own")
    beside = [files.folder(options.file)] if options.file is not None else []
    for file in (*given, *beside):
        if file.resolve().is_relative_to(store.resolve()):
            raise BadInput(f"{file} lies in the store, which only recording writes to; name a file outside {store}")
    if form == "parquet" and options.file is not None:
        with answered(build, engine.batches) as (statement, reader):
            _tell(statement, options)
            with files.replaced(options.file) as part:
                count = files.write_parquet(reader, part)
            watch.unseen()
            _say(f"{_comment(options)}wrote {_rows(count)} to {options.file}")
        return
    with answered(build, engine.page) as (statement, (result, total)):
        answer = _answer(result, statement)
        if options.chart is not None:
            answer = _charted(answer, options.chart, build, engine)
        if options.file is None:
            watch.unseen()  # rows are written between
        _tell(statement, options, answer.columns)
        if options.file is not None:
            with files.replaced(options.file) as part, part.open("w", encoding="utf-8", newline="") as out:
                count = files.write_text(
                    files.beside(options.file, form, answer), form, out, spreadsheet=options.spreadsheet
                )
            watch.unseen()
            some = "" if total is None or total == count else f" ({_part(count, total, statement)})"
            _say(f"{_comment(options)}wrote {_rows(count)} to {options.file}{some}")
        elif form == "table":
            _to_terminal(with_texts(answer, store, options.rows), options, total, statement)
        else:
            count = files.write_text(answer, form, readable(sys.stdout), spreadsheet=options.spreadsheet)
            if total is not None and total > count:
                _say(_comment(options) + _part(count, total, statement))


def _charted(answer: Answer, path: Path, build: Build, engine: Engine) -> Answer:
    """Draw the answer's chart into a file; the rows, which were read for it, are given back."""
    try:
        from secondguess.analysis.answers import charts
        from secondguess.analysis.ask import charted
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name}, which charts need,", "view") from None
    read = iter(answer.rows)
    first = list(islice(read, MOST_MARKS + 1))
    drawn, said = replace(answer, rows=first), ""
    how = charted.charted(answer.drawn, answer.columns, answer.order) if len(first) > MOST_MARKS else None
    if how is not None:  # a chart is of all rows
        with answered(lambda con: charted.of_chart(build(con), how), engine.rows) as (_, result):
            drawn, said = replace(answer, columns=result.columns, rows=list(result.rows)), how.said
    made = charts.chart(drawn, said=said)
    if made is None:
        raise BadInput(f"this answer {charts.NO_CHART}")
    with files.replaced(path) as part:
        charts.write(made, part, path.suffix)
    _say(f"drew {path}")
    return replace(answer, rows=chain(first, read))


def running(watch: Watch, engine: Engine = DUCKDB) -> Callable[[Build], tuple[Statement, list[Row]]]:
    """What runs each statement under a watch, and gives all its rows; raises SecondguessError."""
    return lambda build: ran(watch.over(build), engine)


def ran(build: Build, engine: Engine = DUCKDB) -> tuple[Statement, list[Row]]:
    """Run a statement that `build` makes and give all its rows; raises SecondguessError."""
    with answered(build, engine.rows) as (statement, result):
        return statement, list(result.rows)


def check(build: Build) -> None:
    """Make a statement and bind it, without an answer; raises SecondguessError for what is wrong with it."""
    with answered(build, bind):
        pass


def _tell(statement: Statement, options: OutputOptions, columns: Sequence[str] = ()) -> None:
    """Say what the reader of the answer should know; as comments where SQL is shown, which can be pasted with them."""
    notes = list(dict.fromkeys(statement.remarks))
    drawn = options.form in (None, "table") and options.file is None
    named = drawn and len(statement.classes) > MOST_BARS  # beside the highest scores
    if (
        not named
        and any(is_score(own_name(name, statement.sides)[0]) for name in columns)
        and not all(map(str.isdigit, statement.classes))
    ):
        names = [shortened(name, _LONGEST_CLASS) for name in statement.classes]
        notes.append(f"score_0, score_1, … are the scores of: {listing(names)}")
    if options.show_sql:
        show_sql(statement.text, statement.files)
    for note in notes:
        _say(_comment(options) + " ".join(note.splitlines()))
    if options.report is not None:
        with files.replaced(options.report) as part:
            reports = [report.as_dict() for report in statement.reports]
            part.write_text(json.dumps(reports, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def show_sql(text: str, paths: Iterable[Path]) -> None:
    """Print a statement on stderr; where its files lie in a bucket, before it what another DuckDB is to be told."""
    for line in before(paths):
        print(f"-- first, in another DuckDB: {line}", file=readable(sys.stderr))
    print(text + ";", file=readable(sys.stderr))


def _answer(result: Rows, statement: Statement) -> Answer:
    return Answer(
        columns=result.columns,
        numeric=[kind_of_sql(kind) == "number" for kind in result.types],
        rows=result.rows,
        drawn=statement.drawn,
        order=statement.order,
        classes=statement.classes,
        sides=statement.sides,
    )


def _comment(options: OutputOptions) -> str:
    """What begins a line on stderr that may be pasted together with shown SQL."""
    return "-- " if options.show_sql else ""


def _to_terminal(answer: Answer, options: OutputOptions, total: int | None, statement: Statement) -> None:
    from secondguess.analysis.answers.terminal import terminal

    drawn = terminal(answer, sys.stdout, options.rows)
    before = _comment(options)
    if drawn.hidden and drawn.total:
        left_out = f"{len(drawn.hidden)} column{'' if len(drawn.hidden) == 1 else 's'}"
        hidden = f"{left_out} too wide for {drawn.width} characters: {listing(drawn.hidden)}"
        _say(f"{before}{hidden}; --format csv writes all")
    if total is not None:
        _say(before + _part(drawn.shown, total, statement))
    elif drawn.total > drawn.shown:
        _say(
            f"{before}{drawn.shown:,} of {_rows(drawn.total)}; --rows {drawn.total} draws all, --format csv writes all"
        )
    else:
        _say(before + _rows(drawn.total))


def _part(shown: int, total: int, statement: Statement) -> str:
    """Which rows of how many a page shows, and how to see the next ones."""
    offset = statement.page.offset if statement.page is not None else 0
    if shown == total:
        return _rows(total)
    if not shown:
        return f"no rows after the first {offset:,}; there are {total:,}"
    after = f"; --offset {offset + shown} shows what follows" if offset + shown < total else ""
    return f"rows {offset + 1:,} to {offset + shown:,} of {total:,}{after}"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _say(text: str) -> None:
    say(text, err=True)
