"""Requirements of the standards that no other test of this folder looks at; tests/requirements/ says which they are."""

import base64
import hashlib
import json
import re
from urllib.parse import urlencode

import pytest
from authorization_world import (
    BUDGET,
    CALLBACK,
    ISSUER,
    VERIFIER,
    Page,
    answered,
    bank,
    declaration,
    usage,
    visible,
)
from client_keys import KEYS, RSA, b64, jws, proof
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from gateway.apps import declare
from gateway.authorization import rules
from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.tables import Consent
from gateway.settings import Settings
from tests.tokens import claims

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
COUNT = iter(range(1_000_000))
KEYED = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [KEYS["ES256"].jwk]}}
SITE = {"profile": "oidc", "token_endpoint_auth_method": "client_secret_basic", "purposes": ["sign-in"], "data": []}
ENDPOINTS = ["/par", "/token", "/revoke", "/introspect", "/device_authorization"]
REFRESH = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}


@pytest.fixture
def strict(world):
    world.register("strict", profile="fapi2", dpop_bound_access_tokens=True, **KEYED)
    return world


@pytest.fixture
def site(world):
    world.register("site", **SITE)
    return world


def assertion(world, client_id="strict", alg="ES256", **changes):
    now = int(world.clock.now.timestamp())
    said = {"iss": client_id, "sub": client_id, "aud": ISSUER, "exp": now + 60, "jti": f"once {next(COUNT)}", **changes}
    return {"client_assertion_type": TYPE, "client_assertion": jws(said, {"typ": "JWT"}, alg, SIGNERS[alg])}


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


def opened(world, browser, app="site", method="get", **changes):
    """What a person sees of a request that stands in the address, or is posted."""
    asked = {"client_id": app, **world.request(app, **{"scope": "openid", **changes})}
    answer = browser.get("/authorize", params=asked) if method == "get" else browser.post("/authorize", data=asked)
    return browser.get(answer.headers["location"]) if answer.status_code == 303 else answer


def agreed(world, app="site", person="alice", **changes):
    browser = world.browser(person)
    page = Page(opened(world, browser, app, **changes).text)
    assert page.action, changes
    answer = browser.post(page.action, data={**page.fields, "decision": "allow"})
    return answered(browser.get(answer.headers["location"]))


def signed_in(world, app="site", **changes):
    answer = world.redeem(agreed(world, app, **changes)["code"], app)
    assert answer.status_code == 200, answer.text
    return answer.json()


def userinfo(world, token, scheme="Bearer", **headers):
    return world.browser().get("/userinfo", headers={"authorization": f"{scheme} {token}", **headers})


def ath(token):
    return b64(hashlib.sha256(token.encode()).digest())


# ---- every endpoint

PLAIN = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §5.2
HOSTILE = ['"\\', "\r\nSet-Cookie: a=b", "\t\x00", "é𝄞", "<script>", "%0d%0a"]


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("word", HOSTILE)
def test_every_refusal_is_json_in_plain_letters_that_nobody_stores(world, path, word):
    wrongs = [{"grant_type": word}, {"scope": word}, {"redirect_uri": word}, {"response_type": word}, {"token": ""}]
    wrongs += [{"refresh_token": word}, {"client_assertion": word, "client_assertion_type": word}]
    forms = [{**REFRESH, **world.request("budget"), **wrong} for wrong in wrongs]
    answers = [world.post(path, form, "budget") for form in forms]
    answers += [world.post(path, {"client_id": word, **form}, None) for form in forms]
    refused = [answer for answer in answers if answer.status_code not in (200, 201)]
    assert len(refused) > len(wrongs)
    for answer in refused:
        assert answer.status_code in (400, 401), answer.text
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", "no-store")
        told = answer.json()
        assert "error_uri" not in told and re.fullmatch(r"[a-z_]+", told["error"])
        assert PLAIN.fullmatch(told["error_description"]), told


def test_every_fixed_word_of_an_error_is_in_the_letters_of_the_standard():
    for name, text in rules.DESCRIPTIONS.items():
        assert re.fullmatch(r"[a-z_]+", name) and PLAIN.fullmatch(text)


