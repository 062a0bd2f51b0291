"""Run by Alembic, on the connection that `records.database` hands over."""

from alembic import context

from records.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
