"""What W&B says about a table's columns (`column_types`), and which of its two files has a cell's true value."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Stands for a cell of which only the word for its class is left.
LOST = type("Lost", (), {"__repr__": lambda _: "LOST"})()

# The word that a run's own table file has in place of a media object, and where the artifact keeps its file.
MEDIA_WORDS = {
    "Image": ("image", "media/images/"),
    "Html": ("html", "media/html/"),
    "Audio": ("audio", "media/audio/"),
    "Video": ("video", "media/videos/"),
    "Object3D": ("object3D", "media/object3D/"),
    "Molecule": ("molecule", "media/molecule/"),
    "Bokeh": ("bokeh", "media/bokeh/"),
    "Plotly": ("plotly", "media/plotly/"),
}

_PLAIN = {"number", "string", "boolean", "timestamp", "none"}
_CLASSES = {"Decimal": "decimal", "bytes": "bytes"}
_MICROSECONDS = 1000  # in a millisecond


@dataclass(frozen=True)
class WandbType:
    """One type of W&B's, without its option to be None.

    kind is number, string, boolean, timestamp, none, decimal, bytes, media, list, dict, ndarray, or any: whatever
    the values are. media is what kind of file it is; array is where an ndarray column lies (path, key).
    """

    kind: str = "any"
    media: str = ""
    element: "WandbType | None" = None
    fields: Mapping[str, "WandbType"] = field(default_factory=dict)
    array: tuple[str, str] | None = None

    @property
    def inner(self) -> Sequence["WandbType"]:
        """The types within a list or dict."""
        return [self.element] if self.element else list(self.fields.values())

    @property
    def needs_artifact(self) -> bool:
        """Whether the run's own file may lack the value: media, and objects of which it has the class's name."""
        return self.kind in {"any", "media"} or any(one.needs_artifact for one in self.inner)

    @property
    def has_times(self) -> bool:
        """Whether a time is in it, which the artifact has in milliseconds."""
        return self.kind == "timestamp" or any(one.has_times for one in self.inner)


ANY = WandbType()


def column_types(told: Any, names: Sequence[str]) -> list[WandbType]:
    """The types of the columns; ANY for one that is not told, or told in a way that is not known."""
    known = _part(_part(told, "params"), "type_map")
    return [parsed(known.get(name)) for name in names]


def parsed(told: Any) -> WandbType:
    """The type behind W&B's `{"wb_type": …, "params": …}`."""
    name = told.get("wb_type") if isinstance(told, dict) else None
    params = _part(told, "params")
    if not isinstance(name, str):
        return ANY
    if name in _PLAIN:
        return WandbType(name)
    if name == "unknown":
        return WandbType("none")
    if name == "union":
        return _union(params.get("allowed_types"))
    if name == "pythonObject":
        return WandbType(_CLASSES.get(str(params.get("class_name")), "any"))
    if name == "list":
        return WandbType("list", element=parsed(params.get("element_type")))
    if name in {"typedDict", "dict"}:
        return WandbType("dict", fields={key: parsed(one) for key, one in _part(params, "type_map").items()})
    if name == "ndarray":
        place = _part(params, "serialization_path")
        path, key = place.get("path"), place.get("key")
        return WandbType("ndarray", array=(path, key) if isinstance(path, str) and isinstance(key, str) else None)
    if name.endswith("-file"):
        return WandbType("media", name.removesuffix("-file"))
    if name.removeprefix("wandb.") in MEDIA_WORDS:
        return WandbType("media", MEDIA_WORDS[name.removeprefix("wandb.")][0])
    return ANY


def is_media(cell: Any) -> bool:
    """Whether a cell of an artifact's table is a reference to a file."""
    return isinstance(cell, dict) and str(cell.get("_type", "")).endswith("-file") and "path" in cell


def merged(kind: WandbType, own: Any, other: Any) -> Any:
    """A cell of the run's own file, with what only the artifact's has; other is LOST where that has no such row."""
    if own is None:
        return None
    if kind.kind == "media" or (kind.kind == "any" and isinstance(own, str) and _is_object(other)):
        return other
    if isinstance(own, list) and kind.kind in {"any", "list"}:
        others = other if isinstance(other, list) and len(other) == len(own) else [LOST] * len(own)
        return [merged(kind.element or ANY, one, another) for one, another in zip(own, others, strict=True)]
    if isinstance(own, dict) and kind.kind in {"any", "dict"}:
        beside = other if isinstance(other, dict) else {}
        return {key: merged(kind.fields.get(key, ANY), one, beside.get(key, LOST)) for key, one in own.items()}
    return own


def from_artifact(kind: WandbType, cell: Any) -> Any:
    """A cell of an artifact's table as the run's own would have it: milliseconds become nanoseconds."""
    if kind.kind == "timestamp" and isinstance(cell, int | float) and not isinstance(cell, bool):
        return round(cell * _MICROSECONDS) * 1000 if math.isfinite(cell) else cell
    if kind.kind == "list" and isinstance(cell, list) and kind.element:
        return [from_artifact(kind.element, one) for one in cell]
    if kind.kind == "dict" and isinstance(cell, dict):
        return {key: from_artifact(kind.fields.get(key, ANY), one) for key, one in cell.items()}
    return cell


def _is_object(cell: Any) -> bool:
    return isinstance(cell, dict) and "_type" in cell


def _union(allowed: Any) -> WandbType:
    kinds = [parsed(one) for one in allowed] if isinstance(allowed, list) else []
    kinds = [kind for kind in kinds if kind.kind != "none"]
    if not kinds:
        return WandbType("none")
    return kinds[0] if len(kinds) == 1 else ANY


def _part(told: Any, key: str) -> dict[str, Any]:
    part = told.get(key) if isinstance(told, dict) else None
    return part if isinstance(part, dict) else {}
