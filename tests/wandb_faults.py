"""W&B's ways to fail, made for tests: a stand-in server, a saboteur inside the child, a reader of what W&B wrote."""

import contextlib
import json
import re
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb

_BLOCK = 1 << 15


def records(log: Path) -> Iterator[Any]:
    """Yields the protobuf records of a run's `.wandb` file (LevelDB framing)."""
    data = log.read_bytes()
    assert data[:4] == b":W&B", data[:7]
    at, payload = 7, b""
    while at + 7 <= len(data):
        if _BLOCK - at % _BLOCK < 7:
            at += _BLOCK - at % _BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        payload += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield pb.Record.FromString(payload)
            payload = b""


class OfflineRun:
    """What an offline run's folder says."""

    def __init__(self, folder: Path) -> None:
        (log,) = folder.glob("run-*.wandb")
        self.name = self.project = ""
        self.config: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.exit_code: int | None = None
        self._manifests: dict[str, dict[str, Path]] = {}
        for record in records(log):
            self._read(record)

    def _read(self, record: Any) -> None:
        match record.WhichOneof("record_type"):
            case "run":
                self.name, self.project = record.run.display_name, record.run.project
                self.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            case "history":
                self.history.append(_row(record.history.item))
            case "artifact":
                contents = record.artifact.manifest.contents
                self._manifests[record.artifact.client_id] = {item.path: Path(item.local_path) for item in contents}
            case "exit":
                self.exit_code = record.exit.exit_code

    def files(self, cell: dict[str, Any]) -> dict[str, Path]:
        """The staged files behind a table's history value, by their path in the artifact."""
        client, _ = cell["artifact_path"].removeprefix("wandb-client-artifact://").split("/", 1)
        return self._manifests[client]

    def table(self, key: str, cell: dict[str, Any]) -> dict[str, Any]:
        """The staged table with its media."""
        return json.loads(self.files(cell)[f"{key}.table.json"].read_text())


def _row(items: Any) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for item in items:
        *outer, name = list(item.nested_key) or [item.key]
        inner = row
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[name] = json.loads(item.value_json)
    return row


class Server:
    """A W&B server on the loopback: takes a live run, slowly (`delay_s` a request) or, once `mute`, not at all."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.mute = threading.Event()
        self.closing = threading.Event()
        self.history: list[dict[str, Any]] = []
        self.blobs: dict[str, bytes] = {}
        self.exit_code: int | None = None
        outer = self

        class Handler(_Handler):
            server_of = outer

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> "Server":
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The `data` of one GraphQL request."""
        artifact = {"id": "YXJ0", "state": "PENDING", "artifactSequence": {"latestArtifact": None}, "digest": "x"}
        match operation:
            case "Viewer":
                viewer = {"id": "dQ==", "entity": "me", "username": "me", "email": "", "flags": "{}"}
                return {"viewer": {**viewer, "teams": {"edges": []}}}
            case "UpsertBucket":
                project = {"id": "cA==", "name": variables.get("project"), "entity": {"id": "ZQ==", "name": "me"}}
                bucket = {"id": "Yg==", "name": variables.get("name"), "displayName": variables.get("displayName")}
                rest = {"description": "", "config": "{}", "sweepName": None, "historyLineCount": 0}
                return {"upsertBucket": {"bucket": {**bucket, **rest, "project": project}, "inserted": True}}
            case "OrganizationCoreWeaveOrganizationID":
                return {"entity": {"organization": None}}
            case "ServerFeaturesQuery":
                return {"serverInfo": {"features": []}}
            case "ArtifactType":
                return {"project": {"artifact": None}}
            case "FetchArtifactManifest":
                file = {"directUrl": f"{self.url}/put/wandb_manifest.json"}
                return {"artifact": {"currentManifest": {"file": file}}}
            case "ArtifactByID":
                return {"artifact": _artifact(variables["id"])}
            case "CreateArtifact":
                return {"createArtifact": {"artifact": artifact}}
            case "CreateArtifactManifest":
                file = {"id": "Zg==", "uploadUrl": f"{self.url}/put/{variables['name']}", "uploadHeaders": []}
                return {"createArtifactManifest": {"artifactManifest": {"id": "bQ==", "file": file}}}
            case "CreateArtifactFiles":
                return {"createArtifactFiles": {"files": {"edges": [self._file(spec) for spec in _specs(variables)]}}}
            case "CommitArtifact":
                return {"commitArtifact": {"artifact": artifact}}
            case "CreateRunFiles":
                files = [{"name": name, "uploadUrl": f"{self.url}/put/{name}"} for name in variables["files"]]
                return {"createRunFiles": {"runID": "Yg==", "uploadHeaders": [], "files": files}}
        return {}

    def _file(self, spec: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.url}/put/{spec['name']}"
        rest = {"storagePath": spec["name"], "uploadHeaders": [], "uploadMultipartUrls": None}
        return {"node": {**rest, "uploadUrl": url, "artifact": {"id": spec["artifactID"]}}}


def _artifact(identity: str) -> dict[str, Any]:
    """What clients up to 0.29 ask for after each table."""
    project = {"id": "cA==", "internalId": "1", "name": "table-quickstart", "entity": {"name": "me"}}
    sequence = {"__typename": "ArtifactSequence", "name": "run_table", "project": project}
    numbers = {"versionIndex": 0, "ttlDurationSeconds": -2, "size": 1, "fileCount": 1, "historyStep": None}
    texts = {"metadata": "{}", "description": "", "state": "COMMITTED", "digest": "x", "commitHash": "x"}
    times = {"createdAt": "2026-01-01T00:00:00", "updatedAt": "2026-01-01T00:00:00", "ttlIsInherited": False}
    rest = {"artifactSequence": sequence, "artifactType": {"name": "run_table"}, "tags": [], "aliases": []}
    method = {"__typename": "Artifact", "digestAlgorithm": "MANIFEST_MD5"}
    return {"id": identity, **numbers, **texts, **times, **rest, **method}


def _specs(variables: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = variables.get("input", variables)["artifactFiles"]
    return found


class _Handler(BaseHTTPRequestHandler):
    server_of: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/graphql":
            asked = json.loads(body)
            operation = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
            data = self.server_of.answer(operation.group(1) if operation else "", asked.get("variables") or {})
            self._reply(json.dumps({"data": data}).encode())
        elif self.path.endswith("/file_stream"):
            self._stream(json.loads(body))
            self._reply(b"{}")
        else:
            self._reply(b"{}")

    def do_PUT(self) -> None:
        self.server_of.blobs[self.path.removeprefix("/put/")] = self._body()
        self._reply(b"")

    def do_GET(self) -> None:
        self._body()
        self._reply(self.server_of.blobs[self.path.removeprefix("/put/")])

    def _stream(self, sent: dict[str, Any]) -> None:
        lines = (sent.get("files") or {}).get("wandb-history.jsonl", {}).get("content", [])
        self.server_of.history += [json.loads(line) for line in lines]
        if sent.get("complete"):
            self.server_of.exit_code = sent.get("exitcode")

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(self.server_of.delay_s)
        if self.server_of.mute.is_set():
            self.server_of.closing.wait()
            raise ConnectionAbortedError
        return body

    def _reply(self, body: bytes) -> None:
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *_: object) -> None:
        return


def sabotage(folder: Path, code: str) -> str:
    """Writes code that every Python started with the returned PYTHONPATH runs first."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    return str(folder)
