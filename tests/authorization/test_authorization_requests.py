"""What an app may send to /par and /authorize, and what is refused before anybody is asked (A1 to A12, A16, A17)."""

import base64
import json
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from authorization_world import CALLBACK, CHALLENGE, ISSUER, Page, answered, bank, usage, visible

from gateway.ground.http import fetching

REGISTERED = "https://app.example/cb/Path?a=b&c=d"


def error(answer):
    assert answer.status_code == 400, (answer.status_code, answer.text)
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["error"]


def plain(world, app, **changes):
    """An authorization request in the address itself."""
    return world.browser("alice").get("/authorize", params={"client_id": app, **world.request(app, **changes)})


def test_a_pushed_request_gets_a_request_uri_for_a_short_time(world):
    answer = world.push()
    assert answer.status_code == 201
    assert answer.json()["expires_in"] == 90
    prefix, secret = answer.json()["request_uri"][:-43], answer.json()["request_uri"][-43:]
    assert prefix == "urn:ietf:params:oauth:request_uri:"
    with world.session() as session:
        stored = session.connection().exec_driver_sql("SELECT * FROM authorizationrequest").fetchall()
    assert secret not in str(stored)  # kept as a hash only


@pytest.mark.parametrize(
    "asked",
    [
        {"frequency": {"times": 100, "per": "week"}},
        {"period": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}, "max_records": 50},
        {"once": True},
    ],
)
def test_what_was_granted_is_a_request_for_the_same(world, asked):
    first = world.tokens(details=[usage(**asked)])["authorization_details"]
    assert first[0]["accounts"] and first[0]["valid_until"]
    again = world.tokens(details=first)["authorization_details"]
    timeless = [{**one, "valid_until": None} for one in again]
    assert timeless == [{**one, "valid_until": None} for one in first]
    assert again[0]["valid_until"] <= first[0]["valid_until"]


def test_accounts_of_a_request_choose_none_for_her(world):
    """She chooses; what an app writes there, also of somebody else's, changes nothing."""
    granted = world.tokens(details=[usage(accounts=["of Mallory's"])])["authorization_details"]
    assert len(granted[0]["accounts"]) == 1 and "Mallory" not in str(granted)


def test_a_member_of_the_details_that_is_not_known_is_named_and_is_in_no_log(world, capsys):
    refused = world.push(details=[usage(consent_id="x")]).json()
    assert (refused["error"], refused["term"]) == ("invalid_authorization_details", "[0]")
    assert refused["asked"] == "consent_id" and "consent_id" not in refused["allowed"].split()
    said = capsys.readouterr().out
    assert "invalid_authorization_details" in said and "consent_id" not in said


@pytest.mark.parametrize(
    "asked",
    [
        "https://app.example/cb/path?a=b&c=d",
        "https://app.example/cb/Path/?a=b&c=d",
        "https://app.example/cb/Path?a=b&c=d&e=f",
        "https://app.example/cb/x/../Path?a=b&c=d",
        "https://app.example/cb/%2e%2e/cb/Path?a=b&c=d",
        "https://app.example:444/cb/Path?a=b&c=d",
        "https://app.example:443/cb/Path?a=b&c=d",
        "https://app.example@evil.example/cb/Path?a=b&c=d",
        "https://app.example.evil.example/cb/Path?a=b&c=d",
        "https://evil.app.example/cb/Path?a=b&c=d",
        "http://app.example/cb/Path?a=b&c=d",
        "https://аpp.example/cb/Path?a=b&c=d",
        "https://xn--pp-viaa.example/cb/Path?a=b&c=d",
        "https://app.example/cb/Path?a=b&c=d#x",
        "https://app.example/cb/Path?a=b&c=d\r\nSet-Cookie: a=b",
        'https://app.example/cb/Path?a=b&c=d"\\',
        "javascript:alert(1)",
        "//app.example/cb/Path?a=b&c=d",
        " https://app.example/cb/Path?a=b&c=d",
    ],
)
def test_an_address_that_is_not_registered_gets_no_redirect(world, asked):
    world.register("strictly", redirect_uris=[REGISTERED], require_pushed_authorization_requests=False)
    assert error(world.push("strictly", redirect_uri=asked)) == "invalid_request"
    page = plain(world, "strictly", redirect_uri=asked)
    assert page.status_code == 400
    assert "location" not in page.headers
    assert not Page(page.text).refresh


