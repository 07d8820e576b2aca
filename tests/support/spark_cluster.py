"""A standalone cluster of Spark on loopback, and what both engines answer, to be compared."""

import math
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from secondguess.analysis.engine import engines
from secondguess.analysis.engine.duck import Build, answered
from secondguess.analysis.engine.engines import DUCKDB, Engine
from secondguess.analysis.errors import SecondguessError

_WORKERS = 2
_DEPLOY = "org.apache.spark.deploy"
_CLOSE = 1e-9  # of each real number: sums are made in another order


class Deployed:
    """A process of the cluster, whose log is read until it says something."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        spec = find_spec("pyspark")
        assert spec is not None and spec.origin is not None
        command = [Path(spec.origin).parent / "bin" / "spark-class", f"{_DEPLOY}.{name}", *arguments]
        ours = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false"}
        self.process = subprocess.Popen(
            command,
            env={
                **os.environ,
                **ours,
                "SPARK_CONF_DIR": str(folder),
                "SPARK_LOCAL_DIRS": str(folder),
                "SPARK_DAEMON_MEMORY": "256m",
            },
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a worker's executors end with it
        )

    def said(self, pattern: str) -> re.Match[str]:
        """The first line of the log, from here on, that has the pattern."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"{self.process.args} ended without saying {pattern}")

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a master with two workers that have registered; all end with the session."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "spark-defaults.conf").write_text(
        "spark.executor.memory 512m\nspark.driver.memory 512m\nspark.sql.shuffle.partitions 2\n"
    )
    opened: list[Deployed] = []
    try:
        master = Deployed(folder, "master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        opened.append(master)
        address = master.said(r"Starting Spark master at (spark://\S+)")[1]
        for number in range(_WORKERS):
            place = ("--work-dir", str(folder / f"worker-{number}"), "--webui-port", "0")
            opened.append(
                Deployed(folder, "worker.Worker", "--host", "127.0.0.1", "-c", "1", "-m", "600m", *place, address)
            )
        for worker in opened[1:]:
            worker.said("Successfully registered with master")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
            patch.setenv("SPARK_CONF_DIR", str(folder))
            yield address
    finally:
        for each in reversed(opened):
            each.end()


@pytest.fixture(scope="session")
def on_cluster(cluster: str) -> Engine:
    """Spark, on the cluster."""
    return engines.opened("spark", cluster)


def same(build: Build, spark: Engine, start: Callable[[Engine], Any] = lambda engine: engine.rows) -> list[Any]:
    """Assert that both engines give the same columns, types and rows in order, or the same error; DuckDB's rows."""
    told = []
    for engine in (DUCKDB, spark):
        try:
            with answered(build, start(engine)) as (_, started):
                result, total = started if isinstance(started, tuple) else (started, None)
                told.append((list(result.columns), list(result.types), total, list(result.rows)))
        except SecondguessError as error:
            told.append(([type(error).__name__, str(error)], [], None, []))
    ours, theirs = told
    assert theirs[:3] == ours[:3], (theirs[:3], ours[:3])
    assert len(theirs[3]) == len(ours[3])
    for mine, other in zip(ours[3], theirs[3], strict=True):
        assert alike(mine, other), (mine, other)
    return ours[3]


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same, real numbers nearly so."""
    if isinstance(one, float) and isinstance(other, float):
        return (one != one and other != other) or math.isclose(one, other, rel_tol=_CLOSE, abs_tol=1e-12)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return alike(list(one.items()), list(other.items()))
    return type(one) is type(other) and one == other
