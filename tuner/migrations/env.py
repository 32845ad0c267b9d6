"""Alembic's environment: the connection comes from :func:`alphagrad.tuner.migrate.migrate`."""

from alembic import context

from alphagrad.tuner.migrate import VERSION_TABLE
from alphagrad.tuner.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
