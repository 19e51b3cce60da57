"""Plain scope: an app that knows no authorization_details asks by a name; screen and enforcement are the same."""

import json

import pytest
from authorization_world import ISSUER, answered, visible
from sqlmodel import select

from gateway.authorization.tables import AuthorizationRequest
from gateway.organisations.tables import Organisation
from tests.tokens import claims

ENERGY, BANK = f"{ISSUER}/data/city-energy", f"{ISSUER}/data/harbour-bank"
OWN = {
    "id": "patient/Energy.rs", "purpose": "energy-advice", "valid_for": "P3M", "retention": "P1M",
    "data": [{"dataset": "energy.electricity.usage", "fields": ["interval.value"], "history": "P1M"}],
}  # fmt: skip


@pytest.fixture
def plain(world):
    world.register("plain", purposes=["energy-advice", "household-budget"], data=[],
                   scope="energy:usage bank:balances bank:moves patient/Energy.rs")  # fmt: skip
    return world


def request(world, scope, **more):
    return world.push("plain", "", authorization_details=None, scope=scope, **more)


def tokens(world, scope, tick=(), **more):
    address = f"/authorize?client_id=plain&request_uri={request(world, scope, **more).json()['request_uri']}"
    ticked = {**{"accounts:harbour-bank": "account-1"}, **dict.fromkeys(tick, "yes")}
    code = answered(world.agree(world.browser("alice"), address, **ticked))["code"]
    answer = world.redeem(code, "plain")
    assert answer.status_code == 200, answer.text
    return answer.json()


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


def declared(world, organisation, *scopes):
    with world.house.store.write() as session:
        row = session.get_one(Organisation, organisation)
        row.declaration = {**row.declaration, "scope": list(scopes)}
        row.declaration_sha256 = f"{organisation} {json.dumps(scopes)}"


def test_a_scope_of_the_policies_at_the_organisation_that_is_named(plain):
    body = tokens(plain, "energy:usage", resource=ENERGY)
    assert body["scope"] == "energy:usage"
    assert claims(body["access_token"])["aud"] == [ENERGY]
    (detail,) = body["authorization_details"]
    assert (detail["datatypes"], detail["fields"]) == (
        ["energy.electricity.usage"],
        ["interval.start", "interval.value"],
    )
    assert (detail["period"], detail["purpose"]) == ({"history": "P13M", "future": True}, "energy-advice")


def test_the_screen_is_the_same_and_puts_no_words_in_the_apps_mouth(plain):
    pushed = request(plain, "energy:usage", resource=ENERGY).json()
    address = f"/authorize?client_id=plain&request_uri={pushed['request_uri']}"
    text = visible(plain.browser("alice").get(address).text)
    assert "City-Energy" in text and "says" not in text


def test_an_optional_part_is_the_persons_choice(plain):
    without = tokens(plain, "bank:balances", resource=BANK)
    assert [one["datatypes"] for one in without["authorization_details"]] == [["bank.accounts"]]
    both = tokens(plain, "bank:balances", resource=BANK, tick=["item:harbour-bank:bank.balances"])
    assert [one["datatypes"] for one in both["authorization_details"]] == [["bank.accounts"], ["bank.balances"]]


def test_without_a_resource_nobody_guesses(plain):
    assert error(request(plain, "energy:usage")) == "invalid_target"
    assert error(request(plain, "energy:usage", resource=f"{ISSUER}/data/nobody")) == "invalid_target"


def test_a_scope_that_an_organisation_declares_needs_no_resource(plain):
    declared(plain, "city-energy", OWN)
    body = tokens(plain, "patient/Energy.rs")
    assert claims(body["access_token"])["aud"] == [ENERGY]
    assert body["authorization_details"][0]["period"] == {"history": "P1M", "future": False}


def test_but_two_that_declare_the_same_do(plain):
    bank = {"dataset": "bank.accounts", "history": "P1M"}
    declared(plain, "city-energy", OWN)
    declared(plain, "harbour-bank", {**OWN, "purpose": "household-budget", "data": [bank]})
    assert error(request(plain, "patient/Energy.rs")) == "invalid_target"
    assert claims(tokens(plain, "patient/Energy.rs", resource=ENERGY)["access_token"])["aud"] == [ENERGY]


def test_no_organisation_says_what_signing_in_means(world):
    """Not even one whose declaration was taken when that was not yet a fault."""
    world.register("site", profile="oidc", token_endpoint_auth_method="client_secret_basic", data=[],
                   purposes=["sign-in"])  # fmt: skip
    declared(world, "city-energy", {**OWN, "id": "openid"}, {**OWN, "id": "email"})
    answer = world.push("site", "", authorization_details=None, scope="openid email")
    assert answer.status_code == 201, answer.text
    said = world.browser().get("/.well-known/oauth-protected-resource/data/city-energy").json()["scopes_supported"]
    assert not {"openid", "email"} & set(said)


