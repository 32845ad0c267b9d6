"""What an attempt has stored and reported, so that it can be said again: trials over HTTP."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ATTEMPTS = "alphagrad_attempts"


def upgrade() -> None:
    for name in ("samples", "values"):
        op.add_column(_ATTEMPTS, sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column(_ATTEMPTS, sa.Column("prune_reason", sa.Text(), nullable=True))


def downgrade() -> None:
    for name in ("prune_reason", "values", "samples"):
        op.drop_column(_ATTEMPTS, name)
