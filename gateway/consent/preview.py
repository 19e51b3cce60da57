"""The consent screen before anybody is asked (checklist A38): the real template, rendered for an invented person.

What comes out is a file to look at. Nothing is recorded, and no answer to it counts: the consent it names does not
exist.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from starlette.requests import Request

from gateway.consent.asking import requested
from gateway.consent.deciding import Decider
from gateway.consent.facts import AppView, Offered, OrganisationFacts
from gateway.consent.request import Ask
from gateway.consent.screen import Showing, show
from gateway.house import House
from gateway.web.doors import Caller, Context
from gateway.web.templates import STATIC

PERSON = "Camille Martin"
_ID = "preview"
_STYLESHEET = re.compile(r'<link rel="stylesheet"[^>]*>')


def page(
    house: House,
    app: AppView,
    directory: Mapping[str, OrganisationFacts],
    ask: Ask,
    language: str,
    redirect_host: str,
    now: datetime,
) -> str:
    """The page as HTML that needs nothing beside it but the app's logo."""
    showing = Showing(
        consent=requested(_ID, _ID, app, ask, now),
        app=app,
        directory=directory,
        accounts={name: _accounts(house, ask, name, language) for name in ask.organisations()},
        ward=None,
        redirect_host=redirect_host,
        redirect_scheme="https",
        running=None,
    )
    decider = Decider(person=_ID, minor=False, guardian=None, auth_time=now, methods=(), recent_sign_in=True)
    html = bytes(show(_context(house, language, now), showing, decider, "/authorize?preview").body).decode()
    css = (STATIC / "aval.css").read_text(encoding="utf-8")
    html = _STYLESHEET.sub(lambda _: f"<style>{css}</style>", html)
    return re.sub(r'(src|href)="/', rf'\1="{house.settings.public_url}/', html)


def _accounts(house: House, ask: Ask, organisation: str, language: str) -> list[Offered]:
    """Two, so that the page shows how one is picked."""
    dataset = next(item.dataset for item in ask.items if item.organisation == organisation)
    kind = house.catalogue.datasets[dataset].account[language]
    return [Offered(ref=f"{_ID}-{n}", label=f"{kind} ···{n}", kind=kind, available=True) for n in (1, 2)]


def _context(house: House, language: str, now: datetime) -> Context:
    scope = {"type": "http", "method": "GET", "path": "/authorize", "query_string": b"", "headers": []}
    return Context(
        house=house,
        request=Request(scope | {"server": ("localhost", 80), "scheme": "http"}),
        now=now,
        language=language,
        path={},
        query={},
        form={},
        form_lists={},
        raw_body=b"",
        repeated=frozenset(),
        visit=_ID,
        new_visit=False,
        caller=Caller(_ID, PERSON, language, now, (), _ID),
    )
