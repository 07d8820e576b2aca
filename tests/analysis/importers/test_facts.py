"""What all values of a column are."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from secondguess.analysis.importers.facts import MOST, Facts, facts_of
from secondguess.analysis.importers.source import TableRows


def facts_of_column(*parts: pa.Array) -> Facts:
    """The facts of a column that comes in these parts."""
    schema = pa.schema([("it", parts[0].type)])

    def batches(columns: object = None) -> Sequence[pa.RecordBatch]:
        return [pa.RecordBatch.from_arrays([part], schema=schema) for part in parts]

    rows = TableRows(schema=schema, rows=sum(map(len, parts)), batches=lambda columns=None: iter(batches()))
    return facts_of([rows], ["it"], [])["it"]


@pytest.mark.parametrize("kind", [pa.float64(), pa.int64(), pa.string()], ids=str)
def test_different_values_are_kept_up_to_a_bound_however_they_come(kind: pa.DataType) -> None:
    few = pa.array(range(MOST)).cast(kind)
    one_more = pa.array([MOST]).cast(kind)
    whole = facts_of_column(few)
    assert whole.values == {str(number) for number in range(MOST)}
    assert facts_of_column(*[few] * 9).values == whole.values
    assert facts_of_column(pa.concat_arrays([few] * 9)).values == whole.values
    assert facts_of_column(few, one_more).values is None
    assert facts_of_column(pa.concat_arrays([*[few] * 9, one_more])).values is None


def test_zeros_of_both_signs_and_nan_are_no_further_values() -> None:
    numbers = pa.array([-0.0, float("nan"), *map(float, range(MOST))])
    assert facts_of_column(numbers).values == {str(number) for number in range(MOST)}


def test_many_numbers_still_have_their_bounds() -> None:
    shares = pa.array([at / 50_000 for at in range(50_001)])
    facts = facts_of_column(shares, shares)
    assert facts.values is None
    assert (facts.rows, facts.low, facts.high, facts.fractions, facts.is_share) == (100_002, 0.0, 1.0, True, True)
