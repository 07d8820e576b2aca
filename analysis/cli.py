"""The command line: parse, call, render."""

import io
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from secondguess.analysis import signals
from secondguess.analysis.ask import questions
from secondguess.analysis.ask.questions import Question
from secondguess.analysis.commands import help
from secondguess.analysis.commands.options import STORE, answering, store_among
from secondguess.analysis.console import readable, say, told
from secondguess.analysis.errors import BadInput, MissingExtra, NotFound, SecondguessError

if TYPE_CHECKING:
    from secondguess.analysis.engine.duck import Build

# Which extra brings what a command needs that is loaded on use.
_EXTRAS = {
    "demo": "",
    "train": "train",
    "import": "wandb",
    "label": "",
    "note": "",
    "publish": "wandb",
    "table": "",
    "save": "",
    "view": "",
    "compare": "",
    "gate": "",
    "check": "",
    "export": "",
    "rm": "",
    "mcp": "mcp",
    "skill": "",
    "completion": "",
}
_ORDER = (
    "demo",
    "train",
    "import",
    "label",
    "note",
    "publish",
    "runs",
    "ask",
    "compare",
    "gate",
    "table",
    "save",
    "sql",
    "view",
    "export",
    "mcp",
    "skill",
    "check",
    "rm",
    "completion",
)


# What every question takes besides its own options.
_NARROWING = {
    "where": "Keep the answer's rows for which this is true; of several, all.",
    "sort": "Sort the answer's rows by these expressions; with - before one, largest first.",
}


