"""The shop, its event log, and runs of recommendations.

Written out rather than made from the code's tables: those will change, and what this migration makes must not.
"""

import sqlalchemy as sa
from alembic import op

from petstore.sse import create_log

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_EVENT_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table, and start the log's clock."""
    _create_event_log()
    _create_pets()
    _create_customers()
    _create_orders()
    _create_runs()
    create_log(op.get_bind())


def downgrade() -> None:
    """Drop every table, with all that is in them."""
    for table in (
        "runs",
        "demo_orders",
        "orders",
        "likes",
        "customers",
        "pets",
        "leases",
        "event_trims",
        "events",
        "event_clock",
    ):
        op.drop_table(table)


def _create_event_log() -> None:
    op.create_table(
        "event_clock",
        sa.Column("origin", _EVENT_ID, autoincrement=False),
        sa.Column("last_id", _EVENT_ID, nullable=False),
        sa.Column("trimmed_id", _EVENT_ID, nullable=False),
        sa.PrimaryKeyConstraint("origin"),
    )
    op.create_table(
        "events",
        sa.Column("id", _EVENT_ID, autoincrement=False),
        sa.Column("topic", sa.String(200), nullable=False),
        sa.Column("type", sa.String(60), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("events_topic_id", "events", ["topic", "id"])
    op.create_table(
        "event_trims",
        sa.Column("topic", sa.String(200)),
        sa.Column("last_id", _EVENT_ID, nullable=False),
        sa.PrimaryKeyConstraint("topic"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(60)),
        sa.Column("holder", sa.String(40), nullable=False),
        sa.Column("expires_at", _EVENT_ID, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_pets() -> None:
    op.create_table(
        "pets",
        sa.Column("id", sa.String(36)),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("species", sa.String(20), nullable=False),
        sa.Column("breed", sa.String(80), nullable=False),
        sa.Column("age_months", sa.Integer(), nullable=False),
        sa.Column("size", sa.String(20), nullable=False),
        sa.Column("color", sa.String(40), nullable=False),
        sa.Column("gender", sa.String(20), nullable=False),
        sa.Column("good_with_kids", sa.Boolean(), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("stock", sa.Integer(), nullable=False),
        sa.Column("temperament", sa.JSON(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("medical", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("stock >= 0", name="pets_stock"),
        sa.CheckConstraint("price_cents >= 0", name="pets_price"),
    )
    op.create_index("pets_filter", "pets", ["status", "species", "size", "good_with_kids", "age_months", "id"])


def _create_customers() -> None:
    op.create_table(
        "customers",
        sa.Column("id", sa.String(36)),
        sa.Column("username", sa.String(50), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("first_name", sa.String(80), nullable=False),
        sa.Column("last_name", sa.String(80), nullable=False),
        sa.Column("preferences", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("username"),
    )
    op.create_table(
        "likes",
        sa.Column("customer_id", sa.String(36)),
        sa.Column("pet_id", sa.String(36)),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "pet_id"),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["pet_id"], ["pets.id"], ondelete="CASCADE"),
    )
    op.create_index("likes_pet", "likes", ["pet_id"])


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.String(36)),
        sa.Column("pet_id", sa.String(36), nullable=False),
        sa.Column("customer_id", sa.String(36)),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("total_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("tracking_number", sa.String(18)),
        sa.Column("step", sa.String(20)),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("quantity > 0", name="orders_quantity"),
        sa.ForeignKeyConstraint(["pet_id"], ["pets.id"]),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"]),
        sa.UniqueConstraint("tracking_number"),
    )
    op.create_index("orders_due", "orders", ["due_at"])
    op.create_index("orders_customer", "orders", ["customer_id", "id"])
    op.create_index("orders_pet", "orders", ["pet_id"])
    op.create_table(
        "demo_orders",
        sa.Column("order_id", sa.String(36)),
        sa.Column("action", sa.String(10), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("order_id"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"]),
    )
    op.create_index("demo_orders_due", "demo_orders", ["action", "due_at"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(36)),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("runs_customer", "runs", ["customer_id", "status"])
    op.create_index("runs_status_created", "runs", ["status", "created_at"])
