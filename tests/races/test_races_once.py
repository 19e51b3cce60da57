"""What is good once is good once, however many come with it at the same time, and to whichever process.

A real gateway, `aval serve`: on SQLite it is one process, because a second one does not start there; on PostgreSQL two.
ROUNDS=200 makes the long run (`make races`); each round has a network of its own, so that no limit of tries is met.
"""

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.ground.keys import fresh
from tests.worlds import served
from tests.worlds.served import CALLBACK, CIBA, DEVICE, VERIFIER, Http, Stuck, Town

ROUNDS = int(os.environ.get("ROUNDS") or 3)
AT_ONCE = 20
ASKED = 8  # times that one person is asked by an app
SHOWN = 20  # rounds from one word on the terminal to the next
PROCESSES = {"sqlite": 1, "postgres": 2}

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120 + 10 * ROUNDS)]


@dataclass
class Street:
    """A town that is served, in one round: callers have this round's network."""

    town: Town
    ports: Sequence[int]
    network: str = "127.0.0.1"
    asked: str = "alice"  # who has not been asked too often yet
    opened: list[Http] = field(default_factory=list)

    def http(self, at: int = 0, person: str = "") -> Http:
        cookie = self.town.cookie(person) if person else ""
        self.opened.append(Http(self.ports[at % len(self.ports)], self.town.home, cookie, self.network))
        return self.opened[-1]

    def over(self) -> None:
        """The round is."""
        while self.opened:
            self.opened.pop().close()

    def pushed(self, app: str) -> str:
        """The address of a pushed request."""
        answer = self.http().post("/par", self.town.request(app), **self.proof_of(app))
        assert answer.status == 201, answer.text
        asked = {"client_id": app, "request_uri": answer.json()["request_uri"]}
        return f"/authorize?{urlencode(asked)}"

    def code(self, app: str) -> str:
        """Alice has agreed."""
        return served.walk(self.http(person="alice"), self.pushed(app), self.town.agrees(app, "alice"))["code"]

    def agreed(self, browser: Http, app: str, address: str, person: str = "alice") -> None:
        """She has, on the whole screen of a request after which no app waits for her browser."""
        page = browser.get(f"{address}&change=1", accept="text/html")
        action, fields = next(form for form in served.forms(page.text) if "seen" in form[1])
        answer = browser.post(action, fields | self.town.chosen(app, person), accept="text/html")
        assert browser.get(answer.headers["location"], accept="text/html").status == 200

    def proof_of(self, app: str) -> dict[str, str]:
        """The header by which an app proves who it is; a public one has none."""
        return {"authorization": self.town.basic(app)} if self.town.secrets[app] else {}

    def redeemed(self, app: str, code: str, http: Http) -> served.Answer:
        form = {
            "client_id": app,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return http.post("/token", form, **self.proof_of(app))

    def refreshed(self, token: str, http: Http) -> served.Answer:
        return http.post("/token", {"client_id": "meter", "grant_type": "refresh_token", "refresh_token": token})


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def street(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    engine, folder = request.param, tmp_path_factory.mktemp("races")
    database, name = "", f"races_{fresh()[:8].lower().replace('-', '_')}"
    if engine == "postgres":
        cluster = request.getfixturevalue("postgres")
        cluster.create(name)
        database = cluster.url(name)
    town = served.prepared(folder / "town", database, people=2 + -(-ROUNDS // ASKED), fsync=False)
    with served.serving(town, PROCESSES[engine]) as ports:
        yield Street(town, ports)
    if database:
        cluster.drop(name)


# ---- the races: what is good once is made, and of what comes of twenty calls with it is told what won

Act = Callable[[int, Http], Any]


def code(street: Street) -> tuple[Act, Callable[[list[Any]], int]]:
    """RFC 6749 §4.1.2: one gets tokens, and they are worth nothing, because others came with the code, too."""
    made = street.code("worker")

    def won(answers: list[served.Answer]) -> int:
        given = _given(answers)
        for one in given:
            form = {"grant_type": "refresh_token", "refresh_token": one["refresh_token"]}
            assert street.http().post("/token", form, **street.proof_of("worker")).status == 400
        return len(given)

    return lambda _at, http: street.redeemed("worker", made, http), won


def refresh_token(street: Street) -> tuple[Act, Callable[[list[Any]], int]]:
    """RFC 9700 §4.14.2, of a public client: within the grace all get one and the same successor, which goes on."""
    first = street.redeemed("meter", street.code("meter"), street.http()).json()["refresh_token"]

    def won(answers: list[served.Answer]) -> int:
        chains = {one["refresh_token"] for one in _given(answers)}
        for one in chains:
            assert street.refreshed(one, street.http(1)).status == 200
        return len(chains)

    return lambda _at, http: street.refreshed(first, http), won


def request_uri(street: Street) -> tuple[Act, Callable[[list[Any]], int]]:
    """RFC 9126 §7.3: of two people who open it and agree, in ten windows each, one is sent on with a code: one code."""
    address, people = street.pushed("worker"), ("alice", "bob")

    def act(at: int, http: Http) -> tuple[str, str]:
        person = people[at // len(street.ports) % 2]
        http.has(street.town.cookie(person))
        try:
            return person, served.walk(http, address, street.town.agrees("worker", person)).get("code", "")
        except Stuck as stuck:
            assert stuck.args[0] != 500, stuck.args
            return person, ""

    def won(told: list[tuple[str, str]]) -> int:
        found = {each for each in told if each[1]}
        redeemed = [street.redeemed("worker", each, street.http()) for each in {code for _, code in found}]
        assert [answer.status for answer in redeemed] == [200] * len(found)
        return len(found)

    return act, won


def device_code(street: Street) -> tuple[Act, Callable[[list[Any]], int]]:
    """RFC 8628 §3.4: one poll gets tokens."""
    asked = {"client_id": "meter", "authorization_details": street.town.asked()}
    begun = street.http().post("/device_authorization", asked)
    assert begun.status == 200, begun.text
    told = begun.json()
    browser = street.http(person="alice")
    page = browser.get(f"/device?user_code={told['user_code']}", accept="text/html")
    fields = next(fields for _, fields in served.forms(page.text) if "user_code" in fields)
    entered = browser.post("/device", fields | {"user_code": told["user_code"]}, accept="text/html")
    street.agreed(browser, "meter", entered.headers["location"])
    form = {"client_id": "meter", "grant_type": DEVICE, "device_code": told["device_code"]}
    return lambda _at, http: http.post("/token", form), lambda answers: len(_given(answers))


def auth_req_id(street: Street) -> tuple[Act, Callable[[list[Any]], int]]:
    """CIBA Core §10.1: the same of a request that waited in her inbox."""
    form = {"scope": "openid", "login_hint": f"{street.asked}@example.org"}
    form["authorization_details"] = street.town.asked()
    begun = street.http().post("/bc-authorize", form, **street.proof_of("till"))
    assert begun.status == 200, begun.text
    browser = street.http(person=street.asked)
    inbox = browser.get("/sharings", accept="text/html").text
    led = browser.get(re.findall(r'href="(/requests/[^"]+)"', inbox)[0], accept="text/html")
    street.agreed(browser, "till", led.headers["location"], street.asked)
    form = {"grant_type": CIBA, "auth_req_id": begun.json()["auth_req_id"]}
    shown = street.proof_of("till")
    return lambda _at, http: http.post("/token", form, **shown), lambda answers: len(_given(answers))


def dpop_proof(street: Street) -> tuple[Act, Callable[[list[Any]], int]]:
    """RFC 9449 §11.1: a proof is good for one call."""
    claims = {"jti": fresh(), "htm": "POST", "htu": f"{street.town.home}/token", "iat": int(_now())}
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    proof = jwt.encode(claims, key, "ES256", {"typ": "dpop+jwt", "jwk": jwk})
    form = {"grant_type": "client_credentials", "scope": "grant_management_query"}
    shown = street.proof_of("worker") | {"dpop": proof}
    return lambda _at, http: http.post("/token", form, **shown), lambda answers: len(_given(answers))


# How many may win: (at least, at most).
RACES = {
    code: (1, 1),
    refresh_token: (1, 1),
    request_uri: (0, 1),  # of the two people each may be in the other's way
    device_code: (1, 1),
    auth_req_id: (1, 1),
    dpop_proof: (1, 1),
}


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _given(answers: list[served.Answer]) -> list[dict[str, Any]]:
    """What those got who got tokens. The others were refused, and none met a fault."""
    assert {answer.status for answer in answers} <= {200, 400, 503}, Counter(answer.status for answer in answers)
    return [answer.json() for answer in answers if answer.status == 200]


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_of_twenty_who_come_with_it_at_once_one_wins(
    street: Street, race: Callable[[Street], tuple[Act, Callable[[list[Any]], int]]], request: pytest.FixtureRequest
) -> None:
    at_least, at_most = RACES[race]
    found: Counter[int] = Counter()
    engine = "postgres" if len(street.ports) > 1 else "sqlite"
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for number in range(ROUNDS):
            street.network = f"127.{1 + list(RACES).index(race)}.{number // 250}.{1 + number % 250}"
            street.asked = list(street.town.people)[2 + number // ASKED]
            act, won = race(street)
            winners = won(at_once(threads, street, act))
            street.over()
            found[winners] += 1
            assert at_least <= winners <= at_most, f"round {number}"
            if (number + 1) % SHOWN == 0 or number + 1 == ROUNDS:
                print(f"{engine}, {race.__name__}: {number + 1} rounds of {AT_ONCE}, winners {dict(found)}", flush=True)


def at_once(threads: ThreadPoolExecutor, street: Street, act: Act) -> list[Any]:
    """The answers of so many calls that begin together, at each process in turn."""
    ready = threading.Barrier(AT_ONCE)

    def one(at: int) -> Any:
        http = street.http(at)
        ready.wait()
        return act(at, http)

    return list(threads.map(one, range(AT_ONCE)))
