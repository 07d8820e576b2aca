"""The command line: parse, call, render."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from analysis import asking, output, questions
from analysis.engine import Build
from analysis.errors import MissingExtra, SecondguessError
from analysis.questions import Question
from analysis.schema import DEFAULT_STORE, STORE_VARIABLE

# Loaded on use: the trainer needs packages that asking does not.
_ELSEWHERE = {"train": ("trainer.command:train", "train")}


class Commands(click.Group):
    """The commands, with those that live outside this package imported only when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, in the order a person meets them."""
        return [*_ELSEWHERE, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        place, extra = _ELSEWHERE[cmd_name]
        module, _, name = place.partition(":")
        try:
            return getattr(import_module(module), name)  # type: ignore[no-any-return]
        except ModuleNotFoundError as error:
            raise MissingExtra(f"{error.name}, which `secondguess {cmd_name}` needs,", extra) from None


class Questions(click.Group):
    """`ask`: one command per question, the store's own questions among them."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the question where the store is that the arguments name."""
        ctx.obj = _store_in(args)
        known = questions.all_questions(ctx.obj)
        if args[0] not in known and not args[0].startswith("-"):
            questions.find(ctx.obj, args[0])
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The questions' names."""
        return list(questions.all_questions(_store_in([])))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command that asks the question of that name."""
        found = questions.all_questions(ctx.obj if isinstance(ctx.obj, Path) else _store_in([])).get(cmd_name)
        return _question_command(found) if found is not None else None


def _store_in(args: Sequence[str]) -> Path:
    """The store that the arguments name, before they are parsed: it may bring questions of its own."""
    for before, after in pairwise([*args, ""]):
        if before == "--store":
            return Path(after)
        if before.startswith("--store="):
            return Path(before.removeprefix("--store="))
    return Path(os.environ.get(STORE_VARIABLE) or DEFAULT_STORE)


def _answering(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that answers something."""
    options = [
        click.option(
            "--store",
            type=click.Path(path_type=Path),
            envvar=STORE_VARIABLE,
            default=DEFAULT_STORE,
            show_default=True,
            help="The folder that holds the runs.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(["table", "json", "csv", "markdown"]),
            help="How to write the answer [default: table, or what FILE's suffix says].",
        ),
        click.option(
            "-o",
            "--output",
            "file",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write all rows to FILE (.parquet, .csv, .json or .md).",
        ),
        click.option(
            "--show-sql", is_flag=True, help="Print the complete SQL on stderr; it runs in any DuckDB session."
        ),
        click.option(
            "--rows",
            type=click.IntRange(min=1),
            default=50,
            show_default=True,
            help="Rows drawn as a table; the other formats write all.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="secondguess", message="%(package)s %(version)s")
def cli() -> None:
    """Second-guess your model: ask what it got wrong, how that changed, and which of two models to trust."""


@cli.command()
@_answering
def runs(store: Path, **how: Any) -> None:
    """List the runs: state, tables and epochs, rows, errors per epoch."""
    _answer(lambda con: asking.runs_statement(store.absolute()), store, None, **how)


@cli.group(cls=Questions, invoke_without_command=True)
@click.pass_context
def ask(ctx: click.Context) -> None:
    """Ask a question about tables named RUN[/TABLE][@EPOCH], as in cnn@5; without one, list the questions."""
    if ctx.invoked_subcommand is None:
        for name, question in questions.all_questions(_store_in([])).items():
            click.echo(f"{name:<20}  {question.help}")


@cli.command()
@click.argument("select")
@_answering
def sql(select: str, store: Path, **how: Any) -> None:
    """Run one SELECT over the store.

    FROM takes the tables by name (test_predictions: all runs and epochs), references such as "cnn@5", examples, runs
    and metrics.
    """
    _answer(lambda con: asking.sql(con, store.absolute(), select), store, None, **how)


def _question_command(question: Question) -> click.Command:
    def run(tables: tuple[str, ...], store: Path, form: Any, file: Any, show_sql: Any, rows: Any, **given: Any) -> None:
        build = partial(asking.question, store=store.absolute(), asked=question, refs=tables, given=given)
        _answer(build, store, question, form=form, file=file, show_sql=show_sql, rows=rows)

    for option in question.options:
        run = click.option(
            f"--{option.name}", default=None if option.default is None else str(option.default), help=option.help
        )(run)
    least, most = question.tables
    words = " ".join(["TABLE"] * least) if most == least else " ".join(["TABLE"] * least) + " [TABLE]..."
    run = click.argument("tables", nargs=-1, metavar=words)(_answering(run))
    return click.command(question.name, help=question.help + ".")(run)


def _answer(build: Build, store: Path, question: Question | None, **how: Any) -> None:
    output.give(build, store, question, output.How(**how))


def main(args: Sequence[str] | None = None) -> None:
    """Run a command; an error a person can mend is one line on stderr and exit code 1."""
    try:
        cli.main(args=list(args) if args is not None else None, prog_name="secondguess", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        click.echo(f"secondguess: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except SecondguessError as error:
        click.echo(f"secondguess: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python must not complain while it flushes the rest.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        sys.exit(130)
