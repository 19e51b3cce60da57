"""Imports every table of the gateway, which fills SQLModel's metadata.

This file lies beside the composition root, above all rooms; its metadata is passed to `store.migrate`.
"""

from sqlmodel import SQLModel

import gateway.apps.tables
import gateway.authorization.tables
import gateway.consent.tables
import gateway.ground.store.tables
import gateway.ledger.tables
import gateway.log.tables
import gateway.notices.tables
import gateway.organisations.tables
import gateway.people.tables
import gateway.signals.tables

TABLES = (
    gateway.ground.store.tables,
    gateway.people.tables,
    gateway.apps.tables,
    gateway.organisations.tables,
    gateway.consent.tables,
    gateway.authorization.tables,
    gateway.log.tables,
    gateway.ledger.tables,
    gateway.notices.tables,
    gateway.signals.tables,
)

metadata = SQLModel.metadata
