"""x-fapi-interaction-id: an app's own comes back if it is a UUID, and otherwise one of ours does."""

import re
from uuid import UUID, uuid4

import pytest
from security_world import ISSUER, World, detail, transactions, with_alice

from tests.callers import TestClient

NAME = "x-fapi-interaction-id"
OURS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def app(world: World) -> TestClient:
    return TestClient(world.application, base_url=ISSUER, follow_redirects=False)


def test_at_data_and_in_refusals_of_data(world: World) -> None:
    _, alice = with_alice(world, "canary")
    asked = [detail("harbour-bank", ["bank.accounts", "bank.transactions"])]
    body = world.agreed(world.browser(alice), "budget", asked)
    path = transactions(body["authorization_details"][0]["accounts"][0])
    given = str(uuid4())
    for address, token, status in ((path, body["access_token"], 200), (path, "x", 401), ("/data/nowhere/x", "y", 401)):
        headers = {"authorization": f"Bearer {token}"}
        answer = world.http.get(address, headers={**headers, NAME: given})
        assert (answer.status_code, answer.headers.get_list(NAME)) == (status, [given])
        first, second = (world.http.get(address, headers=headers).headers[NAME] for _ in range(2))
        assert OURS.fullmatch(first) and OURS.fullmatch(second) and first != second


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/token"), ("POST", "/par"), ("POST", "/revoke"), ("POST", "/introspect"), ("GET", "/userinfo"),
     ("GET", "/grants/x"), ("POST", "/apps"), ("POST", "/device_authorization"), ("OPTIONS", "/token")],
)  # fmt: skip
def test_at_every_endpoint_also_where_it_refuses(app: TestClient, method: str, path: str) -> None:
    given = str(uuid4()).upper()
    assert app.request(method, path, headers={NAME: given}).headers.get_list(NAME) == [given]
    assert UUID(app.request(method, path).headers[NAME])


@pytest.mark.parametrize(
    "given",
    ["", "x", "93bac548-d2de-4546-b106-880a5018460", "{93bac548-d2de-4546-b106-880a5018460d}",
     "93bac548d2de4546b106880a5018460d", "93bac548-d2de-4546-b106-880a5018460d ; x", "alice@example.org", "a" * 4000],
)  # fmt: skip
def test_what_is_no_uuid_does_not_come_back(app: TestClient, given: str) -> None:
    for path in ("/token", "/data/harbour-bank/x"):
        (found,) = app.get(path, headers={NAME: given}).headers.get_list(NAME)
        assert OURS.fullmatch(found)


def test_two_are_none(app: TestClient) -> None:
    one, two = str(uuid4()), str(uuid4())
    (found,) = app.get("/userinfo", headers=[(NAME, one), (NAME, two)]).headers.get_list(NAME)
    assert found not in (one, two) and OURS.fullmatch(found)


def test_a_page_has_none_unless_it_was_asked_with_one(app: TestClient) -> None:
    assert NAME not in app.get("/sign-in").headers and NAME not in app.get("/tokens").headers
    given = str(uuid4())
    assert app.get("/sign-in", headers={NAME: given}).headers[NAME] == given


def test_the_other_headers_of_banks_are_taken_and_change_nothing(app: TestClient) -> None:
    others = {"x-fapi-auth-date": "Tue, 11 Sep 2012 19:43:31 UTC", "x-fapi-customer-ip-address": "2001:db8::1"}
    assert app.get("/userinfo", headers=others).status_code == app.get("/userinfo").status_code == 401
