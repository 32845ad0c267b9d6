"""What the API needs: histograms on demand, idempotency keys, who works, two indexes for lists."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TRIALS = "alphagrad_trials"


def upgrade() -> None:
    op.create_table(
        "alphagrad_histograms",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("trial_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("layers", sa.Text(), nullable=False),
        sa.Column("bins", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["alphagrad_trials.id"], ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_alphagrad_histograms_trial_state",
        "alphagrad_histograms",
        ["trial_id", "state"],
        unique=False,
    )
    op.create_table(
        "alphagrad_idempotency",
        sa.Column("scope", sa.String(80), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(32), nullable=True),
        sa.Column("held_until", sa.Float(53), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.Float(53), nullable=False),
    )
    op.create_index(
        "ix_alphagrad_idempotency_created_at", "alphagrad_idempotency", ["created_at"], unique=False
    )
    op.create_table(
        "alphagrad_workers",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("engine", sa.String(16), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("slots_used", sa.Integer(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("gpus_used", sa.Integer(), nullable=False),
        sa.Column("seen_until", sa.Float(53), nullable=False),
    )
    op.create_index(
        "ix_alphagrad_trials_infeasible",
        _TRIALS,
        ["study_id", "number"],
        unique=False,
        sqlite_where=sa.text("feasible = 0"),
        postgresql_where=sa.text("NOT feasible"),
    )
    op.create_index("ix_alphagrad_trials_finished_at", _TRIALS, ["finished_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_alphagrad_trials_finished_at", _TRIALS)
    op.drop_index("ix_alphagrad_trials_infeasible", _TRIALS)
    op.drop_table("alphagrad_workers")
    op.drop_index("ix_alphagrad_idempotency_created_at", "alphagrad_idempotency")
    op.drop_table("alphagrad_idempotency")
    op.drop_index("ix_alphagrad_histograms_trial_state", "alphagrad_histograms")
    op.drop_table("alphagrad_histograms")
