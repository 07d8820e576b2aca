"""Timing peers in turn, and saying it as ratios: absolute times differ from machine to machine, ratios hardly."""

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path


def in_turn(peers: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call each peer once per round, in turn, so that a slow moment of the machine meets all; each returns seconds."""
    found: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, peer in peers.items():
            found[name].append(peer())
    return found


def pairs(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """The ratio of each pair."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def ratio(slow: Sequence[float], fast: Sequence[float]) -> str:
    """The ratio pair by pair: its median, and its least and greatest."""
    found = pairs(slow, fast)
    return f"{statistics.median(found):.2f}x ({min(found):.2f} to {max(found):.2f})"


def machine() -> str:
    """The machine in a line."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def size(folder: Path) -> int:
    """The bytes that all files below a folder take on the disk, whole blocks."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
