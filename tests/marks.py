"""Which databases and engines a test runs on, where it is not once on each database.

What SQL has a part in runs on both databases. What is of processes alone takes SQLite, and what is
of Ray one of the two: such a test takes ten seconds and more, and every suite pays for it.
"""

from __future__ import annotations

import pytest

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_ray = pytest.mark.parametrize("engine", ["ray"], indirect=True)
both_engines = pytest.mark.parametrize("engine", ["optuna", "ray"], indirect=True)
with_ray_on_sqlite = pytest.mark.parametrize(
    ("engine", "database_url"),
    [("optuna", "sqlite"), ("optuna", "postgresql"), ("ray", "sqlite")],
    indirect=True,
)
