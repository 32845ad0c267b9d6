"""Objectives: several values of a trial, its constraints, and which trials are the best."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alphagrad_trials", sa.Column("objective_values", sa.JSON(), nullable=True))
    op.add_column("alphagrad_trials", sa.Column("constraints", sa.JSON(), nullable=True))
    op.add_column(
        "alphagrad_trials",
        sa.Column("feasible", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    op.add_column(
        "alphagrad_trials",
        sa.Column("on_front", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("alphagrad_trials", "on_front")
    op.drop_column("alphagrad_trials", "feasible")
    op.drop_column("alphagrad_trials", "constraints")
    op.drop_column("alphagrad_trials", "objective_values")
