"""Data calls with an exchanged token (RFC 8693): by an app's processor, by a child's guardian, as long as they may."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.consent.rules import Act
from gateway.ground.web.translations import Translations
from gateway.log.sentences import Voice
from gateway.people import accounts
from gateway.people.tables import Person
from gateway.rooms import RoomNames
from tests.proxy.bank import BASE, FIELDS, NATIVE, NOON, Bank
from tests.proxy.raw import answer, transactions

RECIPIENT = {"name": "Bills Ltd", "role": "printing", "country": "FR"}


class Shared:
    """Alice shares her account with an app, and agrees that it is passed on to `bills`, an app of its own."""

    def __init__(self, bank: Bank) -> None:
        self.bank, self.world, self.bills = bank, bank.world, f"{bank.app}-bills"
        self.recipients = [RECIPIENT, {**RECIPIENT, "client_id": self.bills}]
        self.world.app(self.bills)
        self.world.app(bank.app, recipients=self.recipients)
        self.agrees()

    def agrees(self, datasets: tuple[str, ...] = ("bank.transactions",), **terms: Any) -> None:
        bank, fields = self.bank, {"bank.transactions": FIELDS, "bank.accounts": ["account.kind"]}
        items = [self.world.item(bank.id, name, fields[name], [bank.ref], **terms) for name in datasets]
        bank.consent = self.world.consent(bank.person, bank.app, items, recipients=self.recipients)
        bank.token = self.world.token(bank.consent, [bank.id], bank.app)

    def token(self, by: str = "", **claims: Any) -> str:
        who = by or self.bills
        said = {"act": {"sub": who}, "grant_client": self.bank.app, **claims}
        return self.world.token(self.bank.consent, [self.bank.id], who, **said)

    def run(self, statement: str, **values: Any) -> None:
        self.world.run(statement, **values)

    def told(self, language: str = "en") -> list[str]:
        """Her log as sentences."""
        house = self.world.house
        with house.store.read() as session:
            names = RoomNames(session, house.catalogue)
            speaks = Voice(language, Translations().of(language), ZoneInfo("Europe/Paris"), names)
            return [speaks.tell(one["event"], one["actor"], one).sentence for one in self.bank.log()]


@pytest.fixture
def shared(bank: Bank) -> Shared:
    async def behave(exchange: Any) -> None:
        await exchange.say(answer(transactions(NATIVE, count=2)))

    bank.organisation.behaviour = behave
    return Shared(bank)


def test_a_processor_reads_what_was_agreed_and_her_log_names_both(shared: Shared) -> None:
    found = shared.bank.reads(token=shared.token())
    assert found.status == 200 and len(found.json["Data"]["Transaction"]) == 2
    [entry] = shared.bank.log()
    assert (entry["client"], entry["processor"], entry["actor"]) == (shared.bank.app, shared.bills, "app")
    assert shared.bank.reads().status == 200
    by_both, by_app = shared.told()
    assert by_both.startswith(f"{shared.bills.capitalize()} (for {shared.bank.app}) read your data at {shared.bank.id}")
    assert by_app.startswith(f"{shared.bank.app.capitalize()} read your data")
    assert f"(pour {shared.bank.app}) a lu vos données" in shared.told("fr")[0]


def test_its_refusals_name_both_too(shared: Shared) -> None:
    assert shared.bank.reads(f"/data/{shared.bank.id}{BASE}/parties", token=shared.token()).reason == "dataset"
    assert shared.bank.reads(f"/data/nowhere{BASE}/accounts", token=shared.token()).status == 403
    assert all(entry["processor"] == shared.bills for entry in shared.bank.log())
    assert all(f"(for {shared.bank.app}) asked for" in sentence for sentence in shared.told())


def test_uses_count_together_with_the_apps_own(shared: Shared) -> None:
    shared.agrees(frequency=[{"times": 2, "per": "day", "zone": NOON}])
    tokens = [shared.token(), None, shared.token()]
    assert [shared.bank.reads(token=each).status for each in tokens] == [200, 200, 429]
    assert shared.bank.reads().status == 429


@pytest.mark.parametrize(
    "claims",
    [
        {"grant_client": None},
        {"grant_client": ""},
        {"grant_client": "another-app"},
        {"client_id": "mallory-app"},
        {"act": None},
        {"act": {}},
        {"act": {"sub": "mallory-app"}},
        {"act": {"sub": ""}},
        {"act": "bills"},
        {"authorization_details": "all"},
        {"authorization_details": [1]},
    ],
)
def test_a_token_that_contradicts_itself_opens_nothing(shared: Shared, claims: dict[str, Any]) -> None:
    assert shared.bank.reads(token=shared.token(**claims)).status == 401
    assert not shared.bank.organisation.seen


def test_a_chain_of_actors_opens_nothing(shared: Shared) -> None:
    chain = {"sub": shared.bills, "act": {"sub": "another-app"}}
    assert shared.bank.reads(token=shared.token(act=chain)).status == 401


def test_mallorys_app_is_no_recipient(shared: Shared) -> None:
    shared.world.app("mallory-app")
    assert shared.bank.reads(token=shared.token("mallory-app")).status == 401
    assert not shared.bank.organisation.seen and not shared.bank.log()


def ended(shared: Shared) -> None:
    shared.world.change(shared.bank.consent, Act.ENDED, "withdrawn")


def family(shared: Shared) -> None:
    at = datetime.now(UTC).isoformat()
    shared.run("UPDATE tokenfamily SET ended_at = :at WHERE consent_id = :id", at=at, id=shared.bank.consent)


def app_suspended(shared: Shared) -> None:
    shared.run("UPDATE app SET status = 'suspended' WHERE client_id = :id", id=shared.bank.app)


def processor_suspended(shared: Shared) -> None:
    shared.run("UPDATE app SET status = 'suspended' WHERE client_id = :id", id=shared.bills)


def named_no_more(shared: Shared) -> None:
    shared.world.app(shared.bank.app, recipients=[RECIPIENT])


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        (ended, 403, "ended"),
        (family, 401, ""),
        (app_suspended, 403, "suspended"),
        (processor_suspended, 403, "suspended"),
        (named_no_more, 401, ""),
    ],
)
def test_it_is_refused_from_the_very_next_call(
    shared: Shared, end: Callable[[Shared], None], status: int, reason: str
) -> None:
    token = shared.token()
    assert shared.bank.reads(token=token).status == 200
    end(shared)
    found = shared.bank.reads(token=token)
    assert found.status == status and (not reason or found.reason == reason)
    assert len(shared.bank.organisation.seen) == 1


def test_the_app_itself_goes_on_when_its_processor_is_suspended(shared: Shared) -> None:
    processor_suspended(shared)
    assert shared.bank.reads(token=shared.token()).reason == "suspended"
    assert shared.bank.reads().status == 200


def test_who_was_named_only_afterwards_reads_nothing(shared: Shared) -> None:
    later = {**RECIPIENT, "client_id": "later-app"}
    shared.world.app("later-app")
    shared.world.app(shared.bank.app, recipients=[*shared.recipients, later])
    assert shared.bank.reads(token=shared.token("later-app")).status == 401


def test_a_token_for_fewer_types_of_data_reads_no_others(shared: Shared) -> None:
    shared.agrees(("bank.transactions", "bank.accounts"))
    bank = shared.bank
    place = f"{bank.world.settings.public_url}/data/{bank.id}"

    def part(dataset: str) -> list[dict[str, Any]]:
        return [{"type": "data_access", "locations": [place], "datatypes": [dataset]}]

    narrow = shared.token(authorization_details=part("bank.accounts"))
    assert bank.reads(token=shared.token()).status == bank.reads().status == 200
    refused = bank.reads(token=narrow)
    assert (refused.status, refused.reason) == (403, "dataset")
    assert bank.reads(token=shared.token(authorization_details=part("bank.transactions"))).status == 200
    assert bank.reads(token=shared.token(authorization_details=[])).status == 401


# ---- a guardian


@pytest.fixture
def child(shared: Shared) -> Shared:
    """Her account is a child's, for whom `guardian` decides."""
    world, bank = shared.world, shared.bank
    now = world.clock()
    born = date(now.year - 10, 1, 1)
    with world.house.store.write() as session:
        session.merge(Person(id=f"guardian-{bank.person}", email=f"g-{bank.person}@example.org", name="Germaine",
                             created_at=now))  # fmt: skip
        session.flush()
        row = session.get_one(Person, bank.person)
        row.birth_date, row.guardian_id = born, f"guardian-{bank.person}"
    items = [world.item(bank.id, "bank.transactions", FIELDS, [bank.ref])]
    bank.consent = world.consent(bank.person, bank.app, items, capacity="guardian")
    return shared


