"""A small Lightning training as people write them, for whichever package is named; also as a program of two processes.

`python lightning_loop.py STORE FOLDER STRATEGY` trains with two processes on eleven examples, then tests.
"""

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

import secondguess as sg

EXAMPLES, CLASSES = 11, 3


class Numbers(Dataset[Any]):
    """Images of 1 x 4 x 4 pixels, as floats in [0, 1], and their classes."""

    def __init__(self, count: int = EXAMPLES) -> None:
        generator = torch.Generator().manual_seed(count)
        self.pixels = torch.randint(0, 256, (count, 1, 4, 4), generator=generator, dtype=torch.uint8)
        self.truth = torch.arange(count) % CLASSES

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, place: int) -> Any:
        return self.pixels[place].float() / 255, self.truth[place]


class Named(Numbers):
    """The same as dicts, with ids of their own."""

    classes = ("cat", "dog", "hen")

    def __getitem__(self, place: int) -> Any:
        image, truth = super().__getitem__(place)
        return {"image": image, "label": truth, "name": f"n{place}"}


def says_logits(module: Any, batch: Any) -> Any:
    """The step that returns a dict."""
    x, y = (batch["image"], batch["label"]) if isinstance(batch, dict) else batch
    logits = module(x)
    loss = functional.cross_entropy(logits, y)
    module.log("val_loss", loss, sync_dist=True)
    return {"loss": loss, "logits": logits}


def says_loss(module: Any, batch: Any) -> Any:
    """The step that most people have."""
    return says_logits(module, batch)["loss"]


def class_of(package: Any, step: Callable[[Any, Any], Any] = says_logits) -> Any:
    """A LightningModule of the package whose validations do that step."""

    class Net(package.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self, width: int = 16) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(width, CLASSES))

        def forward(self, x: Any) -> Any:
            return self.net(x)

        def training_step(self, batch: Any, number: int) -> Any:
            return functional.cross_entropy(self(batch[0]), batch[1])

        def validation_step(self, batch: Any, number: int, dataloader_idx: int = 0) -> Any:
            return step(self, batch)

        test_step = validation_step

        def predict_step(self, batch: Any, number: int) -> Any:
            return {"logits": self(batch[0])}

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    return Net


def module_of(package: Any, step: Callable[[Any, Any], Any] = says_logits) -> Any:
    """One of these, the same each time."""
    torch.manual_seed(0)
    return class_of(package, step)()


def trainer_of(package: Any, folder: Path, *callbacks: Any, **how: Any) -> Any:
    """A Trainer that writes nothing but into the folder, and draws no bars."""
    usual = {"accelerator": "cpu", "devices": 1, "max_epochs": 2, "default_root_dir": folder}
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return package.Trainer(callbacks=list(callbacks), **{**usual, **quiet, **how})


def loaders(dataset: Any = None, **how: Any) -> dict[str, Any]:
    """Training on 16 examples in batches of 4, validation on the data set in batches of 3."""
    data = Numbers() if dataset is None else dataset
    return {
        "train_dataloaders": DataLoader(Numbers(16), batch_size=4),
        "val_dataloaders": DataLoader(data, **{"batch_size": 3, **how}),
    }


def main(store: str, folder: str, strategy: str) -> None:
    """Train with two processes, then test in the same ones."""
    package = import_module("lightning")
    callback = sg.callbacks.LightningPredictions(store, run="ddp", patience_s=60, reopen=strategy != "ddp")
    trainer = trainer_of(package, Path(folder), callback, devices=2, strategy=strategy)
    module = Net()
    trainer.fit(module, **loaders())
    trainer.test(module, DataLoader(Numbers(), batch_size=3), verbose=False)  # where they are spawned, in others


if __name__ in {"__main__", "__mp_main__"}:  # a process that is spawned finds the class by its name
    Net = class_of(import_module("lightning"))
    Net.__qualname__ = "Net"
if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
