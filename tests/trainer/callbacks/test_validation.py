"""A pass over a data set becomes a table, whole or not at all; what fails is said, and stops nothing unless asked."""

import logging
import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from many_ranks import read, together

import secondguess as sg
from secondguess.analysis.errors import BadInput
from secondguess.analysis.moments import Moment
from secondguess.analysis.store.runs import find_run
from secondguess.trainer.callbacks.batches import Normalisation
from secondguess.trainer.callbacks.run import PredictionRun, Processes, moment_of
from secondguess.trainer.callbacks.validation import Examples, Validation

TABLE = "val_predictions"
SCORES = [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]


def opened(store: Path, *, strict: bool = False, **options: Any) -> PredictionRun:
    run = PredictionRun(store, "vit", strict, options)
    run.open(Processes())
    return run


def one_pass(run: PredictionRun, said: list[Mapping[str, Any]], epoch: int = 1, **examples: Any) -> Validation:
    """A pass whose rows are counted from 0, unless examples say otherwise."""
    sizes = [len(next(iter(batch.values()))) for batch in said]
    starts = np.cumsum([0, *sizes])
    places = iter([range(start, start + size) for start, size in zip(starts, sizes, strict=False)])
    at = Validation(run, TABLE, Moment(epoch), Examples(**{"batches": places, **examples}), Normalisation())
    at.begin()
    for batch in said:
        at.add(batch, lambda batch=batch: batch)  # type: ignore[misc]
    at.finish({"val_loss": 0.5, "note": "text", "epoch": 9}, step=10 * epoch)
    return at


def rows(store: Path, columns: str) -> list[tuple[Any, ...]]:
    return read(store, "vit", TABLE, columns)


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("done", "step", "expected"),
    [
        (1.0, 100, Moment(1)),
        (2.9999999999, 300, Moment(3)),
        (0.5, 50, Moment(1, 50)),
        (2.25, 225, Moment(3, 225)),
        (0.0, 0, Moment(1, 0)),
    ],
)
def test_when_a_validation_is(done: float, step: int, expected: Moment) -> None:
    assert str(moment_of(done, step)) == str(expected)


def test_a_pass_is_a_table_and_its_numbers_are_metrics(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = opened(tmp_path, classes=["cat", "dog"])
    one_pass(run, [{"scores": SCORES[:2], "truth": [0, -100]}, {"logits": [[0.0, 0.0]], "truth": [1]}])
    run.close(finished=True)
    assert rows(tmp_path, "id, guess, truth, confidence") == [
        ("0", "cat", "cat", 0.75),
        ("1", "dog", None, 0.75),
        ("2", "cat", "dog", 0.5),
    ]
    there = find_run(tmp_path, "vit")
    assert there.state == "finished"
    import pyarrow.parquet as pq

    assert [pq.read_table(path).to_pylist() for path in there.metrics] == [
        [{"run": "vit", "step": 10, "epoch": 1, "name": "val_loss", "value": 0.5}]
    ]
    assert warned(caplog) == [
        "run vit: ids are places in the data set, as it has no ids; compare it with runs on the same data set"
    ]


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        ({"ids": ["a", "b", "c"]}, ["a", "b", "c"]),
        ({"id_fn": lambda batch, places: [f"{place}!" for place in places]}, ["0!", "1!", "2!"]),
    ],
)
def test_ids_of_the_data_set_and_of_a_function(tmp_path: Path, examples: Any, expected: list[str]) -> None:
    run = opened(tmp_path)
    one_pass(run, [{"scores": SCORES[:2]}, {"scores": SCORES[2:]}], **examples)
    run.close(finished=True)
    assert [name for (name,) in rows(tmp_path, "id")] == expected


def test_ids_in_a_pandas_series_are_taken_by_place_whatever_its_index_says(tmp_path: Path) -> None:
    """As a part of a data frame has it: by its index the second row would be called c."""
    ids = pd.Series(["a", "b", "c"], index=[2, 0, 1])
    one_pass(opened(tmp_path), [{"scores": SCORES}], ids=ids)
    assert rows(tmp_path, "id") == [("a",), ("b",), ("c",)]


def test_the_label_that_stands_for_none_is_a_number_like_others_where_numbers_are_predicted(tmp_path: Path) -> None:
    run = PredictionRun(tmp_path, "vit", False, {}, task="regression")
    run.open(Processes())
    one_pass(run, [{"guess": [0.5, 1.5], "truth": [-100.0, 2.0]}])
    assert rows(tmp_path, "truth, guess") == [(-100.0, 0.5), (2.0, 1.5)]


