"""Settings that cannot train are refused before anything is loaded."""

import pytest

from secondguess.analysis.errors import BadInput
from secondguess.trainer.reference.settings import Settings


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dataset": "cifar"}, "dataset is 'cifar'; it can be digits, mnist, fashion-mnist"),
        ({"wandb": "on"}, "wandb is 'on'; it can be offline, online, off"),
        ({"precision": "fp8"}, "precision is 'fp8'; it can be float32, bf16"),
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"test_batch_size": -1}, "test_batch_size is -1"),
        ({"l1_size": 0}, "l1_size is 0"),
        ({"l2_size": 0}, "l2_size is 0"),
        ({"wandb_rows": 0}, "wandb_rows is 0"),
        ({"conv_kernel": 0}, "conv_kernel is 0; it must be at least 1"),
        ({"conv_kernel": 4}, "conv_kernel is 4; it must be odd"),
        ({"lr": 0.0}, "lr is 0.0; it must be a number above 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"lr": float("inf")}, "lr is inf"),
        ({"seed": -1}, "seed is -1; it must be from 0"),
    ],
)
def test_settings_that_cannot_train_are_refused(setting, message):
    with pytest.raises(BadInput, match=message.replace("*", r"\*")):
        Settings(**setting)
