"""Import from W&B's server: the real SDK on both sides of a stand-in server, which can fail in many ways."""

import io
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from waiting import HANG_S
from wandb_server import Artifact, Fault, WandbServer, environment, live_run, wandb_server

from secondguess.analysis.errors import BadInput, MissingExtra, NotFound, SecondguessError
from secondguess.analysis.importers.source import SourceRun, SourceTable
from secondguess.analysis.importers.wandb.project import read_project
from secondguess.analysis.importers.wandb.server.download import Downloader

__all__ = ["wandb_server"]  # the fixture

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
SCRIPT = """
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
run = wandb.init(project="demo", name="my run", id="abc", config={"lr": 0.1, "net": {"width": 4}}, settings=QUIET)
for epoch in (1, 2, 3):
    run.log({"loss": 1.0 / epoch})
    table = wandb.Table(columns=["id", "image", "guess", "score"])
    for i in range(5):
        # the same images in each epoch, and in epoch 3 all of epoch 2 again
        table.add_data(str(i), wandb.Image(IMAGES[i]), i + min(epoch, 2), float("nan") if i == 4 else 0.5)
    run.log({"val/preds": table, "epoch": epoch, "odd": float("nan")})
more = wandb.Table(columns=["n"], log_mode="INCREMENTAL")
for epoch in (4, 5):
    more.add_data(epoch)
    run.log({"more": more, "epoch": epoch})
own = wandb.Artifact("own", "dataset")
own.add(wandb.Table(columns=["x"], data=[[1], [2]]), "inside")
run.log_artifact(own)
run.finish()
other = wandb.init(project="demo", name="empty", id="def", settings=QUIET)
other.finish()
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WandbServer]:
    """A server that has taken two runs."""
    with WandbServer() as server:
        live_run(server, tmp_path_factory.mktemp("live"), SCRIPT)
        yield server
    assert server.unknown == []


@pytest.fixture
def server(loaded: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """The loaded server without faults, and an environment for this process's children."""
    loaded.faults.clear()
    loaded.asked.clear()
    loaded.got.clear()
    for name, value in environment(loaded, tmp_path / "sdk").items():
        monkeypatch.setenv(name, value)
    kept = {name: json.dumps(one.manifest) for name, one in loaded.artifacts.items()}
    yield loaded
    for name, manifest in kept.items():
        loaded.artifacts[name].manifest = json.loads(manifest)
    loaded.faults.clear()


@pytest.fixture
def ask(tmp_path: Path) -> Downloader:
    return Downloader(tmp_path / "cache", timeout_s=60, patience_s=HANG_S)


def imported(ask: Downloader, path: str = "me/demo/abc", **options: Any) -> SourceRun:
    (run,) = read_project(path, downloader=ask, **options)
    return run


def rows(table: SourceTable) -> list[dict[str, Any]]:
    return [row for batch in table.read().batches() for row in batch.to_pylist()]


def preds(run: SourceRun) -> list[SourceTable]:
    return [table for table in run.tables if table.key == "val/preds"]


def of(server: WandbServer, kind: str) -> list[Artifact]:
    return [one for one in server.artifacts.values() if one.type == kind]


def test_a_run_comes_with_config_history_and_every_version_of_its_tables(server: WandbServer, ask: Downloader) -> None:
    server.twice = True
    run = imported(ask)
    server.twice = False
    assert (run.name, run.origin["kind"], run.origin["id"], run.finished) == ("my run", "wandb", "abc", True)
    assert run.config == {"lr": 0.1, "net": {"width": 4}}
    metrics = list(run.metrics())
    assert [metric for metric in metrics if metric[2] == "loss"] == [
        (0, None, "loss", 1.0),
        (2, None, "loss", 0.5),
        (4, None, "loss", 1 / 3),
    ]
    assert [(step, epoch) for step, epoch, name, value in metrics if name == "odd" and math.isnan(value)] == [
        (1, 1),
        (3, 2),
        (5, 3),
    ]
    assert [(table.key, table.epoch, table.step) for table in run.tables] == [
        ("val/preds", 1, 1),
        ("val/preds", 2, 3),
        ("val/preds", 3, 5),
        ("more", 4, 6),
        ("more", 5, 7),
        ("own/inside", 5, 7),
    ]
    assert len([one for one in of(server, "run_table") if one.name.endswith(of(server, "run_table")[0].name)]) == 2
    for epoch, table in zip((1, 2, 2), preds(run), strict=True):
        found = rows(table)
        assert [row["guess"] for row in found] == [i + epoch for i in range(5)]
        assert [row["id"] for row in found] == ["0", "1", "2", "3", "4"]
        assert found[0]["score"] == 0.5 and math.isnan(found[4]["score"])
        pixels = [np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))) for row in found]
        assert all((pixels[i] == IMAGES[i]).all() for i in range(5))
    assert [[row["n"] for row in rows(table)] for table in run.tables[3:5]] == [[4], [5]]
    assert [row["x"] for row in rows(run.tables[5])] == [1, 2]


