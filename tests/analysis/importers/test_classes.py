"""The names of the classes behind a foreign table's scores: from our own mirror, the guesses, or a person."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waiting import PATIENT
from wandb_faults import OfflineRun
from wandb_scripts import environment, real_run
from wandb_server import WandbServer, wandb_server
from wandb_server import environment as online

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.errors import BadInput
from secondguess.analysis.importers.classes import given_classes, mirrored_classes, without_classes
from secondguess.trainer.mirror.mirror import WandbOptions
from secondguess.trainer.recorder import Recorder

__all__ = ["wandb_server"]  # the fixture

NAMES = ["cat", "a dog", "값 😀"]
# Nothing is guessed to be a 값 😀, so that the guesses alone could not tell which score is its.
SCORES = np.array([[0.75, 0.125, 0.125], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25], [np.nan, 0.5, 0.5]], np.float32)


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(tmp_path / "sdk").items():
        if name.startswith("WANDB_") or name == "HOME":
            monkeypatch.setenv(name, value)


def record(store: Path, wandb: Any) -> None:
    with Recorder(store, run="cnn", config={"lr": 0.5}, classes=NAMES, wandb=wandb) as recorder:
        for epoch in (1, 2):
            recorder.log(loss=1 / epoch)
            with recorder.table("test_predictions", epoch=epoch, acc=50.0) as table:
                ids = [f"t-{row}" for row in range(4)]
                table.add(ids=ids, truth=[0, 1, 2, None], scores=SCORES[:, [0, 1, 2] if epoch == 1 else [1, 0, 2]])


def same(store: Path, other: Path, rows: str = "SELECT * FROM test_predictions ORDER BY epoch, id") -> None:
    here, there = sg.connect(store).sql(rows), sg.connect(other).sql(rows)
    assert repr(there.project(", ".join(here.columns)).fetchall()) == repr(here.fetchall())
    assert len(here.fetchall()) == 8


@pytest.mark.parametrize("way", ["mirrored", "published"])
def test_a_run_with_named_classes_comes_back_equal_with_every_confidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    store = tmp_path / "store"
    record(store, WandbOptions(**PATIENT) if way == "mirrored" else "off")
    if way == "published":
        main(["publish", "cnn", "--store", str(store)])
    main(["import", str(store / "wandb"), "--store", str(tmp_path / "there")])
    assert "classes = cat, a dog, 값 😀 (as the run's config names them)" in capsys.readouterr().out
    same(store, tmp_path / "there")
    assert sg.connect(tmp_path / "there").sql("SELECT confidence FROM test_predictions").fetchall() == [
        (0.75,), (0.5,), (0.5,), (None,), (0.75,), (0.5,), (0.5,), (None,)
    ]  # fmt: skip
    (config,) = sg.connect(tmp_path / "there").sql("SELECT config FROM runs").fetchall()[0]
    assert json.loads(config) == {"lr": 0.5}


@pytest.mark.slow
def test_a_run_with_named_classes_comes_back_equal_from_a_server(
    tmp_path: Path, wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in online(wandb_server, tmp_path / "online").items():
        monkeypatch.setenv(name, value)
    record(tmp_path / "store", "off")
    main(["publish", "cnn", "--wandb", "online", "--store", str(tmp_path / "store")])
    main(["import", "me/table-quickstart", "--store", str(tmp_path / "there")])
    same(tmp_path / "store", tmp_path / "there")


def test_only_a_run_with_named_classes_has_them_in_its_config(tmp_path: Path) -> None:
    record(tmp_path / "store", WandbOptions(**PATIENT))
    (folder,) = (tmp_path / "store" / "wandb").glob("offline-run-*")
    config = OfflineRun(folder).config
    assert {key: config[key] for key in config if key != "_wandb"} == {"lr": 0.5, "secondguess": {"classes": NAMES}}
    with Recorder(tmp_path / "plain", run="cnn", config={"lr": 0.5}, wandb=WandbOptions(**PATIENT)) as recorder:
        recorder.log(loss=1)
    (folder,) = (tmp_path / "plain" / "wandb").glob("offline-run-*")
    assert OfflineRun(folder).config.keys() - {"_wandb"} == {"lr"}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, None),
        ({"secondguess": {"classes": ["a", "b"]}}, ("a", "b")),
        ({"secondguess": "mine"}, None),
        ({"secondguess": {"classes": "ab"}}, None),
        ({"secondguess": {"classes": []}}, None),
        ({"secondguess": {"classes": ["a", "a"]}}, None),
        ({"secondguess": {"classes": ["a", 1]}}, None),
    ],
)
def test_a_config_of_somebody_else_s_names_no_classes(config: dict[str, Any], found: Any) -> None:
    assert mirrored_classes(config) == found


def test_a_key_of_the_user_s_own_in_the_config_stays() -> None:
    assert without_classes({"secondguess": {"classes": ["a", "b"]}, "lr": 1}) == {"lr": 1}
    assert without_classes({"secondguess": "mine", "lr": 1}) == {"secondguess": "mine", "lr": 1}


def imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: Sequence[Sequence[Any]], *words: str
) -> tuple[str, list[tuple[Any, ...]]]:
    """What is said of the columns of id, guess, truth and scores, and the rows, by id, without the scores."""
    columns = ["id", "guess", "truth", *(f"score_{at}" for at in range(len(rows[0]) - 3))]
    (tmp_path / "t.table.json").write_text(json.dumps({"columns": columns, "data": rows}))
    main(["import", str(tmp_path / "t.table.json"), "--store", str(tmp_path / "there"), *words])
    said = capsys.readouterr().out.splitlines()[1].partition(f"({len(rows[0]) - 3})")[2].removeprefix(", ")
    found = sg.connect(tmp_path / "there").sql("SELECT id, guess, truth, confidence, truth_score FROM t")
    return said, found.order("id").fetchall()


def test_names_that_go_with_one_highest_score_each_are_the_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        ["a", "dog", "cat", 0.25, 0.625, 0.125],
        ["b", "cat", "cat", 0.75, 0.125, 0.125],
        ["c", "emu", "emu", 0.0, 0.25, 0.75],
        ["d", "cat", "emu", 0.5, 0.5, 0.0],  # a tie tells nothing
        ["e", None, "emu", 0.0, 1.0, 0.0],
        ["f", "emu", "emu", float("nan"), 0.5, 0.25],
    ]
    assert imported(tmp_path, capsys, rows) == (
        "classes = cat, dog, emu (taken from the guesses: each name goes with one highest score)",
        [
            ("a", "dog", "cat", 0.625, 0.25),
            ("b", "cat", "cat", 0.75, 0.75),
            ("c", "emu", "emu", 0.75, 0.75),
            ("d", "cat", "emu", 0.5, 0.0),
            ("e", None, "emu", None, 0.0),
            ("f", "emu", "emu", None, 0.25),
        ],
    )


UNKNOWN = "classes not told, so no confidence: --classes names them"
CONTRADICTORY = {
    "a name with two highest scores": [["a", "cat", "cat", 0.75, 0.25], ["b", "cat", "dog", 0.25, 0.75]],
    "two names with one highest score": [["a", "cat", "cat", 0.75, 0.25], ["b", "dog", "dog", 0.75, 0.25]],
    "a class that is never guessed": [["a", "cat", "cat", 0.75, 0.25]],
    "three names for two scores": [["a", "cat", "cat", 0.75, 0.25], ["b", "dog", "", 0.25, 0.75],
                                   ["c", "emu", "", 0.75, 0.25]],
}  # fmt: skip


@pytest.mark.parametrize("case", CONTRADICTORY)
def test_guesses_that_leave_a_doubt_name_no_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    said, rows = imported(tmp_path, capsys, CONTRADICTORY[case])
    assert said == UNKNOWN
    assert {(confidence, score) for _, _, _, confidence, score in rows} == {(None, None)}


def test_guesses_that_are_the_numbers_of_the_scores_need_no_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even if every guess is another class than the highest score's: then it is a guess that has not the highest."""
    rows = [["a", "1", "1", 0.75, 0.25], ["b", "0", "1", 0.25, 0.75]]
    assert imported(tmp_path, capsys, rows) == ("", [("a", "1", "1", 0.25, 0.25), ("b", "0", "1", 0.25, 0.75)])


