"""A server's worker processes: warm, few, killed when a question takes too long or nobody waits for it.

Weighed against `concurrent.futures.ProcessPoolExecutor`, which cannot end the one process that a question keeps busy.
"""

import asyncio
import bisect
import multiprocessing
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Self

from secondguess.analysis import signals
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.memory import resident_bytes
from secondguess.analysis.serving.worker import Asked, Reply, serve, too_much
from secondguess.analysis.store.runs import Run

_AT_ONCE = 2
_MOST_WAITING = 100  # questions
_LOOK = 0.02  # seconds between looks at the pipe
_STOPPING = 0.5  # seconds that a process has to leave a question, before it is ended: another takes a second to begin


class TooSlow(SecondguessError):
    """A question that took longer than a server waits."""


class Gone(SecondguessError):
    """A question that nobody waits for any more."""


class Busy(SecondguessError):
    """A question that is not taken, since too many wait already."""


@dataclass(frozen=True, eq=False)
class Visit:
    """One request for a page: its questions have one process at a time, and go before those of later ones."""

    since: float


@dataclass(order=True)
class _Turn:
    """A question that waits for a process, first those of the visit that began first."""

    since: float
    number: int
    visit: Visit | None = field(compare=False)
    worker: "asyncio.Future[_Worker]" = field(compare=False)


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, memory: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, other = context.Pipe()
        stopped, self._stops = context.Pipe(duplex=False)
        self.process: SpawnProcess = context.Process(target=serve, args=(other, stopped, memory), daemon=True)
        resource_tracker.ensure_running()  # as it starts, it lets through again what is kept from children
        with signals.kept_from_children():
            self.process.start()
        self._withdraw = signals.promise(self.process.kill)
        other.close()
        stopped.close()
        self.began = False
        self.asked = 0  # questions so far
        self.busy = False
        self.most = 0  # bytes that it may have in memory
        self._runs: dict[str, Run] = {}  # those that it was sent last

    @property
    def too_large(self) -> bool:
        """Whether it has more in memory than it may, as far as the system says it."""
        return (resident_bytes(self.process.pid) or 0) > self.most

    def send(self, asked: Asked) -> None:
        """Let it answer a question; of the runs, which are many records, those go along that it does not have."""
        self.asked += 1
        if asked.runs is not None:
            names = [name for name in asked.only or asked.runs if name in asked.runs]
            new = {name: asked.runs[name] for name in names if self._runs.get(name) is not asked.runs[name]}
            self._runs.update(new)
            asked = replace(asked, runs=new, only=tuple(names))
        self.pipe.send(replace(asked, number=self.asked))

    def stop(self) -> None:
        """Let it leave the question that it answers."""
        with suppress(OSError):  # it has ended
            self._stops.send(self.asked)

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self._withdraw()
        self.pipe.close()
        self._stops.close()


class Workers:
    """An open set of workers; questions wait for a free one."""

    def __init__(self, seconds: float, memory: str) -> None:
        self.seconds = seconds  # that a question may take
        self._memory = memory
        self._free: list[_Worker] = []
        self._all: list[_Worker] = []
        self._waiting: list[_Turn] = []
        self._served: set[Visit] = set()  # those that have a process
        self._numbers = count()

    @property
    def busy(self) -> bool:
        """Whether some question waits, or all processes have one."""
        return bool(self._waiting) or not self._free

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
        self._free.append(worker)
        self._next()

    def _replace(self, worker: _Worker) -> None:
        self._all.remove(worker)
        worker.kill()
        self._begin()

    def _next(self) -> None:
        """Give the free processes to those whose turn it is."""
        while self._free:
            self._waiting = [turn for turn in self._waiting if not turn.worker.cancelled()]
            turn = next((turn for turn in self._waiting if turn.visit not in self._served), None)
            if turn is None:
                return
            self._waiting.remove(turn)
            if turn.visit is not None:
                self._served.add(turn.visit)
            turn.worker.set_result(self._free.pop(0))

    async def _turn(self, visit: Visit | None) -> _Worker:
        """A process of one's own; raises Busy where too many wait for one."""
        if len(self._waiting) >= _MOST_WAITING:
            raise Busy(f"{_MOST_WAITING} questions wait already; ask again in a moment")
        loop = asyncio.get_running_loop()
        since = visit.since if visit is not None else loop.time()
        turn = _Turn(since, next(self._numbers), visit, loop.create_future())
        bisect.insort(self._waiting, turn)
        self._next()
        try:
            worker = await turn.worker
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.worker.done() and not turn.worker.cancelled():
                self._free.append(turn.worker.result())
                self._left(visit)
            raise
        return worker

    def _left(self, visit: Visit | None) -> None:
        if visit is not None:
            self._served.discard(visit)
        self._next()

    async def ask(
        self, asked: Asked, gone: Callable[[], Awaitable[bool]] | None = None, visit: Visit | None = None
    ) -> Reply:
        """The answer; gone says whether nobody waits any more, visit of which request the question is.

        Raises the SecondguessError that the question raised, TooSlow after the time limit, Gone, Busy.
        """
        worker = await self._turn(visit)
        whole = False
        try:
            if gone is not None and await gone():
                whole = True
                raise Gone("nobody waits for the answer")
            while not worker.process.is_alive():  # killed while nobody asked it anything
                worker = self._anew(worker)
            answer = await self._answer(worker, asked, gone)
            whole = True
        except (EOFError, OSError):
            raise SecondguessError("the process that answers stopped; ask again, perhaps for less") from None
        finally:
            if whole or not worker.busy:
                self._free.append(worker)
            else:
                self._replace(worker)
            self._left(visit)
        if isinstance(answer, SecondguessError):
            raise answer
        return answer

    def _anew(self, worker: _Worker) -> _Worker:
        """Another process in the place of one that is dead."""
        self._all.remove(worker)
        worker.kill()
        self._all.append(other := _Worker(self._memory))
        return other

    async def _answer(
        self, worker: _Worker, asked: Asked, gone: Callable[[], Awaitable[bool]] | None
    ) -> Reply | SecondguessError:
        loop = asyncio.get_running_loop()
        worker.busy = True  # also while it begins, when another thread waits at its pipe
        if not worker.began:
            worker.most = await asyncio.to_thread(worker.pipe.recv)
            worker.began = True
        worker.send(asked)
        until = loop.time() + self.seconds
        ready = asyncio.Event()
        loop.add_reader(worker.pipe.fileno(), ready.set)
        try:
            while not ready.is_set():
                if loop.time() > until:
                    raise TooSlow(f"stopped after {self.seconds:g} seconds; filter more, or ask with the command line")
                if worker.too_large:
                    raise too_much(self._memory)
                if gone is not None and await gone():
                    raise Gone("nobody waits for the answer")
                with suppress(TimeoutError):
                    await asyncio.wait_for(ready.wait(), min(_LOOK * 5, max(_LOOK, until - loop.time())))
        except (Gone, TooSlow):
            worker.stop()
            with suppress(TimeoutError):
                await asyncio.wait_for(ready.wait(), _STOPPING)
            if ready.is_set():
                with suppress(EOFError, OSError):  # it ended meanwhile
                    await asyncio.to_thread(worker.pipe.recv)
                    worker.busy = False
            raise
        finally:
            loop.remove_reader(worker.pipe.fileno())
        reply: Reply | SecondguessError = await asyncio.to_thread(worker.pipe.recv)
        worker.busy = False
        return reply
