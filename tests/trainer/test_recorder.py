"""Recording the predictions of anybody's training loop: what is kept, and what is refused with nothing lost."""

import hashlib
import io
import json
import math
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from stores import names, plain, read_record, record
from tensors import NEEDS_TORCH, with_torch
from waiting import HANG_S

import secondguess as sg
from secondguess.analysis.cli import main
from secondguess.analysis.content import number_digests, pixel_digests, text_digests
from secondguess.analysis.errors import AlreadyThere, BadInput, Damaged, SecondguessError
from secondguess.analysis.store.runs import find_epoch, find_run, list_runs
from secondguess.trainer.recorder import Recorder
from secondguess.trainer.recording.table import TableRecorder

TABLE = "test_predictions"
SCORES = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


@pytest.fixture
def recorder(store: Path) -> Iterator[Recorder]:
    """A run of two classes without names."""
    with Recorder(store, run="cnn") as recorder:
        yield recorder


def add(recorder: Recorder, number: int = 1, **batch: Any) -> None:
    with recorder.table(TABLE, epoch=number) as table:
        table.add(**batch)


def read(store: Path, columns: str = "*", number: int = 1) -> list[tuple[Any, ...]]:
    """The rows of one epoch, in the order of the file."""
    file = find_epoch(store, "cnn", TABLE, number).file
    return duckdb.sql(f"SELECT {columns} FROM read_parquet('{file}') WHERE epoch = {number}").fetchall()


def images(*levels: int) -> np.ndarray:
    return np.array(levels, np.uint8)[:, None, None] * np.ones((1, 6, 5), np.uint8)


# What is kept


def test_the_columns_of_the_tutorial_are_real_columns(store: Path, recorder: Recorder) -> None:
    add(recorder, ids=["a", "b", "c"], truth=[0, 0, 1], scores=SCORES, note=["x", None, "z"])
    f32 = np.float32
    assert read(store) == [
        ("cnn", 1, "a", 0, 0, f32(0.9), f32(0.9), f32(0.9), f32(0.1), "x"),
        ("cnn", 1, "b", 1, 0, f32(0.8), f32(0.2), f32(0.2), f32(0.8), None),
        ("cnn", 1, "c", 0, 1, f32(0.5), f32(0.5), f32(0.5), f32(0.5), "z"),
    ]
    file = find_epoch(store, "cnn", TABLE, 1).file
    described = duckdb.sql(f"DESCRIBE FROM read_parquet('{file}')").project("column_name, column_type").fetchall()
    assert described == [
        *(("run", "VARCHAR"), ("epoch", "INTEGER"), ("id", "VARCHAR"), ("guess", "BIGINT"), ("truth", "BIGINT")),
        *(("confidence", "FLOAT"), ("truth_score", "FLOAT"), ("score_0", "FLOAT"), ("score_1", "FLOAT")),
        ("note", "VARCHAR"),
    ]


CLASSES = ["cat", "dog"]


@pytest.mark.parametrize(
    "batch",
    [
        {"truth": [0, None], "scores": SCORES[:2]},
        {"truth": [0, 1], "scores": np.array(SCORES[:2]), "guess": ["cat", "dog"]},
        with_torch(lambda torch: {"truth": ["cat", None], "scores": torch.tensor(SCORES[:2])}),
        with_torch(lambda torch: {"truth": torch.tensor([0, 1]), "scores": SCORES[:2], "guess": ["cat", "dog"]}),
        {"truth": np.array(["cat", "dog"]), "guess": [0, 1]},
    ],
)
def test_with_class_names_guess_and_truth_are_names(store: Path, batch: dict[str, Any]) -> None:
    record(store, "cnn", [[{"ids": ["a", "b"], **batch}]], classes=CLASSES)
    epoch = find_epoch(store, "cnn", TABLE, 1)
    assert epoch.classes == ("cat", "dog")
    assert read(store, "guess") == [("cat",), ("dog",)]
    assert read(store, "truth")[0] == ("cat",)
    assert epoch.errors == 0


PIXELS = pixel_digests(images(1, 2, 1)[..., None])
KNOWN_BY = {
    "ids": ({"ids": ["a", "b", "c"]}, ["a", "b", "c"]),
    "ids and images": ({"ids": [7, 8, 9], "images": images(1, 2, 1)}, ["7", "8", "9"]),
    "images": ({"images": images(1, 2, 1)}, [PIXELS[0], PIXELS[1], f"{PIXELS[0]}-2"]),
    "texts": ({"content": ["x", "y", "x"]}, [*text_digests(["x", "y"]), f"{text_digests(['x'])[0]}-2"]),
    "numbers": ({"content": [[1], [2], [3]]}, number_digests(np.array([[1.0], [2.0], [3.0]]))),
    "ids and texts": ({"ids": ["a", "b", "c"], "content": ["x", "y", "x"]}, ["a", "b", "c"]),
}


@pytest.mark.parametrize(("known", "ids"), KNOWN_BY.values(), ids=list(KNOWN_BY))
@pytest.mark.parametrize("said", [{"scores": SCORES}, {"guess": [0, 1, 0]}, {"scores": SCORES, "guess": [1, 1, 1]}])
@pytest.mark.parametrize("truth", [{}, {"truth": [0, 1, None]}], ids=["without truth", "with truth"])
def test_a_row_is_known_by_its_id_or_by_what_it_is(
    store: Path, known: dict[str, Any], ids: list[str], said: dict[str, Any], truth: dict[str, Any]
) -> None:
    record(store, "cnn", [[known | said | truth]])
    assert [name for (name,) in read(store, "id")] == ids
    epoch = find_epoch(store, "cnn", TABLE, 1)
    assert epoch.unique
    assert (epoch.examples is None) == ("images" not in known and "content" not in known)
    assert (epoch.errors is None) == (truth == {})


def test_repeated_content_is_counted_over_the_batches_of_an_epoch(store: Path, recorder: Recorder) -> None:
    with recorder.table(TABLE, epoch=1) as table:
        for _ in range(3):
            table.add(content=["x"], guess=[0])
    (digest,) = text_digests(["x"])
    assert read(store, "id") == [(digest,), (f"{digest}-2",), (f"{digest}-3",)]


