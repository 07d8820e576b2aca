"""The processes that train one network together, as torchrun starts them; one alone is a group, too."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from secondguess.analysis.errors import BadInput
from secondguess.trainer.recording.ranks import Ranks


@dataclass(frozen=True)
class Group:
    """This process's place among those that train together: rank of count, from 0, and the device it trains on."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=partial(torch.device, "cpu"))

    @property
    def is_first(self) -> bool:
        """Whether it speaks for all."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, on the device; every one of them calls it, in the same order."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def alike(self, values: torch.Tensor) -> None:
        """Give all processes the first one's values."""
        if self.count > 1:
            distributed.broadcast(values, 0)

    @contextmanager
    def first_first(self) -> Iterator[None]:
        """Let the first process go through the block before the others: what it downloads they find."""
        if self.count > 1 and not self.is_first:
            distributed.barrier()
        yield
        if self.count > 1 and self.is_first:
            distributed.barrier()


@contextmanager
def group(device: str | None) -> Iterator[Group]:
    """The group that the environment describes, which ends with the block; device None is a GPU where there is one.

    Processes on GPUs talk through NCCL, else through Gloo. Raises BadInput where the environment lacks their meeting
    place, or has more processes than GPUs.
    """
    ranks = Ranks.of(None, None, "torchrun", 1)  # which meets below
    local = int(os.environ.get("LOCAL_RANK") or 0) if ranks is not None else 0
    where = torch.device(device or (f"cuda:{local}" if torch.cuda.is_available() else "cpu"))
    if ranks is None:
        yield Group(device=where)
        return
    if not (os.environ.get("MASTER_ADDR") and os.environ.get("MASTER_PORT")):
        raise BadInput("RANK and WORLD_SIZE are set, but not MASTER_ADDR and MASTER_PORT; start it with torchrun")
    if where.type == "cuda":
        if (where.index or 0) >= torch.cuda.device_count():
            count = torch.cuda.device_count()
            raise BadInput(f"process {local} has no GPU of its own: there are {count}; start {count} processes")
        torch.cuda.set_device(where)
    distributed.init_process_group(
        "nccl" if where.type == "cuda" else "gloo",
        rank=ranks.rank,
        world_size=ranks.count,
        store=_meeting_place(),
        device_id=where if where.type == "cuda" else None,
    )
    try:
        yield Group(ranks.rank, ranks.count, where)
    finally:
        distributed.destroy_process_group()


def _meeting_place() -> Store:
    """The store through which the processes find each other.

    torchrun keeps it when it starts all of them again, with the addresses of those that died, for which Gloo would
    wait: so each start has its own keys. Of several machines each counts its starts by itself, and these are not told
    apart.
    """
    store, _, _ = next(iter(rendezvous("env://")))
    on_one_machine = os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if on_one_machine else "0"
    return PrefixStore(f"start-{start}", store)