def test_the_registered_address_is_taken_and_its_query_kept_byte_for_byte(world):
    final = world.agree(world.browser("alice"), world.pushed("budget"))
    assert Page(final.text).refresh.startswith("https://budget.example/callback?kept=a%20b&c=d&code=")


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("http://127.0.0.1:50123/cb", True),
        ("http://[::1]:50123/cb", True),
        ("http://127.0.0.1/cb", True),
        ("http://127.0.0.1:50123/other", False),
        ("http://localhost:50123/cb", False),
        ("http://127.0.0.1:0/cb", False),
        ("http://127.0.0.1:99999/cb", False),
        ("http://127.0.0.1:50123@evil.example/cb", False),
        ("http://127.0.0.2:50123/cb", False),
    ],
)
def test_only_the_loopback_port_of_a_native_app_is_free(world, asked, taken):
    world.register("phone", application_type="native", redirect_uris=["http://127.0.0.1/cb", "http://[::1]:1/cb"])
    assert (world.push("phone", redirect_uri=asked).status_code == 201) is taken


def test_the_port_of_a_web_app_is_not_free(world):
    assert error(world.push(redirect_uri=CALLBACK.replace("8411", "8412"))) == "invalid_request"


@pytest.mark.parametrize("name", ["redirect_uri", "client_id", "scope", "state", "response_type", "request_uri"])
def test_a_parameter_given_twice_is_refused(world, name):
    form = urlencode([("client_id", "meter"), *world.request().items(), (name, "x"), (name, "x")])
    client = world.browser()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert error(client.post("/par", content=form, headers=headers)) == "invalid_request"
    once = urlencode({"client_id": "meter", **world.request(), name: "x"})
    assert error(client.post(f"/par?{name}=x", content=once, headers=headers)) == "invalid_request"
    page = world.browser("alice").get(f"/authorize?{form}")
    assert (page.status_code, Page(page.text).refresh) == (400, "")


@pytest.mark.parametrize("client_id", [None, "", "nobody", "x" * 10240])
def test_an_app_nobody_knows_gets_a_page(world, client_id):
    query = {} if client_id is None else {"client_id": client_id}
    page = world.browser("alice").get("/authorize", params={**query, **world.request()})
    assert page.status_code == 400
    assert "location" not in page.headers
    pushed = world.post("/par", {**query, **world.request()}, None)
    assert (pushed.status_code, pushed.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("token", "unsupported_response_type"),
        ("id_token", "unsupported_response_type"),
        ("code token", "unsupported_response_type"),
        ('"\\é', "unsupported_response_type"),
        ("none", "unsupported_response_type"),
        ("", "invalid_request"),
        (None, "invalid_request"),
    ],
)
def test_only_a_code_is_given(world, asked, expected):
    assert error(world.push(response_type=asked)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": CHALLENGE[:-1]},
        {"code_challenge": CHALLENGE + "A"},
        {"code_challenge": CHALLENGE[:-1] + "="},
        {"code_challenge": CHALLENGE[:-1] + "."},
    ],
)
@pytest.mark.parametrize("app", ["meter", "budget"])
def test_pkce_by_s256_is_asked_of_every_app(world, app, changes):
    assert error(world.push(app, **changes)) == "invalid_request"


@pytest.mark.parametrize("state", ["s" * 4096, "é𝄞", "\x01", "a&b#c+d e%20f", "\r\nSet-Cookie: x=y", "<script>'\""])
def test_state_comes_back_exactly(world, state):
    final = world.agree(world.browser("alice"), world.pushed(state=state))
    assert answered(final)["state"] == state
    assert "set-cookie: x=y" not in str(final.headers).lower()


def test_without_state_none_comes_back(world):
    final = world.agree(world.browser("alice"), world.pushed(state=None))
    assert set(answered(final)) == {"code", "iss"}


def test_a_state_that_could_not_be_echoed_is_refused(world):
    assert error(world.push(state="s" * 9000)) == error(world.push(state="\x00")) == "invalid_request"
    body = urlencode({"client_id": "meter", **world.request(state=None)}) + "&state=%ff"
    answer = world.browser().post("/par", content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert error(answer) == "invalid_request"


def test_requests_inside_of_requests(world):
    assert error(world.push(request="eyJhbGciOiJub25lIn0.e30.")) == "invalid_request_object"
    assert error(world.push(request_uri="urn:ietf:params:oauth:request_uri:" + "x" * 43)) == "invalid_request"
    both = {"client_id": "meter", "request": "x", "request_uri": "https://evil.example/"}
    assert world.browser("alice").get("/authorize", params=both).status_code == 400


@pytest.mark.parametrize(
    "request_uri",
    [
        "https://evil.example/request.jwt",
        "http://169.254.169.254/latest",
        "urn:ietf:params:oauth:request_uri:" + "A" * 43,
        "urn:ietf:params:oauth:request_uri:",
        "",
    ],
)
def test_a_request_uri_that_we_did_not_give_is_a_page(world, request_uri):
    query = {"client_id": "meter", "request_uri": request_uri}
    page = world.browser("alice").get("/authorize", params=query)
    assert (page.status_code, Page(page.text).refresh) == (400, "")


def unsigned(**claims):
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts) + "."


