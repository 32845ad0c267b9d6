"""Secrets from files: ``ALPHAGRAD_API_KEY_FILE`` names a file that holds ``ALPHAGRAD_API_KEY``."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from alphagrad.secret import read_secret
from alphagrad.tuner.errors import SettingsError


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
        variable = f"{self.config.get('env_prefix', '')}{field_name}".upper()
        try:
            return read_secret(variable), field_name, False
        except ValueError as error:
            raise SettingsError(str(error)) from None


def is_secret(annotation: Any) -> bool:
    """Whether a setting of this type is a secret.

    Example:
        >>> is_secret(SecretStr | None), is_secret(str)
        (True, False)
    """
    return annotation is SecretStr or any(is_secret(part) for part in get_args(annotation))
