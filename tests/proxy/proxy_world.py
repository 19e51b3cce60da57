"""A small world for the data plane: one house on a temporary file, rows written as the other rooms write them."""

import asyncio
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import uvicorn
from sqlmodel import Session, text

import gateway.ledger.tables
import gateway.schema
from gateway.apps.tables import App
from gateway.authorization.tables import TokenFamily
from gateway.consent import events
from gateway.consent.actors import herself
from gateway.consent.rules import Act
from gateway.consent.tables import Consent, Terms
from gateway.consent.terms import canonical, sha256
from gateway.errors import Unavailable
from gateway.formats.model import FoundAccount
from gateway.ground.http import listener
from gateway.ground.http.guard import Guarded
from gateway.ground.http.transport import Transport
from gateway.ground.keys import KeyRing, fresh
from gateway.ground.store import open_store, signing_keys
from gateway.ground.store.tables import directory_changed
from gateway.ground.store.together import Together
from gateway.house import House
from gateway.log import Log
from gateway.organisations import links
from gateway.organisations.links import Credentials
from gateway.organisations.tables import Link, Organisation
from gateway.people.tables import Person
from gateway.proxy.call import DataPlane
from gateway.rereading import Rereading
from gateway.settings import Settings
from gateway.signals import hearing
from tests import databases
from tests.databases import made
from tests.ports import free_port
from tests.worlds.policies import read

assert gateway.schema and gateway.ledger.tables  # they fill the metadata
TOKEN = "organisation-token"


