"""Columns as training loops have them, turned into Arrow."""

import datetime
import math
import subprocess
import sys
import uuid
from decimal import Decimal
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from tensors import with_torch

from secondguess.analysis.errors import BadInput
from secondguess.trainer.recording import columns, label_lists

NAN = math.nan

# classes


@pytest.mark.parametrize(
    "classes",
    [
        *(["cat", "dog"], ("cat", "dog"), np.array(["cat", "dog"]), np.array(["cat", "dog"], object)),
        *(pd.Series(["cat", "dog"]), pd.Index(["cat", "dog"]), polars.Series(["cat", "dog"]), pa.array(["cat", "dog"])),
        *({"dog": 1, "cat": 0}, {1: "dog", 0: "cat"}, {"cat": 0, "dog": 1}.keys()),
    ],
)
def test_names_of_classes_come_in_the_order_of_their_numbers(classes: Any) -> None:
    assert columns.class_names(classes) == ["cat", "dog"]


# ids


@pytest.mark.parametrize(
    "ids",
    [
        *(["1", "22"], ("1", "22"), [1, 22], [1, "22"], np.array([1, 22]), np.array(["1", "22"]), [b"1", "22"]),
        *(
            with_torch(lambda torch: torch.tensor([1, 22])),
            with_torch(lambda torch: [torch.tensor(1), np.int64(22)]),
            pd.Series([1, 22], index=[7, 8]),
            np.array([b"1", b"22"]),
        ),
        *(
            np.array([1, "22"], object),
            pa.array(["1", "22"]),
            pa.chunked_array([["1"], ["22"]]),
            iter(["1", "22"]),
            range(1, 23, 21),
        ),
    ],
)
def test_ids_are_text_whatever_they_came_as(ids: Any) -> None:
    assert columns.texts(columns.plain(ids)) == ["1", "22"]


def test_a_uuid_is_an_id() -> None:
    assert columns.texts([uuid.UUID(int=1)]) == ["00000000-0000-0000-0000-000000000001"]


@pytest.mark.parametrize(
    "ids",
    [
        *([None], [1.0], [NAN], [True], [pd.NA], [pd.NaT], np.array([1.5]), [[1, 2]], [object()]),
        *(with_torch(lambda torch: torch.tensor([1.5])), with_torch(lambda torch: torch.tensor([[1, 2]]))),
        *(np.array([[1, 2]]), [datetime.date(2020, 1, 1)], np.array([None], object)),
    ],
)
def test_what_is_neither_text_nor_an_integer_is_no_id(ids: Any) -> None:
    with pytest.raises(BadInput, match="is neither text nor an integer"):
        columns.texts(columns.plain(ids))


@pytest.mark.parametrize("ids", [["a", "\udcff"], [b"\xff"], ["\ud83d"]])
def test_an_id_that_is_no_unicode_is_refused(ids: Any) -> None:
    with pytest.raises(BadInput, match="not valid Unicode"):
        columns.texts(ids)


@pytest.mark.parametrize("ids", ["abc", b"abc"])
def test_one_text_is_not_one_id_per_letter(ids: Any) -> None:
    with pytest.raises(BadInput, match="expected one id per row"):
        columns.texts(ids)


# scores

HALF = [[0.25, 0.75], [1.0, 0.0]]


@pytest.mark.parametrize(
    "scores",
    [
        *(HALF, np.array(HALF), np.array(HALF, np.float16), pd.DataFrame(HALF), tuple(map(tuple, HALF))),
        with_torch(lambda torch: torch.tensor(HALF)),
        with_torch(lambda torch: torch.tensor(HALF).bfloat16()),
        with_torch(lambda torch: [torch.tensor(row) for row in HALF]),
        with_torch(lambda torch: torch.tensor(HALF).requires_grad_()),
    ],
)
def test_scores_are_float32_whatever_they_came_as(scores: Any) -> None:
    found = columns.probabilities(scores, None)
    assert found.dtype == np.float32
    assert found.tolist() == HALF


@pytest.mark.parametrize("kind", [pd.Series, polars.Series])
def test_scores_may_be_a_column_of_lists(kind: Any) -> None:
    assert columns.probabilities(kind([[0.25, 0.75], [0.5, 0.5]]), None).tolist() == [[0.25, 0.75], [0.5, 0.5]]
    with pytest.raises(BadInput, match="scores are no table of numbers"):
        columns.probabilities(pd.Series([[0.25, 0.75], [0.5]]), None)


