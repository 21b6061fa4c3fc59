"""The tables of all rooms as Alembic revisions, and what applies them: `migrate`."""

from petstore.migrations.schema import migrate as migrate
