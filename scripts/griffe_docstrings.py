"""Lets mkdocstrings read our docstrings: an ``Example:`` as its ``Examples:``, roles as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:attr|class|func|meth|mod|obj):`~?([^`]+)`")


class Docstrings(griffe.Extension):
    """Changes what is written for Python's own help into what the site shows well."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change an object's docstring before it is parsed."""
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            text = re.sub(r"^Example::$", "Example:\n", text, flags=re.MULTILINE)
            obj.docstring.value = ROLE.sub(r"`\1`", text)
