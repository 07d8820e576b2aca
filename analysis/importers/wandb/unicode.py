"""Text out of JSON that UTF-8 cannot hold: halves of characters.

Weighed against ftfy, whose `fix_surrogates` does the same: a package for one line.
"""


def whole_text(text: str) -> str:
    """The text with halves of characters replaced, which UTF-8 cannot hold."""
    return text if is_unicode(text) else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
