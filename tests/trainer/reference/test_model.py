"""The network is the tutorial's: same function, same parameters, same start."""

import pytest
from needs_torch import torch
from torch import nn

from secondguess.analysis.errors import BadInput
from secondguess.trainer.reference.model import ConvNet


class TutorialNet(nn.Module):
    """The tutorial's network as it stands there, for any widths."""

    def __init__(self, l1: int = 32, l2: int = 64):
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(1, l1, 5, stride=1, padding=2), nn.BatchNorm2d(l1), nn.ReLU(), nn.MaxPool2d(2, 2)
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(l1, l2, 5, stride=1, padding=2), nn.BatchNorm2d(l2), nn.ReLU(), nn.MaxPool2d(2, 2)
        )
        self.fc = nn.Linear(7 * 7 * l2, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out = self.layer2(self.layer1(images))
        return self.fc(out.reshape(out.size(0), -1))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def pair(l1: int = 32, l2: int = 64) -> tuple[TutorialNet, ConvNet]:
    torch.manual_seed(0)
    tutorial = TutorialNet(l1, l2)
    ours = ConvNet((28, 28), 10, l1, l2)
    ours.load_state_dict(tutorial.state_dict())
    return tutorial, ours


@pytest.mark.parametrize("widths", [(32, 64), (64, 128), (3, 5)])
@pytest.mark.parametrize("training", [True, False])
def test_with_the_tutorials_weights_it_gives_the_tutorials_outputs(images, widths, training):
    tutorial, ours = pair(*widths)
    for network in (tutorial, ours):  # batch statistics other than the initial ones, and negative scales
        network.layer1[1].weight.data.copy_(torch.linspace(-1, 1, widths[0]))
        network.layer1[1].running_mean.copy_(torch.linspace(-0.2, 0.2, widths[0]))
        network.train(training)
    torch.testing.assert_close(ours(images), tutorial(images), atol=1e-5, rtol=0)


def test_it_learns_as_the_tutorials_does(images):
    """After one step of gradient descent on the same batch both have the same weights and running statistics."""
    labels = torch.arange(16) % 10
    tutorial, ours = pair()
    for network in (tutorial, ours):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
    expected = tutorial.state_dict()
    assert list(ours.state_dict()) == list(expected)
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=0, msg=name)


def test_the_same_seed_starts_from_the_tutorials_weights():
    torch.manual_seed(3)
    tutorial = TutorialNet().state_dict()
    torch.manual_seed(3)
    ours = ConvNet((28, 28), 10).state_dict()
    assert all(torch.equal(ours[name], tutorial[name]) for name in tutorial)


def test_it_has_as_many_parameters_as_the_tutorials():
    """By hand: 832 + 64, 51,264 + 128, 31,370."""
    assert sum(parameter.numel() for parameter in ConvNet((28, 28), 10).parameters()) == 83_658


@pytest.mark.parametrize(
    ("size", "kernel", "inputs_of_the_linear_layer"),
    [((8, 8), 5, 2 * 2 * 64), ((8, 8), 1, 2 * 2 * 64), ((9, 15), 3, 2 * 3 * 64), ((4, 4), 7, 64)],
)
def test_any_odd_kernel_keeps_the_size_and_each_pool_halves_it(size, kernel, inputs_of_the_linear_layer):
    network = ConvNet(size, 7, kernel=kernel)
    assert network.fc.in_features == inputs_of_the_linear_layer
    assert network(torch.zeros(2, 1, *size)).shape == (2, 7)


def test_images_that_two_pools_would_use_up_are_refused():
    with pytest.raises(BadInput, match="the images are 3x28; the network halves them twice and needs 4x4 or more"):
        ConvNet((3, 28), 10)