@pytest.mark.slow
def test_a_project_is_all_its_runs(server: WandbServer, ask: Downloader) -> None:
    runs = read_project("me/demo", downloader=ask)
    assert {(run.name, len(run.tables)) for run in runs} == {("my run", 6), ("empty", 0)}


@pytest.mark.slow
def test_one_table_of_a_project(server: WandbServer, ask: Downloader) -> None:
    run = imported(ask, table="more")
    assert [table.key for table in run.tables] == ["more", "more"]
    assert [row["n"] for row in rows(run.tables[1])] == [5]
    assert not [path for path in server.got if path.endswith(".png")]
    with pytest.raises(NotFound, match=r"no run of me/demo/abc has a table 'nope'; there are: more, val/preds"):
        imported(ask, table="nope")


def test_a_second_import_downloads_nothing_that_is_there(server: WandbServer, ask: Downloader) -> None:
    for table in imported(ask).tables:
        rows(table)
    assert len([path for path in server.got if path.startswith("blob/")]) == len(server.blobs)
    server.got.clear()
    again = imported(ask)
    assert [len(rows(table)) for table in again.tables] == [5, 5, 5, 1, 1, 2]
    assert server.got == []
    assert sorted(path.name for path in ask.cache.iterdir()) == ["artifacts", "runs"]


@pytest.mark.parametrize(
    "kind", ["altered", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("short", "half", 404))]
)
def test_a_broken_download_is_told_and_repaired_by_the_next(server: WandbServer, ask: Downloader, kind: Any) -> None:
    """The SDK itself takes an altered file for the right one, and keeps it."""
    first = of(server, "run_table")[0]
    name = next(name for name in first.manifest["contents"] if name.endswith(".png"))
    md5 = server.md5(first, name)
    server.faults = [Fault("blob", kind, holds=md5)]
    run = imported(ask, table="val/preds")
    with pytest.raises(SecondguessError) as told:
        run.tables[0].read()
    assert "\n" not in str(told.value)
    if kind in {"altered", "short"}:
        assert f"'{name}' first; import again to fetch them anew" in str(told.value)
    server.faults.clear()
    server.got.clear()
    assert len(rows(imported(ask, table="val/preds").tables[0])) == 5
    assert f"blob/{md5}" in server.got


@pytest.mark.slow
def test_a_file_that_was_altered_in_the_cache_is_fetched_again(server: WandbServer, ask: Downloader) -> None:
    for table in imported(ask, table="val/preds").tables:
        rows(table)
    (picture, *_) = [
        path for path in (ask.cache / "artifacts").rglob("*") if path.is_file() and b"PNG" in path.read_bytes()
    ]
    whole = picture.read_bytes()
    picture.write_bytes(whole[:-1] + b"?")
    (own, *_) = (ask.cache / "runs").rglob("preds_1_*.table.json")
    own.write_bytes(b"{}")
    assert [len(rows(table)) for table in imported(ask, table="val/preds").tables] == [5, 5, 5]
    assert picture.read_bytes() == whole
    assert own.stat().st_size > 2