def test_names_that_are_given_go_with_the_scores_and_numbers_become_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [["a", 0, 1, 0.75, 0.25], ["b", 1, None, 0.25, 0.75], ["c", 7, -1, 0.25, 0.75]]
    assert imported(tmp_path, capsys, rows, "--classes", 'cat, "dog, big"') == (
        "classes = cat, dog, big (as given)",
        [
            ("a", "cat", "dog, big", 0.75, 0.25),
            ("b", "dog, big", None, 0.75, None),
            ("c", "7", "-1", None, None),
        ],
    )


@pytest.mark.parametrize(("truth", "kept"), [(1.0, "dog"), (True, "dog"), (0.5, "0.5"), ("1", "1"), ("dog", "dog")])
def test_a_number_is_a_place_among_the_classes_and_text_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], truth: Any, kept: str
) -> None:
    _, rows = imported(tmp_path, capsys, [["a", 0, truth, 0.75, 0.25]], "--classes", "cat,dog")
    assert rows == [("a", "cat", kept, 0.75, 0.25 if kept == "dog" else None)]


def test_a_table_without_scores_takes_names_for_its_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,guess,truth\na,0,1\nb,1,1\n")
    main(["import", str(tmp_path / "t.csv"), "--classes", "cat,dog", "--store", str(tmp_path / "there")])
    found = sg.connect(tmp_path / "there").sql("SELECT id, guess, truth FROM test_predictions ORDER BY id")
    assert found.fetchall() == [("a", "cat", "dog"), ("b", "dog", "dog")]


def test_names_for_another_number_of_scores_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        imported(tmp_path, capsys, [["a", 0, 1, 0.75, 0.25]], "--classes", "cat,dog,emu")
    assert "--classes names 3 classes, but t has 2 scores" in capsys.readouterr().err
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("text", ["", "cat,,dog", "cat,cat", " "])
def test_an_odd_list_of_names_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expected names, each once, in the order of the scores: 'cat,dog'"):
        given_classes(text)


def test_names_are_found_over_all_versions_of_a_table_not_one(tmp_path: Path) -> None:
    script = """
for epoch, rows in ((1, [["a", "cat", 0.75, 0.25]]), (2, [["a", "dog", 0.25, 0.75]])):
    run.log({"t": wandb.Table(columns=["id", "guess", "score_0", "score_1"], data=rows), "epoch": epoch})
"""
    main(["import", str(real_run(tmp_path, script)), "--run", "r", "--store", str(tmp_path / "there")])
    found = sg.connect(tmp_path / "there").sql('SELECT epoch, guess, confidence FROM "r/t" ORDER BY epoch')
    assert found.fetchall() == [(1, "cat", 0.75), (2, "dog", 0.75)]
