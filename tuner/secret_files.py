"""Secrets from files: ``ALPHAGRAD_API_KEY_FILE`` names a file that holds ``ALPHAGRAD_API_KEY``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from alphagrad.tuner.errors import SettingsError

SUFFIX = "_FILE"


class SecretFiles(PydanticBaseSettingsSource):
    """Reads each secret of the settings that was not given from the file that a variable names.

    Containers and service managers hand secrets over as files, which unlike the environment are not
    shown by ``docker inspect`` and are not passed on to other processes.
    """

    def __call__(self) -> dict[str, Any]:
        """The secrets that files hold."""
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            if name not in self.current_state and is_secret(field.annotation):
                value, _, _ = self.get_field_value(field, name)
                if value is not None:
                    found[name] = value
        return found

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        """What the file of one field holds.

        Raises:
            SettingsError: the file cannot be read, or is empty.
        """
        value = read_secret(f"{self.config.get('env_prefix', '')}{field_name}".upper())
        return value, field_name, False


def read_secret(variable: str) -> str | None:
    """What the file holds that ``<variable>_FILE`` names, without the white space around it.

    Raises:
        SettingsError: the file cannot be read, or is empty.
    """
    path = os.environ.get(variable := f"{variable}{SUFFIX}")
    if path is None:
        return None
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        message = f"{variable} names a file that cannot be read: {path!r}: {reason}"
        raise SettingsError(message) from None
    if not value:
        raise SettingsError(f"{variable} names a file that is empty: {path!r}")
    return value


def is_secret(annotation: Any) -> bool:
    """Whether a setting of this type is a secret.

    Example:
        >>> is_secret(SecretStr | None), is_secret(str)
        (True, False)
    """
    return annotation is SecretStr or any(is_secret(part) for part in get_args(annotation))
