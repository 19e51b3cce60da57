"""The calls that are answered on the event loop (plain_calls.py): each as its door would, or left to it, and never an
answer of before."""

import asyncio
import base64
import contextlib
import json
import shutil
from typing import Any
from urllib.parse import urlencode

import pytest
from authorization_world import CALLBACK, ISSUER, answered, bank
from client_keys import proof

from gateway.apps import verbs
from gateway.authorization import rules
from gateway.consent import deciding
from gateway.consent.actors import Actor
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from gateway.errors import Unavailable
from tests.callers import TestClient
from tests.tokens import claims

SCOPE = "grant_management_query"
GRANTS = ["authorization_code", "refresh_token", "client_credentials"]
TICKED = {"accounts:harbour-bank": "account-1", "item:harbour-bank:bank.balances": "yes"}
ITSELF = {"grant_type": "client_credentials", "scope": SCOPE}
pytestmark = pytest.mark.sqlite  # a database that is elsewhere is asked by the doors


@pytest.fixture(autouse=True)
def cast(world):
    """Ledger and rival, who prove themselves by a secret in the header, and poster, by one in the form."""
    for name in ("ledger", "rival"):
        world.register(name, token_endpoint_auth_method="client_secret_basic", grant_types=GRANTS)
    world.register("poster", token_endpoint_auth_method="client_secret_post", grant_types=GRANTS)


def asked(world, path: str, form: Any, app: str = "ledger", at: Any = None, **headers: str) -> Any:
    """`at`: what is called; None: the whole, plain calls before the doors."""
    client = TestClient(at or world.app, base_url=ISSUER)
    secret = base64.b64encode(f"{app}:{world.secrets[app]}".encode()).decode()
    return client.post(path, data=form, headers={"authorization": f"Basic {secret}", **headers})


def was_plain(answer: Any) -> bool:
    """Only what makes a log line gives an answer its id, and the doors of this world are without."""
    return "x-request-id" in answer.headers


def alike(world, path: str, form: Any, app: str = "ledger", **headers: str) -> Any:
    """The answer, which is that of the door but for its id and what is new in each token."""
    plain, door = (asked(world, path, form, app, at, **headers) for at in (world.app, world.doors))
    assert (plain.status_code, _same(plain.json())) == (door.status_code, _same(door.json()))
    ours, theirs = (dict(one.headers) for one in (plain, door))
    assert ours.pop("x-request-id", None) is None or plain.status_code == 200
    assert ours == theirs
    return plain


def _same(body: dict[str, Any]) -> dict[str, Any]:
    if "access_token" in body:
        said = claims(body["access_token"])
        assert said.pop("jti")
        return {**body, "access_token": said}
    return body


def own(world, app: str = "ledger") -> str:
    return str(asked(world, "/token", ITSELF, app).json()["access_token"])


def is_active(world, token: str, app: str = "ledger") -> bool:
    answer = asked(world, "/introspect", {"token": token}, app)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["active"])


def budgets(world) -> str:
    """Of Alice, for the app that reads her accounts."""
    return str(world.tokens("budget")["access_token"])


# ---- which calls


@pytest.mark.parametrize("scope", [SCOPE, f"grant_management_revoke {SCOPE} {SCOPE}"])
def test_a_token_of_its_own_is_given_at_once(world, scope):
    assert was_plain(alike(world, "/token", {**ITSELF, "scope": scope}))


def test_so_it_is_by_a_secret_in_the_form(world):
    form = {**ITSELF, "client_id": "poster", "client_secret": world.secrets["poster"]}
    client = TestClient(world.app, base_url=ISSUER)
    answer = client.post("/token", data=form)
    assert was_plain(answer) and answer.json()["scope"] == SCOPE
    assert not was_plain(client.post("/token", data={**form, "client_secret": "another"}))
    wrong = asked(world, "/token", ITSELF, "poster")  # the other way to show it
    assert (wrong.status_code, was_plain(wrong)) == (401, False)


