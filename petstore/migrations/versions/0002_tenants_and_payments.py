"""Tenants, payments and idempotency keys. What there was belongs to the shared shop, whose tenant is ''.

Tables whose keys change are made anew and filled from the old ones: SQLite can't change a key. Written out rather than made
from the code's tables: those will change, and what this migration makes must not.
"""

from collections.abc import Sequence
from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REMADE = ("runs", "demo_orders", "orders", "likes", "customers", "pets")
"""Those that refer to others come first."""

INDEXES = {
    "pets": ("pets_filter",),
    "likes": ("likes_pet",),
    "orders": ("orders_due", "orders_customer", "orders_pet"),
    "demo_orders": ("demo_orders_due",),
    "runs": ("runs_customer", "runs_status_created"),
}


def upgrade() -> None:
    """Remake the tables, with everything that they hold."""
    _put_aside()
    for create in (_create_pets, _create_customers, _create_orders, _create_runs):
        create()
    for table in reversed(REMADE):
        columns, added = _columns(f"old_{table}"), NEW[table]
        _fill(table, (*columns, *added), (*columns, *added.values()), "")
    _drop_old()
    _create_payments()
    _create_idempotency_keys()


def downgrade() -> None:
    """Go back to tables without tenants, which keep the shared shop alone: the pets of all tenants have the same ids."""
    op.drop_table("idempotency_keys")
    op.drop_table("payments")
    _put_aside()
    before = import_module("petstore.migrations.versions.0001_first_tables")
    for create in (before._create_pets, before._create_customers, before._create_orders, before._create_runs):
        create()
    for table in reversed(REMADE):
        columns = _columns(table)
        _fill(table, columns, columns, "WHERE tenant = ''" if "tenant" in NEW[table] else "")
    _drop_old()


def _put_aside() -> None:
    for table in REMADE:
        for index in INDEXES.get(table, ()):
            op.drop_index(index, table)
        op.rename_table(table, f"old_{table}")


def _drop_old() -> None:
    for table in REMADE:
        op.drop_table(f"old_{table}")


NEW = {
    "pets": {"tenant": "''", "photos": "'[]'", "deleted_at": "NULL"},
    # Nobody has a password yet. When they came isn't known; no later than now, and no earlier than the log.
    "customers": {
        "tenant": "''",
        "phone": "NULL",
        "role": "'CUSTOMER'",
        "password_hash": "NULL",
        "tokens_from": "0",
        "created_at": "(SELECT origin FROM event_clock)",
        "updated_at": "(SELECT origin FROM event_clock)",
    },
    "likes": {"tenant": "''"},
    # Streams of orders went on from the head of the log as it was when the order was read.
    "orders": {"tenant": "''", "last_event_id": "(SELECT last_id FROM event_clock)"},
    "demo_orders": {},
    "runs": {"tenant": "''"},
}
"""The columns that the old tables did not have, and what is in them."""


def _columns(table: str) -> list[str]:
    return [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)]


def _fill(table: str, columns: Sequence[str], values: Sequence[str], condition: str) -> None:
    op.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM old_{table} {condition}")


def _create_pets() -> None:
    op.create_table(
        "pets",
        sa.Column("tenant", sa.String(36)),
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
        sa.Column("photos", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.CheckConstraint("stock >= 0", name="pets_stock"),
        sa.CheckConstraint("price_cents >= 0", name="pets_price"),
    )
    columns = ["tenant", "deleted_at", "status", "species", "size", "good_with_kids", "age_months", "id"]
    op.create_index("pets_filter", "pets", columns)


def _create_customers() -> None:
    op.create_table(
        "customers",
        sa.Column("tenant", sa.String(36)),
        sa.Column("id", sa.String(36)),
        sa.Column("username", sa.String(50), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("first_name", sa.String(80), nullable=False),
        sa.Column("last_name", sa.String(80), nullable=False),
        sa.Column("preferences", sa.JSON(), nullable=False),
        sa.Column("phone", sa.String(16)),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("password_hash", sa.String(200)),
        sa.Column("tokens_from", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("tenant", "username"),
    )
    op.create_table(
        "likes",
        sa.Column("tenant", sa.String(36)),
        sa.Column("customer_id", sa.String(36)),
        sa.Column("pet_id", sa.String(36)),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "customer_id", "pet_id"),
        sa.ForeignKeyConstraint(["tenant", "customer_id"], ["customers.tenant", "customers.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant", "pet_id"], ["pets.tenant", "pets.id"], ondelete="CASCADE"),
    )
    op.create_index("likes_pet", "likes", ["tenant", "pet_id"])


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.String(36)),
        sa.Column("tenant", sa.String(36), nullable=False),
        sa.Column("pet_id", sa.String(36), nullable=False),
        sa.Column("customer_id", sa.String(36)),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("total_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("tracking_number", sa.String(18)),
        sa.Column("step", sa.String(20)),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("last_event_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["tenant", "pet_id"], ["pets.tenant", "pets.id"]),
        sa.ForeignKeyConstraint(["tenant", "customer_id"], ["customers.tenant", "customers.id"]),
        sa.CheckConstraint("quantity > 0", name="orders_quantity"),
        sa.UniqueConstraint("tracking_number"),
    )
    op.create_index("orders_due", "orders", ["due_at"])
    op.create_index("orders_customer", "orders", ["tenant", "customer_id", "id"])
    op.create_index("orders_pet", "orders", ["tenant", "pet_id"])
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
        sa.Column("tenant", sa.String(36), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("runs_customer", "runs", ["tenant", "customer_id", "status"])
    op.create_index("runs_status_created", "runs", ["status", "created_at"])


def _create_payments() -> None:
    op.create_table(
        "payments",
        sa.Column("id", sa.String(36)),
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("decline", sa.String(80)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], ondelete="CASCADE"),
    )
    op.create_index("payments_order", "payments", ["order_id", "status"])


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.String(36)),
        sa.Column("caller", sa.String(80)),
        sa.Column("key", sa.String(255)),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "caller", "key"),
    )
    op.create_index("idempotency_keys_created", "idempotency_keys", ["created_at"])
