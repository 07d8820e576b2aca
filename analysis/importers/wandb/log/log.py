"""What a W&B run's log says: the run, its config, its history, its artifacts, its end. Reads one record at a time."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import BadInput, Damaged
from secondguess.analysis.frames import Frame, check_header, frames
from secondguess.analysis.importers import wire
from secondguess.analysis.importers.wandb.media import Entry, is_staging
from secondguess.analysis.importers.wandb.unicode import whole_text
from secondguess.analysis.opening import open_regular

_ARTIFACT = 8
_RUN_TEXTS = {1: "id", 2: "entity", 3: "project", 6: "group", 7: "job_type", 8: "name", 9: "notes", 12: "sweep"}
_DEEPEST_KEY = 50
_decode = json.JSONDecoder().decode
_LONGEST_LINE = 1 << 16
_MOST_ENTRIES = 1_000_000
_MOST_LINES_BYTES = 256 << 20
_VALUES_LIMIT = 16 << 20


@dataclass(frozen=True)
class RunInfo:
    """What a run record says of the run, only what it says at all: id, name, project, tags (a list), started."""

    about: Mapping[str, Any]
    config: "Change"


@dataclass(frozen=True)
class Change:
    """An update of nested values: (path, value) to set, paths to remove."""

    update: Sequence[tuple[tuple[str, ...], Any]] = ()
    remove: Sequence[tuple[str, ...]] = ()

    def apply(self, values: dict[str, Any]) -> None:
        """Change the nested values in place."""
        for path, value in self.update:
            set_nested(values, path, value)
        for path in self.remove:
            *outer, last = path
            inner: Any = values
            for key in outer:
                inner = inner.get(key) if isinstance(inner, dict) else None
            if isinstance(inner, dict):
                inner.pop(last, None)


@dataclass(frozen=True)
class ConfigChange(Change):
    """An update of the run's config."""


@dataclass(frozen=True)
class SummaryChange(Change):
    """An update of the run's summary."""


@dataclass(frozen=True)
class HistoryRow:
    """One row of the history; nested values are rebuilt as dicts."""

    step: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Artifact:
    """An artifact that was logged; `offset` is where its record begins, to read its manifest later."""

    offset: int
    client_id: str
    type: str
    name: str
    digest: str


@dataclass(frozen=True)
class Exit:
    """The end of the run."""

    code: int


Record = RunInfo | ConfigChange | SummaryChange | HistoryRow | Artifact | Exit


@dataclass(frozen=True)
class WandbLog:
    """A run's `.wandb` file."""

    path: Path

    def records(self) -> Iterator[Record]:
        """Yield what is told in order; stops quietly where the log is not all there yet.

        Raises Damaged, naming file and offset, where the log is no log, or is broken in the middle.
        """
        with open_regular(self.path, links=True) as file:
            if check_header(file, str(self.path)):
                for frame in frames(file, str(self.path)):
                    yield from self._told(frame)

    def manifest(self, artifact: Artifact) -> dict[str, Entry]:
        """The files of an artifact by path, from its record or the file that the record names."""
        with open_regular(self.path, links=True) as file:
            frame = next(frames(file, str(self.path), artifact.offset))
        entries, elsewhere = self._parsed(frame, _manifest)
        return self._long_manifest(elsewhere) if elsewhere else entries

    def _told(self, frame: Frame) -> Iterator[Record]:
        yield from self._parsed(frame, _records)

    def _parsed(self, frame: Frame, parse: Any) -> Any:
        try:
            return parse(frame)
        except (ValueError, RecursionError) as error:
            why = "nested too deep" if isinstance(error, RecursionError) else str(error)
            raise Damaged(f"{self.path} has a record that cannot be read at byte {frame.offset:,}: {why}") from None

    def _long_manifest(self, place: str) -> dict[str, Entry]:
        path = Path(place)
        if path.parent.name != "artifact_manifests" or not is_staging(str(path.parent.parent)):
            raise BadInput(f"{self.path} names the manifest {place[:80]!r}, outside W&B's folders")
        entries = {}
        with open_regular(path) as packed, gzip.open(packed) as lines:
            try:
                while line := lines.readline(_LONGEST_LINE):
                    if lines.tell() > _MOST_LINES_BYTES:
                        raise Damaged(f"{path} is longer than {_MOST_LINES_BYTES:,} bytes")
                    about = json.loads(line)
                    known = (str(about.get(key) or "") for key in ("path", "digest", "local_path", "ref"))
                    entry = Entry(*known)
                    entries[entry.path] = entry
                    if len(entries) > _MOST_ENTRIES:
                        raise Damaged(f"{path} names more than {_MOST_ENTRIES:,} files")
            except (ValueError, AttributeError, RecursionError, EOFError, OSError, zlib.error) as error:
                raise Damaged(f"{path} is no manifest of W&B's: {error}") from None
        return entries


