"""Client profiles: the rules that one kind of client keeps and another does not; and organisations as `resource`."""

import pytest
from authorization_world import CALLBACK, CHALLENGE, ISSUER, VERIFIER, answered, bank, declaration, usage
from client_keys import KEYS, jws, proof

from gateway.apps import declare
from tests.tokens import claims

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
COUNT = iter(range(1_000_000))
KEYED = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [KEYS["ES256"].jwk, KEYS["PS256"].jwk]}}


@pytest.fixture
def strict(world):
    world.register("strict", profile="fapi2", dpop_bound_access_tokens=True, **KEYED)
    return world


def assertion(world, client_id="strict", alg="ES256", **changes):
    now = int(world.clock.now.timestamp())
    said = {"iss": client_id, "sub": client_id, "aud": ISSUER, "exp": now + 60, "jti": f"one {next(COUNT)}", **changes}
    return {"client_assertion_type": TYPE, "client_assertion": jws(said, {"typ": "JWT"}, alg)}


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


# ---- fapi2


def test_a_whole_flow_of_a_fapi_client(strict):
    form = strict.request("strict")
    pushed = strict.post("/par", {**form, **assertion(strict)}, None, dpop=proof(strict, "/par"))
    assert pushed.status_code == 201, pushed.text
    address = f"/authorize?client_id=strict&request_uri={pushed.json()['request_uri']}"
    code = answered(strict.agree(strict.browser("alice"), address))["code"]
    redeeming = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    unproved = strict.post("/token", {**redeeming, **assertion(strict)}, None)
    assert error(unproved) == "invalid_dpop_proof"
    body = strict.post("/token", {**redeeming, **assertion(strict)}, None, dpop=proof(strict)).json()
    assert body["token_type"] == "DPoP"
    refreshing = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    for _ in range(2):  # it does not rotate (FAPI 2.0 §5.3.2.1)
        again = strict.post("/token", {**refreshing, **assertion(strict)}, None, dpop=proof(strict))
        assert again.status_code == 200
        assert "refresh_token" not in again.json()


@pytest.mark.parametrize("audience", [[ISSUER], f"{ISSUER}/par", f"{ISSUER}/token", [ISSUER, "https://a.example"]])
def test_an_assertion_of_a_fapi_client_is_for_the_issuer_alone(strict, audience):
    answer = strict.post("/par", {**strict.request("strict"), **assertion(strict, aud=audience)}, None)
    assert error(answer, 401) == "invalid_client"


def test_a_fapi_client_must_push_and_prove(strict):
    browser = strict.browser("alice")
    plain = browser.get("/authorize", params={"client_id": "strict", **strict.request("strict")})
    assert answered(plain)["error"] == "invalid_request"
    for missing in ("code_challenge", "code_challenge_method", "redirect_uri"):
        sent = strict.request("strict", **{missing: None})
        assert error(strict.post("/par", {**sent, **assertion(strict)}, None)) == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "dpop_bound_access_tokens"),
        ({"token_endpoint_auth_method": "client_secret_basic", "jwks": None}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": "none", "jwks": None}, "token_endpoint_auth_method"),
        ({"require_pushed_authorization_requests": False}, "require_pushed_authorization_requests"),
        ({"request_object_signing_alg": "RS256"}, "request_object_signing_alg"),
        ({"profile": "fapi1"}, "profile"),
    ],
)
def test_what_does_not_fit_the_profile_is_a_fault_of_the_registration(changes, key):
    document = {**declaration("strict", profile="fapi2", **KEYED), **changes}
    document = {name: value for name, value in document.items() if value is not None}
    assert key in [fault.key for fault in declare.check(document)]


# ---- oidc: a classic website


@pytest.fixture
def classic(world):
    world.register("classic", profile="oidc", token_endpoint_auth_method="client_secret_post")
    return world


def test_a_classic_website_needs_neither_par_nor_pkce(classic):
    browser = classic.browser("alice")
    request = classic.request("classic", code_challenge=None, code_challenge_method=None)
    first = browser.get("/authorize", params={"client_id": "classic", **request})
    assert first.status_code == 303
    code = answered(classic.agree(browser, first.headers["location"]))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK,
            "client_id": "classic", "client_secret": classic.secrets["classic"]}  # fmt: skip
    downgraded = classic.post("/token", {**form, "code_verifier": VERIFIER}, None)
    assert error(downgraded) == "invalid_grant"  # RFC 9700 §2.1.1: a verifier without a challenge
    assert classic.post("/token", form, None).status_code == 200


def test_but_where_it_uses_pkce_it_counts(classic):
    browser = classic.browser("alice")
    request = classic.request("classic", code_challenge=CHALLENGE)
    first = browser.get("/authorize", params={"client_id": "classic", **request})
    code = answered(classic.agree(browser, first.headers["location"]))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK,
            "client_id": "classic", "client_secret": classic.secrets["classic"]}  # fmt: skip
    assert error(classic.post("/token", form, None)) == "invalid_grant"
    assert classic.post("/token", {**form, "code_verifier": VERIFIER}, None).status_code == 200


def test_half_of_pkce_is_none(classic):
    for half in ({"code_challenge": None}, {"code_challenge_method": None}, {"code_challenge_method": "plain"}):
        request = {"client_id": "classic", **classic.request("classic", **half)}
        answer = classic.browser().get("/authorize", params=request)
        assert answered(answer)["error"] == "invalid_request"