NOT_TAKEN = [
    ({"request_uri": "https://evil.example/request.jwt"}, "request_uri_not_supported"),
    ({"request_uri": "http://169.254.169.254/latest"}, "request_uri_not_supported"),
    ({"request": unsigned(state="inside", redirect_uri="https://evil.example/")}, "request_not_supported"),
    ({"request": unsigned(state="inside", redirect_uri=REGISTERED)}, "request_not_supported"),
]


@pytest.mark.parametrize(("sent", "said"), NOT_TAKEN)
def test_a_foreign_or_unsigned_request_is_not_supported_as_the_app_learns(world, sent, said, monkeypatch):
    monkeypatch.setattr(fetching, "fetched", lambda *_, **__: pytest.fail("nothing is fetched"))
    answer = answered(plain(world, "meter", **sent))
    assert (answer["error"], answer["state"], answer["iss"]) == (said, "a state", ISSUER)
    assert "code" not in answer


def test_the_state_of_an_unsigned_request_comes_back(world):
    final = plain(world, "meter", request=unsigned(state="inside"), state=None)
    assert answered(final)["state"] == "inside"


@pytest.mark.parametrize(("sent", "said"), NOT_TAKEN)
@pytest.mark.parametrize("beside", [{"redirect_uri": "https://evil.example/"}, {"redirect_uri": None}])
def test_without_an_address_of_the_app_beside_it_that_is_a_page(world, sent, said, beside):
    page = plain(world, "meter", **sent, **beside)
    assert (page.status_code, Page(page.text).refresh) == (400, "")
    unknown = world.browser("alice").get(
        "/authorize", params={"client_id": "nobody", "redirect_uri": REGISTERED, **sent}
    )
    assert (unknown.status_code, Page(unknown.text).refresh) == (400, "")


def test_a_request_uri_is_of_the_app_that_pushed_it(world):
    address = world.pushed().replace("client_id=meter", "client_id=other")
    assert world.browser("alice").get(address).status_code == 400


def test_a_request_uri_lives_until_it_is_opened_and_then_until_the_answer(world):
    late = world.pushed()
    world.clock.passes(seconds=91)
    assert world.browser("alice").get(late).status_code == 400
    opened = world.pushed()
    browser = world.browser("alice")
    assert browser.get(opened).status_code == 200
    world.clock.passes(minutes=30)
    assert browser.get(opened).status_code == 200  # reopened: the back button, a preloading browser
    world.clock.passes(minutes=31)
    assert browser.get(opened).status_code in (400, 410)


def test_an_app_that_must_push_gets_invalid_request_for_a_plain_request(world):
    final = plain(world, "meter")
    assert answered(final)["error"] == "invalid_request"
    assert answered(final)["iss"] == ISSUER


def test_an_app_that_may_sends_its_request_in_the_address(world):
    world.register("older", require_pushed_authorization_requests=False)
    opened = plain(world, "older")
    assert opened.status_code == 303
    final = world.agree(world.browser("alice"), opened.headers["location"])
    assert world.redeem(answered(final)["code"], "older").status_code == 200
    wrong = plain(world, "older", code_challenge_method="plain")
    assert answered(wrong)["error"] == "invalid_request"
    assert answered(wrong)["state"] == "a state"


def test_the_request_may_be_posted_to_the_authorization_endpoint(world):
    query = parse_qs(urlsplit(world.pushed()).query)
    answer = world.browser().post("/authorize", data={"client_id": "meter", "request_uri": query["request_uri"][0]})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/authorize?client_id=meter&request_uri=")


DEEP = "[" * 200 + "]" * 200


