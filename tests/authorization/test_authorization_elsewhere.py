"""What apps keep at addresses of their own: keys, the list of their sector, a logo; software statements; documents that
are a client_id."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from authorization_world import ISSUER, VERIFIER, Page, answered, visible
from client_keys import EC, RSA, b64, jws
from registering import PLAIN, SITE, manage, opened, refused, registered, send

from gateway.apps.tables import App
from gateway.ground.http.transport import Transport
from gateway.ground.keys import fresh
from gateway.ground.pools import Pools
from tests.tokens import claims

JWKS = f"{SITE}/jwks.json"
BY_KEY = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": JWKS}
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\xa7\x9a\xa0\xa0\x00\x00\x00\x00IEND\xaeB`\x82"
)


@pytest.fixture
def shop(world):
    return opened(world)


def jwks(*keys):
    return {"keys": [key.jwk for key in keys]}


def signed(key, said, kid, **header):
    return jws(said, {"kid": kid, **header}, signer=key)


def assertion(world, client_id, key, **changes):
    now = int(world.clock.now.timestamp())
    said = {"iss": client_id, "sub": client_id, "aud": ISSUER, "exp": now + 60, "jti": fresh(), **changes}
    return {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed(key, said, kid=key.kid),
    }


def known(world, client_id, key, **changes):
    """Whether the gateway knows the app by this key."""
    form = {"grant_type": "refresh_token", "refresh_token": "x" * 43, **assertion(world, client_id, key, **changes)}
    answer = world.post("/token", form, None)
    assert answer.json()["error"] in ("invalid_client", "invalid_grant"), answer.text
    return answer.json()["error"] == "invalid_grant"


# ---- keys


def test_a_new_key_works_at_once_and_whoever_has_none_makes_us_call_once_in_ten_seconds(shop):
    old, new, mallory = EC("old"), EC("new"), EC("mallory")
    shop.elsewhere.pages[JWKS] = jwks(old)
    app = registered(shop, **BY_KEY)["client_id"]
    shop.elsewhere.asked.clear()
    assert known(shop, app, old) and shop.elsewhere.asked == []
    shop.elsewhere.pages[JWKS] = jwks(new)
    shop.clock.passes(seconds=60)
    assert known(shop, app, new) and shop.elsewhere.asked == [JWKS]
    assert not known(shop, app, old) and not known(shop, app, mallory)
    assert known(shop, app, new) and shop.elsewhere.asked == [JWKS]
    shop.clock.passes(seconds=10)
    assert not known(shop, app, mallory) and shop.elsewhere.asked == [JWKS] * 2


def test_the_same_kid_with_another_key_is_read_again(shop):
    old, new = EC("key"), EC("key")
    shop.elsewhere.pages[JWKS] = jwks(old)
    app = registered(shop, **BY_KEY)["client_id"]
    shop.elsewhere.pages[JWKS] = jwks(new)
    shop.clock.passes(seconds=10)
    assert known(shop, app, new) and not known(shop, app, old)


def test_keys_are_read_again_after_a_day_and_last_a_week_if_they_cannot_be(shop):
    key = EC("key")
    shop.elsewhere.pages[JWKS] = jwks(key)
    app = registered(shop, **BY_KEY)["client_id"]
    shop.elsewhere.asked.clear()
    shop.clock.passes(days=1)
    assert known(shop, app, key) and shop.elsewhere.asked == [JWKS]
    del shop.elsewhere.pages[JWKS]
    shop.clock.passes(days=6)
    assert known(shop, app, key) and known(shop, app, key) and len(shop.elsewhere.asked) == 2
    shop.clock.passes(days=1)
    assert not known(shop, app, key)
    shop.elsewhere.pages[JWKS] = jwks(key)
    shop.clock.passes(seconds=10)
    assert known(shop, app, key)


def test_calls_that_come_at_once_with_a_new_key_wait_for_one_reading(shop):
    old, new = EC("old"), EC("new")
    shop.elsewhere.pages[JWKS] = jwks(old)
    app = registered(shop, **BY_KEY)["client_id"]
    shop.elsewhere.pages[JWKS] = jwks(new)
    shop.elsewhere.asked.clear()
    shop.clock.passes(seconds=10)
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: known(shop, app, new), range(6)))
    assert found == [True] * 6 and shop.elsewhere.asked == [JWKS]


def test_a_key_that_was_taken_away_is_good_for_a_day_at_most(shop):
    old, new = EC("old"), EC("new")
    shop.elsewhere.pages[JWKS] = jwks(old)
    app = registered(shop, **BY_KEY)["client_id"]
    shop.elsewhere.pages[JWKS] = jwks(new)
    shop.clock.passes(days=1)
    assert not known(shop, app, old)


@pytest.mark.parametrize(
    "found",
    [
        None,
        302,
        404,
        {},
        [],
        {"keys": []},
        {"keys": "x"},
        {"keys": [{**EC().jwk, "d": "x"}]},
        {"keys": [{"kty": "oct", "k": "x"}]},
        b"not json",
        b"x" * 70_000,
    ],
)
def test_an_app_is_not_registered_with_an_address_where_no_keys_are(shop, found):
    if found is not None:
        shop.elsewhere.pages[JWKS] = found
    assert refused(send(shop, {**PLAIN, **BY_KEY})) == "invalid_client_metadata"


def test_keys_of_other_kinds_beside_ours_are_passed_over(shop):
    key = EC("key")
    shop.elsewhere.pages[JWKS] = {
        "keys": [{"kty": "EC", "crv": "P-521", "kid": "x"}, {**RSA().jwk, "use": "enc"}, key.jwk]
    }
    assert known(shop, registered(shop, **BY_KEY)["client_id"], key)


def test_a_change_to_keys_elsewhere_and_back(shop):
    near, far = EC("near"), EC("far")
    shop.elsewhere.pages[JWKS] = jwks(far)
    said = registered(shop, token_endpoint_auth_method="private_key_jwt", jwks=jwks(near))
    app = said["client_id"]
    members = {**PLAIN, "client_id": app}
    assert known(shop, app, near) and not known(shop, app, far)
    assert manage(shop, said, "PUT", {**members, **BY_KEY}).status_code == 200
    assert known(shop, app, far) and not known(shop, app, near)
    back = {**members, "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(near)}
    assert manage(shop, said, "PUT", back).status_code == 200
    assert known(shop, app, near) and not known(shop, app, far)


def test_a_file_may_name_an_address_of_keys_too(shop):
    key = EC("key")
    shop.register("keyed", token_endpoint_auth_method="private_key_jwt", jwks_uri=JWKS)
    assert not known(shop, "keyed", key) and shop.elsewhere.asked == [JWKS]
    shop.elsewhere.pages[JWKS] = jwks(key)
    shop.clock.passes(seconds=10)
    assert known(shop, "keyed", key)


def test_a_signed_request_by_a_new_key_is_taken_at_once(shop):
    old, new = EC("old"), EC("new")
    shop.elsewhere.pages[JWKS] = jwks(old)
    app = registered(shop, **BY_KEY)["client_id"]
    shop.elsewhere.pages[JWKS] = jwks(new)
    shop.clock.passes(seconds=10)
    now = int(shop.clock.now.timestamp())
    request = shop.request(app, scope="openid", redirect_uri=PLAIN["redirect_uris"][0])
    said = {"iss": app, "aud": ISSUER, "nbf": now, "exp": now + 60, "client_id": app, **request}
    sent = {"client_id": app, "request": signed(new, said, typ="oauth-authz-req+jwt", kid="new")}
    answer = shop.browser().get("/authorize", params=sent)
    assert answer.status_code == 303 and "request_uri" in answer.headers["location"]
    assert shop.post("/par", {"request": sent["request"], **assertion(shop, app, new)}, None).status_code == 201


def test_what_a_suspended_app_or_a_stranger_signs_makes_us_call_nobody(shop):
    key = EC("key")
    shop.elsewhere.pages[JWKS] = jwks(key)
    app = registered(shop, **BY_KEY)["client_id"]
    shop.suspend(app)
    shop.elsewhere.asked.clear()
    shop.clock.passes(days=2)
    for client_id in (app, "meter", "nobody", "https://site.example/app"):
        assert shop.post("/token", assertion(shop, client_id, EC("other")), None).status_code in (400, 401)
    assert shop.elsewhere.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://0.0.0.0/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://localhost/x",
        "https://localhost./x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/x",
        "https://172.16.0.1/x",
        "https://192.168.0.1/x",
        "https://100.64.0.1/x",
        "https://198.18.0.1/x",
        "https://224.0.0.1/x",
        "https://[fe80::1]/x",
        "https://[fc00::1]/x",
        "https://[64:ff9b::a00:1]/x",
        "https://[2002:a00:1::]/x",
        "https://2130706433/x",
        "https://0x7f000001/x",
        "https://017700000001/x",
        "https://user:pass@site.example/x",
        "https://site.example:6379/x",
        "https://site.example/x#y",
        "https://site.example/x\r\ny",
        "https://site.example\\@127.0.0.1/x",
        "http://site.example/x",
        "file:///etc/passwd",
        "gopher://site.example/x",
        "ftp://site.example/x",
        "data:application/json,[]",
        "unix:/run/x",
    ],
)
def test_nobody_makes_us_call_what_is_not_a_public_https_address(shop, address):
    object.__setattr__(shop.house, "connector", Transport(shop.house.settings, Pools()))
    for members in (
        {**BY_KEY, "jwks_uri": address},
        {"logo_uri": address},
        {"sector_identifier_uri": address},
    ):
        answer = send(shop, {**PLAIN, **members})
        assert refused(answer) == "invalid_client_metadata"
        assert not re.search(r"127|6379|refused|timed|resolve|private", answer.json()["error_description"])


# ---- sector and logo


def test_all_apps_of_one_sector_know_people_by_one_sub(shop):
    sector = "https://sector.example/uris.json"
    shop.elsewhere.pages[sector] = [*PLAIN["redirect_uris"], "https://other.example/callback"]
    one = registered(shop, sector_identifier_uri=sector)
    two = registered(shop, sector_identifier_uri=sector, redirect_uris=["https://other.example/callback"])
    alone = registered(shop)
    subs = [_sub(shop, said) for said in (one, two, alone)]
    assert subs[0] == subs[1] != subs[2]
    with shop.session() as session:
        row = session.get(App, one["client_id"])
        assert row.metadata_["sector_identifier_uri"] == sector


def _sub(world, said):
    app, browser, uri = said["client_id"], world.browser("alice"), said["redirect_uris"][0]
    request = world.request(app, scope="openid", redirect_uri=uri)
    screen = browser.get(browser.get("/authorize", params={"client_id": app, **request}).headers["location"])
    page = Page(screen.text)
    final = browser.post(page.action, data={**page.fields, "decision": "allow"})
    answer = world.redeem(answered(browser.get(final.headers["location"]))["code"], app, redirect_uri=uri).json()
    told = world.browser().get("/userinfo", headers={"authorization": f"Bearer {answer['access_token']}"}).json()
    introspected = world.introspect(answer["access_token"], app).json()
    refreshing = world.introspect(answer["refresh_token"], app).json()
    subs = {claims(answer["id_token"])["sub"], claims(answer["access_token"])["sub"], told["sub"]}
    assert subs == {introspected["sub"]} == {refreshing["sub"]}
    return subs.pop()


@pytest.mark.parametrize("listed", [[], ["https://other.example/"], {"uris": []}, [7], None])
def test_a_sector_that_does_not_list_every_address_is_refused(shop, listed):
    sector = "https://sector.example/uris.json"
    if listed is not None:
        shop.elsewhere.pages[sector] = listed
    assert refused(send(shop, {**PLAIN, "sector_identifier_uri": sector})) == "invalid_client_metadata"


def test_the_sector_does_not_change(shop):
    sector = "https://sector.example/uris.json"
    shop.elsewhere.pages[sector] = PLAIN["redirect_uris"]
    said = registered(shop)
    new = {**PLAIN, "client_id": said["client_id"], "sector_identifier_uri": sector}
    assert refused(manage(shop, said, "PUT", new)) == "invalid_client_metadata"


def test_a_logo_is_kept_here_and_never_loaded_from_the_app(shop):
    logo = "https://site.example/logo.png"
    shop.elsewhere.pages[logo] = PNG
    said = registered(shop, logo_uri=logo)
    assert said["logo_uri"] == logo
    shown = shop.browser().get(f"/apps/{said['client_id']}/logo")
    assert shown.content == PNG and shown.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "found",
    [
        b"<html></html>",
        b"x" * 40_000,
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"></svg>',
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="https://mallory.example/x"/></svg>',
    ],
)
def test_a_logo_that_could_do_anything_is_refused(shop, found):
    shop.elsewhere.pages["https://site.example/logo"] = found
    answer = send(shop, {**PLAIN, "logo_uri": "https://site.example/logo"})
    assert refused(answer) == "invalid_client_metadata"


# ---- software statements


def statement(world, key, **changes):
    said = {
        "iss": "https://association.example",
        "software_id": "shop-1",
        "client_name": "Corner Shop (member)",
        "exp": int(world.clock.now.timestamp()) + 60,
        **changes,
    }
    return signed(key, {name: value for name, value in said.items() if value is not None}, typ="JWT", kid=key.kid)


@pytest.fixture
def association(shop, tmp_path):
    key, file = EC("association"), tmp_path / "issuers.json"
    file.write_text(json.dumps({"https://association.example": {"jwks": jwks(key), "software": ["shop-1"]}}))
    shop.setting(software_statements_file=file)
    return key


def test_what_a_trusted_issuer_says_wins(shop, association):
    text = statement(shop, association)
    said = registered(shop, software_statement=text, client_name="Mallory Shop", software_id="other")
    assert said["client_name"] == "Corner Shop (member)" and said["software_id"] == "shop-1"
    assert said["software_statement"] == text


def test_a_statement_of_nobody_trusted_is_refused(shop, association):
    late = int(shop.clock.now.timestamp()) - 120
    for text in (
        statement(shop, EC("association")),
        statement(shop, association, iss="https://mallory.example"),
        statement(shop, association, iss=None),
        statement(shop, association, exp=late),
        statement(shop, association, exp="soon"),
        statement(shop, association, nbf=late + 1000),
        statement(shop, association, aud="https://other.example"),
        f"{b64({'alg': 'none'})}.{b64({'iss': 'https://association.example'})}.",
        "x",
        7,
    ):
        answer = send(shop, {**PLAIN, "software_statement": text})
        assert refused(answer) == "invalid_software_statement", text
    other = statement(shop, association, software_id="shop-2")
    assert refused(send(shop, {**PLAIN, "software_statement": other})) == "unapproved_software_statement"


def test_without_issuers_no_statement_counts(shop):
    answer = send(shop, {**PLAIN, "software_statement": statement(shop, EC())})
    assert refused(answer) == "invalid_software_statement"


# ---- documents that are a client_id

APP = "https://assistant.example/oauth/client.json"
HERE = "http://127.0.0.1/callback"


def document(**changes):
    said = {"client_id": APP, "client_name": "Assistant", "redirect_uris": [HERE], **changes}
    return [(b"content-type", b"application/json")], json.dumps(said).encode()


@pytest.fixture
def assistant(world):
    opened(world, dynamic_registration="off", client_id_documents=True)
    world.elsewhere.pages[APP] = document()
    return world


def asks(world, browser, client_id=APP, uri="http://127.0.0.1:45123/callback", **changes):
    request = world.request(client_id, scope="openid email", redirect_uri=uri, **changes)
    answer = browser.get("/authorize", params={"client_id": client_id, **request})
    return browser.get(answer.headers["location"]) if answer.status_code == 303 else answer


def test_an_app_that_nobody_registered_signs_alice_in(assistant):
    found = assistant.browser().get("/.well-known/oauth-authorization-server").json()
    assert found["client_id_metadata_document_supported"] is True and "registration_endpoint" not in found
    browser = assistant.browser("alice")
    screen = asks(assistant, browser)
    words = re.sub(r" (?=[.,:)])", "", visible(screen.text))
    assert "We have not checked who runs Assistant." in words
    assert "What is said here of Assistant comes from assistant.example." in words
    assert "You will go back to 127.0.0.1:45123." in words and "Any program on this device" in words
    page = Page(screen.text)
    answer = browser.post(page.action, data={**page.fields, "decision": "allow"})
    code = answered(browser.get(answer.headers["location"]))["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": APP,
        "redirect_uri": "http://127.0.0.1:45123/callback",
        "code_verifier": VERIFIER,
    }
    tokens = assistant.post("/token", form, None)
    assert tokens.status_code == 200, tokens.text
    assert claims(tokens.json()["id_token"])["aud"] == APP
    assert assistant.elsewhere.asked == [APP]


def test_in_french_too(assistant):
    browser = assistant.browser("alice")
    browser.headers["accept-language"] = "fr"
    object.__setattr__(next(iter(assistant.callers.values())), "language", "fr")
    words = re.sub(r" (?=[.,:)])", "", visible(asks(assistant, browser).text))
    assert "Assistant: ce qui est dit ici est écrit à l’adresse assistant.example." in words
    assert "N’importe quel programme de cet appareil" in words


def test_where_the_operator_does_not_want_it_nobody_is_called(assistant):
    assistant.setting(client_id_documents=False)
    answer = asks(assistant, assistant.browser("alice"))
    assert answer.status_code == 400 and "No app of that name" in answer.text
    assert assistant.post("/par", {"client_id": APP, **assistant.request(APP)}, None).status_code == 401
    assert assistant.elsewhere.asked == []


def test_the_document_is_read_again_when_it_is_old_and_people_are_asked_again(assistant):
    browser = assistant.browser("alice")
    asks(assistant, browser)
    assistant.clock.passes(minutes=59)
    asks(assistant, browser)
    assert assistant.elsewhere.asked == [APP]
    assistant.elsewhere.pages[APP] = document(client_name="Helper")
    assistant.clock.passes(minutes=1)
    assert "Helper" in asks(assistant, assistant.browser("alice")).text
    assert assistant.elsewhere.asked == [APP] * 2


@pytest.mark.parametrize(
    ("said", "minutes"),
    [(b"max-age=600", 10), (b"no-store", 5), (b"max-age=1", 5), (b"public, max-age=999999", 24 * 60)],
)
def test_how_long_it_is_kept_is_its_own_word_within_bounds(assistant, said, minutes):
    fields, body = document()
    assistant.elsewhere.pages[APP] = [*fields, (b"cache-control", said)], body
    asks(assistant, assistant.browser())
    assistant.clock.passes(minutes=minutes, seconds=-1)
    asks(assistant, assistant.browser())
    assert len(assistant.elsewhere.asked) == 1
    assistant.clock.passes(seconds=1)
    asks(assistant, assistant.browser())
    assert len(assistant.elsewhere.asked) == 2


def test_a_document_that_is_gone_for_a_day_is_no_app_any_more(assistant):
    asks(assistant, assistant.browser())
    del assistant.elsewhere.pages[APP]
    assistant.clock.passes(hours=24)
    assert asks(assistant, assistant.browser("alice")).status_code == 200
    assistant.clock.passes(hours=2)
    answer = asks(assistant, assistant.browser("alice"))
    assert answer.status_code == 400 and "cannot be read, or is not right" in answer.text


@pytest.mark.parametrize(
    "found",
    [
        None,
        302,
        document(client_id="https://other.example/client.json"),
        document(client_secret="x"),
        document(token_endpoint_auth_method="client_secret_basic"),
        document(token_endpoint_auth_method="client_secret_post"),
        document(redirect_uris=["javascript:alert(1)"]),
        document(redirect_uris=[]),
        document(client_name="Meter"),
        document(client_name="\u0410ssistant"),
        ([(b"content-type", b"text/html")], document()[1]),
        ([(b"content-type", b"application/json")], b"[]"),
        ([(b"content-type", b"application/json")], b'{"client_id": "a", "client_id": "b"}'),
        document(client_uri="https://assistant.example/" + "x" * 6000),
    ],
)
def test_a_document_that_is_not_right_is_no_app(assistant, found):
    assistant.elsewhere.pages[APP] = found
    answer = asks(assistant, assistant.browser("alice"))
    assert answer.status_code == 400 and "cannot be read, or is not right" in answer.text
    answer = assistant.post("/par", {"client_id": APP, **assistant.request(APP)}, None)
    assert answer.status_code == 401 and answer.json()["error"] == "invalid_client"
    with assistant.session() as session:
        assert session.get(App, APP) is None


@pytest.mark.parametrize(
    "client_id",
    [
        "https://assistant.example",
        "https://assistant.example/a/../client.json",
        "https://assistant.example/%2e%2e/client.json",
        "https://assistant.example/client.json#x",
        "https://assistant.example/client.json?x=1",
        "https://user@assistant.example/client.json",
        "https://assistant.example:8443/client.json",
        "https://ASSISTANT.example/client.json",
        "https://assistant.example/" + "x" * 600,
        "https://127.0.0.1\\@assistant.example/x",
    ],
)
def test_an_address_of_another_form_is_not_called(assistant, client_id):
    assert asks(assistant, assistant.browser("alice"), client_id).status_code == 400
    assert assistant.elsewhere.asked == []


def test_documents_that_one_network_makes_us_read_are_limited(assistant):
    for number in range(30):
        asks(assistant, assistant.browser(), f"https://assistant.example/{number}")
    answer = asks(assistant, assistant.browser(), "https://assistant.example/one-more")
    assert answer.status_code == 429 and len(assistant.elsewhere.asked) == 30


def test_an_app_with_keys_at_its_own_address_proves_who_it_is(assistant):
    key, address = EC("key"), "https://assistant.example/jwks.json"
    assistant.elsewhere.pages[APP] = document(token_endpoint_auth_method="private_key_jwt", jwks_uri=address)
    assistant.elsewhere.pages[address] = jwks(key)
    assert known(assistant, APP, key) and not known(assistant, APP, EC("key"))
    assert assistant.elsewhere.asked == [APP, address]


def test_an_app_that_is_suspended_stays_so_whatever_its_document_says(assistant):
    asks(assistant, assistant.browser())
    assistant.suspend(APP)
    assistant.elsewhere.pages[APP] = document(client_name="Helper")
    assistant.clock.passes(hours=2)
    answer = asks(assistant, assistant.browser("alice"))
    assert answer.status_code == 403 and "suspended" in answer.text
