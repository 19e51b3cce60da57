"""Many live tokens beside those that are measured: families of the people who are there, a refresh token each, and as
many tokens of clients that were given back. Copied by the database from one row made by the gateway's own verbs."""

from datetime import timedelta

from gateway.authorization.tables import RefreshToken, SpentOnce, TokenFamily
from gateway.consent.tables import Consent
from gateway.ground.keys import fresh, hashed
from tests.worlds.served import Town

AT_ONCE = 10_000


def fill(town: Town, count: int) -> None:
    house, now = town.house, town.house.clock()
    until = now + timedelta(days=300)
    with house.store.write() as session:
        people = list(town.people.values())
        consents = [fresh() for _ in people]
        for consent, person in zip(consents, people, strict=True):
            session.add(
                Consent(
                    id=consent, person_id=person, app_id="meter", purpose="energy-advice", state="ended", asked="{}",
                    reason="withdrawn", created_at=now, ended_at=now,
                )
            )  # fmt: skip
    for first in range(0, count, AT_ONCE):
        with house.store.write() as session:
            _more(session, list(zip(consents, people, strict=True)), first, min(AT_ONCE, count - first), now, until)
    house.store.close()


def _more(session, owners, first, count, now, until) -> None:  # type: ignore[no-untyped-def]
    families, tokens, spent = [], [], []
    for number in range(first, first + count):
        consent, person = owners[number % len(owners)]
        family = fresh()
        families.append(
            {"id": family, "consent_id": consent, "client_id": "meter", "person_id": person, "auth_time": 0,
             "started_at": now, "expires_at": until}
        )  # fmt: skip
        tokens.append(
            {"id": hashed(family), "family_id": family, "client_id": "meter", "issued_at": now, "expires_at": until}
        )
        spent.append({"id": hashed(f"spent {number}"), "expires_at": until})
    for table, rows in ((TokenFamily, families), (RefreshToken, tokens), (SpentOnce, spent)):
        session.execute(table.__table__.insert(), rows)
