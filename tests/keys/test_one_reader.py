"""One text, one verdict, at every door that is shown a token; and what a key says of itself is heeded."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.authorization import tokens
from gateway.ground.keys import KeyRing, jose, strict
from gateway.proxy.tokens import Tokens

URL = "http://localhost:8400"
NOW = 1_780_000_000
CLAIMS = {"iss": URL, "aud": [f"{URL}/data/x"], "grant_id": "g", "fam": "f", "client_id": "c", "iat": NOW}
CLAIMS |= {"exp": NOW + 200}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("one") / "keys", create=True)


def signed(keys: KeyRing, header: str, claims: str) -> str:
    message = f"{jose.encoded(header.encode())}.{jose.encoded(claims.encode())}"
    r, s = decode_dss_signature(keys.signing[0].private.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{message}.{jose.encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def doors(keys: KeyRing, token: str) -> tuple[bool, bool]:
    """Whether the data plane takes it, and whether introspection and revocation do."""
    read = tokens.read(token, keys, URL, datetime.fromtimestamp(NOW, UTC))
    return Tokens(keys, URL).read(token.encode("utf-8", "replace"), NOW) is not None, read is not None


HEADERS: list[dict[str, Any]] = [
    {"cty": "x"}, {"zip": "DEF"}, {"crit": ["x"]}, {"b64": False}, {"enc": "A128GCM"}, {"typ": "JWT"}, {"typ": None},
    {"typ": "dpop+jwt"}, {"alg": "none"}, {"alg": "HS256"}, {"alg": None}, {"kid": None}, {"kid": 1}, {"kid": "other"},
    {"alg": ["ES256"]}, {"typ": ["at+jwt"]},
]  # fmt: skip
BODIES: list[str] = [
    '"x": "\\ud800"', '"x": 1e999', '"x": NaN', '"x": ' + "[" * 30 + "]" * 30, '"exp": 9999999999',
    '"x": "' + "a" * 13_000 + '"',
]  # fmt: skip
OTHERS: list[dict[str, Any]] = [
    {"aud": None}, {"aud": "https://elsewhere.example/data/x"}, {"iss": "https://mallory.example"},
    {"iat": NOW + 3600}, {"iat": None}, {"iat": "1"}, {"exp": float(NOW + 200)}, {"exp": True}, {"exp": None},
    {"grant_id": ""}, {"grant_id": None}, {"fam": 1}, {"client_id": ["c"]}, {"cnf": {"x5t#S256": "a", "jkt": "b"}},
    {"cnf": "a"},
]  # fmt: skip


def test_a_plain_token_is_taken_at_both_doors(keys: KeyRing) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": keys.signing[0].kid}
    for typ in ("at+jwt", "application/at+jwt", "AT+JWT"):
        token = signed(keys, json.dumps({**header, "typ": typ}), json.dumps(CLAIMS))
        assert doors(keys, token) == (True, True)
    assert doors(keys, keys.sign(CLAIMS, typ="at+jwt")) == (True, True)


@pytest.mark.parametrize("changed", HEADERS, ids=repr)
def test_an_odd_header_is_refused_at_both(keys: KeyRing, changed: dict[str, Any]) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": keys.signing[0].kid} | changed
    given = {name: value for name, value in header.items() if value is not None}
    assert doors(keys, signed(keys, json.dumps(given), json.dumps(CLAIMS))) == (False, False)


@pytest.mark.parametrize("more", BODIES, ids=range(len(BODIES)))
def test_a_body_that_could_be_read_in_two_ways_is_refused_at_both(keys: KeyRing, more: str) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": keys.signing[0].kid}
    body = f"{json.dumps(CLAIMS)[:-1]}, {more}}}"
    assert doors(keys, signed(keys, json.dumps(header), body)) == (False, False)


@pytest.mark.parametrize("changed", OTHERS, ids=repr)
def test_claims_for_another_place_or_time_are_refused_at_both(keys: KeyRing, changed: dict[str, Any]) -> None:
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not None}
    assert doors(keys, keys.sign(claims, typ="at+jwt")) == (False, False)


def test_another_spelling_of_the_same_token_is_refused_at_both(keys: KeyRing) -> None:
    token = keys.sign(CLAIMS, typ="at+jwt")
    head, body, signature = token.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = signature[:-1] + last[last.index(signature[-1]) + 1]
    for other in (f"{head}.{body}.{spare}", token + "=", f"{head}=.{body}.{signature}", f" {token}", token + "\n",
                  f"{head}.{body}.{signature}.", f"{head}.{body}.{signature}\u00e9"):  # fmt: skip
        assert doors(keys, other) == (False, False)


# ---- keys


def test_a_key_for_another_use_verifies_nothing(keys: KeyRing) -> None:
    kind = jose.TokenKind(types=("at+jwt",), algorithms=("ES256",))
    token = jose.read(keys.sign(CLAIMS, typ="at+jwt"), 5000, kind)
    (key,) = keys.jwks()["keys"]
    for fine in ({}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}, {"ext": True}):
        assert jose.verified(token, [{**key, **fine}])
    bare = {name: value for name, value in key.items() if name not in ("use", "alg")}
    assert jose.verified(token, [bare]) and jose.p256_key(bare)[1] == key["kid"]
    for wrong in ({"use": "enc"}, {"use": None}, {"key_ops": []}, {"key_ops": ["sign"]}, {"key_ops": "verify"},
                  {"key_ops": ["verify", "verify"]}, {"alg": "ES384"}, {"alg": "ECDH-ES"}, {"alg": ["ES256"]},
                  {"d": "AA"}, {"kid": "other"}, {"crv": "P-384"}, {"kty": "OKP"}):  # fmt: skip
        assert not jose.verified(token, [{**key, **wrong}]), wrong
        if "kid" not in wrong:
            with pytest.raises(jose.Malformed):
                jose.p256_key({**key, **wrong})


# ---- one reading of base64url and JSON in the whole code base


TWO_MEANINGS = ['{"a":1,"a":1}', '["\\ud800"]', '["\\udc00\\ud800"]', "[1e999]", "[NaN]", "\ufeff[]", "", "[1]x"]


@pytest.mark.parametrize("text", [*TWO_MEANINGS, "[" * 21 + "]" * 21])
def test_json_with_two_meanings_has_none(text: str) -> None:
    for given in (text, text.encode("utf-8")):
        with pytest.raises(strict.Malformed):
            strict.loads(given, depth=20)


def test_json_with_one_meaning_is_read() -> None:
    assert strict.loads('{"a": "\\ud83d\\ude00", "b": [1.5, "[[["]}', depth=2) == {"a": "\U0001f600", "b": [1.5, "[[["]}
    with pytest.raises(strict.Malformed):
        strict.loads(b"\xff", depth=20)


def test_base64url_is_read_in_one_place() -> None:
    sources = Path(jose.__file__).parents[1].rglob("*.py")
    assert [path.name for path in sources if "urlsafe_b64decode" in path.read_text()] == []
