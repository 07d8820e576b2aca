"""The reference network in training, apart from what is recorded of it."""

from collections.abc import Iterator

import torch
from torch.nn.functional import cross_entropy, softmax

from secondguess.trainer.reference.datasets import LabelledImages
from secondguess.trainer.reference.model import ConvNet
from secondguess.trainer.reference.settings import Settings

READ_EVERY = 16  # steps whose losses are best read together: each reading makes a GPU wait


class Training:
    """A network being trained: its weights, its optimiser, and the order of its batches."""

    def __init__(self, settings: Settings, examples: LabelledImages, classes: int):
        self.settings = settings
        self.device = torch.device(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.images, self.labels = examples.images.to(self.device), examples.labels.to(self.device)
        height, width = examples.images.shape[1:]
        with torch.random.fork_rng(devices=[]):  # the caller's own random numbers stay as they were
            torch.default_generator.manual_seed(settings.seed)
            network = ConvNet((height, width), classes, settings.l1_size, settings.l2_size, settings.conv_kernel)
        self.network = network.to(self.device)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=settings.lr, fused=True)
        self.order = torch.Generator().manual_seed(settings.seed)

    def steps(self) -> Iterator[torch.Tensor]:
        """Train for one epoch, in a new order; yields the loss of each step, still on the device."""
        # Evaluating froze BatchNorm's running statistics.
        self.network.train()
        order = torch.randperm(len(self.labels), generator=self.order).to(self.device)
        for batch in torch.split(order, self.settings.batch_size):
            loss = cross_entropy(self.network(_pixels(self.images[batch])), self.labels[batch])
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            yield loss.detach()

    @torch.inference_mode()
    def scores(self, examples: LabelledImages) -> torch.Tensor:
        """N examples -> NxC float32 probabilities, in the examples' order, on the CPU."""
        self.network.eval()
        batches = torch.split(examples.images, self.settings.test_batch_size)
        return torch.cat([softmax(self.network(_pixels(batch.to(self.device))), dim=1) for batch in batches]).cpu()


def _pixels(images: torch.Tensor) -> torch.Tensor:
    """BxHxW 8-bit -> Bx1xHxW in [0, 1]."""
    return images.unsqueeze(1).float().div_(255)
