"""An app asks that a person be signed out here (OpenID Connect RP-Initiated Logout 1.0)."""

import hmac
import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.apps import declare, verbs
from gateway.errors import DeclarationError
from gateway.ground.keys.jose import encoded
from gateway.ground.store import signing_keys
from tests.tokens import claims
from tests.worlds.websites import AFTER, HOME, LOOPBACK, declaration, forms, links, onward, until


def ends(browser, hint="", **more):
    query = {"id_token_hint": hint, **more} if hint else more
    return browser.get("/end-session", **query)


def confirms(browser, page, **headers):
    return browser.submit(page, "/end-session/sign-out", **headers)


def is_question(page):
    assert page.status_code == 200, page.text[:400]
    return any(action == "/end-session/sign-out" for action, _ in forms(page.text))


def stays(page):
    """Whether the page leads to no address but our own."""
    return (
        onward(page) == ""
        and "location" not in page.headers
        and all(one.startswith("/") and not one.startswith("//") or one == "#main" for one in links(page))
    )


# ---- what works


def test_the_metadata_says_what_there_is_and_names_nothing_else(world):
    said = world.browser().get("/.well-known/openid-configuration").json()
    assert said["end_session_endpoint"] == f"{HOME}/end-session"
    assert said["backchannel_logout_supported"] is True and said["backchannel_logout_session_supported"] is True
    assert not [name for name in said if name.startswith("frontchannel") or "check_session" in name]


def test_alice_signs_out_at_the_app_and_here_and_goes_back_to_it(world):
    alice = world.browser(person="alice")
    body, before = alice.tokens(), alice.cookie
    page = ends(alice, body["id_token"], post_logout_redirect_uri=AFTER, state="a b&c")
    assert onward(page) == f"{AFTER}&state=a%20b%26c"
    assert (
        page.headers["cache-control"] == "no-store" and "form-action 'self'" in page.headers["content-security-policy"]
    )
    assert not alice.is_signed_in() and world.events("alice")[-1] == "signed_out"

    assert "error=login_required" in alice.asked(prompt="none").headers["location"]
    thief = world.browser()
    thief.http.cookies.set("__Host-aval-sign-in", before, domain="gateway.test", path="/")
    assert not thief.is_signed_in(), "the old cookie is dead"
    again = alice.get("/log")
    assert again.status_code == 303 and again.headers["cache-control"] == "no-store"

    told = world.browser().http.get("/userinfo", headers={"authorization": f"Bearer {body['access_token']}"})
    assert told.status_code == 200 and told.json()["sub"] == claims(body["id_token"])["sub"], "what she shares goes on"


def test_it_is_said_that_sharings_go_on(world):
    alice = world.browser(person="alice")
    question = ends(alice)
    assert "What you share goes on" in question.text
    assert "What you share goes on" in confirms(alice, question).text


def test_without_an_address_the_page_is_the_end(world):
    alice = world.browser(person="alice")
    page = ends(alice, alice.id_token(), state="x")
    assert stays(page) and "You are signed out" in page.text and not alice.is_signed_in()


def test_a_form_of_the_app_works_though_the_browser_leaves_out_our_cookie(world):
    alice, stranger = world.browser(person="alice"), world.browser()
    hint = alice.id_token()
    form = {"id_token_hint": hint, "post_logout_redirect_uri": AFTER, "state": "s"}
    cross = {"origin": "https://site.example", "sec-fetch-site": "cross-site"}
    answer = stranger.http.post("/end-session", data=form, headers=cross)
    assert answer.status_code == 303
    onto = answer.headers["location"]
    assert onto.startswith("/end-session?asked=") and hint not in onto and hint.split(".")[1] not in onto
    assert alice.is_signed_in(), "the form alone has done nothing"
    assert onward(alice.get(onto)) == f"{AFTER}&state=s" and not alice.is_signed_in()


def test_an_expired_hint_is_as_good(world):
    alice = world.browser(person="alice")
    hint = alice.id_token()
    world.clock.passes(minutes=30)
    assert claims(hint)["exp"] < world.clock.now.timestamp()
    assert onward(ends(alice, hint, post_logout_redirect_uri=AFTER)) == AFTER and not alice.is_signed_in()