def test_what_was_not_registered_is_refused(plain, world):
    assert error(request(plain, "energy:all", resource=ENERGY)) == "invalid_scope"
    assert error(world.push("meter", scope="energy:usage", resource=ENERGY)) == "invalid_scope"
    world.register("elsewhere", purposes=["household-budget"], data=[], scope="energy:usage")
    told = world.push("elsewhere", "", authorization_details=None, scope="energy:usage", resource=ENERGY).json()
    assert (told["error"], told["term"]) == ("invalid_scope", "purpose")


def test_names_that_mean_nothing_here_are_left_out_and_the_answer_says_so(plain):
    body = tokens(plain, "launch/patient fhirUser energy:usage", resource=ENERGY)
    assert body["scope"] == claims(body["access_token"])["scope"] == "energy:usage"
    assert error(request(plain, "launch/patient fhirUser", resource=ENERGY)) == "invalid_scope"


def test_a_scope_that_stands_for_nothing_at_the_place_that_is_named_is_left_out(plain):
    assert tokens(plain, "energy:usage bank:balances", resource=ENERGY)["scope"] == "energy:usage"
    assert error(request(plain, "bank:balances", resource=ENERGY)) == "invalid_scope"


def several(world, scope, *resources):
    form = world.request("plain", authorization_details=None, scope=scope)
    return world.post("/par", {**form, "resource": list(resources)}, "plain")


def test_two_purposes_are_two_requests(plain):
    told = several(plain, "energy:usage bank:balances", ENERGY, BANK).json()
    assert told["error"] == "invalid_scope" and "energy:usage / bank:balances" in told["error_description"]


def test_one_client_has_the_scopes_of_two_purposes_by_two_requests(plain):
    energy, bank = tokens(plain, "energy:usage", resource=ENERGY), tokens(plain, "bank:balances", resource=BANK)
    assert (energy["scope"], bank["scope"]) == ("energy:usage", "bank:balances")
    assert plain.refresh(energy["refresh_token"], "plain").status_code == 200


def test_of_scopes_that_last_differently_the_shortest_holds_for_all(plain):
    declared(plain, "city-energy", OWN)
    body = tokens(plain, "energy:usage patient/Energy.rs", resource=ENERGY)
    assert body["scope"] == "energy:usage patient/Energy.rs"
    with plain.session() as session:
        ask = json.loads(session.exec(select(AuthorizationRequest)).one().ask)
    assert (ask["valid_for"], ask["retention"]) == ("P3M", "P1M")


def test_two_scopes_for_the_same_data_ask_for_what_both_stand_for(plain):
    wider = {"dataset": "energy.electricity.usage", "fields": ["interval.cost"], "history": "P14M",
             "frequency": {"times": 2, "per": "day"}}  # fmt: skip
    declared(plain, "city-energy", {**OWN, "data": [wider]})
    (detail,) = tokens(plain, "energy:usage patient/Energy.rs", resource=ENERGY)["authorization_details"]
    assert {"interval.value", "interval.cost"} <= set(detail["fields"])
    assert detail["period"] == {"history": "P14M", "future": True}
    assert detail["frequency"] == [{"times": 24, "per": "day"}]


def test_a_union_of_scopes_does_not_bring_back_what_she_left_out(plain):
    """She agreed to one part; the scope asked for again beside another still leaves the other part to her."""
    more = {**OWN, "id": "bank:moves", "purpose": "household-budget",
            "data": [{"dataset": "bank.transactions", "history": "P1M"}]}  # fmt: skip
    declared(plain, "harbour-bank", more)
    first = tokens(plain, "bank:balances", resource=BANK)
    assert [one["datatypes"] for one in first["authorization_details"]] == [["bank.accounts"]]
    again = tokens(plain, "bank:balances bank:moves", resource=BANK)
    assert [one["datatypes"] for one in again["authorization_details"]] == [["bank.accounts"], ["bank.transactions"]]


def test_refreshing_may_not_widen_the_scope(plain):
    body = tokens(plain, "energy:usage", resource=ENERGY)
    assert error(plain.refresh(body["refresh_token"], "plain", scope="energy:usage bank:balances")) == "invalid_scope"
    assert plain.refresh(body["refresh_token"], "plain", scope="energy:usage").json()["scope"] == "energy:usage"


def test_the_schema_of_details_stands_where_a_client_can_read_it(world):
    said = world.browser().get("/.well-known/oauth-authorization-server").json()
    told = world.browser().get(said["authorization_details_types_metadata_endpoint"].removeprefix(ISSUER)).json()
    assert list(told) == said["authorization_details_types_supported"] == ["data_access"]
    assert told["data_access"]["schema"]["properties"]["type"] == {"const": "data_access"}


def test_the_metadata_lists_them(plain):
    declared(plain, "city-energy", OWN)
    said = plain.browser().get("/.well-known/oauth-authorization-server").json()["scopes_supported"]
    assert {"energy:usage", "bank:balances", "patient/Energy.rs", "data_access"} <= set(said)
    here = plain.browser().get("/.well-known/oauth-protected-resource/data/city-energy").json()["scopes_supported"]
    there = plain.browser().get("/.well-known/oauth-protected-resource/data/harbour-bank").json()["scopes_supported"]
    assert "patient/Energy.rs" in here and "patient/Energy.rs" not in there
