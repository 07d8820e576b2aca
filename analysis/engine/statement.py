"""What a join did: which keys matched, which are missing, repeated or NULL, and whether both sides mean the same."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class JoinReport:
    """The counts of one join of two tables.

    matched, only_left and only_right count keys, each once; duplicates_left and duplicates_right the rows beyond the
    first of their key; nulls_left and nulls_right the rows without a key, which match nothing. So a side has matched +
    only + duplicates + nulls rows. truths_differ counts the matched keys for which two labelled rows disagree.
    same_examples is None where a side has no images or content to compare, or the key is neither id nor digest.
    by_position says that equal ids in equal order made a lookup needless.
    """

    left: str
    right: str
    key: str
    matched: int
    only_left: int = 0
    only_right: int = 0
    duplicates_left: int = 0
    duplicates_right: int = 0
    nulls_left: int = 0
    nulls_right: int = 0
    truths_differ: int = 0
    same_examples: bool | None = None
    by_position: bool = False

    @property
    def line(self) -> str:
        """The report as one line of text."""
        same = {True: "same examples", False: "not the same examples", None: "examples not compared"}
        odd = [
            f"{count:,} {what} in {side}"
            for side, duplicates, nulls in (
                (self.left, self.duplicates_left, self.nulls_left),
                (self.right, self.duplicates_right, self.nulls_right),
            )
            for count, what in ((duplicates, "with a repeated key"), (nulls, "without a key"))
            if count
        ]
        return (
            f"joined {self.left} with {self.right} on {self.key}: {self.matched:,} matched, "
            f"{self.only_left:,} only in {self.left}, {self.only_right:,} only in {self.right}, "
            f"{', '.join([*odd, ''])}{self.truths_differ:,} with another truth; {same[self.same_examples]}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)
