"""Signed requests (JAR, RFC 9101) and signed answers (JARM), as FAPI 2.0 Message Signing has them."""

import base64
import json
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from authorization_world import CALLBACK, ISSUER, VERIFIER, Page, usage
from client_keys import EC, KEYS, NEVER, jws

from tests.tokens import claims

TYPE = "oauth-authz-req+jwt"


@pytest.fixture
def signing(world):
    jwks = {"keys": [KEYS["ES256"].jwk, KEYS["PS256"].jwk, KEYS["EdDSA"].jwk]}
    world.register("signer", token_endpoint_auth_method="client_secret_basic", jwks=jwks)
    world.register("sworn", token_endpoint_auth_method="client_secret_basic", jwks=jwks,
                   require_signed_request_object=True, authorization_signed_response_alg="ES256")  # fmt: skip
    return world


def signed(world, app="signer", alg="ES256", header=None, signer=None, **changes):
    now = int(world.clock.now.timestamp())
    said = {"client_id": app, **world.request(app), "iss": app, "aud": ISSUER, "iat": now, "nbf": now, "exp": now + 300}
    said["authorization_details"] = json.loads(said["authorization_details"])
    said = {name: value for name, value in {**said, **changes}.items() if value is not NEVER}
    return jws(said, {"typ": TYPE, **(header or {})}, alg, signer)


def push(world, request, app="signer", **beside):
    return world.post("/par", {"request": request, **beside}, app)


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA", "Ed25519"])
def test_all_that_counts_is_in_the_object(signing, alg):
    answer = push(
        signing, signed(signing, alg=alg, state="inside"), state="outside", redirect_uri="https://evil.example/"
    )
    assert answer.status_code == 201, answer.text
    address = "/authorize?" + urlencode({"client_id": "signer", "request_uri": answer.json()["request_uri"]})
    page = signing.agree(signing.browser("alice"), address)
    query = parse_qs(urlsplit(Page(page.text).refresh).query)
    assert query["state"] == ["inside"]


NOW = 1_763_890_200


@pytest.mark.parametrize(
    "changes",
    [
        {"header": {"alg": "none"}},
        {"header": {"alg": "RS256"}},
        {"header": {"alg": "HS256"}},
        {"header": {"typ": "at+jwt"}},
        {"header": {"typ": "dpop+jwt"}},
        {"header": {"typ": "client-authentication+jwt"}},
        {"signer": EC()},
        {"iss": "meter"},
        {"iss": NEVER},
        {"client_id": "meter"},
        {"sub": "signer"},
        {"aud": NEVER},
        {"aud": "https://other.example"},
        {"aud": ["https://other.example"]},
        {"aud": f"{ISSUER}/par"},
        {"exp": NEVER},
        {"nbf": NEVER},
        {"request": "x.y.z"},
        {"request_uri": "urn:x"},
        {"state": 1.5},
        {"state": True},
        {"state": None},
    ],
)
def test_what_is_no_good_object_is_refused(signing, changes):
    assert error(push(signing, signed(signing, **changes))) == "invalid_request_object"


@pytest.mark.parametrize(
    ("nbf", "exp", "fine"),
    [
        (0, 300, True),
        (8, 300, True),
        (-3500, 100, True),
        (0, 3600, True),
        (61, 300, False),
        (-3601, 100, False),
        (0, 3601, False),
        (-300, -11, False),
    ],
)
def test_its_times(signing, nbf, exp, fine):
    now = int(signing.clock.now.timestamp())
    answer = push(signing, signed(signing, nbf=now + nbf, exp=now + exp, iat=now + min(nbf, 0)))
    assert (answer.status_code == 201) is fine, answer.text


@pytest.mark.parametrize("header", [{"typ": None}, {"typ": "OAuth-AuthZ-Req+JWT"}, {"typ": f"application/{TYPE}"}])
def test_spellings_of_its_type(signing, header):
    assert push(signing, signed(signing, header=header, aud=["https://other.example", ISSUER])).status_code == 201


def test_a_fault_of_a_parameter_inside_is_told_as_of_one_outside(signing):
    assert error(push(signing, signed(signing, response_type="token"))) == "unsupported_response_type"
    details = [usage(valid_for="P90Y")]
    told = push(signing, signed(signing, authorization_details=details)).json()
    assert (told["error"], told["term"]) == ("invalid_authorization_details", "valid_for")


def test_a_client_that_signs_its_requests_may_not_send_them_plain(signing):
    assert error(signing.push("sworn")) == "invalid_request"
    assert push(signing, signed(signing, "sworn"), "sworn").status_code == 201


