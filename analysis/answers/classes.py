"""The order of classes wherever they are drawn: the record's own, then numbers by size, then texts; NULL last."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from secondguess.analysis.answers.answer import Answer, Row, tables_in, text

COUNTED_ROWS = 2_000  # the most that is put into order: a row per class, or per pair of them
_Key = tuple[bool, int, float, str]
_WHOLE = {"beside": 1, "matrix": 2}  # how an answer is drawn as a whole: by so many columns of classes


def ordered(labels: Iterable[Any], classes: Sequence[str]) -> list[Any]:
    """Labels, each once, in the order of the record's classes."""
    return sorted(set(labels), key=_key(classes))


def whole(answer: Answer) -> bool:
    """Whether an answer is drawn by its classes, all rows of it: side by side, or as a matrix."""
    how, named = answer.drawn or ("", ())
    return how in _WHOLE and {"run", "epoch", *named} <= set(answer.columns)


def by_class(answer: Answer, rows: Sequence[Row]) -> list[Row]:
    """The rows of a `whole` answer: tables as they were asked about, in each the classes in their order."""
    how, named = answer.drawn or ("", ())
    labels = [answer.columns.index(name) for name in named[: _WHOLE[how]]]
    place = {table: number for number, table in enumerate(dict.fromkeys(answer.order))}
    key = _key(answer.classes)
    of_tables = zip(tables_in(answer.columns, rows, answer.order), rows, strict=True)
    in_order = sorted(
        of_tables,
        key=lambda each: (place.get(each[0], len(place)), *(key(each[1][label]) for label in labels)),
    )
    return [row for _, row in in_order]


def _key(classes: Sequence[str]) -> Callable[[Any], _Key]:
    place = {name: number for number, name in enumerate(classes)}

    def key(label: Any) -> _Key:
        number = label if isinstance(label, int | float) else 0
        return label is None, place.get(str(label), len(place)), number, str(label)

    return key


def label_text(label: Any) -> str:
    """A guess or truth as a person reads it."""
    return "null" if label is None else text(label)


def heads(labels: Sequence[Any], longest: int) -> tuple[list[str], list[tuple[str, str]]]:
    """What stands at each label's row or column, and where one is longer than that: numbers, with the list of them."""
    names = [label_text(label) for label in labels]
    if all(len(name) <= longest for name in names):
        return names, []
    numbers = [str(number) for number in range(1, len(names) + 1)]
    return numbers, list(zip(numbers, names, strict=True))
