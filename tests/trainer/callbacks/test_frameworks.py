"""An instance of ours is one of the framework's, which nothing loads before."""

import json
import logging
import pickle
import subprocess
import sys

import pytest

from secondguess.analysis.errors import NotInstalled
from secondguess.trainer.callbacks.frameworks import FrameworkCallback, of_framework


class Quiet(FrameworkCallback):
    """A class of ours; that it is called for the standard library's says nothing of it."""

    framework = ("no_such_package.at_all:Callback", "logging:Filter")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class Nowhere(FrameworkCallback):
    framework = ("no_such_package.at_all:Callback", "nor_this:Callback")


def test_an_instance_is_of_the_framework_that_is_loaded() -> None:
    one = Quiet("mine")
    assert isinstance(one, Quiet) and isinstance(one, logging.Filter)
    assert one.name == "mine" and type(one).__name__ == "Quiet"
    assert type(one) is type(Quiet("another"))


class More(Quiet):
    """A user's own."""


def test_a_users_subclass_is_one_too() -> None:
    assert isinstance(More("x"), More) and isinstance(More("x"), logging.Filter)


def test_it_goes_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(Quiet("mine")))
    assert isinstance(again, Quiet) and isinstance(again, logging.Filter) and again.name == "mine"


def test_a_class_is_the_frameworks_where_that_is_loaded() -> None:
    made = of_framework(Quiet)
    assert issubclass(made, Quiet) and issubclass(made, logging.Filter)
    assert of_framework(Quiet) is made and type(made("x")) is made and isinstance(Quiet("y"), made)
    assert of_framework(Nowhere) is Nowhere

    class Own(made):  # type: ignore[misc, valid-type]
        pass

    assert isinstance(Own("z"), Own)


def test_a_framework_that_is_missing_is_named() -> None:
    with pytest.raises(NotInstalled, match=r"no_such_package or nor_this is not installed in this Python \("):
        Nowhere()


def test_the_callbacks_module_loads_no_framework() -> None:
    code = """
import json, sys
import secondguess as sg
import secondguess.callbacks
from secondguess.callbacks import HuggingFacePredictions, KerasPredictions, LightningPredictions
assert sg.callbacks.LightningPredictions is LightningPredictions
assert dir(sg.callbacks) == ["HuggingFacePredictions", "KerasPredictions", "LightningPredictions"]
heavy = {"torch", "lightning", "pytorch_lightning", "transformers", "accelerate", "keras", "jax", "ignite"}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == []
