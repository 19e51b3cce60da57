"""Apps register themselves, and manage that (RFC 7591, RFC 7592, OpenID Connect Registration 1.0)."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from authorization_world import ISSUER, Page, answered, visible
from client_keys import EC
from registering import PLAIN, SITE, manage, opened, refused, registered, send

from gateway.apps import dynamic
from gateway.apps.tables import App, AppInvite
from gateway.consent.tables import Consent
from tests.tokens import claims


@pytest.fixture
def shop(world):
    return opened(world)


def signs_in(world, said, person="alice", **changes):
    """Alice agrees that this app signs her in: the token response."""
    app, browser = said["client_id"], world.browser(person)
    request = world.request(app, scope="openid email", redirect_uri=said["redirect_uris"][0], **changes)
    shown = browser.get("/authorize", params={"client_id": app, **request})
    screen = browser.get(shown.headers["location"])
    page = Page(screen.text)
    assert page.action, visible(screen.text)
    world.seen = screen.text
    answer = browser.post(page.action, data={**page.fields, "decision": "allow"})
    code = answered(browser.get(answer.headers["location"]))["code"]
    answer = world.redeem(code, app, redirect_uri=said["redirect_uris"][0])
    assert answer.status_code == 200, answer.text
    return answer.json()


def read(world):
    """What she has read on the screen."""
    return re.sub(r" (?=[.,:)])", "", visible(world.seen))


def userinfo(world, token):
    return world.browser().get("/userinfo", headers={"authorization": f"Bearer {token}"})


# ---- registering


def test_nobody_registers_unless_the_operator_wants_it(world):
    assert send(world, PLAIN).status_code == 404
    assert "registration_endpoint" not in world.browser().get("/.well-known/openid-configuration").json()


def test_an_app_that_registers_is_told_all_that_was_accepted_and_signs_people_in(shop):
    found = shop.browser().get("/.well-known/openid-configuration").json()
    assert found["registration_endpoint"] == f"{ISSUER}/apps"
    said = registered(shop, contacts=["ops@site.example"], policy_uri=f"{SITE}/privacy", unknown="x")
    at = int(shop.clock.now.timestamp())
    assert said["client_id_issued_at"] == at and said["client_secret_expires_at"] == 0
    assert len(said["client_secret"]) == 43 and len(said["registration_access_token"]) == 43
    assert said["registration_client_uri"] == f"{ISSUER}/apps/{said['client_id']}"
    wanted = {
        **PLAIN,
        "contacts": ["ops@site.example"],
        "policy_uri": f"{SITE}/privacy",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": "web",
        "subject_type": "pairwise",
        "profile": "oidc",
        "id_token_signed_response_alg": "RS256",
    }
    assert {name: said.get(name) for name in wanted} == wanted
    assert "unknown" not in said
    tokens = signs_in(shop, said)
    assert userinfo(shop, tokens["access_token"]).json()["email"] == "alice@example.org"


def test_people_are_told_what_an_app_did_not_tell(shop):
    signs_in(shop, registered(shop))
    words = read(shop)
    assert "We have not checked who runs Corner Shop." in words and "Company not checked" in words
    assert "(company not told)" in words
    assert "Privacy policy" not in words and "You will go back to site.example." in words
    assert 'href=""' not in shop.seen
    assert "Corner Shop has not told how to reach it." in words


def test_a_client_that_knows_no_purposes_asks_by_the_scope_that_it_registered(shop):
    said = registered(shop, token_endpoint_auth_method="none", redirect_uris=["http://127.0.0.1/back"],
                      scope="energy:usage offline_access")  # fmt: skip
    assert said["purposes"] == ["energy-advice"] and said["scope"] == "energy:usage offline_access"
    asked = shop.request(authorization_details=None, scope="energy:usage", resource=f"{ISSUER}/data/city-energy",
                         redirect_uri="http://127.0.0.1:5555/back")  # fmt: skip
    browser = shop.browser("alice")
    kept = browser.get("/authorize", params={"client_id": said["client_id"], **asked})
    code = answered(shop.agree(browser, kept.headers["location"]))["code"]
    answer = shop.redeem(code, said["client_id"], client_id=said["client_id"], redirect_uri=asked["redirect_uri"])
    assert answer.status_code == 200 and answer.json()["scope"] == "energy:usage", answer.text
    assert [detail["purpose"] for detail in answer.json()["authorization_details"]] == ["energy-advice"]


@pytest.mark.parametrize(
    ("scope", "purposes"),
    [("openid bank:balances", ["sign-in", "household-budget"]), ("offline_access", ["sign-in"])],
)
def test_purposes_that_are_not_told_are_those_of_the_scopes(shop, scope, purposes):
    assert registered(shop, scope=scope)["purposes"] == purposes
    assert registered(shop, scope=scope, purposes=["energy-advice"])["purposes"] == ["energy-advice"]


def test_who_tells_no_scope_may_ask_for_all_that_stand_for_data_here(shop):
    said = registered(shop)
    assert {"openid", "profile", "email", "bank:balances", "energy:usage"} <= set(said["scope"].split())
    assert set(said["purposes"]) >= {"sign-in", "household-budget", "energy-advice"}
    asked = shop.request(said["client_id"], authorization_details=None, scope="energy:usage",
                         resource=f"{ISSUER}/data/city-energy", redirect_uri=PLAIN["redirect_uris"][0])  # fmt: skip
    assert shop.post("/par", asked, said["client_id"]).status_code == 201


def test_of_the_purposes_that_it_tells_where_it_tells_any(shop):
    assert registered(shop, purposes=["energy-advice"])["scope"] == "energy:usage"
    assert registered(shop, purposes=["sign-in"])["scope"] == "openid profile email"


def test_nobody_is_verified_by_saying_so(shop):
    said = registered(shop, verified=True, status="active", came_by="file", logo="x.svg")
    with shop.session() as session:
        row = session.get(App, said["client_id"])
        assert not row.verified and row.came_by == "dynamic" and row.metadata_["logo"] is None


def test_a_client_id_is_chosen_here_and_is_nobodys_sub(shop):
    said = registered(shop, client_id="meter", client_secret="chosen")
    assert re.fullmatch("c-[0-9a-f]{32}", said["client_id"]) and said["client_secret"] != "chosen"
    sub = claims(signs_in(shop, said)["id_token"])["sub"]
    assert registered(shop, client_id=sub)["client_id"] != sub
    assert not re.fullmatch("c-[0-9a-f]{32}", sub)


def test_secrets_and_tokens_are_kept_as_hashes_only(shop):
    said = registered(shop)
    with shop.session() as session:
        kept = repr(session.get(App, said["client_id"]).model_dump())
    assert said["client_secret"] not in kept and said["registration_access_token"] not in kept


def test_what_is_not_offered_is_left_out_and_the_answer_says_so(shop):
    said = registered(
        shop,
        grant_types=["authorization_code", "implicit", "refresh_token"],
        response_types=["code", "id_token"],
        scope="openid no-such-scope email",
    )
    assert said["grant_types"] == ["authorization_code", "refresh_token"]
    assert said["response_types"] == ["code"] and said["scope"] == "openid email"


@pytest.mark.parametrize(
    "uris",
    [
        None,
        [],
        "https://site.example/callback",
        [f"{SITE}/callback#top"],
        ["javascript:alert(1)"],
        ["data:text/html,x"],
        ["vbscript:x"],
        ["file:///etc/passwd"],
        ["com.example.app:/callback"],
        ["http://site.example/callback"],
        ["https://user:pass@site.example/callback"],
        ["https://*.site.example/callback"],
        [f"{SITE}/callback", 7],
        [f"{SITE}/callback/{number}" for number in range(1000)],
    ],
)
def test_an_address_that_people_would_not_be_sent_to_is_refused(shop, uris):
    assert refused(send(shop, {**PLAIN, "redirect_uris": uris})) == "invalid_redirect_uri"


def test_a_native_app_may_have_a_scheme_of_its_own(shop):
    said = registered(
        shop,
        redirect_uris=["com.example.app:/callback"],
        application_type="native",
        token_endpoint_auth_method="none",
    )
    assert said["profile"] == "oauth21" and "client_secret" not in said


@pytest.mark.parametrize(
    "members",
    [
        {"jwks": {"keys": [EC().jwk]}, "jwks_uri": f"{SITE}/jwks"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{**EC().jwk, "d": "AAAA"}]}},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "AAAA", "kid": "x"}]}},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"id_token_signed_response_alg": "none"},
        {"userinfo_signed_response_alg": "none"},
        {"token_endpoint_auth_signing_alg": "none"},
        {"response_types": ["token"]},
        {"response_types": "code"},
        {"grant_types": ["implicit"]},
        {"subject_type": "public"},
        {"profile": "fapi2"},
        {"profile": "fapi2", "token_endpoint_auth_method": "none"},
        {"profile": "fapi2", "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [EC().jwk]}},
        {"profile": ["fapi2"]},
        {"profile": "no-such"},
        {"client_uri": "javascript:alert(1)"},
        {"policy_uri": "<b>x</b>"},
        {"tos_uri": "data:text/html,x"},
        {"tos_uri": 'https://x.example/"onmouseover="x'},
        {"contacts": "not a list"},
        {"contacts": ["not an address"]},
        {"client_name": "x" * 300},
        {"client_name": "Corner\u202eShop"},
        {"client_name": "Corner\u200bShop"},
        {"client_name": "C\u043erner Shop"},
        {"client_name": ""},
        {"client_name": ["Corner Shop"]},
        {"client_name#fr": "Corner\x00Shop"},
        {"client_name": "Meter"},
        {"client_name": "m e t e r !"},
        {"client_name": "City-Energy"},
        {"purposes": ["no-such-purpose"]},
        {"data": [{"organisation": "city-energy"}]},
        {"scope": "no-such-scope"},
        {"scope": 7},
        {"dpop_bound_access_tokens": "yes"},
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_kept(shop, members):
    answer = send(shop, {**PLAIN, **members})
    assert refused(answer) == "invalid_client_metadata"
    with shop.session() as session:
        assert not session.exec(App.__table__.select().where(App.came_by == "dynamic")).first()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"redirect_uris": ["https://a.example/"], "redirect_uris": []}', b"[" * 2000, b"\xff"]
)
def test_what_is_no_plain_json_object_is_refused(shop, body):
    assert refused(send(shop, body)) == "invalid_client_metadata"
    form = send(shop, b"client_name=x", **{"content-type": "application/x-www-form-urlencoded"})
    assert refused(form) == "invalid_client_metadata"


def test_names_in_two_languages(shop):
    said = registered(shop, **{"client_name": "Corner Shop", "client_name#fr": "Le Coin"})
    assert said["client_name"] == "Corner Shop" and said["client_name#fr"] == "Le Coin"
    with shop.session() as session:
        assert session.get(App, said["client_id"]).metadata_["name"] == {"fr": "Le Coin", "en": "Corner Shop"}


def test_what_the_law_wants_to_know_may_be_told_by_our_own_names(shop):
    reading = {
        "organisation": "city-energy",
        "dataset": "energy.electricity.usage",
        "fields": ["interval.start"],
        "necessity": "required",
        "reason": {"fr": "Pour vous.", "en": "For you."},
    }
    said = registered(shop, legal_entity="Corner SAS", purposes=["energy-advice"], data=[reading])
    assert said["data"] == [reading] and said["purposes"] == ["energy-advice"] and said["legal_entity"] == "Corner SAS"
    wrong = {**PLAIN, "purposes": ["energy-advice"], "data": [{**reading, "fields": ["no-such"]}]}
    assert refused(send(shop, wrong)) == "invalid_client_metadata"


def test_a_client_by_keys_fits_its_profile(shop):
    keys = {"jwks": {"keys": [EC().jwk]}, "token_endpoint_auth_method": "private_key_jwt"}
    said = registered(shop, **keys, profile="fapi2", dpop_bound_access_tokens=True)
    assert "client_secret" not in said and said["profile"] == "fapi2"
    assert said["require_pushed_authorization_requests"] is True


def test_only_profiles_that_the_operator_lets_register(shop):
    shop.setting(dynamic_profiles=("oauth21",))
    assert refused(send(shop, {**PLAIN, "profile": "oidc"})) == "invalid_client_metadata"
    assert registered(shop)["profile"] == "oauth21"


def test_an_app_on_the_persons_device_may_use_any_port(shop):
    said = registered(shop, redirect_uris=["http://127.0.0.1/callback"], token_endpoint_auth_method="none")
    assert said["application_type"] == "native"
    said["redirect_uris"] = ["http://127.0.0.1:45123/callback"]
    signs_in(shop, said)
    words = read(shop)
    assert "You will go back to 127.0.0.1:45123." in words
    assert "Any program on this device could be behind Corner Shop. Allow only if you have just started it." in words


def test_two_addresses_and_none_in_the_request_is_answered_on_a_page(shop):
    said = registered(shop, redirect_uris=[f"{SITE}/callback?a=b", f"{SITE}/other"])
    browser = shop.browser("alice")
    for uri, status in ((None, 400), (f"{SITE}/callback?a=c", 400), (f"{SITE}/callback", 400)):
        request = shop.request(said["client_id"], scope="openid", redirect_uri=uri)
        answer = browser.get("/authorize", params={"client_id": said["client_id"], **request})
        assert answer.status_code == status and "location" not in answer.headers
    request = shop.request(said["client_id"], scope="openid", redirect_uri=f"{SITE}/callback?a=b")
    assert browser.get("/authorize", params={"client_id": said["client_id"], **request}).status_code == 303


def test_a_link_to_us_takes_nobody_on_to_whoever_registered_by_itself(shop):
    """RFC 9700 §4.11.2: a request that is wrong would make us a way to any address."""
    said = registered(shop)
    for app, by_itself in ((said["client_id"], False), ("open", True)):
        shop.register("open", redirect_uris=PLAIN["redirect_uris"], require_pushed_authorization_requests=False)
        wrong = shop.request(app, scope="no-such", redirect_uri=PLAIN["redirect_uris"][0])
        text = shop.browser().get("/authorize", params={"client_id": app, **wrong}).text
        page = Page(text)
        assert any(link.startswith(f"{SITE}/callback?error=invalid_scope") for link in page.links)
        assert bool(page.refresh) is by_itself
        assert ("We have not checked who runs" in text) is not by_itself
        assert Page(shop.browser("alice").get("/authorize", params={"client_id": app, **wrong}).text).refresh


def test_registrations_from_one_network_are_limited(shop):
    for _ in range(60):
        assert send(shop, {"redirect_uris": []}).status_code == 400
    answer = send(shop, PLAIN)
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0
    shop.clock.passes(hours=1, seconds=1)
    registered(shop)


def test_how_many_is_the_operators_to_say(shop):
    shop.setting(registrations_per_hour=1)
    registered(shop)
    assert send(shop, PLAIN).status_code == 429


# ---- initial access tokens


def invite(world, token="t" * 43, profile="", uses=1, days=1):
    now = world.clock.now
    with world.house.store.write() as session:
        dynamic.invite(session, token, profile, uses, now + timedelta(days=days), now)
    return token


def test_with_a_token_as_many_apps_as_it_is_for(world):
    opened(world, dynamic_registration="token")
    token = invite(world, uses=2)
    for wrong in (None, "x" * 43):
        answer = send(world, PLAIN, token=wrong)
        assert refused(answer, 401) == "invalid_token" and "Bearer" in answer.headers["www-authenticate"]
    assert refused(send(world, {**PLAIN, "redirect_uris": []}, token=token)) == "invalid_redirect_uri"
    registered(world, token)
    registered(world, token)
    assert refused(send(world, PLAIN, token=token), 401) == "invalid_token"
    with world.session() as session:
        assert token not in repr(session.get(AppInvite, dynamic.invites(session)[0].id).model_dump())


def test_a_token_for_one_app_is_good_for_one_however_many_come_at_once(world):
    opened(world, dynamic_registration="token")
    token = invite(world)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: send(world, PLAIN, token=token).status_code, range(6)))
    assert sorted(answers) == [201, *[401] * 5]


def test_a_token_that_was_withdrawn_or_is_old_is_good_for_nothing(world):
    opened(world, dynamic_registration="token")
    old, gone = invite(world, "a" * 43), invite(world, "b" * 43, days=30)
    with world.house.store.write() as session:
        assert dynamic.withdraw(session, dynamic.invited(session, gone, world.clock.now).id[:8], world.clock.now) == 1
    world.clock.passes(days=2)
    for token in (old, gone):
        assert refused(send(world, PLAIN, token=token), 401) == "invalid_token"


def test_a_token_may_name_the_profile(world):
    opened(world, dynamic_registration="token", dynamic_profiles=("oidc",))
    token = invite(world, profile="oauth21", uses=5)
    assert refused(send(world, {**PLAIN, "profile": "oidc"}, token=token)) == "invalid_client_metadata"
    said = registered(world, token)
    assert said["profile"] == "oauth21"
    wrong = manage(world, said, "PUT", {**PLAIN, "client_id": said["client_id"], "profile": "oidc"})
    assert refused(wrong) == "invalid_client_metadata"


# ---- managing (RFC 7592)


def test_an_app_reads_changes_and_deletes_its_registration(shop):
    said = registered(shop)
    read = manage(shop, said)
    assert read.status_code == 200 and read.json()["client_name"] == "Corner Shop"
    assert read.json()["registration_access_token"] == said["registration_access_token"]
    assert "client_secret" not in read.json()
    new = {"client_id": said["client_id"], "redirect_uris": [f"{SITE}/new"], "client_name": "Corner"}
    changed = manage(shop, said, "PUT", new)
    assert changed.status_code == 200, changed.text
    assert changed.json()["redirect_uris"] == [f"{SITE}/new"] and "client_secret" not in changed.json()
    assert manage(shop, said).json()["client_name"] == "Corner"
    gone = manage(shop, said, "DELETE")
    assert gone.status_code == 204 and gone.content == b""
    for method in ("GET", "PUT", "DELETE"):
        assert refused(manage(shop, said, method, new), 401) == "invalid_token"


def test_who_sends_back_what_was_answered_has_changed_nothing(shop):
    said = registered(shop, contacts=["ops@site.example"], **{"client_name#fr": "Le Coin"})
    with shop.session() as session:
        before = session.get(App, said["client_id"]).metadata_sha256
    assert manage(shop, said, "PUT", said).status_code == 200
    again = manage(shop, said, "PUT", manage(shop, said).json())
    assert again.status_code == 200 and again.json() == manage(shop, said).json()
    with shop.session() as session:
        assert session.get(App, said["client_id"]).metadata_sha256 == before
    wrong = manage(shop, said, "PUT", {**said, "client_secret": "x" * 43})
    assert refused(wrong) == "invalid_client_metadata"


def test_links_that_an_app_told_are_on_the_screen(shop):
    links = {"client_uri": SITE, "policy_uri": f"{SITE}/privacy", "tos_uri": f"{SITE}/terms"}
    signs_in(shop, registered(shop, **links, legal_entity="Corner SAS"))
    assert all(f'href="{link}" rel="noreferrer"' in shop.seen for link in links.values())
    assert "Corner SAS" in shop.seen and "company not told" not in shop.seen


def test_a_change_must_be_of_the_app_itself_and_is_checked_like_a_registration(shop):
    said = registered(shop)
    assert refused(manage(shop, said, "PUT", PLAIN)) == "invalid_client_metadata"
    assert refused(manage(shop, said, "PUT", {**PLAIN, "client_id": "meter"})) == "invalid_client_metadata"
    wrong = {**PLAIN, "client_id": said["client_id"], "redirect_uris": ["javascript:x"]}
    assert refused(manage(shop, said, "PUT", wrong)) == "invalid_redirect_uri"
    wrong = {**PLAIN, "client_id": said["client_id"], "client_name": "Meter"}
    assert refused(manage(shop, said, "PUT", wrong)) == "invalid_client_metadata"
    assert manage(shop, said).json()["client_name"] == "Corner Shop"


def test_mallory_manages_nobody_elses_registration(shop):
    said, mallorys = registered(shop), registered(shop)
    for token in (mallorys["registration_access_token"], said["client_secret"], "x", ""):
        for method in ("GET", "PUT", "DELETE"):
            members = {**PLAIN, "client_id": said["client_id"], "redirect_uris": ["https://mallory.example/"]}
            answer = manage(shop, said, method, members, token=token or "?")
            assert refused(answer, 401) == "invalid_token"
    meter = {**said, "registration_client_uri": f"{ISSUER}/apps/meter"}
    assert refused(manage(shop, meter), 401) == "invalid_token"
    assert manage(shop, said).json()["redirect_uris"] == PLAIN["redirect_uris"]


def test_people_are_asked_again_after_a_change_of_hosts(shop):
    said = registered(shop)
    signs_in(shop, said)
    new = {**PLAIN, "client_id": said["client_id"], "redirect_uris": [f"{SITE}/callback", "https://new.example/x"]}
    assert manage(shop, said, "PUT", new).status_code == 200
    signs_in(shop, said)  # it asserts that the screen is shown


def test_a_change_from_secret_to_keys_and_back(shop):
    said, key = registered(shop), EC()
    new = {**PLAIN, "client_id": said["client_id"], "token_endpoint_auth_method": "private_key_jwt"}
    answer = manage(shop, said, "PUT", {**new, "jwks": {"keys": [key.jwk]}})
    assert answer.status_code == 200 and "client_secret" not in answer.json()
    assert shop.post("/token", {"grant_type": "x"}, said["client_id"]).json()["error"] == "invalid_client"
    answer = manage(shop, said, "PUT", {**PLAIN, "client_id": said["client_id"]})
    assert answer.json()["client_secret"] != said["client_secret"]


def test_what_people_shared_with_a_deleted_app_has_ended_and_they_read_why(shop):
    said = registered(shop)
    tokens = signs_in(shop, said)
    asked = shop.browser("bob")
    request = shop.request(said["client_id"], scope="openid", redirect_uri=PLAIN["redirect_uris"][0])
    asked.get(asked.get("/authorize", params={"client_id": said["client_id"], **request}).headers["location"])
    assert userinfo(shop, tokens["access_token"]).status_code == 200
    assert manage(shop, said, "DELETE").status_code == 204
    assert userinfo(shop, tokens["access_token"]).status_code == 401
    assert shop.refresh(tokens["refresh_token"], said["client_id"]).json()["error"] == "invalid_client"
    page = shop.browser("alice").get("/authorize", params={"client_id": said["client_id"], **request})
    assert page.status_code == 400 and "No app of that name is registered here." in page.text
    ended, refused_then = shop.events("alice")[-2:]
    assert (refused_then["event"], refused_then["reason"]) == ("denied", "ended")
    assert ended["event"] == "consent_ended" and ended["reason"] == "by_app" and ended["client_name"]
    assert shop.events("bob")[-1]["reason"] == "lapsed"
    with shop.session() as session:
        states = {row.person_id: row.state for row in session.exec(Consent.__table__.select())}
    assert states == {"alice": "ended", "bob": "ended"}


def test_a_suspended_app_stays_suspended_whatever_it_registers(shop):
    said = registered(shop)
    shop.suspend(said["client_id"])
    assert manage(shop, said, "PUT", {**PLAIN, "client_id": said["client_id"]}).status_code == 200
    answer = shop.post("/token", {"grant_type": "x"}, said["client_id"])
    assert answer.json()["error"] == "unauthorized_client"


def test_an_app_manages_itself_also_after_registration_was_closed(shop):
    said = registered(shop)
    shop.setting(dynamic_registration="off")
    assert manage(shop, said).status_code == 200 and manage(shop, said, "DELETE").status_code == 204


def test_every_app_knows_people_by_another_sub(shop):
    subs = {claims(signs_in(shop, registered(shop))["id_token"])["sub"] for _ in range(2)}
    assert len(subs) == 2
