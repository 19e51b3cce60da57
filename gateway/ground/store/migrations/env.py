"""Run by Alembic: the connection comes from store/migrate.py, its transaction is already open."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes.get("metadata"),
    render_as_batch=True,  # SQLite changes a column only by making the table anew
    compare_type=True,
    transaction_per_migration=False,
    transactional_ddl=False,  # no BEGIN or COMMIT of Alembic's own inside ours
)
context.run_migrations()
