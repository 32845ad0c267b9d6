"""Lifecycle: attempts, pauses between them, priorities and parameters to try next."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "alphagrad_studies", sa.Column("priority", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("alphagrad_studies", sa.Column("queue", sa.JSON(), nullable=True))
    op.add_column("alphagrad_trials", sa.Column("fixed_params", sa.JSON(), nullable=True))
    op.add_column(
        "alphagrad_trials", sa.Column("not_before", sa.Float(precision=53), nullable=True)
    )
    op.create_table(
        "alphagrad_attempts",
        sa.Column("trial_id", _ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=False),
        sa.Column("finished_at", sa.Float(precision=53), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["trial_id"], ["alphagrad_trials.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "attempt"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("alphagrad_attempts")
    op.drop_column("alphagrad_trials", "not_before")
    op.drop_column("alphagrad_trials", "fixed_params")
    op.drop_column("alphagrad_studies", "queue")
    op.drop_column("alphagrad_studies", "priority")
