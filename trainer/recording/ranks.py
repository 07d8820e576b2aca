"""Which of how many processes of one training this is, as arguments or the launcher's environment say."""

import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from secondguess.analysis.errors import BadInput

# What tells one start of a training from another, by launcher: torchrun, a group that its program set up, Slurm.
# torchrun's count of restarts is none: each machine of several has its own.
_SESSIONS = (("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT"), ("MASTER_ADDR", "MASTER_PORT"))
_SLURM = ("SLURM_JOB_ID", "SLURM_STEP_ID")
_MOST = 100_000


@dataclass(frozen=True)
class Ranks:
    """A process's place among those of one training: rank of count, from 0; session is what this start is known by.

    patience_s is how long one waits for another, in seconds.
    """

    rank: int
    count: int
    session: str
    patience_s: float

    @classmethod
    def of(
        cls,
        rank: int | None,
        count: int | None,
        session: str | None,
        patience_s: float,
        environment: Mapping[str, str] | None = None,
    ) -> "Ranks | None":
        """The place that is given, else that of the environment's RANK and WORLD_SIZE; None of a single process.

        Raises BadInput where one is there without the other, the rank is none of them, or nothing tells the session.
        """
        known = os.environ if environment is None else environment
        where = "rank and world_size"
        if rank is None and count is None:
            where = "the environment's RANK and WORLD_SIZE"
            given: list[Any] = [known.get("RANK") or None, known.get("WORLD_SIZE") or None]
        else:
            given = [rank, count]
        if given == [None, None]:
            return None
        if None in given:
            raise BadInput(
                f"{where} are {given[0]} and {given[1]}: give both or neither; Recorder(…, rank=0, world_size=1) "
                "records what one process says"
            )
        number, most = (_whole(value, where) for value in given)
        if not 0 <= number < most <= _MOST:
            raise BadInput(f"{where} are {number} and {most}; ranks count from 0 to world_size - 1")
        if not patience_s > 0:
            raise BadInput(f"patience_s is {patience_s!r}; it is a number of seconds above 0")
        return cls(number, most, session or _session(known), float(patience_s)) if most > 1 else None


def _whole(value: Any, where: str) -> int:
    try:
        return int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):
        raise BadInput(f"{where}: {value!r} is not a whole number") from None


def _session(known: Mapping[str, str]) -> str:
    for names in (*_SESSIONS, _SLURM):
        if all(known.get(name) for name in names):
            return " ".join(f"{name}={known[name]}" for name in names)
    raise BadInput(
        "nothing tells the ranks of this start of the training from those of another one: torchrun's environment is "
        "not there, nor MASTER_ADDR and MASTER_PORT; give all ranks the same Recorder(…, session='…'), a text that no "
        "other start has, such as the job's number"
    )
