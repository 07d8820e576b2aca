"""Columns that come as text, since a file says no more: which of them are numbers, and as what they are used.

Weighed against the guesses of CSV readers, which make numbers of ids and labels, and so other ones: `0001` is 1 then.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from secondguess.analysis.importers.roles import Roles
from secondguess.analysis.importers.source import Spelling, TableRows

_ORDER: tuple[Spelling, ...] = ("nothing", "integer", "number", "numeric")
# Together with what Arrow takes for a number. No zeros in front, no more digits than a double keeps.
_CANONICAL = (
    r"^-?(?:0|[1-9]\d{0,14}|0\.0*(?:[1-9]\d{0,16})?|[1-9][\d.]{1,17})(?:[eE][+-]?\d+)?$|^(?:nan|NaN|-?inf|-?Infinity)$"
)
_INEXACT = r"^-?[1-9]\d{15}"
_SHORT = 15
_COMMA = r"^([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)$"
_NAMING = re.compile(
    "ids?|idx|index|key|names?|code|zip|phone|uuid|guid|hash|digest|sha|md5|version|serial|isbn|doi|barcode"
    "|labels?|class|classes|category|target|truth|guess|pred|predictions?|predicted|answers?"
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Spellings:
    """What the columns of a table spell, gathered batch by batch."""

    def __init__(self, names: Sequence[str], decimal_comma: bool) -> None:
        self._decimal_comma = decimal_comma
        self._kinds: dict[str, Spelling | None] = dict.fromkeys(names, "nothing")

    def add(self, batch: pa.RecordBatch) -> None:
        """Take note of a batch."""
        for name, kind in self._kinds.items():
            if kind is None:
                continue
            texts = batch.column(name).drop_null()
            if not len(texts):
                continue
            own = _spelling(texts, kind, self._decimal_comma)
            self._kinds[name] = None if own is None else max(kind, own, key=_ORDER.index)

    def kinds(self) -> dict[str, Spelling]:
        """The columns that are numbers in every row that has something, and how they are spelled."""
        return {name: kind for name, kind in self._kinds.items() if kind is not None}


def _spelling(texts: pa.Array, least: Spelling, decimal_comma: bool) -> Spelling | None:
    """The narrowest spelling, not narrower than `least`, that all of some texts have; None where one is no number."""
    if least in ("nothing", "integer") and is_canonical_integer(texts):
        return "integer"
    values = numbers(texts, decimal_comma)
    if values is None:
        return None
    if least == "numeric" or not pc.all(pc.match_substring_regex(texts, _CANONICAL)).as_py():
        return "numeric"
    if pc.max(pc.binary_length(texts)).as_py() > _SHORT and pc.any(pc.match_substring_regex(texts, _INEXACT)).as_py():
        return "numeric"
    return "number"


def is_canonical_integer(texts: pa.Array) -> bool:
    """Whether every text is a whole number of 64 bits as it is written back: not `007`, `+7`, `7.0`; NULLs count."""
    try:
        whole = texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return pc.all(pc.equal(whole.cast(texts.type), texts)).as_py() is not False


def numbers(texts: pa.Array, decimal_comma: bool = False) -> pa.Array | None:
    """The texts as doubles, `0,5` too where commas are decimal; None where one is no number, as `nan` and `inf` are."""
    if decimal_comma:
        texts = pc.replace_substring_regex(texts, _COMMA, r"\1.\2")
    try:
        values = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        pass
    else:
        return values
    bare = pc.replace_substring_regex(texts, r"^\s*\+?([\d.].*?)\s*$", r"\1")
    try:
        return bare.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def seen_as_numbers(schema: pa.Schema, spelled: Mapping[str, Spelling]) -> pa.Schema:
    """The schema as if whatever spells numbers were numbers: what may be a score."""
    return pa.schema([field.with_type(pa.float64()) if field.name in spelled else field for field in schema])


def uses(roles: Roles, spelled: Mapping[str, Spelling]) -> dict[str, pa.DataType]:
    """The types of the columns that have roles: scores are doubles, labels int64 where all are whole, the rest text."""
    labels = [name for name in (roles.guess, roles.truth) if name is not None]
    whole = all(spelled.get(name) in ("nothing", "integer") for name in labels)
    names = [name for name in (roles.id, roles.image) if name is not None]
    return {
        **dict.fromkeys(labels, pa.int64() if whole else pa.string()),
        **dict.fromkeys(roles.scores, pa.float64()),
        **dict.fromkeys(names, pa.string()),
    }


def typed(contents: TableRows, spelled: Mapping[str, Spelling], used: Mapping[str, pa.DataType]) -> TableRows:
    """The rows with the types of what they are used as.

    A column without a role becomes numbers where each is written as numbers are written back, and its name does not
    say that it names something.
    """
    kinds = {
        name: kind
        for name in contents.schema.names
        if not pa.types.is_string(kind := used.get(name) or _type(name, spelled.get(name)))
    }
    fields = [field.with_type(kinds.get(field.name, field.type)) for field in contents.schema]

    def batches(columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        for batch in contents.batches(columns):
            arrays = [
                _converted(batch.column(name), kinds.get(name), contents.decimal_comma) for name in batch.schema.names
            ]
            yield pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)

    return replace(contents, schema=pa.schema(fields), batches=batches) if kinds else contents


def _type(name: str, spelled: Spelling | None) -> pa.DataType:
    if spelled not in ("integer", "number") or any(_NAMING.fullmatch(word.lower()) for word in _WORDS.findall(name)):
        return pa.string()
    return pa.int64() if spelled == "integer" else pa.float64()


def _converted(texts: pa.Array, kind: pa.DataType | None, decimal_comma: bool) -> pa.Array:
    if kind is None:
        return texts
    return texts.cast(kind) if pa.types.is_integer(kind) else numbers(texts, decimal_comma)


def together(spelled: Sequence[Mapping[str, Spelling]]) -> dict[str, Spelling]:
    """What columns spell in all of some tables."""
    shared = set(spelled[0]).intersection(*spelled) if spelled else set()
    return {name: max((one[name] for one in spelled), key=_ORDER.index) for name in shared}
