"""Run by Alembic. store/migrate.py provides the connection and has already begun the transaction."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes.get("metadata"),
    render_as_batch=True,  # SQLite can only change a column by making the table again
    compare_type=True,
    transaction_per_migration=False,
    transactional_ddl=False,  # Alembic must not BEGIN or COMMIT inside our transaction
)
context.run_migrations()