def test_a_token_response_is_json_that_nobody_stores(world):
    for answer in (world.redeem(world.code("budget"), "budget"), world.refresh(world.tokens()["refresh_token"])):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        told = answer.json()
        assert told["access_token"] and told["token_type"] == "Bearer" and 0 < told["expires_in"] <= 300


@pytest.mark.parametrize("accept", [None, "*/*", "text/html", "application/xml;q=0.1", "nonsense"])
def test_whatever_a_program_says_it_accepts_it_gets_the_usual_answer(site, accept):
    token = signed_in(site)["access_token"]
    headers = {} if accept is None else {"accept": accept}
    for answer in (
        userinfo(site, token, **headers),
        site.post("/introspect", {"token": token}, "site", **headers),
        site.browser().get("/.well-known/openid-configuration", headers=headers),
        site.browser().get("/jwks.json", headers=headers),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEARER"])
def test_the_scheme_of_the_header_is_compared_without_case(site, scheme):
    body = signed_in(site)
    assert userinfo(site, body["access_token"], scheme).status_code == 200


@pytest.mark.parametrize("scheme", ["dPoP", "dpop", "DPOP"])
def test_so_is_the_one_of_bound_tokens(site, scheme):
    token = bound(site)
    shown = proof(site, "/userinfo", htm="GET", ath=ath(token))
    assert userinfo(site, token, scheme, dpop=shown).status_code == 200


def bound(world):
    """An access token for userinfo that is bound to a key."""
    form = {"grant_type": "authorization_code", "code": agreed(world)["code"], "redirect_uri": CALLBACK}
    answer = world.post("/token", {**form, "code_verifier": VERIFIER}, "site", dpop=proof(world))
    assert answer.json()["token_type"] == "DPoP"
    return answer.json()["access_token"]


# ---- metadata

# Names of RFC 8414, of the registry that adds to it and of published standards (Grant Management §7, Consumer Data
# Standards), as far as this server uses them, or will with logout and registration.
DRAFT = {
    "deferred_token_response_supported",  # draft-ietf-oauth-deferred-token-response-01
    "authorization_details_types_metadata_endpoint",  # draft-ietf-oauth-rar-metadata-remediation-00
}
REGISTERED = DRAFT | {
    "backchannel_authentication_endpoint", "backchannel_token_delivery_modes_supported",
    "backchannel_authentication_request_signing_alg_values_supported", "backchannel_user_code_parameter_supported",
    "issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "scopes_supported", "response_types_supported",
    "response_modes_supported", "grant_types_supported", "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported", "ui_locales_supported", "revocation_endpoint",
    "revocation_endpoint_auth_methods_supported", "revocation_endpoint_auth_signing_alg_values_supported",
    "introspection_endpoint", "introspection_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_signing_alg_values_supported", "code_challenge_methods_supported",
    "tls_client_certificate_bound_access_tokens", "mtls_endpoint_aliases", "userinfo_endpoint", "acr_values_supported",
    "subject_types_supported", "id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported",
    "request_object_signing_alg_values_supported", "claims_supported", "claims_parameter_supported",
    "request_parameter_supported", "request_uri_parameter_supported", "require_signed_request_object",
    "pushed_authorization_request_endpoint", "require_pushed_authorization_requests",
    "introspection_signing_alg_values_supported", "authorization_response_iss_parameter_supported",
    "authorization_signing_alg_values_supported", "device_authorization_endpoint", "dpop_signing_alg_values_supported",
    "authorization_details_types_supported", "protected_resources", "prompt_values_supported",
    "registration_endpoint", "end_session_endpoint", "backchannel_logout_supported",
    "backchannel_logout_session_supported", "frontchannel_logout_supported", "frontchannel_logout_session_supported",
    "grant_management_endpoint", "grant_management_actions_supported", "grant_management_action_required",
    "cdr_arrangement_revocation_endpoint",
}  # fmt: skip


def metadata(world):
    answer = world.browser().get("/.well-known/openid-configuration")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


def test_every_address_of_the_metadata_is_below_the_issuer_and_as_safe(world):
    world.setting(public_url="https://gateway.example")
    said = metadata(world)
    assert said["issuer"] == "https://gateway.example"
    addresses = {name: said[name] for name in said if name.endswith(("_endpoint", "_uri"))}
    assert {"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"} <= addresses.keys()
    assert [one for one in addresses.values() if not one.startswith("https://gateway.example/")] == []


def test_the_metadata_writes_out_what_a_client_would_else_guess(world):
    said = metadata(world)
    assert {"authorization_code", "refresh_token"} <= set(said["grant_types_supported"])
    assert "implicit" not in said["grant_types_supported"]
    assert said["require_pushed_authorization_requests"] is False
    assert said["pushed_authorization_request_endpoint"] == f"{ISSUER}/par"
    assert {"client_secret_basic", "private_key_jwt", "none"} <= set(said["token_endpoint_auth_methods_supported"])
    assert set(said["token_endpoint_auth_signing_alg_values_supported"]) == {*KEYS, "RS256"}
    assert {"RS256", "PS256", "ES256", "EdDSA"} == set(said["id_token_signing_alg_values_supported"])
    assert said["claims_parameter_supported"] is said["request_parameter_supported"] is True
    assert {"en", "fr"} == set(said["ui_locales_supported"])
    assert "openid" in said["scopes_supported"]
    assert [one for one in said["scopes_supported"] if not re.fullmatch(r"[!#-\[\]-~]+", one)] == []


class OldRSA(RSA):
    """Signs as RS256 does."""

    def sign(self, message):
        return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())


