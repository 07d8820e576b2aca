"""The stand-in for W&B's server: the real SDK sends it a run and gets it back, pixel for pixel."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from waiting import HANG_S
from wandb_server import Fault, WandbServer, environment, live_run, wandb_server

__all__ = ["wandb_server"]  # the fixture

WRITE = """
IMAGES = np.random.default_rng(7).integers(0, 256, (3, 5, 8, 8, 3), dtype=np.uint8)
run = wandb.init(project="demo", id="abc", name="a run", config={"lr": 0.5}, settings=QUIET)
for epoch in range(3):
    table = wandb.Table(columns=["id", "image", "score"])
    for i in range(5):
        table.add_data(f"{epoch}_{i}", wandb.Image(IMAGES[epoch, i]), i / 8)
    run.log({"preds": table, "epoch": epoch + 1})
run.finish()
"""
READ = """
import json, wandb
import numpy as np
IMAGES = np.random.default_rng(7).integers(0, 256, (3, 5, 8, 8, 3), dtype=np.uint8)
api = wandb.Api()
(run,) = api.runs("me/demo")
found = []
for artifact in run.logged_artifacts():
    table = artifact.get("preds")
    pixels = np.stack([np.asarray(row[1].image) for row in table.data])
    epoch = int(table.data[0][0][0])
    found.append([epoch, artifact.version, bool((pixels == IMAGES[epoch]).all()), [row[2] for row in table.data]])
rows = [[row["_step"], row["epoch"], row["preds"]["nrows"]] for row in run.scan_history(use_cache=False)]
sampled = [row["epoch"] for row in run.history(pandas=False)]
keyed = [row["epoch"] for row in run.scan_history(keys=["preds", "epoch"], use_cache=False)]
by_name = api.artifact(f"me/demo/{run.logged_artifacts()[0].name.split(':')[0]}:latest").logged_by().id
files = sorted(file.name.split("_")[0] for file in run.files() if "media" in file.name)
about = [run.id, run.name, run.state, run.config, run.summary["epoch"], api.run("me/demo/abc").id]
print(json.dumps([about, rows, sampled, keyed, sorted(found), by_name, files]))
"""


def read(server: WandbServer, folder: Path) -> Any:
    """What the SDK reads back of the one run, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", READ], env=environment(server, folder), cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def expected(by_name: str = "abc") -> list[Any]:
    tables = [[epoch, f"v{epoch}", True, [i / 8 for i in range(5)]] for epoch in range(3)]
    about = ["abc", "a run", "finished", {"lr": 0.5}, 3, "abc"]
    rows = [[step, step + 1, 5] for step in range(3)]
    return [about, rows, [1, 2, 3], [1, 2, 3], tables, by_name, ["media/table/preds"] * 3]


def test_a_live_run_comes_back_pixel_for_pixel(wandb_server: WandbServer, tmp_path: Path) -> None:
    live_run(wandb_server, tmp_path, WRITE)
    assert read(wandb_server, tmp_path) == expected()
    run = wandb_server.runs["demo", "abc"]
    assert [row["epoch"] for row in run.rows] == [1, 2, 3]
    assert run.exit_code == 0


@pytest.mark.slow
def test_an_offline_run_that_is_synced_comes_back_too(wandb_server: WandbServer, tmp_path: Path) -> None:
    live_run(
        wandb_server, tmp_path, WRITE.replace("settings=QUIET", "settings=QUIET, mode='offline'") + "wandb.teardown()"
    )
    assert wandb_server.asked.total() == 0
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    program = Path(sys.executable).parent / "wandb"
    done = subprocess.run(
        [program, "sync", str(folder)], env=environment(wandb_server, tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert read(wandb_server, tmp_path) == expected()


def graphql(server: WandbServer, query: str, **variables: Any) -> bytes:
    body = json.dumps({"query": query, "variables": variables}).encode()
    asked = urllib.request.Request(f"{server.url}/graphql", body, {"Authorization": "Basic eA=="})
    with urllib.request.urlopen(asked, timeout=HANG_S) as answer:
        found: bytes = answer.read()
        return found


def test_an_operation_that_is_not_known_is_kept_for_the_fixture_to_fail_on() -> None:
    with WandbServer() as server:
        assert b"errors" in graphql(server, "query Nonsense { a }", b=1)
        assert server.unknown == ["Nonsense(['b'])"]


def test_faults_are_as_many_as_asked_for_and_only_where_asked_for(wandb_server: WandbServer) -> None:
    whole = graphql(wandb_server, "query Viewer { viewer { id } }")
    wandb_server.faults = [Fault("Viewer", 429, times=1), Fault("Viewer", "short", times=1), Fault("Run", 500)]
    with pytest.raises(urllib.error.HTTPError, match="429"):
        graphql(wandb_server, "query Viewer { viewer { id } }")
    assert whole.startswith(graphql(wandb_server, "query Viewer { viewer { id } }"))
    assert graphql(wandb_server, "query Viewer { viewer { id } }") == whole


def test_a_request_without_a_key_is_refused(wandb_server: WandbServer) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(
            f"{wandb_server.url}/graphql", b'{"query": "query Viewer { viewer { id } }"}', timeout=HANG_S
        )
