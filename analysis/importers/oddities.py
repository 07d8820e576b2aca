"""What is odd about the rows of a foreign table: kept as they are, and counted for whoever is to trust them."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from secondguess.analysis.errors import listing
from secondguess.analysis.importers.classes import EXACT, is_json, is_text
from secondguess.analysis.importers.rows import Layout, places
from secondguess.analysis.schema import score_column
from secondguess.analysis.store.id_sets import SEEDS, id_hashes
from secondguess.analysis.store.recurrence import Recurrence

_SLACK = 0.05  # scores of ten classes, rounded to two digits, still add up to 1 within that


class Oddities:
    """The counts for one version of a table, gathered batch by batch in bounded memory."""

    def __init__(self, how: Layout) -> None:
        self._how = how
        self._rows = 0
        self._counts: Counter[str] = Counter()
        self._kinds: set[str] = set()
        self._ids = Recurrence()

    def add(self, batch: pa.RecordBatch, rows: pa.Table) -> None:
        """Take note of a batch, as it came and as the rows that it became."""
        self._rows += rows.num_rows
        ids = rows["id"]
        self._counts["no id"] += ids.null_count
        # Two ids of one 64-bit hash: 3 chances in a million among ten million of them.
        self._ids.add(id_hashes(ids.drop_null().combine_chunks(), SEEDS[:1])[0])
        name = self._how.roles.id
        if name is not None and name in batch.schema.names:
            self._add_kinds(batch, name, len(ids) - ids.null_count)
        guess = self._add_labels(rows)
        if self._how.roles.scores:
            columns = [rows[score_column(at)].to_numpy() for at in range(len(self._how.roles.scores))]
            self._add_scores(np.stack(columns).T, guess)

    def notes(self) -> list[str]:
        """One line for each oddity, as in `3 of 10,000 rows have the id of an earlier row (…)`."""
        self._counts["repeated"] = self._ids.again()
        return [
            f"{count:,} of {self._rows:,} rows {'has' if count == 1 else 'have'} {what}"
            for key, what in self._texts()
            if (count := self._counts[key])
        ]

    def _texts(self) -> Iterator[tuple[str, str]]:
        classes = f"the classes ({listing(self._how.classes.labels, 5)})"
        yield "no id", "no id, and so no match in a join on id"
        yield "repeated", "the id of an earlier row (a join on id refuses that)"
        yield "converted", f"an id that was no text ({', '.join(sorted(self._kinds))}); it is now"
        yield "inexact", "an id that is a float of 2^53 or more, where different ids become one"
        yield "no guess", "no guess"
        yield "odd guess", f"a guess outside {classes}, so no confidence"
        yield "no truth", "no truth; that is unlabelled, not an error"
        yield "odd truth", f"a truth outside {classes}"
        less = "" if pa.types.is_list(self._how.label) else ", so no confidence"
        yield "no score", f"a score that is NaN or NULL{less}"
        yield "no chance", "a score below 0, above 1 or infinite"
        yield "no sum", "scores that do not add up to 1"
        yield "not highest", "a guess that has not the highest score"

    def _add_kinds(self, batch: pa.RecordBatch, name: str, count: int) -> None:
        values, field = batch.column(name), batch.schema.field(name)
        if is_json(field):
            self._convert(count - (pc.sum(pc.starts_with(values, '"')).as_py() or 0), "of several kinds")
        elif not is_text(field):
            self._convert(count, str(field.type))
        if pa.types.is_floating(field.type):
            self._counts["inexact"] += pc.sum(pc.greater_equal(pc.abs(values), EXACT)).as_py() or 0

    def _convert(self, count: int, kind: str) -> None:
        self._counts["converted"] += count
        if count:
            self._kinds.add(kind)

    def _add_labels(self, rows: pa.Table) -> NDArray[np.int64]:
        """The place of each guess among the classes, -1 where it has none."""
        guess = np.full(rows.num_rows, -1)
        for role in ("guess", "truth"):
            if role not in rows.column_names:
                continue
            self._counts[f"no {role}"] += rows[role].null_count
            if not self._how.classes.labels or pa.types.is_list(rows[role].type):
                continue
            place = places(rows[role], self._how.classes.labels)
            self._counts[f"odd {role}"] += place.null_count - rows[role].null_count
            guess = place.fill_null(-1).to_numpy() if role == "guess" else guess
        return guess

    def _add_scores(self, scores_BxC: NDArray[np.float32], guess: NDArray[np.int64]) -> None:
        with np.errstate(invalid="ignore"):  # infinities of both signs have no sum
            far = np.abs(scores_BxC.sum(axis=1) - 1) > _SLACK
        broken = np.isnan(scores_BxC).any(axis=1)
        outside = ((scores_BxC < 0) | (scores_BxC > 1)).any(axis=1)
        own = scores_BxC[np.arange(len(scores_BxC)), np.maximum(guess, 0)]
        self._counts["no score"] += _count(broken)
        self._counts["no chance"] += _count(outside)
        if not pa.types.is_list(self._how.label):  # of several labels each has a chance of its own
            self._counts["no sum"] += _count(far & ~outside & ~broken)
        self._counts["not highest"] += _count((guess >= 0) & ~broken & (own < scores_BxC.max(axis=1)))


def _count(what: NDArray[np.bool_] | np.bool_) -> int:
    return int(np.count_nonzero(what))
