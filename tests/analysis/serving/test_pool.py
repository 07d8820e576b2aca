"""Who gets a process: one question each, first those of the page that was asked for first, and only so many wait."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import HANG_S

from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.serving.pool import Busy, Gone, TooSlow, Visit, Workers
from secondguess.analysis.serving.worker import Asked

pytest_plugins = ["page"]

_ROWS = "range(100000) a, range(100000) b, range(100000) c"
ENDLESS = f"SELECT count(*) FROM {_ROWS} WHERE (a.range + b.range * c.range) % 7 = 3"


def run(store: Path, what: Callable[[Workers, Callable[..., Any]], Awaitable[Any]], seconds: float = HANG_S) -> Any:
    """Do something with two processes; `ask` asks SQL of them."""

    async def opened() -> Any:
        async with Workers(seconds, "1GB") as workers:

            async def ask(text: str, visit: Visit | None = None) -> Any:
                return (await workers.ask(Asked("sql", store, text), None, visit)).rows[0][0]

            return await what(workers, ask)

    return asyncio.run(opened())


def test_of_a_hundred_and_fifty_at_once_two_are_asked_a_hundred_wait_and_the_others_are_told(page_store: Path) -> None:
    async def many(workers: Workers, ask: Callable[..., Any]) -> list[Any]:
        return await asyncio.gather(*(ask(f"SELECT {number}") for number in range(150)), return_exceptions=True)

    answers = run(page_store, many)
    assert answers[:102] == list(range(102))
    assert {type(answer) for answer in answers[102:]} == {Busy}
    assert str(answers[-1]) == "100 questions wait already; ask again in a moment"


def test_the_page_that_was_asked_for_first_goes_first(page_store: Path) -> None:
    """Its later questions do not go behind those of pages that came after it."""
    order: list[str] = []

    async def three(workers: Workers, ask: Callable[..., Any]) -> None:
        async def told(name: str, since: float) -> None:
            await ask("SELECT sum(range) FROM range(10000000)", Visit(since))
            order.append(name)

        workers._free.pop()  # one process, so that one is answered after the other
        await asyncio.gather(told("any", 0), told("third", 3), told("second", 2), told("first", 1))

    run(page_store, three)
    assert order == ["any", "first", "second", "third"]


def test_a_page_has_one_process_at_a_time_so_that_others_go_on(page_store: Path) -> None:
    async def heavy(workers: Workers, ask: Callable[..., Any]) -> Any:
        await asyncio.gather(ask("SELECT 1"), ask("SELECT 1"))  # both have begun
        own = Visit(0)
        slow = [asyncio.create_task(ask(ENDLESS, own)) for _ in range(4)]
        await asyncio.sleep(0)
        answers = [await ask(f"SELECT {number}", Visit(1)) for number in range(5)]
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return answers

    assert run(page_store, heavy) == [0, 1, 2, 3, 4]


def test_who_leaves_while_waiting_takes_nobodys_turn(page_store: Path) -> None:
    async def left(workers: Workers, ask: Callable[..., Any]) -> Any:
        tasks = [asyncio.create_task(ask(f"SELECT {number}", Visit(number))) for number in range(10)]
        await asyncio.sleep(0)
        for task in tasks[1:9]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (workers._waiting, workers._served, len(workers._free)) == ([], set(), 2)
        return tasks[0].result(), tasks[9].result()

    assert run(page_store, left) == (0, 9)


def test_a_process_that_has_more_in_memory_than_it_may_is_ended(page_store: Path) -> None:
    async def watched(workers: Workers, ask: Callable[..., Any]) -> Any:
        await asyncio.gather(ask("SELECT 1"), ask("SELECT 1"))
        workers._free[0].most = 1_000_000
        with pytest.raises(SecondguessError, match="this takes more than 1GB of memory"):
            await ask(ENDLESS)
        return await ask("SELECT 42")

    assert run(page_store, watched) == 42


def test_slow_ones_are_stopped_and_the_next_goes_on(page_store: Path) -> None:
    async def slow(workers: Workers, ask: Callable[..., Any]) -> Any:
        answers = await asyncio.gather(*(ask(ENDLESS) for _ in range(4)), return_exceptions=True)
        return {type(answer) for answer in answers}, await ask("SELECT 42")

    assert run(page_store, slow, 0.5) == ({TooSlow}, 42)


def test_who_is_gone_when_the_turn_comes_costs_no_process(page_store: Path) -> None:
    async def gone() -> bool:
        return True

    async def asked(workers: Workers, ask: Callable[..., Any]) -> Any:
        before = list(workers._all)
        with pytest.raises(Gone):
            await workers.ask(Asked("sql", page_store, "SELECT 1"), gone)
        return workers._all == before, await ask("SELECT 42")

    assert run(page_store, asked) == (True, 42)


def test_an_amount_of_memory_that_is_none_is_refused(page_store: Path) -> None:
    command = [sys.executable, "-m", "secondguess", "view", "--no-browser", "--memory", "much"]
    done = subprocess.run([*command, "--store", str(page_store)], capture_output=True, text=True, timeout=HANG_S)
    assert (done.returncode, done.stderr) == (
        1,
        "secondguess: --memory is 'much', not an amount such as 500MB or 2GB\n",
    )