def test_a_hint_by_a_key_that_does_not_sign_any_more_is_as_good(world):
    alice, house = world.browser(person="alice"), world.house
    hint = alice.id_token()
    world.clock.passes(seconds=1)
    with house.store.write() as session:
        signing_keys.rotate(session, house.keys, jwt.get_unverified_header(hint)["alg"], world.clock.now, timedelta(0))
    until(lambda: house.keys.signer_of(jwt.get_unverified_header(hint)["alg"]).kid != _kid(hint))
    assert _kid(alice.id_token()) != _kid(hint)
    assert onward(ends(alice, hint, post_logout_redirect_uri=AFTER)) == AFTER and not alice.is_signed_in()


def _kid(token):
    return jwt.get_unverified_header(token)["kid"]


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
def test_a_hint_of_the_algorithm_that_the_app_registered(world, algorithm):
    world.register("site", id_token_signed_response_alg=algorithm)
    alice = world.browser(person="alice")
    hint = alice.id_token()
    assert jwt.get_unverified_header(hint)["alg"] == algorithm
    assert onward(ends(alice, hint, post_logout_redirect_uri=AFTER)) == AFTER and not alice.is_signed_in()


def test_whoever_confirms_that_it_is_she_is_still_known_by_the_same_sid(world):
    alice = world.browser(person="alice")
    first = alice.id_token()
    world.clock.passes(minutes=20)
    old = alice.cookie
    alice.signs_in("alice", "/sign-in?again=1")
    assert alice.cookie != old
    second = alice.id_token()
    assert claims(first)["sid"] == claims(second)["sid"]
    assert claims(first)["auth_time"] < claims(second)["auth_time"]
    assert onward(ends(alice, first, post_logout_redirect_uri=AFTER)) == AFTER and not alice.is_signed_in()
    alice.signs_in("alice")
    assert claims(alice.id_token())["sid"] != claims(first)["sid"], "after signing out it is another sign-in"


def test_whoever_is_signed_out_already_goes_on(world):
    alice = world.browser(person="alice")
    hint = alice.id_token()
    for _ in range(2):
        assert onward(ends(alice, hint, post_logout_redirect_uri=AFTER, client_id="site", logout_hint="alice")) == AFTER
    assert world.events("alice").count("signed_out") == 1


def test_the_pages_speak_french(world):
    alice = world.browser("fr", "alice")
    with world.house.store.write() as session:
        from gateway.people.tables import Person

        session.get_one(Person, world.people["alice"]).language = "fr"
    question = ends(alice)
    assert "Se déconnecter ?" in question.text and "Vos partages continuent" in question.text
    assert "Vous n’avez plus de connexion ouverte" in confirms(alice, question).text
    assert "Vous n’avez plus" in ends(world.browser(), ui_locales="fr-CA").text
    assert 'lang="en"' in ends(world.browser("fr"), ui_locales="en").text


# ---- who is asked first


@pytest.mark.parametrize("more", [{}, {"state": "x"}, {"client_id": "site"}, {"logout_hint": "alice"}])
def test_without_a_hint_she_is_asked_first(world, more):
    alice = world.browser(person="alice")
    page = ends(alice, **more)
    assert is_question(page) and stays(page) and alice.is_signed_in()
    after = confirms(alice, page)
    assert stays(after) and "You are signed out" in after.text and not alice.is_signed_in()


def test_nobody_is_asked_where_nobody_is_signed_in(world):
    page = ends(world.browser(), state="x")
    assert not is_question(page) and stays(page) and "You are signed out" in page.text


def test_mallory_cannot_sign_alice_out_with_her_own_hint(world):
    mallory, alice = world.browser(person="bob"), world.browser(person="alice")
    hint = mallory.id_token()
    page = ends(alice, hint, post_logout_redirect_uri=AFTER)
    assert is_question(page) and onward(page) == "" and "knows somebody else by this browser" in page.text
    assert "Bob" not in page.text and "bob@" not in page.text
    assert alice.is_signed_in() and mallory.is_signed_in()
    assert onward(confirms(alice, page)) == AFTER, "she has said so, and the address is registered"
    assert not alice.is_signed_in() and mallory.is_signed_in(), "of somebody else nothing ends"


def test_a_hint_of_another_sign_in_of_hers_asks(world):
    here, there = world.browser(person="alice"), world.browser(person="alice")
    hint = here.id_token()
    page = ends(there, hint, post_logout_redirect_uri=AFTER)
    assert is_question(page) and there.is_signed_in() and here.is_signed_in()
    confirms(there, page)
    assert not there.is_signed_in() and here.is_signed_in()


