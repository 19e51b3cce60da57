"""private_key_jwt: who signs is who calls, once, for us (negative cases B9 and H). Signatures are made here by hand."""

import base64
import hmac
import json
import threading

import pytest
from authorization_world import CALLBACK, ISSUER, VERIFIER, answered
from client_keys import EC, KEYS, NEVER, b64
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def keyed(world):
    jwks = {"keys": [KEYS["ES256"].jwk, KEYS["PS256"].jwk, KEYS["EdDSA"].jwk]}
    world.register("keyed", token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    return world


COUNT = iter(range(1_000_000))


def assertion(world, alg="ES256", header=None, signer=None, **changes):
    now = int(world.clock.now.timestamp())
    claims = {"iss": "keyed", "sub": "keyed", "aud": ISSUER, "iat": now, "exp": now + 60, "jti": f"id-{next(COUNT)}"}
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not NEVER}
    signer = signer or KEYS.get(alg, KEYS["ES256"])
    message = f"{b64({'alg': alg, **(header or {})})}.{b64(claims)}"
    return f"{message}.{b64(signer.sign(message.encode()))}"


def push(world, token, **extra):
    form = {**world.request(), "redirect_uri": CALLBACK, "client_assertion_type": TYPE, "client_assertion": token}
    return world.post("/par", {**form, **extra}, None)


def refused(answer):
    assert (answer.status_code, answer.json()["error"]) in ((401, "invalid_client"), (400, "invalid_request"))
    return True


@pytest.mark.parametrize("alg", KEYS)
def test_the_three_kinds_of_signature_are_accepted(keyed, alg):
    assert push(keyed, assertion(keyed, alg)).status_code == 201


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": f"{ISSUER}/token"},
        {"header": {"kid": "ec"}},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": "application/client-authentication+jwt"}},
        {"header": {"jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "jwk": {"kty": "EC"}}},
        {"nbf": 1795426200 + 8},
        {"iat": NEVER},
        {"exp": 1795426200 + 60.5, "iat": 1795426200 - 0.25, "nbf": 1795426200.75},
        {"extra": {"a": 1}},
    ],
)
def test_harmless_differences_are_accepted(keyed, changes):
    assert push(keyed, assertion(keyed, **changes)).status_code == 201


NOW = 1795426200  # the clock of the fixture


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "NONE"},
        {"alg": "nOnE"},
        {"alg": None},
        {"alg": "RS256", "signer": KEYS["PS256"]},
        {"alg": "ES384"},
        {"alg": "PS256", "signer": KEYS["ES256"]},
        {"alg": "ES256", "signer": KEYS["PS256"]},
        {"signer": EC()},
        {"header": {"kid": "nope"}},
        {"header": {"kid": "rsa"}},
        {"header": {"kid": "../../dev/null"}},
        {"header": {"kid": "' OR 1=1 --"}},
        {"header": {"kid": "k\u0000"}},
        {"header": {"kid": 5}},
        {"header": {"kid": "k" * 20_000}},
        {"header": {"crit": ["exp"], "exp": 1}},
        {"header": {"b64": False, "crit": ["b64"]}},
        {"header": {"zip": "DEF"}},
        {"header": {"cty": "JWT"}},
        {"header": {"typ": "at+jwt"}},
        {"header": {"typ": "dpop+jwt"}},
        {"header": {"typ": "logout+jwt"}},
        {"header": {"typ": "oauth-authz-req+jwt"}},
        {"header": {"typ": "aval-assertion+jwt"}},
        {"header": {"typ": 5}},
        {"iss": "meter"},
        {"iss": NEVER},
        {"sub": "meter"},
        {"sub": "nobody", "iss": "nobody"},
        {"sub": NEVER},
        {"sub": ["keyed"]},
        {"aud": NEVER},
        {"aud": [ISSUER]},
        {"aud": [ISSUER, "https://other.example"]},
        {"aud": f"{ISSUER}/"},
        {"aud": f"{ISSUER}/revoke"},
        {"aud": "https://other.example"},
        {"exp": NEVER},
        {"exp": NOW - 300},
        {"exp": NOW + 3700},
        {"exp": str(NOW + 60)},
        {"exp": NOW - 10.5},
        {"exp": NOW + 3600.5},
        {"exp": 10**400},
        {"exp": 1e308},
        {"exp": -1},
        {"exp": True},
        {"nbf": NOW + 90},
        {"nbf": "now"},
        {"iat": NOW + 90},
        {"iat": NOW + 60.5},
        {"nbf": NOW + 60.5},
        {"jti": NEVER},
        {"jti": ""},
        {"jti": 7},
        {"jti": "j" * 1000},
        {"pad": "x" * 20_000},
        {"deep": json.loads("[" * 40 + "]" * 40)},
    ],
)
def test_anything_else_is_not_proof(keyed, changes):
    assert refused(push(keyed, assertion(keyed, **changes)))


def test_a_signature_is_written_in_its_one_canonical_way(keyed):
    """64 bytes leave four unused bits in the last character: sixteen spellings, of which one is right."""
    token = assertion(keyed)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert refused(push(keyed, token[:-1] + letters[letters.index(token[-1]) + 1]))
    assert push(keyed, token).status_code == 201


def as_files(key):
    """A public key in every form in which it could be taken for a text."""
    public = key.key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(key.jwk).encode()
    return [jwk, json.dumps(key.jwk, separators=(",", ":")).encode(), pem, pem.strip(), der]


