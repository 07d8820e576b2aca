"""What all values of a column are, gathered batch by batch in bounded memory."""

import ast
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.importers.classes import as_text, is_json, is_text
from secondguess.analysis.importers.source import TableRows
from secondguess.analysis.importers.written import is_canonical_integer, is_exact, is_whole, numbers

MOST = 5_000
"""So many different values are kept of a column."""

_MOST_KEYS = 20_000
_LONGEST = 1_000  # characters of a value that is kept
_FEW = 20
_AT_ONCE = 4 * MOST
_TEXT = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_PRINTED = re.compile(rf"\[(?:\s*(?:{_TEXT.pattern})\s*(?:,|(?=\])))*\s*\]")
_SAME_TEXT = 2  # numbers that are other values and the same text: 0 and -0; NaN is none


@dataclass
class Facts:
    """One column: how many rows and NULLs, its different values while they are few, and what all of them are.

    `is_number` and what follows hold of every value that is there. Of a nested column `keys` are the classes that its
    values name, and `lengths` those of its lists.
    """

    kind: str
    rows: int = 0
    nulls: int = 0
    values: set[str] | None = field(default_factory=set)
    is_number: bool = True
    is_integer: bool = True
    is_whole: bool = True
    is_exact: bool = True
    low: float = float("inf")
    high: float = float("-inf")
    fractions: bool = False
    keys: dict[str, None] = field(default_factory=dict)
    lengths: set[int] = field(default_factory=set)
    is_nested: bool = True
    sample: list[str] = field(default_factory=list)
    inside: "Facts | None" = None
    are_numbers: bool = True

    @property
    def some(self) -> bool:
        """Whether there is any value."""
        return self.rows > self.nulls

    @property
    def is_share(self) -> bool:
        """Whether the values are numbers from 0 to 1, not all of them whole: a probability may be."""
        return self.some and self.is_number and self.low >= 0 and self.high <= 1 and self.fractions

    @property
    def is_scores(self) -> bool:
        """Whether each value is a list of numbers as long as the others, or names a number for each class."""
        if not self.some or not self.is_nested:
            return False
        return bool(self.keys) if self.keys else len(self.lengths) == 1 and min(self.lengths) > 1

    @property
    def is_single(self) -> bool:
        """Whether each value is a list of one."""
        return self.some and self.is_nested and not self.keys and self.lengths == {1}

    def add(self, values: pa.Array, kind: pa.Field, decimal_comma: bool) -> None:
        """Take the next values."""
        self.rows += len(values)
        self.nulls += values.null_count
        there = values.drop_null()
        if self.kind in {"nested", "text", "json"} and self.is_nested:
            self._add_nested(there)
        if self.kind == "nested":
            self.is_number = self.is_integer = self.is_whole = self.is_exact = False
            return
        if self.kind == "number":
            self._add_numbers(there)
            self._keep(there.cast(pa.float32()) if pa.types.is_float16(there.type) else there, kind)
        else:
            texts = as_text(there, kind)
            self._add_texts(texts, decimal_comma)
            self._keep(texts, pa.field("", pa.string()))

    def _keep(self, there: pa.Array, kind: pa.Field) -> None:
        """Take the different values while they are few, as text."""
        if len(self.sample) < _FEW:
            self.sample += [text for text in as_text(there[:_FEW], kind).to_pylist() if text]
        if self.values is None:
            return
        for start in range(0, len(there), _AT_ONCE):
            new = pc.unique(there[start : start + _AT_ONCE])
            if len(new) > MOST + _SAME_TEXT:
                self.values = None
                return
            self.values.update(text[:_LONGEST] for text in as_text(new, kind).to_pylist() if text is not None)
            if len(self.values) > MOST:
                self.values = None
                return

    def _add_texts(self, texts: pa.Array, decimal_comma: bool) -> None:
        self.is_number = self.is_number and numbers(texts[:_FEW], decimal_comma) is not None  # few tell at once
        if self.is_number:
            read = numbers(texts, decimal_comma)
            self.is_number = read is not None
            if read is not None:
                self._bounds(read)
        self.is_integer = self.is_integer and is_canonical_integer(texts)
        self.is_whole = self.is_whole and (self.is_integer or is_whole(texts))
        self.is_exact = self.is_exact and self.is_number and (self.is_integer or is_exact(texts))

    def _add_numbers(self, there: pa.Array) -> None:
        plain = there.cast(pa.float64(), safe=False)
        self._bounds(plain)
        self.is_integer = self.is_integer and pa.types.is_integer(there.type)

    def _bounds(self, read: pa.Array) -> None:
        finite = pc.is_finite(read)
        if not pc.all(finite).as_py():
            read = read.filter(finite)
        if read.null_count == len(read):
            return
        least = pc.min_max(read).as_py()
        self.low, self.high = min(self.low, least["min"]), max(self.high, least["max"])
        self.fractions = self.fractions or bool(pc.any(pc.not_equal(pc.floor(read), read)).as_py())
        self.is_whole = self.is_whole and not self.fractions

    def _add_nested(self, there: pa.Array) -> None:
        alone: list[str | None] = []
        for value in _values(there):
            pairs = parts_of(value)
            if pairs is None:
                self.is_nested = False
                return
            if isinstance(pairs, dict):
                self.keys.update(dict.fromkeys(pairs))
                self.is_nested = len(self.keys) <= _MOST_KEYS
            else:
                numeric = all(one is None or _is_number(one) for one in pairs)
                self.is_nested = numeric or len(pairs) == 1
                self.are_numbers = self.are_numbers and numeric
                self.lengths.add(len(pairs))
                alone += [None if one is None else str(one) for one in pairs[:1]]
                self.is_nested = self.is_nested and len(self.lengths) < _FEW
            if not self.is_nested:
                return
        if self.is_single:
            self.inside = self.inside or Facts("text", is_nested=False)
            self.inside.add(pa.array(alone, pa.string()), pa.field("", pa.string()), False)


