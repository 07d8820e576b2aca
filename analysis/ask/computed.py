"""Columns that no file has: what a relation makes of a row's guess, truth and scores, where they are named."""

from collections.abc import Collection, Mapping, Sequence

from secondguess.analysis.engine.kinds import Kind, kind_of
from secondguess.analysis.engine.sqltext import as_text, identifier, literal
from secondguess.analysis.schema import (
    AT_STEP,
    BRIER_SCORE,
    COMPUTED,
    OTHER_SCORE,
    SCORES,
    STEP,
    TRUTH_RANK,
    WRONG,
    folded,
    score_column,
    wrong,
    wrong_by,
)
from secondguess.analysis.store.records import Epoch

KINDS: Mapping[str, Kind] = {
    WRONG: "boolean",
    AT_STEP: "number",
    OTHER_SCORE: "number",
    TRUTH_RANK: "number",
    BRIER_SCORE: "number",
    SCORES: "list",
}
_TYPES = {
    WRONG: "BOOLEAN",
    AT_STEP: "BIGINT",
    OTHER_SCORE: "FLOAT",
    TRUTH_RANK: "INTEGER",
    BRIER_SCORE: "DOUBLE",
    SCORES: "FLOAT[]",
}


def named(columns: Collection[str], suffixes: Sequence[str] = ("",)) -> tuple[str, ...]:
    """Those that are among the columns, folded, with one of the suffixes."""
    return tuple(name for name in COMPUTED if any(f"{name}{suffix}" in columns for suffix in suffixes))


def sql(name: str, epoch: Epoch, classes: Sequence[str]) -> str:
    """The column as SQL over the columns of an epoch's file, whose score_0, score_1, … are of these classes.

    NULL where the file lacks what it is made of, and WRONG where guesses are numbers, of which none is.
    """
    types = {folded(column): kind for column, kind in epoch.columns}
    if name == WRONG:
        if epoch.right is not None:
            return wrong_by(identifier(epoch.right))
        judged = {"guess", "truth"} <= types.keys() and epoch.task != "regression"
        return wrong("guess", "truth") if judged else _nothing(name)
    if name == AT_STEP:
        return STEP if epoch.has_steps else _nothing(name)
    scores = [score_column(index) for index in range(len(classes))]
    if not scores or (name != SCORES and not {"truth", "truth_score"} <= types.keys()):
        return _nothing(name)
    if name == OTHER_SCORE:
        return f"greatest({', '.join(_others(types['truth'], scores, classes))})"
    if name == TRUTH_RANK:
        higher = _sum([f"CAST({score} > truth_score AS INTEGER)" for score in scores])
        return f"CASE WHEN truth IS NOT NULL AND NOT isnan(truth_score) THEN 1 + {higher} END"
    if name == BRIER_SCORE:
        squares = _sum([f"CAST({score} AS DOUBLE) * {score}" for score in scores])
        return f"CASE WHEN truth IS NOT NULL THEN 1 - 2 * CAST(truth_score AS DOUBLE) + {squares} END"
    return f"[{', '.join(scores)}]"


def _sum(terms: Sequence[str]) -> str:
    """Their sum, half of them added to the other half: DuckDB's parser refuses expressions as deep as 1,000 classes."""
    if len(terms) == 1:
        return terms[0]
    half = (len(terms) + 1) // 2
    return f"({_sum(terms[:half])} + {_sum(terms[half:])})"


def _nothing(name: str) -> str:
    return f"CAST(NULL AS {_TYPES[name]})"


def _others(truth: str, scores: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Each score where its class is not the truth, whose Arrow type this is."""
    kind = kind_of(truth)
    numbers = kind == "number" and all(name.isdecimal() for name in classes)
    column = "truth" if numbers or kind == "text" else as_text("truth", kind)
    values = [str(int(name)) if numbers else literal(name) for name in classes]
    return [f"CASE WHEN {column} <> {value} THEN {score} END" for value, score in zip(values, scores, strict=True)]
