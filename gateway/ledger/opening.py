"""The ledger of a store: the one place that knows which of the two belongs to which engine."""

from gateway.ground.store import Store
from gateway.ground.store.sqlite.engine import SqliteStore
from gateway.ledger.contract import Ledger
from gateway.ledger.sqlite import SqliteLedger
from gateway.log import Log


def open_ledger(store: Store, log: Log) -> Ledger:
    if isinstance(store, SqliteStore):
        return SqliteLedger(store, log)
    from gateway.ground.store.postgres.engine import PostgresStore  # here: with a file alone no driver is loaded
    from gateway.ledger.postgres import PostgresLedger

    assert isinstance(store, PostgresStore)
    return PostgresLedger(store, log)
