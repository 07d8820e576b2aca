"""What may come next on a command line: commands, options, and of a store its runs, tables, epochs and columns."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from secondguess.analysis.ask import refs
from secondguess.analysis.ask.refs import Runs
from secondguess.analysis.commands.options import store_among
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.schema import DEFAULT_TABLE, WRONG, at_epoch, default_store
from secondguess.analysis.store.records import Epoch
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.tables import saved

_COLUMNS = {"where", "sort", "columns", "group", "by", "only", "exclude", "key", "add", "aggregate"}
_TABLES = {"floor", "against"}
_EPOCHS = ("last", "best", "all")


@dataclass(frozen=True)
class Next:
    """What may come next; whole words, but open where more may follow them without a space. files: any file, too."""

    words: tuple[str, ...] = ()
    open: bool = False
    files: bool = False


@dataclass
class _Line:
    """A command line as far as it is written: its command, what has been given, the option that waits for a value."""

    command: click.Command
    context: click.Context
    store: Path
    given: list[str] = field(default_factory=list)
    waits: click.Parameter | None = None


def after(root: click.Command, words: Sequence[str], current: str, store: Path) -> Next:
    """What may stand where current has been begun, after these words, in this store where they name none."""
    with suppress(click.ClickException, SecondguessError, OSError):
        named = store_among(words)
        line = _read(root, words, store if named == default_store() else named)
        if line.waits is not None:
            return _values(line, line.waits, current)
        if current.startswith("-"):
            name, equals, begun = current.partition("=")
            option = _waiting(line.command, name) if equals else None
            if option is None:
                return Next(_starting(_options(line), current))
            found = _values(line, option, begun)
            return replace(found, words=tuple(f"{name}={word}" for word in found.words))
        if isinstance(line.command, click.Group):
            return Next(_starting(line.command.list_commands(line.context), current))
        return _arguments(line, current)
    return Next()


def _read(root: click.Command, words: Sequence[str], store: Path) -> _Line:
    """Read a command line word by word."""
    line = _Line(root, click.Context(root, info_name="secondguess", obj=store), store)
    for word in words:
        if line.waits is not None:
            line.waits = None
        elif word.startswith("-"):
            line.waits = None if "=" in word else _waiting(line.command, word)
        elif isinstance(line.command, click.Group):
            found = line.command.get_command(line.context, word)
            if found is None:
                raise click.UsageError(f"no command {word}")
            above = click.Context(found, parent=line.context, info_name=word, obj=line.context.obj)
            line.command, line.context = found, above
        else:
            line.given.append(word)
    return line


def _waiting(command: click.Command, word: str) -> click.Parameter | None:
    """The option of this name, if it takes a value."""
    for param in command.params:
        if isinstance(param, click.Option) and word in (*param.opts, *param.secondary_opts):
            return None if param.is_flag or param.count else param
    return None


def _options(line: _Line) -> list[str]:
    return [name for param in line.command.get_params(line.context) for name in param.opts if name.startswith("--")]


def _starting(names: Sequence[str], current: str) -> tuple[str, ...]:
    return tuple(name for name in names if name.startswith(current))


def _values(line: _Line, option: click.Parameter, current: str) -> Next:
    """What an option may be given."""
    name = (option.name or "").removeprefix("option_")
    if isinstance(option.type, click.Choice):
        return Next(_starting([str(choice) for choice in option.type.choices], current))
    if isinstance(option.type, click.Path):
        return Next(files=True)
    if option.metavar and re.fullmatch(r"\[[\w-]+(\|[\w-]+)*\]", option.metavar):  # a question's choices
        return Next(_starting(option.metavar[1:-1].split("|"), current))
    if name == "at":
        return Next(_starting(_epochs(list_runs(line.store), line.given), current))
    if name == "saved":
        return Next(_starting(list(saved.names(line.store)), current))
    if name in _TABLES:
        return _references(list_runs(line.store), current)
    if name in _COLUMNS:
        before, begun = re.fullmatch(r"(.*?)(\w*)", current, re.S).groups()  # type: ignore[union-attr]
        names = _starting(_columns(list_runs(line.store), line.given), begun)
        return Next(tuple(before + name for name in names), open=True)
    return Next()


def _arguments(line: _Line, current: str) -> Next:
    """What a command may be given by place."""
    arguments = [param for param in line.command.params if isinstance(param, click.Argument)]
    place = min(len(line.given), len(arguments) - 1)
    if place < 0 or (len(line.given) >= len(arguments) and arguments[place].nargs == 1):
        return Next()
    named = (arguments[place].metavar or arguments[place].name or "").upper()
    if "TABLE" in named or "ADDRESS" in named or named in {"A", "B"}:
        return _references(list_runs(line.store), current)
    if "RUN" in named:
        left = [name for name in list_runs(line.store) if name not in line.given]
        return Next(_starting(left, current))
    kind = arguments[place].type
    if isinstance(kind, click.Choice):
        return Next(_starting([str(choice) for choice in kind.choices], current))
    return Next(files="FILE" in named or "SOURCE" in named or isinstance(kind, click.Path))


def _references(runs: Runs, current: str) -> Next:
    """References of tables: runs, and once one is named its tables and epochs."""
    before, at, _ = current.partition("@")
    run, slash, _ = before.partition("/")
    if not slash and not at:
        names = [name + (f"/{_only(runs, name)}" if _only(runs, name) else "") for name in runs]
        return Next(_starting(names, current), open=True)
    if run not in runs:
        return Next()
    if not at:
        return Next(_starting([f"{run}/{table}" for table in runs[run].tables], current), open=True)
    table = before[len(run) + 1 :] or (DEFAULT_TABLE if DEFAULT_TABLE in runs[run].tables else _only(runs, run))
    epochs = [*_EPOCHS, *map(str, runs[run].tables.get(table, ()))]
    return Next(_starting([at_epoch(before, epoch) for epoch in epochs], current))


def _only(runs: Runs, run: str) -> str:
    """The one table of a run that has no usual one, which a reference must name; empty elsewhere."""
    tables = list(runs[run].tables)
    return tables[0] if len(tables) == 1 and tables[0] != DEFAULT_TABLE else ""


def _epochs(runs: Runs, given: Sequence[str]) -> list[str]:
    """The epochs of the tables that are named, or of all."""
    chosen = [epoch for text in given for epoch in _resolved(runs, text, "all")]
    every = [epoch for run in runs.values() for table in run.tables.values() for epoch in table.values()]
    return [str(moment) for moment in sorted({epoch.moment for epoch in chosen or every})]


def _resolved(runs: Runs, text: str, epochs: str) -> Sequence[Epoch]:
    """The epochs that a reference names; none of what is no reference."""
    with suppress(SecondguessError):
        return refs.resolve(runs, text.partition("@")[0] if epochs == "all" else text, epochs).epochs
    return ()


def _columns(runs: Runs, given: Sequence[str]) -> list[str]:
    """The columns of the tables that are named, or of all."""
    return list(dict.fromkeys([*_named_columns(runs, given), WRONG]))


def _named_columns(runs: Runs, given: Sequence[str]) -> Iterator[str]:
    chosen = [epoch for text in given for epoch in _resolved(runs, text, "last")]
    every = (epoch for run in runs.values() for table in run.tables.values() for epoch in table.values())
    for epoch in chosen or every:
        yield from (name for name, _ in epoch.columns)
