"""An app's declaration: what may be said, and how all faults are told at once."""

from pathlib import Path
from typing import Any

import pytest
from apps_world import WORDS, good, item, parsed

from gateway.apps import addresses, declare
from gateway.errors import DeclarationError
from gateway.ground.declarations import texts

EXAMPLES = Path(__file__).parents[2] / "examples" / "apps"


def faults(**changes: Any) -> list[str]:
    """Keys of what is wrong with the good declaration after the changes."""
    return [fault.key for fault in declare.check(good(**changes))]


def test_the_examples_are_good():
    for path in EXAMPLES.glob("*.toml"):
        assert declare.read(path).document["logo"]["media_type"] == "image/svg+xml"


def test_a_good_declaration_has_one_hash_of_what_people_agree_to():
    first = parsed()
    assert first.sha256 == parsed().sha256
    assert first.warnings == ()
    for changes in (
        {"name": {"fr": "Autre", "en": "Other"}},
        {"redirect_uris": ["https://elsewhere.example/callback"]},
        {"data": [item(fields=["interval.start"])]},
        {"recipients": [{"name": "Cloud SA", "role": "hosting", "country": "FR"}]},
        {"on_behalf_of": "Somebody"},
    ):
        assert parsed(**changes).sha256 != first.sha256


def test_all_faults_are_told_at_once_with_file_key_and_what_is_right(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('client_id = "Bad Id"\nnam = "x"\nwebsite = "http://x.example"\ndata = []\n')
    with pytest.raises(DeclarationError) as raised:
        declare.read(path)
    lines = str(raised.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    assert any("client_id: is not right; write 1 to 64 of a-z" in line for line in lines)
    assert any("nam: is not a key of a declaration; did you mean name?" in line for line in lines)
    assert any("website: is not right; write an https address" in line for line in lines)
    assert any("name: is missing; give both languages" in line for line in lines)


@pytest.mark.parametrize("content", [b"\xff", b"client_id = ", b""])
def test_a_file_that_is_not_toml_is_told_so(tmp_path, content):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(DeclarationError):
        declare.read(path)
    for missing, why in (("absent.toml", "No such file or directory"), (".", "Is a directory")):
        with pytest.raises(DeclarationError, match=rf"file: cannot be read \({why}\)"):
            declare.read(tmp_path / missing)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"client_id": "../x"}, "client_id"),
        ({"client_id": "x" * 65}, "client_id"),
        ({"name": "Watt"}, "name"),
        ({"name": {"fr": "Watt"}}, "name"),
        ({"name": {"fr": "x" * 61, "en": "x"}}, "name"),
        ({"name": {"fr": "Watt\u202eCoach", "en": "x"}}, "name"),
        ({"name": {"fr": "Watt\u200bCoach", "en": "x"}}, "name"),
        ({"name": {"fr": "Watt\nCoach", "en": "x"}}, "name"),
        ({"name": {"fr": " Watt", "en": "x"}}, "name"),
        ({"legal_entity": ""}, "legal_entity"),
        ({"privacy_policy": "javascript:alert(1)"}, "privacy_policy"),
        ({"terms": 'https://x.example/"><script>'}, "terms"),
        ({"terms": "https://user@x.example/"}, "terms"),
        ({"deletion_contact": "call us"}, "deletion_contact"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
        ({"jwks": {"keys": []}}, "jwks"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": ["https://a.example/"] * 2}, "redirect_uris"),
        ({"redirect_uris": [f"https://a.example/{n}" for n in range(1000)]}, "redirect_uris"),
        ({"purposes": []}, "purposes"),
        ({"verified": "yes"}, "verified"),
        ({"application_type": "spa"}, "application_type"),
        ({"data": []}, "data"),
        ({"data": [item(necessity="maybe")]}, "data[0].necessity"),
        ({"data": [item(reason={"fr": "x" * 141, "en": "x"})]}, "data[0].reason"),
        ({"data": [item(reason={"en": "x"})]}, "data[0].reason"),
        ({"data": [item(fields=[])]}, "data[0].fields"),
        ({"data": [item(why="x")]}, "data[0].why"),
        ({"recipients": [{"name": "x"}]}, "recipients[0].role"),
        ({"recipients": [{"name": "x", "role": "y", "country": "France"}]}, "recipients[0].country"),
        ({"client_secret": "mine"}, "client_secret"),
        ({"trusted": True}, "trusted"),
    ],
)
def test_each_key_is_checked(changes, key):
    assert key in faults(**changes)


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/cb",
        "https://app.example/cb#part",
        "https://app.example/*",
        "https://*.example/cb",
        "https://user:pw@app.example/cb",
        "https://app.example@evil.example/",
        "https://app.example/../cb",
        "https://app.example/%2E%2e/cb",
        "https://app.example/a b",
        'https://app.example/"',
        "https://app.example/'",
        "https://app.example/\\evil",
        "https://APP.example/cb",
        "HTTPS://app.example/cb",
        "https:app.example/cb",
        "https:///cb",
        "https://",
        "https://app.example:99999/cb",
        "https://app.example:0/cb",
        "https://app_.example/cb",
        "https://аpp.example/cb",
        "https://app.example/é",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "com.example.app:/cb",
        "ftp://app.example/",
        "//app.example/cb",
        "/cb",
        "",
        "https://app.example/" + "x" * 500,
        "https://app.example/\r\nSet-Cookie:x",
    ],
)
def test_addresses_that_a_web_app_may_not_have(uri):
    assert faults(redirect_uris=[uri]) in (["redirect_uris[0]"], ["redirect_uris"])


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example",
        "https://app.example/cb?a=b%20c",
        "https://app.example:8443/cb",
        "https://xn--bcher-kva.example/cb",
        "http://localhost:8411/callback",
        "http://127.0.0.1/cb",
        "http://[::1]:5000/cb",
    ],
)
def test_addresses_that_a_web_app_may_have(uri):
    assert faults(redirect_uris=[uri]) == []


