"""When each tenant's copy of the demo shop was used last, so that one that nobody uses can make room."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table. Whoever has the demo's example customer is a copy; for all that is known, each was used just now."""
    op.create_table(
        "copies",
        sa.Column("tenant", sa.String(36)),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_index("copies_used", "copies", ["used_at"])
    at = time.time_ns() // 1000
    op.execute(f"INSERT INTO copies SELECT tenant, {at} FROM customers WHERE tenant <> '' AND id = 'user-456'")


def downgrade() -> None:
    """Remove the table."""
    op.drop_table("copies")