def guardians(child: Shared, who: str = "") -> str:
    bank = child.bank
    sub = child.world.house.keys.pairwise(who or f"guardian-{bank.person}", bank.app)
    return child.world.token(bank.consent, [bank.id], bank.app, act={"sub": sub})


def test_the_log_says_that_the_guardian_looked(child: Shared) -> None:
    assert child.bank.reads(token=guardians(child)).status == 200
    [entry] = child.bank.log()
    assert (entry["actor"], entry["guardian_name"]) == ("guardian", "Germaine")
    [sentence] = child.told()
    assert sentence.startswith(f"Germaine, as your guardian, looked, in {child.bank.app}, at your data at")
    assert "a regardé, dans" in child.told("fr")[0]


def test_nobody_else_looks_in_her_place(child: Shared) -> None:
    for who in ("mallory", child.bank.person):
        assert child.bank.reads(token=guardians(child, who)).status == 401


def test_a_guardian_no_more_looks_no_more(child: Shared) -> None:
    token = guardians(child)
    assert child.bank.reads(token=token).status == 200
    with child.world.house.store.write() as session:
        row, today = session.get_one(Person, child.bank.person), child.world.clock().date()
        assert accounts.appoint_guardian(session, row, None, today, 15) is None
    assert child.bank.reads(token=token).status == 401


def test_nor_does_she_once_the_child_has_come_of_age(child: Shared) -> None:
    token = guardians(child)
    assert child.bank.reads(token=token).status == 200
    of_age = child.world.clock() - timedelta(days=366 * 25)
    with child.world.house.store.write() as session:
        session.get_one(Person, child.bank.person).birth_date = of_age.date()
    assert child.bank.reads(token=token).status == 401
