"""The tools: what each is for, what it takes, and its answer; what an agent did wrong is said, with what there is."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from secondguess.analysis.agents import arguments as takes
from secondguess.analysis.agents import example, told
from secondguess.analysis.agents.arguments import Arguments
from secondguess.analysis.agents.desk import Desk
from secondguess.analysis.agents.example import Picture
from secondguess.analysis.ask import questions
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.errors import AlreadyThere, BadInput, listing, meant
from secondguess.analysis.schema import COMPUTED
from secondguess.analysis.tables import saved
from secondguess.analysis.tables.spelling import spelled

Answer = tuple[dict[str, Any], Picture | None]
_MOST_QUESTIONS = 100
_MOST_GROUPS = 20  # classes and pairs of a comparison
_ABOUT_COMPUTED = {
    "wrong": "true for an error, false for a right guess, NULL without a label",
    "at_step": "the step of the validation within its epoch, NULL at the end of one",
    "other_score": "the highest score of a class that is not the truth",
    "truth_rank": "1 where the truth has the highest score",
    "brier_score": "the sum of squared differences of scores and truth",
    "scores": "all scores as a list",
}
_OF_RUN = (
    'SELECT run, state, table_name AS "table", validations AS epochs, rows, errors, unlabelled, origin, created, '
    "config FROM runs WHERE "
)
_OF_TABLES = """SELECT run, table_name AS "table", validations[1] AS first, validations[-1] AS last,
len(validations) AS validations, rows[-1] AS rows_at_last, errors[-1] AS errors_at_last,
list_min(errors) AS errors_at_best
FROM runs WHERE table_name IS NOT NULL"""


@dataclass(frozen=True)
class Tool:
    """A tool: its name, what it is for, what it takes, and what gives its answer."""

    name: str
    about: str
    arguments: type[Arguments]
    answer: Callable[[Desk, Any], Awaitable[Answer]]
    writes: bool = False

    async def call(self, desk: Desk, given: Mapping[str, Any]) -> Answer:
        """The answer; null is as left out. Raises SecondguessError, BadInput for what it does not take."""
        try:
            read = self.arguments.model_validate({name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise BadInput(self._said(error)) from None
        return await self.answer(desk, read)

    def _said(self, error: ValidationError) -> str:
        """What is wrong with arguments, each in its words, and which there are."""
        known = list(self.arguments.model_fields)
        faults = []
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            name = ".".join(map(str, fault["loc"]))
            unknown = fault["type"] == "extra_forbidden"
            faults.append(f"no argument {name!r}{meant(name, known)}" if unknown else f"{name}: {fault['msg']}")
        return f"{self.name}: {listing(faults, 5)}; it takes: {listing(known, 30)}"


async def _runs(desk: Desk, given: takes.Runs) -> Answer:
    if given.run is None:
        reply = await desk.ask("overview", most=given.limit, offset=given.offset)
    else:
        reply = await desk.ask("sql", _OF_RUN + await desk.known_run(given.run), most=given.limit, offset=given.offset)
    return told.rows_told(reply, given.offset, sql=given.show_sql), None


async def _tables(desk: Desk, given: takes.Tables) -> Answer:
    where = "" if given.run is None else f" AND {await desk.known_run(given.run)}"
    reply = await desk.ask("sql", f"{_OF_TABLES}{where} ORDER BY ALL", most=given.limit, offset=given.offset)
    return told.rows_told(reply, given.offset, sql=given.show_sql), None


async def _schema(desk: Desk, given: takes.Schema) -> Answer:
    scores = "'score_[0-9]+'"
    names = f"SELECT COLUMNS(lambda name: NOT regexp_full_match(name, {scores})) FROM {identifier(given.table)} LIMIT 0"
    own = await desk.ask("sql", names)
    every = await desk.ask("sql", f"SELECT * FROM {identifier(given.table)} LIMIT 0")
    answer: dict[str, Any] = {
        "said": f"{given.table} has {len(own.columns)} columns",
        "columns": list(own.columns),
        "types": [str(kind) for kind in own.types],
        "notes": list(own.notes),
    }
    if given.table.casefold() not in takes.NO_PREDICTIONS:
        answer["computed"] = {name: _ABOUT_COMPUTED[name] for name in COMPUTED}
    if every.classes:
        classes, notes = told.shortened_list(every.classes, 200, "classes", None)
        answer["said"] += f" besides score_0 … score_{len(every.classes) - 1}: score_i is that of the i-th of classes"
        answer |= {"classes": classes, "notes": [*answer["notes"], *notes]}
    return answer, None


async def _ask(desk: Desk, given: takes.Ask) -> Answer:
    if given.question is None and (given.tables or given.options or given.where or given.sort):
        raise BadInput("ask: name the question, as in question: errors; with no argument ask lists them all")
    if given.question is None:
        return await asyncio.to_thread(_questions, desk), None
    options = {**given.options, **{name: tuple(value) for name in ("where", "sort") if (value := getattr(given, name))}}
    how = {"refs": tuple(given.tables), "options": options, "most": given.limit, "offset": given.offset}
    reply = await desk.ask("question", given.question, **how)
    return told.rows_told(reply, given.offset, sql=given.show_sql), None


def _questions(desk: Desk) -> dict[str, Any]:
    """The questions with their options; of one that cannot be asked, why."""
    names, notes = told.shortened_list(
        questions.names(desk.store), _MOST_QUESTIONS, "questions", "`secondguess ask` on the command line lists all"
    )
    every = []
    for name in names:
        try:
            about = questions.find(desk.store, name).told()
        except BadInput as fault:
            every.append({"name": name, "fault": str(fault)})
            continue
        every.append({key: about[key] for key in ("name", "help", "tables", "tasks", "epochs", "options")})
    said = f"{len(every)} questions; tables is how many are named, at least and at most"
    return {"said": said, "notes": notes, "questions": every}


async def _table(desk: Desk, given: takes.Table) -> Answer:
    base = None if given.saved is None else await asyncio.to_thread(saved.load, desk.store, given.saved)
    page = {"limit": given.limit, "offset": given.offset}
    view = spelled({**given.model_dump(exclude={"saved", "show_sql", "limit", "offset"}), **page}, base)
    reply = await desk.ask("table", view, most=told.AGENTS.rows, options={"images": False})
    return told.rows_told(reply, given.offset, sql=given.show_sql), None


async def _sql(desk: Desk, given: takes.Sql) -> Answer:
    reply = await desk.ask("sql", given.query, most=given.limit, offset=given.offset)
    return told.rows_told(reply, given.offset, sql=given.show_sql), None


async def _compare(desk: Desk, given: takes.Compare) -> Answer:
    from secondguess.analysis.answers.comparison import lines

    options = {"by": given.by, "level": given.level}
    reply = await desk.ask("compare", refs=(given.a, given.b), options=options)
    if reply.comparison is None:
        raise BadInput(f"{given.a} and {given.b} cannot be compared")
    answer = told.plain(reply.comparison.as_dict())
    for name in ("classes", "pairs", "by"):
        answer[name], notes = told.shortened_list(answer[name], _MOST_GROUPS, name)
        answer["notes"] += notes
    return {"said": "; ".join(lines(reply.comparison)), **answer}, None


async def _save(desk: Desk, given: takes.Save) -> Answer:
    view = spelled(given.model_dump(exclude={"name"}))
    await desk.ask("table", spelled({**given.model_dump(exclude={"name"}), "limit": 1}))  # what cannot be shown
    try:
        path = await asyncio.to_thread(saved.save, desk.store, given.name, view)
    except AlreadyThere:
        raise AlreadyThere(f"view {given.name!r} exists already, and none is replaced; choose another name") from None
    return {"said": f"saved in {path}; table shows it with saved: {given.name}", "view": view.as_dict()}, None


TOOLS = (
    Tool(
        "runs",
        "List the runs (trainings) of the store: epochs, fewest errors of an epoch and which, percent wrong, what of "
        "the config differs. With run, that one's whole config, rows and errors per epoch. Begin here.",
        takes.Runs,
        _runs,
    ),
    Tool(
        "tables",
        "List the prediction tables: first and last epoch, rows, errors. A table is named RUN[/TABLE][@EPOCH] in every "
        "other tool, such as cnn@5, cnn@best, cnn/train_predictions@last.",
        takes.Tables,
        _tables,
    ),
    Tool(
        "schema",
        "List a table's columns with SQL types, the computed columns that SQL and filters may name, and class names.",
        takes.Schema,
        _schema,
    ),
    Tool(
        "ask",
        "Answer a ready-made question about tables: errors, errors-by-guess, confusion, classification (precision, "
        "recall, F1), calibration, disagreements and ledger (two tables), errors-over-time, dynamics and more. Without "
        "question, lists all of them with their options.",
        takes.Ask,
        _ask,
    ),
    Tool(
        "table",
        "Show rows of tables: filter (where), group and aggregate, sort, choose columns, join, page through. The most "
        "confident errors of a run: tables [cnn@last], where [wrong], sort [-confidence].",
        takes.Table,
        _table,
    ),
    Tool(
        "sql",
        'Run one SELECT in DuckDB\'s SQL over the tables, such as SELECT truth, count(*) AS n FROM "cnn@5" WHERE wrong '
        "GROUP BY truth ORDER BY n DESC. Nothing else is run; no file is read or written.",
        takes.Sql,
        _sql,
    ),
    Tool(
        "compare",
        "Say which of two tables errs less on the examples that both have, if that can be told from chance: accuracies "
        "with intervals, McNemar's test, how many were fixed and broken, by class.",
        takes.Compare,
        _compare,
    ),
    Tool(
        "example",
        "Show one example: its image or text, and what every run and epoch said of it.",
        takes.Example,
        example.answer,
    ),
    Tool(
        "save_view",
        "Save a table view under a name, for people: it is on the page, and `secondguess table --saved NAME` shows it.",
        takes.Save,
        _save,
        writes=True,
    ),
)


def tools(*, writes: bool) -> dict[str, Tool]:
    """The tools that an agent has, by name; those that write only where that is given."""
    return {tool.name: tool for tool in TOOLS if writes or not tool.writes}
