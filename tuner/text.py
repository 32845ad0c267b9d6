"""Text that every database and every encoding can hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def check_text(text: str) -> str:
    """Give ``text`` back if it can be stored and sent: no NUL, no lone surrogate.

    Raises:
        ValueError: names the text.

    Example:
        >>> check_text("α")
        'α'
    """
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        raise ValueError(f"text must hold no NUL and no lone surrogate, got {text!a}")
    return text


def clean_text(text: str, *, most: int = 10_000) -> str:
    r"""Make ``text`` one that :func:`check_text` accepts, of at most ``most`` characters.

    Example:
        >>> print(clean_text("a\0b"))
        a\x00b
    """
    text = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= most else f"{text[:most]}…"


Text = Annotated[str, AfterValidator(check_text)]