def test_the_answer_counts_only_from_our_own_page(world):
    alice = world.browser(person="alice")
    (form,) = [fields for action, fields in forms(ends(alice).text) if action == "/end-session/sign-out"]
    assert alice.send("/end-session/sign-out", {**form, "csrf": "x" * 43}).status_code == 303
    assert alice.send("/end-session/sign-out", {"asked": form["asked"]}).status_code == 303
    evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert alice.send("/end-session/sign-out", form, **evil).status_code == 403
    assert alice.is_signed_in()


def test_an_answer_that_comes_too_late_is_asked_for_again(world):
    alice = world.browser(person="alice")
    page = ends(alice, world.browser(person="bob").id_token(), post_logout_redirect_uri=AFTER)
    confirms(alice, ends(alice))
    alice.signs_in("bob")
    late = confirms(alice, page)
    assert late.status_code == 303 and late.headers["location"].startswith("/end-session?asked=")
    assert alice.is_signed_in()


# ---- what is wrong with a hint


def _signed(world, changes=None, typ="JWT", without=()):
    """An ID token that our own key signs, with changes."""
    base = {"iss": HOME, "aud": "site", "sub": "s", "sid": "x", "auth_time": 1, "iat": 1, "exp": 2}
    return world.house.keys.sign({k: v for k, v in {**base, **(changes or {})}.items() if k not in without}, typ=typ)


def _forged(hint, changes):
    header, _, signature = hint.split(".")
    return f"{header}.{encoded(json.dumps({**claims(hint), **changes}).encode())}.{signature}"


def _none(hint):
    return f"{encoded(json.dumps({'alg': 'none', 'typ': 'JWT'}).encode())}.{hint.split('.')[1]}."


def _foreign(hint):
    """The same, signed by a key of Mallory's under our key's name."""
    key = ec.generate_private_key(ec.SECP256R1())
    head = {"kid": jwt.get_unverified_header(hint)["kid"], "typ": "JWT"}
    return jwt.encode(claims(hint), key, algorithm="ES256", headers=head)


def _by_hmac(world, hint):
    """The public key, which everybody has, taken for a shared secret (RFC 8725 §2.1)."""
    secret = json.dumps(world.house.keys.jwks()["keys"][0]).encode()
    message = f"{encoded(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{hint.split('.')[1]}"
    return f"{message}.{encoded(hmac.digest(secret, message.encode(), 'sha256'))}"


BAD_HINTS = {
    "alg none": lambda world, body: _none(body["id_token"]),
    "alg none with the signature": lambda world, body: _none(body["id_token"]) + body["id_token"].split(".")[2],
    "foreign key": lambda world, body: _foreign(body["id_token"]),
    "our key as a secret": lambda world, body: _by_hmac(world, body["id_token"]),
    "modified": lambda world, body: _forged(body["id_token"], {"nonce": "other"}),
    "another app's": lambda world, body: _forged(body["id_token"], {"aud": "other"}),
    "cut": lambda world, body: body["id_token"][:-2],
    "no signature": lambda world, body: body["id_token"].rsplit(".", 1)[0],
    "access token": lambda world, body: body["access_token"],
    "another issuer": lambda world, body: _signed(world, {"iss": "https://other.example"}),
    "for two apps": lambda world, body: _signed(world, {"aud": ["site", "other"]}),
    "of the future": lambda world, body: _signed(world, {"iat": 10**10}),
    "an answer of userinfo": lambda world, body: _signed(world, without=("auth_time", "iat", "exp", "sid")),
    "a logout token": lambda world, body: _signed(world, typ="logout+jwt"),
    "no token": lambda world, body: "alice",
    "none at all": lambda world, body: "",
}


@pytest.mark.parametrize("bad", BAD_HINTS)
def test_with_a_bad_hint_nobody_is_signed_out_unasked_and_nobody_goes_on(world, bad):
    alice = world.browser(person="alice")
    hint = BAD_HINTS[bad](world, alice.tokens())
    page = ends(alice, hint, post_logout_redirect_uri=AFTER)
    assert is_question(page) and stays(page) and "You will stay here" in page.text
    assert alice.is_signed_in()
    after = confirms(alice, page)
    assert stays(after) and not alice.is_signed_in()
    assert stays(ends(alice, hint, post_logout_redirect_uri=AFTER)), "nor where nobody is signed in"


