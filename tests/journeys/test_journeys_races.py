"""Many at once, in two processes' worth of gateways on one database of PostgreSQL: what may happen once happens once.

Two applications share nothing here but the database and the keys. TORTURE=1 repeats each race 100 times.
"""

import base64
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

import pyotp
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from sqlmodel import select
from starlette.testclient import TestClient

from gateway.app import Application, build_house
from gateway.apps import declare, verbs
from gateway.authorization.tables import AuthorizationRequest, TokenFamily
from gateway.consent.tables import Consent, ConsentEvent
from gateway.ground.keys import fresh
from gateway.ground.keys.opaque import fresh_bytes
from gateway.ground.store import migrate
from gateway.ground.web import cookies
from gateway.house import House
from gateway.log import reading
from gateway.organisations import links
from gateway.organisations.tables import Organisation
from gateway.people import passwords, seeding, sign_ins, totp
from gateway.people.tables import Person, SignIn
from gateway.sectors.model import FoundAccount
from gateway.settings import Settings
from tests.worlds import apps

ROUNDS = 100 if os.environ.get("TORTURE") else 1
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
ORGANISATION = {
    "id": "city-energy",
    "name": {"fr": "City Energy", "en": "City Energy"},
    "legal_entity": "City Energy SA",
    "sector": "energy",
    "zone": "Europe/Paris",
    "website": "https://organisation.example",
    "contact": {"privacy": "privacy@organisation.example", "support": "help"},
    "connection": {
        "kind": "assertion",
        "base_url": "https://organisation.example",
        "link": {"start": "/s", "confirm": "/c", "unlink": "/u", "number_label": WORDS},
    },
    "datasets": [{"id": "energy.electricity.usage", "paths": ["/x"]}],
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
            session.add(
                Organisation(
                    id="city-energy", declaration=ORGANISATION, declaration_sha256=fresh(), added_at=now, changed_at=now
                )
            )
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
                verbs.register(session, house.catalogue, declare.parse(document, Path("app.toml")), now)
        self.people = {name: self._person(name) for name in ("alice", "bob")}

    def _person(self, name: str) -> str:
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

    def screen(self, cookie: str, address: str) -> tuple[str, dict[str, str]]:
        """The consent form: its address, and its fields with what is needed to say yes."""
        page = self.browser(0, cookie).get(address + "&change=1")
        found = [one for one in forms(page.text) if one[0].startswith("/consent/")]
        assert found, (page.status_code, page.headers.get("location"), page.text[:2000])
        action, fields = found[0]
        return action, {**fields, "accounts:city-energy": self._reference(), "decision": "allow"}

    def _reference(self) -> str:
        return links.reference(self.house.keys, "meter", self.people["alice"], "city-energy", "point-1", "")

    def code(self) -> str:
        cookie, address = self.signed_in("alice"), self.pushed()
        action, fields = self.screen(cookie, address)
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


@pytest.fixture(scope="module")
def world(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    name = f"races_{fresh()[:8].lower().replace('-', '_')}"
    postgres.create(name)
    made = World(tmp_path_factory.mktemp("races"), postgres.url(name))
    yield made
    made.close()
    postgres.drop(name)


rounds = pytest.mark.parametrize("_round", range(ROUNDS))


@rounds
def test_of_twenty_calls_with_one_code_one_gets_tokens_and_its_family_is_ended(world: World, _round: int) -> None:
    code = world.code()
    answers = at_once(20, lambda number: world.redeem(number, code))
    assert statuses(answers) == [200] + [400] * 19
    given = next(answer.json() for answer in answers if answer.status_code == 200)
    [request] = world.rows(
        AuthorizationRequest, AuthorizationRequest.code_sha256 == hashlib.sha256(code.encode()).hexdigest()
    )
    [family] = world.rows(TokenFamily, TokenFamily.consent_id == request.consent_id)
    assert family.ended_reason == "code_replayed"
    assert world.refresh(1, given["refresh_token"]).status_code == 400


@rounds
def test_of_twenty_calls_with_one_refresh_token_all_get_the_one_successor(world: World, _round: int) -> None:
    """Within the grace: there is one chain, however many ask."""
    token = world.redeem(0, world.code()).json()["refresh_token"]
    answers = at_once(20, lambda number: world.refresh(number, token))
    assert statuses(answers) == [200] * 20
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


@rounds
def test_of_twenty_calls_with_a_refresh_token_gone_beyond_none_gets_anything(world: World, _round: int) -> None:
    token = world.redeem(0, world.code()).json()["refresh_token"]
    second = world.refresh(0, token).json()["refresh_token"]
    third = world.refresh(1, second).json()["refresh_token"]
    before = world.kinds("alice").count("token_replay")
    answers = at_once(20, lambda number: world.refresh(number, token))
    assert statuses(answers) == [400] * 20
    assert world.kinds("alice").count("token_replay") == before + 1
    assert world.refresh(0, third).status_code == 400


@rounds
def test_one_form_sent_many_times_is_one_decision(world: World, _round: int) -> None:
    cookie, address = world.signed_in("alice"), world.pushed()
    action, fields = world.screen(cookie, address)
    answers = at_once(8, lambda number: world.browser(number, cookie).post(action, data=fields))
    assert statuses(answers) == [303] * 8
    consent = action.rpartition("/")[2]
    events = world.rows(ConsentEvent, ConsentEvent.consent_id == consent)
    assert sorted(event.type for event in events) == ["granted", "requested"]


@rounds
def test_yes_and_no_at_once_is_one_of_them(world: World, _round: int) -> None:
    cookie, address = world.signed_in("alice"), world.pushed()
    action, fields = world.screen(cookie, address)
    said = ("allow", "refuse")
    answers = at_once(8, lambda n: world.browser(n, cookie).post(action, data={**fields, "decision": said[n % 2]}))
    assert statuses(answers) == [303] * 8
    [consent] = world.rows(Consent, Consent.id == action.rpartition("/")[2])
    events = world.rows(ConsentEvent, ConsentEvent.consent_id == consent.id)
    assert len(events) == 2 and consent.state in ("active", "refused")
    assert ("code" in world.answered(cookie, address)) == (consent.state == "active")


@rounds
def test_stopping_one_while_another_is_agreed_to_leaves_one_that_runs(world: World, _round: int) -> None:
    code = world.code()
    running = next(one for one in world.rows(Consent, Consent.state == "active"))
    cookie, address = world.signed_in("alice"), world.pushed()
    action, fields = world.screen(cookie, address)
    csrf = fields["csrf"]

    def act(number: int) -> Any:
        if number % 2:
            return world.browser(number, cookie).post(action, data=fields)
        return world.browser(number // 2, cookie).post(f"/sharings/{running.id}/stop", data={"csrf": csrf})

    assert statuses(at_once(8, act)) == [303] * 8
    active = world.rows(Consent, Consent.person_id == world.people["alice"], Consent.state == "active")
    assert [one.id for one in active] == [action.rpartition("/")[2]]
    [ended] = world.rows(Consent, Consent.id == running.id)
    assert ended.state == "ended" and ended.reason in ("withdrawn", "replaced")
    assert [event.type for event in world.rows(ConsentEvent, ConsentEvent.consent_id == running.id)].count("ended") == 1
    assert world.redeem(0, code).status_code in (200, 400)


@rounds
def test_pausing_and_resuming_at_once_keeps_the_chain_of_events(world: World, _round: int) -> None:
    world.code()
    [running] = world.rows(Consent, Consent.person_id == world.people["alice"], Consent.state == "active")
    cookie = world.signed_in("alice")
    csrf = dict(forms(world.browser(0, cookie).get("/account/details").text)[0][1])["csrf"]
    acts = ("pause", "resume")
    answers = at_once(
        12, lambda n: world.browser(n, cookie).post(f"/sharings/{running.id}/{acts[n % 2]}", data={"csrf": csrf})
    )
    assert statuses(answers) == [303] * 12
    events = sorted(world.rows(ConsentEvent, ConsentEvent.consent_id == running.id), key=lambda event: event.seq)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    turns = [event.type for event in events if event.type in ("paused", "resumed")]
    assert turns == ["paused", "resumed"] * (len(turns) // 2) + ["paused"] * (len(turns) % 2)


@rounds
def test_of_eight_who_register_one_address_one_account_is_opened(world: World, _round: int) -> None:
    email = f"{fresh()[:10].lower().strip('-_')}x@example.org"
    browsers = []
    for number in range(8):
        page = world.browser(number).get("/register")
        browser = world.browser(number, visit=cast(str, page.cookies.get(cookies.VISIT)))
        browsers.append((browser, next(fields for _, fields in forms(page.text) if "email" in fields)))

    def act(number: int) -> Any:
        browser, fields = browsers[number]
        filled = {"name": "Carol Ann", "email": email, "password": "seven quiet otters"}
        return browser.post("/register", data={**fields, **filled})

    answers = at_once(8, act)
    assert statuses(answers) == [303] * 8
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(world.rows(Person, Person.email == email)) == 1


@rounds
def test_of_eight_who_use_one_time_code_one_signs_in(world: World, _round: int) -> None:
    house, now = world.house, world.house.clock()
    secret = totp.encoded(fresh_bytes(20))
    owing = [fresh() for _ in range(8)]
    with house.store.write() as session:
        bob = session.get_one(Person, world.people["bob"])
        totp.switch_on(session, house.keys, house.log, bob, secret, 0, [fresh_bytes(10)], now)
        for cookie in owing:
            sign_ins.begin(session, bob, "pwd", secret=cookie, settings=house.settings, now=now, complete=False)
    code = pyotp.TOTP(secret).at(now)
    pages = [world.browser(number, cookie).get("/sign-in/second") for number, cookie in enumerate(owing)]

    def act(number: int) -> Any:
        _, fields = next(form for form in forms(pages[number].text) if "code" in form[1])
        visit = cast(str, pages[number].cookies.get(cookies.VISIT))
        browser = world.browser(number, owing[number], visit)
        return browser.post("/sign-in/second", data={**fields, "code": code})

    assert statuses(at_once(8, act)) == [303] + [400] * 7
    complete = world.rows(SignIn, SignIn.person_id == world.people["bob"], SignIn.methods == "pwd otp")
    assert len(complete) == _round + 1


@rounds
def test_of_twenty_calls_with_one_assertion_one_is_believed(world: World, _round: int) -> None:
    form = {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": world.signer.assertion("signed"),
        "token": "unknown",
    }
    answers = at_once(8, lambda number: world.browser(number).post("/revoke", data=form))
    assert statuses(answers) == [200] + [401] * 7


@rounds
def test_a_request_that_two_people_open_at_once_is_one_persons(world: World, _round: int) -> None:
    address = world.pushed()
    who = [world.signed_in("alice"), world.signed_in("bob")]
    answers = at_once(8, lambda number: world.browser(number // 2, who[number % 2]).get(address + "&change=1"))
    assert statuses(answers) == [200] * 8
    uri = parse_qs(urlsplit(address).query)["request_uri"][0].rpartition(":")[2]
    [request] = world.rows(AuthorizationRequest, AuthorizationRequest.id == hashlib.sha256(uri.encode()).hexdigest())
    [kept] = world.rows(Consent, Consent.id == request.consent_id)
    assert kept.person_id == request.opened_by and kept.state == "requested"
    twins = world.rows(Consent, Consent.asked == request.ask, Consent.state == "requested")
    for one in twins:  # each that she or he cannot answer any more has lapsed
        assert one.id == kept.id or one.created_at < request.opened_at
