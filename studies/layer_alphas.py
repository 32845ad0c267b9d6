"""α of single layers as parameters of a study: `"alpha[actor.*]"`.

Only the standard library is imported here, so a server can check parameters without torch.
"""

from collections.abc import Mapping
from typing import Any

FIELD = "alpha_by_layer"


def glob_of(name: str) -> str | None:
    """Gives the glob in a parameter's name, or None where it is no such name.

    Example:
        >>> glob_of("alpha[actor.*]"), glob_of("alpha"), glob_of("alpha[]")
        ('actor.*', None, None)
    """
    glob = name.removeprefix("alpha[").removesuffix("]")
    return glob if glob and name == f"alpha[{glob}]" else None


def collect(params: Any) -> Any:
    """Moves the parameters named after layers into one field.

    Example:
        >>> collect({"k": 1.0, "alpha[actor.*]": 50.0})
        {'k': 1.0, 'alpha_by_layer': {'actor.*': 50.0}}
    """
    if not isinstance(params, Mapping):
        return params
    found = {glob: value for name, value in params.items() if (glob := glob_of(name)) is not None}
    rest = {name: value for name, value in params.items() if glob_of(name) is None}
    return rest | {FIELD: (rest.get(FIELD) or {}) | found} if found else rest
