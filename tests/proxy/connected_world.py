"""The way a person's data goes, whole: a declaration as a file, linking through the pages, data calls, the download."""

import html
import http.client
import re
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from sqlmodel import Session
from starlette.applications import Starlette

from gateway.ground.http.guard import Guarded
from gateway.ground.web.context import Caller
from gateway.ground.web.doors import route
from gateway.ground.web.translations import Translations
from gateway.organisations import declare, links, pages, views
from tests.proxy.bank import Answer
from tests.proxy.clerk import BASE, CODE, Clerk
from tests.proxy.proxy_world import World

HEAD = """
id = "{id}"
name = {{ fr = "Banque", en = "Bank" }}
legal_entity = "Bank"
sector = "bank"
zone = "Europe/Paris"
website = "https://bank.example"

[contact]
privacy = "privacy@bank.example"
support = "help@bank.example"

[[datasets]]
id = "bank.accounts"
paths = ["/open-banking/v4.0/aisp/accounts"]

[[datasets]]
id = "bank.transactions"
paths = ["/open-banking/v4.0/aisp/accounts/{{account}}/transactions"]

[connection]
base_url = "{base_url}"
networks = ["127.0.0.0/8", "::1/128"]
"""
NUMBER = """
[connection.link]
start = "/link/start"
confirm = "/link/confirm"
unlink = "/link/end"
number_label = { fr = "Numéro de client", en = "Customer number" }
"""
HEADER = """
[connection.person]
header = "X-Customer"
"""


class Connected(World):
    """With the person's pages in front of the same house."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, total_seconds=6.0, **settings)
        self.house = replace(self.house, translations=Translations())
        self.callers: dict[str, Caller] = {}
        self.folder = folder

    def application(self) -> Any:
        data = super().application()
        doors = Starlette(routes=[route(door, self.house, self._identify) for door in pages.doors(lambda *_: None)])
        guarded = Guarded(doors, self.settings)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            own = scope["type"] == "http" and scope["path"].startswith("/organisations")
            await (guarded if own else data)(scope, receive, send)

        return app

    def _identify(self, _session: Session, secret: str, _now: Any) -> Caller | None:
        return self.callers.get(secret)

    def passes(self, **time: float) -> None:
        before, gone = self.clock, timedelta(**time)
        self.clock = lambda: before() + gone


class Connection:
    """One organisation of one test, declared by `text`, and an app that reads there."""

    def __init__(self, world: Connected, clerk: Clerk, text: str, **secrets: str) -> None:
        self.world, self.clerk, self.secrets = world, clerk, secrets
        self.id, self.app = f"bank-{uuid.uuid4().hex[:8]}", f"app-{uuid.uuid4().hex[:8]}"
        world.app(self.app)
        self.declare(text)

    def declare(self, text: str, *, moved: bool | None = True) -> str:
        """As `aval organisations add` does it; `moved`: as `declare.add` has it."""
        file = self.world.folder / f"{self.id}.toml"
        file.write_text(HEAD.format(id=self.id, base_url=self.clerk.url) + text)
        found = declare.read(file, self.world.house.catalogue, environ=self.secrets)
        with self.world.house.store.write() as session:
            return declare.add(session, self.world.house, found, self.world.clock(), moved=moved)

    def person(self, name: str = "alice") -> "Person":
        return Person(self, name)


class Person:
    """Somebody new, signed in just now, with her browser."""

    def __init__(self, at: Connection, name: str) -> None:
        self.at, self.world = at, at.world
        self.id = self.world.person(f"{name}-{uuid.uuid4().hex[:8]}")
        self.caller = Caller(self.id, name, "en", self.world.clock(), ("pwd",), f"sign-in-of-{self.id}")
        self.world.callers[self.caller.sign_in] = self.caller
        self.language = "en"

    def asks(self, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("localhost", self.world.port, timeout=30)
        cookie = f"__Host-aval-sign-in={self.caller.sign_in}; __Host-aval-language={self.language}"
        headers = {"Cookie": cookie}
        body = None
        if method == "POST":
            csrf = self.world.house.keys.mac("csrf", self.caller.sign_in)
            body = urlencode({"csrf": csrf, **(form or {})})
            headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    # ---- linking

    def links_by_number(self, number: str = "HB-1", code: str = CODE) -> Answer:
        page = f"/organisations/{self.at.id}/link"
        begun = self.asks("POST", page, {"customer_number": number})
        if begun.status != 303:
            return begun
        attempt = begun.headers["location"].partition("attempt=")[2]
        return self.asks("POST", f"{page}/code", {"attempt": attempt, "code": code})

    def leaves(self) -> str:
        """The address to which the page between sends her."""
        page = self.asks("POST", f"/organisations/{self.at.id}/link").body.decode()
        found = re.search(r'<a class="button" href="(http[^"]+)"', page)
        assert found, page
        return html.unescape(found[1])

    def comes_back(self, state: str, code: str = "the-code", **more: str) -> Answer:
        query = urlencode({"state": state, "code": code, **more})
        return self.asks("GET", f"/organisations/{self.at.id}/linked?{query}")

    @property
    def link(self) -> links.LinkView | None:
        with self.world.house.store.read() as session:
            row = links.current(session, self.id, self.at.id)
            return links.view_of(self.world.house.keys, row) if row else None

    def unlinks(self) -> Answer:
        return self.asks("POST", f"/organisations/{self.at.id}/unlink")

    # ---- data

    def shares(self) -> "Person":
        with self.world.house.store.read() as session:
            known = links.known_to(session, self.world.house.keys, self.at.app, self.id, self.at.id)
        (self.ref,) = [ref for ref, _ in known]
        fields = ["transaction.date", "transaction.amount"]
        item = self.world.item(self.at.id, "bank.transactions", fields, [self.ref])
        self.consent = self.world.consent(self.id, self.at.app, [item])
        self.token = self.world.token(self.consent, [self.at.id], self.at.app)
        return self

    def reads(self, **headers: str) -> Answer:
        """What the app gets."""
        connection = http.client.HTTPConnection("localhost", self.world.port, timeout=30)
        path = f"/data/{self.at.id}{BASE}/accounts/{self.ref}/transactions"
        sent = {"Authorization": f"Bearer {self.token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        try:
            connection.request("GET", path, headers=sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def downloads(self) -> Answer:
        return self.asks("POST", f"/organisations/{self.at.id}/download")


def query_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def view_of(at: Connection) -> views.OrganisationView:
    with at.world.house.store.read() as session:
        found = views.view(session, at.id)
    assert found is not None
    return found
