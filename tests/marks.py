"""Which databases and engines a test runs on, where it is not once on each database.

What SQL has a part in runs on both databases. What is of processes alone takes SQLite, and what is
of Ray, or takes ten seconds and more, one of the two: every suite pays for it.
"""

from __future__ import annotations

import os

import pytest

FULL = os.environ.get("CHAOS_SCALE", "small") == "full"
"""Whether storms are as long as ``make chaos`` has them."""

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_postgresql_or_both = pytest.mark.parametrize(
    "database_url", ["sqlite", "postgresql"] if FULL else ["postgresql"], indirect=True
)
"""For storms, which take a minute: with ``make chaos`` there is one on each."""
on_ray = pytest.mark.parametrize("engine", ["ray"], indirect=True)
both_engines = pytest.mark.parametrize("engine", ["optuna", "ray"], indirect=True)
each_engine_once = pytest.mark.parametrize(
    ("engine", "database_url"), [("optuna", "postgresql"), ("ray", "sqlite")], indirect=True
)
with_ray_on_sqlite = pytest.mark.parametrize(
    ("engine", "database_url"),
    [("optuna", "sqlite"), ("optuna", "postgresql"), ("ray", "sqlite")],
    indirect=True,
)