def test_decimals_are_numbers() -> None:
    assert columns.labels([Decimal("1.5"), None], "truth", None, None).to_pylist() == [1.5, None]
    assert columns.labels([Decimal("1"), Decimal("0")], "truth", ["a", "b"], None).to_pylist() == ["b", "a"]


def test_integers_and_bools_may_be_scores() -> None:
    assert columns.probabilities([[0, 1]], None).tolist() == [[0.0, 1.0]]
    assert columns.probabilities(np.array([[False, True]]), None).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("scores", "classes", "message"),
    [
        ([0.1, 0.9], ["a", "b", "c"], "one number per row, .* but there are 3 classes; give one column per class"),
        ([0.1, 1.9], None, "score 1.9 in row 1 of the batch is not a probability"),
        (0.5, None, r"scores have shape \(\)"),
        (np.zeros((2, 0)), None, r"scores have shape \(2, 0\)"),
        (np.zeros((1, 2, 2)), None, "expected one row per example"),
        ([[0.1, 0.9]], ["a", "b", "c"], "scores have 2 columns; there are 3 classes"),
        ({"a": [0.1], "b": [0.9]}, ["a", "c"], "a dict has values of a, b, but the classes are a, c"),
        ({"a": [0.1], "b": [0.9, 0.1]}, ["a", "b"], "a dict has values of unlike lengths"),
        ([["a", "b"]], None, "expected numbers"),
        ([[1j, 0]], None, "expected numbers"),
        ([[0.1], [0.1, 0.9]], None, "scores are no table of numbers"),
        ([[0.5, 0.5], [3.0, -4.0]], None, "score 3 in row 1 of the batch is not a probability; give softmax"),
        ([[0.5, -0.002]], None, "score -0.002 in row 0"),
        with_torch(lambda torch: torch.tensor([[2.0, 1.0]]).bfloat16(), None, "score 2 in row 0"),
    ],
)
def test_what_is_no_table_of_probabilities_is_refused(scores: Any, classes: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        columns.probabilities(scores, classes)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_number_per_row_is_the_probability_of_the_second_of_two_classes(shape: tuple[int, ...]) -> None:
    """What one sigmoid output says; 0.25, 0.75 and 1 are exact in float32."""
    second = np.array([0.25, 0.75, 1.0]).reshape(shape)
    expected = [[0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    for classes in (None, ["no", "yes"]):
        assert columns.probabilities(second, classes).tolist() == expected


@pytest.mark.parametrize(
    "values",
    [
        np.array([[2], [0], [1]]),
        [[2], [0], [1]],
        np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
        np.eye(3)[[2, 0, 1]],
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
        np.eye(3, dtype=bool)[[2, 0, 1]],
        np.array([2.0, 0.0, 1.0]),
        with_torch(lambda torch: torch.tensor([[2], [0], [1]])),
        with_torch(lambda torch: torch.eye(3)[[2, 0, 1]]),
    ],
)
def test_labels_of_b_by_1_and_one_hot_ones_are_one_class_per_row(values: Any) -> None:
    assert columns.labels(values, "truth", None, 3).to_pylist() == [2, 0, 1]
    assert columns.labels(values, "truth", ["a", "b", "c"], 3).to_pylist() == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("values", "unlabelled", "expected"),
    [
        ([0, -100, 1], [-100], [0, None, 1]),
        (np.array([-1, 255, 1]), [-1, 255], [None, None, 1]),
        (np.array([0.0, NAN, 1.0]), [], [0, None, 1]),
        (np.array([0.0, -100.0, 1.0]), [-100], [0, None, 1]),
        ([0, None, 1], ["?"], [0, None, 1]),
    ],
)
def test_what_stands_for_no_label_is_none(values: Any, unlabelled: Any, expected: list[Any]) -> None:
    assert columns.labels(values, "truth", None, 2, unlabelled).to_pylist() == expected


def test_a_text_may_stand_for_no_label() -> None:
    assert columns.labels(["a", "?"], "truth", ["a", "b"], None, ["?"]).to_pylist() == ["a", None]
    assert columns.labels(["a", "?"], "truth", None, None, ["?"]).to_pylist() == ["a", None]


def test_half_precision_may_leave_0_to_1_by_a_thousandth_and_infinite_scores_are_kept() -> None:
    scores = np.array([[1.0005, -0.0005], [NAN, np.inf]], np.float64)
    assert np.array_equal(columns.probabilities(scores, None), scores.astype(np.float32), equal_nan=True)


SCORES = nps.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    elements=st.one_of(st.floats(0, 1, width=32), st.sampled_from([NAN, 0.5])),
)


@given(SCORES, st.booleans(), st.data())
def test_the_guess_is_the_largest_score_ties_to_the_lowest_class(
    scores: np.ndarray, named: bool, data: st.DataObject
) -> None:
    """By brute force, a row at a time."""
    rows, count = scores.shape
    names = [f"class {at}" for at in range(count)] if named else None
    truth = data.draw(st.lists(st.one_of(st.none(), st.integers(0, count - 1)), min_size=rows, max_size=rows))
    expected = []
    for row, label in zip(scores.tolist(), truth, strict=True):
        broken = any(math.isnan(score) for score in row)
        guess = None if broken else row.index(max(row))
        of_truth = None if label is None or math.isnan(row[label]) else row[label]
        expected.append(
            (guess if guess is None or names is None else names[guess], None if broken else max(row), of_truth)
        )
    found = columns.scored(scores, None, columns.labels(truth, "truth", names, count), names)
    assert list(found) == ["guess", "confidence", "truth_score", *(f"score_{at}" for at in range(count))]
    assert (
        list(zip(*(found[name].to_pylist() for name in ("guess", "confidence", "truth_score")), strict=True))
        == expected
    )
    stored = np.stack([found[f"score_{at}"].to_numpy(zero_copy_only=False) for at in range(count)], axis=1)
    assert np.array_equal(stored, scores, equal_nan=True)
    assert {str(found[f"score_{at}"].type) for at in range(count)} == {"float"}


def test_a_guess_that_is_given_is_kept_and_its_score_is_the_confidence() -> None:
    scores = columns.probabilities([[0.1, 0.9], [0.6, 0.4]], None)
    found = columns.scored(scores, pa.array([0, None]), None, None)
    assert found["guess"].to_pylist() == [0, None]
    assert found["confidence"].to_pylist() == [pytest.approx(0.1), None]


# labels

INTEGERS = [
    *([1, 0], (1, 0), np.array([1, 0]), np.array([1, 0], np.uint8)),
    with_torch(lambda torch: torch.tensor([1, 0])),
    with_torch(lambda torch: [torch.tensor(1), np.int32(0)]),
    *([True, False], np.array([True, False]), pd.Series([1, 0], index=[5, 6]), iter([1, 0])),
]


@pytest.mark.parametrize("values", INTEGERS)
def test_class_numbers_are_int64_whatever_they_came_as(values: Any) -> None:
    found = columns.labels(values, "truth", None, 2)
    assert (str(found.type), found.to_pylist()) == ("int64", [1, 0])


@pytest.mark.parametrize(
    "values",
    [[1, 0, None], ["dog", "cat", None], np.array(["dog", "cat", None], object), pd.Series(["dog", "cat", None])],
)
def test_with_classes_numbers_and_names_come_to_names(values: Any) -> None:
    found = columns.labels(values, "truth", ["cat", "dog"], 2)
    assert found.to_pylist() == ["dog", "cat", None]
    assert found.type == pa.dictionary(pa.int32(), pa.string())
    assert found.dictionary.to_pylist() == ["cat", "dog"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["x", None], "string", ["x", None]),
        ([1.5, NAN], "double", [1.5, None]),
        (np.array([1.5, np.nan], np.float32), "double", [1.5, None]),
        ([None, None], "null", [None, None]),
        ([2**40, -1], "int64", [2**40, -1]),
        (pd.array([1, None], "Int64"), "int64", [1, None]),
    ],
)
def test_without_classes_labels_are_kept_as_given_and_nan_is_none(values: Any, kind: str, expected: list[Any]) -> None:
    found = columns.labels(values, "truth", None, None)
    assert (str(found.type), found.to_pylist()) == (kind, expected)


