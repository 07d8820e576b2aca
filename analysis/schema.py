"""The contract between whoever writes prediction tables and whoever reads them: names, columns, version."""

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Literal

from secondguess.analysis.errors import BadInput
from secondguess.analysis.moments import Moment
from secondguess.analysis.objects.path import place

FORMAT_VERSION = 1
# A record with steps: who does not know them would take two validations of an epoch for one.
STEPS_FORMAT = 2
NEWEST_FORMAT = STEPS_FORMAT
DEFAULT_STORE = "predictions"
DEFAULT_TABLE = "test_predictions"
STORE_VARIABLE = "SECONDGUESS_STORE"

# Where the config of a W&B run that mirrors one of ours has the names of its classes: {MIRROR: {CLASSES: [...]}}.
MIRROR, CLASSES = "secondguess", "classes"
# Where a history row of a W&B run that somebody else opened says the epoch of ours, whatever that run calls its own.
MIRROR_EPOCH = f"{MIRROR}/epoch"

# How sure an interval and a verdict are, where nobody says.
LEVEL = 0.95

RESERVED_NAMES = frozenset({"examples", "questions", "views", "commits", "metrics", "wandb", "runs"})
# The step of a validation within its epoch, where a table has such; else it may be a column of the user's.
STEP = "step"
ROW_COLUMNS = ("run", "epoch", "id", "guess", "truth", "confidence", "truth_score")
# Whether a row is an error, NULL where it is unlabelled. No file has the column; a relation does where it is named.
WRONG = "wrong"
# The step of a row's validation within its epoch, NULL for the end of one. No file has the column; a relation does
# where it is named: `step` is there only where a table has steps, and may be a column of the user's in another.
AT_STEP = "at_step"
# What became of an example from one table to another of two that stand side by side, where a relation is asked for it.
OUTCOME = "outcome"
# The largest score of a class that is not the truth; how many classes have a higher score than the truth, plus one; the
# sum over classes of (score - [it is the truth]) squared; the scores as a list. As WRONG: no file has them.
OTHER_SCORE, TRUTH_RANK, BRIER_SCORE, SCORES = "other_score", "truth_rank", "brier_score", "scores"
COMPUTED = (WRONG, AT_STEP, OTHER_SCORE, TRUTH_RANK, BRIER_SCORE, SCORES)
# `examples` is added to a table when it is read: the stem of the file that describes its rows' examples.
RESERVED_COLUMNS = frozenset({*ROW_COLUMNS, *COMPUTED, "examples", "digest", "image", "images", "content"})

_FORBIDDEN = re.compile(r"[/@*?\x00-\x1f\x7f-\x9f]")
_SCORE = re.compile(r"score_(\d+)")
# Characters that some file system, shell or glob reads as more than themselves.
# `=` makes a folder a column's value (lr=0.01), for DuckDB among others; `.json` is what records are called.
_ENCODED = re.compile(r"""[%\\:"<>|=\[\]{}]|^\.|[. ]$|\.(?=json$)""", re.IGNORECASE)
_LONGEST_FOLDER = 200
# What the columns of tables that stand side by side end in; so many do at most, as in W&B.
LETTERS = ascii_lowercase[:25]
MOST_MARKS = 2_000  # of a chart: of more the rows are brought together before
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def default_store() -> Path:
    """Where the store lies where nobody says: as the environment has it, or in the usual folder."""
    return place(os.environ.get(STORE_VARIABLE) or DEFAULT_STORE)


def _placed(_: Any, __: Any, store: str) -> Path:
    return place(store)


# `--store` of every command, as click takes it: not all of them may import each other.
STORE_OPTION: Mapping[str, Any] = {
    "type": str,
    "callback": _placed,
    "default": default_store,
    "show_default": False,
    "metavar": "PATH",
    "help": f"Where the runs lie: a folder, or s3://BUCKET/FOLDER [default: {DEFAULT_STORE}, or ${STORE_VARIABLE}].",
}


Task = Literal["classification", "multi-label", "regression"]
"""What a table's rows say: one class, any number of labels, or a number."""

# How messages name the rows of a task.
TASKS: Mapping[Task, str] = {
    "classification": "classes",
    "multi-label": "several labels a row (multi-label)",
    "regression": "numbers (regression), of which none is right or wrong",
}

LISTS = ("list", "large_list", "fixed_size_list")
LABEL_FROM = 0.5
"""The score from which on a label is guessed where a row may have several."""

_REAL = ("halffloat", "float", "double", "decimal")


def task_of(labels: Iterable[str]) -> Task:
    """The task of a table whose guesses and truths are of these Arrow types.

    Lists are several labels a row. Real numbers are no classes: as scikit-learn's `type_of_target` has it, whole
    numbers are, so those are never stored as real ones.
    """
    kinds = tuple(labels)
    if any(kind.startswith(LISTS) for kind in kinds):
        return "multi-label"
    return "regression" if any(kind.startswith(_REAL) for kind in kinds) else "classification"


def shown_as_images(columns: Iterable[str]) -> dict[bytes, bytes]:
    """What a Parquet file says of columns {bytes, path}, for Hugging Face `datasets` and its viewers to show them."""
    features = {name: {"_type": "Image"} for name in columns}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()} if features else {}


def score_column(index: int) -> str:
    """The column of the score of class `index`, counted from 0."""
    return f"score_{index}"


def is_score(column: str) -> bool:
    """Whether the name is one of a class's score column."""
    return _SCORE.fullmatch(column) is not None


