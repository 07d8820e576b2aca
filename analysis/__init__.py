"""Ask what a model got wrong: questions over prediction tables, in SQL."""

from importlib import import_module

_PUBLIC = {"connect": "analysis.connection", "Connection": "analysis.connection", "SecondguessError": "analysis.errors"}

__all__ = ["Connection", "SecondguessError", "connect"]


def __getattr__(name: str) -> object:
    """A public name, its module loaded on first use."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