@pytest.mark.parametrize(
    ("values", "classes", "count", "message"),
    [
        ([0, 2], None, 2, r"truth 2 in row 1 of the batch is outside the 2 classes \(0 to 1\)"),
        ([0, -1], None, 2, "truth -1 in row 1"),
        ([None, 5], ["a", "b"], None, "truth 5 in row 1"),
        (["a", "c"], ["a", "b"], None, "truth 'c' in row 1 of the batch is not a class; classes: a, b"),
        ([0.5], ["a", "b"], None, "truth is a float; expected one of the 2 classes"),
        (["a"], None, 2, "truth is text, but the classes of the scores are the numbers 0 to 1"),
        ([1.5, NAN], None, 2, r"truth has values such as 1.5, .* \(regression\) are no classes"),
        ([1.0, 2.0], None, 2, "truth 2 in row 1 .*; if it stands for no label, say so: unlabelled=2; .*classes= has"),
        (np.array(1), ["a", "b"], None, r"truth is a single value, of shape \(\); expected one for each row"),
        (np.array([[0, 1], [1, 1]]), None, 2, r"truth names 2 classes in row 1 of the batch \(multi-label\)"),
        (np.array([[0, 1], [0, 0]]), None, 2, "truth names 0 classes in row 1"),
        (
            [[0], [1, 2]],
            None,
            3,
            "truth has rows of unlike lengths; rows with any number of labels are a table of their own kind",
        ),
        (np.array([[0.5, 0.5]]), None, 2, r"truth has shape \(1, 2\); expected one class per row, or one-hot"),
        (np.zeros((2, 2, 2)), None, 2, r"truth has shape \(2, 2, 2\)"),
        ([1, "a"], None, None, "truth cannot be a column of numbers or names"),
        (3, None, None, "truth cannot be a column"),
        ([2**70], None, None, "truth cannot be a column"),
        ([b"x"], None, None, "truth is binary"),
        (["\udcff"], None, None, "truth cannot be a column"),
    ],
)
def test_what_is_no_label_is_refused(values: Any, classes: Any, count: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        columns.labels(values, "truth", classes, count)


# The user's own columns

DAY = datetime.date(2020, 2, 29)
EXTRAS: dict[str, tuple[Any, str, list[Any]]] = {
    "integers": ([1, None], "int64", [1, None]),
    "floats": (np.array([0.5, np.nan], np.float32), "float", [0.5, NAN]),
    "text": (["ä", None], "string", ["ä", None]),
    "bools": ([True, False], "bool", [True, False]),
    "bytes": ([b"\0", b"x"], "binary", [b"\0", b"x"]),
    "dates": ([DAY, None], "date32[day]", [DAY, None]),
    "moments": ([datetime.datetime(2020, 1, 1), None], "timestamp[us]", [datetime.datetime(2020, 1, 1), None]),
    "decimals": ([Decimal("1.50"), None], "decimal128(3, 2)", [Decimal("1.50"), None]),
    "lists": ([[1], []], "list<item: int64>", [[1], []]),
    "vectors": (np.ones((2, 3)), "list<item: double>", [[1.0] * 3] * 2),
    "records": ([{"a": 1}, {"a": 2}], "struct<a: int64>", [{"a": 1}, {"a": 2}]),
    "a series": (pd.Series([3, 4], index=[9, 8]), "int64", [3, 4]),
    "large unsigned": (np.array([2**64 - 1, 0], np.uint64), "uint64", [2**64 - 1, 0]),
    "nothing": ([None, None], "null", [None, None]),
}


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        *(pytest.param(*extra, id=name) for name, extra in EXTRAS.items()),
        with_torch(lambda torch: torch.ones(2, 2), "list<item: float>", [[1.0] * 2] * 2, id="tensor"),
    ],
)
def test_a_column_of_ones_own_is_kept_as_it_is(values: Any, kind: str, expected: list[Any]) -> None:
    found = columns.extras({"mine": values}, 2)["mine"]
    assert str(found.type) == kind
    assert str(found.to_pylist()) == str(expected)