def _values(there: pa.Array) -> Iterator[Any]:
    """The values one by one, few of them in memory: the first often tells."""
    for start in range(0, len(there), _FEW):
        yield from there[start : start + _FEW].to_pylist()


def parts_of(value: Any) -> list[Any] | dict[str, float] | None:
    """A cell as a list, or as the number of each class; None for a cell that is neither.

    Classes come as a struct, as pairs (a map), as a list of {label, score}, or as the JSON text of one of those.
    """
    if isinstance(value, str):
        if value[:1] not in "[{" or not value:
            return None
        with suppress(ValueError, RecursionError):
            return parts_of(json.loads(value))
        if _PRINTED.fullmatch(value):
            return _printed(value)
        with suppress(ValueError, RecursionError):  # as Python prints other lists
            return parts_of(json.loads(value.replace("'", '"')))
        return None
    if isinstance(value, dict):
        return _numbers(value)
    if not isinstance(value, list):
        return None
    if value and all(isinstance(one, tuple) and len(one) == 2 for one in value):
        return _numbers(dict(value))
    if value and all(isinstance(one, dict) and {"label", "score"} <= set(one) for one in value):
        return _numbers({str(one["label"]): one["score"] for one in value})
    return value


def _printed(value: str) -> list[Any] | None:
    """A list of texts as Python prints it, each between the quotes that it has not itself."""
    with suppress(ValueError, SyntaxError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an escape that Python does not know stands for itself
        return [ast.literal_eval(text) for text in _TEXT.findall(value)]
    return None


def _numbers(value: dict[Any, Any]) -> dict[str, float] | None:
    there = {str(key): one for key, one in value.items() if one is not None}
    return there if all(map(_is_number, there.values())) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind_of(column: pa.Field) -> str:
    """What a column's type lets be looked at."""
    if (column.metadata or {}).get(b"media"):
        return "media"
    if is_json(column):
        return "json"
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_struct(kind) and {inner.name for inner in kind} == {"bytes", "path"}:
        return "image"
    if pa.types.is_nested(kind):
        return "nested"
    if is_text(column) or pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    return "bytes" if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else "other"


def facts_of(versions: Sequence[TableRows], columns: Iterable[str], cells: Iterable[str]) -> dict[str, Facts]:
    """The facts of these columns over all versions of a table; of `cells` also what stands within their cells."""
    wanted, within = set(columns), set(cells)
    facts: dict[str, Facts] = {}
    for rows in versions:
        kinds = {one.name: kind_of(one) for one in rows.schema if one.name in wanted}
        looked = {
            name: kind
            for name, kind in kinds.items()
            if kind in {"text", "json", "number"} or (kind == "nested" and name in within)
        }
        for name, kind in looked.items():
            facts.setdefault(name, Facts(kind, is_nested=name in within))
        if not looked:
            continue
        for batch in rows.batches(set(looked)):
            for name in looked:
                field_ = batch.schema.field(name)
                facts[name].add(batch.column(name), field_, rows.decimal_comma)
    return facts