def test_what_is_missing_of_pkce_is_named(classic):
    said = [
        classic.push("meter", **changes).json()["error_description"]
        for changes in (
            {"code_challenge": None, "code_challenge_method": None},
            {"code_challenge": None},
            {"code_challenge_method": None},
        )
    ]
    assert said == [
        "code_challenge is missing, and code_challenge_method with it: PKCE, S256.",
        "code_challenge is missing.",
        "code_challenge_method must be S256.",
    ]


def test_its_secret_comes_in_the_way_it_registered(classic):
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    basic = classic.post("/token", form, "classic")  # by HTTP Basic
    assert error(basic, 401) == "invalid_client"
    wrong = {**form, "client_id": "classic", "client_secret": "wrong"}
    assert error(classic.post("/token", wrong, None), 401) == "invalid_client"
    right = {**form, "client_id": "classic", "client_secret": classic.secrets["classic"]}
    assert error(classic.post("/token", right, None)) == "invalid_grant"


@pytest.mark.parametrize(
    ("audience", "fine"),
    [(ISSUER, True), (f"{ISSUER}/token", True), ([ISSUER, "x"], True), (["x"], False), ([], False), (None, False)],
)
def test_an_assertion_of_a_classic_website(world, audience, fine):
    world.register("keyed", profile="oidc", **KEYED)
    form = {"grant_type": "refresh_token", "refresh_token": "x", **assertion(world, "keyed", aud=audience)}
    answer = world.post("/token", form, None)
    assert answer.json()["error"] == ("invalid_grant" if fine else "invalid_client")


@pytest.mark.parametrize("path", ["/par", "/token", "/revoke"])
def test_an_assertion_may_name_the_endpoint_that_is_called(world, path):
    world.register("keyed", **KEYED)
    other = "/introspect" if path == "/token" else path
    for audience, status in ((ISSUER + other, 200), (f"{ISSUER}/token", 200), (f"{ISSUER}/nowhere", 401)):
        form = {"token": "x", **world.request("keyed"), **assertion(world, "keyed", aud=audience)}
        answer = world.post(other, form, None)
        assert (answer.status_code == 401) is (status == 401), answer.text


def test_a_grant_that_was_not_registered(world):
    world.register("once", grant_types=["authorization_code"])
    body = world.tokens("once")
    assert error(world.refresh(body["refresh_token"], "once")) == "unauthorized_client"


# ---- resource (RFC 8707)

ENERGY, BANK = f"{ISSUER}/data/city-energy", f"{ISSUER}/data/harbour-bank"


@pytest.fixture
def two(world):
    """An app that reads at two organisations for one purpose."""
    data = [
        {"organisation": name, "dataset": dataset, "fields": fields, "necessity": "required",
         "reason": {"fr": "Pour vous.", "en": "For you."}}
        for name, dataset, fields in (("harbour-bank", "bank.accounts", ["account.kind"]),
                                      ("harbour-bank", "bank.balances", ["balance.amount"]))
    ]  # fmt: skip
    world.register("two", purposes=["household-budget"], data=data)
    return world


def test_a_token_is_for_the_resource_that_was_asked_for(world):
    body = world.tokens(resource=ENERGY)
    assert claims(body["access_token"])["aud"] == [ENERGY]
    assert [one["locations"] for one in body["authorization_details"]] == [[ENERGY]]


@pytest.mark.parametrize("resource", ["https://other.example/", f"{ISSUER}/data/nobody", ISSUER, f"{ENERGY}/", "x y"])
def test_an_unknown_resource_is_told(world, resource):
    assert error(world.push(resource=resource)) == "invalid_target"


def test_a_token_request_may_not_go_beyond_the_request(world):
    code = world.code(resource=ENERGY)
    assert error(world.redeem(code, resource=BANK)) == "invalid_target"
    body = world.redeem(code, resource=ENERGY).json()
    assert error(world.refresh(body["refresh_token"], resource=BANK)) == "invalid_target"
    again = world.refresh(body["refresh_token"], resource=ENERGY).json()
    assert claims(again["access_token"])["aud"] == [ENERGY]


def test_it_may_not_name_what_was_not_granted(world):
    body = world.tokens()
    assert error(world.refresh(body["refresh_token"], resource=BANK)) == "invalid_target"
    assert world.refresh(body["refresh_token"]).status_code == 200  # and nothing was spent by the refusal


def test_several_resources_are_several_parameters(world):
    answer = world.post("/par", {**world.request(), "resource": [ENERGY, BANK]})
    assert answer.status_code == 201, answer.text
    browser = world.browser("alice")
    final = world.agree(browser, f"/authorize?client_id=meter&request_uri={answer.json()['request_uri']}")
    body = world.redeem(answered(final)["code"]).json()
    assert claims(body["access_token"])["aud"] == [ENERGY]
    assert error(world.post("/par", {**world.request(), "state": ["a", "b"]})) == "invalid_request"


def test_unknown_parameters_are_passed_over_however_often(world):
    assert world.post("/par", {**world.request(), "colour": ["red", "green"]}).status_code == 201
    assert world.push("budget", [bank()]).status_code == 201
    assert world.push("meter", [usage()], claims_locales="fr").status_code == 201