@pytest.mark.parametrize(
    "name", ['a "quote"', "with space", "🙂", "a;b", "select", "x.y", "NULL", "rowid", "filename", "ä" * 100]
)
def test_a_column_may_have_any_name(name: str) -> None:
    assert list(columns.extras({name: [1]}, 1)) == [name]


@pytest.mark.parametrize(
    "name",
    [
        *("run", "epoch", "id", "guess", "truth", "confidence", "truth_score", "digest", "image", "examples"),
        "Run",
        "SCORE_3",
        "score_0",
        "",
        " ",
    ],
)
def test_a_reserved_or_empty_column_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"cannot be added: the name is reserved, empty, or there twice; rename it"):
        columns.extras({name: [1]}, 1)


def test_two_columns_whose_names_differ_in_case_are_refused() -> None:
    with pytest.raises(BadInput, match="column 'Mine' cannot be added"):
        columns.extras({"mine": [1], "Mine": [2]}, 1)


@pytest.mark.parametrize(
    "values",
    [[1j], [object()], [1, "a"], [{}], ["\udcff"], [2**70], pa.array([(1, 2, 3)], pa.month_day_nano_interval())],
)
def test_what_parquet_cannot_hold_is_refused_by_name_when_it_is_added(values: Any) -> None:
    with pytest.raises(BadInput, match="column 'mine' cannot be stored"):
        columns.extras({"mine": values}, len(values))


