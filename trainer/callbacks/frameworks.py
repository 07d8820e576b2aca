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
        instance: Self = object.__new__(_with(cls, _found(cls.framework)))
        return instance

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[type], Any]:
        """What goes to another process: the class as it is written, which finds the framework anew there."""
        return _new, (_written(type(self)),), self.__getstate__()


def of_framework(cls: type[FrameworkCallback]) -> type[FrameworkCallback]:
    """The class as one of the framework's, where the program has loaded that, else as it is written."""
    made: type[FrameworkCallback] = _with(cls, _loaded(cls.framework))
    return made


def _new(cls: type[FrameworkCallback]) -> FrameworkCallback:
    return FrameworkCallback.__new__(cls)


def _with(cls: Any, bases: tuple[type, ...]) -> Any:
    missing = tuple(base for base in bases if not issubclass(cls, base))
    return _made(cls, missing) if missing else cls


@cache
def _made(cls: Any, bases: tuple[type, ...]) -> type:
    written = _written(cls)
    # By its import path a class is found that is the framework's, as those look for it that read a config.
    module = "secondguess.callbacks" if written.__module__.startswith(__package__) else written.__module__
    about = {
        "__module__": module,
        "__qualname__": written.__qualname__,
        "__doc__": written.__doc__,
        "_written": written,
    }
    return type(cls.__name__, (cls, *bases), about)


def _written(cls: type[Any]) -> Any:
    """The class as it stands in a program, of which ours with the framework's was made."""
    return cls.__dict__.get("_written", cls)


def _loaded(names: tuple[str, ...]) -> tuple[type, ...]:
    modules = (name.split(":") for name in names)
    return tuple(
        getattr(sys.modules[module], name) for module, name in modules if hasattr(sys.modules.get(module), name)
    )


def _found(names: tuple[str, ...]) -> tuple[type, ...]:
    if loaded := _loaded(names):
        return loaded
    for module, _ in (name.split(":") for name in names):
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or error.name not in {module, module.split(".")[0]}:
                raise
        else:
            return _loaded(names)
    packages = " or ".join(dict.fromkeys(name.split(":")[0].split(".")[0] for name in names))
    raise NotInstalled(f"{packages} is not installed in this Python ({sys.executable})")
