"""Indexes for studies of many trials: lists by state, the best value, what Optuna is to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

_TRIALS = "alphagrad_trials"


def upgrade() -> None:
    op.create_index(
        "ix_alphagrad_trials_state_number", _TRIALS, ["study_id", "state", "number"], unique=False
    )
    op.create_index(
        "ix_alphagrad_trials_state_value", _TRIALS, ["study_id", "state", "value"], unique=False
    )
    op.create_index(
        "ix_alphagrad_trials_untold",
        _TRIALS,
        ["study_id"],
        unique=False,
        sqlite_where=sa.text("told IS 0"),
        postgresql_where=sa.text("told IS false"),
    )
    op.create_index(
        "ix_alphagrad_trials_front",
        _TRIALS,
        ["study_id", "number"],
        unique=False,
        sqlite_where=sa.text("on_front = 1"),
        postgresql_where=sa.text("on_front"),
    )
    op.drop_index("ix_alphagrad_trials_study_state", _TRIALS)


def downgrade() -> None:
    op.create_index("ix_alphagrad_trials_study_state", _TRIALS, ["study_id", "state"], unique=False)
    op.drop_index("ix_alphagrad_trials_front", _TRIALS)
    op.drop_index("ix_alphagrad_trials_untold", _TRIALS)
    op.drop_index("ix_alphagrad_trials_state_value", _TRIALS)
    op.drop_index("ix_alphagrad_trials_state_number", _TRIALS)