def test_a_hint_without_sid_says_where_to_go_but_asks_before_it_signs_out(world):
    """Who approved on another device has an ID token that belongs to no browser (CIBA)."""
    alice = world.browser(person="alice")
    alice.tokens()
    page = ends(alice, _signed(world, without=("sid",)), post_logout_redirect_uri=AFTER)
    assert is_question(page) and alice.is_signed_in()
    after = confirms(alice, page)
    assert onward(after) == AFTER and not alice.is_signed_in()


def test_a_hint_as_long_as_no_token_of_ours_is_not_read(world):
    alice = world.browser(person="alice")
    same = claims(alice.id_token())
    for length, good in ((1000, True), (20_000, False)):
        hint = _signed(world, {**same, "pad": "x" * length})
        answer = alice.http.post("/end-session", data={"id_token_hint": hint, "post_logout_redirect_uri": AFTER})
        page = alice.get(answer.headers["location"])
        assert is_question(page) is not good
        alice.signs_in("alice") if good else None


def test_a_hint_goes_with_the_client_that_it_was_made_for(world):
    world.register("other", post_logout_redirect_uris=["https://other.example/after"])
    alice = world.browser(person="alice")
    hint = alice.id_token()
    for client, to in (
        ("other", AFTER),
        ("other", "https://other.example/after"),
        ("site", "https://other.example/after"),
    ):
        page = ends(alice, hint, client_id=client, post_logout_redirect_uri=to)
        assert is_question(page) and stays(page), (client, to)
    assert alice.is_signed_in()


# ---- what is wrong with an address

BAD_ADDRESSES = (
    "https://site.example/after", "https://site.example/after?kept=a%20b&more=1", "https://site.example/after?kept=a+b",
    f"{AFTER}#x", f"{AFTER}/", f" {AFTER}", f"{AFTER}\r\nset-cookie: x=1", "HTTPS://site.example/after?kept=a%20b",
    "https://SITE.example/after?kept=a%20b", "https://site.example:443/after?kept=a%20b",
    "https://site.example@evil.example/after?kept=a%20b", "https://site.example.evil.example/after?kept=a%20b",
    "https://site.example/x/../after?kept=a%20b", "http://site.example/after?kept=a%20b",
    "https://site.example/callback",
    "https://evil.example/", "//evil.example/", "/\\evil.example", "https:evil.example", "https:/evil.example",
    "javascript:alert(1)", "data:text/html,x", "/%09/evil.example", "%0d%0alocation:https://evil.example",
    "\\\\evil.example",
    "0;url=https://evil.example", '"><script>alert(1)</script>',
)  # fmt: skip


@pytest.mark.parametrize("to", BAD_ADDRESSES)
def test_to_an_address_that_is_not_registered_nobody_goes(world, to):
    alice = world.browser(person="alice")
    hint = alice.id_token()
    for page in (
        ends(alice, hint, post_logout_redirect_uri=to),
        alice.get(
            alice.http.post("/end-session", data={"id_token_hint": hint, "post_logout_redirect_uri": to}).headers[
                "location"
            ]
        ),
    ):
        assert is_question(page) and stays(page) and "evil" not in page.text and "<script>" not in page.text
    assert alice.is_signed_in(), "whoever sends a wrong address is suspect: she is asked"
    assert stays(confirms(alice, page)) and not alice.is_signed_in()
    assert stays(ends(alice, hint, post_logout_redirect_uri=to)), "nor when nobody is signed in"


def test_the_address_of_another_app_is_not_this_ones(world):
    world.register("other", post_logout_redirect_uris=["https://other.example/after"])
    alice = world.browser(person="alice")
    page = ends(alice, alice.id_token(), post_logout_redirect_uri="https://other.example/after")
    assert is_question(page) and stays(page)


def test_nobody_goes_on_to_a_suspended_app(world):
    alice = world.browser(person="alice")
    hint = alice.id_token()
    onto = alice.http.post("/end-session", data={"id_token_hint": hint, "post_logout_redirect_uri": AFTER})
    with world.house.store.write() as session:
        verbs.suspend(session, "site", "asked to", world.clock.now)
    assert stays(ends(alice, hint, post_logout_redirect_uri=AFTER))
    assert stays(alice.get(onto.headers["location"])), "nor with what was checked before"


# ---- what is wrong with the rest


