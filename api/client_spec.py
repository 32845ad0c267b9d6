"""A study's specification as a client takes it: a mapping, or the path of a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alphagrad.api.client_errors import ApiError

Spec = Mapping[str, Any] | str | Path


def read_spec(spec: Spec) -> dict[str, Any]:
    """A specification as a mapping; whether it is valid is for the server to say.

    Raises:
        ApiError: the file cannot be read, or is not TOML.
    """
    if isinstance(spec, Mapping):
        return dict(spec)
    try:
        return tomllib.loads(Path(spec).read_text(encoding="utf-8"))
    except OSError as error:
        raise ApiError(f"cannot read {spec}: {error.strerror}", status=None) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ApiError(f"{spec} is not TOML: {error}", status=None) from error