class World:
    """Alice and Bob have data; meter apps ask for it. `clock` may be replaced by a test."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        port = settings.pop("port", None) or free_port()
        address = settings.pop("public_url", f"http://localhost:{port}")
        self.settings = Settings(public_url=address, port=port, data_dir=folder, **settings)
        keys = KeyRing(self.settings.keys, create=True)
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        store = open_store(self.settings)
        made(store)
        signing_keys.begin(store, keys, datetime.now(UTC))
        catalogue, policies = read(self.settings.policies)
        self.house = House(
            settings=self.settings,
            store=store,
            keys=keys,
            log=Log(keys, self.settings.mark, hearing.HEARS),
            catalogue=catalogue,
            policies=policies,
            connector=Transport(self.settings),
            translations=cast(Any, None),  # no page is shown
            clock=lambda: self.clock(),
        )
        self.address = f"127.0.0.1:{port}"
        self.port = port

    # ---- rows

    def organisation(
        self, name: str, sector: str, base_url: str, datasets: dict[str, list[str]], **connection: Any
    ) -> None:
        document = {
            "id": name,
            "name": {"fr": name, "en": name},
            "legal_entity": name,
            "sector": sector,
            "zone": "Europe/Paris",
            "website": "https://organisation.example",
            "contact": {"privacy": "privacy@organisation.example", "support": "help"},
            "connection": {
                "kind": "oauth",
                "base_url": base_url,
                "networks": ["127.0.0.0/8", "::1/128"],
                "oauth": {
                    "authorize": "/oauth/authorize",
                    "token": "/oauth/token",
                    "revoke": "/oauth/revoke",
                    "client_id": "aval",
                    "client_secret": {"env": "NONE"},
                    "scope": "all",
                },
                **connection,
            },
            "datasets": [{"id": key, "paths": paths} for key, paths in datasets.items()],
        }
        now = self.clock()
        sealed = self.house.keys.seal(b"secret", f"organisation:{name}")
        digest = hashlib.sha256(json.dumps(document).encode()).hexdigest()
        with self.house.store.write() as session:
            session.merge(
                Organisation(id=name, declaration=document, declaration_sha256=digest, client_secret_sealed=sealed,
                             added_at=now, changed_at=now)
            )  # fmt: skip
            directory_changed(session)

    def app(
        self,
        client_id: str,
        purposes: Sequence[str] = ("household-budget", "energy-advice"),
        recipients: Sequence[Any] = (),
        data: Sequence[Any] = (),
        method: str = "none",
    ) -> None:
        document = {
            "name": {"fr": client_id, "en": client_id},
            "legal_entity": "An App Ltd",
            "on_behalf_of": "",
            "website": "https://app.example",
            "privacy_policy": "https://app.example/privacy",
            "terms": "https://app.example/terms",
            "deletion_contact": "delete@app.example",
            "redirect_uris": ["https://app.example/callback"],
            "purposes": list(purposes),
            "data": list(data),
            "recipients": list(recipients),
            "logo": None,
        }
        now = self.clock()
        with self.house.store.write() as session:
            session.merge(
                App(client_id=client_id, metadata_=document, metadata_sha256="0" * 64, auth_method=method,
                    registered_at=now, changed_at=now)
            )  # fmt: skip
            directory_changed(session)

    def person(self, name: str) -> str:
        with self.house.store.write() as session:
            session.merge(Person(id=name, email=f"{name}@example.org", name=name, created_at=self.clock()))
        return name

    def link(self, person: str, organisation: str, natives: Sequence[str], resource: str = "") -> Link:
        keys, now = self.house.keys, self.clock()
        held = Credentials(TOKEN, "refresh", int(now.timestamp()) + 3600, resource=resource)
        with self.house.store.write() as session:
            link, _ = links.make(session, keys, person, organisation, now, new_id=fresh(), held=held)
            found = [FoundAccount(native, "account", "account") for native in natives]
            link.accounts_sealed = links.seal_accounts(keys, link.id, found)
            session.add(link)
        return link

    def ref(self, app: str, person: str, organisation: str, native: str) -> str:
        return self.house.keys.mac("account", app, person, organisation, native)[:22]

    def item(self, organisation: str, dataset: str, fields: Sequence[str], accounts: Sequence[str], **more: Any) -> Any:
        return {
            "organisation": organisation,
            "dataset": dataset,
            "accounts": list(accounts),
            "fields": list(fields),
            "period": {"history": "P13M", "from": None, "to": None, "future": True},
            "frequency": [],
            "records_max": None,
            "sensitivity": "none",
            "granted": True,
            **more,
        }

    def consent(
        self,
        person: str,
        app: str,
        items: Sequence[Any],
        *,
        once: bool = False,
        days: float = 90,
        purpose: str = "household-budget",
        recipients: Sequence[Any] = (),
        capacity: str = "self",
        session: Session | None = None,
    ) -> str:
        now = self.clock()
        consent = fresh()
        until = now + timedelta(days=days)
        terms = {
            "consent": consent,
            "version": 1,
            "acted_by": [{"capacity": capacity}],
            "app": {"client_id": app, "name": {"fr": app, "en": app}},
            "purpose": {"code": purpose, "title": {"fr": purpose, "en": purpose}},
            "recipients": list(recipients),
            "items": list(items),
            "valid": {"from": now.isoformat(), "until": until.isoformat(), "max_uses": 1 if once else None},
        }
        body = canonical(terms)
        opened = self.house.store.write() if session is None else contextlib.nullcontext(session)
        with opened as session:
            row = Consent(id=consent, person_id=person, app_id=app, purpose=purpose, state="active", version=1,
                          asked="{}", created_at=now, granted_at=now, until=until)  # fmt: skip
            session.add(row)
            session.flush()
            session.add(Terms(consent_id=consent, version=1, json_=body, sha256=sha256(body), created_at=now))
            session.add(TokenFamily(id=f"family-{consent}", consent_id=consent, client_id=app, person_id=person,
                                    auth_time=0, started_at=now))  # fmt: skip
            events.append(session, row, Act.GRANTED, herself(person), now)
        return consent

    def change(self, consent: str, act: Act, reason: str = "") -> None:
        """As the person's pages do it: one transaction, and it has happened when this returns."""
        with self.house.store.write() as session:
            row = session.get_one(Consent, consent)
            events.change(session, row, act, herself(row.person_id), self.clock(), reason)

    def run(self, statement: str, **values: Any) -> None:
        with self.house.store.write() as session:
            session.execute(text(statement), values)
            directory_changed(session)

    def token(self, consent: str, organisations: Sequence[str], app: str = "app", **claims: Any) -> str:
        now = int(self.clock().timestamp())
        typ = claims.pop("typ", "at+jwt")
        return self.house.keys.sign(
            {
                "iss": self.settings.public_url,
                "sub": "pairwise",
                "aud": [f"{self.settings.public_url}/data/{name}" for name in organisations],
                "client_id": app,
                "iat": now,
                "exp": now + 300,
                "jti": fresh(),
                "grant_id": consent,
                "fam": f"family-{consent}",
                **claims,
            },
            typ=typ,
        )

    # ---- what happened

    def entries(self, person: str) -> list[dict[str, Any]]:
        return databases.entries(self.house, person)

    def kinds(self, person: str) -> list[str]:
        return [entry["event"] for entry in self.entries(person)]

    def row(self, statement: str, *values: Any) -> Any:
        connection = self.house.store.connect()
        try:
            return connection.execute(statement, values).fetchone()
        finally:
            connection.close()

    # ---- serving

    def application(self) -> Any:
        plane = self.plane = DataPlane(self.house)
        transport: Any = self.house.connector
        together = Together(self.house.store, "of tests")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                if scope["path"].startswith("/data/"):
                    await plane(scope, receive, send)
                else:
                    await _hello(scope, receive, send)
                return
            await receive()
            transport.start(asyncio.get_running_loop())
            together.start()
            await plane.start()
            keys = threading.Thread(target=self._look_at_keys, args=[over := threading.Event()])
            keys.start()
            self.loop = asyncio.get_running_loop()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            over.set()
            await asyncio.to_thread(keys.join)
            await plane.stop()
            await transport.close()
            together.stop()
            await send({"type": "lifespan.shutdown.complete"})

        return Guarded(app, self.settings)

    def _look_at_keys(self, over: threading.Event) -> None:
        """As the composition root does."""
        rereading = Rereading(self.house)
        with rereading.watching_keys():
            while not over.wait(signing_keys.LOOK_SECONDS):
                with contextlib.suppress(Unavailable):
                    rereading.look_at_token_keys()

    def recover(self, *living: str) -> None:
        """As the composition root does at the start and now and then."""
        asyncio.run_coroutine_threadsafe(self.plane.recover(lambda: living), self.loop).result(20)

    @contextlib.contextmanager
    def serving(self) -> Iterator["World"]:
        """A real server on a real port, in a thread."""
        server = uvicorn.Server(listener.config(self.application(), self.settings, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise RuntimeError("the server did not start")
                threading.Event().wait(0.01)
            yield self
        finally:
            server.should_exit = True
            thread.join(15)
            self.house.store.close()


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    """Stands for every other door: says what it was sent."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
    said = json.dumps({"headers": [n.decode() for n, _ in scope["headers"]], "body": len(body),
                       "client": scope["client"][0]}).encode()  # fmt: skip
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
    await send({"type": "http.response.body", "body": said})


def exchange(world: World, data: bytes, *, seconds: float = 5.0) -> bytes:
    """Everything the server says until it closes or falls silent."""
    said = b""
    with socket.create_connection(("127.0.0.1", world.port), timeout=seconds) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        connection.settimeout(0.4)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while piece := connection.recv(65536):
                said += piece
                connection.settimeout(0.4)
    return said


def statuses(said: bytes) -> list[int]:
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]