def test_a_link_with_a_signed_request(signing):
    signing.register("linker", jwks={"keys": [KEYS["ES256"].jwk]}, require_pushed_authorization_requests=False)
    browser = signing.browser("alice")
    link = "/authorize?" + urlencode({"client_id": "linker", "request": signed(signing, "linker")})
    answer = browser.get(link)
    assert answer.status_code == 303
    assert browser.get(answer.headers["location"]).status_code == 200
    forged = "/authorize?" + urlencode({"client_id": "linker", "request": signed(signing, "linker", signer=EC()),
                                        "redirect_uri": CALLBACK})  # fmt: skip
    assert browser.get(forged).status_code == 400  # nobody is sent anywhere by what nobody has signed


# ---- signed answers


def answer_of(page):
    (name, value), *more = parse_qs(urlsplit(Page(page.text).refresh).query).items()
    assert (name, more) == ("response", [])
    return value[0]


def header_of(token):
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.mark.parametrize("mode", ["jwt", "query.jwt"])
def test_a_signed_answer_holds_code_state_and_issuer(world, mode):
    page = world.agree(world.browser("alice"), world.pushed(response_mode=mode))
    token = answer_of(page)
    said = claims(token)
    assert {name: said[name] for name in ("iss", "aud", "state")} == {"iss": ISSUER, "aud": "meter", "state": "a state"}
    assert 0 < said["exp"] - world.clock.now.timestamp() <= 600
    (key,) = [key for key in world.browser().get("/jwks.json").json()["keys"] if key["alg"] == "ES256"]
    assert header_of(token) == {"alg": "ES256", "typ": "JWT", "kid": key["kid"]}
    assert world.redeem(said["code"]).status_code == 200


def test_a_refusal_is_signed_as_well(world):
    page = world.agree(world.browser("alice"), world.pushed(response_mode="jwt"), "refuse")
    said = claims(answer_of(page))
    assert (said["error"], said["state"]) == ("access_denied", "a state")
    silent = world.browser().get(world.pushed(response_mode="jwt", prompt="none"))
    said = claims(parse_qs(urlsplit(silent.headers["location"]).query)["response"][0])
    assert said["error"] == "login_required"


def test_a_client_that_registered_for_signed_answers_gets_no_other(signing):
    assert error(push(signing, signed(signing, "sworn", response_mode="query"), "sworn")) == "invalid_request"
    answer = push(signing, signed(signing, "sworn"), "sworn").json()
    address = "/authorize?" + urlencode({"client_id": "sworn", "request_uri": answer["request_uri"]})
    code = claims(answer_of(signing.agree(signing.browser("alice"), address)))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    assert signing.post("/token", form, "sworn").status_code == 200


def test_modes_that_are_not_offered(world):
    for mode in ("fragment", "form_post", "fragment.jwt", "web_message"):
        assert error(world.push(response_mode=mode)) == "invalid_request"
    said = world.browser().get("/.well-known/oauth-authorization-server").json()
    assert said["response_modes_supported"] == ["query", "jwt", "query.jwt"]
    assert said["authorization_signing_alg_values_supported"] == ["ES256", "PS256", "RS256", "EdDSA"]
    assert said["request_parameter_supported"] is True


# ---- signed introspection (RFC 9701)

INTROSPECTED = "application/token-introspection+jwt"


def test_introspection_is_signed_for_who_asks_for_it_so(world):
    token = world.tokens("budget")["access_token"]
    plain = world.post("/introspect", {"token": token}, "budget")
    signed = world.post("/introspect", {"token": token}, "budget", accept=INTROSPECTED)
    assert plain.headers["content-type"] == "application/json"
    assert signed.headers["content-type"] == INTROSPECTED
    assert header_of(signed.text)["typ"] == "token-introspection+jwt"
    said = claims(signed.text)
    assert said["token_introspection"] == plain.json()
    assert {name: said[name] for name in ("iss", "aud")} == {"iss": ISSUER, "aud": "budget"}
    assert said.keys() == {"iss", "aud", "iat", "token_introspection"}


def test_a_signed_no_says_no_more_than_a_plain_one(world):
    foreign = world.tokens()["access_token"]
    for token in (foreign, "x", world.tokens("budget")["access_token"] + "A"):
        signed = world.post("/introspect", {"token": token}, "budget", accept=INTROSPECTED)
        assert claims(signed.text)["token_introspection"] == {"active": False}


def test_a_client_that_registered_for_it_gets_no_other(world):
    world.register("sealed", token_endpoint_auth_method="client_secret_basic",
                   introspection_signed_response_alg="PS256")  # fmt: skip
    answer = world.post("/introspect", {"token": "x"}, "sealed")
    assert header_of(answer.text)["alg"] == "PS256"
    wrong = world.post("/introspect", {"token": "x", "client_secret": "x"}, None)
    assert wrong.headers["content-type"] == "application/json"