def test_one_number_a_row_is_the_logit_of_the_second_of_two(tmp_path: Path) -> None:
    run = opened(tmp_path, classes=["no", "yes"])
    one_pass(run, [{"logits": np.array([[-2.0], [3.0]]), "truth": np.array([[0.0], [1.0]])}])
    run.close(finished=True)
    assert rows(tmp_path, "guess, truth") == [("no", "no"), ("yes", "yes")]


@pytest.mark.parametrize(("ids", "why"), [(["a", "b"], "ids has 2 values"), (["a", "b", "c", "d"], "ids has 4 values")])
def test_ids_of_another_number_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ids: list[str], why: str
) -> None:
    run = opened(tmp_path)
    one_pass(run, [{"scores": SCORES}], ids=ids)
    run.close(finished=True)
    assert find_run(tmp_path, "vit").tables == {} and why in warned(caplog)[0]


def test_a_disk_that_takes_no_more_costs_the_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the system says of a file that may not grow, it says of a full disk by another number."""
    run = opened(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
    try:
        one_pass(run, [{"scores": SCORES}], 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    one_pass(run, [{"scores": SCORES}], 2)
    run.close(finished=True)
    assert [moment.epoch for moment in find_run(tmp_path, "vit").tables[TABLE]] == [2]
    assert "vit/val_predictions@1 is not recorded, and training goes on" in warned(caplog)[0]
    assert "File too large" in warned(caplog)[0]


def test_rows_that_nothing_names_are_refused_in_words_and_the_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = opened(tmp_path)
    for epoch in (1, 2):
        one_pass(run, [{"scores": SCORES}], epoch, batches=None)
    one_pass(run, [{"scores": SCORES, "ids": ["x", "y", "z"]}], 3, batches=None)
    run.close(finished=True)
    assert [name for (name,) in rows(tmp_path, "id")] == ["x", "y", "z"]
    first, last = warned(caplog)
    assert first.startswith("vit/val_predictions@1 is not recorded, and training goes on: nothing says which examples")
    assert "shuffle=False" in first
    assert last.startswith(
        "run vit: not recorded: vit/val_predictions@1, vit/val_predictions@2; of vit/val_predictions@1"
    )


def broken() -> Mapping[str, Any]:
    raise ZeroDivisionError("the user's own function")


def test_the_first_failure_gives_up_a_table_and_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = opened(tmp_path)
    one_pass(run, [{"scores": SCORES, "truth": [0, 1, 1]}], 1)
    at = Validation(run, TABLE, Moment(2), Examples(batches=iter([range(3), range(3, 6)])), Normalisation())
    at.begin()
    at.add(None, lambda: {"scores": SCORES, "truth": [0, 1, 1]})
    at.add(None, broken)
    at.add(None, broken)
    at.finish()
    one_pass(run, [{"scores": SCORES, "truth": [0, 1, 7]}], 3)
    one_pass(run, [{"scores": SCORES, "truth": [0, 1, 1]}], 4)
    run.close(finished=True)
    assert [int(moment.epoch) for moment in find_run(tmp_path, "vit").tables[TABLE]] == [1, 4]
    said = [text for text in warned(caplog) if "ids are places" not in text]
    assert said[0] == (
        "vit/val_predictions@2 is not recorded, and training goes on: ZeroDivisionError: the user's own function"
    )
    assert "truth 7 in row 2" in said[1]
    assert "not recorded: vit/val_predictions@2, vit/val_predictions@3" in said[2]


class Labelled:
    """Six examples, and the labels of all of them."""

    targets = (0, 1, 1, 0, 0, 1)

    def __len__(self) -> int:
        return len(self.targets)


@pytest.mark.parametrize(
    ("truth", "how", "is_recorded"),
    [
        ([0, 1, 1, 0, 0, 1], {}, True),
        ([0.0, 1.0, 1.0, 0.0, 0.0, 1.0], {}, True),
        ([0, 1, 1, 0, 1, 0], {}, False),
        ([0, 1, 1, 0, 1, 0], {"id_fn": lambda batch, places: [f"n{place}" for place in places]}, True),
        ([1, 1, 0, 1, 1, 0], {}, True),  # other labels, as those of a transform are
    ],
    ids=["as-they-are", "floats", "sorted", "named", "others"],
)
def test_a_batch_that_was_sorted_is_not_told_by_places(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, truth: Any, how: Any, is_recorded: bool
) -> None:
    run = opened(tmp_path)
    halves = [{"scores": SCORES, "truth": np.array(half)} for half in (truth[:3], truth[3:])]
    one_pass(run, halves, dataset=Labelled(), **how)
    run.close(finished=True)
    assert (TABLE in find_run(tmp_path, "vit").tables) is is_recorded
    said = "batches have the data set's labels (targets) in another order than the sampler gives their rows"
    assert (said in caplog.text) is not is_recorded


def test_classes_are_named_by_a_dict_to_their_numbers_or_not_at_all(tmp_path: Path) -> None:
    for name, classes, expected in (("vit", {"dog": 1, "cat": 0}, "cat"), ("numbers", [], 0)):
        run = PredictionRun(tmp_path, name, False, {"classes": classes})
        run.open(Processes(), classes=["a", "b"])
        one_pass(run, [{"scores": SCORES}])
        run.close(finished=True)
        assert read(tmp_path, name, TABLE, "guess")[0] == (expected,)
    with pytest.raises(BadInput, match="classes must be a list of names, in the order of the scores, not str"):
        PredictionRun(tmp_path, "text", False, {"classes": "cat,dog"})


def test_a_label_that_stands_for_none_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, how in (("vit", {}), ("said", {"unlabelled": 255})):
        run = PredictionRun(tmp_path, name, False, how)
        run.open(Processes())
        one_pass(run, [{"scores": SCORES, "truth": [0, 255, 1]}])
        run.close(finished=True)
    assert "truth 255 in row 1 of the batch is outside the 2 classes" in warned(caplog)[0]
    assert "if it stands for no label, say so: unlabelled=255" in warned(caplog)[0]
    assert read(tmp_path, "said", TABLE, "truth") == [(0,), (None,), (1,)]


def test_strict_raises_it(tmp_path: Path) -> None:
    run = opened(tmp_path, strict=True)
    with pytest.raises(BadInput, match="nothing says which examples"):
        one_pass(run, [{"scores": SCORES}], batches=None)
    one_pass(run, [{"scores": SCORES}], 2)
    run.close(finished=True)
    assert [moment.epoch for moment in find_run(tmp_path, "vit").tables[TABLE]] == [2]


def test_a_run_that_is_there_costs_the_records_and_no_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sg.record(tmp_path, run="vit", guess=[1], ids=["a"])
    run = opened(tmp_path)
    one_pass(run, [{"scores": SCORES}])
    run.close(finished=True)
    first, last = warned(caplog)
    assert first.startswith("run vit is not recorded, and training goes on: run 'vit' exists already (finished)")
    assert last.startswith("run vit: not recorded: run vit; run 'vit' exists already")
    with pytest.raises(Exception, match="exists already"):
        opened(tmp_path, strict=True)


def test_a_store_that_cannot_be_written_costs_the_records(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    run = opened(tmp_path / "file")
    one_pass(run, [{"scores": SCORES}])
    run.close(finished=True)
    assert [text.split(":")[0] for text in warned(caplog)] == [
        "run vit is not recorded, and training goes on",
        "run vit",
    ]


def test_ctrl_c_is_no_failure_of_ours(tmp_path: Path) -> None:
    def interrupted() -> Mapping[str, Any]:
        raise KeyboardInterrupt

    run = opened(tmp_path)
    at = Validation(run, TABLE, Moment(1), Examples(batches=iter([range(3)])), Normalisation())
    at.begin()
    with pytest.raises(KeyboardInterrupt):
        at.add(None, interrupted)
    at.drop()
    run.close(finished=False)
    assert find_run(tmp_path, "vit").state == "interrupted"


def test_the_next_loop_goes_on_with_a_run_that_has_ended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = opened(tmp_path, overwrite=True)
    one_pass(run, [{"scores": SCORES}], 1)
    run.close(finished=True)
    run.open(Processes())
    one_pass(run, [{"scores": SCORES}], 1)  # evaluated again, as it was
    one_pass(run, [{"scores": SCORES[::-1]}], 2)
    run.close(finished=True)
    there = find_run(tmp_path, "vit")
    assert [str(moment) for moment in there.tables[TABLE]] == ["1", "2"]
    assert there.state == "finished" and there.lost() == [] and there.unnamed() == []
    assert [text for text in warned(caplog) if "ids are places" not in text] == [
        "vit/val_predictions@1 is recorded already, and stays as it is: another evaluation at the same point of the "
        "training, or a resumed training's, is left out; another data set needs a table of its own"
    ]


IMAGES = np.array([0, 51, 255], np.uint8)[:, None, None, None] * np.ones((1, 3, 2, 2), np.uint8)


def pictures(store: Path) -> list[tuple[Any, ...]]:
    import duckdb

    files = [str(path) for path in (store / "examples").glob("*.parquet")]
    return duckdb.sql(f"SELECT id, image.bytes IS NOT NULL FROM read_parquet({files}) ORDER BY id").fetchall()


def test_images_come_with_their_rows(tmp_path: Path) -> None:
    run = opened(tmp_path)
    one_pass(run, [{"scores": SCORES, "images": IMAGES}])
    run.close(finished=True)
    assert pictures(tmp_path) == [("0", True), ("1", True), ("2", True)]


@pytest.mark.parametrize("first", [True, False])
def test_images_that_cannot_be_known_cost_the_images_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first: bool
) -> None:
    strange = IMAGES[:1].astype(np.float32) - 2
    run = opened(tmp_path)
    one_pass(
        run,
        [
            {"scores": SCORES[:2], "images": IMAGES[:2] if first else np.concatenate([strange, strange])},
            {"scores": SCORES[2:], "images": strange},
        ],
    )
    run.close(finished=True)
    assert [name for (name,) in rows(tmp_path, "id")] == ["0", "1", "2"]
    assert (pictures(tmp_path) if first else []) == ([("0", True), ("1", True)] if first else [])
    said = [text for text in warned(caplog) if text.startswith("vit/val_predictions is recorded without images")]
    assert len(said) == 1 and "give mean= and std=" in said[0]


def agreed(count: int) -> Callable[[bool], bool]:
    """Whether all threads say yes, each of which asks."""
    import threading

    barrier, said = threading.Barrier(count), []

    def ask(ok: bool) -> bool:
        said.append(ok)
        barrier.wait(30)
        whole = all(said)
        if barrier.wait(30) == 0:
            said.clear()
        barrier.wait(30)
        return whole

    return ask


def test_ranks_record_their_parts_and_repeats_go(tmp_path: Path) -> None:
    agree = agreed(2)

    def rank(number: int) -> None:
        run = PredictionRun(tmp_path, "vit", True, {"session": "one", "patience_s": 30})
        run.open(Processes(number, 2, agree))
        places = [[0, 2, 4], [1, 3, 0]][number]  # five examples, as a sampler fills them up
        batch = {"scores": [[0.75, 0.25] if place % 2 else [0.25, 0.75] for place in places], "truth": [1] * 3}
        one_pass(run, [batch], batches=iter([places]))
        run.close(finished=True)

    assert together(2, rank) == {0: None, 1: None}
    assert rows(tmp_path, "id, guess") == [("0", 1), ("1", 0), ("2", 1), ("3", 0), ("4", 1)]


def test_where_one_rank_fails_none_waits_for_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    agree = agreed(2)

    def rank(number: int) -> None:
        run = PredictionRun(tmp_path, "vit", False, {"session": "one", "patience_s": 30})
        run.open(Processes(number, 2, agree))
        for epoch in (1, 2):
            batch = {"scores": SCORES[:1], "truth": [7 if number and epoch == 1 else 0]}
            one_pass(run, [batch], epoch, batches=iter([[number]]))
        run.close(finished=True)

    assert together(2, rank) == {0: None, 1: None}
    assert [moment.epoch for moment in find_run(tmp_path, "vit").tables[TABLE]] == [2]
    said = warned(caplog)
    assert any("another process could not record its part" in text for text in said)
    assert any("truth 7 in row 0" in text for text in said)


def test_what_the_first_rank_cannot_bring_together_is_said_by_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agree = agreed(2)

    def rank(number: int) -> None:
        run = PredictionRun(tmp_path, "vit", False, {"session": "one", "patience_s": 30})
        run.open(Processes(number, 2, agree))
        one_pass(run, [{"scores": SCORES[:1], **({"truth": [0]} if number else {})}], batches=iter([[number]]))
        run.close(finished=True)

    assert together(2, rank) == {0: None, 1: None}
    assert find_run(tmp_path, "vit").tables == {}
    assert len([text for text in warned(caplog) if "rank 1 has the columns" in text]) >= 2


@pytest.mark.parametrize("strict", [True, False])
def test_a_rank_that_cannot_open_the_run_keeps_none_waiting(tmp_path: Path, strict: bool) -> None:
    agree = agreed(2)

    def rank(number: int) -> None:
        options = {"session": "one", "patience_s": 30, **({"wandb": "never"} if not number else {})}
        run = PredictionRun(tmp_path, "vit", strict, options)
        run.open(Processes(number, 2, agree))
        assert not run.is_open
        run.close(finished=True)

    assert {error is not None for error in together(2, rank).values()} == {strict}
    assert not (tmp_path / "vit").exists()


def test_options_are_the_recorders(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="ovrwrite is no option; the Recorder's are config, classes, wandb"):
        PredictionRun(tmp_path, "vit", False, {"ovrwrite": True})
