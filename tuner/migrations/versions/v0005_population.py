"""Population-based training: how the members stand, and who took over from whom."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "alphagrad_members",
        sa.Column("trial_id", _ID, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Float(precision=53), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["trial_id"], ["alphagrad_trials.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id"),
    )
    op.create_table(
        "alphagrad_exploits",
        sa.Column("id", _ID, nullable=False),
        sa.Column("trial_id", _ID, nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Float(precision=53), nullable=True),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("source_trial_id", _ID, nullable=False),
        sa.Column("source_step", sa.BigInteger(), nullable=False),
        sa.Column("source_score", sa.Float(precision=53), nullable=True),
        sa.Column("source_params", sa.JSON(), nullable=False),
        sa.Column("new_params", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["alphagrad_trials.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["source_trial_id"], ["alphagrad_trials.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("trial_id", "fence"),
    )


def downgrade() -> None:
    op.drop_table("alphagrad_exploits")
    op.drop_table("alphagrad_members")
