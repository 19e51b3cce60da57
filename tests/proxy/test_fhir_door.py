"""A FHIR server as they are, behind the real door: what it adds is withheld and told, and its pages are followed."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.formats.model import FoundAccount
from gateway.organisations import links, undeclared
from gateway.organisations.undeclared import Undeclareds
from tests.proxy.bank import Answer, Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation, answer

BASE = "/v2/fhir"
CLAIMS = f"{BASE}/ExplanationOfBenefit"
PATIENT = "patient-20140000008325"
_numbers = itertools.count(1)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "x", "diagnostics": "never"}]}


def claim(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ExplanationOfBenefit",
        "id": "c1",
        "status": "active",
        "type": {"text": "pharmacy"},
        "use": "claim",
        "patient": {"reference": f"Patient/{PATIENT}/_history/1"},
        "billablePeriod": {"start": "2026-10-01", "end": "2026-10-01"},
        "created": "2026-10-02",
        "insurer": {"display": "Meadow"},
        "provider": {"display": "Clinic"},
        "outcome": "complete",
        "insurance": [{"focal": True, "coverage": {"display": "Plan A"}}],
        **more,
    }


class Server(Bank):
    """Alice's claims at a FHIR server of this test alone, shared with an app."""

    def __init__(self, world: World, organisation: RawOrganisation, *paths: str) -> None:
        number = next(_numbers)
        self.world, self.organisation = world, organisation
        self.id, self.person, self.app = f"fhir-{number}", f"alice-fhir-{number}", f"fhir-app-{number}"
        world.organisation(self.id, "health", organisation.url, {"health.claims": list(paths)})
        world.app(self.app)
        world.person(self.person)
        world.link(self.person, self.id, [PATIENT])
        self.ref = world.ref(self.app, self.person, self.id, PATIENT)
        item = world.item(self.id, "health.claims", ["claims.dates", "claims.type"], [self.ref])
        self.token = world.token(world.consent(self.person, self.app, [item]), [self.id], self.app)

    @property
    def path(self) -> str:
        return f"/data/{self.id}{CLAIMS}"

    def says(self, *resources: dict[str, Any], following: str = "", **parts: Any) -> Answer:
        links = [{"relation": "next", "url": following}] if following else []
        entries = [{"resource": each, "search": {"mode": "match"}} for each in resources]
        entries.append({"resource": OUTCOME, "search": {"mode": "outcome"}})
        document = {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries, **parts}
        self.organisation.says(answer(json.dumps(document).encode(), kind="application/fhir+json"))
        return self.reads()


@pytest.fixture
def server(world: World, organisation: RawOrganisation) -> Iterator[Server]:
    organisation.reset()
    object.__setattr__(world.house, "undeclared", Undeclareds())
    yield Server(world, organisation)


def test_what_a_server_adds_is_withheld_and_the_operator_is_told_where(server: Server) -> None:
    given = server.says(claim(newMember={"a": "never"}))
    assert given.status == 200, given.body
    [entry] = given.json["entry"]
    assert entry["resource"]["type"] == {"text": "pharmacy"} and b"never" not in given.body
    assert PATIENT.encode() not in given.body
    server.world.house.undeclared.write(server.world.house.store)
    with server.world.house.store.read() as session:
        [row] = undeclared.all_of(session, server.id)
    assert (row.dataset, row.place, row.answers) == ("health.claims", "entry.resource.newMember", 1)


@pytest.mark.parametrize("more", [{"modifierExtension": []}, {"newMember": 1, "patient": {"display": "Alice"}}])
def test_what_cannot_be_judged_gives_nothing(server: Server, more: dict[str, Any]) -> None:
    given = server.says(claim(), claim(**more))
    assert given.status == 502 and b"pharmacy" not in given.body


