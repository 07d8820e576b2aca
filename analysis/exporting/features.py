"""Columns as Hugging Face's `datasets` describes them: in a file's metadata as JSON, in a data set's card as YAML."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

# What JSON leaves as it is and YAML takes for a line's end, or refuses.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # which YAML takes for other than texts


def described(schema: pa.Schema, images: Sequence[str], labels: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The columns as a card lists them; none where one is of a type that `datasets` has no word for."""
    features: list[dict[str, Any]] = []
    for field in schema:
        if field.name in images:
            kind: dict[str, Any] | None = {"dtype": "image"}
        elif field.name in labels:
            names = {str(place): name for place, name in enumerate(labels[field.name])}
            kind = {"dtype": {"class_label": {"names": names}}}
        else:
            kind = kind_of(field.type)
        if kind is None:
            return []
        features.append({"name": field.name, **kind})
    return features


def kind_of(kind: pa.DataType) -> dict[str, Any] | None:
    """A type in a card's words; None where `datasets` has none for it, and so reads no file with such a column."""
    if pa.types.is_dictionary(kind):
        return kind_of(kind.value_type)
    if pa.types.is_struct(kind):
        inner = [(field.name, kind_of(field.type)) for field in kind]
        known = [{"name": name, **one} for name, one in inner if one is not None]
        return {"struct": known} if len(known) == len(inner) else None
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        of = kind_of(kind.value_type)
        if of is None:
            return None
        word = "large_list" if pa.types.is_large_list(kind) else "list"
        length = {"length": kind.list_size} if pa.types.is_fixed_size_list(kind) else {}
        return {word: of["dtype"] if list(of) == ["dtype"] else of.get("struct", of), **length}
    spelled = _SPELLED_OTHERWISE.get(str(kind)) or str(kind)
    return {"dtype": spelled} if _SPELLED.fullmatch(spelled) else None


_SPELLED_OTHERWISE = {
    "float": "float32",
    "double": "float64",
    "halffloat": "float16",
    "date32[day]": "date32",
    "date64[ms]": "date64",
}
_SPELLED = re.compile(
    r"null|bool|float(16|32|64)|u?int(8|16|32|64)|(large_)?(string|binary)|date(32|64)|decimal(128|256)\(\d+, \d+\)|"
    r"timestamp\[(s|ms|us|ns)(, tz=[^\]]+)?\]|time(32|64)\[(s|ms|us|ns)\]|duration\[(s|ms|us|ns)\]"
)


def yaml(value: Mapping[str, Any]) -> str:
    """The value as YAML in blocks, its texts quoted as JSON quotes them."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            key = name if _PLAIN.fullmatch(name) and name not in _WORDS else _scalar(name)
            if isinstance(inner, Mapping | list) and inner:
                yield f"{key}:"
                yield from ("  " + line for line in _lines(inner))
            else:
                yield f"{key}: {_scalar(inner)}"
        return
    for one in value:
        first, *rest = _lines(one) if isinstance(one, Mapping) else [_scalar(one)]
        yield f"- {first}"
        yield from ("  " + line for line in rest)


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
