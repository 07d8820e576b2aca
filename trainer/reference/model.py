"""The tutorial's network."""

import torch
from torch import nn

from secondguess.analysis.errors import BadInput


class ConvNet(nn.Module):
    """Two blocks of convolution, BatchNorm, max-pool and ReLU, then one linear layer.

    Parameters carry the tutorial's names and are initialised in its order.
    The tutorial applies ReLU before the pool: the result is the same, since ReLU is monotone, and four times the work.
    Raises BadInput for images below 4x4, of which two pools leave nothing.
    """

    def __init__(self, size: tuple[int, int], classes: int, l1_size: int = 32, l2_size: int = 64, kernel: int = 5):
        """Make a network for images of `size` (height, width), with an odd `kernel`."""
        super().__init__()
        height, width = size
        if min(size) < 4:
            raise BadInput(f"the images are {height}x{width}; the network halves them twice and needs 4x4 or more")
        self.layer1 = _block(1, l1_size, kernel)
        self.layer2 = _block(l1_size, l2_size, kernel)
        self.fc = nn.Linear((height // 4) * (width // 4) * l2_size, classes)
        # oneDNN and the pool are faster with a pixel's channels side by side.
        self.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Bx1xHxW pixels in [0, 1] -> BxC outputs, before softmax."""
        outputs: torch.Tensor = self.fc(self.layer2(self.layer1(images)).flatten(1))
        return outputs


def _block(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride=1, padding=kernel // 2),
        nn.BatchNorm2d(channels_out),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )
