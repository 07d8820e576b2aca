"""`--help --format json`: what a command takes, for programs: as a person's help says it, and a question's columns."""

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import click

from secondguess.analysis.ask import questions
from secondguess.analysis.commands.options import store_among
from secondguess.analysis.console import readable
from secondguess.analysis.errors import BadInput, MissingExtra

_HELP = {"--help", "-h"}


def is_asked(arguments: Sequence[str]) -> bool:
    """Whether arguments ask for help as JSON."""
    return bool(_HELP & set(arguments)) and (
        "--format=json" in arguments or ("--format", "json") in pairwise(arguments)
    )


def tell(cli: click.Group, arguments: Sequence[str]) -> None:
    """Print the help of the command that the arguments begin with as JSON; raises UsageError where there is none."""
    command, path = _named(cli, arguments)
    said = _told(command, path, arguments)
    if path[1:2] == ["ask"]:
        said |= _asked(command, path, arguments)
    print(json.dumps(said, ensure_ascii=False, indent=1), file=readable(sys.stdout))


def instead(error: click.ClickException) -> str:
    """What there is instead of an option or a command that there is not; nothing of another error."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return ""
    command = context.command
    if isinstance(error, click.NoSuchOption):
        options = [max(param.opts, key=len) for param in command.params if isinstance(param, click.Option)]
        return f" {context.info_name} takes: {', '.join(options)}"
    if isinstance(command, click.Group) and error.message.startswith("No such command"):
        return f" There are: {', '.join(command.list_commands(context))}"
    return ""


def _named(cli: click.Group, arguments: Sequence[str]) -> tuple[click.Command, list[str]]:
    """The command of the words that the arguments begin with, and these words."""
    command: click.Command = cli
    context = click.Context(cli, info_name="secondguess")
    path = ["secondguess"]
    for word in arguments:
        if word.startswith("-") or not isinstance(command, click.Group):
            break
        context = click.Context(command, info_name=word, parent=context, obj=store_among(arguments))
        inner = command.get_command(context, word)
        if inner is None:
            raise click.UsageError(f"No such command {word!r}; there are: {', '.join(command.list_commands(context))}")
        command = inner
        path.append(word)
    return command, path


def _told(command: click.Command, path: Sequence[str], arguments: Sequence[str]) -> dict[str, Any]:
    context = click.Context(command, info_name=path[-1], obj=store_among(arguments))
    said: dict[str, Any] = {
        "name": " ".join(path),
        "help": " ".join((command.help or "").split()),
        "arguments": [_argument(param) for param in command.params if isinstance(param, click.Argument)],
        "options": [_option(param) for param in command.params if isinstance(param, click.Option)],
    }
    if isinstance(command, click.Group):
        said["commands"] = [_short(command, context, name) for name in command.list_commands(context)]
    return said


def _short(group: click.Group, context: click.Context, name: str) -> dict[str, str]:
    """A command within a group in a line; of one whose packages are not there, what it needs."""
    try:
        command = group.get_command(context, name)
    except MissingExtra as missing:
        return {"name": name, "help": "", "missing": str(missing)}
    return {"name": name, "help": command.get_short_help_str(1_000) if command is not None else ""}


def _argument(param: click.Argument) -> dict[str, Any]:
    return {"name": param.metavar or (param.name or "").upper(), "required": param.required, "many": param.nargs == -1}


def _option(param: click.Option) -> dict[str, Any]:
    kind = param.type
    return {
        "names": [*param.opts, *param.secondary_opts],
        "type": "flag" if param.is_flag else kind.name,
        "choices": list(kind.choices) if isinstance(kind, click.Choice) else [],
        "values": param.nargs,
        "many": param.multiple,
        "required": param.required,
        "help": param.help or "",
    }


def _asked(command: click.Command, path: Sequence[str], arguments: Sequence[str]) -> dict[str, Any]:
    """What there is to say of a question, or of all: how it is asked, and its answer's columns."""
    from secondguess.analysis.ask.sample import columns, sample

    store = store_among(arguments)
    names = path[2:] or questions.names(store)
    every = []
    with sample() as small:
        for name in names:
            try:
                question = questions.find(store, name)
                every.append({**question.told(), "columns": columns(small, question)})
            except BadInput as fault:
                every.append({"name": name, "fault": str(fault)})
    return {"question": every[0]} if path[2:] else {"questions": every}