FAULTS = {
    "no key": ("Viewer", 401, "refuses"),
    "a refused query": ("Run", "graphql", "the query is refused"),
    "no such run": ("Run", 404, ""),
    "too many requests": ("Run", 429, ""),
    "a server that is down": ("HistoryPage", 503, ""),
    "no answer": ("RunOutputArtifacts", "hang", ""),
    "half an answer": ("RunHistoryKeys", "half", ""),
    "an answer that is no JSON": ("Run", "malformed", ""),
    "an empty answer": ("RunOutputArtifacts", "null", ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FAULTS)
def test_what_goes_wrong_is_one_line(server: WandbServer, tmp_path: Path, case: str) -> None:
    operation, kind, text = FAULTS[case]
    server.faults = [Fault(operation, kind)]  # type: ignore[arg-type]
    with pytest.raises(SecondguessError) as told:
        # What the SDK tries again for ever is left soon.
        imported(Downloader(tmp_path / "cache", timeout_s=2, patience_s=HANG_S if text else 6))
    assert text in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


@pytest.mark.slow
def test_a_server_that_never_answers_is_left(server: WandbServer, ask: Downloader) -> None:
    server.faults = [Fault("blob", "hang")]
    run = imported(ask)
    object.__setattr__(ask, "patience_s", 1)  # what is asked before is answered
    with pytest.raises(SecondguessError, match="did not answer within 1 s; import again to go on where it ended"):
        run.tables[0].read()


@pytest.mark.slow
def test_no_server_no_key_no_wandb(
    server: WandbServer, ask: Downloader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="me/demo/nope"):
        imported(ask, "me/demo/nope")
    with pytest.raises(NotFound, match="nope"):
        imported(ask, "me/nope")
    with pytest.raises(BadInput, match="write ENTITY/PROJECT or ENTITY/PROJECT/RUN"):
        imported(ask, "demo")
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(BadInput, match="W&B asks for an API key: set WANDB_API_KEY, or run `wandb login`"):
        imported(ask)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'secondguess\[wandb\]'"):
        imported(ask)


def renamed(contents: dict[str, Any], name: str) -> dict[str, Any]:
    """The same files, one of the pictures under another name."""
    (picture, *_) = [path for path in contents if path.endswith(".png")]
    return {**contents, name: contents[picture]}


EVIL = {
    "a path that climbs out": lambda contents: renamed(contents, "../../evil.png"),
    "an absolute path": lambda contents: renamed(contents, "/tmp/evil.png"),
    "too many bytes": lambda contents: contents | {"big": {"digest": "AAAAAAAAAAAAAAAAAAAAAA==", "size": 1 << 50}},
    "a digest that is none": lambda contents: contents | {"odd": {"digest": "AAAA", "size": 1}},
}


SAID = {
    "a path that climbs out": "'../../evil.png' leads out of its folder",
    "an absolute path": "'/tmp/evil.png' leads out of its folder",
    "too many bytes": "at most 274,877,906,944 are taken",
    "a digest that is none": "the manifest has no MD5",
}


@pytest.mark.slow
@pytest.mark.parametrize("case", EVIL)
def test_a_manifest_that_asks_too_much_is_refused_before_any_download(
    server: WandbServer, ask: Downloader, case: str
) -> None:
    first = of(server, "run_table")[0]
    first.manifest["contents"] = EVIL[case](first.manifest["contents"])
    run = imported(ask, table="val/preds")
    with pytest.raises(SecondguessError) as told:
        rows(run.tables[0])
    assert SAID[case] in str(told.value)
    assert first.name in str(told.value)
    assert not [path for path in server.got if first.id in path and "manifest" not in path]
    assert not list(ask.cache.rglob("evil*")) and not Path("/tmp/evil.png").exists()


@pytest.mark.slow
def test_an_artifact_of_two_million_files_is_refused_before_its_manifest(
    server: WandbServer, ask: Downloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = of(server, "run_table")[0]
    monkeypatch.setattr(first, "files", 2_000_000)
    with pytest.raises(BadInput, match="it has 2,000,000 files; at most 1,000,000 are taken"):
        imported(ask, table="val/preds").tables[0].read()
    assert not [path for path in server.got if path.startswith(f"manifest/{first.id}")]


@pytest.mark.slow
def test_a_reference_to_a_file_of_this_machine_is_not_followed(
    server: WandbServer, ask: Downloader, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    first = of(server, "run_table")[0]
    contents = first.manifest["contents"]
    (picture, *_) = [path for path in contents if path.endswith(".png")]
    contents[picture] = contents[picture] | {"ref": secret.as_uri()}
    table = imported(ask, table="val/preds").tables[0].read()
    found = [row["image"] for batch in table.batches() for row in batch.to_pylist()]
    assert (found.count(None), table.media.missing) == (1, 1)
    assert "is only a reference to file:///" in table.media.reasons[0]
    assert not [path for path in ask.cache.rglob("*") if path.is_file() and path.read_bytes() == b"secret"]


SYNCED = """
run = wandb.init(project="demo", id="syn", mode="offline", settings=QUIET)
mutable = wandb.Table(columns=["guess", "image"], log_mode="MUTABLE")
for epoch in (1, 2, 3):
    mutable.add_data(epoch, wandb.Image(np.full((4, 4), epoch, np.uint8)))
    run.log({"grows": mutable, "epoch": epoch})
for epoch in (4, 5):
    # equal cells, other pictures
    table = wandb.Table(columns=["guess", "image"])
    table.add_data(0, wandb.Image(np.full((4, 4), epoch, np.uint8)))
    run.log({"pictures": table, "epoch": epoch})
run.log({"pictures": table, "epoch": 6})
left = wandb.Table(columns=["id", "guess"], data=[["a", 1], ["b", 2]])
right = wandb.Table(columns=["id", "guess"], data=[["a", 3], ["b", 4]])
run.log({"both": wandb.JoinedTable(left, right, "id"), "epoch": 7})
run.finish()
wandb.teardown()
"""


@pytest.mark.slow
def test_a_run_that_was_synced_later_has_its_pictures_where_they_belong(
    wandb_server: WandbServer, ask: Downloader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does not know at which step such a table was logged: its cells tell."""
    live_run(wandb_server, tmp_path, SYNCED)
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    for name, value in environment(wandb_server, tmp_path / "sdk").items():
        monkeypatch.setenv(name, value)
    program = Path(sys.executable).parent / "wandb"
    subprocess.run([program, "sync", str(folder)], check=True, capture_output=True)
    run = imported(ask, "me/demo/syn")
    assert [(table.key, table.epoch) for table in run.tables] == [
        *(("grows", epoch) for epoch in (1, 2, 3)),
        *(("pictures", epoch) for epoch in (4, 5)),
        *((f"both.table{side}", 7) for side in (1, 2)),
    ]
    tables = [rows(table) for table in run.tables]
    assert [[row["guess"] for row in found] for found in tables] == [[1], [1, 2], [1, 2, 3], [0], [0], [1, 2], [3, 4]]
    assert [[value_of(row) for row in found] for found in tables[:5]] == [[1], [1, 2], [1, 2, 3], [4], [5]]


def value_of(row: dict[str, Any]) -> int:
    return int(np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))[0, 0])
