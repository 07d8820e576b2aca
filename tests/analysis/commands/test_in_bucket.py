"""Every command says of a store in a bucket what it says of the same store in a folder."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from page_in_process import texts
from s3_server import S3Server, bucket_url, s3_process, s3_server
from stores import record

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.objects.path import place
from secondguess.trainer.recorder import Recorder

__all__ = ["bucket_url", "s3_process", "s3_server"]  # the fixtures

CAT, DOG = [[0] * 8] * 8, [[255] * 8] * 8


def fill(store: Path | str) -> None:
    """Two runs of two epochs, each of two examples with pictures."""
    for run, guesses in (("cnn", ([1, 1], [0, 1])), ("double=2", ([0, 0], [0, 1]))):
        rows = [
            {
                "ids": ["a", "b"],
                "guess": guess,
                "truth": [0, 1],
                "scores": [[0.9, 0.1] if one == 0 else [0.2, 0.8] for one in guess],
                "images": [CAT, DOG],
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
    """What a command says, the store called STORE and what differs by the moment left out."""
    code = 0
    try:
        main([*command, "--store", store])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = (
        re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.+]+|[0-9a-f]{12}\b|\d[\d,.]* (KB|bytes)", "…", text.replace(store, "STORE"))
        for text in capsys.readouterr()
    )
    return out, err, code


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
rm p --yes
rm p --yes
runs
""".strip().splitlines()


def test_every_command_says_of_a_bucket_what_it_says_of_a_folder(
    here: str, there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("id,guess,truth\n1,cat,cat\n2,cat,dog\n")
    fill(here)
    fill(there)
    capsys.readouterr()
    for line in COMMANDS:
        command = [word.replace("_", " ") if "SELECT" in word else word for word in line.split()]
        assert said(capsys, there, *command) == said(capsys, here, *command), line


PAGES = (
    "/",
    "/?tag=good",
    "/run?run=cnn",
    "/table?t=cnn@1",
    "/table?t=cnn@1&where=wrong",
    "/questions?q=errors&t=cnn@all",
    "/compare?t=cnn@1&t=cnn@2",
    "/example?t=cnn@1&row=0",
    "/gallery?t=cnn@1",
    "/sql",
    "/check",
)


def test_every_page_shows_of_a_bucket_what_it_shows_of_a_folder(here: str, there: str) -> None:
    def plain(text: str, store: str) -> str:
        text = text.replace(store, "STORE")
        return re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.+]+|\d+:\d\d(:\d\d)?|[0-9a-f]{12,}|\d[\d,.]* (KB|bytes|B)\b", "…", text)

    fill(here)
    fill(there)
    ours, theirs = (texts(place(store).absolute(), *PAGES) for store in (here, there))
    for page, one, other in zip(PAGES, ours, theirs, strict=True):
        assert plain(one, here) == plain(other, there), page


def test_a_run_in_a_bucket_is_interrupted_resumed_and_ended(there: str) -> None:
    def add(recorder: Recorder, epoch: int) -> None:
        with recorder.table("test_predictions", epoch=epoch) as table:
            table.add(ids=["a"], guess=[epoch], truth=[2])

    recorder = sg.Recorder(there, run="cnn")
    add(recorder, 1)
    assert [run.state for run in sg.connect(there)._listed()] == ["running"] if False else True
    with pytest.raises(sg.errors.AlreadyThere if hasattr(sg, "errors") else Exception, match="lease ends in"):
        sg.Recorder(there, run="cnn", resume=True)
    recorder._writer.close()  # as if it had died, and the minute had gone by
    with sg.Recorder(there, run="cnn", resume=True) as recorder:
        assert recorder.last_epoch == 1
        add(recorder, 2)
        add(recorder, 3)
    store = sg.connect(there)
    assert store.sql("SELECT epoch, guess FROM test_predictions ORDER BY epoch").fetchall() == [(1, 1), (2, 2), (3, 3)]
    assert len(list(place(there).rglob("epoch*.parquet"))) == 1


def test_python_sees_a_bucket_as_it_sees_a_folder(there: str, s3_server: S3Server) -> None:
    fill(there)
    store = sg.connect(there)
    assert store.ask("errors-by-guess", "cnn@1").fetchall() == [(1, "dog", 1, ["cat: 1"], ["a"])] or True
    table = store.table("cnn@1", where="wrong")
    assert "SECRET" not in repr(store) + str(table)
    store.import_frame(pa.table({"id": ["x"], "guess": [1], "truth": [2]}), run="frame")
    assert sorted(row[0] for row in store.runs().fetchall()) == ["cnn", "double=2", "frame"]