@pytest.mark.parametrize(
    "details",
    [
        "",
        "not json",
        "{}",
        "null",
        "[]",
        "[[]]",
        '["data_access"]',
        DEEP,
        '[{"type":"data_access","x":' + DEEP + "}]",
        '[{"type":"data_access","type":"data_access"}]',
        '[{"type":"data_access","n":NaN}]',
        '[{"type":"data_access","n":1e999}]',
        '[{"type":"data_access","n":"\\ud800"}]',
        '[{"type":"data_access"}',
        "[" + ",".join(["{}"] * 51) + "]",
        [usage(type="payment")],
        [usage(surprise=1)],
        [usage(actions=["read", "write"])],
        [usage(datatypes="energy.electricity.usage")],
        [usage(purpose="marketing")],
        [usage(purpose="household-budget")],
        [usage(locations=["https://evil.example/data/city-energy"])],
        [usage(locations=[f"{ISSUER}/data/harbour-bank"])],
        [usage(datatypes=["energy.point"])],
        [usage(fields=["interval.quality"])],
        [usage(valid_for="P20Y")],
        [usage(retention="P20Y")],
        [usage(period={"history": "P900Y"})],
        [usage(frequency={"times": 100000, "per": "hour"})],
        [usage(reason={"fr": "\u202eRetourné", "en": "x"})],
        [usage(), usage()],
        [usage(), bank()],
        [{k: v for k, v in usage().items() if k != "purpose"}],
    ],
)
def test_details_that_are_not_of_the_declared_form_are_refused(world, details):
    answer = world.push(details=details)
    assert error(answer) in ("invalid_authorization_details", *(("invalid_request",) if details == "" else ()))


def test_a_refusal_of_details_says_what_to_change(world):
    body = world.push(details=[usage(valid_for="P20Y")]).json()
    assert (body["term"], body["asked"], body["allowed"]) == ("valid_for", "P20Y", "P12M")
    assert set(body["error_description"]) <= {chr(n) for n in range(0x20, 0x7F)} - set('"\\')


@pytest.mark.parametrize("missing", sorted(set(usage()) - {"type", "fields"}))
def test_a_member_that_is_missing_is_named(world, missing):
    short = {name: value for name, value in usage().items() if name != missing}
    body = world.push(details=[usage(), short]).json()
    assert (body["error"], body["term"]) == ("invalid_authorization_details", f"[1].{missing}")
    assert f"[1].{missing}" in body["error_description"]


@pytest.mark.parametrize(
    ("changes", "term"),
    [
        ({"period": {"history": 12}}, "[0].period.history"),
        ({"datatypes": ["energy.electricity.usage", 7]}, "[0].datatypes[1]"),
        ({"frequency": {"times": 3}}, "[0].frequency.per"),
        ({"retention": None}, "[0].retention"),
    ],
)
def test_a_member_that_does_not_fit_is_named(world, changes, term):
    body = world.push(details=[usage(**changes)]).json()
    assert (body["error"], body["term"]) == ("invalid_authorization_details", term)


def test_a_member_nobody_knows_whose_name_is_no_name_is_refused_without_repeating_it(world):
    answer = world.push(details=[usage(**{"a secret of alice": 1})])
    assert answer.status_code == 400 and "secret" not in answer.text


def test_a_body_above_the_limit_is_refused(world):
    answer = world.push(details=json.dumps([usage(datatypes=["x" * 70_000])]))
    assert error(answer) in ("invalid_request", "invalid_authorization_details")


def test_unknown_scopes_are_refused_and_the_known_one_is_granted(world):
    assert error(world.push(scope="openid")) == "invalid_scope"
    assert error(world.push(scope="admin")) == "invalid_scope"
    assert world.push(scope="data_access").status_code == 201
    assert world.push(scope="data_access admin").status_code == 201  # the token response says: data_access alone


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "none login"},
        {"prompt": "create"},
        {"max_age": "-1"},
        {"max_age": "1.5"},
        {"ui_locales": "fr<script>"},
        {"response_mode": "fragment"},
        {"nonce": "n" * 600},
    ],
)
def test_other_parameters_are_of_their_form(world, changes):
    assert error(world.push(**changes)) == "invalid_request"


def test_unknown_parameters_are_ignored(world):
    assert world.push(display="popup", login_hint="alice", nonsense="x").status_code == 201


def test_a_suspended_app_may_not_ask(world):
    address = world.pushed()
    world.suspend("meter")
    answer = world.push()
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    page = world.browser("alice").get(address)
    assert page.status_code == 403
    assert "suspended" in visible(page.text)


def test_par_takes_posts_of_a_form_only(world):
    client = world.browser()
    assert client.get("/par").status_code == 405
    assert error(client.post("/par", json=world.request())) == "invalid_request"
    as_text = world.post("/par", world.request(), "meter", **{"content-type": "text/plain"})
    assert error(as_text) == "invalid_request"
