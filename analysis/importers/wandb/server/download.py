"""Requests to W&B's server through a process of its own, which is killed when it makes no progress."""

import contextlib
import os
import queue
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from secondguess.analysis import child, errors, signals
from secondguess.analysis.child import Event
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.store.disk import make_private

# Left in, they would name another place than the one that was asked for.
_NOT_INHERITED = ("WANDB_ENTITY", "WANDB_PROJECT")


@dataclass(frozen=True)
class Downloader:
    """How W&B is asked.

    `cache` is a folder for what was downloaded, of our own. `timeout_s` is how long the SDK may try one request,
    `patience_s` how long nothing at all may happen. `progress` is called whenever something happened.
    """

    cache: Path
    timeout_s: int = 30
    patience_s: float = 120.0
    progress: Callable[[], None] = lambda: None

    def ask(self, request: Mapping[str, Any]) -> list[Event]:
        """What came of a request; raises what went wrong as one of our own errors."""
        child.require_wandb()
        for folder in (self.cache.parents[1], self.cache):  # the store may be new, too
            make_private(folder)
        with (
            signals.undone(self._clear),
            tempfile.TemporaryDirectory(dir=self.cache, prefix="tmp", ignore_cleanup_errors=True) as place,
        ):
            told = list(self._told(request, Path(place)))
        self._clear()
        ends = [event for event in told if event[0] in {"failed", "done"}]
        if not ends:
            raise SecondguessError("the process that asks W&B died; import again to go on where it ended")
        if ends[0][0] == "failed":
            raise error_of(*ends[0][1:])
        return [event for event in told if event[0] in {"run", "lost"}]

    def _clear(self) -> None:
        # The SDK notes a checksum for each file that it puts anywhere, and believes it, wrong or not.
        for left in ("artifacts/checksums", "artifacts/tmp", "wandb"):
            shutil.rmtree(self.cache / left, ignore_errors=True)

    def _told(self, request: Mapping[str, Any], place: Path) -> Iterator[Event]:
        own = _environment(os.environ, self.cache.absolute(), place.absolute())
        asked = {**request, "cache": str(self.cache.absolute()), "timeout_s": self.timeout_s}
        with child.start("secondguess.analysis.importers.wandb.server.api", own) as process:

            def kill() -> None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

            try:
                with signals.undone(kill), signals.undone(lambda: shutil.rmtree(place, ignore_errors=True)):
                    assert process.stdin is not None and process.stdout is not None
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.write(child.line(asked))
                        process.stdin.flush()
                    yield from self._heard(process.stdout)
            finally:
                kill()

    def _heard(self, lines: IO[bytes]) -> Iterator[Event]:
        """Yield events until the last; raises where nothing comes for too long."""
        heard: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=_listen, args=(lines, heard), daemon=True).start()
        while True:
            try:
                line = heard.get(timeout=self.patience_s)
            except queue.Empty:
                raise SecondguessError(
                    f"W&B's server did not answer within {self.patience_s:g} s; import again to go on where it ended"
                ) from None
            if not line:
                return
            if (event := child.event(line)) is not None:
                self.progress()
                yield event
                if event[0] in {"failed", "done"}:
                    return


def error_of(kind: str, text: str) -> SecondguessError:
    """The error that the other process told of."""
    error_class = getattr(errors, kind, SecondguessError)
    error = (
        error_class(text)
        if isinstance(error_class, type) and issubclass(error_class, SecondguessError)
        else SecondguessError(text)
    )
    return error


def _listen(lines: IO[bytes], heard: "queue.Queue[bytes]") -> None:
    with contextlib.suppress(ValueError):  # closed meanwhile
        for line in lines:
            heard.put(line)
    heard.put(b"")


def _environment(inherited: Mapping[str, str], cache: Path, place: Path) -> dict[str, str]:
    """The environment in which the SDK keeps to our folder."""
    folders = {
        "WANDB_CACHE_DIR": str(cache),
        "WANDB_DIR": str(place),
        "WANDB_DATA_DIR": str(place),
        "WANDB_ARTIFACT_DIR": str(place / "artifacts"),
    }
    return child.environment(inherited, folders, _NOT_INHERITED)
