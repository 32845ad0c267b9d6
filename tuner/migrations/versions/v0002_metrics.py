"""Metrics: one row per value that a trial recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("alphagrad_trials", sa.Column("metrics", sa.JSON(), nullable=True))
    op.create_table(
        "alphagrad_metrics",
        sa.Column("trial_id", _ID, nullable=False),
        sa.Column("name", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(["trial_id"], ["alphagrad_trials.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "name", "fence", "position"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("alphagrad_metrics")
    op.drop_column("alphagrad_trials", "metrics")
