"""Two gateways that share nothing but one database of PostgreSQL and the keys, and many calls that begin together."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from sqlmodel import delete, select

from gateway.app import Application, build_house
from gateway.apps import declare, verbs
from gateway.authorization.tables import FailedAuthentication
from gateway.formats.model import FoundAccount
from gateway.ground.keys import fresh
from gateway.ground.store import migrate
from gateway.ground.store.tables import Try
from gateway.ground.web import cookies
from gateway.house import House
from gateway.log import reading
from gateway.organisations import links
from gateway.people import passwords, seeding, sign_ins
from gateway.people.tables import Person
from gateway.settings import Settings
from tests.callers import TestClient
from tests.worlds import apps
from tests.worlds.organisations import organisation_row

HOME = "http://localhost:8400"
CALLBACK = "http://localhost:8411/callback"
PASSWORD = "correct horse battery"
VERIFIER = "v" * 43
WORDS = {"fr": "Pour vous.", "en": "For you."}
FIELDS = ["interval.start", "interval.value"]
USAGE = {
    "type": "data_access",
    "locations": [f"{HOME}/data/city-energy"],
    "datatypes": ["energy.electricity.usage"],
    "actions": ["read"],
    "purpose": "energy-advice",
    "fields": FIELDS,
    "period": {"history": "P12M", "future": True},
    "valid_for": "P6M",
    "retention": "P1M",
}


def b64(data: bytes | dict[str, Any]) -> str:
    return (
        base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()
    )


class Signer:
    """The key of an app that signs who it is."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self) -> dict[str, str]:
        point = self._key.public_key().public_numbers()
        x, y = (b64(number.to_bytes(32, "big")) for number in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "kid": "one", "x": x, "y": y}

    def assertion(self, client: str) -> str:
        now = int(datetime.now(UTC).timestamp())
        claims = {"iss": client, "sub": client, "aud": HOME, "jti": fresh(), "iat": now, "exp": now + 60}
        message = f"{b64({'alg': 'ES256', 'kid': 'one', 'typ': 'JWT'})}.{b64(claims)}"
        r, s = decode_dss_signature(self._key.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{message}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class World:
    """Two gateways, `houses[0]` and `houses[1]`; Alice, Bob and an app that reads electricity."""

    def __init__(self, folder: Path, database: str) -> None:
        settings = Settings(
            public_url=HOME, data_dir=folder, database_url=database, database_connections=12, log_fsync=False
        )
        migrate.upgrade(settings)
        self.houses: list[House] = []
        for create in (True, False):
            self.houses.append(build_house(settings, create_keys=create))
        self.apps = [Application(house) for house in self.houses]
        self.house, self.signer = self.houses[0], Signer()
        self._fill()

    def _fill(self) -> None:
        now, house = self.house.clock(), self.house
        self.hashed = passwords.hash_(PASSWORD)
        with house.store.write() as session:
            session.add(organisation_row("city-energy", "energy", ["energy.electricity.usage"], now))
        wanted = {
            "redirect_uris": [CALLBACK],
            "purposes": ["energy-advice"],
            "data": [
                {
                    "organisation": "city-energy",
                    "dataset": "energy.electricity.usage",
                    "fields": FIELDS,
                    "necessity": "required",
                    "reason": WORDS,
                }
            ],
        }
        signed = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [self.signer.jwk]}}
        with house.store.write() as session:
            for name, more in (("meter", {}), ("signed", signed)):
                document = apps.declaration(name, **wanted, **more)
                verbs.register(session, house.catalogue, house.settings, declare.parse(document, Path("app.toml")), now)
        self.people = {name: self.person(name) for name in ("alice", "bob")}

    def person(self, name: str) -> str:
        now, house = self.house.clock(), self.house
        new = seeding.prepare(
            name=name.title(), email=f"{name}@example.org", password=None, today=now.date(), language="en"
        )
        with house.store.write() as session:
            person = seeding.add_person(session, house.log, house.settings, new, now)
            person.password_hash = self.hashed
            link, _ = links.make(session, house.keys, person.id, "city-energy", now, new_id=fresh(), customer="***1")
            session.flush()
            links.store_accounts(session, house.keys, link.id, [FoundAccount("point-1", "Point 1", "x")])
            return person.id

    def close(self) -> None:
        for house in self.houses:
            house.pools.close()
            house.store.close()

    # ---- browsers and apps, each at one of the two

    def browser(self, at: int, cookie: str = "", visit: str = "") -> TestClient:
        client = TestClient(self.apps[at % 2], base_url=HOME, follow_redirects=False)
        sent = {"accept": "text/html", "accept-language": "en"}
        given = [f"{name}={value}" for name, value in ((cookies.SIGN_IN, cookie), (cookies.VISIT, visit)) if value]
        client.headers.update(sent | ({"cookie": "; ".join(given)} if given else {}))
        return client

    def signed_in(self, person: str) -> str:
        """The cookie of a fresh sign-in."""
        secret = fresh()
        with self.house.store.write() as session:
            row = session.get_one(Person, self.people[person])
            settings, now = self.house.settings, self.house.clock()
            sign_ins.begin(session, row, "pwd", secret=secret, settings=settings, now=now)
        return secret

    def pushed(self) -> str:
        challenge = b64(hashlib.sha256(VERIFIER.encode()).digest())
        form = {
            "client_id": "meter",
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "state": "a state",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "authorization_details": json.dumps([USAGE]),
        }
        answer = self.browser(0).post("/par", data=form)
        assert answer.status_code == 201, answer.text
        return "/authorize?" + urlencode({"client_id": "meter", "request_uri": answer.json()["request_uri"]})

    def screen(self, cookie: str, address: str, person: str = "alice") -> tuple[str, dict[str, str]]:
        """The consent form: its address, and its fields with what is needed to say yes."""
        page = self.browser(0, cookie).get(address + "&change=1")
        found = [one for one in forms(page.text) if one[0].startswith("/consent/")]
        assert found, (page.status_code, page.headers.get("location"), page.text[:2000])
        action, fields = found[0]
        return action, {**fields, "accounts:city-energy": self._reference(person), "decision": "allow"}

    def _reference(self, person: str) -> str:
        return links.reference(self.house.keys, "meter", self.people[person], "city-energy", "point-1", "")

    def code(self, person: str = "alice") -> str:
        cookie, address = self.signed_in(person), self.pushed()
        action, fields = self.screen(cookie, address, person)
        assert self.browser(0, cookie).post(action, data=fields).status_code == 303
        return self.answered(cookie, address)["code"]

    def answered(self, cookie: str, address: str) -> dict[str, str]:
        page = self.browser(0, cookie).get(address).text
        found = re.search(r'http-equiv="refresh" content="[^"]*url=([^"]+)"', page)
        assert found, page[:2000]
        return {name: values[0] for name, values in parse_qs(urlsplit(unescape(found[1])).query).items()}

    def redeem(self, at: int, code: str) -> Any:
        form = {
            "client_id": "meter",
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return self.browser(at).post("/token", data=form)

    def refresh(self, at: int, token: str) -> Any:
        form = {"client_id": "meter", "grant_type": "refresh_token", "refresh_token": token}
        return self.browser(at).post("/token", data=form)

    def forget_tries(self) -> None:
        """As if some time had passed since passwords and codes were tried."""
        with self.house.store.write() as session:
            session.exec(delete(Try))
            session.exec(delete(FailedAuthentication))

    # ---- what is there

    def rows(self, table: Any, *where: Any) -> list[Any]:
        with self.house.store.read() as session:
            return list(session.exec(select(table).where(*where)))

    def kinds(self, person: str) -> list[str]:
        with self.house.store.read() as session:
            return [entry.kind for entry in reading.entries(session, self.house.log, self.people[person])][::-1]


def forms(html: str) -> list[tuple[str, dict[str, str]]]:
    """(action, fields as they would be sent untouched, no box ticked) of every form."""
    found = []
    for form in re.findall(r"<form.*?</form>", html, re.S):
        action = re.search(r'action="([^"]*)"', form)
        fields = {}
        for tag in re.findall(r"<input[^>]*>", form):
            given = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
            chosen = given.get("type") not in ("checkbox", "radio", "submit") or " checked" in tag
            if "name" in given and chosen:
                fields[given["name"]] = unescape(given.get("value", ""))
        found.append((unescape(action[1]) if action else "", fields))
    return found


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """The answers of so many calls that begin together; the even ones at one gateway, the odd ones at the other."""
    ready = threading.Barrier(count)

    def one(number: int) -> Any:
        ready.wait()
        return act(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


def statuses(answers: Sequence[Any]) -> list[int]:
    return sorted(answer.status_code for answer in answers)
