"""API keys that expire, rotate and have quotas; studies' owners; the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEYS = "alphagrad_api_keys"
_TIMES = ("last_used_at", "expires_at", "revoked_at", "previous_until")
_QUOTAS = ("max_open_studies", "max_running_trials", "max_requests_per_minute")


def upgrade() -> None:
    for name in _TIMES:
        op.add_column(_KEYS, sa.Column(name, sa.Float(precision=53), nullable=True))
    op.add_column(_KEYS, sa.Column("previous_hash", sa.String(length=64), nullable=True))
    for name in _QUOTAS:
        op.add_column(_KEYS, sa.Column(name, sa.Integer(), nullable=True))
    op.add_column("alphagrad_studies", sa.Column("owner", sa.String(length=100), nullable=True))
    op.create_table(
        "alphagrad_audit",
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("key_name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("study", sa.String(length=100), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=200), nullable=True),
        sa.Column("client", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_alphagrad_audit_at", "alphagrad_audit", ["at"], unique=False)


def downgrade() -> None:
    op.drop_table("alphagrad_audit")
    op.drop_column("alphagrad_studies", "owner")
    for name in (*_QUOTAS, "previous_hash", *_TIMES):
        op.drop_column(_KEYS, name)
