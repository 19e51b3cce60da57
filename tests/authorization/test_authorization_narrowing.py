"""A token request for less than was granted gets a token for that alone; for more it gets none (RFC 9396 §6)."""

import json
import re

import pytest
from authorization_world import BUDGET, ISSUER, Page, answered, bank, usage

from gateway.authorization import devices
from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.tables import Consent
from gateway.organisations.tables import Organisation
from tests.tokens import claims

ENERGY, BANK = f"{ISSUER}/data/city-energy", f"{ISSUER}/data/harbour-bank"
ACCOUNTS, BALANCES = "bank.accounts", "bank.balances"
TICKED = {"accounts:harbour-bank": "account-1", "item:harbour-bank:bank.balances": "yes"}
FULL = {**BUDGET, "data": [
    {**BUDGET["data"][0], "fields": ["account.kind", "account.name"]}, BUDGET["data"][1]]}  # fmt: skip


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


@pytest.fixture
def both(world):
    """A token response for accounts, with two fields, and balances."""
    world.register("budget", **FULL)
    asked = [
        {**bank(), "fields": ["account.kind", "account.name"]},
        {**bank(), "datatypes": [BALANCES], "fields": ["balance.amount"]},
    ]
    final = world.agree(world.browser("alice"), world.pushed("budget", asked), **TICKED)
    return answered(final)["code"]


def less(*details, **members):
    return {"authorization_details": json.dumps([*details] or [members])}


def of(details):
    return [one["datatypes"][0] for one in details]


ONE = {"type": "data_access", "locations": [BANK], "datatypes": [BALANCES]}


def test_a_code_gives_a_token_for_the_part_that_is_asked_for(world, both):
    body = world.redeem(both, "budget", **less(ONE)).json()
    assert of(body["authorization_details"]) == [BALANCES]
    assert claims(body["access_token"])["authorization_details"] == [ONE]
    told = world.introspect(body["access_token"]).json()
    assert told["authorization_details"] == body["authorization_details"]


def test_the_refresh_token_stays_good_for_all_of_it(world, both):
    body = world.redeem(both, "budget", **less(ONE)).json()
    every = world.introspect(body["refresh_token"]).json()["authorization_details"]
    assert of(every) == [ACCOUNTS, BALANCES]
    again = world.refresh(body["refresh_token"], "budget").json()
    assert of(again["authorization_details"]) == [ACCOUNTS, BALANCES]
    assert "authorization_details" not in claims(again["access_token"])
    part = world.refresh(body["refresh_token"], "budget", **less({**ONE, "datatypes": [ACCOUNTS]})).json()
    assert of(part["authorization_details"]) == [ACCOUNTS]


def test_what_a_token_response_told_can_be_sent_back(world, both):
    told = world.redeem(both, "budget").json()
    again = world.refresh(told["refresh_token"], "budget", **less(*told["authorization_details"])).json()
    assert again["authorization_details"] == told["authorization_details"]
    assert "authorization_details" not in claims(again["access_token"]), "it is all of it"
    first = told["authorization_details"][0]
    body = world.refresh(told["refresh_token"], "budget", **less({**first, "fields": ["account.kind"]})).json()
    assert [one["fields"] for one in body["authorization_details"]] == [
        [name for name in first["fields"] if name != "account.name"]
    ]


def test_a_shorter_period_and_fewer_accounts(world):
    final = world.agree(world.browser("alice"), world.pushed(), **{"accounts:city-energy": ["point-1", "point-2"]})
    told = world.redeem(answered(final)["code"]).json()
    (whole,) = told["authorization_details"]
    assert whole["accounts"] == ["point-1", "point-2"]
    asked = {**whole, "accounts": ["point-2"], "period": {"history": "P3M", "future": True}}
    body = world.refresh(told["refresh_token"], **less(asked)).json()
    assert body["authorization_details"] == [asked]
    until = {"from": "2026-01-01T00:00:00+01:00", "to": "2026-02-01T00:00:00+01:00"}
    body = world.refresh(body["refresh_token"], **less({**whole, "period": until})).json()
    assert body["authorization_details"][0]["period"] == {**until, "future": False}


