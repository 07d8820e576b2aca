"""Every command says of a store in a bucket what it says of the same store in a folder."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from event_files import scalar, written
from page_in_process import texts
from s3_server import SECRET, S3Server, bucket_url, environment, s3_process, s3_server
from stores import record

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import AlreadyThere, SecondguessError
from secondguess.analysis.objects.path import place
from secondguess.analysis.store import lease
from secondguess.analysis.store.check import check
from secondguess.analysis.store.runs import list_runs
from secondguess.trainer.recorder import Recorder

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures

CAT, DOG = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)


def fill(store: Path | str) -> None:
    """Two runs of two epochs, each of two examples with pictures."""
    for run, guesses in (("cnn", ([1, 1], [0, 1])), ("double=2", ([0, 0], [0, 1]))):
        rows = [
            {
                "ids": ["a", "b"],
                "truth": [0, 1],
                "scores": [[0.9, 0.1] if one == 0 else [0.2, 0.8] for one in guess],
                "images": np.stack([CAT, DOG]),
            }
            for guess in guesses
        ]
        record(place(store), run, [[one] for one in rows], classes=["cat", "dog"], config={"lr": 0.1})


@pytest.fixture
def here(tmp_path: Path) -> str:
    return str(tmp_path / "predictions")


@pytest.fixture
def there(bucket_url: str) -> str:
    return f"{bucket_url}/team/predictions"


def said(capsys: pytest.CaptureFixture[str], store: str, *command: str) -> tuple[str, str, int]:
    """What a command says, the store called STORE; what differs by the moment, and by need in a bucket, left out."""
    code = 0
    try:
        main([*command, "--store", store])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = (
        re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.+]+|[0-9a-f]{12}\b|\d[\d,.]* (KB|bytes)", "…", text.replace(store, "STORE"))
        for text in capsys.readouterr()
    )
    return out, re.sub(r"-- first, in another DuckDB: .*\n", "", err), code


COMMANDS = """
runs
runs --sort best --format json
ask errors cnn@all
ask errors-by-guess cnn
ask classification cnn@1 double=2@1 --format csv
ask trajectories cnn
ask ledger cnn@1 cnn@2
ask nothing
ask errors nothing@3
table cnn@1 --where wrong --format json
table cnn@1 cnn@2 --join inner --format csv
table cnn@1 --save first
table --saved first
table cnn --show-sql
sql SELECT_run,_count(*)_FROM_test_predictions_GROUP_BY_run_ORDER_BY_run
sql SELECT_*_FROM_examples
compare cnn@1 cnn@2
gate cnn@1 cnn@2 --max-broken 0
note cnn --tag good
note cnn
import p.csv --run p
import p.csv --run p
import p.csv --run p --overwrite
import p.csv --run p --epoch 2
label p p.csv --replace
ask errors p@2
check
check --gc
check --repair
ask errors cnn --verify
export cnn@1 --hf cnn-1 --overwrite
import cnn-1 --run again
import log --run cnn
import log --run cnn
import log
export cnn cnn.zip --overwrite
import cnn.zip
import cnn.zip --run twin
rm twin --yes
rm p --yes
rm p --yes
runs
""".strip().splitlines()


def test_every_command_says_of_a_bucket_what_it_says_of_a_folder(
    here: str, there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "log", [scalar("lr", step, 0.5) for step in (1, 2)])
    (tmp_path / "p.csv").write_text("id,guess,truth\n1,cat,cat\n2,cat,dog\n")
    fill(here)
    fill(there)
    capsys.readouterr()
    for line in COMMANDS:
        command = [word.replace("_", " ") if "SELECT" in word else word for word in line.split()]
        assert said(capsys, there, *command) == said(capsys, here, *command), line


PAGES = (
    "/runs?tag=good",
    "/run?run=cnn",
    "/table?t=cnn%401",
    "/table?t=cnn%401&where=wrong",
    "/head?t=cnn%401&column=guess",
    "/questions?q=errors&t=cnn",
    "/compare?t=cnn%401&t=cnn%402",
    "/example?t=cnn%401&row=0",
    "/gallery?t=cnn%401",
    "/sql?sql=SELECT+count(*)+FROM+examples",
    "/check",
)


def test_every_page_shows_of_a_bucket_what_it_shows_of_a_folder(here: str, there: str) -> None:
    def plain(text: str, store: str) -> str:
        text = re.sub(r'name="csrf" value="[^"]+"', "", text.replace(store, "STORE"))
        moments, sizes = r"\d{4}-\d\d-\d\d[T ][\d:.+]+|\d+:\d\d(:\d\d)?", r"\d[\d,.]* (KB|bytes|B|ms|s)\b"
        return re.sub(rf"{moments}|[0-9a-f]{{12,}}|{sizes}", "…", text)

    fill(here)
    fill(there)
    ours, theirs = (texts(place(store).absolute(), *PAGES) for store in (here, there))
    for page, one, other in zip(PAGES, ours, theirs, strict=True):
        assert plain(one, here) == plain(other, there), page


def add(recorder: Recorder, epoch: int) -> None:
    with recorder.table("test_predictions", epoch=epoch) as table:
        table.add(ids=["a"], guess=[epoch], truth=[2])


def test_a_run_in_a_bucket_is_going_then_interrupted_then_goes_on(
    there: str, monkeypatch: pytest.MonkeyPatch, s3_server: S3Server
) -> None:
    def states() -> list[tuple[str, str]]:
        return [(run.name, run.state) for run in list_runs(place(there)).values()]

    recorder = Recorder(there, run="cnn")
    add(recorder, 1)
    assert states() == [("cnn", "running")]
    with pytest.raises(AlreadyThere, match=r"run 'cnn' is being recorded: another process has it.* ends in"):
        Recorder(there, run="cnn", resume=True)
    monkeypatch.setattr(lease, "LEASE_S", 0.0)  # as if its process had died a minute ago
    assert states() == [("cnn", "interrupted")]
    with Recorder(there, run="cnn", resume=True) as resumed:
        monkeypatch.undo()
        for name, value in environment(s3_server).items():
            monkeypatch.setenv(name, value)
        recorder._writer._lock._renew()
        with pytest.raises(SecondguessError, match="another process has taken it over"):
            add(recorder, 2)
        assert resumed.last_epoch == 1
        add(resumed, 2)
        add(resumed, 3)
    assert states() == [("cnn", "finished")]
    store = sg.connect(there)
    assert store.sql("SELECT epoch, guess FROM test_predictions ORDER BY epoch").fetchall() == [(1, 1), (2, 2), (3, 3)]
    assert len(list(place(there).rglob("epoch*.parquet"))) == 1


def test_python_sees_a_bucket_as_it_sees_a_folder(here: str, there: str) -> None:
    fill(here)
    fill(there)
    ours, theirs = sg.connect(here), sg.connect(there)
    for question in ("errors", "errors-by-guess", "confusion"):
        assert theirs.ask(question, "cnn@1").fetchall() == ours.ask(question, "cnn@1").fetchall() != []
    assert theirs.table("cnn@1", where="wrong").fetchall() == ours.table("cnn@1", where="wrong").fetchall() != []
    assert SECRET not in repr(theirs) + str(theirs.table("cnn@1")) + theirs.statement("errors", "cnn@1").text
    theirs.import_frame(pa.table({"id": ["x"], "guess": [1], "truth": [2]}), run="frame")
    assert sorted(row[0] for row in theirs.runs().fetchall()) == ["cnn", "double=2", "frame"]


def test_a_run_in_a_bucket_stays_until_what_replaces_it_has_an_epoch(there: str) -> None:
    def guesses() -> list[tuple[int, int]]:
        rows: list[tuple[int, int]] = sg.connect(there).sql("SELECT epoch, guess FROM test_predictions").fetchall()
        return rows

    with Recorder(there, run="cnn") as recorder:
        add(recorder, 1)
    with pytest.raises(KeyError), Recorder(there, run="cnn", overwrite=True):
        raise KeyError
    assert guesses() == [(1, 1)]
    with Recorder(there, run="cnn", overwrite=True) as recorder:
        assert guesses() == [(1, 1)]
        add(recorder, 4)
        assert guesses() == [(4, 4)]
        add(recorder, 5)
    assert guesses() == [(4, 4), (5, 5)]
    assert check(place(there)).findings == ()


def test_a_run_in_a_bucket_is_published_and_imported_again(
    there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """W&B writes into the folder where the command is given, as it does where nobody says."""
    monkeypatch.chdir(tmp_path)
    fill(there)
    _, err, code = said(capsys, there, "publish", "cnn", "--wandb", "offline")
    assert code == 0, err
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    assert said(capsys, there, "import", str(run), "--run", "again")[2] == 0
    guesses = 'SELECT epoch, guess FROM "{}@all" ORDER BY ALL'
    store = sg.connect(there)
    assert store.sql(guesses.format("again")).fetchall() == store.sql(guesses.format("cnn")).fetchall() != []
