"""Runs migrations for Alembic, on the connection and in the transaction that `petstore.migrations.schema` hands over.

Must not connect by itself. Migrations are numbered and written by hand: a test holds what they make against the tables
that the code describes, and says what is missing.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
