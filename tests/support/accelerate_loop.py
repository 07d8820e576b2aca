"""The README's loop for accelerate, in the folder that is named, as a program of one process or several."""

import os
import sys
from typing import Any

import torch
from accelerate import Accelerator
from readme import block
from torch.utils.data import DataLoader, TensorDataset

import secondguess as sg

EXAMPLES = 11


def main(folder: str) -> None:
    os.chdir(folder)
    torch.manual_seed(0)
    places = torch.arange(EXAMPLES)
    data = TensorDataset(places, torch.eye(EXAMPLES), places % 3)
    accelerator = Accelerator(cpu=True)
    model, loader = accelerator.prepare(torch.nn.Linear(EXAMPLES, 3), DataLoader(data, batch_size=2))
    names: dict[str, Any] = {"sg": sg, "torch": torch, "accelerator": accelerator, "model": model, "loader": loader}
    exec(block("accelerator.gather_for_metrics"), names)
    accelerator.end_training()


if __name__ == "__main__":
    main(sys.argv[1])
