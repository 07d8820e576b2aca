"""What the tools ask: one store, through processes that can be killed, and what is there where a name is not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondguess.analysis.agents.told import AGENTS
from secondguess.analysis.engine.sqltext import literal
from secondguess.analysis.errors import NotFound, listing, meant
from secondguess.analysis.serving.pool import Workers
from secondguess.analysis.serving.worker import Asked, Reply

_COUNTED_WITHIN = 0.25  # of the time limit: an answer that took longer is not asked again for its number of rows


@dataclass(frozen=True)
class Desk:
    """An open server: its store, its workers, and whether agents may save views."""

    store: Path
    workers: Workers
    writes: bool = False

    async def ask(self, how: str, what: Any = None, **more: Any) -> Reply:
        """The answer of a worker, within an agent's bounds; raises SecondguessError, TooSlow after the time limit."""
        counting = self.workers.seconds * _COUNTED_WITHIN
        return await self.workers.ask(Asked(how, self.store, what, bounds=AGENTS, counting=counting, **more))

    async def rows(self, sql: str, most: int = AGENTS.rows) -> Sequence[tuple[Any, ...]]:
        """The rows of a SELECT of ours."""
        return (await self.ask("sql", sql, most=most)).rows

    async def known_run(self, run: str) -> str:
        """The condition that a row of `runs` is of this run; raises NotFound naming those there are."""
        names = [name for (name,) in await self.rows("SELECT DISTINCT run FROM runs ORDER BY run")]
        if run not in names:
            raise NotFound(f"no run named {run!r}; the store has {listing(names) or 'no runs yet'}{meant(run, names)}")
        return f"run = {literal(run)}"