@pytest.mark.parametrize("hs", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_a_public_key_is_not_a_shared_secret(keyed, alg, hs):
    class Hmac:
        def __init__(self, secret):
            self.secret = secret

        def sign(self, message):
            return hmac.digest(self.secret, message, hs)

    for secret in as_files(KEYS[alg]):
        for header in ({}, {"kid": KEYS[alg].jwk["kid"]}):
            assert refused(push(keyed, assertion(keyed, f"HS{hs[3:]}", header, Hmac(secret))))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t + "=",
        lambda t: t + "A",
        lambda t: t[:-2],
        lambda t: t.rsplit(".", 1)[0] + ".",
        lambda t: t.rsplit(".", 1)[0] + "." + b64(bytes(64)),
        lambda t: t.rsplit(".", 1)[0] + "." + b64(KEYS["ES256"].key.sign(b"x", ec.ECDSA(hashes.SHA256()))),
        lambda t: " " + t,
        lambda t: t + "\n",
        lambda t: t.replace(".", "..", 1),
        lambda t: t + ".x.y",
        lambda t: "eyJhbGciOiJFUzI1NiIsImFsZyI6IkVTMjU2In0." + t.split(".", 1)[1],
        lambda t: b64(t) + "." + b64(t) + "." + b64(t),
        lambda t: "",
        lambda t: "a.b.c",
        lambda t: "..",
        lambda t: "é.é.é",
    ],
)
def test_a_spoiled_assertion_is_not_proof(keyed, spoil):
    assert refused(push(keyed, spoil(assertion(keyed))))


def test_claims_given_twice_are_not_proof(keyed):
    now = int(keyed.clock.now.timestamp())
    claims = f'{{"iss":"keyed","sub":"keyed","sub":"keyed","aud":"{ISSUER}","exp":{now + 60},"jti":"twice"}}'
    message = f"{b64({'alg': 'ES256'})}.{b64(claims)}"
    assert refused(push(keyed, f"{message}.{b64(KEYS['ES256'].sign(message.encode()))}"))


def test_a_malleable_ed25519_signature_is_not_proof(keyed):
    token = assertion(keyed, "EdDSA")
    message, _, last = token.rpartition(".")
    signature = base64.urlsafe_b64decode(last + "==")
    order = 2**252 + 27742317777372353535851937790883648493
    again = int.from_bytes(signature[32:], "little") + order
    assert refused(push(keyed, f"{message}.{b64(signature[:32] + again.to_bytes(32, 'little'))}"))


def test_an_assertion_is_used_once_even_when_the_request_was_wrong(keyed):
    token = assertion(keyed)
    assert push(keyed, token, response_type="token").json()["error"] == "unsupported_response_type"
    assert refused(push(keyed, token))
    keyed.clock.passes(seconds=65)  # longer than it lives, within the leeway
    assert refused(push(keyed, token))


@pytest.mark.parametrize("later", [59.5, 60.0, 65.0, 69.9, 70.0, 70.2, 70.4, 70.6, 70.95])
def test_an_assertion_that_ends_within_a_second_is_used_once_too(keyed, later):
    keyed.clock.now = keyed.clock.now.replace(microsecond=0)
    token = assertion(keyed, exp=int(keyed.clock.now.timestamp()) + 60.5)
    assert push(keyed, token).status_code == 201
    keyed.clock.passes(seconds=later)
    assert refused(push(keyed, token))


def test_of_eight_uses_at_once_one_counts(keyed):
    token, answers = assertion(keyed), []
    threads = [threading.Thread(target=lambda: answers.append(push(keyed, token).status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [201] + [401] * 7


def test_two_apps_may_use_the_same_jti(keyed):
    keyed.register("twin", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [KEYS["ES256"].jwk]})
    assert push(keyed, assertion(keyed, jti="same")).status_code == 201
    assert push(keyed, assertion(keyed, jti="same", iss="twin", sub="twin")).status_code == 201


def test_a_key_of_one_app_does_not_speak_for_another(keyed):
    other = EC("ec")
    keyed.register("twin", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [other.jwk]})
    assert refused(push(keyed, assertion(keyed, signer=other)))


def test_an_app_registered_for_a_secret_or_for_nothing_cannot_sign(keyed):
    for app in ("budget", "meter"):
        assert refused(push(keyed, assertion(keyed, iss=app, sub=app)))


def test_an_access_token_of_ours_is_not_an_assertion(keyed):
    assert refused(push(keyed, keyed.tokens()["access_token"]))


def test_the_type_of_the_assertion_is_named(keyed):
    assert refused(push(keyed, assertion(keyed), client_assertion_type="urn:x"))
    form = {**keyed.request(), "client_assertion": assertion(keyed)}
    assert refused(keyed.post("/par", form, None))


def test_the_whole_flow_with_signed_clients(keyed):
    pushed = push(keyed, assertion(keyed)).json()["request_uri"]
    final = keyed.agree(keyed.browser("alice"), f"/authorize?client_id=keyed&request_uri={pushed}")
    form = {
        "grant_type": "authorization_code",
        "code": answered(final)["code"],
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        "client_assertion_type": TYPE,
    }
    body = keyed.post("/token", {**form, "client_assertion": assertion(keyed, "PS256")}, None).json()
    shown = {"token": body["access_token"], "client_assertion_type": TYPE}
    seen = keyed.post("/introspect", {**shown, "client_assertion": assertion(keyed, "EdDSA")}, None).json()
    assert (seen["active"], seen["client_id"]) == (True, "keyed")