def test_a_server_that_pages_at_its_own_base_is_followed_to_the_end(server: Server) -> None:
    first = server.says(claim(), following="http://hapi.internal:8080/fhir?_getpages=8f3c&_getpagesoffset=10")
    assert first.status == 200 and b"8f3c" not in first.body and b"internal" not in first.body
    address = next(link["url"] for link in first.json["link"] if link["relation"] == "next")
    assert first.headers["link"] == f'<{address}>; rel="next"'
    server.organisation.seen.clear()
    again = server.reads(address[address.index("/data/") :])
    assert again.status == 200, again.body
    asked = server.organisation.seen[-1].target
    assert asked.startswith(f"{BASE}?") and "_getpages=8f3c" in asked and "service-date=ge" in asked
    spoilt = server.reads(address[address.index("/data/") : -2] + "AA")
    assert spoilt.status == 403 and len(server.organisation.seen) == 1


def test_a_next_page_that_leads_nowhere_is_told_beside_the_page(server: Server) -> None:
    given = server.says(claim(), following="https://elsewhere.example/Patient?page=2")
    assert given.status == 200 and given.headers["aval-notice"] == "next-page-unusable"
    assert "link" not in given.headers and len(given.json["entry"]) == 1


@pytest.mark.parametrize("base", ["/fhir", "/baseR4", "/api/FHIR/R4"])
def test_a_server_may_have_another_base_than_the_usual_one(
    world: World, organisation: RawOrganisation, base: str
) -> None:
    paths = [f"{base}/ExplanationOfBenefit", f"{base}/ExplanationOfBenefit/{{id}}"]
    server = Server(world, organisation, *paths)
    following = f"{organisation.url}{base}?_getpages=8f3c&_getpagesoffset=10"
    server.says(claim(), following=following)
    first = Bank.reads(server, f"/data/{server.id}{base}/ExplanationOfBenefit")
    assert first.status == 200, first.body
    assert organisation.seen[-1].target.startswith(f"{base}/ExplanationOfBenefit?")
    [link] = [each["url"] for each in first.json["link"] if each["relation"] == "next"]
    assert f"/data/{server.id}{base}/ExplanationOfBenefit?" in link
    assert Bank.reads(server, link.removeprefix(world.settings.public_url)).status == 200
    assert organisation.seen[-1].target.startswith(f"{base}?") and "_getpages=8f3c" in organisation.seen[-1].target
    assert Bank.reads(server, server.path).status == 403


def test_a_claim_of_before_what_was_agreed_is_not_there_and_one_within_is(
    world: World, organisation: RawOrganisation
) -> None:
    """The app cannot tell it from one that does not exist."""
    server = Server(world, organisation, CLAIMS, f"{CLAIMS}/{{id}}")
    item = world.item(server.id, "health.claims", ["claims.dates", "claims.type", "claims.ids"], [server.ref])
    server.token = world.token(world.consent(server.person, server.app, [item]), [server.id], server.app)
    told = []
    for start in ("2026-10-01", "1999-10-01"):
        body = json.dumps(claim(billablePeriod={"start": start, "end": start}, created=start)).encode()
        organisation.says(answer(body, kind="application/fhir+json"))
        told.append(Bank.reads(server, f"{server.path}/c1"))
    organisation.says(answer(b"{}", "404 Not Found", kind="application/fhir+json"))
    told.append(Bank.reads(server, f"{server.path}/c1"))
    assert [each.status for each in told] == [200, 404, 404], told[0].body
    assert told[1].reason == told[2].reason == "not_there" and told[1].json.keys() == told[2].json.keys()
    assert server.log()[-2]["reason"] == "not_there"


def test_where_nobody_is_left_of_whom_she_agreed_to_nothing_is_asked(server: Server) -> None:
    assert server.says(claim()).status == 200
    asked = len(server.organisation.seen)
    keys = server.world.house.keys
    with server.world.house.store.write() as session:
        link = links.current(session, server.person, server.id)
        assert link is not None
        links.store_accounts(session, keys, link.id, [FoundAccount("another-patient", "another", "")])
    refused = server.reads()
    assert (refused.status, refused.reason, refused.json["term"]) == (403, "account", "accounts")
    assert len(server.organisation.seen) == asked
