"""Work that is done beside the training, in order: a GPU goes on while what it said is recorded."""

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

_MOST_WAITING = 256  # tasks: training waits for what is behind by more


class Aside:
    """Does tasks one after the other, in a thread of its own where that is wanted, else at once.

    A context manager, whose end waits for all of them. What a task raises comes out of the next call or the end; what
    was to be done after it is not.
    """

    def __init__(self, *, in_thread: bool) -> None:
        self._fault: BaseException | None = None
        self._tasks: queue.Queue[Callable[[], object] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="secondguess-aside") if in_thread else None

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def do(self, task: Callable[[], object]) -> None:
        """Do it when all before it is done; raises what one of them raised."""
        if self._thread is None:
            task()
            return
        self._raise()
        self._tasks.put(task)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault

    def _work(self) -> None:
        failed = False
        while (task := self._tasks.get()) is not None:
            if failed:
                continue
            try:
                task()
            except BaseException as fault:
                failed, self._fault = True, fault
