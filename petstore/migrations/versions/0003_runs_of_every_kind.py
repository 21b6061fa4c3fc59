"""Runs of chat as well as of recommendations, their leases for clients, and keys that start no second one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table anew, with what there was: SQLite can't change a column's rules."""
    _rename_old()
    op.create_table(
        "runs",
        sa.Column("id", sa.String(36)),
        sa.Column("tenant", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("customer_id", sa.String(64)),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("key", sa.String(64)),
        sa.Column("engine", sa.String(20), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.BigInteger(), nullable=False),
        sa.Column("watched_until", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", name="runs_key"),
    )
    op.execute(
        "INSERT INTO runs SELECT id, tenant, 'RECOMMENDATIONS', customer_id, '{\"limit\": 10}', NULL, 'embedded', status, 0, "
        "holder, expires_at, 60000000, expires_at + 60000000, created_at FROM runs_before"
    )
    _drop_old()
    op.create_table(
        "audiences",
        sa.Column("run_id", sa.String(36)),
        sa.Column("holder", sa.String(32)),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "holder"),
    )


def downgrade() -> None:
    """Make the old table, with the runs that it can hold."""
    op.drop_table("audiences")
    _rename_old()
    op.create_table(
        "runs",
        sa.Column("id", sa.String(36)),
        sa.Column("tenant", sa.String(36), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(
        "INSERT INTO runs SELECT id, tenant, customer_id, status, holder, expires_at, created_at FROM runs_before "
        "WHERE kind = 'RECOMMENDATIONS' AND customer_id IS NOT NULL"
    )
    _drop_old()


def _rename_old() -> None:
    op.drop_index("runs_customer", "runs")
    op.drop_index("runs_status_created", "runs")
    op.rename_table("runs", "runs_before")


def _drop_old() -> None:
    op.drop_table("runs_before")
    op.create_index("runs_customer", "runs", ["tenant", "customer_id", "status"])
    op.create_index("runs_status_created", "runs", ["status", "created_at"])
