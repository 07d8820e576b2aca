"""What a server of a store, its page or that for agents, keeps from one time to the next: its secret and its port.

It lies in a folder of the user's and not in the store, so that no copy of a store, or of a run, has it.
"""

import fcntl
import json
import os
import secrets
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Self

from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.objects.path import ObjectPath

_BYTES = 32  # of a secret
_LONGEST = 1 << 16  # bytes of the file
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Serving(SecondguessError):
    """Another process serves this store: at this address, with this secret."""

    def __init__(self, store: Path, base: str, process: object, key: bytes, what: str = "the page") -> None:
        where = f"at {base} " if base else ""
        super().__init__(f"{what} of {store} is open already {where}(process {process}); stop it there with Ctrl-C")
        self.base = base
        self.key = key


def _where(store: Path) -> str:
    return str(store) if isinstance(store, ObjectPath) else os.path.realpath(store)


class Secret:
    """The secret of what a store is served by, held by the one process that does; close it to let another.

    key signs; port is the one that the page had last, 0 where it had none; fault says why nothing is kept, or what was
    kept is not used. Raises Serving where another process serves this store.
    """

    def __init__(self, store: Path, folder: Path, *, anew: bool = False, what: str = "the page") -> None:
        self._store = store
        self._what = what
        self._handle = -1
        self.key = secrets.token_bytes(_BYTES)
        self.port = 0
        self.fault = ""
        path = folder / f"{sha256(_where(store).encode(errors='surrogateescape')).hexdigest()[:32]}.json"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(path, _FLAGS, 0o600)
            self._lock()
            self._read(path, anew)
        except OSError as error:
            self.close()
            self.fault = (
                f"bookmarks and tokens of {self._what} end with it, since {path} cannot be kept: {error.strerror}"
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def serves(self, port: int, base: str, *, keep: bool = True) -> None:
        """Say where the page is to be found from now on; keep is whether this port is the one to have next time."""
        self.port = port if keep else self.port
        if self._handle >= 0:
            said = {"store": str(self._store), "port": self.port, "base": base, "process": os.getpid()}
            text = json.dumps({**said, "secret": self.key.hex()}) + "\n"
            os.pwrite(self._handle, text.encode(errors="surrogateescape"), 0)
            os.ftruncate(self._handle, len(text.encode(errors="surrogateescape")))

    def close(self) -> None:
        """Let another process serve the page."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = _said(self._handle)
            base, key = str(said.get("base", "")), _key(said) or self.key
            raise Serving(self._store, base, said.get("process"), key, self._what) from None

    def _read(self, path: Path, anew: bool) -> None:
        """Take over what was kept, unless others may have read or written it."""
        about = os.fstat(self._handle)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid():
            raise OSError(0, "it is no file of yours")
        said = _said(self._handle)
        port, key = said.get("port"), _key(said)
        self.port = port if isinstance(port, int) and 0 < port < 1 << 16 else 0
        if about.st_size and about.st_mode & 0o077:
            os.fchmod(self._handle, 0o600)
            self.fault = f"others could read {path}, so there is a new secret; open the page anew where you had it open"
        elif about.st_size and key is None:
            self.fault = f"{path} was damaged, so there is a new secret; open the page anew where you had it open"
        elif key is not None and not anew:
            self.key = key


def states(kept: str, what: str = "pages") -> Path:
    """The folder of the user's for secrets of one kind, from what XDG_STATE_HOME says."""
    folder = kept if os.path.isabs(kept) else os.path.expanduser("~/.local/state")
    return Path(folder) / "secondguess" / what


def _said(handle: int) -> dict[str, object]:
    with suppress(ValueError, RecursionError):
        fields = json.loads(os.pread(handle, _LONGEST, 0))
        if isinstance(fields, dict):
            return fields
    return {}


def _key(said: dict[str, object]) -> bytes | None:
    with suppress(ValueError):
        key = bytes.fromhex(str(said.get("secret", "")))
        return key if len(key) == _BYTES else None
    return None
