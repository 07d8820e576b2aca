"""What is said to another DuckDB before a shown statement, and that one with httpfs runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from s3_server import KEY, SECRET, S3Server, bucket_url, s3_process, s3_server

from secondguess.analysis.cli import main
from secondguess.analysis.objects.httpfs import before
from secondguess.analysis.objects.path import place
from secondguess.trainer.recorder import Recorder

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures


def test_a_store_in_a_folder_needs_nothing(tmp_path: Path) -> None:
    assert before([tmp_path, tmp_path / "x"]) == []


def test_keys_in_the_environment_are_taken_from_there(s3_server: S3Server, bucket_url: str) -> None:
    assert before([place(f"{bucket_url}/a"), place(f"{bucket_url}/b")]) == [
        "INSTALL httpfs; LOAD httpfs;",
        f"SET s3_region = 'us-east-1'; SET s3_endpoint = '{s3_server.url.removeprefix('http://')}'; "
        "SET s3_use_ssl = false; SET s3_url_style = 'path';",
    ]


def test_a_profile_is_looked_up_by_a_secret_of_duckdbs(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert before([place("s3://of-a-default-profile/a")]) == [
        "INSTALL httpfs; LOAD httpfs;",
        "CREATE SECRET (TYPE s3, PROVIDER credential_chain, REGION 'eu-west-1');",
    ]


def fill(store: str) -> None:
    for run, guesses in (("cnn", (1, 0)), ("double", (0, 0))):
        with Recorder(place(store), run=run) as recorder:
            for epoch in (1, 2):
                with recorder.table("test_predictions", epoch=epoch) as table:
                    table.add(
                        ids=["a", "b"],
                        truth=[0, 1],
                        guess=list(guesses),
                        scores=[[0.9, 0.1] if guess == 0 else [0.2, 0.8] for guess in guesses],
                        images=np.array([0, 9], np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8),
                    )


COMMANDS = (
    ("ask", "errors", "cnn@all"),
    ("ask", "errors-by-guess", "cnn"),
    ("ask", "disagreements", "cnn@1", "double@2"),
    ("ask", "trajectories", "cnn"),
    ("table", "cnn@1", "double@1", "--join", "inner"),
    ("table", "cnn", "--sort", "-confidence"),
    ("sql", "SELECT run, epoch, count(*) AS n FROM test_predictions GROUP BY ALL ORDER BY ALL"),
)


@pytest.fixture(scope="session")
def plain_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with DuckDB 1.5.5 and its httpfs, for which 2.0 has no package."""
    folder = tmp_path_factory.mktemp("duckdb-1.5.5")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    packages = ["duckdb==1.5.5", "duckdb-extension-httpfs==1.5.5"]
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", *packages], check=True)
    return folder / "bin/python"


PLAIN = """
import json, sys
from pathlib import Path
import duckdb, duckdb_extension_httpfs
(file,) = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
lines = sys.stdin.read().splitlines()
first = "-- first, in another DuckDB: "
for line in lines:
    if line.startswith(first):
        con.execute(line.removeprefix(first).replace("INSTALL httpfs; LOAD httpfs;", f"LOAD '{file}';"))
print(json.dumps(con.execute("\\n".join(lines)).fetchall(), default=str))
"""


def rounded(value: Any) -> Any:
    """The same with six digits: single floats are printed in two ways."""
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return round(value, 6) if isinstance(value, float) else value


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=[f"{number}-{line[0]}" for number, line in enumerate(COMMANDS)])
def test_the_shown_statement_runs_in_a_plain_duckdb_with_httpfs(
    bucket_url: str, plain_duckdb: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    store = f"{bucket_url}/a team's/predictions [1]"
    fill(store)
    capsys.readouterr()
    main([*command, "--store", store, "--format", "json", "--show-sql"])
    answer, shown = capsys.readouterr()
    assert KEY not in shown
    assert SECRET not in shown
    assert shown.count("-- first, in another DuckDB: ") == 2
    run = [plain_duckdb, "-c", PLAIN]
    done = subprocess.run(run, input=shown, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr
    rows = [list(row.values()) for row in json.loads(answer)]
    assert rounded(json.loads(done.stdout)) == rounded(rows)
    assert rows != []
