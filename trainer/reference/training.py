"""The reference network in training, apart from what is recorded of it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy, softmax
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler, TensorDataset

from secondguess.analysis.errors import BadInput
from secondguess.trainer.reference.datasets import LabelledImages
from secondguess.trainer.reference.group import Group
from secondguess.trainer.reference.model import ConvNet
from secondguess.trainer.reference.settings import Settings

READ_EVERY = 16  # steps whose losses are best read together: each reading makes a GPU wait

Arriving = Callable[[], torch.Tensor]
"""Values on their way to this machine's memory: the call waits for them."""


@dataclass(frozen=True)
class Said:
    """What the network says of a process's share of some examples, on its way from the device.

    scores are NxC float32 probabilities in the examples' order; wrong is the number of wrong guesses among the shares
    of all processes: a NaN score is no guess, and so no right one.
    """

    scores: Arriving
    wrong: Arriving


class Training:
    """A network being trained: its weights, its optimiser, and the order of its batches.

    Of a group of processes each trains on its share of every batch, which together are as large as one process's; the
    shares come from a sampler of the same seed. Raises BadInput for batches that cannot be shared out evenly.
    """

    def __init__(self, settings: Settings, examples: LabelledImages, classes: int, group: Group | None = None):
        self.settings = settings
        self.group = group or Group(device=device_of(settings))
        self.device = self.group.device
        if settings.batch_size % self.group.count:
            raise BadInput(
                f"batch_size is {settings.batch_size}, of {self.group.count} processes together; name a multiple of "
                f"{self.group.count}"
            )
        self.images, self.labels = examples.images.to(self.device), examples.labels.to(self.device)
        height, width = examples.images.shape[1:]
        with torch.random.fork_rng(devices=[]):  # the caller's own random numbers stay as they were
            torch.default_generator.manual_seed(settings.seed)
            network = ConvNet((height, width), classes, settings.l1_size, settings.l2_size, settings.conv_kernel)
        self.network = network.to(self.device)
        if settings.compile:
            self.network.compile()
        self.model = DistributedDataParallel(network) if self.group.count > 1 else self.network
        self.optimizer = torch.optim.Adam(network.parameters(), lr=settings.lr, fused=True)
        self.order = torch.Generator().manual_seed(settings.seed)
        self._sampler: DistributedSampler[tuple[torch.Tensor, ...]] = DistributedSampler(
            TensorDataset(self.labels), self.group.count, self.group.rank, seed=settings.seed
        )
        self._epochs = 0
        self._there: dict[
            int, tuple[LabelledImages, torch.Tensor, torch.Tensor]
        ] = {}  # shares, and those on the device

    @property
    def steps_of_epoch(self) -> int:
        """How many steps an epoch has."""
        mine = -(-len(self.labels) // self.group.count)
        return -(-mine // (self.settings.batch_size // self.group.count))

    def steps(self) -> Iterator[torch.Tensor]:
        """Train for one epoch, in a new order; yields the loss of each step, still on the device.

        Of several processes it is that of this one's share.
        """
        # Evaluating froze BatchNorm's running statistics.
        self.model.train()
        for batch in torch.split(self._next_order(), self.settings.batch_size // self.group.count):
            with self._precision():
                outputs = self.model(_pixels(self.images[batch]))
            loss = cross_entropy(outputs.float(), self.labels[batch])
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            yield loss.detach()

    def _next_order(self) -> torch.Tensor:
        """This process's share of the training examples, in a new order."""
        if self.group.count == 1:
            return torch.randperm(len(self.labels), generator=self.order).to(self.device)
        self._sampler.set_epoch(self._epochs)
        self._epochs += 1
        return torch.tensor(list(self._sampler)).to(self.device)

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.settings.precision == "bf16" else nullcontext()

    def losses(self, steps: list[torch.Tensor]) -> Arriving:
        """The losses of these steps, over the shares of all processes."""
        return arriving(self.group.sum(torch.stack(steps)) / self.group.count)

    def scores(self, examples: LabelledImages) -> torch.Tensor:
        """N examples -> NxC float32 probabilities, in the examples' order, on the CPU."""
        return self.says(examples).scores()

    @torch.inference_mode()
    def says(self, share: LabelledImages) -> Said:
        """What the network says of this process's share of some examples."""
        self.network.eval()
        for statistic in self.network.buffers():  # BatchNorm's, which each process has of its own share
            self.group.alike(statistic)
        images, labels = self._on_device(share)
        scores = []
        for batch in torch.split(images, self.settings.test_batch_size):
            with self._precision():
                outputs = self.network(_pixels(batch))
            scores.append(softmax(outputs.float(), dim=1))
        scores_NxC = torch.cat(scores) if scores else torch.empty(0, self.network.fc.out_features, device=self.device)
        wrong = (scores_NxC.argmax(1) != labels) | scores_NxC.isnan().any(1)
        return Said(arriving(scores_NxC), arriving(self.group.sum(wrong.sum())))

    def _on_device(self, share: LabelledImages) -> tuple[torch.Tensor, torch.Tensor]:
        """The images and labels of a share, which stay on the device from its first use on."""
        if id(share) not in self._there:
            self._there[id(share)] = share, share.images.to(self.device), share.labels.to(self.device)
        return self._there[id(share)][1:]


def device_of(settings: Settings) -> torch.device:
    """Where one process trains."""
    return torch.device(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))


def check_compiler(device: torch.device) -> None:
    """Raise BadInput where torch.compile cannot make code for the device, as without a C++ compiler."""
    try:
        torch.compile(lambda values: values * 2 + 1)(torch.ones(8, device=device))
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise BadInput(
            "torch.compile cannot make code here: it needs a C++ compiler (g++ or clang++, or what CXX names), and for "
            f"a GPU Triton; install one, or leave --compile out ({lines[0] if lines else type(error).__name__})"
        ) from error


def arriving(values: torch.Tensor) -> Arriving:
    """Begin to bring values from the device to this machine's memory, without waiting for them."""
    if not values.is_cuda:
        return lambda: values
    here = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    here.copy_(values, non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()

    def wait() -> torch.Tensor:
        copied.synchronize()
        return here

    return wait


def _pixels(images: torch.Tensor) -> torch.Tensor:
    """BxHxW 8-bit -> Bx1xHxW in [0, 1]."""
    return images.unsqueeze(1).float().div_(255)