@pytest.mark.parametrize(
    ("uri", "fine"),
    [
        ("com.example.app:/cb", True),
        ("com.example.app:///cb", True),
        ("http://127.0.0.1/cb", True),
        ("myapp:/cb", False),
        ("javascript:alert(1)", False),
        ("com.example.app:cb", False),
        ("com.example.app:", False),
    ],
)
def test_addresses_of_a_native_app(uri, fine):
    assert (faults(redirect_uris=[uri], application_type="native") == []) is fine


def test_the_place_people_are_told():
    assert addresses.place("https://app.example:8443/cb?x") == "app.example:8443"
    assert addresses.place("com.example.app:/cb") == "com.example.app:"


@pytest.mark.parametrize(
    ("name", "flagged"),
    [
        ("Énergie Locale n° 1", False),
        ("Œuvre & Cie", False),
        ("Wаtt Coach", True),  # a Cyrillic а
        ("Ωatt", True),
        ("раураl", True),
        ("Ｗatt", True),  # a full-width W
    ],
)
def test_look_alike_names_are_flagged_for_the_operator(name, flagged):
    assert bool(parsed(name={"fr": name, "en": "Watt"}).warnings) is flagged


INVISIBLE = ["\x00", "\x7f", "\x85", "\u061c", "\u2028", "\u2066", "\ufeff", "\ue000", "\U000e0041"]


@pytest.mark.parametrize("char", INVISIBLE)
def test_invisible_characters_are_found(char):
    assert texts.hidden(f"a{char}b") == f"U+{ord(char):04X}"
    assert texts.hidden("Été – l'énergie, 5 € « ici » 👍") == ""


SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">{}</svg>'
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (16).to_bytes(4, "big") * 2 + bytes(60)


def with_logo(tmp_path, name, content):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return declare.parse(good(logo=name), tmp_path / "app.toml")


