"""Rows of an evaluation log as a table: one file of JSON lines that the reader of records takes, and its verdict.

A log is read once. What its rows are together is known at its end (which metric is a verdict, whether all documents
have the same choices), so they lie in a file of their own until then.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from secondguess.analysis.errors import BadInput
from secondguess.analysis.importers.files.json_lines import read_json
from secondguess.analysis.importers.roles import Given
from secondguess.analysis.importers.source import TableRows

Row = dict[str, Any]
VERDICT = "verdict"
OURS = frozenset(
    [
        *("input", "target", "response", VERDICT, "guess", "truth", "choices", "loglikelihood", "loglikelihoods"),
        *("doc", "doc_id", "doc_hash", "filter", "sample_id", "sample_epoch"),
        *("explanation", "error", "limit", "metadata"),
    ]
)
"""What the columns of these tables are called; what else a log has makes way for them."""


@dataclass
class Values:
    """What all values of one metric or scorer are, as numbers: how many there are, between 0 and 1, or beyond."""

    there: int = 0
    between: int = 0
    beyond: int = 0
    texts: int = 0

    def add(self, value: Any, number: float | None) -> None:
        """Take the next value, and the number that it counts as, None where it counts as none."""
        if value is None or (number is not None and number != number):
            return
        self.there += 1
        if number is None:
            self.texts += 1
        elif not 0 <= number <= 1:
            self.beyond += 1
        else:
            self.between += number not in (0, 1)

    @property
    def judge(self) -> bool:
        """Whether each value counts as right (1), as wrong (0), or as something between."""
        return self.there > 0 and not self.texts and not self.beyond


@dataclass
class Kept:
    """The rows of one log while they lie in a file, and what is known of them so far."""

    path: Path
    rows: int = 0

    def lines(self) -> Iterator[Row]:
        """The rows again."""
        with self.path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def kept(rows: Iterable[Row], folder: Path) -> Kept:
    """The rows in a new file of the folder."""
    about = Kept(_new(folder))
    with about.path.open("w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row) + "\n")
            about.rows += 1
    return about


def table_of(rows: Iterable[Row], name: str, folder: Path, meant: Given, notes: Iterable[str]) -> TableRows:
    """The rows as a table that knows what its columns are; name is what messages call the log."""
    about = kept(rows, folder)
    if not about.rows:
        raise BadInput(f"{name} has no samples, so there is nothing to import")
    found = read_json([(about.path, name)])
    return replace(found, meant=meant, notes=(*notes, *found.notes))


def own_name(name: str, prefix: str) -> str:
    """A metric's or scorer's column: its own name, with a prefix where that is one of ours."""
    return f"{prefix}_{name}" if name.casefold() in OURS else name


def text_of(value: Any) -> str | None:
    """A value as text: a list of one as what is in it, other lists and objects as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) == 1:
        return text_of(value[0])
    return json.dumps(value, ensure_ascii=False)


def agreeing(
    about: Kept, guess: Callable[[Row], Any], truth: Callable[[Row], Any], verdict: Callable[[Row], bool | None]
) -> tuple[int, int]:
    """How many rows have a truth, and in how many guess against truth says what the verdict says."""
    truths = alike = 0
    for row in about.lines():
        true = truth(row)
        truths += true is not None
        alike += true is not None and (guess(row) == true) is verdict(row)
    return truths, alike


def said_of(counts: Mapping[str, int], rows: int) -> Iterator[str]:
    """A line for each count that is not zero, as in `2 of 30 samples have no verdict`."""
    for what, count in counts.items():
        if count:
            yield f"{count:,} of {rows:,} samples {what}"


def _new(folder: Path) -> Path:
    with tempfile.NamedTemporaryFile(dir=folder, prefix="log-", suffix=".jsonl", delete=False) as file:
        return Path(file.name)
