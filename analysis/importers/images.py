"""Which column has the images: media as they come, encoded bytes, base64 text, or names of files."""

import re
from pathlib import Path

import pyarrow as pa

from secondguess.analysis.errors import BadInput
from secondguess.analysis.importers import shapes
from secondguess.analysis.importers.facts import kind_of
from secondguess.analysis.importers.hugging_face import image_columns
from secondguess.analysis.importers.looked import Looked
from secondguess.analysis.importers.words import words

_IMAGE = frozenset(["image", "img", "picture", "photo"])
FILES = _IMAGE | frozenset(["file", "filename", "filepath", "path", "crop", "name", "id"])
"""Words of columns that may name files of images."""
_SUFFIX = re.compile(r"\.(png|jpe?g|gif|webp|bmp)$", re.IGNORECASE)


def image_of(looked: Looked) -> str | None:
    """The column with the images, made from another where cells name files or are bytes; None where there is none."""
    told = looked.given.image
    if told is not None:
        return _told(looked, told)
    media = [str(name) for name, one in looked.fields.items() if _media(one) == b"image"]
    for name in media:
        if name.casefold() in _IMAGE:
            return name
    if len(media) == 1:
        return media[0]
    for name in [*image_columns(looked.versions), *looked.fields]:
        if name in looked.fields and _holds(looked, name):
            return _made(looked, name, anywhere=False)
    return None


def _media(one: pa.Field) -> bytes | None:
    kind: bytes | None = (one.metadata or {}).get(b"media")
    return kind


def _told(looked: Looked, name: str) -> str:
    one = looked.fields[name]
    kind = kind_of(one)
    if kind == "media" and _media(one) == b"image":
        return name
    if kind not in {"image", "bytes", "text", "json"}:
        raise BadInput(f"column {name!r} is {one.type}, which is no image: bytes, base64 text and names of files are")
    return _made(looked, name, anywhere=True)


def _made(looked: Looked, name: str, *, anywhere: bool) -> str:
    """Text stays a column, too: it may be the id, and a file's name is worth keeping."""
    kind = kind_of(looked.fields[name])
    made = f"{name} (file)" if kind in {"text", "json"} else name
    looked.make(shapes.image(name, made, looked.folder, anywhere))
    return made


def _holds(looked: Looked, name: str) -> bool:
    kind, said = kind_of(looked.fields[name]), set(words(name))
    if kind == "image":
        return True
    if kind == "bytes":
        return bool(said & _IMAGE)
    facts = looked.facts.get(name)
    if kind != "text" or facts is None or not said & FILES:
        return False
    texts = [text for text in facts.sample if text]
    return any(_is_file(looked.folder, text) or shapes.decoded(text) is not None for text in texts)


def _is_file(folder: Path | None, text: str) -> bool:
    """Whether it names an image below the folder; what it has is looked at when it is read."""
    if folder is None or not _SUFFIX.search(text) or "://" in text:
        return False
    try:
        return (folder / text).is_file() and not Path(text).is_absolute() and ".." not in Path(text).parts
    except (OSError, ValueError):
        return False
