"""A config is whatever a training has one in."""

import argparse
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from secondguess.analysis.errors import BadInput
from secondguess.trainer.recording import provenance


@dataclass
class Optimizer:
    name: str
    betas: tuple[float, float]


@dataclass
class Config:
    lr: float
    optimizer: Optimizer


class Settings:
    lr = 0.5

    def __init__(self) -> None:
        self.lr = 0.1
        self._cache = "not said"


@pytest.mark.parametrize(
    "config, said",
    [
        ({"lr": np.float32(0.5), 1: None}, {"lr": 0.5, "1": None}),
        (argparse.Namespace(lr=0.1, layers=[1, 2]), {"lr": 0.1, "layers": [1, 2]}),
        (SimpleNamespace(lr=0.1), {"lr": 0.1}),
        (
            Config(0.1, Optimizer("adam", (0.9, 0.99))),
            {"lr": 0.1, "optimizer": {"name": "adam", "betas": [0.9, 0.99]}},
        ),
        (Settings(), {"lr": 0.1}),
        ({"lr": float("nan")}, {"lr": "nan"}),
    ],
)
def test_a_config_is_kept_as_json_can_hold_it(config: Any, said: dict[str, Any]) -> None:
    assert provenance.plain(config) == said


@pytest.mark.parametrize("config", ["lr=0.1", 3, [("lr", 0.1)], Config, lambda: None])
def test_what_has_no_settings_is_no_config(config: Any) -> None:
    with pytest.raises(BadInput, match=r"give a mapping such as \{'lr': 0.1\}, or vars\(…\) of it"):
        provenance.plain(config)
