"""Images in an answer that is written as text: files of their own, and in the text where they are."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.answer import Answer, Row
from analysis.errors import BadInput

_FORMS = {"csv", "markdown"}


def beside(file: Path, form: str, answer: Answer) -> Answer:
    """The answer with each image {bytes, path} replaced by the path, from the text file, of a file that holds it.

    The images lie in a folder called as the text file, with `-images` behind it, each once, named by its content. Only
    CSV and Markdown need this. Raises BadInput where the folder cannot be written.
    """
    if form not in _FORMS or (file.exists() and not file.is_file()):  # a pipe, a device
        return answer
    return replace(answer, rows=_rows(answer, folder(file)))


def folder(file: Path) -> Path:
    """Where the images of a text file lie."""
    return file.with_name(f"{file.stem}-images")


def _rows(answer: Answer, place: Path) -> Iterator[Row]:
    written: set[str] = set()
    for row in answer.rows:
        yield tuple(_placed(value, place, written) for value in row)


def _placed(value: Any, place: Path, written: set[str]) -> Any:
    if isinstance(value, list):
        return [_placed(item, place, written) for item in value]
    data = value.get("bytes") if isinstance(value, dict) else None
    if not isinstance(data, bytes):
        return value
    from analysis.content import suffix  # noqa: PLC0415 - it brings Pillow, which only images need

    name = hashlib.sha256(data).hexdigest()[:16] + suffix(data)
    if name not in written:
        try:
            place.mkdir(exist_ok=True)
            (place / name).write_bytes(data)
        except OSError as error:
            raise BadInput(f"cannot write images to {place}: {error.strerror or error}") from None
        written.add(name)
    return f"{place.name}/{name}"
