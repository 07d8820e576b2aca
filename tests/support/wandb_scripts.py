"""W&B run folders for tests: written by the real SDK in a process of its own, or a log of a few records by hand."""

import json
import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb

_BEGIN = """
import datetime as dt, decimal, math, os, sys, wave
import numpy as np, wandb
run = wandb.init(project="demo", settings=wandb.Settings(console="off", x_disable_stats=True), **{init})
def wav(name, *samples):
    path = os.path.join(os.environ["HOME"], name)
    with wave.open(path, "wb") as file:
        file.setnchannels(1); file.setsampwidth(1); file.setframerate(8000); file.writeframes(bytes(samples))
    return path
"""
_END = """
run.finish()
wandb.teardown()
"""


def environment(folder: Path) -> dict[str, str]:
    """No cloud, no key of the user's, all folders of W&B's in one place; offline unless told otherwise."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "XDG_"))}
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    own = {
        "HOME": str(home),
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "WANDB_API_KEY": "k" * 40,
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_SILENT": "true",
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "WANDB_DATA_DIR": str(folder / "data"),
        "WANDB_CACHE_DIR": str(folder / "cache"),
        "WANDB_CONFIG_DIR": str(folder / "config"),
        "WANDB_ARTIFACT_DIR": str(folder / "artifacts"),
    }
    return kept | own


def real_run(
    folder: Path, script: str, *, init: Mapping[str, Any] = MappingProxyType({}), end: str = _END, **more: str
) -> Path:
    """Runs the script, in which `run` is an open run, and returns the run's folder, in `folder/wandb`.

    `more` are environment variables.
    """
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN.replace("{init}", repr(dict(init))) + script + end],
        env=environment(folder) | more,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return (folder / "wandb" / "latest-run").resolve()


def framed(records: Iterable[bytes]) -> bytes:
    """A log with these records, in LevelDB's framing as its documentation describes it."""
    out = bytearray(b":W&B" + struct.pack("<HB", 0xBEE1, 0))
    for record in records:
        begun = False
        while True:
            room = 32768 - len(out) % 32768
            if room < 7:
                out += bytes(room)
                continue
            part, record = record[: room - 7], record[room - 7 :]
            kind = (4 if begun else 1) if not record else (3 if begun else 2)
            out += struct.pack("<IHB", zlib.crc32(bytes([kind]) + part), len(part), kind) + part
            begun = True
            if not record:
                break
    return bytes(out)


def write_run(folder: Path, rows: Iterable[tuple[int, Mapping[str, Any]]], *more: pb.Record) -> Path:
    """A run folder whose log has the history rows (step, values), then further records; returns the folder."""
    folder.mkdir(parents=True)
    records = []
    for step, values in rows:
        record = pb.Record()
        record.history.step.num = step
        for key, value in values.items():
            record.history.item.add(nested_key=[key], value_json=json.dumps(value))
        records.append(record)
    log = folder / f"run-{folder.name.rsplit('-', 1)[-1]}.wandb"
    log.write_bytes(framed(record.SerializeToString() for record in [*records, *more]))
    return folder
