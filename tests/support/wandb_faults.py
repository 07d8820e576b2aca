"""For tests of what W&B gets: a reader of what it wrote, and a saboteur inside the process that holds it.

The saboteur makes the file `reached` in its folder once it acts, and with `await_go` acts when there is a file `go`.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb

_BLOCK = 1 << 15


def records(log: Path) -> Iterator[Any]:
    """Yields the protobuf records of a run's `.wandb` file (LevelDB framing)."""
    data = log.read_bytes()
    assert data[:4] == b":W&B", data[:7]
    at, payload = 7, b""
    while at + 7 <= len(data):
        if _BLOCK - at % _BLOCK < 7:
            at += _BLOCK - at % _BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        payload += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield pb.Record.FromString(payload)
            payload = b""


class OfflineRun:
    """What an offline run's folder says."""

    def __init__(self, folder: Path) -> None:
        (log,) = folder.glob("run-*.wandb")
        self.name = self.project = ""
        self.config: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.exit_code: int | None = None
        self._manifests: dict[str, dict[str, Path]] = {}
        for record in records(log):
            self._read(record)

    def _read(self, record: Any) -> None:
        match record.WhichOneof("record_type"):
            case "run":
                self.name, self.project = record.run.display_name, record.run.project
                self.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            case "history":
                self.history.append(_row(record.history.item))
            case "artifact":
                contents = record.artifact.manifest.contents
                self._manifests[record.artifact.client_id] = {item.path: Path(item.local_path) for item in contents}
            case "exit":
                self.exit_code = record.exit.exit_code

    def files(self, cell: dict[str, Any]) -> dict[str, Path]:
        """The staged files behind a table's history value, by their path in the artifact."""
        client, _ = cell["artifact_path"].removeprefix("wandb-client-artifact://").split("/", 1)
        return self._manifests[client]

    def table(self, key: str, cell: dict[str, Any]) -> dict[str, Any]:
        """The staged table with its media."""
        return json.loads(self.files(cell)[f"{key}.table.json"].read_text())


def _row(items: Any) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for item in items:
        *outer, name = list(item.nested_key) or [item.key]
        inner = row
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[name] = json.loads(item.value_json)
    return row


_SIGNS = """
import os, signal, time
def reached():
    open({reached!r}, "w").close()
def await_go():
    while not os.path.exists({go!r}):
        time.sleep(0.02)
"""


def sabotage(folder: Path, code: str) -> str:
    """Writes code that every Python started with the returned PYTHONPATH runs first."""
    folder.mkdir()
    signs = _SIGNS.format(reached=str(folder / "reached"), go=str(folder / "go"))
    (folder / "sitecustomize.py").write_text(signs + code)
    return str(folder)