def test_a_column_has_a_value_per_row() -> None:
    with pytest.raises(BadInput, match="column 'mine' has 2 values; the batch has 3 rows"):
        columns.extras({"mine": [1, 2]}, 3)


@pytest.mark.parametrize(
    "values, kind",
    [
        (np.zeros((2, 3), np.float32), "list<item: float>"),
        (np.zeros((2, 3), np.int8), "list<item: int8>"),
        (np.zeros((2, 3, 1), np.float32), "list<item: list<item: float>>"),
        (np.zeros((2, 0), np.float32), "list<item: float>"),
        (np.array([["a", "b"], ["c", "d"]]), "list<item: string>"),
    ],
)
def test_rows_of_numbers_keep_their_type(values: Any, kind: str) -> None:
    """An embedding of float32 is none of float64, which takes twice the room."""
    column = columns.extras({"embedding": values}, 2)["embedding"]
    assert str(column.type) == kind
    assert column.to_pylist() == values.tolist()


SHARES = [[0.125, 0.875], [0.75, 0.25]]  # of the ox and the cat


@pytest.mark.parametrize("frame", [pd.DataFrame, polars.DataFrame, lambda rows: pa.table(rows)])
@pytest.mark.parametrize("names", [("ox", "cat"), ("prob_ox", "prob_cat"), ("OX", "Cat")])
def test_a_data_frames_columns_go_with_the_classes_that_they_are_called_as(frame: Any, names: Any) -> None:
    scores = frame({name: [row[at] for row in SHARES] for at, name in enumerate(names)})
    assert columns.probabilities(scores, ["cat", "ox"]).tolist() == [[0.875, 0.125], [0.25, 0.75]]
    assert columns.probabilities(scores, None).tolist() == SHARES
    assert columns.probabilities(scores, ["p", "q"]).tolist() == SHARES
    with pytest.raises(BadInput, match=r"what is called .* cannot be put in the order of the classes cat, dog"):
        columns.probabilities(scores, ["cat", "dog"])


def test_one_hot_columns_go_with_the_classes_that_they_are_called_as() -> None:
    truth = pd.get_dummies(pd.Series(["b", "a", "c"]))  # columns a, b, c
    assert columns.labels(truth, "truth", ["c", "b", "a"], None).to_pylist() == ["b", "a", "c"]
    lists = label_lists.labels(truth, truth, None, ["c", "b", "a"], None)
    assert lists["truth"].to_pylist() == [["b"], ["a"], ["c"]]


OF_JAX = """
import jax.numpy as jnp
from secondguess.trainer.recording import columns

numbers = jnp.array([0, 2, 1])
for truth in (numbers, list(numbers), numbers[:, None], jnp.eye(3)[numbers]):
    print(columns.labels(truth, "truth", None, 3).to_pylist())
half = jnp.array([[0.25, 0.75]], dtype="bfloat16")
print(columns.texts(numbers), columns.probabilities(half, None).tolist())
print(columns.extras({"loss": half[0]}, 2)["loss"].to_pylist())
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("jax") is None, reason="needs jax: pip install jax")
def test_arrays_of_jax_are_columns_like_others() -> None:
    """In a process of its own: what has loaded JAX warns when it forks."""
    done = subprocess.run([sys.executable, "-c", OF_JAX], capture_output=True, text=True, timeout=240)
    assert done.stdout.splitlines() == [*["[0, 2, 1]"] * 4, "['0', '2', '1'] [[0.25, 0.75]]", "[0.25, 0.75]"], (
        done.stderr
    )


def test_single_numbers_of_a_framework_in_a_list_are_a_column() -> None:
    numbers = [np.float32(0.5), np.array(0.25, np.float32)]
    assert columns.extras({"loss": numbers[::-1]}, 2)["loss"].to_pylist() == [0.25, 0.5]
