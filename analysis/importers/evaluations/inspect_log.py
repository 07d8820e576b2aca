"""One log of Inspect's, in either of its formats: what its head says, and its samples one by one.

Formats as in inspect_ai's own code (`log/_recorders/eval.py`, `json.py`, `chunked/format.py`), 0.3.45 to 0.3.285.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import Damaged, NotFound
from secondguess.analysis.importers.evaluations.archive import Archive, open_archive
from secondguess.analysis.importers.wandb.table.text import JsonText
from secondguess.analysis.importers.wandb.unicode import whole_text
from secondguess.analysis.opening import open_regular

_HEAD = 1 << 14
_OF_A_LOG = re.compile(rb'\s*\{\s*"(?:version|status|eval)"\s*:')
_SAMPLE = re.compile(r"samples/(.+)_epoch_(\d+)(?:\.json|/sample\.json)")
_ATTACHMENTS = re.compile(r"(samples/.+_epoch_\d+)/attachments/(\d+)\.json")
_START, _END = "_journal/start.json", "header.json"

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Head:
    """What a log says of its run; `status` is `success`, `error`, `cancelled`, or `started` where it has no end."""

    status: str
    eval: Json
    results: Json
    error: str | None

    @property
    def model(self) -> str | None:
        """What was asked, as in `openai/gpt-4o`."""
        return whole_text(str(self.eval["model"])) if self.eval.get("model") else None

    @property
    def task(self) -> str | None:
        """What it was asked to do."""
        return whole_text(str(self.eval["task"])) if self.eval.get("task") else None

    @property
    def expected(self) -> int | None:
        """How many samples the log has once it is whole, each as often as it was to be asked."""
        samples, epochs = _object(self.eval.get("dataset")).get("samples"), _object(self.eval.get("config"))
        count = epochs.get("epochs")
        if not isinstance(samples, int):
            return None
        if limit := epochs.get("limit"):
            samples = min(samples, limit) if isinstance(limit, int) else samples
        return samples * (count if isinstance(count, int) and count > 0 else 1)


def is_log(path: Path) -> bool:
    """Whether a file is a log of Inspect's: a zip file with its head, or a JSON object that begins as one does."""
    suffix = path.suffix.lower()
    if suffix == ".eval":
        return True
    if suffix != ".json" or not path.is_file():
        return False
    with open_regular(path, links=True) as file:
        head = file.read(_HEAD)
    return _OF_A_LOG.match(head) is not None and b'"eval"' in head and b'"run_id"' in head


class Log:
    """An open log; `head` and `samples` raise Damaged for what cannot be read."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    def head(self) -> Head:
        """What stands before the samples, and in the end."""
        if self.path.suffix.lower() == ".json":
            return _head(dict(self._json(None)))
        with open_archive(self.path, self.name) as archive:
            member = _END if _END in archive else _START
            if member not in archive:
                raise Damaged(f"{self.name} is no log of Inspect's: it has neither {_END} nor {_START}")
            return _head(_object(self._parsed(archive, member)))

    def samples(self, order: Mapping[str, int]) -> Iterator[Json]:
        """Each sample, in the order of the ids (for those that it has) and epochs as far as the format lets choose."""
        if self.path.suffix.lower() == ".json":
            try:
                yield from (sample for _, sample in self._json("samples") if isinstance(sample, dict))
            except Damaged as damage:
                if "is longer than" not in str(damage):
                    raise
                remedy = f"inspect log convert {shlex.quote(self.name)} --to eval --output-dir ."
                raise Damaged(f"{damage}; as .eval it may be longer: {remedy}") from None
            return
        with open_archive(self.path, self.name) as archive:
            members = [(match, name) for name in archive.names if (match := _SAMPLE.fullmatch(name))]
            parts = _attachments(archive)
            for _, name in sorted(members, key=lambda one: (int(one[0][2]), order.get(one[0][1], len(order)))):
                sample = dict(_object(self._parsed(archive, name)))
                place = name.removesuffix("/sample.json")
                if own := parts.get(place):
                    sample["attachments"] = self._attached(archive, own)
                if f"{place}/metadata.json" in archive:
                    sample["metadata"] = self._parsed(archive, f"{place}/metadata.json")
                yield sample

    def _parsed(self, archive: Archive, member: str) -> Any:
        try:
            return json.loads(archive.read(member))
        except NotFound:
            raise
        except (ValueError, RecursionError) as error:
            raise Damaged(f"{self.name}: {member} cannot be read: {str(error) or 'it is nested too deep'}") from None

    def _attached(self, archive: Archive, parts: list[str]) -> dict[str, str]:
        """The texts that stand beside a sample in pieces, by the number that the sample calls each."""
        return {
            str(place): text for place, text in enumerate(one for part in parts for one in self._list(archive, part))
        }

    def _list(self, archive: Archive, member: str) -> list[Any]:
        value = self._parsed(archive, member)
        return value if isinstance(value, list) else []

    def _json(self, wanted: str | None) -> Iterator[tuple[str, Any]]:
        """The values of a JSON log by key, as far as its samples; or each of its samples."""
        seen: set[str] = set()
        with open_regular(self.path, links=True) as file:
            text = JsonText(file, self.name)
            keys = text.keys()
            for key in keys:
                if key == "samples" and text.next() == "[":
                    if wanted is None and "eval" in seen:  # what the head says stands before them
                        return
                    for sample, _ in text.items("sample"):
                        if wanted is not None:
                            yield key, sample
                    continue
                value = text.value(f"key {key!r}")
                seen.add(key)
                if wanted is None:
                    yield key, value


def _attachments(archive: Archive) -> dict[str, list[str]]:
    """The pieces of texts that stand beside each sample, in their order."""
    parts: dict[str, list[tuple[int, str]]] = {}
    for name in archive.names:
        if match := _ATTACHMENTS.fullmatch(name):
            parts.setdefault(match[1], []).append((int(match[2]), name))
    return {sample: [name for _, name in sorted(own)] for sample, own in parts.items()}


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _head(said: Json) -> Head:
    error = _object(said.get("error")).get("message")
    return Head(
        status=str(said.get("status") or "started"),
        eval=_object(said.get("eval")),
        results=_object(said.get("results")),
        error=None if error is None else str(error),
    )
