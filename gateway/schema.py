"""Every table of the gateway, in one literal list: importing this module fills SQLModel's metadata.

It stands beside the composition root, above all rooms; `store.migrate` is handed what it finds.
"""

from sqlmodel import SQLModel

import gateway.apps.tables
import gateway.authorization.tables
import gateway.consent.tables
import gateway.log.tables
import gateway.organisations.tables
import gateway.people.tables
import gateway.proxy.tables
import gateway.store.tables

TABLES = (
    gateway.store.tables,
    gateway.people.tables,
    gateway.apps.tables,
    gateway.organisations.tables,
    gateway.consent.tables,
    gateway.authorization.tables,
    gateway.log.tables,
    gateway.proxy.tables,
)

metadata = SQLModel.metadata
