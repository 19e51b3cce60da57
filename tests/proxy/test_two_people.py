"""Two people, one app, one address: nothing of the one is ever the other's; and reads by other names."""

import base64
import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.proxy.bank import BASE, NATIVE, NOON, PATHS, Answer, Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import Exchange, RawOrganisation, answer

_numbers = itertools.count(1)


class Customer(Bank):
    """Somebody with an account at the bank of both, shared with the app of both."""

    def __init__(self, world: World, organisation: RawOrganisation, bank: str, app: str) -> None:
        self.world, self.organisation = world, organisation
        self.id, self.app, self.person = bank, app, f"customer-{next(_numbers)}"
        world.person(self.person)
        self.subject = world.link(self.person, bank, [NATIVE]).subject  # one number: each bank counts from one
        world.run("UPDATE link SET credentials_sealed = NULL WHERE person_id = :person", person=self.person)
        self.ref = world.ref(app, self.person, bank, NATIVE)
        fields = ["account.kind", "account.name"]
        self.consent = world.consent(self.person, app, [world.item(bank, "bank.accounts", fields, [self.ref])])
        self.token = world.token(self.consent, [bank], app)

    @property
    def path(self) -> str:
        return f"/data/{self.id}{BASE}/accounts"


@pytest.fixture
def both(world: World, organisation: RawOrganisation) -> tuple[Customer, Customer]:
    organisation.reset()
    number = next(_numbers)
    bank, app = f"both-{number}", f"both-app-{number}"
    world.organisation(bank, "bank", organisation.url, PATHS, kind="assertion")
    world.app(app)

    async def behave(exchange: Exchange) -> None:
        """The name of the account is the subject that was asked for."""
        body = exchange.headers["authorization"].split(".")[1]
        subject = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["sub"]
        row = {"AccountId": NATIVE, "Currency": "EUR", "AccountCategory": "Personal", "AccountTypeCode": "CACC",
               "Nickname": subject}  # fmt: skip
        page = json.dumps({"Data": {"Account": [row]}, "Links": {"Self": "/a"}, "Meta": {}}).encode()
        await exchange.say(answer(page, Cache_Control="public, max-age=3600", ETag='"one"', Vary="Accept", Age="5"))

    organisation.behaviour = behave
    return Customer(world, organisation, bank, app), Customer(world, organisation, bank, app)


def whose(found: Answer) -> tuple[str, str]:
    row = found.json["Data"]["Account"][0]
    return row["Nickname"], row["AccountId"]


def test_one_address_gives_each_her_own(both: tuple[Customer, Customer]) -> None:
    alice, bob = both
    assert alice.path == bob.path and alice.ref != bob.ref
    for who in (alice, bob, alice, bob):
        found = who.reads()
        assert whose(found) == (who.subject, who.ref)
        assert found.headers["cache-control"] == "private, no-store"
        assert not {"etag", "age", "vary", "expires", "last-modified"} & found.headers.keys()
    assert len(alice.organisation.seen) == 4  # nothing was kept in between


def test_many_at_once_on_shared_connections_are_never_mixed(both: tuple[Customer, Customer]) -> None:
    asked = [who for _ in range(60) for who in both]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda who: who.reads(), asked))
    assert [whose(found) for found in answers] == [(who.subject, who.ref) for who in asked]


def test_a_token_of_alice_and_a_validator_of_bob_give_nothing_of_bobs(both: tuple[Customer, Customer]) -> None:
    alice, bob = both
    bob.reads()
    found = alice.reads(If_None_Match='"one"', If_Modified_Since="Mon, 23 Nov 2037 10:00:00 GMT")
    assert found.status == 200 and whose(found)[0] == alice.subject


def test_each_has_her_own_entries(both: tuple[Customer, Customer]) -> None:
    alice, bob = both
    alice.reads()
    bob.reads()
    bob.reads()
    assert (alice.world.kinds(alice.person), bob.world.kinds(bob.person)) == (["access"], ["access", "access"])
    assert alice.log()[0]["accounts"] == [alice.ref] and bob.log()[0]["accounts"] == [bob.ref]


# ---- parts, conditions and heads are reads like any other


@pytest.mark.parametrize(
    "fields",
    [
        {"Range": "bytes=0-0"},
        {"Range": "bytes=-1"},
        {"Range": "bytes=" + ",".join(f"{n}-{n}" for n in range(1000))},
        {"Range": "bytes=0-0", "If_Range": '"one"'},
        {"If_None_Match": '"one"'},
        {"If_None_Match": "*"},
        {"If_Modified_Since": "Mon, 23 Nov 2037 10:00:00 GMT"},
        {"If_Match": '"two"'},
        {"Cache_Control": "only-if-cached"},
    ],
    ids=lambda fields: "+".join(f"{name}:{value[:12]}" for name, value in fields.items()),
)
def test_a_part_or_a_condition_is_a_whole_read_with_its_entry(bank: Bank, fields: dict[str, str]) -> None:
    whole = bank.reads()
    found = bank.reads(**fields)
    assert (found.status, found.body) == (200, whole.body)
    assert "content-range" not in found.headers and "accept-ranges" not in found.headers
    assert not {"range", "if-none-match", "if-modified-since", "if-range", "if-match"} & {
        name.lower() for name in bank.organisation.seen[-1].headers
    }
    first, second = bank.log()
    told = ("event", "outcome", "records", "bytes", "datasets")
    assert [first[name] for name in told] == [second[name] for name in told]


@pytest.mark.parametrize("status", ["304 Not Modified", "206 Partial Content", "416 Range Not Satisfiable"])
def test_a_part_or_nothing_from_the_organisation_is_no_answer_and_is_logged(bank: Bank, status: str) -> None:
    bank.organisation.says(f"HTTP/1.1 {status}\r\nETag: x\r\nContent-Length: 0\r\n\r\n".encode())
    assert bank.reads(If_None_Match="x", Range="bytes=0-1").status == 502
    assert bank.world.kinds(bank.person) == ["denied"]


def test_a_head_uses_up_a_use_like_a_get(bank: Bank) -> None:
    bank.agrees(frequency=[{"times": 2, "per": "day", "zone": NOON}])
    assert [bank.reads(method=method).status for method in ("HEAD", "GET", "HEAD")] == [200, 200, 429]
