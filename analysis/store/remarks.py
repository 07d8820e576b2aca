"""What people say of a run after it was recorded: tags and a note, in a file of its own in the run's folder.

The only file of a run that is written again. It is whole or as it was, and whoever changes it waits for who does.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import BadInput, Damaged, NotFound, NotWritten
from secondguess.analysis.objects.path import ObjectPath
from secondguess.analysis.opening import read_regular
from secondguess.analysis.store.disk import make_folder, put_text
from secondguess.analysis.store.runs import Run, find_run
from secondguess.analysis.store.seal import is_whole, sealed

FILE = "remarks.json"
LONGEST_TAG, LONGEST_NOTE = 60, 20_000  # characters
_LONGEST = 1 << 20  # bytes of the file


@dataclass(frozen=True)
class Remarks:
    """Tags, each once and in order of the alphabet, and a note."""

    tags: tuple[str, ...] = ()
    note: str = ""


def read(run: Run) -> Remarks:
    """What is said of a run; raises Damaged where its file is none of remarks."""
    path = run.folder / FILE
    if run.outside:
        return Remarks()
    try:
        said = json.loads(read_regular(path, _LONGEST).decode("utf-8-sig"))
        if not isinstance(said, dict) or is_whole(said) is False:
            raise ValueError("it was edited by hand, or is damaged (its sha256 differs)")
        tags, note = said.get("tags", []), said.get("note", "")
        if not isinstance(note, str) or not all(isinstance(tag, str) for tag in tags):
            raise ValueError("tags are a list of texts, and a note is a text")
        return Remarks(tuple(tags), note)
    except (FileNotFoundError, NotFound):
        return Remarks()
    except (ValueError, TypeError, RecursionError, BadInput) as error:
        raise Damaged(f"{path} is no file of tags and notes: {error}; delete it, or say them anew") from None


def change(
    store: Path, name: str, add: Sequence[str] = (), remove: Sequence[str] = (), note: str | None = None
) -> Remarks:
    """Add and remove tags of a run, and where a note is given let it be this one; returns what is said from then on.

    Raises NotFound for a run that there is not, BadInput for what is no tag or too long, NotWritten.
    """
    run = find_run(store, name)
    new = [_tag(tag) for tag in add]
    if note is not None and len(note) > LONGEST_NOTE:
        raise BadInput(f"a note has at most {LONGEST_NOTE:,} characters, and this one {len(note):,}; keep it in a file")
    with _alone(run):
        try:
            before = read(run)
        except Damaged:
            if note is None:
                raise
            before = Remarks()  # which is said anew
        tags = sorted({*before.tags, *new} - {tag.strip() for tag in remove})
        after = Remarks(tuple(tags), before.note if note is None else note)
        content: dict[str, Any] = {"tags": list(after.tags), "note": after.note}
        text = json.dumps(sealed(content), ensure_ascii=False, indent=1) + "\n"
        try:
            put_text(run.folder / FILE, text, run.folder / ".incoming", overwrite=True)
        except OSError as error:
            raise NotWritten(f"the remarks on {name} could not be written", error) from error
    return after


def _tag(text: str) -> str:
    tag = text.strip()
    if not tag or len(tag) > LONGEST_TAG or "," in tag or not tag.isprintable():
        raise BadInput(f"{text!r} is no tag; a tag has 1 to {LONGEST_TAG} characters and no comma")
    return tag


@contextlib.contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Let nobody else change the remarks on a run meanwhile; who records it need not wait."""
    if isinstance(run.folder, ObjectPath):
        yield  # whoever comes last is right: a bucket has no lock that waits
        return
    try:
        make_folder(run.commits_folder)  # which a run has from its first commit on
        handle = os.open(run.commits_folder, os.O_RDONLY)
    except OSError as error:
        raise NotWritten(f"the remarks on {run.name} could not be written", error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
