"""Callbacks for Lightning, transformers and Keras; a class is imported when it is first used, its framework later.

Where the program has loaded the framework, a class here is one of its Callbacks; else its instances are.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secondguess.trainer.callbacks.hugging_face import HuggingFacePredictions
    from secondguess.trainer.callbacks.keras import KerasPredictions
    from secondguess.trainer.callbacks.lightning import LightningPredictions

__all__ = ["HuggingFacePredictions", "KerasPredictions", "LightningPredictions"]

_MODULES = {"HuggingFacePredictions": "hugging_face", "KerasPredictions": "keras", "LightningPredictions": "lightning"}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'secondguess.callbacks' has no attribute {name!r}; it has {', '.join(__all__)}")
    from secondguess.trainer.callbacks.frameworks import of_framework

    return of_framework(getattr(import_module(f"secondguess.trainer.callbacks.{_MODULES[name]}"), name))


def __dir__() -> list[str]:
    return sorted(__all__)