SIGNERS = {**KEYS, "RS256": OldRSA()}


def test_each_algorithm_of_the_metadata_is_taken_and_in_fapi2_only_the_strong_ones(world):
    advertised = metadata(world)["token_endpoint_auth_signing_alg_values_supported"]
    for app, more in (
        ("ordinary", {"profile": "oidc"}),
        ("strict", {"profile": "fapi2", "dpop_bound_access_tokens": True}),
    ):
        for alg in advertised:
            keys = {"jwks": {"keys": [SIGNERS[alg].jwk]}, "token_endpoint_auth_signing_alg": alg}
            strong = alg != "RS256" or app == "ordinary"
            if not strong:
                faults = declare.check(declaration(app, **{**KEYED, **keys, **more}))
                assert "token_endpoint_auth_signing_alg" in [fault.key for fault in faults]
                del keys["token_endpoint_auth_signing_alg"]
            world.register(app, **{**KEYED, **keys, **more})
            shown = assertion(world, app, alg=alg)
            told = world.post("/token", {**REFRESH, **shown}, None).json()["error"]
            assert (told == "invalid_client") is not strong, (app, alg, told)


def test_only_registered_names_stand_in_the_metadata(world):
    assert sorted(metadata(world).keys() - REGISTERED) == []


@pytest.mark.parametrize(
    "path", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks.json"]
)
def test_every_page_may_read_what_is_public_for_minutes(world, path):
    answer = world.browser().get(path, headers={"origin": "https://anywhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["cache-control"] == "public, max-age=300"


# ---- FAPI 2.0


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("audience", [[ISSUER], f"{ISSUER}/token", "itself", "https://other.example"])
def test_at_every_endpoint_the_assertion_of_a_fapi_client_is_for_the_issuer_alone(strict, path, audience):
    audience = ISSUER + path if audience == "itself" else audience
    wrong = strict.post(path, {**REFRESH, **strict.request("strict"), **assertion(strict, aud=audience)}, None)
    assert error(wrong, 401) == "invalid_client"
    right = strict.post(path, {**REFRESH, **strict.request("strict"), **assertion(strict)}, None)
    assert right.status_code in (200, 201, 400)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_fapi_client_without_its_assertion_is_nobody(strict, path):
    form = {**REFRESH, **strict.request("strict"), "client_id": "strict"}
    assert error(strict.post(path, form, None), 401) == "invalid_client"
    assert error(strict.post(path, {**form, "client_secret": "x"}, None), 401) == "invalid_client"


@pytest.mark.parametrize("path", ENDPOINTS)
def test_the_name_beside_an_assertion_is_the_one_inside(strict, path):
    form = {**REFRESH, **strict.request("strict")}
    assert error(strict.post(path, {**form, **assertion(strict), "client_id": "meter"}, None), 401) == "invalid_client"
    named = strict.post(path, {**form, **assertion(strict), "client_id": "strict"}, None)
    assert named.status_code in (200, 201, 400)


def test_refreshing_as_a_fapi_client_needs_the_assertion_and_the_proof(strict):
    pushed = strict.post("/par", {**strict.request("strict"), **assertion(strict)}, None).json()
    address = f"/authorize?client_id=strict&request_uri={pushed['request_uri']}"
    code = answered(strict.agree(strict.browser("alice"), address))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    body = strict.post("/token", {**form, **assertion(strict)}, None, dpop=proof(strict)).json()
    again = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    assert error(strict.post("/token", {**again, "client_id": "strict"}, None, dpop=proof(strict)), 401) == (
        "invalid_client"
    )
    assert error(strict.post("/token", {**again, **assertion(strict)}, None)) == "invalid_dpop_proof"
    renewed = strict.post("/token", {**again, **assertion(strict)}, None, dpop=proof(strict))
    assert renewed.json()["token_type"] == "DPoP"


def test_what_stands_beside_a_pushed_request_changes_nothing(world):
    others = {"state": "outside", "nonce": "outside", "redirect_uri": "https://evil.example/", "prompt": "none"}
    beside = urlencode({**others, "scope": "admin", "response_type": "token"})
    final = world.agree(world.browser("alice"), f"{world.pushed(state='inside')}&{beside}")
    assert answered(final)["state"] == "inside"
    assert Page(final.text).refresh.startswith(CALLBACK + "?")
    without = world.agree(world.browser("bob"), f"{world.pushed(state=None)}&{beside}")
    assert set(answered(without)) == {"code", "iss"}


# ---- DPoP


@pytest.mark.parametrize(
    ("public_url", "spelled"),
    [
        ("https://gateway.example", "https://gateway.example:443/token"),
        ("https://gateway.example", "HTTPS://Gateway.Example:443/token?x=1"),
    ],
)
def test_a_proof_may_spell_out_the_usual_port(world, public_url, spelled):
    code = world.code()
    world.setting(public_url=public_url)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    wrong = world.post("/token", form, dpop=proof(world, htu=spelled.replace(":443", ":8443")))
    assert error(wrong) == "invalid_dpop_proof"
    assert world.post("/token", form, dpop=proof(world, htu=spelled)).json()["token_type"] == "DPoP"


@pytest.mark.parametrize("offset", [-10, 10])
def test_at_par_and_userinfo_too_a_clock_may_be_ten_seconds_off(site, offset):
    at = int(site.clock.now.timestamp()) + offset
    assert site.post("/par", site.request(), "meter", dpop=proof(site, "/par", iat=at)).status_code == 201
    token = bound(site)
    shown = proof(site, "/userinfo", htm="GET", ath=ath(token), iat=at, nbf=at, exp=at + 300)
    assert userinfo(site, token, "DPoP", dpop=shown).status_code == 200


# ---- OpenID Connect


@pytest.mark.parametrize("nonce", ["n" * 64, "n" * 384, "a b&c=d#e+f%20é", None])
def test_a_nonce_comes_back_whole_or_not_at_all(site, nonce):
    said = claims(signed_in(site, nonce=nonce)["id_token"])
    assert said.get("nonce") == nonce
    assert "s_hash" not in said


def test_the_order_of_scopes_and_parameters_does_not_matter(site):
    site.register("site", **{**SITE, "scope": "openid profile email"})
    browser = site.browser("alice")
    for scope in ("openid profile email", "email openid profile", "profile email openid"):
        asked = {"client_id": "site", **site.request("site", scope=scope)}
        for order in (list(asked.items()), list(reversed(asked.items()))):
            answer = browser.get("/authorize?" + urlencode(order))
            assert answer.status_code == 303
            assert "Your name" in visible(browser.get(answer.headers["location"]).text)


def test_without_openid_there_is_no_id_token(world):
    assert "id_token" not in world.tokens()
    assert "id_token" not in world.refresh(world.tokens("budget")["refresh_token"], "budget").json()


WISHES = {
    "display": "page", "login_hint": "bob@example.org", "claims_locales": "fr", "ui_locales": "fr-CA en",
    "unheard_of": "x",
}  # fmt: skip


@pytest.mark.parametrize("wish", [*WISHES.items(), ("display", "popup")])
def test_wishes_that_are_not_granted_are_no_error(site, wish):
    assert "code" in agreed(site, **dict([wish]))


@pytest.mark.parametrize("key", ["id_token", "userinfo", "authorization", "introspection"])
@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384"])
def test_nobody_registers_for_what_is_not_signed(key, algorithm):
    member = f"{key}_signed_response_alg"
    assert member in [fault.key for fault in declare.check(declaration("x", **{member: algorithm}))]


def test_a_whole_request_may_be_posted(site):
    page = Page(opened(site, site.browser("alice"), method="post").text)
    assert page.action.startswith("/consent/")


@pytest.mark.parametrize("response_type", ["token", "id_token", "code token", "code id_token", "none"])
def test_at_the_authorization_endpoint_too_only_a_code_is_given(site, response_type):
    told = answered(opened(site, site.browser("alice"), response_type=response_type))
    assert (told["error"], told["state"], told["iss"]) == ("unsupported_response_type", "a state", ISSUER)
    assert told.keys() == {"error", "error_description", "state", "iss"}


def test_of_two_registered_addresses_none_is_guessed(site):
    site.register("site", **{**SITE, "redirect_uris": [CALLBACK, CALLBACK + "/other"]})
    missing = opened(site, site.browser("alice"), redirect_uri=None)
    assert (missing.status_code, Page(missing.text).refresh) == (400, "")
    assert error(site.push("site", scope="openid", redirect_uri=None)) == "invalid_request"
    named = opened(site, site.browser("alice"), redirect_uri=CALLBACK + "/other")
    assert Page(named.text).action


# ---- what is signed by this server is good for one thing


def test_nothing_else_that_this_server_signs_is_an_access_token(site):
    site.register(
        "signed", **{**SITE, "userinfo_signed_response_alg": "ES256", "id_token_signed_response_alg": "ES256"}
    )
    body = signed_in(site, "signed")
    good = body["access_token"]
    answer = agreed(site, "signed", person="bob", response_mode="jwt")["response"]
    accept = "application/token-introspection+jwt"
    others = {
        "ID token": body["id_token"],
        "userinfo": userinfo(site, good).text,
        "authorization response": answer,
        "introspection": site.post("/introspect", {"token": good}, "signed", accept=accept).text,
        "refresh token": body["refresh_token"],
    }
    for name, token in others.items():
        assert userinfo(site, token).status_code == 401, name
        seen = site.introspect(token, "signed").json()
        assert name == "refresh token" or seen == {"active": False}, name
        as_assertion = {"client_assertion_type": TYPE, "client_assertion": token}
        assert site.post("/token", {**REFRESH, **as_assertion}, None).status_code in (400, 401), name
        assert site.refresh(token, "budget").json()["error"] in ("invalid_grant", "invalid_request"), name
    assert userinfo(site, good).status_code == 200


def test_a_public_key_in_the_header_of_what_this_server_signs_is_only_named(site):
    for token in (signed_in(site)["id_token"], site.tokens()["access_token"]):
        part = token.split(".")[0]
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        assert header["kid"] and not header.keys() & {"jwk", "jku", "x5u", "x5c"}


# ---- details and scopes


def test_what_is_granted_is_what_was_asked_and_no_older_agreement_is_added(world):
    world.tokens(details=[usage(fields=["interval.start", "interval.value", "interval.cost"])])
    body = world.tokens(details=[usage()])
    assert [detail["fields"] for detail in body["authorization_details"]] == [["interval.start", "interval.value"]]
    again = world.refresh(body["refresh_token"]).json()
    assert again["authorization_details"] == body["authorization_details"]


BOTH = [bank(), {**bank(), "datatypes": ["bank.balances"], "fields": ["balance.amount"]}]


def test_what_she_removed_is_not_back_with_the_next_agreement(world):
    ticked = {"item:harbour-bank:bank.balances": "yes"}
    final = world.agree(world.browser("alice"), world.pushed("budget", BOTH), **ticked)
    body = world.redeem(answered(final)["code"], "budget").json()
    assert len(body["authorization_details"]) == 2
    with world.house.store.write() as session:
        consent = session.get_one(Consent, body["grant_id"])
        keep = frozenset({("harbour-bank", "bank.accounts")})
        assert deciding.keep_only(session, world.house.log, consent, herself("alice"), keep, world.clock.now)
    again = world.tokens("budget", details=BOTH)  # she agrees and ticks nothing
    assert [detail["datatypes"] for detail in again["authorization_details"]] == [["bank.accounts"]]


def test_two_purposes_of_one_app_are_two_agreements(world):
    rows = [*declaration("x")["data"], *BUDGET["data"]]
    world.register("twofold", purposes=["energy-advice", "household-budget"], data=rows)
    first = world.tokens("twofold", details=[usage()])
    second = world.tokens("twofold", details=[bank()])
    assert first["grant_id"] != second["grant_id"]
    for body, organisation in ((first, "city-energy"), (second, "harbour-bank")):
        renewed = world.refresh(body["refresh_token"], "twofold").json()
        assert renewed["grant_id"] == body["grant_id"]
        assert [one["locations"] for one in renewed["authorization_details"]] == [[f"{ISSUER}/data/{organisation}"]]


def test_a_token_for_one_resource_says_nothing_of_another(world):
    world.register("meter-plus", scope="openid", token_endpoint_auth_method="client_secret_basic")
    body = world.tokens("meter-plus", details=[usage()], scope="openid")
    assert len(body["authorization_details"]) == 2
    energy = f"{ISSUER}/data/city-energy"
    less = world.refresh(body["refresh_token"], "meter-plus", resource=energy).json()
    assert claims(less["access_token"])["aud"] == [energy]
    assert [one["locations"] for one in less["authorization_details"]] == [[energy]]
    assert userinfo(world, less["access_token"]).status_code == 401
    all_of_it = world.refresh(body["refresh_token"], "meter-plus").json()
    assert all_of_it["authorization_details"] == body["authorization_details"]


def test_nothing_is_fetched_from_an_organisation_before_she_has_agreed(world):
    asked = []

    class Connector:
        def __getattr__(self, name):
            asked.append(name)
            raise AssertionError(name)

    object.__setattr__(world.house, "connector", Connector())
    assert world.tokens("budget")["access_token"]
    assert answered(world.agree(world.browser("bob"), world.pushed(), "refuse"))["error"] == "access_denied"
    assert asked == []


def test_published_keys_are_long_enough(world):
    keys = world.browser().get("/jwks.json").json()["keys"]
    assert {key["kty"] for key in keys} == {"RSA", "EC", "OKP"}
    for key in keys:
        of_number = {"RSA": "n", "EC": "x", "OKP": "x"}[key["kty"]]
        bits = len(base64.urlsafe_b64decode(key[of_number] + "==")) * 8
        assert bits >= {"RSA": 2048, "EC": 224, "OKP": 256}[key["kty"]]
        assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@pytest.mark.parametrize("url", ["https://gateway.example/aval", "https://gateway.example/a/b", "https://x.example/?a"])
def test_the_issuer_has_no_path_so_both_addresses_of_the_metadata_are_right(url):
    """Where there is none, what RFC 8414 inserts and what OpenID Connect appends is the same."""
    with pytest.raises(ValueError, match="without a path"):
        Settings(public_url=url)
