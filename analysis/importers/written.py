"""Numbers in columns that are text: which texts are numbers, and which numbers they are."""

import pyarrow as pa
import pyarrow.compute as pc

MISSING = ("", "NA", "N/A", "n/a", "null", "NULL", "None", "none", "-", "?")
"""What stands for no score where the others are numbers; in ids and labels it is a name."""

INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
_WHOLE = r"^(0|-?[1-9][0-9]{0,15})(\.0+)?$"
# What a number prints as again: no zeros in front, none behind but one, no more digits than a float keeps.
_EXACT = r"^-?(0|[1-9][0-9]{0,14})(\.0|\.[0-9]{0,14}[1-9])?([eE][-+]?[0-9]{1,2})?$"


def numbers(texts: pa.Array, decimal_comma: bool = False) -> pa.Array | None:
    """The texts as float64, NULL where one says that there is none; None where any is no number."""
    plain = pc.utf8_trim_whitespace(texts)
    plain = pc.if_else(pc.is_in(plain, pa.array(MISSING)), None, plain)
    if decimal_comma:
        plain = pc.replace_substring(plain, ",", ".")
    try:
        return plain.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def all_match(texts: pa.Array, pattern: str) -> bool:
    """Whether all texts that there are match; true of none."""
    return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False


def is_canonical_integer(texts: pa.Array) -> bool:
    """Whether every text is an integer as it prints: `7`, not `07`, `+7` or `7.0`."""
    return all_match(texts, INTEGER)


def is_whole(texts: pa.Array) -> bool:
    """Whether every text is a whole number, perhaps with a point and zeros: `7` or `7.0`."""
    return all_match(texts, _WHOLE)


def is_exact(texts: pa.Array) -> bool:
    """Whether every text is a number that prints so again, so that nothing of it is lost."""
    return all_match(texts, _EXACT)
