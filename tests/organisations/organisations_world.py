"""A gateway that is only this room's doors, behind real HTTP, and the example organisations as real processes."""

import contextlib
import html
import http.client
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import uvicorn
from sqlmodel import Session
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.catalogue import Catalogue
from gateway.ground.http.connector import ConnectorError, Headers, OutboundRequest
from gateway.ground.keys import KeyRing
from gateway.ground.web.context import Caller
from gateway.ground.web.doors import route
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Log, reading
from gateway.organisations import declare, links, pages
from gateway.organisations.tables import Link
from gateway.people.tables import Person
from gateway.settings import Settings
from tests.databases import made, unsynced

ROOT = Path(__file__).parents[2]
SECRET = "of the tests: + / % and ü"
DECLARATIONS = ROOT / "examples" / "organisations"


class PlainConnector:
    """`ask` and nothing more: no guard, no pool. Counts calls, so that a test can say that none was made."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.targets: list[str] = []  # the address of each call
        self.before: Callable[[str], None] = lambda path: None  # a test may make something happen first

    def ask(self, request: OutboundRequest, limit: int = 2**20) -> tuple[int, Headers, bytes]:
        target, method, path = request.target, request.method, request.path
        self.calls.append(f"{method} {path.split('?')[0]}")
        self.targets.append(target.base_url)
        self.before(path)
        parts = urlsplit(target.base_url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=target.timeout_seconds)
        try:
            sent = {name.decode(): value.decode() for name, value in request.headers}
            connection.request(method, parts.path + path, request.body or None, sent)
            answer = connection.getresponse()
            data = answer.read(limit + 1)
        except TimeoutError:
            raise ConnectorError("organisation_slow") from None
        except http.client.IncompleteRead:
            raise ConnectorError("organisation_answer_invalid") from None
        except OSError:
            raise ConnectorError("organisation_unavailable") from None
        finally:
            connection.close()
        if len(data) > limit:
            raise ConnectorError("too_large")
        return answer.status, [(k.lower().encode(), v.encode("latin-1")) for k, v in answer.getheaders()], data


class Server:
    """One listening gateway for the whole run; what answers behind its address changes with every test."""

    def __init__(self, keys: KeyRing) -> None:
        self.keys = keys
        self.app: Any = None
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://localhost:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(self._answer, interface="asgi3", log_config=None, access_log=False, lifespan="off")
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.uvicorn.run, args=([self.socket],), daemon=True)
        self.thread.start()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def stop(self) -> None:
        self.uvicorn.should_exit = True
        self.thread.join(10)


@dataclass
class Running:
    """An example organisation in its own process."""

    id: str
    url: str
    folder: Path
    process: subprocess.Popen[str]

    def forgets_messages(self) -> None:
        """It sends one customer twenty codes an hour; the tests of one run are to be independent of each other."""
        database = sqlite3.connect(self.folder / "links.sqlite3", isolation_level=None)
        database.execute("DELETE FROM message")
        database.close()

    def fault(self, mode: str, **more: Any) -> None:
        assert httpx2.post(f"{self.url}/_fault", json={"mode": mode, **more}, trust_env=False).status_code == 204

    def newest_code(self, customer: str) -> str:
        page = httpx2.get(f"{self.url}/inbox/{customer}", trust_env=False).text
        found = re.search(r"class=code>(\d{6})<", page)
        assert found
        return found[1]


@contextlib.contextmanager
def running(name: str, server: Server, folder: Path) -> Iterator[Running]:
    """An example organisation on a free port, until the end."""
    command = [sys.executable, "-m", f"examples.organisations.{name}", "--port", "0", "--faults"]
    command += ["--gateway", server.url, "--dir", str(folder), "--today", "2026-11-23"]
    environment = {**os.environ, "CITY_ENERGY_CLIENT_SECRET": SECRET}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            assert line.startswith("ready http://localhost:"), line
            reader = threading.Thread(target=process.stdout.read, daemon=True)  # codes are printed; no full pipe
            reader.start()
            yield Running(name.replace("_", "-"), line.removeprefix("ready ").strip(), folder, process)
        finally:
            process.terminate()
            process.wait(10)
        reader.join(10)


class Browser:
    """A signed-in person's browser: sends her cookie and our own forms."""

    def __init__(self, world: "World", caller: Caller) -> None:
        self.world, self.caller, self.person = world, caller, caller.person
        self.language = "en"

    def request(self, method: str, path: str, form: dict[str, str] | None = None, **more: Any) -> httpx2.Response:
        cookies = f"__Host-aval-sign-in={self.caller.sign_in}; __Host-aval-language={self.language}"
        headers = {"Cookie": cookies}
        headers |= more.pop("headers", {})
        url = self.world.url + path
        return httpx2.request(method, url, data=form, headers=headers, trust_env=False, timeout=30, **more)

    def get(self, path: str) -> httpx2.Response:
        return self.request("GET", path)

    def post(self, path: str, form: dict[str, str] | None = None, **more: Any) -> httpx2.Response:
        csrf = self.world.house.keys.mac("csrf", self.caller.sign_in)
        return self.request("POST", path, {"csrf": csrf, **(form or {})}, **more)

    # ---- whole journeys

    def starts(self, organisation: str, number: str = "HB-2001", **form: str) -> str:
        """Give a customer number; the attempt's secret."""
        answer = self.post(f"/organisations/{organisation}/link", {"customer_number": number, **form})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"].partition("attempt=")[2]

    def tries(self, organisation: str, attempt: str, code: str) -> httpx2.Response:
        return self.post(f"/organisations/{organisation}/link/code", {"attempt": attempt, "code": code})

    def links_by_number(self, running: Running, number: str) -> httpx2.Response:
        attempt = self.starts(running.id, number)
        return self.tries(running.id, attempt, running.newest_code(number))

    def leaves_for(self, organisation: str, **form: str) -> str:
        """The organisation's address on the page between."""
        answer = self.post(f"/organisations/{organisation}/link", form)
        assert answer.status_code == 200, answer.text
        found = re.search(r'<a class="button" href="(http[^"]+)"', answer.text)
        assert found
        assert f'<meta http-equiv="refresh" content="0;url={found[1]}">' in answer.text
        return html.unescape(found[1])

    def links_by_oauth(self, customer: str, password: str, decision: str = "yes", **form: str) -> httpx2.Response:
        return self.get(agrees_there(self.leaves_for("city-energy", **form), customer, password, decision))


