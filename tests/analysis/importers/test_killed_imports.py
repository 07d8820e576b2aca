"""An import over what was imported before, killed: one of the two is there in full."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import Ids, bring, killed_at_random, next_writer, readable
from waiting import PATIENT

from secondguess.trainer.mirror.mirror import WandbOptions
from secondguess.trainer.recorder import Recorder


def rows_of(name: str) -> Ids:
    return [(1, f"{name}-{row:03}") for row in range(200)]


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], str]:
    """A CSV file of 200 rows whose ids begin with a name; it is called t.csv, whatever they are."""

    def write(name: str) -> str:
        path = tmp_path / name / "t.csv"
        path.parent.mkdir()
        path.write_text("id,guess\n" + "".join(f"{row},1\n" for _, row in rows_of(name)))
        return str(path)

    return write


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An offline run of W&B's with two epochs of 30 rows with images."""
    store = tmp_path_factory.mktemp("logged") / "here"
    images = np.arange(30, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(store.parent / "home"))
        with Recorder(store, run="cnn", wandb=WandbOptions(rows=None, **PATIENT)) as recorder:
            for epoch in (1, 2):
                with recorder.table("test_predictions", epoch=epoch) as table:
                    table.add(ids=[f"new-{row:02}" for row in range(30)], images=images, guess=[0] * 30)
        yield store / "wandb"


LOGGED: Ids = [(epoch, f"new-{row:02}") for epoch in (1, 2) for row in range(30)]


def kills(template: Path, rounds: int, seed: int, source: str, old: Ids, new: Ids) -> None:
    """Kill imports of a source over the run `t` of copies of a store."""

    def prepare(number: int) -> tuple[Callable[..., None], tuple[Any, ...]]:
        store = Path(shutil.copytree(template, template.with_name(f"copy-{number}")))
        return bring, (source, "--run", "t", "--overwrite", "--store", str(store))

    def check(number: int, done: bool) -> str:
        store = template.with_name(f"copy-{number}")
        seen = readable(store, "t")
        assert seen in (old, new)
        assert seen == new or not done
        next_writer(store)
        assert readable(store, "t") == seen
        return "old" if seen == old else "new"

    seen = killed_at_random(rounds, seed, prepare, check)
    assert seen.total() == rounds
    assert seen["old"] > 0


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_killed_import_of_a_file_leaves_the_old_run_or_the_new(
    tmp_path: Path, files: Callable[[str], str], rounds: int
) -> None:
    bring(files("old"), "--run", "t", "--store", str(tmp_path / "store"))
    kills(tmp_path / "store", rounds, 3, files("new"), rows_of("old"), rows_of("new"))


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_killed_import_of_a_wandb_run_leaves_the_old_run_or_the_new(
    tmp_path: Path, logged: Path, files: Callable[[str], str], rounds: int
) -> None:
    bring(files("old"), "--run", "t", "--store", str(tmp_path / "store"))
    kills(tmp_path / "store", rounds, 4, str(logged), rows_of("old"), LOGGED)