def score_index(column: str) -> int | None:
    """The class, counted from 0, whose score column is called so; None where it is no score's name."""
    match = _SCORE.fullmatch(column)
    return int(match[1]) if match is not None else None


def own_name(column: str, sides: int) -> tuple[str, int | None]:
    """A column's name in its own table, and which of so many tables side by side that is; None: of none of them."""
    base, _, letter = column.rpartition("_")
    place = LETTERS[:sides].find(letter) if sides > 1 and base and len(letter) == 1 else -1
    return (base, place) if place >= 0 else (column, None)


def wrong(guess: str, truth: str) -> str:
    """Whether a labelled row is an error, as SQL over its guess and its truth; NULL where the truth is.

    A guess of NULL is an error, as a model's that has diverged. The counts of records say the same (`store.tally`).
    """
    return f"CASE WHEN {truth} IS NOT NULL THEN {guess} IS DISTINCT FROM {truth} END"


def wrong_by(right: str) -> str:
    """The same of a table whose record names a column of booleans that says which rows are right; NULL where it is."""
    return f"NOT {right}"


def outcome(a: str, b: str) -> str:
    """What became of the example of a row, as SQL over the columns of two tables: a and b are such as `a.{}`.

    NULL where one of the rows is unlabelled, or their truths differ. Two missing guesses are one guess.
    """
    wrong_a, wrong_b = a.format(WRONG), b.format(WRONG)
    guess_a, guess_b = a.format("guess"), b.format("guess")
    return f"""CASE
  WHEN {wrong_a} IS NULL OR {wrong_b} IS NULL OR {a.format("truth")} <> {b.format("truth")} THEN NULL
  WHEN {wrong_a} AND {wrong_b} AND {guess_a} IS NOT DISTINCT FROM {guess_b} THEN 'both_wrong_same'
  WHEN {wrong_a} AND {wrong_b} THEN 'both_wrong_other'
  WHEN {wrong_a} THEN 'fixed'
  WHEN {wrong_b} THEN 'broken'
  ELSE 'both_right'
END"""


def is_wrong(guess: object, truth: object) -> bool | None:
    """The same of two values, where an answer is drawn that has no column `wrong`; NaN is NaN, as it is in SQL."""
    if truth is None:
        return None
    return guess != truth and not (guess != guess and truth != truth)


def read_as(columns: Sequence[str], ours: Sequence[str] = COMPUTED) -> list[str]:
    """What relations call the columns of a file: by their names, but for one called `wrong`, which is `source_wrong`.

    So with all that is computed: files that were written before a name was reserved may have one. ours are the names
    that relations have for themselves.
    """
    names = list(columns)
    for own in ours:
        taken = {folded(name) for name in names}
        if own not in taken:
            continue
        new = f"source_{own}"
        while new in taken:
            new = f"source_{new}"
        names = [new if folded(name) == own else name for name in names]
    return names


def reference(run: str, table: str = DEFAULT_TABLE, epoch: Moment | int | str | None = None) -> str:
    """RUN[/TABLE][@EPOCH], the shortest that means this table whatever else the run has: the default one is left out.

    Answers call a table by such a name in the place of a run, so run may be one.
    """
    name = run if table == DEFAULT_TABLE else f"{run}/{table}"
    return name if epoch is None else at_epoch(name, epoch)


def whole_name(run: str, table: str, epoch: Moment | int | str | None = None) -> str:
    """RUN/TABLE[@EPOCH], as messages name what is meant: nothing is left out."""
    name = f"{run}/{table}"
    return name if epoch is None else at_epoch(name, epoch)


def at_epoch(name: str, epoch: Moment | int | str) -> str:
    """The name of a run or table at an epoch or a step of it, or at the last, the best or all."""
    return f"{name}@{epoch}"


def folded(name: str) -> str:
    """A column's name as DuckDB compares it: without the case of the letters A to Z, and of no others."""
    return name.translate(_LOWER)


def checked_name(kind: str, name: object) -> str:
    """The name of a run or table, composed (NFC), if it may be one; raises BadInput otherwise."""
    if not isinstance(name, str):
        raise BadInput(f"a {kind} name must be text, not {type(name).__name__}")
    name = unicodedata.normalize("NFC", name)
    if not name or not name.strip():
        raise BadInput(f"a {kind} name must not be empty")
    if match := _FORBIDDEN.search(name):
        raise BadInput(
            f"{kind} name {name!r} contains {match.group()!r}; / @ * ? and control characters are not allowed"
        )
    if name.casefold() in RESERVED_NAMES:
        raise BadInput(f"{kind} name {name!r} is reserved ({', '.join(sorted(RESERVED_NAMES))}); choose another")
    try:
        long = len(encoded(name).encode()) > _LONGEST_FOLDER
    except UnicodeEncodeError:
        raise BadInput(f"{kind} name {name!r} is not valid Unicode text") from None
    if long:
        raise BadInput(f"{kind} name {name[:40]!r}… is longer than {_LONGEST_FOLDER} bytes as a folder name")
    return name


def encoded(name: str) -> str:
    """The folder name of a run or table: percent-encoded where a character has a meaning of its own in paths."""
    return _ENCODED.sub(lambda match: "".join(f"%{byte:02X}" for byte in match.group().encode()), name)


def decoded(folder: str) -> str:
    """The name behind a folder; the inverse of `encoded`."""
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match.group(1), 16)), folder)