@pytest.mark.parametrize(
    ("change", "term"),
    [
        ({"datatypes": ["bank.transactions"]}, "datatypes"),
        ({"datatypes": [ACCOUNTS, "bank.transactions"]}, "datatypes"),
        ({"locations": [ENERGY]}, "datatypes"),
        ({"locations": [BANK, ENERGY]}, "datatypes"),
        ({"locations": [f"{BANK}/"]}, "datatypes"),
        ({"locations": [f"{ISSUER}/userinfo"]}, "datatypes"),
        ({"fields": ["balance.amount", "balance.type"]}, "fields"),
        ({"fields": ["account.kind"]}, "fields"),
        ({"accounts": ["account-9"]}, "accounts"),
        ({"period": {"history": "P24M"}}, "period"),
        ({"period": {"from": "1999-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}}, "period"),
        ({"period": {"from": "2026-01-01T00:00:00", "to": "2026-02-01T00:00:00"}}, "period"),
        ({"purpose": "energy-advice"}, "purpose"),
        ({"retention": "P2Y"}, "retention"),
        ({"retention": "P1D"}, "retention"),
        ({"valid_until": "2099-01-01T00:00:00+00:00"}, "valid_until"),
        ({"once": True}, "once"),
        ({"frequency": [{"times": 100, "per": "hour"}]}, "frequency"),
        ({"max_records": 5}, "max_records"),
        ({"reason": {"fr": "x", "en": "x"}}, "reason"),
        ({"unheard_of": 1}, "[0]"),
        ({"type": "account_information"}, "[0].type"),
        ({"actions": ["write"]}, "[0].actions"),
        ({"locations": []}, "[0].locations"),
        ({"datatypes": [1]}, "[0].datatypes"),
        ({"accounts": []}, "accounts"),
    ],
)
def test_more_or_other_than_was_granted_is_refused_and_the_code_is_not_spent(world, both, change, term):
    answer = world.redeem(both, "budget", **less({**ONE, **change}))
    assert error(answer) == "invalid_authorization_details"
    assert answer.json()["term"] == term, answer.text
    assert world.redeem(both, "budget", **less(ONE)).status_code == 200


@pytest.mark.parametrize("text", ["[]", "{}", "x", "[1]", '[{"type": "data_access"}]', "[" * 50, ""])
def test_what_is_no_details_is_refused(world, both, text):
    answer = world.redeem(both, "budget", authorization_details=text)
    assert answer.status_code == (400 if text else 200), "an empty parameter counts as left out"


def test_two_objects_for_the_same_data_are_refused(world, both):
    answer = world.redeem(both, "budget", **less(ONE, {**ONE, "datatypes": [ACCOUNTS, BALANCES]}))
    assert error(answer) == "invalid_authorization_details"


def test_a_part_for_another_place_than_the_resource_is_no_token(world, both):
    assert error(world.redeem(both, "budget", resource=ENERGY, **less(ONE))) == "invalid_target"


def test_a_public_client_that_asks_for_too_much_keeps_its_refresh_token(world):
    body = world.tokens()
    wider = {**usage(), "fields": ["interval.start", "interval.value", "interval.cost"]}
    for name in ("valid_for", "retention", "purpose", "period"):
        del wider[name]
    assert error(world.refresh(body["refresh_token"], **less(wider))) == "invalid_authorization_details"
    assert world.refresh(body["refresh_token"]).status_code == 200


def test_mallory_learns_nothing_of_a_grant_by_asking_for_parts_of_it(world, both):
    assert error(world.redeem(both, "meter", **less(ONE))) == "invalid_grant"
    assert error(world.redeem("x" * 43, "budget", **less({**ONE, "datatypes": ["bank.transactions"]}))) == (
        "invalid_grant"
    )


def test_what_she_takes_away_later_is_not_in_the_part_either(world, both):
    body = world.redeem(both, "budget", **less(ONE)).json()
    with world.house.store.write() as session:
        consent = session.get_one(Consent, body["grant_id"])
        keep = frozenset({("harbour-bank", ACCOUNTS)})
        assert deciding.keep_only(session, world.house.log, consent, herself(consent.person_id), keep, world.clock.now)
    assert world.introspect(body["access_token"]).json()["authorization_details"] == []
    assert error(world.refresh(body["refresh_token"], "budget", **less(ONE))) == "invalid_authorization_details"


def test_a_device_may_ask_for_less_too(world):
    grants = ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]
    world.register("tv", grant_types=grants)
    form = {"authorization_details": json.dumps([usage()])}
    begun = world.post("/device_authorization", form, "tv").json()
    browser = world.browser("alice")
    page = browser.get(begun["verification_uri_complete"].removeprefix(ISSUER))
    fields = dict(hidden(page.text))
    led = browser.post("/device", data=fields)
    world.agree(browser, led.headers["location"])
    world.clock.passes(seconds=10)
    poll = {"grant_type": devices.GRANT, "device_code": begun["device_code"]}
    (whole,) = [{"type": "data_access", "locations": [ENERGY], "datatypes": ["energy.electricity.usage"]}]
    assert error(world.post("/token", {**poll, **less({**whole, "fields": ["interval.cost"]})}, "tv")) == (
        "invalid_authorization_details"
    )
    world.clock.passes(seconds=20)
    body = world.post("/token", {**poll, **less({**whole, "period": {"history": "P1M"}})}, "tv").json()
    assert body["authorization_details"][0]["period"] == {"history": "P1M", "future": False}


def hidden(text):
    for tag in re.findall(r"<input[^>]*>", text):
        found = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if "name" in found:
            yield found["name"], found.get("value", "")


# ---- scope


@pytest.fixture
def plain(world):
    world.register("plain", purposes=["energy-advice", "household-budget"], data=[],
                   scope="energy:usage bank:balances")  # fmt: skip
    return world


@pytest.fixture
def site(world):
    world.register("site", profile="oidc", token_endpoint_auth_method="client_secret_basic", purposes=["sign-in"],
                   data=[])  # fmt: skip
    return world


def signed_in(world, scope, **more):
    browser = world.browser("alice")
    address = world.pushed("site", scope=scope, **more)
    page = Page(browser.get(address).text)
    answer = browser.post(page.action, data={**page.fields, "decision": "allow"})
    return world.redeem(answered(browser.get(answer.headers["location"]))["code"], "site").json()


def userinfo(world, token):
    return world.browser().get("/userinfo", headers={"authorization": f"Bearer {token}"})


def test_a_refresh_for_fewer_scopes_tells_less_of_her(site):
    body = signed_in(site, "openid profile email")
    assert userinfo(site, body["access_token"]).json().keys() >= {"sub", "name", "email"}
    few = site.refresh(body["refresh_token"], "site", scope="openid email").json()
    assert few["scope"] == claims(few["access_token"])["scope"] == "openid email"
    assert userinfo(site, few["access_token"]).json().keys() == {"sub", "email", "email_verified"}
    assert site.events("alice")[-1]["datasets"] == ["identity.sign-in", "identity.email"]
    assert "name" in userinfo(site, site.refresh(body["refresh_token"], "site").json()["access_token"]).json()


def test_without_openid_there_is_no_id_token_and_no_userinfo(site):
    site.register("site", profile="oidc", token_endpoint_auth_method="client_secret_basic", scope="openid email",
                  purposes=["sign-in", "household-budget"], data=BUDGET["data"])  # fmt: skip
    browser = site.browser("alice")
    asked = {**bank(), "purpose": "household-budget"}
    address = site.pushed("site", [asked], scope="openid data_access")
    body = site.redeem(answered(site.agree(browser, address, **TICKED))["code"], "site").json()
    assert "id_token" in body and len(body["authorization_details"]) == 2
    few = site.refresh(body["refresh_token"], "site", scope="data_access").json()
    assert "id_token" not in few and few["scope"] == "data_access"
    assert of(few["authorization_details"]) == [ACCOUNTS]
    assert claims(few["access_token"])["aud"] == [BANK]
    assert userinfo(site, few["access_token"]).status_code == 401
    only = site.refresh(body["refresh_token"], "site", scope="openid").json()
    assert claims(only["access_token"])["aud"] == [f"{ISSUER}/userinfo"]


def test_a_plain_scope_that_is_left_out_takes_its_data_along(plain):
    wide = {
        "id": "energy:cost", "purpose": "energy-advice", "valid_for": "P6M", "retention": "P6M",
        "data": [{"dataset": "energy.electricity.summary", "history": "P1M"}],
    }  # fmt: skip
    declare_scope(plain, wide)
    plain.register("plain", purposes=["energy-advice"], data=[], scope="energy:usage energy:cost")
    browser = plain.browser("alice")
    address = plain.pushed("plain", "", authorization_details=None, scope="energy:usage energy:cost", resource=ENERGY)
    body = plain.redeem(answered(plain.agree(browser, address))["code"], "plain").json()
    assert len(body["authorization_details"]) == 2
    few = plain.refresh(body["refresh_token"], "plain", scope="energy:usage").json()
    assert (few["scope"], of(few["authorization_details"])) == ("energy:usage", ["energy.electricity.usage"])
    assert error(plain.refresh(few["refresh_token"], "plain", scope="energy:usage bank:balances")) == "invalid_scope"


def declare_scope(world, scope):
    with world.house.store.write() as session:
        row = session.get_one(Organisation, "city-energy")
        row.declaration = {**row.declaration, "scope": [scope]}
        row.declaration_sha256 = "with a scope"


def test_scopes_that_stand_for_nothing_granted_give_no_token(site):
    body = signed_in(site, "openid offline_access")
    assert error(site.refresh(body["refresh_token"], "site", scope="offline_access")) == "invalid_scope"