def set_nested(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set the value at a path of keys, making the dicts on the way."""
    *outer, last = path
    for key in outer:
        inner = values.get(key)
        if not isinstance(inner, dict):
            inner = values[key] = {}
        values = inner
    values[last] = value


def _records(frame: Frame) -> list[Record]:
    """What a record tells; none of the kinds that no importer needs."""
    return [
        _READERS[number](wire.part(value), frame.offset)
        for number, value in wire.fields(frame.payload)
        if number in _READERS
    ]


def _exit(message: bytes) -> Exit:
    codes = [wire.number(value) for number, value in wire.fields(message) if number == 1]
    return Exit(codes[-1] if codes else 0)


def _run(message: bytes) -> RunInfo:
    about: dict[str, Any] = {}
    config = Change()
    for field_number, value in wire.fields(message):
        if field_number in _RUN_TEXTS:
            about[_RUN_TEXTS[field_number]] = wire.text(value)
        elif field_number == 10:
            about.setdefault("tags", []).append(wire.text(value))
        elif field_number == 4:
            config = Change(*_change(wire.part(value)))
        elif field_number == 17:
            about["started"] = _time(wire.part(value))
    return RunInfo({key: value for key, value in about.items() if value}, config)


def _time(message: bytes) -> str:
    parts = {number: wire.number(value) for number, value in wire.fields(message)}
    try:
        moment = datetime.fromtimestamp(parts.get(1, 0), UTC).replace(microsecond=parts.get(2, 0) // 1000)
    except (OverflowError, OSError):
        raise ValueError("a time that is none") from None
    return moment.isoformat(timespec="milliseconds")


def _change(message: bytes) -> tuple[list[tuple[tuple[str, ...], Any]], list[tuple[str, ...]]]:
    message_fields = wire.fields(_inside(message))
    items = [(number, _item(wire.part(value))) for number, value in message_fields if number in (1, 2)]
    return [item for number, item in items if number == 1], [path for number, (path, _) in items if number == 2]


def _history(message: bytes) -> HistoryRow:
    values: dict[str, Any] = {}
    step = 0
    for number, value in wire.fields(_inside(message)):
        if number == 1:
            set_nested(values, *_item(wire.part(value)))
        elif number == 2:
            step = next((wire.number(part) for inner, part in wire.fields(wire.part(value)) if inner == 1), 0)
    told = values.get("_step")
    if isinstance(told, int) and not isinstance(told, bool) and abs(told) < 1 << 63:
        step = told
    return HistoryRow(step, values)


def _inside(message: bytes) -> bytes:
    """The message, unless its JSON could take more memory than there is."""
    if len(message) > _VALUES_LIMIT:
        raise ValueError(f"values of more than {_VALUES_LIMIT:,} bytes")
    return message


def _item(message: bytes) -> tuple[tuple[str, ...], Any]:
    """The path of keys and the value of an item of history, summary or config."""
    nested: list[str] = []
    key = ""
    content: Any = None
    for number, value in wire.fields(message):
        match number:
            case 1:
                key = wire.text(value)
            case 2:
                nested.append(wire.text(value))
            case 4:
                content = bool(wire.number(value))
            case 5:
                content = wire.zigzag(value)
            case 6:
                content = wire.double(value)
            case 7:
                content = wire.text(value)
            case 8 | 16:
                content = _value(wire.part(value))
    if len(nested) > _DEEPEST_KEY:
        raise ValueError(f"a key of {len(nested)} parts")
    return tuple(nested) or (key,), content


def _value(raw: bytes) -> Any:
    """A value out of JSON, with halves of characters replaced, which no file of ours could hold."""
    text = raw.decode()
    value = _decode(text)
    if "\\" in text and "\\ud" in text.lower():
        value = _decode(whole_text(json.dumps(value, ensure_ascii=False)))
    return value


def _artifact(message: bytes, offset: int) -> Artifact:
    texts = {number: wire.text(value) for number, value in wire.fields(message) if number in (4, 5, 6, 15)}
    return Artifact(offset, *(texts.get(number, "") for number in (15, 4, 5, 6)))


def _manifest(frame: Frame) -> tuple[dict[str, Entry], str]:
    """The files of the artifact in a record, or the name of the file that lists them."""
    entries: dict[str, Entry] = {}
    elsewhere = ""
    for number, value in wire.fields(frame.payload):
        for inner, manifest in wire.fields(wire.part(value)) if number == _ARTIFACT else ():
            for field_number, part in wire.fields(wire.part(manifest)) if inner == 12 else ():
                if field_number == 4:
                    entry = _entry(wire.part(part))
                    entries[entry.path] = entry
                    if len(entries) > _MOST_ENTRIES:
                        raise ValueError(f"more than {_MOST_ENTRIES:,} files in an artifact")
                elif field_number == 5:
                    elsewhere = wire.text(part)
    return entries, elsewhere


def _entry(message: bytes) -> Entry:
    texts = {1: "", 2: "", 6: "", 3: ""}
    for number, value in wire.fields(message):
        if number in texts:
            texts[number] = wire.text(value)
    return Entry(*texts.values())


_READERS: Mapping[int, Callable[[bytes, int], Record]] = {
    2: lambda message, _: _history(message),
    3: lambda message, _: SummaryChange(*_change(message)),
    5: lambda message, _: ConfigChange(*_change(message)),
    _ARTIFACT: _artifact,
    17: lambda message, _: _run(message),
    18: lambda message, _: _exit(message),
}
