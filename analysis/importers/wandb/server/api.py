"""The process that asks W&B's server, through the SDK's public API: one request in, JSON lines out, files on disk.

The SDK may hang, retry for twenty minutes, print, ask or die; so it has a process of its own that can be killed. Out
come lists: `["sign"]` whenever something moved, `["run", folder]`, `["lost", artifact or file, reason]`,
`["failed", kind, reason]`, last `["done"]`. The files are described in `cache`.
"""

import base64
import contextlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from secondguess.analysis.child import Events, private_pipes
from secondguess.analysis.errors import BadInput, Damaged, SecondguessError
from secondguess.analysis.importers.wandb.server.cache import (
    RunFolder,
    md5_hex,
    object_file,
    same_md5,
    same_sha256,
    write_json,
)
from secondguess.analysis.opening import below, checked_name

_WATCH_S = 1.0
_SPARE_BYTES = 64 << 20  # what the SDK may write besides the files themselves


@contextlib.contextmanager
def watched(place: Path, cache: Path, size: int, events: Events) -> Iterator[None]:
    """Tell of progress as the folders grow, and end the process if they grow beyond what was announced."""
    over = threading.Event()

    def watch() -> None:
        seen = -1
        while not over.wait(_WATCH_S):
            now = _bytes_below(place) + _bytes_below(cache / "artifacts" / "tmp")
            if now > 2 * size + _SPARE_BYTES:
                events.send("failed", "Damaged", f"W&B sends more than the {size:,} bytes that its manifest announces")
                shutil.rmtree(place, ignore_errors=True)
                os._exit(1)
            if now != seen:
                seen = now
                events.send("sign")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _bytes_below(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


MOST_ENTRIES = 1_000_000
MOST_BYTES = 256 << 30

_NO_KEY = "W&B asks for an API key: set WANDB_API_KEY, or run `wandb login`"


def main() -> None:
    """Serve one request and end."""
    inbox, outbox = private_pipes()
    with open(inbox, "rb") as asked:
        request = json.loads(asked.readline())
    events = Events(outbox)
    try:
        # Not through TMPDIR: wandb-core would put its socket there, and a socket's path has 107 characters at most.
        tempfile.tempdir = os.environ.get("WANDB_DIR")
        # Imported here, so that an SDK that is broken is told in one line.
        import wandb

        events.send("sign")
        api = wandb.Api(timeout=request["timeout_s"])
        events.send("sign")
        (_list if request["do"] == "list" else _fetch)(api, request, events)
    except Exception as error:
        events.send("failed", *_reason(error))
        raise SystemExit(1) from None
    events.send("done")


def _reason(error: Exception) -> tuple[str, str]:
    """The kind of an error, and what it says in one line."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, SecondguessError):
        return type(error).__name__, str(error)
    if type(error).__name__ == "UsageError" and "api" in text.lower():
        return "BadInput", _NO_KEY
    if type(error).__name__ == "AuthenticationError" or "401" in text or "403" in text:
        return "BadInput", f"W&B refuses: {text}"
    if "busy and did not respond" in text:
        return "SecondguessError", "W&B's server does not answer, or only that it cannot now; try again later"
    if isinstance(error, TypeError | KeyError | AttributeError | IndexError):
        return "SecondguessError", f"W&B's answer is not what was asked for ({type(error).__name__}: {text})"
    if "404" in text or "not find" in text.lower() or "not found" in text.lower():
        return "NotFound", f"W&B has no such thing: {text}"
    return "SecondguessError", f"W&B did not answer as it should: {text}"


def _list(api: Any, request: Mapping[str, Any], events: Events) -> None:
    """What the runs are, their history, their artifacts' manifests."""
    entity, project, *run = request["path"].split("/")
    runs = [api.run("/".join([entity, project, *run]))] if run else api.runs(f"{entity}/{project}")
    for live_run in runs:
        folder = RunFolder.of(Path(request["cache"]), entity, project, live_run.id)
        folder.path.mkdir(parents=True, exist_ok=True)
        about = _about(live_run)
        _history(live_run, folder, about, events)
        artifacts = list(_artifacts(live_run, folder, events))
        write_json(folder.path / "run.json", {**about, "artifacts": artifacts})
        events.send("run", str(folder.path))


def _about(run: Any) -> dict[str, Any]:
    texts = {"group": run.group, "job_type": getattr(run, "job_type", None), "notes": run.notes}
    about = {"id": run.id, "name": run.name, "entity": run.entity, "project": run.project, "state": run.state}
    rest = {"tags": list(run.tags or ()), "started": run.created_at, "config": _config(run)}
    return {**{key: value for key, value in texts.items() if value}, **about, **rest, "last_step": run.lastHistoryStep}


def _config(run: Any) -> dict[str, Any]:
    """The run's config, with what W&B keeps there of the run's charts."""
    config = dict(run.config)
    ours = (getattr(run, "rawconfig", None) or {}).get("_wandb")
    return config if ours is None else {**config, "_wandb": ours}


def _history(run: Any, folder: RunFolder, about: Mapping[str, Any], events: Events) -> None:
    """Keep all rows, each step once: a row can come both in W&B's Parquet and in its pages."""
    if folder.is_of(about):
        return
    (folder.path / "run.json").unlink(missing_ok=True)
    rows: dict[int, Any] = {}
    if about["last_step"] is not None and about["last_step"] >= 0:
        for row in run.scan_history(use_cache=False):
            step = row.get("_step")
            if not isinstance(step, int) or isinstance(step, bool):
                raise Damaged(f"a row of the history of {run.id} has the step {step!r:.40}")
            rows.setdefault(step, row)
            if len(rows) % 500 == 0:
                events.send("sign")
    place = folder.path / "history.jsonl"
    with place.open("w") as file:
        file.writelines(json.dumps(rows[step]) + "\n" for step in sorted(rows))
    events.send("sign")


def _artifacts(run: Any, folder: RunFolder, events: Events) -> Iterator[dict[str, Any]]:
    """What each logged artifact is, with the manifests of those that may hold tables in files beside."""
    for artifact in run.logged_artifacts():
        events.send("sign")
        step = artifact.history_step
        about = {
            "id": base64.b64decode(artifact.id).hex(),
            "name": artifact.name,
            "type": artifact.type,
            "digest": artifact.digest,
            "at": None if step is None else step + 1,
            "lost": "",
        }
        try:
            if (count := artifact.file_count or 0) > MOST_ENTRIES:
                raise BadInput(f"it has {count:,} files; at most {MOST_ENTRIES:,} are taken")
            if folder.manifest(about["id"]) is None:
                write_json(folder.manifest_file(about["id"]), _manifest(artifact))
        except Exception as error:
            about["lost"] = f"the artifact {artifact.name} is refused: {_reason(error)[1]}"
        yield about


def _manifest(artifact: Any) -> dict[str, Any]:
    """The files of an artifact by name, if all may be put below a folder; raises BadInput otherwise."""
    entries = artifact.manifest.entries
    if len(entries) > MOST_ENTRIES:
        raise BadInput(f"it has {len(entries):,} files; at most {MOST_ENTRIES:,} are taken")
    size = sum(entry.size or 0 for entry in entries.values())
    if size > MOST_BYTES:
        raise BadInput(f"it has {size:,} bytes; at most {MOST_BYTES:,} are taken")
    files = {}
    for entry in entries.values():
        name = checked_name(str(entry.path))
        if hasattr(entry, "digest_algorithm") and entry.digest_algorithm().name != "MANIFEST_MD5":
            raise BadInput(f"{name!r} has a digest that is no MD5, so it could not be checked")
        if not entry.ref:
            md5_hex(entry.digest)
        files[name] = {"md5": entry.digest, "size": entry.size or 0, "ref": entry.ref or ""}
    return files


def _fetch(api: Any, request: Mapping[str, Any], events: Events) -> None:
    """Download the files of the artifacts, and the run's own; those that are there and whole are left alone."""
    folder = RunFolder(Path(request["folder"]))
    cache = Path(request["cache"])
    run: Any = None
    for asked in request["files"]:
        name, sha256 = checked_name(asked["name"]), asked["sha256"]
        events.send("sign")
        if same_sha256(folder.own(name), sha256):
            continue
        folder.own(name).unlink(missing_ok=True)
        run = run or api.run(request["run"])
        _try(events, f"file:{name}", partial(_own, run, folder, name, sha256))
    for asked in request["artifacts"]:
        events.send("sign")
        fetch = _Fetch(api, asked, cache, folder.manifest(asked["id"]) or {}, events)
        _try(events, f"artifact:{asked['id']}", fetch.missing)


def _try(events: Events, what: str, do: Callable[[], None]) -> None:
    try:
        do()
    except Exception as error:
        kind, text = _reason(error)
        events.send("lost", what, kind, text)


def _own(run: Any, folder: RunFolder, name: str, sha256: str) -> None:
    with tempfile.TemporaryDirectory(dir=folder.path) as place:
        run.file(name).download(root=place, replace=True).close()
        got = below(Path(place), name)
        if not same_sha256(got, sha256):
            raise Damaged(f"{name!r} came from W&B as another file than the one that was logged: its sha256 differs")
        folder.own(name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(got, folder.own(name))


class _Fetch:
    """One artifact's files on their way into the cache."""

    def __init__(
        self, api: Any, asked: Mapping[str, Any], cache: Path, manifest: Mapping[str, Any], events: Events
    ) -> None:
        self._api = api
        self._name = asked["name"]
        self._cache = cache
        self._manifest = manifest
        self._events = events

    def missing(self) -> None:
        """Download what is not in the cache; raises Damaged if what came is not what the manifest says."""
        kept = [name for name, entry in self._manifest.items() if _is_kept(entry["ref"])]
        wanted = [name for name in kept if not self._is_here(name)]
        if not wanted:
            return
        size = sum(self._manifest[name]["size"] for name in wanted)
        with (
            tempfile.TemporaryDirectory(dir=self._cache) as place,
            watched(Path(place), self._cache, size, self._events),
        ):
            self._download(Path(place), wanted)
            bad = [name for name in wanted if not self._keep(Path(place), name)]
        if bad:
            raise Damaged(
                f"{len(bad):,} of the {len(wanted):,} files that W&B sent of {self._name} are not what its manifest "
                f"says, {bad[0]!r} first; import again to fetch them anew"
            )

    def _download(self, place: Path, wanted: list[str]) -> None:
        artifact = self._api.artifact(self._name)
        if all(_is_kept(entry["ref"]) for entry in self._manifest.values()):
            artifact.download(root=str(place), allow_missing_references=True)
            return
        # Not as a whole: a reference to a file of this machine would be copied as if it were the artifact's.
        for name in wanted:
            self._events.send("sign")
            artifact.get_entry(name).download(root=str(place))

    def _is_here(self, name: str) -> bool:
        entry = self._manifest[name]
        stored = object_file(self._cache, entry["md5"])
        if same_md5(stored, entry["md5"]):
            return True
        stored.unlink(missing_ok=True)
        return False

    def _keep(self, place: Path, name: str) -> bool:
        """Whether the file is now in the cache as the manifest says; if it is not, nothing stays of it."""
        entry = self._manifest[name]
        stored, got = object_file(self._cache, entry["md5"]), below(place, name)
        if not same_md5(got, entry["md5"]):
            stored.unlink(missing_ok=True)
            return False
        if not same_md5(stored, entry["md5"]):
            stored.parent.mkdir(parents=True, exist_ok=True)
            os.replace(got, stored)
        return True


def _is_kept(ref: str) -> bool:
    """Whether a file is the artifact's own, or one of another artifact; not one elsewhere in the world."""
    return not ref or ref.startswith("wandb-artifact://")


if __name__ == "__main__":
    main()
