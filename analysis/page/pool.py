"""The page's worker processes: warm, few, killed when a question takes too long or nobody waits for it.

Weighed against `concurrent.futures.ProcessPoolExecutor`, which cannot end the one process that a question keeps busy.
"""

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Self

from secondguess.analysis import signals
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.page.worker import Asked, Reply, serve

_AT_ONCE = 2
_LOOK = 0.02  # seconds between looks at the pipe


class TooSlow(SecondguessError):
    """A question that took longer than a page waits."""


class Gone(SecondguessError):
    """A question that nobody waits for any more."""


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, memory: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, other = context.Pipe()
        self.process: SpawnProcess = context.Process(target=serve, args=(other, memory), daemon=True)
        resource_tracker.ensure_running()  # as it starts, it lets through again what is kept from children
        with signals.kept_from_children():
            self.process.start()
        self._withdraw = signals.promise(self.process.kill)
        other.close()
        self.began = False

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self._withdraw()
        self.pipe.close()


class Workers:
    """An open set of workers; questions wait for a free one."""

    def __init__(self, seconds: float, memory: str) -> None:
        self.seconds = seconds  # that a question may take
        self._memory = memory
        self._free: asyncio.Queue[_Worker] = asyncio.Queue()
        self._all: list[_Worker] = []

    async def __aenter__(self) -> Self:
        for _ in range(_AT_ONCE):
            self._begin()
        return self

    async def __aexit__(self, *error: object) -> None:
        for worker in self._all:
            worker.kill()

    def _begin(self) -> None:
        worker = _Worker(self._memory)
        self._all.append(worker)
        self._free.put_nowait(worker)

    def _replace(self, worker: _Worker) -> None:
        self._all.remove(worker)
        worker.kill()
        self._begin()

    async def ask(self, asked: Asked, gone: Callable[[], Awaitable[bool]] | None = None) -> Reply:
        """The answer; gone says whether nobody waits any more.

        Raises the SecondguessError that the question raised, TooSlow after the time limit, Gone.
        """
        worker = await self._free.get()
        while not worker.process.is_alive():  # killed while nobody asked it anything
            self._replace(worker)
            worker = await self._free.get()
        whole = False
        try:
            answer = await self._answer(worker, asked, gone)
            whole = True
        except (EOFError, OSError):
            raise SecondguessError("the process that answers stopped; ask again, perhaps for less") from None
        finally:
            if whole:
                self._free.put_nowait(worker)
            else:
                self._replace(worker)
        if isinstance(answer, SecondguessError):
            raise answer
        return answer

    async def _answer(
        self, worker: _Worker, asked: Asked, gone: Callable[[], Awaitable[bool]] | None
    ) -> Reply | SecondguessError:
        loop = asyncio.get_running_loop()
        if not worker.began:
            await asyncio.to_thread(worker.pipe.recv)
            worker.began = True
        worker.pipe.send(asked)
        until = loop.time() + self.seconds
        ready = asyncio.Event()
        loop.add_reader(worker.pipe.fileno(), ready.set)
        try:
            while not ready.is_set():
                if loop.time() > until:
                    raise TooSlow(f"stopped after {self.seconds:g} seconds; filter more, or ask with the command line")
                if gone is not None and await gone():
                    raise Gone("nobody waits for the answer")
                with suppress(TimeoutError):
                    await asyncio.wait_for(ready.wait(), min(_LOOK * 10, max(_LOOK, until - loop.time())))
        finally:
            loop.remove_reader(worker.pipe.fileno())
        reply: Reply | SecondguessError = await asyncio.to_thread(worker.pipe.recv)
        return reply