class Commands(click.Group):
    """The commands, with those that live outside this package imported only when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, in the order a person meets them."""
        return [*_ORDER, *(name for name in (*_EXTRAS, *self.commands) if name not in _ORDER)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _EXTRAS:
            return super().get_command(ctx, cmd_name)
        try:
            return _elsewhere(cmd_name)
        except ModuleNotFoundError as error:
            raise MissingExtra(f"{error.name}, which `secondguess {cmd_name}` needs,", _EXTRAS[cmd_name]) from None


def _elsewhere(name: str) -> click.Command:
    """A command that is loaded on use: the trainer needs packages that asking does not, importing needs no DuckDB."""
    if name == "demo":
        from secondguess.analysis.commands.demo import demo

        return demo
    if name == "train":
        from secondguess.trainer.command import train

        return train
    if name == "publish":
        from secondguess.trainer.mirror.command import publish

        return publish
    if name == "import":
        from secondguess.analysis.commands.import_ import import_

        return import_
    if name == "label":
        from secondguess.analysis.commands.label import label

        return label
    if name == "note":
        from secondguess.analysis.commands.note import note

        return note
    if name == "view":
        from secondguess.analysis.commands.view import view

        return view
    if name == "mcp":
        from secondguess.analysis.commands.mcp import mcp

        return mcp
    if name == "skill":
        from secondguess.analysis.commands.skill import skill

        return skill
    if name == "compare":
        from secondguess.analysis.commands.compare import compare

        return compare
    if name == "gate":
        from secondguess.analysis.commands.gate import gate

        return gate
    if name == "check":
        from secondguess.analysis.commands.check import check

        return check
    if name == "export":
        from secondguess.analysis.commands.export import export

        return export
    if name == "rm":
        from secondguess.analysis.commands.rm import rm

        return rm
    if name == "completion":
        from secondguess.analysis.commands.completion import completion

        return completion
    from secondguess.analysis.commands import table

    return table.save if name == "save" else table.table


class Questions(click.Group):
    """`ask`: one command per question, the store's own questions among them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the store that the arguments name, before they are parsed: it may bring questions of its own."""
        ctx.obj = store_among(args)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command of the question that the arguments begin with."""
        if not args[0].startswith("-"):
            questions.find(ctx.obj, args[0])
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The questions' names."""
        return questions.names(ctx.obj)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command that asks the question of that name; where its file is no question, its help says why."""
        try:
            return _question_command(questions.find(ctx.obj, cmd_name))
        except NotFound:
            return None
        except BadInput as fault:
            return click.Command(cmd_name, help=f"Cannot be asked: {fault}")


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="secondguess", message="%(package)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Second-guess your model: ask what it got wrong, how that changed, and which of two models to trust."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@cli.command()
@answering(engine=False)
@click.option("--wide", is_flag=True, help="Draw all that is known: rows and errors per epoch, origin, config.")
def runs(store: Path, wide: bool, **how: Any) -> None:
    """List the runs: state, epochs, the best one with its share of errors, and what of the config differs.

    Files and formats other than a table have it all, as --wide does.
    """
    if wide or how["file"] is not None or how["form"] not in (None, "table"):
        from secondguess.analysis.ask.statements import runs_statement

        _answer(lambda con: runs_statement(store.absolute()), store, **how)
        return
    from secondguess.analysis.ask.overview import overview

    _answer(lambda con: overview(store.absolute()), store, **how)


@cli.group(
    cls=Questions, invoke_without_command=True, short_help="Ask a question of tables; alone, list the questions."
)
@STORE
@click.option("--format", "form", type=click.Choice(["table", "json"]), help="How to list the questions.")
@click.pass_context
def ask(ctx: click.Context, store: Path, form: str | None) -> None:
    """Ask a question about tables named RUN[/TABLE][@EPOCH], as in cnn@5; without one, list the questions.

    EPOCH is a number, last, best (fewest errors) or all. SQL files in the store's folder `questions` are questions too.
    """
    if ctx.invoked_subcommand is not None:
        if form is not None:
            name = ctx.invoked_subcommand
            raise BadInput(f"--format before {name} is how questions are listed; write ask {name} … --format {form}")
    elif form == "json":
        _list_as_json(store)
    else:
        known = {name: ask.get_command(ctx, name) for name in ask.list_commands(ctx)}
        width = max(map(len, known))
        for name, command in known.items():
            say(f"{name:<{width}}  {command.short_help or command.help if command is not None else ''}")


def _list_as_json(store: Path) -> None:
    """Each question with how it is asked; one that cannot be, with why."""
    every: list[dict[str, Any]] = []
    for name in questions.names(store):
        try:
            every.append(questions.find(store, name).told())
        except BadInput as fault:
            every.append({"name": name, "fault": str(fault)})
    print(json.dumps(every, ensure_ascii=False, indent=1), file=readable(sys.stdout))


@cli.command()
@click.argument("select", required=False)
@click.option(
    "--duckdb",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="In the place of SELECT: write a database of views of the tables, which any DuckDB from 1.0 on opens.",
)
@click.option("--schema", metavar="NAME", help="With --duckdb: the schema of the views [default: main].")
@click.option("--overwrite", is_flag=True, help="With --duckdb: replace FILE, if it has such views and nothing else.")
@answering()
def sql(select: str | None, store: Path, duckdb: Path | None, schema: str | None, overwrite: bool, **how: Any) -> None:
    """Run one SELECT over the store.

    FROM takes the tables by name (test_predictions: all runs and epochs), references such as "cnn@5", examples, runs
    and metrics.
    """
    if duckdb is not None and select is None:
        from secondguess.analysis.commands.database import write

        write(store.absolute(), duckdb, schema, overwrite=overwrite)
        return
    if select is None or duckdb is not None:
        raise click.UsageError(
            "give a SELECT, or --duckdb FILE for a database of views" + (", not both" * bool(select))
        )
    if schema is not None or overwrite:
        raise click.UsageError("--schema and --overwrite go with --duckdb FILE, not with a SELECT")
    from secondguess.analysis.ask import statements

    _answer(lambda con: statements.sql(con, store.absolute(), select), store, **how)


def _question_command(question: Question) -> click.Command:
    def run(tables: tuple[str, ...], store: Path, **given: Any) -> None:
        told = ("form", "file", "show_sql", "spreadsheet", "seconds", "verify", "rows", "chart", "engine", "master")
        how = {name: given.pop(name) for name in told}
        options = {name.removeprefix("option_"): value for name, value in given.items() if value != ()}
        _answer(_asked(question, store.absolute(), tables, options), store, **how)

    run = click.option(
        "--chart",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Draw the answer's chart into FILE (.svg, .png or .html).",
    )(answering()(run))
    for name, meaning in _NARROWING.items():
        if all(option.name != name for option in question.options):
            run = click.option(f"--{name}", f"option_{name}", multiple=True, metavar="SQL", help=meaning)(run)
    for option in reversed(question.options):
        shown = "" if option.default is None else f" [default: {option.default}]"
        run = click.option(
            f"--{option.name.replace('_', '-')}",
            f"option_{option.name}",
            default=None if option.default is None else str(option.default),
            metavar=f"[{option.type[1:-1]}]" if option.choices else option.type.upper(),
            help=f"{option.help}{shown}",
        )(run)
    least, most = question.tables
    words = [*["TABLE"] * least, *(["[TABLE]..."] if most is None else ["[TABLE]"] * (most - least))]
    run = click.argument("tables", nargs=-1, metavar=" ".join(words))(run)
    how = f"TABLE is RUN[/TABLE][@EPOCH], as in cnn@5; EPOCH a number, last, best or all, else {question.epochs}."
    about = "\n\n".join(filter(None, (f"{question.help}.", question.about, how)))
    return click.command(question.name, short_help=question.help, help=about)(run)


def _asked(question: Question, store: Path, refs: Sequence[str], given: Mapping[str, object]) -> "Build":
    from secondguess.analysis.ask import statements

    return partial(statements.question, store=store, asked=question, refs=refs, given=given)


def _answer(build: "Build", store: Path, **how: Any) -> None:
    from secondguess.analysis.commands.output import OutputOptions, give

    give(build, store, OutputOptions(**how))


def main(args: Sequence[str] | None = None) -> None:
    """Run a command; an error a person can mend is one line on stderr and exit code 1.

    Without args it is the process's own, which Ctrl-C and SIGTERM end with 130 and 143.
    """
    if args is None:
        signals.listen()
    logging.getLogger("secondguess").addFilter(told)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # names and bars, whatever the environment's encoding
    try:
        given = sys.argv[1:] if args is None else list(args)
        if help.is_asked(given):
            help.tell(cli, given)
            return
        cli.main(args=given, prog_name="secondguess", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        say(f"secondguess: {error.format_message()}{help.instead(error)}", err=True)
        sys.exit(error.exit_code)
    except SecondguessError as error:
        say(f"secondguess: {' '.join(str(error).splitlines())}", err=True)
        sys.exit(1)
    except OSError as error:
        say(f"secondguess: {error}", err=True)
        sys.exit(1)
