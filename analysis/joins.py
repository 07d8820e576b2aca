"""What a join did: how many ids matched, which side they are missing on, and whether both mean the same examples."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from analysis.errors import BadInput
from analysis.refs import Selection
from analysis.scope import Relation, ctes, examples, single, stacked
from analysis.store.records import Epoch

_COUNTS = """
SELECT
  count(*) FILTER (WHERE a.id IS NOT NULL AND b.id IS NOT NULL) AS matched,
  count(*) FILTER (WHERE b.id IS NULL) AS only_left,
  count(*) FILTER (WHERE a.id IS NULL) AS only_right,
  count(*) FILTER (WHERE a.id = b.id AND a.truth IS NOT NULL AND b.truth IS NOT NULL AND a.truth <> b.truth) AS truths
FROM a FULL JOIN b ON a.id = b.id
"""
_OTHER_CONTENT = "SELECT count(*) FROM a JOIN b ON a.id = b.id WHERE a.digest <> b.digest"


@dataclass(frozen=True)
class JoinReport:
    """The counts of one join on id. same_examples is None where a side has no images or content to compare."""

    left: str
    right: str
    matched: int
    only_left: int
    only_right: int
    truths_differ: int
    same_examples: bool | None

    @property
    def line(self) -> str:
        """The report as one line of text."""
        same = {True: "same examples", False: "not the same examples", None: "examples not compared"}
        return (
            f"joined {self.left} with {self.right} on id: {self.matched:,} matched, "
            f"{self.only_left:,} only in {self.left}, {self.only_right:,} only in {self.right}, "
            f"{self.truths_differ:,} with another truth; {same[self.same_examples]}"
        )


def reports(con: duckdb.DuckDBPyConnection, selections: Sequence[Selection]) -> list[JoinReport]:
    """How the first table joins with each of the others; raises BadInput where an id means different content."""
    return [_report(con, selections[0], other) for other in selections[1:]]


def _report(con: duckdb.DuckDBPyConnection, left: Selection, right: Selection) -> JoinReport:
    a, b = single(left), single(right)
    if a.ids == b.ids and a.examples == b.examples and a.examples is not None:
        return JoinReport(left.name, right.name, a.rows, 0, 0, 0, True)  # the records say so: nothing to count
    found = con.execute(f"WITH {ctes({'a': stacked('a', [left]), 'b': stacked('b', [right])})}{_COUNTS}").fetchone()
    matched, only_left, only_right, truths = found if found else (0, 0, 0, 0)
    same = _same_content(con, a, b, matched)
    if same is not None:
        same = same and only_left + only_right == 0
    return JoinReport(left.name, right.name, matched, only_left, only_right, truths, same)


def _same_content(con: duckdb.DuckDBPyConnection, a: Epoch, b: Epoch, matched: int) -> bool | None:
    if any(epoch.examples is None or not epoch.examples.is_file() for epoch in (a, b)):
        return None
    sides: dict[str, Relation] = {"a": examples([a]), "b": examples([b])}
    found = con.execute(f"WITH {ctes(sides)} {_OTHER_CONTENT}").fetchone()
    if found and found[0]:
        raise BadInput(
            f"{found[0]:,} ids of {a.run}@{a.epoch} mean other examples in {b.run}@{b.epoch} (their content differs); "
            "a join on id would pair different things; were the ids made from positions?"
        )
    return matched > 0
