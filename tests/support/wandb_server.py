"""A W&B server on the loopback: takes live runs and `wandb sync`, and serves them back to `wandb.Api`.

It knows the operations that the clients 0.28 to 0.31 send. One that it does not know it answers with an error and
keeps in `unknown`, on which the fixture `wandb_server` fails the test.
"""

import base64
import contextlib
import gzip
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

import pytest
import wandb_scripts

ENTITY = "me"
KEY = "k" * 40
_DATE = "2026-01-02T03:04:05Z"
_MANIFEST = "wandb_manifest.json"
_UNNAMED = {"query { viewer { id } }": "Viewer"}  # of 0.28

FaultKind = Literal["hang", "half", "short", "altered", "malformed", "null", "graphql"] | int
"""What becomes of an answer: no answer, half of what is announced, half announced as whole, one byte changed, no JSON,
`data: null`, a GraphQL error, or that HTTP status."""


@dataclass
class Fault:
    """What is wrong with the next `times` answers to an operation, or to `blob`, `manifest`, `file`, `file_stream`."""

    operation: str
    kind: FaultKind
    times: int = 1 << 30
    holds: str = ""  # only for requests whose path or variables have this text


@dataclass
class SentRun:
    """A run as it was sent."""

    project: str
    name: str
    display: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history rows in order."""
        return [self.history[offset] for offset in sorted(self.history)]


@dataclass
class Artifact:
    """One version of an artifact; `version` is set when it is committed."""

    id: str
    run: str
    project: str
    asked: dict[str, Any]
    version: int | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    files: int | None = None  # how many it is said to have, if not as many as it has

    @property
    def name(self) -> str:
        """The collection's name."""
        return str(self.asked["artifactCollectionName"])

    @property
    def type(self) -> str:
        """Its type: run_table, …."""
        return str(self.asked["artifactTypeName"])


