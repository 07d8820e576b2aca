"""What one training is asked to do, known without importing torch."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from secondguess.analysis.errors import BadInput
from secondguess.analysis.schema import DEFAULT_STORE

Dataset = Literal["digits", "mnist", "fashion-mnist"]
WandbMode = Literal["offline", "online", "off"]
Precision = Literal["float32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The tutorial's settings, and where data come from and predictions go.

    Raises BadInput where a value cannot train anything.
    """

    dataset: Dataset = "digits"
    data: str = "data"  # the folder of MNIST's raw files, or where to download them
    run: str = "cnn"
    epochs: int = 5
    batch_size: int = 32
    test_batch_size: int = 64
    lr: float = 0.001
    l1_size: int = 32
    l2_size: int = 64
    conv_kernel: int = 5
    seed: int = 0
    train_table: bool = False  # also record what each epoch says about the training examples
    wandb: WandbMode = "offline"
    wandb_rows: int | None = 320  # rows of each table that W&B gets; None: all
    overwrite: bool = False
    resume: bool = False  # go on with an interrupted run of these settings, or begin it
    store: str = DEFAULT_STORE
    device: str | None = None  # None: a GPU where there is one
    precision: Precision = "float32"  # of the network's products; weights and losses are float32
    compile: bool = False  # have torch.compile make code for the network

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise BadInput("resume continues a run, overwrite replaces it; choose one")
        choices = (("dataset", Dataset), ("wandb", WandbMode), ("precision", Precision))
        for name, known in ((name, get_args(choice)) for name, choice in choices):
            value = getattr(self, name)
            if value not in known:
                raise BadInput(f"{name} is {value!r}; it can be {', '.join(known)}")
        for name in ("epochs", "batch_size", "test_batch_size", "l1_size", "l2_size", "conv_kernel", "wandb_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInput(f"{name} is {value}; it must be at least 1")
        if self.conv_kernel % 2 == 0:
            raise BadInput(f"conv_kernel is {self.conv_kernel}; it must be odd, for the images to keep their size")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise BadInput(f"lr is {self.lr}; it must be a number above 0")
        if not 0 <= self.seed < 2**63:
            raise BadInput(f"seed is {self.seed}; it must be from 0 to 2**63 - 1")
