"""Epochs and the steps within them: how they are ordered and spelled."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondguess.analysis.moments import LAST_EPOCH, LAST_STEP, SPAN, Moment

MOMENTS = st.builds(Moment, st.integers(1, LAST_EPOCH), st.none() | st.integers(0, LAST_STEP))


def test_the_end_of_an_epoch_comes_after_each_step_of_it_and_before_the_next_epoch() -> None:
    moments = [Moment(2), Moment(1), Moment(2, 0), Moment(1, 1500), Moment(1, 750), Moment(2, 2**40)]
    assert [str(moment) for moment in sorted(moments)] == ["1:750", "1:1500", "1", "2:0", "2:1099511627776", "2"]


def test_a_moment_without_a_step_is_found_by_the_number_of_its_epoch_and_one_with_a_step_is_not() -> None:
    known = {Moment(1): "end", Moment(1, 750): "half"}
    assert known[1] == "end"  # type: ignore[index]
    assert known[Moment(1, 750)] == "half"
    assert [Moment(1) == 1, Moment(1, 750) == 1, Moment(1) == "1", Moment(1) == True, Moment(1, 0) == Moment(1)] == [  # noqa: E712
        True,
        False,
        False,
        False,
        False,
    ]


@given(MOMENTS)
def test_what_is_spelled_is_read_as_the_same(moment: Moment) -> None:
    assert Moment.parse(str(moment)) == moment
    assert Moment.parse(str(moment.plain)) == moment


@pytest.mark.parametrize(
    "text",
    ["", ":", "2:", ":1500", "2:1500:1", "2: 1500", "2:-1", "-2", "2.0", "2:1e3", "٢", "2147483648", f"1:{2**63}"],
)
def test_what_is_no_moment_is_none(text: str) -> None:
    assert Moment.parse(text) is None


@given(MOMENTS, MOMENTS)
def test_order_is_that_of_epoch_then_step_with_no_step_after_all(one: Moment, other: Moment) -> None:
    def order(moment: Moment) -> tuple[int, float]:
        return moment.epoch, LAST_STEP + 1 if moment.step is None else moment.step

    assert (one < other) == (order(one) < order(other))
    assert (one == other) == (order(one) == order(other))
    assert one != other or hash(one) == hash(other)


@given(MOMENTS, MOMENTS)
def test_names_of_files_are_unlike_for_unlike_moments_and_fit_their_pattern(one: Moment, other: Moment) -> None:
    assert (one.stem == other.stem) == (one == other)
    for name in (one.stem, f"{one.stem}-{other.stem}"):
        assert re.fullmatch(SPAN, name)


def test_names_are_as_they_were_before_there_were_steps() -> None:
    assert [Moment(3).stem, Moment(123456).stem, Moment(2, 1500).stem] == ["00003", "123456", "00002-s00001500"]
