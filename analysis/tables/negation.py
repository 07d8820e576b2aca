"""The filter that keeps exactly the rows which another one leaves out, those of which it is NULL among them."""

import re

import duckdb

from secondguess.analysis.engine.sqltext import LITERAL

_DISTINCT = re.compile(rf'(?P<column>"(?:[^"]|"")+") IS (?P<kept>NOT )?DISTINCT FROM (?P<value>{LITERAL})', re.DOTALL)
_SQL, _WANDB = ") IS NOT TRUE", ") != true"
_OPEN, _CLOSE = b"([{", b")]}"


def negated(condition: str) -> str:
    """The other rows, in SQL; of what was negated before, the rows from before."""
    if match := _DISTINCT.fullmatch(condition):
        return f"{match['column']} IS {'' if match['kept'] else 'NOT '}DISTINCT FROM {match['value']}"
    # The line break keeps a comment at the end from swallowing the bracket.
    ending = f"\n{_SQL}" if "--" in condition else _SQL
    return _unwrapped(condition, _SQL) or f"({condition}{ending}"


def negated_wandb(condition: str) -> str:
    """The other rows, in W&B's language, whose `!=` is never null."""
    return _unwrapped(condition, _WANDB) or f"({condition}{_WANDB}"


def _unwrapped(condition: str, ending: str) -> str | None:
    """What stands in the bracket of a negation; None where the whole is none."""
    inner = condition[1 : -len(ending)].removesuffix("\n")
    whole = condition.startswith("(") and condition.endswith(ending) and bool(inner.strip())
    return inner if whole and _balanced(inner) else None


def _balanced(text: str) -> bool:
    """Whether every bracket that is closed in a text was opened in it, and the other way round."""
    data, depth = text.encode(errors="replace"), 0
    for place, kind in duckdb.tokenize(text):
        if kind == duckdb.token_type.operator:
            letter = data[place : place + 1]
            depth += (letter in _OPEN) - (letter in _CLOSE)
            if depth < 0:
                return False
    return depth == 0
