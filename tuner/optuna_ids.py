"""Ids of trials inside the attributes of Optuna's studies, which no foreign key tells of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_NOTE = re.compile(r"dashboard:(\d+):")
"""A trial's note: optuna-dashboard keeps it with the study."""
_PARENTS = re.compile(r":parent:\d+$")
"""The parents of a generation: `NSGAIISampler` keeps the ids of those that it chose."""


def translated(key: str, value_json: str, ids: Mapping[int, int]) -> tuple[str, str]:
    """A study's attribute with the ids that its trials have in another database.

    Args:
        key: the attribute's name.
        value_json: its value.
        ids: of each trial the id there; what it has no longer is left out, or left alone.

    Example:
        >>> translated("NSGAIISampler:parent:2", "[3, 5]", {3: 13, 4: 14, 5: 15})
        ('NSGAIISampler:parent:2', '[13, 15]')
        >>> translated("dashboard:4:note_ver", "1", {3: 13, 4: 14, 5: 15})
        ('dashboard:14:note_ver', '1')
        >>> translated("dashboard:note_ver", "1", {})
        ('dashboard:note_ver', '1')
    """
    if note := _NOTE.match(key):
        key = f"dashboard:{ids.get(int(note[1]), note[1])}:{key[note.end() :]}"
    elif _PARENTS.search(key):
        value_json = json.dumps([ids[old] for old in json.loads(value_json) if old in ids])
    return key, value_json
