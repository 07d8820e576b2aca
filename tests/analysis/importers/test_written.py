"""Text that is numbers: what is written as numbers are written back, and what names something."""

import pyarrow as pa
import pytest

from secondguess.analysis.importers.roles import Roles
from secondguess.analysis.importers.source import Spelling, TableRows
from secondguess.analysis.importers.written import (
    Spellings,
    is_canonical_integer,
    numbers,
    seen_as_numbers,
    together,
    typed,
    uses,
)


def spelled(texts: list[str | None], decimal_comma: bool = False) -> Spelling | None:
    found = Spellings(["a"], decimal_comma)
    for text in texts:  # a batch each
        found.add(pa.record_batch({"a": pa.array([text], pa.string())}))
    together_again = Spellings(["a"], decimal_comma)
    together_again.add(pa.record_batch({"a": pa.array(texts, pa.string())}))
    assert found.kinds() == together_again.kinds()
    return found.kinds().get("a")


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "-20", None, "0"], "integer"),
        (["9223372036854775807"], "integer"),
        (["1", "0.5", "nan", "1e-05", "0.8444218515250481", "-inf", "0.50"], "number"),
        ([None, None], "nothing"),
        (["007"], "numeric"),
        (["+7"], "numeric"),
        (["1", "00.5"], "numeric"),
        (["0.123456789012345678901"], "numeric"),
        (["1.5", "9007199254740993"], "numeric"),
        (["92233720368547758070"], "numeric"),
        (["1", "x"], None),
        (["", "1"], None),
        (["0x1F"], None),
        (["1_000"], None),
        (["0,5"], None),
        (["NA"], None),
    ],
)
def test_how_a_column_spells_numbers(texts: list[str | None], kind: str | None) -> None:
    assert spelled(texts) == kind


def test_a_comma_is_decimal_where_it_separates_no_fields() -> None:
    assert spelled(["0,5", "1", "-,25"], decimal_comma=True) == "numeric"
    assert spelled(["1.234,5"], decimal_comma=True) is None
    found = numbers(pa.array(["0,5", "1", None, "2,5e3"]), decimal_comma=True)
    assert found is not None and found.to_pylist() == [0.5, 1.0, None, 2500.0]


def test_whole_numbers_are_those_that_are_written_back_alike() -> None:
    assert is_canonical_integer(pa.array(["1", None, "-5"]))
    assert not any(is_canonical_integer(pa.array([text])) for text in ("01", "-0", "1.0", "0x1F", "", "1e3"))


def test_columns_become_numbers_where_they_are_used_as_numbers() -> None:
    columns = {
        "id": ["1", "2"],
        "doc_id": ["3", "4"],
        "pred": ["0", "1"],
        "label": ["1", "1"],
        "p_0": ["0.50", "+1"],
        "p_1": ["0.5", "0"],
        "loss": ["0.25", "1e3"],
        "n": ["1", None],
        "paddedN": ["01", "2"],
        "ZipCode": ["10115", "20095"],
    }
    batch = pa.record_batch({name: pa.array(texts, pa.string()) for name, texts in columns.items()})
    spellings = Spellings(list(columns), decimal_comma=False)
    spellings.add(batch)
    contents = TableRows(batch.schema, 2, lambda names=None: iter([batch]), written=True, spelled=spellings.kinds())
    roles = Roles("id", "pred", "label", None, ("p_0", "p_1"))
    found = typed(contents, contents.spelled, uses(roles, contents.spelled))
    assert next(found.batches()).to_pydict() == {
        **columns,
        "pred": [0, 1],
        "label": [1, 1],
        "p_0": [0.5, 1.0],
        "p_1": [0.5, 0.0],
        "loss": [0.25, 1000.0],
        "n": [1, None],
    }
    assert found.schema == next(found.batches()).schema


def test_labels_are_numbers_only_if_all_are() -> None:
    roles = Roles(guess="g", truth="t")
    assert uses(roles, {"g": "integer", "t": "nothing"}) == {"g": pa.int64(), "t": pa.int64()}
    assert uses(roles, {"g": "integer"}) == {"g": pa.string(), "t": pa.string()}
    assert uses(roles, {"g": "integer", "t": "number"}) == {"g": pa.string(), "t": pa.string()}


def test_of_several_tables_a_column_is_what_fits_all() -> None:
    one: dict[str, Spelling] = {"a": "integer", "b": "nothing", "c": "integer"}
    assert together([one, {"a": "number", "b": "integer"}]) == {"a": "number", "b": "integer"}
    schema = pa.schema([("a", pa.string()), ("z", pa.string())])
    assert seen_as_numbers(schema, {"a": "numeric"}).types == [pa.float64(), pa.string()]
