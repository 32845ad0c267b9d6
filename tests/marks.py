"""Which databases and engines a test runs on, where it is not once on each database.

What SQL has a part in runs on both databases. What is of processes alone takes SQLite, and what is
of Ray, or takes ten seconds and more, one of the two: every suite pays for it.
"""

from __future__ import annotations

import pytest

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
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
