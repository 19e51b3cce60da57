"""Two confidential apps that manage grants of energy data, and a person who answers what they ask."""

import re
from typing import Any

from authorization_world import Page, answered, usage
from sqlmodel import select

from gateway.consent import deciding
from gateway.consent.tables import Consent, ConsentEvent, Terms

FIELDS = {
    "energy.electricity.usage": ["interval.start", "interval.value", "interval.cost"],
    "energy.electricity.summary": ["summary.period", "summary.consumption"],
    "energy.point": ["point.location"],
}
USAGE, SUMMARY, POINT = FIELDS
CONFIDENTIAL: dict[str, Any] = {
    "token_endpoint_auth_method": "client_secret_basic",
    "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    "data": [
        {
            "organisation": "city-energy",
            "dataset": name,
            "fields": fields,
            "necessity": "required",
            "reason": {"fr": "Pour vous.", "en": "For you."},
        }
        for name, fields in FIELDS.items()
    ],
}


def wants(dataset: str, *fields: str, **changes: Any) -> dict[str, Any]:
    """One object of a request; optional unless said otherwise."""
    asked = {"datatypes": [dataset], "fields": list(fields or FIELDS[dataset][:2]), "necessity": "optional"}
    return usage(**asked | changes)


def box(dataset: str) -> str:
    return f"item:city-energy:{dataset}"


class Asking:
    def __init__(self, world: Any, app: str = "ledger") -> None:
        self.world, self.app = world, app

    def pushed(self, *details: dict[str, Any], **parameters: Any) -> str:
        return str(self.world.pushed(self.app, list(details), **parameters))

    def refused(self, *details: dict[str, Any], **parameters: Any) -> tuple[str, str]:
        answer = self.world.push(self.app, list(details) or None, **parameters)
        assert answer.status_code == 400, answer.text
        return answer.json()["error"], answer.json()["error_description"]

    def screen(self, address: str, person: str = "alice") -> tuple[Any, Page]:
        browser = self.world.browser(person)
        text = browser.get(address).text
        return browser, Page(text)

    def answers(self, address: str, *ticked: str, person: str = "alice", **more: Any) -> dict[str, str]:
        """What the app is answered, when the person ticks this."""
        browser, page = self.screen(address, person)
        assert page.action, browser.get(address).text[:3000]
        sent = {**page.fields, "decision": "allow", **dict.fromkeys(map(box, ticked), "yes"), **more}
        answer = browser.post(page.action, data=sent)
        assert answer.status_code == 303, text_of(answer.text)
        return answered(browser.get(answer.headers["location"]))

    def granted(self, address: str, *ticked: str, **more: Any) -> dict[str, Any]:
        """The token response of what she agreed to."""
        body: dict[str, Any] = self.world.redeem(self.answers(address, *ticked, **more)["code"], self.app).json()
        assert "access_token" in body, body
        return body

    def first(self, *datasets: str, **more: Any) -> dict[str, Any]:
        """A grant of these types of data, taken from point-1."""
        address = self.pushed(*(wants(one) for one in datasets))
        return self.granted(address, *datasets, **{"accounts:city-energy": "point-1", **more})


def told(body: dict[str, Any]) -> dict[str, list[str]]:
    """Type of data → fields, of a token response or a grant."""
    return {one["datatypes"][0]: one["fields"] for one in body["authorization_details"]}


def text_of(html: str) -> str:
    main = html.partition("<main")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def consent(world: Any, grant: str) -> Consent:
    with world.session() as session:
        found: Consent = session.get_one(Consent, grant)
        session.expunge(found)
        return found


def terms(world: Any, grant: str) -> dict[str, Any]:
    with world.session() as session:
        found = deciding.current(session, session.get_one(Consent, grant))
    assert found is not None
    return found


def versions(world: Any, grant: str) -> list[Terms]:
    with world.session() as session:
        return list(session.exec(select(Terms).where(Terms.consent_id == grant).order_by(Terms.version)))


def acts(world: Any, grant: str) -> list[str]:
    with world.session() as session:
        found = select(ConsentEvent).where(ConsentEvent.consent_id == grant).order_by(ConsentEvent.seq)
        return [one.type for one in session.exec(found)]


def kinds(world: Any, person: str = "alice") -> list[str]:
    return [event["event"] for event in world.events(person)]
