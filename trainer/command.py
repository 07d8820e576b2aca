"""`secondguess train`: options in, a recorded run out."""

from pathlib import Path
from typing import Any, get_args

import click

from secondguess.analysis.errors import MissingExtra
from secondguess.analysis.schema import STORE_OPTION
from secondguess.trainer.reference.settings import Dataset, Precision, Settings, WandbMode


def _rows(text: str) -> int | None:
    """A number of rows, or None for `all`."""
    return None if text == "all" else int(text)


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option("--dataset", type=click.Choice(get_args(Dataset)), default=Settings.dataset)
@click.option("--data", metavar="DIR", default=Settings.data, help="MNIST's raw files; downloaded if not there.")
@click.option("--run", metavar="NAME", default=Settings.run, help="What to call the run.")
@click.option("--epochs", default=Settings.epochs, help="Passes over the training examples.")
@click.option("--batch-size", default=Settings.batch_size, help="Training examples per step.")
@click.option("--lr", default=Settings.lr, help="Adam's learning rate.")
@click.option("--l1-size", default=Settings.l1_size, help="Channels of the first convolution.")
@click.option("--l2-size", default=Settings.l2_size, help="Channels of the second convolution.")
@click.option("--conv-kernel", default=Settings.conv_kernel, help="Width of both convolutions; odd.")
@click.option("--seed", default=Settings.seed, help="The same seed gives the same guesses on the same machine.")
@click.option("--train-table", is_flag=True, help="Also record the predictions for the training examples.")
@click.option(
    "--wandb", type=click.Choice(get_args(WandbMode)), default=Settings.wandb, help="Whether W&B gets a copy."
)
@click.option(
    "--wandb-rows", type=_rows, metavar="N|all", default=Settings.wandb_rows, help="Rows of each table for W&B."
)
@click.option(
    "--precision", type=click.Choice(get_args(Precision)), default=Settings.precision, help="Of the network's products."
)
@click.option("--compile", is_flag=True, help="Compile the network first; needs a C++ compiler.")
@click.option("--overwrite", is_flag=True, help="Replace a run of the same name.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run of the same settings, or begin it.")
@click.option("--store", **STORE_OPTION)
def train(store: Path, **options: Any) -> None:
    """Train the tutorial's network and record every epoch's predictions."""
    settings = Settings(store=str(store), **options)
    try:
        # torch takes a second to load, which `--help` and wrong options need not wait for.
        from secondguess.trainer.reference import train as reference
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("torch", "train") from error
    reference.train(settings)