def test_nan_scores_of_a_diverged_model_are_kept_and_counted(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = [[math.nan, math.nan], [0.2, 0.8], [math.nan, 1.0]]
    record(store, "cnn", [[{"ids": ["a", "b", "c"], "truth": [0, 0, 1], "scores": scores}]])
    found = read(store, "id, guess, confidence, truth_score, isnan(score_0), isnan(score_1)")
    f32 = np.float32
    assert found == [
        ("a", None, None, None, True, True),
        ("b", 1, f32(0.8), f32(0.2), False, False),
        ("c", None, None, 1.0, True, False),
    ]
    epoch = find_epoch(store, "cnn", TABLE, 1)
    assert (epoch.nan_scores, epoch.errors) == (2, 3)
    main(["ask", "errors", "cnn@1", "--store", str(store), "--format", "json"])
    out, err = capsys.readouterr()
    assert [row["id"] for row in json.loads(out)] == ["b", "a", "c"]
    assert "cnn/test_predictions@1: 2 of 3 rows have NaN scores" in err


def test_a_row_without_truth_is_unlabelled_no_error_and_counted_apart(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(store, "cnn", [[{"ids": ["a", "b", "c"], "truth": [None, 0, 1], "scores": SCORES}]])
    epoch = find_epoch(store, "cnn", TABLE, 1)
    assert (epoch.rows, epoch.errors, epoch.unlabelled) == (3, 2, 1)
    main(["ask", "errors", "cnn@1", "--store", str(store), "--format", "json"])
    out, err = capsys.readouterr()
    assert [row["id"] for row in json.loads(out)] == ["b", "c"]
    assert "1 of 3 rows" in err
    assert "unlabelled" in err


@pytest.mark.parametrize("batch", [{}, {"truth": [None, None, None]}], ids=["left out", "all None"])
def test_a_table_without_any_truth_has_no_errors_and_no_best(store: Path, batch: dict[str, Any]) -> None:
    record(store, "cnn", [[{"ids": ["a", "b", "c"], "scores": SCORES, **batch}]])
    assert find_epoch(store, "cnn", TABLE, 1).errors is None
    open_store = sg.connect(store)
    for asked in (lambda: open_store.ask("errors", "cnn"), lambda: open_store.sql('FROM "cnn@best"')):
        with pytest.raises(BadInput, match="has no truth"):
            asked()


def test_labels_that_are_all_missing_take_the_type_of_the_others(store: Path, recorder: Recorder) -> None:
    add(recorder, 1, ids=["a"], guess=["cat"], truth=[None])
    add(recorder, 2, ids=["a"], guess=[None], truth=[None])
    add(recorder, 3, ids=["a"], guess=["cat"], truth=["dog"])
    with recorder.table(TABLE, epoch=4) as table:
        table.add(ids=["a"], guess=["cat"], truth=[None])
        table.add(ids=["b"], guess=[None], truth=["dog"])
    kinds = {
        dict(epoch.columns)[name]
        for epoch in recorder._writer.committed()[TABLE].values()
        for name in ("guess", "truth")
    }
    assert kinds == {"string"}
    assert read(store, "guess, truth", 4) == [("cat", None), (None, "dog")]


def test_a_guess_that_is_missing_is_an_error_where_there_is_a_truth(store: Path) -> None:
    record(store, "cnn", [[{"ids": ["a", "b"], "guess": [None, 1], "truth": [1, 1]}]])
    assert find_epoch(store, "cnn", TABLE, 1).errors == 1


def test_infinite_scores_are_kept(store: Path) -> None:
    record(store, "cnn", [[{"ids": ["a"], "scores": [[math.inf, 0.5]]}]])
    assert read(store, "guess, confidence") == [(0, math.inf)]


def test_bfloat16_tensors_that_need_a_gradient_are_read(store: Path) -> None:
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    scores = torch.tensor([[0.25, 0.75]]).bfloat16().requires_grad_()
    record(store, "cnn", [[{"ids": torch.tensor([3]), "truth": torch.tensor([1]), "scores": scores}]])
    assert read(store, "id, guess, truth, score_1") == [("3", 1, 1, 0.75)]


def test_columns_of_ones_own_are_kept_whatever_their_names_and_types(store: Path) -> None:
    own: dict[str, Any] = {
        'a "quoted" name': [1, 2],
        "with space": [0.5, None],
        "🙂": ["x", "y"],
        "select": [True, False],
        "score_total": [1, 2],
        "logits": np.array([[1.0, -2.0], [3.0, 4.0]]),
        "kind": pd.Categorical(["u", "v"]),
        "rowid": ["r", "s"],
        "filename": ["f", "g"],
        "at": pd.to_datetime(["2020-01-01", None]),
    }
    record(store, "cnn", [[{"ids": ["a", "b"], "guess": [0, 1], **own}]] * 2)
    found = sg.connect(store).sql('FROM "cnn@2" ORDER BY id')
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    assert [row['a "quoted" name'] for row in rows] == [1, 2]
    assert [row["🙂"] for row in rows] == ["x", "y"]
    assert [row["logits"] for row in rows] == [[1.0, -2.0], [3.0, 4.0]]
    assert [(row["kind"], row["rowid"], row["filename"], row["select"]) for row in rows] == [
        ("u", "r", "f", True),
        ("v", "s", "g", False),
    ]
    assert [row["score_total"] for row in rows] == [1, 2]


def test_a_column_without_any_value_waits_for_one(store: Path, recorder: Recorder) -> None:
    """It has no type yet; stored as text or number it could not be read together with what comes."""
    add(recorder, 1, ids=["a"], guess=[0], note=[None])
    add(recorder, 2, ids=["a"], guess=[0], note=[5])
    found = sg.connect(store).sql(f"SELECT epoch, note FROM {TABLE} ORDER BY epoch")
    assert (found.fetchall(), found.types[1]) == ([(1, None), (2, 5)], "BIGINT")


def test_batches_are_stacked_in_the_order_they_came(store: Path, recorder: Recorder) -> None:
    with recorder.table(TABLE, epoch=1) as table:
        table.add(ids=["c"], guess=[1], x=[1], y=["p"])
        table.add(ids=[], guess=[], x=[], y=[])
        table.add(guess=[2, 3], ids=["a", "b"], y=["q", None], x=[None, 2.5])
    assert read(store, "id, guess, x, y") == [("c", 1, 1.0, "p"), ("a", 2, None, "q"), ("b", 3, 2.5, None)]


def test_later_epochs_come_in_the_first_ones_order_when_the_ids_are_the_same(store: Path, recorder: Recorder) -> None:
    add(recorder, 1, ids=["c", "a", "b"], guess=[3, 1, 2])
    add(recorder, 2, ids=["a", "b", "c"], guess=[1, 2, 3])
    add(recorder, 3, ids=["a", "b", "d"], guess=[1, 2, 4])
    add(recorder, 4, ids=["b", "c"], guess=[2, 3])
    assert read(store, "id, guess", 2) == [("c", 3), ("a", 1), ("b", 2)]
    assert [name for (name,) in read(store, "id", 3)] == ["a", "b", "d"]
    assert [name for (name,) in read(store, "id", 4)] == ["b", "c"]
    epochs = recorder._writer.committed()[TABLE]
    assert epochs[1].ids == epochs[2].ids != epochs[3].ids


def test_a_resumed_run_keeps_the_order_of_its_first_epoch(store: Path) -> None:
    recorder = Recorder(store, run="cnn")
    add(recorder, 1, ids=["c", "a", "b"], guess=[3, 1, 2])
    recorder.close(finished=False)
    with Recorder(store, run="cnn", resume=True) as recorder:
        add(recorder, 2, ids=["a", "b", "c"], guess=[1, 2, 3])
    assert [name for (name,) in read(store, "id", 2)] == ["c", "a", "b"]


# What everyday loops hand over

GREY = images(5)[0]


def test_the_first_row_of_an_id_is_kept_where_a_sampler_repeats_some(
    store: Path, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes of a padded sampler: b comes again with the same guess, a with another one, each with an image."""
    pictures = [GREY, GREY + 1, GREY + 2]
    with recorder.table(TABLE, epoch=1, duplicates="first") as table:
        table.add(ids=["a", "b", "b"], images=pictures, guess=[0, 1, 1], truth=[0, 0, 0])
        table.add(ids=["c", "a"], images=pictures[:2], guess=[1, 1], truth=[1, 0])
        table.add(ids=["a"], images=pictures[:1], guess=[0], truth=[0])
    assert read(store, "id, guess") == [("a", 0), ("b", 1), ("c", 1)]
    examples = find_epoch(store, "cnn", TABLE, 1).examples
    assert duckdb.sql(f"SELECT id FROM '{examples}' ORDER BY id").fetchall() == [("a",), ("b",), ("c",)]
    assert (
        "cnn/test_predictions@1: 3 rows of ids that were there already are left out, 1 of them with another guess"
    ) in caplog.text


def test_repeated_ids_are_refused_unless_they_are_asked_for(recorder: Recorder) -> None:
    with pytest.raises(BadInput, match=r"duplicates is 'last'; it is 'refuse', or 'first'"):
        recorder.table(TABLE, epoch=1, duplicates="last")


@pytest.mark.parametrize("none", [-100, [-100], (-100, 255)])
def test_a_label_may_stand_for_none(store: Path, recorder: Recorder, none: Any) -> None:
    with recorder.table(TABLE, epoch=1, unlabelled=none) as table:
        table.add(ids=["a", "b"], scores=SCORES[:2], truth=[-100, 0])
    epoch = find_epoch(store, "cnn", TABLE, 1)
    assert (epoch.unlabelled, epoch.errors) == (1, 1)
    assert read(store, "truth") == [(None,), (0,)]


def test_one_sigmoid_output_is_a_model_of_two_classes(store: Path, recorder: Recorder) -> None:
    add(recorder, ids=["a", "b"], scores=np.array([[0.25], [0.75]]), truth=[[0], [0]])
    assert read(store, "guess, truth, score_0, score_1") == [(0, 0, 0.75, 0.25), (1, 0, 0.25, 0.75)]


def test_only_the_confidence_of_the_guess_may_be_known(store: Path, recorder: Recorder) -> None:
    add(recorder, ids=["a", "b"], guess=["x", "y"], truth=["y", "y"], confidence=[0.75, math.nan])
    assert read(store, "guess, confidence") == [("x", 0.75), ("y", None)]
    with recorder.table(TABLE, epoch=2) as table:
        for wrong in ({"scores": SCORES[:1]}, {"guess": [1], "scores": SCORES[:1]}):
            with pytest.raises(BadInput, match="confidence is given beside a guess without"):
                table.add(ids=["c"], confidence=[0.5], **wrong)
        with pytest.raises(BadInput, match=r"score 1\.5 in row 0"):
            table.add(ids=["c"], guess=["x"], confidence=[1.5])
        table.add(ids=["c"], guess=["x"], confidence=[0.5], truth=["x"])


def test_a_loop_that_counts_from_0_is_shifted_and_told_once(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Recorder(store, run="cnn", first_epoch=0) as recorder:
        for number in (0, 1):
            recorder.log(epoch=number, loss=0.5)
            add(recorder, number, ids=["a"], guess=[number])
        assert recorder.last_epoch == 2
    assert [read(store, "epoch, guess", number) for number in (1, 2)] == [[(1, 0)], [(2, 1)]]
    assert plain(store / "cnn" / "metrics" / "*.parquet", "epoch, value") == [(1, 0.5), (2, 0.5)]
    assert caplog.text.count("what the loop calls epoch 0 is epoch 1 here") == 1


def test_epoch_0_is_refused_with_the_way_to_record_it(recorder: Recorder) -> None:
    with pytest.raises(BadInput, match=r"for a loop that counts from 0, Recorder\(…, first_epoch=0\)"):
        recorder.table(TABLE, epoch=0)


def test_paths_are_ids_and_images(tmp_path: Path, store: Path, recorder: Recorder) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    paths = [tmp_path / "a.png", tmp_path / "gone.png"]
    add(recorder, ids=paths, images=paths, guess=[0, 1])
    assert read(store, "id") == [(str(path),) for path in paths]
    examples = find_epoch(store, "cnn", TABLE, 1).examples
    assert duckdb.sql(f"SELECT id, image.bytes FROM '{examples}'").fetchall() == [
        (str(paths[0]), paths[0].read_bytes())
    ]


def test_an_image_that_is_missing_costs_its_row_nothing_else(store: Path, recorder: Recorder) -> None:
    add(recorder, ids=["a", "b"], images=[GREY, None], guess=[0, 1])
    assert read(store, "id") == [("a",), ("b",)]
    with recorder.table(TABLE, epoch=2) as table:
        with pytest.raises(BadInput, match="nothing says which example a row is about"):
            table.add(images=[GREY, None], guess=[0, 1])
        table.add(ids=["a"], guess=[0], images=[GREY])


def test_a_loss_that_still_needs_a_gradient_is_a_number(recorder: Recorder) -> None:
    """Torch warns of `float` of one, and warnings are errors here."""
    torch = pytest.importorskip("torch")
    recorder.log(loss=torch.tensor(0.5, requires_grad=True), other=torch.tensor([0.25]))
    recorder.table(TABLE, epoch=1, loss=torch.tensor(0.5, requires_grad=True) * 2)


# Images


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


FORMS: dict[str, Any] = {
    "array": images(5, 5),
    "with channel": images(5, 5)[..., None],
    "channel first": images(5, 5)[:, None],
    "RGB": np.stack([images(5, 5)] * 3, axis=-1),
    "floats": images(5, 5) / 255,
    "list of arrays": [GREY, GREY],
    "PIL": [Image.fromarray(GREY)] * 2,
    "bytes": [png(Image.fromarray(GREY))] * 2,
    "mixed": [png(Image.fromarray(GREY)), GREY],
    "a shuffled series": pd.Series([GREY, GREY], index=[1, 0]),
    "an object array": np.array([Image.fromarray(GREY), None], object),
}
FORMS["an object array"][1] = Image.fromarray(GREY)


TENSORS = [
    with_torch(lambda torch: torch.from_numpy(images(5, 5)), id="tensor"),
    with_torch(lambda torch: torch.from_numpy(images(5, 5) / 255).float()[:, None], id="float tensor"),
    with_torch(lambda torch: [png(Image.fromarray(GREY)), torch.from_numpy(GREY)], id="mixed with a tensor"),
]


@pytest.mark.parametrize("form", [*(pytest.param(form, id=name) for name, form in FORMS.items()), *TENSORS])
def test_an_image_is_the_same_example_whatever_its_form(store: Path, form: Any) -> None:
    record(store, "cnn", [[{"images": form, "guess": [0, 1]}]])
    (digest,) = pixel_digests(images(5)[..., None])
    assert read(store, "id") == [(digest,), (f"{digest}-2",)]
    (file,) = (store / "examples").iterdir()
    (held, _) = plain(file, "image.bytes")
    assert np.asarray(Image.open(io.BytesIO(held[0])).convert("L")).tolist() == GREY.tolist()


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_encoded_bytes_are_kept_as_they_are(store: Path, kind: type) -> None:
    out = io.BytesIO()
    Image.fromarray(GREY).save(out, "JPEG", quality=50)
    record(store, "cnn", [[{"ids": ["a"], "images": [kind(out.getvalue())], "guess": [0]}]])
    (file,) = (store / "examples").iterdir()
    assert plain(file, "image.bytes") == [(out.getvalue(),)]


def test_a_shuffled_series_keeps_each_image_with_its_row(store: Path) -> None:
    """Rows are counted; the labels of an index are not positions."""
    levels = [7, 8, 9]
    held = pd.Series(list(images(*levels)), index=[2, 0, 1])
    texts = pd.Series(["x", "y", "z"], index=[2, 0, 1])
    with Recorder(store, run="cnn") as recorder:
        add(recorder, ids=["a", "b", "c"], images=held, guess=[0, 0, 0])
        with recorder.table("texts", epoch=1) as table:
            table.add(ids=["a", "b", "c"], content=texts, guess=[0, 0, 0])
    (file,) = (store / "examples").glob("test*")
    found = {name: Image.open(io.BytesIO(data)).getpixel((0, 0)) for name, data in plain(file, "id, image.bytes")}
    assert found == dict(zip("abc", levels, strict=True))
    (file,) = (store / "examples").glob("texts*")
    assert plain(file, "id, content") == [("a", "x"), ("b", "y"), ("c", "z")]


def without_its_chunk() -> bytes:
    """A PNG with a chunk of no kind that there is: Pillow calls that a SyntaxError."""
    return png(Image.fromarray(GREY)).replace(b"IDAT", b"\x00DAT")


@pytest.mark.parametrize(
    "file",
    [without_its_chunk(), png(Image.fromarray(GREY))[:40], b"\x89PNG\r\n\x1a\n", b"no image", b""],
    ids=["a chunk", "cut", "a header", "no image", "nothing"],
)
def test_an_image_that_cannot_be_decoded_costs_its_row_nothing_else(
    store: Path, recorder: Recorder, caplog: pytest.LogCaptureFixture, file: bytes
) -> None:
    good = [png(Image.fromarray(level)) for level in images(10, 20)]
    add(recorder, ids=["a", "b", "c"], images=[good[0], file, good[1]], guess=[0, 1, 0], truth=[0, 0, 0])
    assert read(store, "id, guess") == [("a", 0), ("b", 1), ("c", 0)]
    examples = find_epoch(store, "cnn", TABLE, 1).examples
    assert duckdb.sql(f"SELECT id, truth, image.bytes FROM '{examples}' ORDER BY id").fetchall() == [
        ("a", 0, good[0]),
        ("c", 0, good[1]),
    ]
    assert "cnn/test_predictions@1: 1 of 3 rows have no image: an image" in caplog.text


def test_an_image_that_waits_in_a_broken_file_costs_its_row_nothing_else(
    tmp_path: Path, store: Path, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cut.png").write_bytes(png(Image.effect_noise((40, 40), 90))[:-400])
    with Image.open(tmp_path / "cut.png") as waiting:
        add(recorder, images=[Image.fromarray(GREY), waiting], guess=[0, 1], truth=[0, 0])
    assert len(set(read(store, "id"))) == 2
    assert "1 of 2 rows have no image" in caplog.text


def test_rows_without_any_image_that_can_be_decoded_are_kept(store: Path, recorder: Recorder) -> None:
    add(recorder, images=[b"one", b"two", b"one"], guess=[0, 1, 1], truth=[0, 0, 1])
    one = hashlib.sha256(b"one").hexdigest()
    assert read(store, "id, guess") == [(one, 0), (hashlib.sha256(b"two").hexdigest(), 1), (f"{one}-2", 1)]


def test_normalised_images_are_refused_with_the_reason(recorder: Recorder) -> None:
    with pytest.raises(BadInput, match="if they were normalised, their pixels are lost"):
        add(recorder, images=(images(5, 200) / 255 - 0.13) / 0.31, guess=[0, 1])


# What is refused, with nothing lost

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing said": ({"ids": ["b"]}, "neither scores nor guess"),
    "about nothing": ({"guess": [1]}, "neither ids nor images nor content"),
    "images and content": ({"images": images(1), "content": ["x"], "guess": [1]}, "both images and content"),
    "fewer ids": ({"ids": ["b"], "guess": [1, 2]}, "ids has 1 values; the batch has 2 rows"),
    "fewer truths": ({"ids": ["b", "c"], "guess": [1, 1], "truth": [1]}, "truth has 1 values; the batch has 2 rows"),
    "fewer guesses": ({"ids": ["b", "c"], "guess": [1], "scores": SCORES[:2]}, "guess has 1 values"),
    "more images": ({"ids": ["b"], "images": images(1, 2), "guess": [1]}, "images has 2 values"),
    "more content": ({"ids": ["b"], "content": ["x", "y"], "guess": [1]}, "content has 2 values"),
    "more of a column": ({"ids": ["b"], "guess": [1], "note": [1, 2]}, "column 'note' has 2 values"),
    "logits": ({"ids": ["b"], "scores": [[3.0, -1.0]]}, "is not a probability; give softmax or sigmoid outputs"),
    "truth outside": ({"ids": ["b"], "truth": [2], "scores": SCORES[:1]}, "truth 2 in row 0 .* outside the 2 classes"),
    "guess outside": ({"ids": ["b"], "guess": [-1], "scores": SCORES[:1]}, "guess -1 in row 0"),
    "truth in words": (
        {"ids": ["b"], "truth": ["dog"], "scores": SCORES[:1]},
        "or the Recorder the classes",
    ),
    "unlike labels": ({"ids": ["b"], "truth": ["dog"], "guess": [1]}, "one text and one numbers"),
    "an id twice": ({"ids": ["b", "b"], "guess": [1, 1]}, "id 'b' is there twice in 'test_predictions' of epoch 1"),
    "a reserved column": ({"ids": ["b"], "guess": [1], "epoch": [1]}, "column 'epoch' cannot be added"),
    "a nameless id": ({"ids": [None], "guess": [1]}, "is neither text nor an integer"),
    "content of columns": (
        {"content": pd.DataFrame({"q": ["x"], "a": ["y"]}), "guess": [1]},
        "content has 2 columns, some",
    ),
    "mixed content": ({"content": ["x", 1], "guess": [1, 1]}, "content must be texts, or numbers"),
    "ragged content": ({"content": [[1], [1, 2]], "guess": [1, 1]}, "content must be texts, or numbers"),
}


@pytest.mark.parametrize(("batch", "message"), REFUSED.values(), ids=list(REFUSED))
def test_a_refused_batch_leaves_the_epoch_as_it_was(
    store: Path, recorder: Recorder, batch: dict[str, Any], message: str
) -> None:
    with recorder.table(TABLE, epoch=1) as table:
        with pytest.raises(BadInput, match=message):
            table.add(**batch)
        table.add(ids=["a"], guess=[0])
    assert read(store, "id, guess") == [("a", 0)]
    assert not (store / "examples").exists()


AFTER_ONE: dict[str, tuple[dict[str, Any], str]] = {
    "an id of before": ({"ids": ["a"], "guess": [1], "x": [1]}, "id 'a' is there twice"),
    "a column less": ({"ids": ["b"], "guess": [1]}, "this batch has the columns"),
    "a column more": ({"ids": ["b"], "guess": [1], "x": [1], "y": [1]}, "this batch has the columns"),
    "scores": ({"ids": ["b"], "scores": SCORES[:1], "x": [1]}, "this batch has the columns"),
    "text for numbers": (
        {"ids": ["b"], "guess": [1], "x": ["one"]},
        "changed its type .*int64 vs string",
    ),
    "text for a guess": ({"ids": ["b"], "guess": ["one"], "x": [1]}, "changed its type between batches"),
    "images": (
        {"ids": ["b"], "guess": [1], "x": [1], "images": images(1)},
        "every batch of a table has content of one kind",
    ),
}


@pytest.mark.parametrize(("batch", "message"), AFTER_ONE.values(), ids=list(AFTER_ONE))
def test_a_batch_unlike_the_first_is_refused_and_the_others_are_kept(
    store: Path, recorder: Recorder, batch: dict[str, Any], message: str
) -> None:
    with recorder.table(TABLE, epoch=1) as table:
        table.add(ids=["a"], guess=[0], x=[1])
        with pytest.raises(BadInput, match=message):
            table.add(**batch)
        table.add(ids=["b"], guess=[1], x=[2])
    assert read(store, "id, x") == [("a", 1), ("b", 2)]


def test_text_is_no_other_content_than_numbers(recorder: Recorder) -> None:
    with recorder.table(TABLE, epoch=1) as table:
        table.add(content=["x"], guess=[0])
        with pytest.raises(BadInput, match="this has numbers, the first text"):
            table.add(content=[[1.0]], guess=[0])


def test_a_block_that_raises_commits_nothing_and_the_epoch_can_be_recorded_again(
    store: Path, recorder: Recorder
) -> None:
    add(recorder, 1, ids=["a"], images=images(1), guess=[0])
    with pytest.raises(ZeroDivisionError), recorder.table(TABLE, epoch=2) as table:
        table.add(ids=["a", "b"], images=images(1, 2), guess=[0, 0])
        raise ZeroDivisionError
    assert list(recorder._writer.committed()[TABLE]) == [1]
    assert len(names(store / "examples")) == 1
    add(recorder, 2, ids=["a", "c"], images=images(1, 3), guess=[0, 0])
    assert [name for (name,) in read(store, "id", 2)] == ["a", "c"]
    found = find_epoch(store, "cnn", TABLE, 2).examples
    assert [name for (name,) in plain(str(found), "id")] == ["a", "c"]


def test_a_batch_that_the_disk_refused_is_not_left_out_in_silence(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secondguess.analysis.store.examples.HELD_BYTES", 1)

    def full(handle: int, data: Any) -> int:
        raise OSError(28, "No space left on device")

    with pytest.raises(BadInput, match=r"a batch .* could not be kept, so the epoch is given up"):  # noqa: SIM117
        with recorder.table(TABLE, epoch=1) as table:
            table.add(ids=["a"], images=images(1), guess=[0])
            with monkeypatch.context() as broken:
                broken.setattr(os, "write", full)
                with pytest.raises(OSError, match="No space left"):
                    table.add(ids=["b"], images=images(2), guess=[0])
            table.add(ids=["c"], images=images(3), guess=[0])
    assert recorder.last_epoch == 0
    add(recorder, 1, ids=["a", "b"], images=images(1, 2), guess=[0, 0])
    assert recorder.last_epoch == 1


@pytest.mark.parametrize("batches", [[], [{"ids": [], "guess": []}], [{"ids": [], "scores": np.zeros((0, 2))}]])
def test_a_table_without_rows_is_refused(recorder: Recorder, batches: list[dict[str, Any]]) -> None:
    with (
        pytest.raises(BadInput, match="'test_predictions' of epoch 1 got no rows"),
        recorder.table(TABLE, epoch=1) as table,
    ):
        for batch in batches:
            table.add(**batch)


def test_an_epoch_is_recorded_once(store: Path) -> None:
    with Recorder(store, run="cnn") as recorder:
        add(recorder, 1, ids=["a"], guess=[0])
        with pytest.raises(AlreadyThere, match="cnn/test_predictions@1 is already committed"):
            recorder.table(TABLE, epoch=1)
        add_other = recorder.table("train", epoch=1)
        with add_other as table:
            table.add(ids=["a"], guess=[0])
    recorder = Recorder(store, run="other")
    add(recorder, 1, ids=["a"], guess=[0])
    recorder.close(finished=False)
    with Recorder(store, run="other", resume=True) as recorder, pytest.raises(AlreadyThere, match="@1 is already"):
        recorder.table(TABLE, epoch=1)


def test_a_guess_of_another_type_than_in_earlier_epochs_is_refused(store: Path, recorder: Recorder) -> None:
    add(recorder, 1, ids=["a"], guess=["cat"])
    with pytest.raises(BadInput, match="guess is int64 in epoch 2, but string in 'test_predictions' so far"):
        add(recorder, 2, ids=["a"], guess=[1])
    add(recorder, 2, ids=["a"], guess=["dog"])
    assert read(store, "guess", 2) == [("dog",)]


def test_epochs_may_come_in_any_order_and_leave_gaps(store: Path) -> None:
    with Recorder(store, run="cnn") as recorder:
        for number in (5, 2, 100_000):
            add(recorder, number, ids=["a"], guess=[number])
        assert recorder.last_epoch == 100_000
    assert list(find_run(store, "cnn").tables[TABLE]) == [2, 5, 100_000]
    assert plain(store / "*/test_predictions/*.parquet", "epoch, guess") == [(2, 2), (5, 5), (100_000, 100_000)]


@pytest.mark.parametrize("number", [0, -1, 1.0, "1", None, True, 2**31, math.nan])
def test_an_epoch_is_a_whole_number_from_1(recorder: Recorder, number: Any) -> None:
    with pytest.raises(BadInput, match="is not a whole number from 1"):
        recorder.table(TABLE, epoch=number)


@pytest.mark.parametrize("two", [np.int64(2), with_torch(lambda torch: torch.tensor(2))])
def test_numbers_of_numpy_and_torch_are_epochs(store: Path, recorder: Recorder, two: Any) -> None:
    for number in (1, two):
        add(recorder, number, ids=["a"], guess=[0])
    assert list(recorder._writer.committed()[TABLE]) == [1, 2]


@pytest.mark.parametrize("name", ["", "a/b", "runs", "Metrics", "x" * 300, "a@1"])
def test_a_broken_or_reserved_name_is_refused(store: Path, recorder: Recorder, name: str) -> None:
    for refused in (
        lambda: Recorder(store, run=name),
        lambda: recorder.table(name, epoch=1),
        lambda: recorder.table(TABLE, epoch=1, dataset=name),
    ):
        with pytest.raises(BadInput):
            refused()


def test_tables_differ_by_more_than_case(recorder: Recorder) -> None:
    recorder.table("Test", epoch=1)
    with pytest.raises(BadInput, match="'test' differs from 'Test' only in case"):
        recorder.table("test", epoch=1)


def test_a_table_takes_rows_inside_its_block_only(recorder: Recorder) -> None:
    table = recorder.table(TABLE, epoch=1)
    with pytest.raises(BadInput, match=r"is not open; use it as `with recorder\.table"):
        table.add(ids=["a"], guess=[0])
    with table:
        table.add(ids=["a"], guess=[0])
        with pytest.raises(BadInput, match="of epoch 1 is still open; end its block first"):
            recorder.table(TABLE, epoch=2)
    with pytest.raises(BadInput, match="is not open"):
        table.add(ids=["b"], guess=[0])


def test_two_tables_may_be_open_at_once(store: Path, recorder: Recorder) -> None:
    with recorder.table("one", epoch=1) as one, recorder.table("two", epoch=1) as two:
        for at in range(3):
            one.add(ids=[f"a{at}"], images=images(at), guess=[0])
            two.add(ids=[f"b{at}"], images=images(at + 5), guess=[0])
    assert {table: epochs[1].rows for table, epochs in recorder._writer.committed().items()} == {"one": 3, "two": 3}


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("cat", "classes must be a list of names"),
        ([0, 1], "classes must be a list of names"),
        (10, "classes must be a list of names, in the order of the scores, not int"),
        ({"cat", "dog"}, "classes must be a list of names, in the order of the scores, not set"),
        ({"cat": 1, "dog": 2}, "classes as a dict go from the numbers 0, 1, … to names, or from names to these"),
        ({"cat": 0, "dog": 0}, "classes as a dict go"),
        ([], "at least one name"),
        (["a", "a"], "each of them once"),
        (["\udcff"], "not valid Unicode"),
    ],
)
def test_classes_are_names_each_once(store: Path, classes: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Recorder(store, run="cnn", classes=classes)
    assert not store.exists()


@pytest.mark.parametrize("wandb", ["on", "", False, 3, object()])
def test_what_is_no_way_to_use_wandb_is_refused(store: Path, wandb: object) -> None:
    with pytest.raises(BadInput, match="expected off, offline, online, WandbOptions or a live W&B run"):
        Recorder(store, run="cnn", wandb=wandb)
    assert not store.exists()


def test_a_config_is_kept_as_json_can_hold_it(store: Path) -> None:
    config = {
        **{"lr": 0.1, "n": np.int64(3), "nan": math.nan, "inf": -math.inf, "path": Path("/data"), 5: "five"},
        **{"nested": {"a": [1, (2, np.float32(0.5))]}, "flag": True, "none": None, "broken": "\udcff"},
    }
    Recorder(store, run="cnn", config=config).close()
    assert find_run(store, "cnn").about["config"] == {
        **{"lr": 0.1, "n": 3, "nan": "nan", "inf": "-inf", "path": "/data", "5": "five"},
        **{"nested": {"a": [1, [2, 0.5]]}, "flag": True, "none": None, "broken": "\\udcff"},
    }


# Metrics


def metrics(store: Path) -> list[tuple[Any, ...]]:
    return plain(store / "cnn/metrics/*.parquet", "step, epoch, name, value")


@pytest.mark.parametrize("acc", [np.float64(0.25), with_torch(lambda torch: torch.tensor(0.25))])
def test_metrics_are_durable_with_the_next_table_and_at_the_end(store: Path, acc: Any) -> None:
    with Recorder(store, run="cnn") as recorder:
        recorder.log(loss=1)
        recorder.log(loss=np.float32(0.5), acc=acc)
        assert not (store / "cnn" / "metrics").exists()
        with recorder.table(TABLE, epoch=1, acc=0.75) as table:
            table.add(ids=["a"], guess=[0])
        assert metrics(store) == [
            (1, None, "loss", 1.0),
            (2, 1, "acc", 0.75),
            (2, None, "acc", 0.25),
            (2, None, "loss", 0.5),
        ]
        recorder.log(step=10, epoch=2, loss=math.nan)
        recorder.log(loss=-math.inf)
        assert len(metrics(store)) == 4
    *_, last, end = metrics(store)
    assert (last[:3], math.isnan(last[3]), end) == ((10, 2, "loss"), True, (11, None, "loss", -math.inf))


def test_metrics_of_an_epoch_that_failed_come_with_the_next(store: Path, recorder: Recorder) -> None:
    recorder.log(loss=1)
    with pytest.raises(ZeroDivisionError), recorder.table(TABLE, epoch=1, acc=0.5) as table:
        table.add(ids=["a"], guess=[0])
        raise ZeroDivisionError
    add(recorder, 1, ids=["a"], guess=[0])
    assert metrics(store) == [(1, None, "loss", 1.0)]


@pytest.mark.parametrize(
    "value", ["high", None, [1, 2], np.ones(2), with_torch(lambda torch: torch.ones(2)), 10**400, 1j, object()]
)
def test_a_metric_is_a_number(store: Path, recorder: Recorder, value: Any) -> None:
    with pytest.raises(BadInput, match=r"metric 'loss' is .*, not a number"):
        recorder.log(loss=value)
    with pytest.raises(BadInput, match=r"metric 'loss' is .*, not a number"):
        recorder.table(TABLE, epoch=1, loss=value)


@pytest.mark.parametrize(
    "place", [{"step": -1}, {"step": 2**63}, {"step": 1.5}, {"step": "x"}, {"epoch": 2**31}, {"epoch": 0.5}]
)
def test_a_step_or_epoch_that_cannot_be_stored_is_refused_at_once(
    store: Path, recorder: Recorder, place: dict[str, Any]
) -> None:
    """Later it would cost the epoch it is committed with."""
    with pytest.raises(BadInput, match="is not a whole number from 0"):
        recorder.log(loss=1.0, **place)
    add(recorder, 1, ids=["a"], guess=[0])
    assert not (store / "cnn" / "metrics").exists()


# Beginning, going on, ending


def test_a_run_is_running_then_finished_or_interrupted(store: Path) -> None:
    with Recorder(store, run="cnn") as recorder:
        assert find_run(store, "cnn").state == "running"
        add(recorder, 1, ids=["a"], guess=[0])
    assert find_run(store, "cnn").state == "finished"
    with pytest.raises(ZeroDivisionError), Recorder(store, run="died") as recorder:
        add(recorder, 1, ids=["a"], guess=[0])
        raise ZeroDivisionError
    assert find_run(store, "died").state == "interrupted"
    assert sg.connect(store).sql("SELECT run, id FROM test_predictions ORDER BY run").fetchall() == [
        ("cnn", "a"),
        ("died", "a"),
    ]


def test_a_recorder_is_closed_once_and_takes_nothing_after(store: Path) -> None:
    recorder = Recorder(store, run="cnn")
    recorder.log(loss=1)
    recorder.close()
    recorder.close()
    with recorder:
        pass
    assert find_run(store, "cnn").state == "finished"
    for late in (lambda: recorder.log(loss=1), lambda: recorder.table(TABLE, epoch=1)):
        with pytest.raises(SecondguessError, match="is closed"):
            late()


DIES = """
import os, sys
sys.path[:0] = sys.argv[2:]
from secondguess.trainer.recorder import Recorder
recorder = Recorder(sys.argv[1], run="cnn: 1", classes=["cat", "dog"])
for number in (1, 2):
    recorder.log(loss=1.0)
    with recorder.table("test_predictions", epoch=number) as table:
        table.add(ids=["a"], truth=["cat"], scores=[[0.5, 0.5]])
recorder.log(loss=2.0)
os.kill(os.getpid(), 9)
"""


def test_a_run_that_was_killed_goes_on_after_its_last_epoch(store: Path) -> None:
    died = subprocess.run([sys.executable, "-c", DIES, str(store), *sys.path], check=False)
    assert died.returncode == -9
    assert find_run(store, "cnn: 1").state == "interrupted"
    with Recorder(store, run="cnn: 1", resume=True) as recorder:
        assert (recorder.last_epoch, recorder.classes) == (2, ["cat", "dog"])
        recorder.log(loss=0.5)
        add(recorder, 3, ids=["a"], truth=["dog"], scores=[[0.5, 0.5]])
    run = find_run(store, "cnn: 1")
    assert (run.state, list(run.tables[TABLE]), run.tables[TABLE][3].errors) == ("finished", [1, 2, 3], 1)
    steps = sg.connect(store).sql("SELECT step, value FROM metrics ORDER BY step").fetchall()
    assert steps == [(1, 1.0), (2, 1.0), (3, 0.5)]  # the step whose table never came is counted again
    with pytest.raises(AlreadyThere, match="has finished and cannot be resumed"):
        Recorder(store, run="cnn: 1", resume=True)


def test_resuming_what_never_began_begins_it(store: Path) -> None:
    (store / "cnn").mkdir(parents=True)
    (store / "cnn" / ".lock").touch()
    for run in ("cnn", "new"):
        Recorder(store, run=run, resume=True, classes=["a"]).close()
    assert [(held.name, held.state) for held in list_runs(store).values()] == [("cnn", "finished"), ("new", "finished")]


def test_a_refused_resumption_does_not_hold_the_run(store: Path) -> None:
    Recorder(store, run="cnn", classes=["a", "b"]).close(finished=False)
    for _ in range(2):
        with pytest.raises(BadInput, match=r"was recorded with the classes \['a', 'b'\], not \['b', 'a'\]"):
            Recorder(store, run="cnn", resume=True, classes=["b", "a"])
    with pytest.raises(BadInput, match="choose one"):
        Recorder(store, run="cnn", resume=True, overwrite=True)
    Recorder(store, run="cnn", resume=True, classes=("a", "b")).close()


def test_reopen_goes_on_with_a_run_that_has_ended_and_ends_it_no_second_time(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for epoch, how in ((1, {}), (2, {"reopen": True}), (3, {"reopen": True})):
        with Recorder(store, run="cnn", **how) as recorder:
            recorder.log(loss=0.5)
            add(recorder, epoch, ids=["a", "b"], guess=[epoch, 0])
    run = find_run(store, "cnn")
    assert [read(store, "id, guess", epoch) for epoch in (1, 2, 3)] == [[("a", n), ("b", 0)] for n in (1, 2, 3)]
    steps = duckdb.sql(f"SELECT step, value FROM '{run.folder}/metrics/*.parquet' ORDER BY step").fetchall()
    assert steps == [(1, 0.5), (2, 0.5), (3, 0.5)]
    assert run.state == "finished" and run.damage() == [] and run.lost() == [] and run.unnamed() == []
    with Recorder(store, run="cnn", reopen=True) as recorder:
        recorder.log(late=1.0)
    assert "run cnn had ended: 1 metrics that came after the last table are not kept" in caplog.text
    with pytest.raises(AlreadyThere, match="has finished and cannot be resumed"):
        Recorder(store, run="cnn", resume=True)
    with pytest.raises(BadInput, match="choose one"):
        Recorder(store, run="cnn", reopen=True, overwrite=True)


def test_reopen_begins_a_run_that_is_not_there_and_keeps_what_lost_its_record(store: Path) -> None:
    with Recorder(store, run="cnn", reopen=True) as recorder:
        add(recorder, ids=["a"], guess=[1])
    record_of = next((store / "cnn" / "commits" / TABLE).glob("*.json"))
    record_of.rename(store / "elsewhere.json")
    files = sorted((store / "cnn" / TABLE).iterdir())
    with Recorder(store, run="cnn", reopen=True) as recorder:
        add(recorder, 2, ids=["a"], guess=[1])
    assert set(files) <= set((store / "cnn" / TABLE).iterdir())


def test_a_run_whose_run_json_is_broken_is_not_resumed(store: Path) -> None:
    """Its classes are not known."""
    Recorder(store, run="cnn", classes=["a"]).close(finished=False)
    (store / "cnn" / "run.json").write_text("{")
    with pytest.raises(Damaged, match=r"run\.json cannot be read"):
        Recorder(store, run="cnn", resume=True)


def test_a_run_that_exists_is_refused_or_overwritten(store: Path) -> None:
    record(store, "cnn", [[{"ids": ["a"], "guess": [0]}]])
    with pytest.raises(
        AlreadyThere, match=r"run 'cnn' exists already \(finished\); choose another name, or --overwrite"
    ):
        Recorder(store, run="cnn")
    record(store, "cnn", [[{"ids": ["b"], "guess": [0]}]], overwrite=True)
    assert plain(store / "*/test_predictions/*.parquet") == [(1, "b")]


def test_a_run_that_is_being_recorded_is_refused(store: Path, recorder: Recorder) -> None:
    for how in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(AlreadyThere, match=r"run 'cnn' (exists already \(running\)|is being recorded)"):
            Recorder(store, run="cnn", **how)
    add(recorder, 1, ids=["a"], guess=[0])


def test_two_recorders_of_two_runs_may_be_open_at_once(store: Path) -> None:
    with Recorder(store, run="a") as one, Recorder(store, run="b") as other:
        for number in (1, 2):
            for recorder in (one, other):
                add(recorder, number, ids=["x"], images=images(1), guess=[0])
    assert plain(store / "*/test_predictions/*.parquet", "run, epoch") == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert len(names(store / "examples")) == 1


def test_a_name_is_the_same_however_its_accents_were_typed(store: Path) -> None:
    record(store, "Mu\u0308ller", [[{"ids": ["a"], "guess": [0]}]])
    with pytest.raises(AlreadyThere, match="'Müller' exists already"):
        Recorder(store, run="M\u00fcller")
    assert "M\u00fcller" in names(store) and "Mu\u0308ller" not in names(store)


def in_child(store: Path, leave: Callable[[Recorder, TableRecorder], None]) -> int:
    """What a forked child that leaves the blocks of its parent's recorder leaves behind, as its exit code."""
    with Recorder(store, run="cnn") as recorder, recorder.table(TABLE, epoch=1) as table:
        table.add(ids=["a"], images=images(1), guess=[0])
        child = multiprocessing.get_context("fork").Process(target=leave, args=(recorder, table))
        child.start()
        child.join(HANG_S)
        table.add(ids=["b"], images=images(2), guess=[0])
    return child.exitcode or 0


def leave_the_blocks(recorder: Recorder, table: TableRecorder) -> None:
    try:
        table.__exit__(None, None, None)
    except SecondguessError:
        recorder.__exit__(None, None, None)
        os._exit(3)
    os._exit(0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 warns of forking beside threads, as loaders do
def test_a_forked_child_that_leaves_the_block_commits_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secondguess.analysis.store.examples.HELD_BYTES", 1)
    assert in_child(store, leave_the_blocks) == 3
    assert read(store, "id") == [("a",), ("b",)]
    assert find_run(store, "cnn").state == "finished"
    assert read_record(store / "cnn" / "commits" / TABLE / "00001.json")["file"]["rows"] == 2


def test_the_texts_of_a_frame_are_those_of_its_column(tmp_path: Path) -> None:
    for run, content in (("frame", pd.DataFrame({"text": ["x", "y"]})), ("list", ["x", "y"])):
        with Recorder(tmp_path, run=run) as recorder, recorder.table("t", epoch=1) as table:
            table.add(content=content, guess=[0, 1])
    ids = [sg.connect(tmp_path).sql(f'SELECT id FROM "{run}/t@1" ORDER BY id').fetchall() for run in ("frame", "list")]
    assert ids[0] == ids[1]
    assert sg.connect(tmp_path).sql("SELECT content FROM examples ORDER BY ALL").fetchall() == [("x",), ("y",)]
