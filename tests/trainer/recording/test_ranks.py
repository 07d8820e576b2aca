"""Which rank a process is: by arguments, by what a launcher sets, or none."""

from typing import Any

import pytest

from secondguess.analysis.errors import BadInput
from secondguess.trainer.recording.ranks import Ranks

TORCHRUN = {
    "RANK": "2",
    "WORLD_SIZE": "4",
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}
SLURM = {"SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0"}
PORT = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ((None, None, None), {}, None),
        ((0, 1, None), TORCHRUN, None),  # one process records alone
        ((None, None, None), {"RANK": "0", "WORLD_SIZE": "1"}, None),
        (
            (None, None, None),
            TORCHRUN,
            (2, 4, "TORCHELASTIC_RUN_ID=none MASTER_ADDR=127.0.0.1 MASTER_PORT=29500"),
        ),
        ((1, 3, None), TORCHRUN, (1, 3, "TORCHELASTIC_RUN_ID=none MASTER_ADDR=127.0.0.1 MASTER_PORT=29500")),
        ((1, 3, "job 7"), TORCHRUN, (1, 3, "job 7")),
        ((1, 3, None), PORT, (1, 3, "MASTER_ADDR=127.0.0.1 MASTER_PORT=29500")),
        ((1, 3, None), SLURM, (1, 3, "SLURM_JOB_ID=77 SLURM_STEP_ID=0")),
    ],
)
def test_a_rank_is_given_or_the_launchers(given: Any, environment: dict[str, str], expected: Any) -> None:
    ranks = Ranks.of(*given, 60, environment)
    assert (ranks and (ranks.rank, ranks.count, ranks.session)) == expected


@pytest.mark.parametrize(
    ("given", "environment", "said"),
    [
        ((1, None, "s"), {}, "rank and world_size are 1 and None: give both or neither"),
        ((None, None, "s"), {"WORLD_SIZE": "4"}, "the environment's RANK and WORLD_SIZE are None and 4: give both"),
        ((4, 4, "s"), {}, "rank and world_size are 4 and 4; ranks count from 0 to world_size - 1"),
        ((-1, 4, "s"), {}, "ranks count from 0"),
        ((0, 0, "s"), {}, "ranks count from 0"),
        ((None, None, "s"), {"RANK": "two", "WORLD_SIZE": "4"}, "'two' is not a whole number"),
        ((0.5, 4, "s"), {}, "0.5 is not a whole number"),
        ((1, 2, None), {}, "give all ranks the same Recorder(…, session='…')"),
    ],
)
def test_what_is_no_place_among_ranks_is_refused(given: Any, environment: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        Ranks.of(*given, 60, environment)
    assert said in str(refused.value)


def test_waiting_takes_some_time() -> None:
    with pytest.raises(BadInput, match="patience_s is 0"):
        Ranks.of(0, 2, "s", 0)
