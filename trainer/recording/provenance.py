"""Where a run comes from: when, with what code and which versions."""

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from secondguess.analysis.errors import BadInput

_PACKAGES = ("secondguess", "torch", "torchvision", "wandb", "numpy", "pyarrow", "scikit-learn")


def gather() -> dict[str, Any]:
    """Python, platform, package versions and the git commit of the working folder."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    about = {"python": platform.python_version(), "platform": platform.platform(), "packages": versions}
    return {"provenance": {**about, "git": _git()}}


def plain(config: object) -> dict[str, Any]:
    """A config as JSON can hold it: numbers, text, lists and dicts; anything else as its text.

    It is a mapping, what argparse returns, a dataclass, or any object with attributes. Raises BadInput for none of it.
    """
    if isinstance(config, Mapping):
        return {_text(key): _plain(value) for key, value in config.items()}
    if is_dataclass(config) and not isinstance(config, type):
        return plain({field.name: getattr(config, field.name) for field in fields(config)})
    if callable(config) or not hasattr(config, "__dict__"):
        raise BadInput(f"config is a {type(config).__name__}; give a mapping such as {{'lr': 0.1}}, or vars(…) of it")
    return plain({name: value for name, value in vars(config).items() if not name.startswith("_")})


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, Mapping) or (is_dataclass(value) and not isinstance(value, type)):
        return plain(value)
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return _text(value)


def _text(value: object) -> str:
    # A path from the command line may hold bytes that are no Unicode.
    return str(value).encode(errors="backslashreplace").decode()


def _git() -> dict[str, Any] | None:
    try:
        commit = _ask_git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_ask_git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _ask_git(*words: str) -> str:
    asked = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=5)
    return asked.stdout.strip()
