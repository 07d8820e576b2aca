"""Tags and notes of runs: they lie in the run's folder, whole whoever writes at once, and go where it goes."""

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run as run_process

import pytest
from recording import record

from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput, Damaged, NotFound
from secondguess.analysis.store import remarks
from secondguess.analysis.store.check import check
from secondguess.analysis.store.remarks import Remarks
from secondguess.analysis.store.runs import find_run
from secondguess.trainer.recorder import Recorder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "predictions"
    record(path, "cnn", {1: [("x", 0, 1)]})
    return path


def said(store: Path) -> Remarks:
    return remarks.read(find_run(store, "cnn"))


def test_tags_are_added_and_removed_and_a_note_takes_the_place_of_the_one_before(store: Path) -> None:
    assert said(store) == Remarks()
    assert remarks.change(store, "cnn", ["b", " a "], note="first") == Remarks(("a", "b"), "first")
    assert remarks.change(store, "cnn", ["a", "c"], ["b", "never"]) == Remarks(("a", "c"), "first")
    assert remarks.change(store, "cnn", note="") == said(store) == Remarks(("a", "c"), "")
    shutil.copytree(store / "cnn", store / "copy")
    assert remarks.read(find_run(store, "copy")).tags == ("a", "c")


def test_a_run_that_committed_nothing_has_remarks_too(tmp_path: Path) -> None:
    """As one that failed in its first epoch."""
    recorder = Recorder(tmp_path, run="cnn", wandb="off")
    with pytest.raises(BadInput, match="got no rows"), recorder, recorder.table("test_predictions", epoch=1):
        pass
    assert remarks.change(tmp_path, "cnn", ["failed"], note="no data") == said(tmp_path)
    assert said(tmp_path) == Remarks(("failed",), "no data")


def test_whoever_adds_at_the_same_time_loses_nothing(store: Path) -> None:
    """From two processes, each with threads."""
    script = (
        "import sys; from pathlib import Path; from secondguess.analysis.store import remarks\n"
        "for number in range(10): remarks.change(Path(sys.argv[1]), 'cnn', [f'other-{number}'])"
    )
    with ThreadPoolExecutor(3) as threads:
        other = threads.submit(run_process, [sys.executable, "-c", script, str(store)], check=True)
        own = [threads.submit(remarks.change, store, "cnn", [f"own-{number}"]) for number in range(10)]
        for each in (other, *own):
            each.result()
    assert len(said(store).tags) == 20


@pytest.mark.parametrize("tag", ["", "  ", "a,b", "a\nb", "x" * 61])
def test_what_is_no_tag_changes_nothing(store: Path, tag: str) -> None:
    with pytest.raises(BadInput, match="is no tag"):
        remarks.change(store, "cnn", [tag], note="lost?")
    assert said(store) == Remarks()


def test_a_note_that_is_too_long_and_a_run_that_is_not_there_are_refused(store: Path) -> None:
    with pytest.raises(BadInput, match="at most 20,000 characters"):
        remarks.change(store, "cnn", note="x" * 20_001)
    with pytest.raises(NotFound, match="no run named 'nobody'"):
        remarks.change(store, "nobody", ["a"])


def test_a_file_that_is_none_of_remarks_is_said_and_can_be_said_anew(store: Path) -> None:
    path = store / "cnn" / remarks.FILE
    remarks.change(store, "cnn", ["a"], note="kept")
    path.write_text(path.read_text().replace("kept", "other"))
    with pytest.raises(Damaged, match="edited by hand"):
        said(store)
    assert [str(finding.path) for finding in check(store).findings] == ["cnn/remarks.json"]
    with pytest.raises(Damaged, match="delete it"):
        remarks.change(store, "cnn", ["b"])  # whose other tags would be lost
    assert remarks.change(store, "cnn", ["b"], note="anew") == Remarks(("b",), "anew")
    assert check(store).findings == ()


def test_the_command_says_what_there_is_and_changes_it(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["note", "cnn", "overfits after 30", "--tag", "baseline", "--tag", "논문", "--store", str(store)])
    main(["note", "cnn", "--untag", "baseline", "--store", str(store)])
    main(["note", "cnn", "--store", str(store)])
    assert capsys.readouterr().out.splitlines()[-2:] == ["cnn: 논문", "overfits after 30"]
    assert json.loads((store / "cnn" / remarks.FILE).read_text())["tags"] == ["논문"]
