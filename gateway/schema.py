"""Every table of the gateway, in one literal list: importing this module fills SQLModel's metadata.

It stands beside the composition root, above all rooms; `store.migrate` is handed what it finds.
"""

from sqlmodel import SQLModel

import gateway.apps.tables
import gateway.authorization.tables
import gateway.consent.tables
import gateway.ground.store.tables
import gateway.ledger.tables
import gateway.log.tables
import gateway.organisations.tables
import gateway.people.tables

TABLES = (
    gateway.ground.store.tables,
    gateway.people.tables,
    gateway.apps.tables,
    gateway.organisations.tables,
    gateway.consent.tables,
    gateway.authorization.tables,
    gateway.log.tables,
    gateway.ledger.tables,
)

metadata = SQLModel.metadata
