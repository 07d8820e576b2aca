"""Classes whose instances are callbacks of a framework, too, which is looked for when the first of them is made."""

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Self

from secondguess.analysis.errors import NotInstalled


class FrameworkCallback:
    """What our callbacks have in common: an instance is one of the framework's Callback, so that its checks hold.

    A framework that comes in several packages (`lightning`, `pytorch_lightning`) is taken from those that the program
    has imported, else from the first that is installed. Raises NotInstalled where there is none.
    """

    framework: ClassVar[tuple[str, ...]] = ()  # the Callback classes, as `module:name`

    def __new__(cls, *args: Any, **how: Any) -> Self:
        """An instance that is one of the framework's, too; raises NotInstalled."""
        made: type = cls if "_written" in cls.__dict__ else _made(_written(cls), _found(cls.framework))
        instance: Self = object.__new__(made)
        return instance

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[type], Any]:
        """What goes to another process: the class as it is written, which finds the framework anew there."""
        return _new, (_written(type(self)),), self.__getstate__()


def _new(cls: type[Any]) -> Any:
    return FrameworkCallback.__new__(cls)


@cache
def _made(cls: Any, bases: tuple[type, ...]) -> type:
    return type(cls.__name__, (cls, *bases), {"__module__": cls.__module__, "__doc__": cls.__doc__, "_written": cls})


def _written(cls: type[Any]) -> Any:
    """The class as it stands in a program, of which ours with the framework's was made."""
    return cls.__dict__.get("_written", cls)


def _found(names: tuple[str, ...]) -> tuple[type, ...]:
    classes = [name.split(":") for name in names]
    chosen = [(module, name) for module, name in classes if module in sys.modules]
    for module, name in classes if not chosen else ():
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or error.name not in {module, module.split(".")[0]}:
                raise
        else:
            chosen.append((module, name))
            break
    if not chosen:
        packages = " or ".join(module.split(".")[0] for module, _ in classes)
        raise NotInstalled(f"{packages} is not installed in this Python ({sys.executable})")
    return tuple(getattr(sys.modules[module], name) for module, name in chosen)