class WandbServer:
    """What was received, what is served, and what is to go wrong."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], SentRun] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.blobs: dict[str, bytes] = {}
        self.unknown: list[str] = []
        self.asked: Counter[str] = Counter()
        self.got: list[str] = []
        self.faults: list[Fault] = []
        self.page = 2  # so that every list has pages
        self.twice = False  # whether a page of history repeats the last row of the one before
        self.delay_s = 0.0  # before each answer
        self.mute = threading.Event()  # no answers any more
        self.closing = threading.Event()
        self._lock = threading.RLock()
        outer = self

        class Handler(_Handler):
            wandb = outer

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> "WandbServer":
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def fault(self, operation: str, text: str) -> FaultKind | None:
        """What is to go wrong with this request, if anything."""
        with self._lock:
            for fault in self.faults:
                if fault.operation == operation and fault.times > 0 and fault.holds in text:
                    fault.times -= 1
                    return fault.kind
        return None

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The `data` of a GraphQL request; raises KeyError for one that is not known."""
        with self._lock:
            self.asked[operation] += 1
            method = getattr(self, f"_on_{operation}", None)
            if method is None:
                self.unknown.append(f"{operation}({sorted(asked)})")
                raise KeyError(operation)
            return dict(method(asked))

    def put(self, place: str, body: bytes) -> None:
        """Takes an upload."""
        with self._lock:
            kind, *rest = place.split("/")
            if kind == "run":
                project, run, name = rest[0], rest[1], "/".join(rest[2:])
                self._run(project, run).files[name] = body
            elif kind == "manifest":
                self._take_manifest(self.artifacts[rest[0]], json.loads(body))
            else:
                self.blobs[rest[0]] = body

    def content(self, path: str) -> tuple[str, bytes] | None:
        """What a download gives, with the name of its kind for faults; None where there is nothing."""
        with self._lock:
            self.got.append(path)
            kind, *rest = path.split("/")
            if kind == "blob":
                found = self.blobs.get(rest[0])
            elif kind == "artifactsV2":
                kind, found = "blob", self.blobs.get(rest[-2])
            elif kind == "manifest":
                found = json.dumps(self.artifacts[rest[0]].manifest).encode()
            else:
                kind, found = "file", self._run(rest[0], rest[1]).files.get("/".join(rest[2:]))
            return None if found is None else (kind, found)

    def stream(self, path: str, sent: dict[str, Any]) -> None:
        """Takes what a run streams: history, summary, its end."""
        _, _, project, run, _ = path.strip("/").split("/")
        with self._lock:
            found = self._run(project, run)
            for name, part in (sent.get("files") or {}).items():
                rows = part["content"]
                if name == "wandb-history.jsonl":
                    found.history |= {part["offset"] + at: json.loads(row) for at, row in enumerate(rows)}
                elif name == "wandb-summary.json":
                    found.summary = json.loads(rows[-1])
            if sent.get("complete"):
                found.exit_code = sent.get("exitcode")

    def versions(self, name: str) -> list[Artifact]:
        """The committed versions of a collection, in order."""
        found = [one for one in self.artifacts.values() if one.name == name and one.version is not None]
        return sorted(found, key=lambda one: one.version or 0)

    def md5(self, artifact: Artifact, name: str) -> str:
        """The MD5 of an artifact's file, in hexadecimal digits."""
        return base64.b64decode(artifact.manifest["contents"][name]["digest"]).hex()

    @property
    def run(self) -> SentRun:
        """The only run."""
        (run,) = self.runs.values()
        return run

    def _run(self, project: str, name: str) -> SentRun:
        return self.runs.setdefault((unquote(project), unquote(name)), SentRun(unquote(project), unquote(name)))

    # Receiving.

    def _on_Viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        viewer = {"id": "dQ==", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "admin": False}
        return {"viewer": {**viewer, "teams": {"edges": []}}}

    def _on_GetDefaultEntity(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._on_Viewer(asked)

    def _on_OrganizationCoreWeaveOrganizationID(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"entity": {"organization": None}}

    def _on_ServerFeaturesQuery(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _on_RunResumeStatus(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"model": {"bucket": None}}

    def _on_UpsertBucket(self, asked: dict[str, Any]) -> dict[str, Any]:
        project = asked.get("project") or "uncategorized"
        new = (project, asked["name"]) not in self.runs
        run = self._run(project, asked["name"])
        run.display = asked.get("displayName") or run.display or run.name
        if asked.get("config"):
            run.config = json.loads(asked["config"])
        run.about |= {key: asked[key] for key in ("groupName", "notes", "tags", "jobType") if asked.get(key)}
        whose = {"id": "cA==", "name": project, "entity": {"id": "ZQ==", "name": ENTITY}}
        about = {"description": "", "config": json.dumps(run.config), "sweepName": None, "historyLineCount": 0}
        bucket = {"id": _b64(run.name), "name": run.name, "displayName": run.display, **about, "project": whose}
        return {"upsertBucket": {"bucket": bucket, "inserted": new}}

    def _on_ArtifactType(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"artifact": None}}

    def _on_CreateArtifact(self, asked: dict[str, Any]) -> dict[str, Any]:
        asked = asked.get("input", asked)
        (name,) = asked.get("artifactCollectionNames") or [asked.get("artifactCollectionName")]
        earlier = self.versions(name)
        same = [one for one in earlier if one.asked["digest"] == asked["digest"]]
        made = (
            same[0] if same else Artifact(_b64(f"a{len(self.artifacts)}"), asked["runName"], asked["projectName"], {})
        )
        if not same:
            made.asked = {**asked, "artifactCollectionName": name}
            self.artifacts[made.id] = made
        made.asked.setdefault("clients", []).append(asked.get("clientID"))
        latest = {"id": earlier[-1].id, "versionIndex": earlier[-1].version} if earlier else None
        state = "COMMITTED" if same else "PENDING"
        return {"createArtifact": {"artifact": {"id": made.id, "state": state, "artifactSequence": _latest(latest)}}}

    def _on_CreateArtifactManifest(self, asked: dict[str, Any]) -> dict[str, Any]:
        artifact = self.artifacts[asked["artifactID"]]
        artifact.asked |= {"manifestType": asked.get("manifestType"), "base": asked.get("baseArtifactID")}
        url = f"{self.url}/put/manifest/{quote(artifact.id)}"
        file = {"id": "Zg==", "uploadUrl": url, "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": artifact.id, "file": file}}}

    def _on_UpdateArtifactManifest(self, asked: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.url}/put/manifest/{quote(asked['artifactManifestID'])}"
        file = {"id": "Zg==", "uploadUrl": url, "uploadHeaders": []}
        return {"updateArtifactManifest": {"artifactManifest": {"id": asked["artifactManifestID"], "file": file}}}

    def _take_manifest(self, artifact: Artifact, sent: dict[str, Any]) -> None:
        base = self.artifacts.get(artifact.asked.get("base") or "")
        if artifact.asked.get("manifestType") == "INCREMENTAL" and base is not None:
            sent["contents"] = {**base.manifest["contents"], **sent["contents"]}
        artifact.manifest = sent

    def _on_CreateArtifactFiles(self, asked: dict[str, Any]) -> dict[str, Any]:
        edges = []
        for spec in asked.get("input", asked)["artifactFiles"]:
            md5 = base64.b64decode(spec["md5"]).hex()
            url = None if md5 in self.blobs else f"{self.url}/put/blob/{md5}"
            node = {"storagePath": spec["name"], "uploadUrl": url, "uploadHeaders": [], "uploadMultipartUrls": None}
            edges.append({"node": {**node, "artifact": {"id": spec["artifactID"]}}})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _on_CommitArtifact(self, asked: dict[str, Any]) -> dict[str, Any]:
        artifact = self.artifacts[asked["artifactID"]]
        if artifact.version is None:
            artifact.version = len(self.versions(artifact.name))
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.asked["digest"]}}}

    def _on_UseArtifact(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"useArtifact": {"artifact": {"id": asked["artifactID"]}}}

    def _on_ClientIDMapping(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = [one.id for one in self.artifacts.values() if asked["clientID"] in one.asked["clients"]]
        return {"clientIDMapping": {"serverID": found[0]} if found else None}

    def _on_CreateRunFiles(self, asked: dict[str, Any]) -> dict[str, Any]:
        place = f"{self.url}/put/run/{quote(asked['project'], '')}/{quote(asked['run'], '')}"
        files = [{"name": name, "uploadUrl": f"{place}/{quote(name)}"} for name in asked["files"]]
        return {"createRunFiles": {"runID": _b64(asked["run"]), "uploadHeaders": [], "files": files}}

    # Serving.

    def _on_Runs(self, asked: dict[str, Any]) -> dict[str, Any]:
        runs = [run for (project, _), run in self.runs.items() if project == asked["project"]]
        if not runs:
            return {"project": None}
        edges, info = self._paged([self._node(run) for run in runs], asked)
        about = {"internalId": "1", "runCount": len(runs), "readOnly": False}
        return {"project": {**about, "runs": {"edges": edges, "pageInfo": info}}}

    def _on_Run(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get((asked["project"], asked["name"]))
        return {"project": {"internalId": "1", "run": self._node(run) if run is not None else None}}

    def _node(self, run: SentRun) -> dict[str, Any]:
        steps = [row["_step"] for row in run.rows]
        state = "running" if run.exit_code is None else ("failed" if run.exit_code else "finished")
        keys = {"lastStep": max(steps), "keys": {}} if steps else None
        texts = {"config": json.dumps(run.config), "summaryMetrics": json.dumps(run.summary), "systemMetrics": "{}"}
        about = {"id": _b64(run.name), "projectId": "1", "name": run.name, "displayName": run.display, "state": state}
        rest = {
            "tags": run.about.get("tags") or [],
            "group": run.about.get("groupName"),
            "notes": run.about.get("notes"),
        }
        none = {"description": None, "commit": None, "sweepName": None, "jobType": run.about.get("jobType")}
        times = {"createdAt": _DATE, "heartbeatAt": _DATE, "readOnly": False, "historyLineCount": len(steps)}
        return {**about, **rest, **none, **times, **texts, "historyKeys": keys, "user": {"name": "", "username": "me"}}

    def _on_RunHistoryKeys(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = self._asked_run(asked)
        keys = {key: {"typeCounts": [{"type": "unknown", "count": 1}]} for row in run.rows for key in row}
        last = max((row["_step"] for row in run.rows), default=-1)
        return {"project": {"run": {"historyKeys": {"lastStep": last, "keys": keys, "sets": []}}}}

    def _on_RunParquetHistory(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}}

    def _on_HistoryPage(self, asked: dict[str, Any]) -> dict[str, Any]:
        rows = [row for row in self._asked_run(asked).rows if asked["minStep"] <= row["_step"] < asked["maxStep"]]
        rows = rows[: asked["pageSize"]] + (rows[:1] if self.twice else [])
        return {"project": {"run": {"history": [json.dumps(row) for row in rows]}}}

    def _on_SampledHistoryPage(self, asked: dict[str, Any]) -> dict[str, Any]:
        spec = json.loads(asked["spec"])
        rows = [row for row in self._asked_run(asked).rows if all(key in row for key in spec["keys"])]
        return {"project": {"run": {"sampledHistory": [rows]}}}

    def _on_RunFullHistory(self, asked: dict[str, Any]) -> dict[str, Any]:
        rows = self._asked_run(asked).rows
        return {"project": {"run": {"history": [json.dumps(row) for row in rows[: asked["samples"]]], "events": []}}}

    def _on_RunFiles(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = self._asked_run(asked)
        names = [name for name in run.files if not asked.get("fileNames") or name in asked["fileNames"]]
        nodes = [self._file(run, name) for name in names]
        edges, info = self._paged(nodes, {"cursor": asked.get("fileCursor"), "perPage": asked.get("fileLimit") or 50})
        return {
            "project": {
                "internalId": "1",
                "run": {"fileCount": len(run.files), "files": {"edges": edges, "pageInfo": info}},
            }
        }

    def _file(self, run: SentRun, name: str) -> dict[str, Any]:
        url = f"{self.url}/get/file/{quote(run.project, '')}/{quote(run.name, '')}/{quote(name)}"
        md5 = base64.b64encode(hashlib.md5(run.files[name]).digest()).decode()
        about = {"id": _b64(name), "name": name, "url": url, "directUrl": url, "mimetype": "", "updatedAt": _DATE}
        return {**about, "sizeBytes": str(len(run.files[name])), "md5": md5, "uploadUrl": url}

    def _on_RunOutputArtifacts(self, asked: dict[str, Any]) -> dict[str, Any]:
        of_run = [one for one in self.artifacts.values() if one.run == asked["run"] and one.version is not None]
        edges, info = self._paged([self._artifact(one) for one in of_run], asked)
        return {"project": {"run": {"artifacts": {"totalCount": len(of_run), "pageInfo": info, "edges": edges}}}}

    def _on_ArtifactByID(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self.artifacts.get(asked["id"])
        return {"artifact": self._artifact(found) if found is not None else None}

    def _on_ArtifactByName(self, asked: dict[str, Any]) -> dict[str, Any]:  # of 0.28
        name, _, alias = asked["name"].partition(":")
        found = self._version(name, alias or "latest")
        return {"project": {"internalId": "1", "artifact": self._artifact(found) if found is not None else None}}

    def _on_ArtifactMembershipByName(self, asked: dict[str, Any]) -> dict[str, Any]:
        name, _, alias = asked["name"].partition(":")
        found = self._version(name, alias or "latest")
        if found is None:
            return {"project": {"artifactCollectionMembership": None}}
        about = {"__typename": "ArtifactCollectionMembership", "id": "bQ==", "versionIndex": found.version}
        rest = {"createdAt": _DATE, "aliases": [], "artifactCollection": self._sequence(found)}
        return {"project": {"artifactCollectionMembership": {**about, **rest, "artifact": self._artifact(found)}}}

    def _on_ArtifactCreatedBy(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self.artifacts[asked["id"]]
        run = {"__typename": "Run", "id": _b64(found.run), "name": found.run}
        return {"artifact": {"createdBy": {**run, "project": self._sequence(found)["project"]}}}

    def _on_FetchArtifactManifest(self, asked: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.url}/get/manifest/{quote(asked['id'])}/{_MANIFEST}"
        return {"artifact": {"currentManifest": {"file": {"directUrl": url}}}}

    def _on_GetArtifactMembershipFileUrls(self, asked: dict[str, Any]) -> dict[str, Any]:
        files = self._files(self._version(asked["collection"], asked["alias"]), asked)
        membership = {"__typename": "ArtifactSequence", "artifactMembership": {"files": files}}
        return {"project": {"artifactCollection": membership}}

    def _on_GetArtifactFileUrls(self, asked: dict[str, Any]) -> dict[str, Any]:  # of 0.28
        return {"artifact": {"files": self._files(self.artifacts[asked["id"]], asked)}}

    def _files(self, found: Artifact | None, asked: dict[str, Any]) -> dict[str, Any]:
        contents = found.manifest["contents"] if found is not None else {}
        nodes = [
            {"__typename": "File", "name": name, "directUrl": self._blob(entry)} for name, entry in contents.items()
        ]
        edges, info = self._paged(nodes, asked)
        return {"pageInfo": info, "edges": edges}

    def _blob(self, entry: dict[str, Any]) -> str:
        if entry.get("ref"):
            return str(entry["ref"])
        return f"{self.url}/get/blob/{base64.b64decode(entry['digest']).hex()}"

    def _version(self, name: str, alias: str) -> Artifact | None:
        found = self.versions(name)
        if alias == "latest":
            return found[-1] if found else None
        return next((one for one in found if alias == f"v{one.version}"), None)

    def _sequence(self, artifact: Artifact) -> dict[str, Any]:
        project = {"id": "cA==", "internalId": "1", "name": artifact.project, "entity": {"name": ENTITY}}
        return {"__typename": "ArtifactSequence", "id": _b64(artifact.name), "name": artifact.name, "project": project}

    def _artifact(self, one: Artifact) -> dict[str, Any]:
        contents = one.manifest.get("contents", {})
        size = sum(entry.get("size") or 0 for entry in contents.values())
        last = one.version == len(self.versions(one.name)) - 1
        alias = {
            "__typename": "ArtifactAlias",
            "id": "bA==",
            "alias": "latest",
            "artifactCollection": self._sequence(one),
        }
        step = one.asked.get("historyStep")
        numbers = {
            "versionIndex": one.version,
            "ttlDurationSeconds": -2,
            "size": size,
            "fileCount": one.files or len(contents),
        }
        texts = {"metadata": "{}", "description": "", "state": "COMMITTED", "digest": one.asked["digest"]}
        times = {"createdAt": _DATE, "updatedAt": _DATE, "ttlIsInherited": False, "tags": [], "commitHash": "x"}
        kind = {"__typename": "Artifact", "digestAlgorithm": "MANIFEST_MD5", "artifactType": {"name": one.type}}
        rest = {"artifactSequence": self._sequence(one), "aliases": [alias] if last else [], "historyStep": step}
        return {"id": one.id, **numbers, **texts, **times, **kind, **rest}

    def _asked_run(self, asked: dict[str, Any]) -> SentRun:
        return self.runs[asked["project"], asked.get("run") or asked["name"]]

    def _paged(self, nodes: list[dict[str, Any]], asked: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        start = int(asked.get("cursor") or 0)
        stop = start + min(self.page, asked.get("perPage") or self.page)
        edges = [{"node": node, "cursor": str(at + 1)} for at, node in enumerate(nodes)][start:stop]
        more = stop < len(nodes)
        return edges, {"__typename": "PageInfo", "endCursor": str(stop) if more else None, "hasNextPage": more}


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _latest(latest: dict[str, Any] | None) -> dict[str, Any]:
    return {"id": "c2Vx", "latestArtifact": latest}


class _Handler(BaseHTTPRequestHandler):
    wandb: WandbServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/graphql":
            self._graphql(json.loads(body))
        elif self.path.endswith("/file_stream"):
            kind = self.wandb.fault("file_stream", self.path)
            if kind is None:
                self.wandb.stream(self.path, json.loads(body))
            self._reply(b"{}", kind)
        else:
            self._reply(b"{}", 404)

    def do_PUT(self) -> None:
        self.wandb.put(unquote(self.path.removeprefix("/put/")), self._body())
        self._reply(b"")

    def do_GET(self) -> None:
        self._body()
        path = unquote(self.path.strip("/").removeprefix("get/"))
        found = self.wandb.content(path)
        self._reply(*((found[1], self.wandb.fault(found[0], path)) if found is not None else (b"", 404)))

    def _graphql(self, asked: dict[str, Any]) -> None:
        named = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
        operation = named[1] if named else _UNNAMED.get(query := " ".join(asked["query"].split()), query)
        variables = asked.get("variables") or {}
        kind = self.wandb.fault(operation, json.dumps(variables))
        if not (self.headers.get("Authorization") or "").startswith("Basic "):
            kind = 401
        answer: dict[str, Any] = {"errors": [{"message": "it is broken"}]}
        if kind is None or isinstance(kind, str):
            try:
                answer = {"data": self.wandb.answer(operation, variables)}
            except KeyError as error:
                answer = {"errors": [{"message": f"unknown: {error}"}]}
        if kind == "graphql":
            answer = {"errors": [{"message": "the query is refused"}]}
        elif kind == "null":
            answer = {"data": None}
        self._reply(json.dumps(answer).encode(), kind)

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(self.wandb.delay_s)
        if self.wandb.mute.is_set():
            self._hang()
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, body: bytes, kind: FaultKind | None = None) -> None:
        if kind == "hang":
            self._hang()
        announced = len(body)
        if kind == "half":
            body = body[: len(body) // 2]
            self.close_connection = True
        elif kind == "short":
            body = body[: len(body) // 2]
            announced = len(body)
        elif kind == "altered":
            body = bytes([*body[:-1], body[-1] ^ 1])
        elif kind == "malformed":
            body = b"{" * 40
            announced = 40
        self.send_response(kind if isinstance(kind, int) else 200)
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(body)

    def _hang(self) -> None:
        self.wandb.closing.wait()
        raise ConnectionAbortedError

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *_: object) -> None:
        return


def environment(server: WandbServer, folder: Path) -> dict[str, str]:
    """An environment in which the SDK knows only this server, and keeps everything in this folder."""
    return wandb_scripts.environment(folder) | {
        "WANDB_BASE_URL": server.url,
        "WANDB_API_KEY": KEY,
        "WANDB_MODE": "online",
    }


def live_run(server: WandbServer, folder: Path, script: str) -> None:
    """Runs a script of the real SDK's against the server, in a process of its own, in this folder."""
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + script],
        env=environment(server, folder),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


_BEGIN = """
import numpy as np, wandb
QUIET = wandb.Settings(console="off", x_disable_stats=True)
"""


@pytest.fixture
def wandb_server() -> Iterator[WandbServer]:
    """A server of its own; the test fails if a client asked it for what it does not know."""
    with WandbServer() as server:
        yield server
    assert server.unknown == [], f"operations that the stand-in for W&B does not know: {server.unknown}"
