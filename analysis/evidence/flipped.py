"""Some of the examples that changed from one table to another, with their images: what a report shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from secondguess.analysis.ask import example, questions, refs, statements
from secondguess.analysis.errors import SecondguessError
from secondguess.analysis.evidence.ledger import Comparison, Run

_SUREST = """-- Examples that became this, the most confident mistakes first
-- tables: 2
-- $how text = 'broken'  what they became
-- $most int = 18  at most so many
SELECT id, guess_a, guess_b
FROM joined
WHERE outcome = $how
ORDER BY CASE WHEN $how = 'broken' THEN confidence_b ELSE confidence_a END DESC NULLS LAST, id
LIMIT $most"""


@dataclass(frozen=True)
class Flipped:
    """An example with both guesses, and the bytes of its image where it has one; fault is why it could not be read."""

    id: str
    guess_a: Any
    guess_b: Any
    image: bytes | None = None
    fault: str = ""

    @property
    def guesses(self) -> tuple[Any, Any]:
        """Both."""
        return self.guess_a, self.guess_b


def flipped(
    run: Run, store: Path, made: Comparison, how: str, most: int, known: refs.Runs, *, images: bool = True
) -> list[Flipped]:
    """Examples that broke or were fixed (how), at most so many, the most confident mistakes first."""
    tables = (made.a, made.b)
    epochs = [refs.resolve(known, table, "last").epochs[0] for table in tables]
    stem = epochs[0].examples.stem if epochs[0].examples is not None else None
    asked = questions.read("compare", _SUREST)
    given = {"how": how, "most": most}
    _, rows = run(partial(statements.question, store=store, asked=asked, refs=tables, given=given, known=known))
    pictures, fault = _images(run, store, stem, [row[0] for row in rows], known) if images else ({}, "")
    return [Flipped(name, guess_a, guess_b, pictures.get(name), fault) for name, guess_a, guess_b in rows]


def _images(
    run: Run, store: Path, stem: str | None, ids: Sequence[str], known: refs.Runs
) -> tuple[dict[str, bytes], str]:
    """The images of these ids in an examples file, and why they cannot be read; none where it has none."""
    if stem is None or not ids:
        return {}, ""
    text = example.images([stem], [name for name in ids if name is not None])
    try:
        _, rows = run(partial(statements.sql, store=store, text=text, known=known))
    except SecondguessError as error:  # the numbers stay
        return {}, str(error)
    return {name: image["bytes"] for _, name, image in rows if image and image["bytes"]}, ""
