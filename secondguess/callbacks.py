"""Callbacks for Lightning, transformers and Keras; a class is imported when it is first used, its framework later."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secondguess.trainer.callbacks.hugging_face import HuggingFacePredictions
    from secondguess.trainer.callbacks.keras import KerasPredictions
    from secondguess.trainer.callbacks.lightning import LightningPredictions

__all__ = ["HuggingFacePredictions", "KerasPredictions", "LightningPredictions"]


def __getattr__(name: str) -> object:
    if name == "LightningPredictions":
        from secondguess.trainer.callbacks.lightning import LightningPredictions

        return LightningPredictions
    if name == "HuggingFacePredictions":
        from secondguess.trainer.callbacks.hugging_face import HuggingFacePredictions

        return HuggingFacePredictions
    if name == "KerasPredictions":
        from secondguess.trainer.callbacks.keras import KerasPredictions

        return KerasPredictions
    raise AttributeError(f"module 'secondguess.callbacks' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