def agrees_there(address: str, customer: str, password: str, decision: str = "yes") -> str:
    """At City Energy's own pages; the path and query at the gateway it sends the browser back to."""
    parts = urlsplit(address)
    with httpx2.Client(base_url=f"{parts.scheme}://{parts.netloc}", trust_env=False) as http:
        page = http.get(address)
        ask = re.search(r'name="ask" value="([^"]+)"', page.text)
        assert ask, page.text
        form = {"ask": ask[1], "customer_number": customer, "password": password}
        assert http.post("/oauth/sign-in", data=form).status_code == 200
        back = http.post("/oauth/approve", data={"ask": ask[1], "decision": decision})
    assert back.status_code == 303
    there = urlsplit(back.headers["location"])
    return f"{there.path}?{there.query}"


class World:
    """`server` is the address at which it is found; `callers`, by their cookie, who is signed in."""

    def __init__(self, server: Server, texts: tuple[Catalogue, Translations], folder: Path) -> None:
        self.url, self.connector = server.url, PlainConnector()
        self.callers: dict[str, Caller] = {}
        self.clock = [timedelta()]
        settings = Settings(public_url=server.url, data_dir=folder)
        store = unsynced(settings)
        made(store)
        self.house = House(
            settings=settings,
            store=store,
            keys=server.keys,
            log=Log(server.keys, settings.mark),
            catalogue=texts[0],
            policies=cast(Any, None),  # these doors decide nothing by policy
            connector=cast(Any, self.connector),
            translations=texts[1],
            clock=lambda: datetime.now(UTC) + self.clock[0],
        )
        routes = [route(door, self.house, self._identify) for door in pages.doors(lambda *_: None)]
        jwks = Route("/jwks.json", lambda request: JSONResponse(server.keys.jwks()))
        server.app = Starlette(routes=[*routes, jwks])

    def _identify(self, _session: Session, secret: str, _now: datetime) -> Caller | None:
        return self.callers.get(secret)

    def passes(self, **time: float) -> None:
        self.clock[0] += timedelta(**time)

    def add(self, running: Running, **changes: Any) -> None:
        declaration = declare.read(
            DECLARATIONS / f"{running.id}.toml",
            self.house.catalogue,
            base_url=running.url,
            environ={"CITY_ENERGY_CLIENT_SECRET": SECRET},
        )
        connection = {**declaration.document["connection"], **changes}
        document = {**declaration.document, "connection": connection}
        declaration = declare.OrganisationDeclaration(
            declaration.file, document, declaration.sha256 + str(sorted(changes.items())), declaration.secrets
        )
        with self.house.store.write() as session:
            declare.add(session, self.house, declaration, self.now)

    @property
    def now(self) -> datetime:
        return self.house.clock()

    def person(self, name: str) -> Browser:
        """Somebody new, signed in just now."""
        id_ = f"{name}-{uuid.uuid4().hex[:8]}"
        with self.house.store.write() as session:
            session.add(Person(id=id_, email=f"{id_}@example.org", name=name, created_at=self.now))
        caller = Caller(id_, name, "en", self.now, ("pwd",), f"sign-in-of-{id_}")
        self.callers[caller.sign_in] = caller
        return Browser(self, caller)

    def link(self, browser: Browser, organisation: str) -> Link | None:
        with self.house.store.read() as session:
            return links.kept(session, links.current(session, browser.person, organisation))

    def events(self, browser: Browser) -> list[reading.Entry]:
        with self.house.store.read() as session:
            return list(reading.page(session, self.house.log, browser.person, reading.Filter()).entries)
