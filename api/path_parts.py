"""Parts of a path: one that ends before a verb, so that ``/trials/0:tell`` is no trial's number."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


class Plain(Convertor[str]):
    """Text without a slash and without a colon."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        """The text itself; its type is checked with the request's other fields."""
        return value

    def to_string(self, value: str) -> str:
        """The text itself."""
        return str(value)


register_url_convertor("plain", Plain())
NUMBER = "/{number:plain}"
"""A trial's number."""
