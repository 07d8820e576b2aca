"""The user's cache folder: what lies there may be deleted at any time, and costs no more than being read again."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def folder() -> Path:
    """Ours in the user's cache folder, whether it exists or not; a user without a home has one that takes nothing."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    caches = named if os.path.isabs(named) else os.path.expanduser("~/.cache")
    return Path(caches if os.path.isabs(caches) else os.devnull) / "secondguess"


def keep(file: Path, content: bytes) -> None:
    """Replace a file there in one step, for its owner's eyes only; a folder that takes nothing is no fault."""
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(content)
            os.replace(part, file)
        except BaseException:
            os.unlink(part)
            raise