def test_what_a_token_is_worth_is_told_at_once(world):
    assert was_plain(alike(world, "/introspect", {"token": own(world)}))
    hinted = {"token": own(world), "token_type_hint": "access_token"}
    assert was_plain(alike(world, "/introspect", hinted))
    told = alike(world, "/introspect", {"token": budgets(world)}, "budget")
    assert was_plain(told) and told.json()["authorization_details"][0]["fields"] == ["account.kind"]
    again = alike(world, "/introspect", {"token": budgets(world)}, "budget")
    assert was_plain(again)


def test_of_a_token_for_less_it_is_told_what_that_is_good_for(world):
    both = [bank(), {**bank(), "datatypes": ["bank.balances"], "fields": ["balance.amount"]}]
    final = world.agree(world.browser("alice"), world.pushed("budget", both), **TICKED)
    part = json.dumps([{name: both[1][name] for name in ("type", "locations", "datatypes")}])
    token = world.redeem(answered(final)["code"], "budget", authorization_details=part).json()["access_token"]
    told = alike(world, "/introspect", {"token": token}, "budget")
    assert was_plain(told)
    assert [one["datatypes"] for one in told.json()["authorization_details"]] == [["bank.balances"]]


@pytest.mark.parametrize(
    "form",
    [
        {**ITSELF, "scope": "openid"},
        {"grant_type": "client_credentials"},
        {**ITSELF, "resource": ISSUER},
        {**ITSELF, "resource": "https://elsewhere.example"},
        {**ITSELF, "authorization_details": "[]"},
        {**ITSELF, "client_id": "rival"},
        {**ITSELF, "client_secret": "beside the header"},
        {**ITSELF, "unknown": "x"},
        {**ITSELF, "scope": [SCOPE, SCOPE]},
        {**ITSELF, "scope": "\x00"},
        {**ITSELF, "scope": "é"},
        {"grant_type": "password", "scope": SCOPE},
        {"grant_type": "refresh_token", "refresh_token": "unknown"},
        {"grant_type": "authorization_code", "code": "unknown", "redirect_uri": CALLBACK},
        {},
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_door(world, form):
    assert not was_plain(alike(world, "/token", form))


@pytest.mark.parametrize("token", ["", "no token", "a.b.c", "é", "\x00.\x00.\x00", "eyJ" + "A" * 30_000])
def test_so_is_what_is_no_token(world, token):
    assert not was_plain(alike(world, "/introspect", {"token": token}))


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://page.example"},
        {"cookie": "aval_sign_in=x"},
        {"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
        {"content-type": "application/json"},
        {"accept": "application/token-introspection+jwt"},
    ],
)
def test_so_is_what_comes_with_something_beside_it(world, headers):
    form = {"token": own(world)}
    plain, door = (asked(world, "/introspect", form, at=at, **headers) for at in (world.app, world.doors))
    assert not was_plain(plain) and plain.status_code == door.status_code


def test_so_are_bound_tokens_and_who_must_have_them(world):
    bound = asked(world, "/token", ITSELF, dpop=proof(world))
    assert (bound.json()["token_type"], was_plain(bound)) == ("DPoP", False)
    told = alike(world, "/introspect", {"token": bound.json()["access_token"]})
    assert told.json()["token_type"] == "DPoP"
    world.register("careful", token_endpoint_auth_method="client_secret_basic", grant_types=GRANTS,
                   dpop_bound_access_tokens=True)  # fmt: skip
    assert alike(world, "/token", ITSELF, "careful").json()["error"] == "invalid_dpop_proof"


def test_a_method_of_another_kind_and_parameters_in_the_address(world):
    client = TestClient(world.app, base_url=ISSUER)
    assert client.get("/token").status_code == 405
    assert asked(world, f"/token?scope={SCOPE}", ITSELF).status_code == 400
    pieces = iter([b"grant_type=client_credentials", f"&scope={SCOPE}".encode()])
    secret = base64.b64encode(f"ledger:{world.secrets['ledger']}".encode()).decode()
    form = {"authorization": f"Basic {secret}", "content-type": "application/x-www-form-urlencoded"}
    answer = client.post("/token", content=pieces, headers=form)
    assert (answer.status_code, was_plain(answer)) == (200, False)


# ---- never an answer of before


def test_a_token_of_another_client_is_nothing(world):
    assert not is_active(world, own(world), "rival") and is_active(world, own(world))
    assert not is_active(world, budgets(world))


def test_a_token_that_was_given_back_is_over_with_the_next_call(world):
    token = own(world)
    assert is_active(world, token) and is_active(world, token)
    assert world.post("/revoke", {"token": token}, "ledger").status_code == 200
    assert not is_active(world, token)
    persons = budgets(world)
    assert is_active(world, persons, "budget")
    world.post("/revoke", {"token": persons}, "budget")
    assert not is_active(world, persons, "budget")


def test_what_she_stops_is_over_with_the_next_call(world):
    token = budgets(world)
    assert is_active(world, token, "budget")
    alice = Actor("person", "alice")
    for act, worth in ((deciding.pause, False), (deciding.resume, True)):
        with world.house.store.write() as session:
            consent = session.get_one(Consent, claims(token)["grant_id"])
            act(session, world.house.log, consent, alice, world.clock.now)
        assert is_active(world, token, "budget") is worth
    with world.house.store.write() as session:
        consent = session.get_one(Consent, claims(token)["grant_id"])
        deciding.end(session, world.house.log, consent, alice, EndReason.WITHDRAWN, world.clock.now)
    assert not is_active(world, token, "budget")


def test_a_token_is_over_at_its_end(world):
    token, persons = own(world), budgets(world)
    world.clock.passes(seconds=299)
    assert is_active(world, token) and is_active(world, persons, "budget")
    world.clock.passes(seconds=1)
    assert not is_active(world, token) and not is_active(world, persons, "budget")


def test_a_suspended_app_gets_nothing_from_the_next_call_on(world):
    token = own(world)
    assert is_active(world, token)
    world.suspend("ledger")
    assert asked(world, "/token", ITSELF).json()["error"] == "unauthorized_client"
    assert asked(world, "/introspect", {"token": token}).json()["error"] == "unauthorized_client"


def test_nothing_is_given_on_a_frozen_log(world, monkeypatch):
    monkeypatch.setattr(world.house.log, "frozen", "an entry is missing")
    answer = asked(world, "/token", ITSELF)
    assert (answer.status_code, was_plain(answer)) == (503, False)


def test_what_an_ended_key_has_signed_is_over(world):
    token = own(world)
    assert is_active(world, token)
    ring = world.house.keys
    kept = [one for one in ring._tokens.kept if one.algorithm != "ES256"]
    before = ring._tokens.kept
    ring.take(kept, world.clock.now.timestamp())
    try:
        answer = asked(world, "/introspect", {"token": token})
        assert not was_plain(answer) and answer.json() == {"active": False}
    finally:
        ring.take(before, world.clock.now.timestamp())


def test_nothing_is_told_from_a_database_that_was_replaced(world):
    token, store = own(world), world.house.store
    store.claim()
    assert is_active(world, token)
    copy = store.path.with_suffix(".copy")
    shutil.copy(store.path, copy)
    copy.replace(store.path)
    for path, form in (("/token", ITSELF), ("/introspect", {"token": token})):
        answer = asked(world, path, form)
        assert (answer.status_code, was_plain(answer)) == (503, False)


def test_names_that_no_app_has_are_not_remembered(world):
    world.plain_calls._rows.close()
    world.plain_calls._rows = rows = world.house.store.committed()
    client = TestClient(world.app, base_url=ISSUER)
    for number in range(3):
        form = {**ITSELF, "client_id": f"{number}" * 10_000, "client_secret": "x"}
        assert client.post("/token", data=form).status_code == 401
    assert not any(isinstance(value, str) and len(value) > 255 for _, values in rows._held for value in values)


# ---- guesses at a secret


def test_wrong_secrets_are_counted_and_the_right_one_waits_with_them(world):
    def tried(secret: str) -> int:
        shown = base64.b64encode(f"ledger:{secret}".encode()).decode()
        client = TestClient(world.app, base_url=ISSUER)
        return client.post("/token", data=ITSELF, headers={"authorization": f"Basic {shown}"}).status_code

    right = world.secrets["ledger"]
    assert [tried("wrong") for _ in range(rules.FAILURES_A_MINUTE)] == [401] * rules.FAILURES_A_MINUTE
    assert tried(right) == tried("wrong") == 429
    world.clock.passes(minutes=1)
    assert tried(right) == 200


def test_guesses_that_no_door_can_count_are_as_few(world, monkeypatch):
    """The disk is full: every refusal is the fault of the gateway, and so the right secret must not stand out."""
    right = world.secrets["ledger"]

    @contextlib.contextmanager
    def full():
        raise Unavailable("database: disk full")
        yield

    monkeypatch.setattr(world.house.store, "write", full)
    world.secrets["ledger"] = "wrong"
    for _ in range(2):
        tried = [asked(world, "/token", ITSELF).status_code for _ in range(rules.FAILURES_A_MINUTE)]
        assert tried == [503] * rules.FAILURES_A_MINUTE
        world.clock.passes(minutes=1)
    assert [asked(world, "/token", ITSELF).status_code for _ in range(rules.FAILURES_A_MINUTE)] == tried
    world.secrets["ledger"] = right
    assert asked(world, "/token", ITSELF).status_code == 503
    world.clock.passes(minutes=1)
    assert asked(world, "/token", ITSELF).status_code == 200, "a token of its own needs no disk"


def test_of_many_guesses_at_once_no_more_learn_whether_they_were_right(world):
    """The right one comes last of a burst: nobody has counted the others yet."""
    right, many = world.secrets["ledger"], 4 * rules.FAILURES_A_MINUTE

    async def burst() -> list[int]:
        secrets = [*["wrong"] * many, right]
        return list(await asyncio.gather(*[status(world.app, ITSELF, f"ledger:{one}") for one in secrets]))

    statuses = asyncio.run(burst())
    assert statuses[-1] == 429
    assert sorted(statuses[:-1]) == [401] * rules.FAILURES_A_MINUTE + [429] * (many - rules.FAILURES_A_MINUTE)


async def status(app: Any, form: dict[str, str], credentials: str) -> int:
    """Of the answer to a call of the token endpoint, in this event loop."""
    body, told = urlencode(form).encode(), []
    fields = {
        b"host": b"localhost:8400",
        b"authorization": b"Basic " + base64.b64encode(credentials.encode()),
        b"content-type": b"application/x-www-form-urlencoded",
        b"content-length": b"%d" % len(body),
    }
    scope = {"type": "http", "method": "POST", "path": "/token", "raw_path": b"/token", "query_string": b"",
             "root_path": "", "scheme": "http", "http_version": "1.1", "client": ("192.0.2.7", 1),
             "server": ("localhost", 8400), "headers": list(fields.items())}  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    await app(scope, receive, send)
    return int(told[0]["status"])


def test_a_renewed_secret_ends_the_one_before_with_the_next_call(world):
    old = world.secrets["ledger"]
    assert was_plain(asked(world, "/token", ITSELF)) and was_plain(asked(world, "/token", ITSELF))
    with world.house.store.write() as session:
        world.secrets["ledger"] = verbs.renew_secret(session, "ledger", world.clock.now)
    assert was_plain(asked(world, "/token", ITSELF))
    world.secrets["ledger"] = old
    assert asked(world, "/token", ITSELF).status_code == 401
