"""City Energy, as the gateway meets it: linking by OAuth, tokens, Green Button addresses."""

import base64
import hashlib
import re
import secrets
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from lxml import etree

SECRET = "a secret of the tests only"
PASSWORD = "correct horse battery"

NS = {"a": "http://www.w3.org/2005/Atom", "e": "http://naesb.org/espi"}
RESOURCE = "/espi/1_1/resource"
BASIC = httpx2.BasicAuth("aval", SECRET)


@pytest.fixture(scope="module")
def city(start):
    return start("city_energy")


@pytest.fixture(scope="module")
def linked(city):
    return tokens(city, "CE-1001", PASSWORD)


def request(city, **changed):
    """The parameters of an authorization request, and its verifier."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": "aval",
        "redirect_uri": f"{city.gateway.url}/organisations/city-energy/linked",
        "state": "s t&te",
        "scope": "FB=4_5_15;IntervalDuration=3600;BlockDuration=monthly;HistoryLength=13",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return query | changed, verifier


def signed_in(browser, query, number, password):
    page = browser.get("/oauth/authorize", params=query)
    form = {"ask": re.search(r'name="ask" value="([^"]+)"', page.text)[1]}
    return browser.post("/oauth/sign-in", data={**form, "customer_number": number, "password": password}), form


def decided(city, decision, number="CE-1001", password=PASSWORD):
    """(answer to the gateway, redirect_uri, verifier) after the customer decided."""
    query, verifier = request(city)
    with httpx2.Client(base_url=city.url, trust_env=False) as browser:
        page, form = signed_in(browser, query, number, password)
        assert page.status_code == 200
        back = browser.post("/oauth/approve", data={**form, "decision": decision})
    assert back.status_code == 303 and back.headers["location"].startswith(query["redirect_uri"])
    return {k: v[0] for k, v in parse_qs(urlsplit(back.headers["location"]).query).items()}, query, verifier


def redeem(city, answer, query, verifier, auth=BASIC):
    form = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": query["redirect_uri"]}
    return city.http.post("/oauth/token", data=form | {"code_verifier": verifier}, auth=auth)


def refresh(city, token):
    return city.http.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token}, auth=BASIC)


def tokens(city, number="CE-1001", password=PASSWORD):
    return redeem(city, *decided(city, "yes", number, password)).json()


def read(city, token, path, **query):
    return city.http.get(path, params=query or None, headers={"Authorization": f"Bearer {token['access_token']}"})


def batch(token):
    return urlsplit(token["resourceURI"]).path


def test_a_customer_links_and_all_her_points_are_read(city, linked):
    assert linked["token_type"] == "Bearer" and linked["expires_in"] == 300
    answer = read(city, linked, batch(linked))
    feed = etree.fromstring(answer.content)
    assert answer.headers["content-type"].startswith("application/atom+xml")
    assert len(feed.findall(".//e:UsagePoint", NS)) == 2
    assert len(feed.findall(".//e:IntervalReading", NS)) > 2 * 8760
    assert "CE-1001" not in answer.text


def test_mine_is_the_subscription_of_the_token(city, linked):
    by_name, mine = (read(city, linked, path) for path in (batch(linked), f"{RESOURCE}/Batch/Subscription/mine"))
    assert mine.content == by_name.content
    assert read(city, linked, f"{RESOURCE}/Subscription/mine/UsagePoint").status_code == 200


def test_refusing_tells_the_gateway_so(city):
    answer, query, _ = decided(city, "no")
    assert answer == {"error": "access_denied", "state": query["state"]}


def test_a_wrong_password_shows_the_form_again_and_six_tries_end_it(city):
    query, _ = request(city)
    with httpx2.Client(base_url=city.url, trust_env=False) as browser:
        page, form = signed_in(browser, query, "CE-1001", "wrong")
        assert page.status_code == 403 and "is not right" in page.text
        login = {**form, "customer_number": "CE-1001", "password": PASSWORD}
        for _ in range(4):
            browser.post("/oauth/sign-in", data={**login, "password": "wrong"})
        assert browser.post("/oauth/sign-in", data=login).status_code == 429


def test_another_browser_cannot_finish_what_alice_began(city):
    query, _ = request(city)
    with httpx2.Client(base_url=city.url, trust_env=False) as alice:
        page, form = signed_in(alice, query, "CE-1001", PASSWORD)
        assert page.status_code == 200
        mallory = city.http.post("/oauth/approve", data={**form, "decision": "yes"})
        assert mallory.status_code == 400
        unsigned = alice.get("/oauth/authorize", params=query)
        key = re.search(r'name="ask" value="([^"]+)"', unsigned.text)[1]
        assert alice.post("/oauth/approve", data={"ask": key, "decision": "yes"}).status_code == 400


@pytest.mark.parametrize("changed", [{"client_id": "other"}, {"redirect_uri": "http://localhost:1/"}])
def test_a_doubtful_client_is_never_redirected_to(city, changed):
    query, _ = request(city, **changed)
    answer = city.http.get("/oauth/authorize", params=query)
    assert answer.status_code == 400 and "location" not in answer.headers


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"scope": "FB=99"}, "invalid_scope"),
    ],
)
def test_a_faulty_request_comes_back_as_an_error(city, changed, error):
    query, _ = request(city, **changed)
    location = city.http.get("/oauth/authorize", params=query).headers["location"]
    assert parse_qs(urlsplit(location).query)["error"] == [error]


def test_a_code_used_twice_ends_the_link(city):
    answer, query, verifier = decided(city, "yes")
    first = redeem(city, answer, query, verifier)
    assert first.status_code == 200 and first.headers["cache-control"] == "no-store"
    assert redeem(city, answer, query, verifier).json() == {"error": "invalid_grant"}
    assert read(city, first.json(), batch(first.json())).status_code == 401


def test_a_code_needs_its_verifier_and_the_client_its_secret(city):
    answer, query, verifier = decided(city, "yes")
    assert redeem(city, answer, query, "x" * 43).status_code == 400
    assert redeem(city, answer, query, verifier, httpx2.BasicAuth("aval", "wrong")).status_code == 401
    assert redeem(city, answer, query, verifier).status_code == 200


def test_refresh_tokens_rotate_and_a_stolen_old_one_ends_the_link(city):
    first = tokens(city)
    second = refresh(city, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert read(city, second, batch(second)).status_code == 200
    third = refresh(city, second["refresh_token"]).json()
    assert refresh(city, first["refresh_token"]).json() == {"error": "invalid_grant"}
    assert refresh(city, third["refresh_token"]).json() == {"error": "invalid_grant"}
    assert read(city, third, batch(third)).status_code == 401


def test_an_answer_lost_on_the_way_does_not_break_the_link(city):
    first = tokens(city)
    refresh(city, first["refresh_token"])  # never arrived
    again = refresh(city, first["refresh_token"])
    assert again.status_code == 200
    assert read(city, again.json(), batch(first)).status_code == 200


def test_revoking_the_refresh_token_ends_everything(city):
    token = tokens(city)
    form = {"token": token["refresh_token"], "token_type_hint": "refresh_token"}
    assert city.http.post("/oauth/revoke", data=form).status_code == 401
    assert city.http.post("/oauth/revoke", data=form, auth=BASIC).status_code == 200
    assert read(city, token, batch(token)).status_code == 401
    assert refresh(city, token["refresh_token"]).status_code == 400
    assert city.http.post("/oauth/revoke", data={"token": "unknown"}, auth=BASIC).status_code == 200


def test_another_customer_s_subscription_and_point_stay_closed(city, linked):
    from examples.data.energy import POINTS

    bob = tokens(city, "CE-1002", PASSWORD)
    assert read(city, bob, batch(linked)).status_code == 403
    own = batch(bob).replace("/Batch", "")
    assert read(city, bob, f"{own}/UsagePoint/{POINTS['CE-1002'][0].id}").status_code == 200
    assert read(city, bob, f"{own}/UsagePoint/{POINTS['CE-1001'][0].id}").status_code == 404
    assert city.http.get(batch(linked)).status_code == 401


def test_published_min_and_max_keep_whole_hours_inside(city, linked):
    edges = {"published-min": "2026-03-28T23:00:00Z", "published-max": "2026-03-29T22:00:00Z"}
    feed = etree.fromstring(read(city, linked, batch(linked), **edges).content)
    blocks = feed.findall(".//e:IntervalBlock", NS)
    assert [len(block.findall("e:IntervalReading", NS)) for block in blocks] == [23, 23]  # the night clocks go forward
    assert not feed.findall(".//e:UsageSummary", NS)
    assert read(city, linked, batch(linked), **{"published-min": "soon"}).status_code == 400
    assert read(city, linked, batch(linked), **{"depth": "9"}).status_code == 400


def test_every_address_a_feed_names_is_answered(city, linked):
    feed = etree.fromstring(read(city, linked, batch(linked)).content)
    links = {link.get("href") for link in feed.iterfind("a:entry/a:link", NS)}
    assert len(links) > 50
    for href in sorted(links):
        answer = read(city, linked, href.removeprefix(city.url))
        assert answer.status_code == 200, href
        etree.fromstring(answer.content)
    assert read(city, linked, urlsplit(linked["authorizationURI"]).path).status_code == 200
    assert city.http.get(f"{RESOURCE}/ReadServiceStatus").status_code == 200


def test_a_link_outlives_a_restart(start, tmp_path):
    first = start("city_energy", folder=tmp_path)
    token = tokens(first)
    first.stop()
    again = start("city_energy", folder=tmp_path)
    assert read(again, token, batch(token)).status_code == 200
