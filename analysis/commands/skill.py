"""`secondguess skill`: what an agent without the protocol is told of this command, as a skill's file."""

import sys
from importlib.resources import files
from pathlib import Path

import click

from secondguess.analysis.commands.options import STORE
from secondguess.analysis.console import readable, spelled_out
from secondguess.analysis.schema import DEFAULT_STORE

_USUAL = f"the default is `{DEFAULT_STORE}`"


@click.command()
@STORE
def skill(store: Path) -> None:
    """Print a SKILL.md that teaches a coding agent the most useful calls; of another store than the usual it says so.

    Agents look for it in a folder of its name, such as ~/.claude/skills/secondguess/SKILL.md.
    """
    text = (files("secondguess.analysis.commands") / "SKILL.md").read_text(encoding="utf-8")
    if str(store) != DEFAULT_STORE:
        text = text.replace(_USUAL, f"here that is `{spelled_out(str(store))}`, so write it with each call", 1)
    readable(sys.stdout).write(text)