@pytest.mark.parametrize(
    "state", ["\r\nset-cookie: x=1", '"><script>alert(1)</script>', "&post=1#f", "é\u202e", "a+b c"]
)
def test_a_state_comes_back_as_it_was_and_as_nothing_else(world, state):
    alice = world.browser(person="alice")
    page = ends(alice, alice.id_token(), post_logout_redirect_uri=AFTER, state=state)
    onto = onward(page)
    assert parse_qs(urlsplit(onto).query) == {"kept": ["a b"], "state": [state]} and not urlsplit(onto).fragment
    assert onto.isascii() and onto.isprintable() and "<script>" not in page.text and "x" not in page.cookies


@pytest.mark.parametrize("query", [
    f"id_token_hint=HINT&post_logout_redirect_uri=AFTER&state={'x' * 1025}",
    "id_token_hint=HINT&post_logout_redirect_uri=AFTER&post_logout_redirect_uri=https://evil.example",
    "id_token_hint=HINT&id_token_hint=HINT&post_logout_redirect_uri=AFTER",
    "id_token_hint=HINT&post_logout_redirect_uri=AFTER&state=1&state=2",
    "id_token_hint=HINT&post_logout_redirect_uri=AFTER&state=%ff",
])  # fmt: skip
def test_a_malformed_request_ends_on_a_page(world, query):
    alice = world.browser(person="alice")
    page = alice.get(
        "/end-session?" + query.replace("HINT", alice.id_token()).replace("AFTER", AFTER.replace("%", "%25"))
    )
    assert is_question(page) and stays(page) and "not of the right form" in page.text and alice.is_signed_in()


def test_what_was_checked_cannot_be_made_or_changed(world):
    alice = world.browser(person="alice")
    onto = alice.http.post("/end-session", data={"id_token_hint": alice.id_token(), "post_logout_redirect_uri": AFTER})
    sealed = onto.headers["location"].partition("asked=")[2]
    for other in (sealed[:-4] + "AAAA", sealed[::-1], "", "x", "é", encoded(b'{"to": "https://evil.example"}')):
        page = alice.get("/end-session", asked=other)
        assert is_question(page) and stays(page) and alice.is_signed_in(), other


def test_no_id_token_stands_on_the_page(world):
    hint = world.browser(person="bob").id_token()
    page = ends(world.browser(person="alice"), hint, post_logout_redirect_uri=AFTER)
    assert hint not in page.text and claims(hint)["sub"] not in page.text and claims(hint)["sid"] not in page.text


# ---- registration


@pytest.mark.parametrize("to", [
    "http://site.example/after", "https://site.example/a#b", "https://*.example/", "/after", "javascript:alert(1)",
    "https://me@site.example/", "https://site.example/a/../b", "https://Site.example/", "https://site.example/ a",
])  # fmt: skip
def test_an_address_to_go_on_to_is_checked_like_a_redirect_address(to):
    assert [one.key for one in declare.check(declaration("x", post_logout_redirect_uris=[to]))] == [
        "post_logout_redirect_uris[0]"
    ]
    assert declare.check(declaration("x", post_logout_redirect_uris=[])) == []


@pytest.mark.parametrize("key", ["backchannel_logout_uri", "initiate_login_uri"])
@pytest.mark.parametrize("bad", ["http://site.example/", "https://site.example@evil.example/", "site.example", 7])
def test_addresses_of_an_app_are_https(world, key, bad):
    object.__setattr__(world.house, "settings", world.house.settings.model_copy(update={"outbound_networks": ()}))
    with pytest.raises(DeclarationError) as refused:
        world.register("x", **{key: bad})
    assert [one.key for one in refused.value.faults] == [key]
    world.register("x", **{key: "https://site.example/told"})


def test_plain_addresses_may_be_called_where_a_private_network_is_open_and_nowhere_else(world):
    assert world.house.settings.outbound_networks == LOOPBACK
    world.register("x", backchannel_logout_uri="http://127.0.0.1:8999/told")
    object.__setattr__(world.house, "settings", world.house.settings.model_copy(update={"outbound_networks": ()}))
    with pytest.raises(DeclarationError):
        world.register("y", backchannel_logout_uri="http://127.0.0.1:8999/told")


def test_what_an_app_registered_before_has_the_hash_that_it_had():
    plain = declare.parse(declaration("x", post_logout_redirect_uris=[]), Path("app.toml"))
    assert not [key for key in plain.document if "logout" in key or "initiate" in key]
    more = declare.parse(declaration("x", backchannel_logout_session_required=True), Path("app.toml"))
    assert more.document["backchannel_logout_session_required"] is True and more.sha256 != plain.sha256
