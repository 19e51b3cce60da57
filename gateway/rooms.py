"""Implements the protocols by which lower rooms ask higher ones. Part of the composition root.

The rooms `consent` and `log` may not import the rooms of people, apps and organisations. Each declares what it needs
as a protocol, which is implemented here by calling functions of those rooms.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from urllib.parse import parse_qsl, urlsplit

from sqlmodel import Session

from gateway import errors
from gateway.apps import views as apps
from gateway.apps.tables import App
from gateway.authorization import asked, logout, requests
from gateway.catalogue import Catalogue, Dataset, Words
from gateway.consent import asking
from gateway.consent.facts import AppView, Offered, OrganisationFacts, PersonFacts
from gateway.consent.itself import ITSELF
from gateway.consent.request import Ask
from gateway.consent.rules import State
from gateway.consent.tables import Consent
from gateway.ground.calendar.ages import comes_of_age, minor_now
from gateway.ground.web.context import Caller
from gateway.house import House
from gateway.organisations import links, views
from gateway.organisations.linking_pages import Waiting
from gateway.people import accounts
from gateway.people.tables import Person
from gateway.settings import LANGUAGES
from gateway.signals import hearing


@dataclass(frozen=True)
class Rooms:
    """Implements consent.facts.SharingFacts and log.sentences.Known."""

    house: House

    def app(self, session: Session, client_id: str) -> AppView:
        found = apps.find(session, client_id)
        if found is None:
            raise errors.NotFound("app")
        return found

    def directory(self, session: Session) -> Mapping[str, OrganisationFacts]:
        return views.everyone(session, self.house)

    def accounts(self, session: Session, client_id: str, person_id: str, organisation_id: str) -> Sequence[Offered]:
        if organisation_id == ITSELF:
            return [self._account(session, client_id, person_id)]
        return [
            Offered(
                ref=ref,
                label=account.label,
                kind=account.kind,
                available=account.available,
                why_not=account.why_not,
            )
            for ref, account in links.known_to(session, self.house.keys, client_id, person_id, organisation_id)
        ]

    def _account(self, session: Session, client_id: str, person_id: str) -> Offered:
        """The person's account here: one, by the identifier under which the app knows her."""
        return Offered(
            ref=self.house.keys.pairwise(person_id, self.app(session, client_id).reader or client_id),
            label=session.get_one(Person, person_id).email,
            kind="account",
            available=True,
        )

    def linked(self, session: Session, person_id: str) -> Collection[str]:
        return {ITSELF, *links.of_person(session, person_id)}

    def person(self, session: Session, person_id: str) -> PersonFacts:
        row = session.get_one(Person, person_id)
        minor = minor_now(row.birth_date, self.house.clock(), self.house.settings)
        of_age = comes_of_age(row.birth_date, self.house.settings) if row.birth_date else None
        claims = accounts.claims(row)
        return PersonFacts(row.id, row.name, minor=minor, guardian_id=row.guardian_id, of_age_at=of_age, claims=claims)

    def by_email(self, session: Session, address: str) -> str | None:
        email = accounts.clean_email(address)
        row = accounts.find(session, email) if email else None
        return row.id if row else None

    def wards(self, session: Session, guardian: str) -> Sequence[str]:
        return [child.id for child in accounts.children(session, guardian)]

    def names(self, session: Session) -> "RoomNames":
        return RoomNames(session, self.house.latest.catalogue, self.house.settings.operator_name)

    def legal_entity(self, session: Session, client: str) -> str:
        return apps.legal_entity(session, client)

    def apps_of(self, session: Session, person: str) -> Sequence[str]:
        return asking.apps_of(session, person)

    def organisations(self, session: Session) -> Sequence[str]:
        return views.ids(session)

    def sign_ins_ended(self, session: Session, person: str, series: list[str], now: datetime) -> None:
        """Implements people.sign_ins.SignInsEnded."""
        logout.sign_ins_ended(self.house.keys, session, person, series, now)
        hearing.sign_ins_ended(self.house.keys, session, person, series, now)

    def decided(self, session: Session, consent: Consent, caller: Caller, now: datetime) -> None:
        """Implements screen.pages.Decided."""
        asked.decided(self.house.keys, session, consent, caller, now)

    def waiting(self, session: Session, then: str, person: str, organisation: str, language: str) -> Waiting | None:
        """The app's request behind an address of /authorize, when it is this person's to answer."""
        query = dict(parse_qsl(urlsplit(then).query))
        app = session.get(App, query.get("client_id", ""))
        row = requests.find(session, query.get("request_uri", ""), app, self.house.clock()) if app else None
        consent = session.get(Consent, row.consent_id) if row and row.consent_id else None
        if app is None or row is None or row.opened_by != person or not consent or consent.state != State.REQUESTED:
            return None
        ask, catalogue = Ask.from_json(row.ask), self.house.latest.catalogue
        directory = views.everyone(session, self.house)
        if not ask.still_fits(catalogue, directory):
            return None
        place = directory[organisation] if organisation in directory else None
        data = [catalogue.at(place, item.dataset) for item in ask.items if item.organisation == organisation]
        labels = tuple(dataset.label[language] for dataset in data)
        purpose = catalogue.purposes[ask.purpose].title[language]
        return Waiting(apps.view(app).name[language], purpose, labels, consent.id) if labels else None


class RoomNames:
    """Implements log.sentences.Names for one session. Each name is looked up once."""

    def __init__(self, session: Session, catalogue: Catalogue, operator: str = "") -> None:
        self._session, self._catalogue, self._operator = session, catalogue, operator
        self.app = cache(partial(apps.name, session))
        self.organisation = cache(self._organisation)
        self._own = cache(self._own)  # type: ignore[method-assign]  # looked up once

    def _organisation(self, organisation: str) -> Words | None:
        if organisation == ITSELF:
            return dict.fromkeys(LANGUAGES, self._operator)
        return views.name(self._session, organisation)

    def dataset(self, dataset: str, places: Sequence[str]) -> Words | None:
        known = (found[dataset] for found in self._known(tuple(places)) if dataset in found)
        first = next(known, None)
        return first.label if first else None

    def field(self, field: str, places: Sequence[str]) -> Words | None:
        every = (dataset for found in self._known(tuple(places)) for dataset in found.values())
        first = next((dataset.fields[field] for dataset in every if field in dataset.fields), None)
        return first.label if first else None

    def _own(self, organisation: str) -> Mapping[str, Dataset]:
        found = views.view(self._session, organisation)
        return found.own if found else {}

    def _known(self, places: tuple[str, ...]) -> Iterator[Mapping[str, Dataset]]:
        """The types of data of these organisations, then those of the policies."""
        yield from (own for place in places if (own := self._own(place)))
        yield self._catalogue.datasets

    def purpose(self, purpose: str) -> Words | None:
        known = self._catalogue.purposes.get(purpose)
        return known.title if known else None

    def person(self, person: str) -> str | None:
        return accounts.name(self._session, person)