def test_a_still_picture_is_taken(tmp_path):
    inside = '<defs><linearGradient id="g"/></defs><rect fill="url(#g)"/><use href="#g"/><title>x</title>'
    for name, content in (("a.svg", SVG.format(inside)), ("b.png", PNG), ("c.svg", '<?xml version="1.0"?>' + SVG)):
        assert with_logo(tmp_path, name, content).document["logo"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.svg", SVG.format("<script>alert(1)</script>")),
        ("a.svg", SVG.format('<rect onload="alert(1)"/>')),
        ("a.svg", SVG.format('<rect ONCLICK="alert(1)"/>')),
        ("a.svg", SVG.format('<image href="https://evil.example/x.png"/>')),
        ("a.svg", SVG.format('<use href="https://evil.example/x.svg#a"/>')),
        ("a.svg", SVG.format('<use xmlns:x="http://www.w3.org/1999/xlink" x:href="data:image/svg+xml,x"/>')),
        ("a.svg", SVG.format('<rect fill="url(https://evil.example/x)"/>')),
        ("a.svg", SVG.format('<rect style="fill:url(//evil.example)"/>')),
        ("a.svg", SVG.format("<style>@import 'https://evil.example'</style>")),
        ("a.svg", SVG.format("<foreignObject><b/></foreignObject>")),
        ("a.svg", SVG.format('<a href="javascript:alert(1)"><rect/></a>')),
        ("a.svg", SVG.format('<animate attributeName="href"/>')),
        ("a.svg", SVG.format('<html xmlns="http://www.w3.org/1999/xhtml"/>')),
        ("a.svg", '<!DOCTYPE svg [<!ENTITY x "y">]>' + SVG.format("&x;")),
        ("a.svg", '<?xml-stylesheet href="https://evil.example"?>' + SVG.format("")),
        ("a.svg", '<?xml version="1.0" encoding="UTF-7"?>' + SVG.format("")),
        ("a.svg", SVG.format("").encode("utf-16")),
        ("a.svg", "<svg>"),
        ("a.svg", "<svg/>"),
        ("a.svg", SVG.format("<!--" + "x" * 33_000 + "-->")),
        ("a.png", b"GIF89a"),
        ("a.png", SVG.format("")),
        ("a.png", PNG[:16] + (50_000).to_bytes(4, "big") * 2 + bytes(60)),
        ("a.gif", b"GIF89a"),
        ("a.svgz", b"x"),
    ],
)
def test_a_picture_that_could_act_or_call_home_is_refused(tmp_path, name, content):
    with pytest.raises(DeclarationError, match="logo: the file"):
        with_logo(tmp_path, name, content)


@pytest.mark.parametrize(
    "name", ["../secret.svg", "/etc/passwd", ".hidden.svg", "absent.svg", "https://x.example/a.svg"]
)
def test_a_logo_lies_next_to_the_declaration(tmp_path, name):
    with pytest.raises(DeclarationError, match="logo"):
        declare.parse(good(logo=name), tmp_path / "app.toml")


P256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
OKP = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
RSA = {"kty": "RSA", "n": "3" + "A" * 340 + "Q", "e": "AQAB"}


def key_faults(*keys):
    return [key for key in faults(token_endpoint_auth_method="private_key_jwt", jwks={"keys": list(keys)})]


@pytest.mark.parametrize(
    "key", [P256, OKP, RSA, {**P256, "kid": "a", "use": "sig", "alg": "ES256"}, {**P256, "key_ops": ["verify"]}]
)
def test_public_keys_of_the_accepted_kinds(key):
    assert key_faults(key) == []
    assert key_faults({**key, "kid": "1"}, {**key, "kid": "2"}) == []


@pytest.mark.parametrize(
    "key",
    [
        {**P256, "d": "AAAA"},
        {"kty": "oct", "k": "AAAA"},
        {**P256, "crv": "P-192"},
        {**P256, "crv": "secp256k1"},
        {**P256, "y": P256["x"]},  # not on the curve
        {**P256, "x": "AA"},
        {**P256, "x": 5},
        {**P256, "x": P256["x"][:-1] + "V"},  # the same number, written another way
        {**P256, "x": "+/+/"},
        {**P256, "alg": "ES384"},
        {**P256, "use": "enc"},
        {**P256, "key_ops": ["sign"]},
        {**P256, "key_ops": []},
        {**P256, "key_ops": "verify"},
        {**P256, "key_ops": ["verify", "verify"]},
        {**P256, "kid": "k" * 201},
        {**P256, "kid": 5},
        {**OKP, "crv": "X25519"},
        {**OKP, "x": "A" * 43},  # y = 0: a point of small order
        {**OKP, "x": "AQ" + "A" * 41},  # y = 1: the neutral point
        {**OKP, "x": "7P" + "_" * 40 + "38"},  # y = p - 1
        {**OKP, "x": "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o"},  # order 8
        {**RSA, "n": "3" + "A" * 168 + "E"},  # 1024 bits
        {**RSA, "e": "Aw"},
        {**RSA, "e": "AQ"},
        {**RSA, "alg": "RS256"},
        {"kty": "RSA"},
        {},
        "key",
    ],
)
def test_keys_that_would_prove_nothing_are_refused(key):
    assert key_faults(key) == ["jwks"]


def test_two_keys_have_two_names():
    assert key_faults(P256, OKP) == ["jwks"]
    assert key_faults({**P256, "kid": "1"}, {**OKP, "kid": "1"}) == ["jwks"]


def test_a_fault_of_a_key_never_repeats_the_key():
    secret = {**P256, "d": "THESECRET"}
    found = declare.check(good(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [secret]}))
    assert "THESECRET" not in str([str(fault) for fault in found])
    assert WORDS["en"] not in str(found)
