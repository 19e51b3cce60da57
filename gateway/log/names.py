"""What identifiers in entries are called: the catalogue for types of data, single rows for the rest.

By plain SQL: the log may not import the rooms above it, and a name is all it wants from them.
"""

import json
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlmodel import Session

from gateway.log.sentences import Words

if TYPE_CHECKING:
    from gateway.catalogue import Catalogue


class HouseNames:
    """`sentences.Names` for one session; each name is looked up once."""

    def __init__(self, session: Session, catalogue: "Catalogue") -> None:
        self._session, self._catalogue = session, catalogue
        self.app = cache(self._app)
        self.organisation = cache(self._organisation)

    def _app(self, client: str) -> Words | None:
        return self._name("SELECT metadata FROM app WHERE client_id = :id", client)

    def _organisation(self, organisation: str) -> Words | None:
        return self._name("SELECT declaration FROM organisation WHERE id = :id", organisation)

    def _name(self, sql: str, identifier: str) -> Words | None:
        found = self._session.execute(text(sql), {"id": identifier}).scalar()
        name: Words | None = json.loads(found).get("name") if found else None
        return name

    def dataset(self, dataset: str) -> Words | None:
        known = self._catalogue.datasets.get(dataset)
        return known.label if known else None

    def field(self, field: str) -> Words | None:
        known = (dataset.fields[field] for dataset in self._catalogue.datasets.values() if field in dataset.fields)
        found = next(known, None)
        return found.label if found else None

    def purpose(self, purpose: str) -> Words | None:
        known = self._catalogue.purposes.get(purpose)
        return known.title if known else None

    def person(self, person: str) -> str | None:
        name = self._session.execute(text("SELECT name FROM person WHERE id = :id"), {"id": person}).scalar()
        return str(name) if name else None


def operator(session: Session, client: str) -> str:
    """The legal entity behind an app; "" when it is not known any more."""
    found = session.execute(text("SELECT metadata FROM app WHERE client_id = :id"), {"id": client}).scalar()
    return str(json.loads(found).get("legal_entity", "")) if found else ""


def apps_of(session: Session, person: str) -> list[str]:
    """Apps that ever asked this person for something."""
    sql = "SELECT DISTINCT app_id FROM consent WHERE person_id = :p ORDER BY app_id"
    return [str(client) for (client,) in session.execute(text(sql), {"p": person})]


def organisations(session: Session) -> list[str]:
    return [str(name) for (name,) in session.execute(text("SELECT id FROM organisation ORDER BY id"))]
