"""Of many classes a row shows the ones with the highest scores, by the names of the record."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from page import Server, serving, table_url

from secondguess.trainer.recorder import Recorder

pytest_plugins = ["page"]

CLASSES = [f"class {number}" for number in range(20)]
# Of each row the scores that are not 0.
SCORES = {
    "a": {3: 0.5, 7: 0.25, 19: 0.125, 0: 0.0625, 1: 0.03125, 2: 0.03125},
    "b": {19: 1.0},
    "c": {2: 0.5, 1: 0.5},
}


def scores(rows: list[dict[int, float]]) -> np.ndarray[Any, Any]:
    made = np.zeros((len(rows), 20), np.float32)
    for row, entries in enumerate(rows):
        made[row, list(entries)] = list(entries.values())
    return made


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A page of two runs of twenty classes; the second has the rows in another order, and lacks one."""
    store = tmp_path_factory.mktemp("many") / "predictions"
    for run, ids in (("one", "abc"), ("two", "ca")):
        with (
            Recorder(store, run=run, classes=CLASSES, wandb="off") as recorder,
            recorder.table("test_predictions", epoch=1) as rows,
        ):
            truth = [CLASSES[{"a": 7, "b": 19, "c": 0}[name]] for name in ids]
            rows.add(ids=list(ids), truth=truth, scores=scores([SCORES[name] for name in ids]))
    with serving(store, tmp_path_factory.mktemp("log") / "stderr") as server:
        yield server


def best(server: Server, *tables: str, name: str = "best scores", **more: str) -> dict[str, list[tuple[str, float]]]:
    rows = server.ask(table_url(*tables, path="/table.json", **more)).data["panels"][0]["rows"]
    return {row["id"]: [(each["class"], each["score"]) for each in row[name]] for row in rows}


A = [("class 3", 0.5), ("class 7", 0.25), ("class 19", 0.125), ("class 0", 0.0625)]


def test_the_best_scores_stand_in_one_column(many: Server) -> None:
    told = best(many, "one@1")
    assert told["a"] == A
    assert told["b"][0] == ("class 19", 1.0)
    assert told["c"][:2] == [("class 1", 0.5), ("class 2", 0.5)]
    assert list(best(many, "one@1", sort="-id", limit="1")) == ["c"]
    assert list(best(many, "one@1", where="confidence < 0.6 -- not sure", offset="1", limit="1")) == ["c"]


def test_of_a_join_each_side_has_its_own(many: Server) -> None:
    told = best(many, "one@1", "two@1", name="best scores_b", join="outer")
    assert (told["a"], told["b"]) == (A, [])
    assert best(many, "one@1", "two@1", name="best scores_a", join="outer")["b"][0] == ("class 19", 1.0)


def test_the_page_names_them_and_marks_the_truth(many: Server) -> None:
    text = many.ask(table_url("one@1")).text
    assert '<span class="truth" title="class 7">' in text
    assert text.count('class="truth" title=') == 3  # of c it is the third, of a score of 0
    assert 'value="best scores"' not in text  # no column to choose: it is computed of the page's rows
    assert "best scores" not in many.ask(table_url("one@1", columns="id,guess")).text
    assert "best scores" not in many.ask(table_url("one@1", group="guess")).text
