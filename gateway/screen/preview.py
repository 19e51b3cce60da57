"""The consent screen as a file to look at, before anybody is asked: made by the real door, for an invented person.

Nothing is recorded, and no answer to it counts, because its consent does not exist.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session
from starlette.requests import Request

from gateway.consent.asking import requested
from gateway.consent.facts import AppView, Offered, OrganisationFacts, PersonFacts
from gateway.consent.request import Ask
from gateway.ground.web import answers
from gateway.ground.web.context import Caller, Context
from gateway.ground.web.templates import STATIC
from gateway.house import House
from gateway.screen.pages import screen

PERSON = "Camille Martin"
_ID = "preview"
_STYLESHEET = re.compile(r'<link rel="stylesheet"[^>]*>')


def page(
    house: House,
    session: Session,
    app: AppView,
    directory: Mapping[str, OrganisationFacts],
    ask: Ask,
    language: str,
    now: datetime,
) -> str:
    """The page as HTML with its stylesheet inside; only the app's logo is loaded from elsewhere."""
    first = {item.organisation: item.dataset for item in reversed(ask.items)}
    kinds = {name: house.catalogue.at(directory[name], data).account[language] for name, data in first.items()}
    consent = requested(_ID, _ID, app, ask, now)
    to = app.redirect_uris[0]
    ctx = _context(house, session, language, now)
    answer = screen(_Invented(app, directory, kinds), ctx, consent, resume="/authorize?preview", redirect_uri=to)
    css = (STATIC / "aval.css").read_text(encoding="utf-8")
    html = _STYLESHEET.sub(lambda _: f"<style>{css}</style>", bytes(answer.body).decode())
    return re.sub(r'(src|href)="/', rf'\1="{house.settings.public_url}/', html)


@dataclass(frozen=True, slots=True)
class _Invented:
    """`Facts` about a person who does not exist. The app and the organisations are real."""

    asking: AppView
    organisations: Mapping[str, OrganisationFacts]
    kinds: Mapping[str, str]  # organisation → what an account is called there

    def app(self, session: Session, client_id: str) -> AppView:
        return self.asking

    def directory(self, session: Session) -> Mapping[str, OrganisationFacts]:
        return self.organisations

    def accounts(self, session: Session, client_id: str, person_id: str, organisation_id: str) -> Sequence[Offered]:
        """Two, so that the preview shows how to choose one."""
        kind = self.kinds[organisation_id]
        return [Offered(ref=f"{_ID}-{n}", label=f"{kind} ···{n}", kind=kind, available=True) for n in (1, 2)]

    def linked(self, session: Session, person_id: str) -> Collection[str]:
        return self.organisations.keys()

    def person(self, session: Session, person_id: str) -> PersonFacts:
        return PersonFacts(_ID, PERSON, minor=False, guardian_id=None)

    def by_email(self, session: Session, address: str) -> str | None:
        return None


def _context(house: House, session: Session, language: str, now: datetime) -> Context:
    scope = {"type": "http", "method": "GET", "path": "/authorize", "query_string": b"", "headers": []}
    return Context(
        house=house,
        request=Request(scope | {"server": ("localhost", 80), "scheme": "http"}),
        now=now,
        language=language,
        path={},
        query={},
        query_lists={},
        form={},
        form_lists={},
        raw_body=b"",
        repeated=frozenset(),
        visit=_ID,
        new_visit=False,
        render=answers.page,
        caller=Caller(_ID, PERSON, language, now, (), _ID),
        _session=session,
    )
