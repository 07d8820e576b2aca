"""`secondguess rm`: what goes and what stays is said before, and nothing is lost that another run needs."""

import subprocess
import sys
from pathlib import Path

import pytest
from recording import bytes_of, record
from waiting import HANG_S

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.store.runs import list_runs
from secondguess.analysis.tables import saved
from secondguess.analysis.tables.view import TableView
from secondguess.trainer.recorder import Recorder

ROWS = [("a", 0, 0), ("b", 1, 0)]
TEXTS, OTHERS = {"a": "one", "b": "two"}, {"a": "three", "b": "four"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """cnn and double have the same examples, alone has its own."""
    path = tmp_path / "predictions"
    for run in ("cnn", "double"):
        record(path, run, {1: ROWS, 2: ROWS}, content=TEXTS)
    record(path, "alone", {1: ROWS}, content=OTHERS)
    return path


def rm(store: Path, *args: str) -> tuple[int, str]:
    """The exit code and what is said, with nobody to ask."""
    command = [sys.executable, "-m", "secondguess", "rm", "--store", str(store), *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, stdin=subprocess.DEVNULL)
    assert done.stdout == ""
    return done.returncode, done.stderr


def examples(store: Path) -> int:
    return len(list((store / "examples").glob("*.parquet")))


def test_a_run_goes_whole_and_what_others_need_stays(store: Path) -> None:
    before = sg.connect(store).sql("SELECT id, content FROM examples ORDER BY ALL").fetchall()
    code, said = rm(store, "cnn", "--yes")
    assert code == 0
    assert said.splitlines()[0].startswith("cnn: test_predictions of 2 epochs; ")
    assert said.splitlines()[1:] == ["removed cnn"]
    assert sorted(list_runs(store)) == ["alone", "double"]
    assert sg.connect(store).sql("SELECT id, content FROM examples ORDER BY ALL").fetchall() == before
    assert sg.connect(store).ask("errors", "double@2").fetchall() != []
    assert [path.name for path in store.iterdir() if path.name.startswith(".")] == []


def test_a_run_goes_from_a_store_that_has_no_examples(tmp_path: Path) -> None:
    """As an imported table of numbers leaves it."""
    store = tmp_path / "predictions"
    (tmp_path / "t.csv").write_text("id,truth,guess\na,cat,cat\nb,dog,cat\n")
    main(["import", str(tmp_path / "t.csv"), "--run", "cnn", "--store", str(store)])
    assert not (store / "examples").exists()
    code, said = rm(store, "cnn", "--yes")
    assert (code, said.splitlines()[-1]) == (0, "removed cnn")
    assert list(store.iterdir()) == []


def test_examples_that_no_other_run_has_go_with_it(store: Path) -> None:
    code, said = rm(store, "alone", "--yes")
    assert (code, examples(store)) == (0, 1)
    assert ", which no other run has" in said.splitlines()[1]
    assert said.splitlines()[-1] == "removed alone and 1 examples file"
    assert rm(store, "cnn", "double", "--yes")[1].splitlines()[-1] == "removed cnn, double and 1 examples file"
    assert examples(store) == 0


@pytest.mark.parametrize("args", [("--dry-run",), ("--dry-run", "--yes"), ()])
def test_nothing_goes_unless_it_is_said_so(store: Path, args: tuple[str, ...]) -> None:
    before = bytes_of(store)
    code, said = rm(store, "alone", *args)
    assert code == (0 if args else 1)
    assert "nothing was removed" in said.splitlines()[-1]
    assert said.startswith("alone: ")
    assert bytes_of(store) == before


def test_a_pattern_is_each_run_that_it_fits_and_a_name_that_is_none_is_said(store: Path) -> None:
    code, said = rm(store, "nobody", "cnn", "--yes")
    assert (code, said) == (1, "secondguess: no run named 'nobody'; the store has: cnn, double, alone\n")
    assert rm(store, "x*", "--yes")[0] == 1
    assert len(list_runs(store)) == 3
    assert rm(store, "*o*", "--yes")[0] == 0
    assert list(list_runs(store)) == ["cnn"]


def test_a_run_that_is_being_recorded_stays(store: Path) -> None:
    with Recorder(store, run="going", wandb="off") as recorder:
        with recorder.table("test_predictions", epoch=1) as table:
            table.add(ids=["a", "b"], truth=[0, 1], guess=[0, 0], content=["five", "six"])
        code, said = rm(store, "going", "--yes")
        assert (code, "run 'going' is being recorded; remove it when it has ended" in said) == (1, True)
        code, said = rm(store, "alone", "--yes")  # whose examples the one that goes on might be about to name
        assert (code, "stays: going is being recorded" in said, examples(store)) == (0, True, 3)
    assert sorted(list_runs(store)) == ["cnn", "double", "going"]


def test_saved_views_and_what_wandb_keeps_stay_and_are_said(store: Path) -> None:
    saved.save(store, "mine", TableView(("cnn@1", "double@1")))
    saved.save(store, "other", TableView(("alone",)))
    folder = store / "wandb" / "offline-run-20260101_000000-abc123"
    folder.mkdir(parents=True)
    (folder / "run-abc123.wandb").write_bytes(b"x" * 2_000)
    (store / "cnn" / "commits" / "wandb-abc123.json").write_text("{}")
    code, said = rm(store, "cnn", "--yes")
    assert code == 0
    assert f"what W&B keeps of it stays, 2.0 KB: {folder}" in said
    assert "saved views that name it stay, and show nothing without it: mine" in said
    assert folder.is_dir()
    assert saved.names(store) == ["mine", "other"]


def test_a_run_behind_a_link_loses_the_link_alone(store: Path, tmp_path: Path) -> None:
    (store / "alone").rename(tmp_path / "elsewhere")
    (store / "alone").symlink_to(tmp_path / "elsewhere")
    before = bytes_of(tmp_path / "elsewhere")
    assert rm(store, "alone", "--yes")[0] == 0
    assert not (store / "alone").exists()
    assert bytes_of(tmp_path / "elsewhere") == before


def test_a_person_is_asked(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", type("Tty", (), {"isatty": lambda self: True, "readline": lambda self: "n\n"})())
    with pytest.raises(SystemExit) as stop:
        main(["rm", "cnn", "--store", str(store)])
    assert stop.value.code == 130
    assert "cnn" in list_runs(store)
