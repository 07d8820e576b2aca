"""What was downloaded from W&B, on disk: a folder for each run, and the artifacts' files by their MD5.

runs/<entity>/<project>/<run>/run.json        what the run is, its config, and its artifacts
runs/<entity>/<project>/<run>/history.jsonl   the rows, in the order of their steps
runs/<entity>/<project>/<run>/manifests/…     the files of each artifact: MD5, size, reference
runs/<entity>/<project>/<run>/files/…         the run's own table files
artifacts/obj/md5/…                           the artifacts' files, as the SDK's own cache has them
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import BadInput, Damaged, NotFound
from secondguess.analysis.importers import checksums
from secondguess.analysis.importers.wandb.media import Entry
from secondguess.analysis.opening import below
from secondguess.analysis.schema import encoded


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @classmethod
    def of(cls, cache: Path, entity: str, project: str, run: str) -> "RunFolder":
        """The folder of a run, whether it exists or not; raises BadInput for a name that no folder has."""
        if not all(name.strip(".") for name in (entity, project, run)):
            raise BadInput(f"{run!r:.40} is not the name of a run")
        return cls(cache.joinpath("runs", *map(encoded, (entity, project, run))))

    @property
    def about(self) -> dict[str, Any]:
        """What the run is; raises Damaged where that was not written whole."""
        record = _read(self.path / "run.json")
        if record is None:
            raise Damaged(f"{self.path} has no run; import it again")
        return record

    def is_of(self, about: Mapping[str, Any]) -> bool:
        """Whether the history that is here is that of a run which has ended, and is as it was then."""
        known = _read(self.path / "run.json") or {}
        same = all(known.get(key) == about[key] for key in ("id", "state", "last_step"))
        return same and about["state"] == "finished" and (self.path / "history.jsonl").is_file()

    def history(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, in the order of their steps."""
        with (self.path / "history.jsonl").open("rb") as rows:
            for row in rows:
                try:
                    yield json.loads(row)
                except (ValueError, RecursionError):
                    raise Damaged(f"{self.path / 'history.jsonl'} has a row that cannot be read") from None

    def manifest_file(self, artifact: str) -> Path:
        """Where the manifest of an artifact is kept; its id in hexadecimal digits."""
        return self.path / "manifests" / f"{int(artifact, 16):x}.json"

    def manifest(self, artifact: str) -> dict[str, Any] | None:
        """The files of an artifact by name: md5, size, ref; None where it is not here."""
        return _read(self.manifest_file(artifact))

    def entries(self, artifact: str) -> dict[str, Entry]:
        """The files of an artifact; one that lies in another artifact was fetched too, and counts as its own."""
        manifest = self.manifest(artifact)
        if manifest is None:
            raise NotFound(f"the manifest of an artifact is not in {self.path}; import the run again")
        return {name: Entry(name, about["md5"], ref=_elsewhere(about["ref"])) for name, about in manifest.items()}

    def own(self, name: str) -> Path:
        """Where a file of the run itself is kept."""
        return below(self.path, f"files/{name}")


def object_file(cache: Path, md5: str) -> Path:
    """Where the SDK's cache keeps a file of that MD5 (base64); raises BadInput for what is none."""
    return checksums.object_file(cache, md5_hex(md5))


def md5_hex(md5: str) -> str:
    """An MD5 in hexadecimal digits, from base64; raises BadInput for what is none."""
    digits = checksums.md5_hex(md5)
    if digits is None:
        raise BadInput(f"the manifest has no MD5 for a file, so it cannot be checked: {md5!r:.40}")
    return digits


def same_md5(path: Path, md5: str) -> bool:
    """Whether a file is there and has that MD5, in base64."""
    told = md5_hex(md5)
    try:
        return checksums.md5_of(path) == told
    except (NotFound, BadInput):
        return False


def same_sha256(path: Path, sha256: str) -> bool:
    """Whether a file is there and has that sha256."""
    try:
        return checksums.is_sha256_of(path, sha256)
    except (NotFound, BadInput):
        return False


def write_json(path: Path, value: Any) -> None:
    """Write a file as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(value))
    os.replace(part, path)


def _elsewhere(ref: str) -> str:
    return "" if ref.startswith("wandb-artifact://") else ref


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
