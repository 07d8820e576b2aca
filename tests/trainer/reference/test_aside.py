"""Work beside the training: in order, waited for, and its failures heard."""

import threading

import pytest

from secondguess.trainer.reference.aside import Aside


@pytest.mark.parametrize("in_thread", [False, True])
def test_tasks_are_done_in_order_and_waited_for(in_thread: bool) -> None:
    done: list[tuple[int, bool]] = []
    here = threading.current_thread()
    with Aside(in_thread=in_thread) as aside:
        for number in range(600):
            aside.do(lambda number=number: done.append((number, threading.current_thread() is here)))
    assert done == [(number, not in_thread) for number in range(600)]


@pytest.mark.parametrize("in_thread", [False, True])
def test_a_failure_comes_out_and_ends_the_rest(in_thread: bool) -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"), Aside(in_thread=in_thread) as aside:
        aside.do(lambda: done.append(1))
        aside.do(fail)
        for _ in range(1000):
            aside.do(lambda: done.append(2))
    assert done == [1]


def test_an_error_of_the_training_waits_for_what_was_to_be_done_and_stays_the_error() -> None:
    done: list[int] = []
    go_on = threading.Event()
    with pytest.raises(KeyError, match="loss"), Aside(in_thread=True) as aside:
        aside.do(go_on.wait)
        aside.do(lambda: done.append(1))
        go_on.set()
        raise KeyError("loss")
    assert done == [1]
