"""`secondguess mcp`: the store for coding agents, by the Model Context Protocol."""

import asyncio
from pathlib import Path

import click

from secondguess.analysis.commands.options import STORE
from secondguess.analysis.console import say
from secondguess.analysis.errors import MissingExtra, NotFound
from secondguess.analysis.store.runs import list_runs


@click.command()
@STORE
@click.option(
    "--http",
    "port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Answer over HTTP on this machine, to who has the token that is printed; 0 is a free port [default: stdio].",
)
@click.option("--write", is_flag=True, help="Let agents save views. They write nothing else.")
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), default=20, help="The longest a call may take [default: 20]."
)
@click.option("--memory", default="2GB", help="How much memory a call may take [default: 2GB].")
@click.option("--new-token", is_flag=True, help="With --http: forget the token that was printed before.")
def mcp(store: Path, port: int | None, write: bool, seconds: float, memory: str, new_token: bool) -> None:
    """Let coding agents ask: a server of the Model Context Protocol, over stdin and stdout.

    An agent has the tools runs, tables, schema, ask, table, sql, compare and example; they read, and nothing else. The
    client starts it: {"mcpServers": {"secondguess": {"command": "secondguess", "args": ["mcp", "--store", "PATH"]}}}
    """
    if new_token and port is None:
        raise click.UsageError("--new-token goes with --http PORT")
    try:
        from secondguess.analysis.agents import over_http, server
        from secondguess.analysis.serving.listening import checked
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name}, which `secondguess mcp` needs,", "mcp") from None
    checked(memory)
    try:
        if not list_runs(store.absolute()):
            say(f"{store} has no runs yet; answers say so until there is one", err=True)
    except NotFound as error:
        say(f"{error}; answers say so until there is one", err=True)
    agents = server.Agents(store.absolute(), writes=write, seconds=seconds, memory=memory)
    if port is None:
        asyncio.run(agents.over_stdio())
    else:
        over_http.serve(agents, store.absolute(), port, anew=new_token)
