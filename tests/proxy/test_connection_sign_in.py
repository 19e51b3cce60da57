"""A person is matched by a claim of an upstream sign-in, or by the subscription of an OAuth linking."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import DeclarationError
from gateway.ground.keys import jose
from gateway.ground.keys.jose import encoded
from gateway.organisations import links
from tests.databases import everything
from tests.proxy.clerk import Clerk, Said, Sent, api_key, basic
from tests.proxy.connected_world import HEADER, Connected, Connection, query_of
from tests.proxy.connection_texts import OAUTH, SIGN_IN
from tests.proxy.issuer import KEYS, OTHER, SECRETS, SHORT, Issuer, public


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    with Connected(tmp_path_factory.mktemp("aval")).serving() as serving:
        assert isinstance(serving, Connected)
        yield serving


@pytest.fixture
def clerk() -> Iterator[Clerk]:
    with Clerk(api_key("x-api-key", "s")).running() as running:
        yield running


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Clerk().running() as running:
        yield Issuer(running)


@pytest.fixture
def at(world: Connected, clerk: Clerk, issuer: Issuer) -> Connection:
    return Connection(world, clerk, SIGN_IN.format(issuer=issuer.clerk.url) + HEADER, **SECRETS)


def test_she_signs_in_elsewhere_and_her_data_is_read_here(at: Connection, clerk: Clerk, issuer: Issuer) -> None:
    alice = at.person()
    done = issuer.signs_in(alice)
    assert (done.status, done.headers["location"]) == (303, "/organisations")
    assert issuer.asked["scope"] == "openid customer" and issuer.asked["response_type"] == "code"
    assert issuer.asked["redirect_uri"] == f"{at.world.settings.public_url}/organisations/{at.id}/linked"
    assert alice.shares().reads().status == 200 and alice.downloads().status == 200
    assert {sent.headers["x-customer"] for sent in clerk.data} == {"HB-1"}
    assert all("x-api-key" not in sent.headers for sent in issuer.clerk.seen), "each gets its own secret"
    database = everything(at.world.house.store)
    for canary in (b"HB-1", b"canary-access", SECRETS["SIGN_IN_SECRET"].encode(), issuer.asked["nonce"].encode()):
        assert canary not in database
    assert b"Linked since" in alice.asks("GET", "/organisations").body
    assert b"there is nothing to end" in alice.unlinks().body
    assert alice.link is None and not clerk.of("/link/end")


def test_the_pages_name_who_signs_her_in(at: Connection, issuer: Issuer) -> None:
    alice = at.person()
    page = alice.asks("GET", f"/organisations/{at.id}/link").body.decode()
    assert "You go to the website of Public Identity and sign in there." in page
    assert "<h1>Going to Public Identity</h1>" in alice.asks("POST", f"/organisations/{at.id}/link").body.decode()
    alice.language = "fr"
    page = alice.asks("GET", f"/organisations/{at.id}/link").body.decode()
    assert "Identité Publique" in page and "Vous allez sur le site" in page


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_each_algorithm_is_read(at: Connection, issuer: Issuer, algorithm: str) -> None:
    issuer.algorithm, issuer.header = algorithm, {} if algorithm != "PS256" else {"kid": "rs"}
    assert issuer.signs_in(at.person()).status == 303


def refused(at: Connection, issuer: Issuer, caplog: pytest.LogCaptureFixture, told: str) -> None:
    """Nobody is linked; the operator reads which rule was broken, and nobody reads more."""
    caplog.clear()
    caplog.set_level("DEBUG")
    alice = at.person()
    page = issuer.signs_in(alice)
    assert page.status in (409, 410, 502) and alice.link is None
    assert told in caplog.text
    for canary in ("HB-1", "canary", "the-code", issuer.asked["nonce"]):
        assert canary not in page.body.decode() and canary not in caplog.text


@pytest.mark.parametrize(
    ("claims", "rule"),
    [
        ({"iss": "https://mallory.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another app"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["aval", "another app"]}, "azp"),
        ({"azp": "another app"}, "azp"),
        ({"nonce": "of another attempt"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": 1}, "nonce"),
        ({"exp": -1}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"iat": -3600}, "iat"),
        ({"iat": 3600}, "iat"),
        ({"iat": None}, "iat"),
        ({"nbf": 3600}, "iat"),
        ({"customer_number": None}, "claim"),
        ({"customer_number": ["HB-1"]}, "claim"),
        ({"customer_number": ""}, "claim"),
        ({"customer_number": "../HB-1"}, "claim"),
        ({"customer_number": "."}, "claim"),
        ({"customer_number": "HB-1\r\nX-Api-Key: x"}, "claim"),
        ({"customer_number": True}, "claim"),
    ],
    ids=str,
)
def test_a_token_that_says_something_else_links_nobody(
    at: Connection, issuer: Issuer, claims: dict[str, Any], rule: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.claims = claims
    refused(at, issuer, caplog, f"ID token: {rule},")


def test_a_token_for_several_that_was_made_for_us_is_read(at: Connection, issuer: Issuer) -> None:
    issuer.claims = {"aud": ["another app", "aval"], "azp": "aval"}
    issuer.customer = 4711
    alice = at.person()
    issuer.signs_in(alice)
    assert alice.link and alice.link.customer == "4711"


def test_another_key_signs_for_nobody(at: Connection, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    issuer.key = OTHER
    refused(at, issuer, caplog, "ID token: signature,")
    issuer.keys = [public(OTHER, "other")]
    refused(at, issuer, caplog, "ID token: signature,")
    issuer.key, issuer.keys = None, []
    refused(at, issuer, caplog, "ID token: signature,")


def test_a_short_key_a_shared_secret_and_no_signature_are_refused(
    at: Connection, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.algorithm, issuer.key, issuer.keys = "RS256", SHORT, [public(SHORT, "rs")]
    refused(at, issuer, caplog, "ID token: signature,")
    issuer.algorithm, issuer.key = "HS256", SECRETS["SIGN_IN_SECRET"].ljust(32)
    issuer.keys = [{"kty": "oct", "k": encoded(issuer.key.encode()), "kid": "hs"}]
    refused(at, issuer, caplog, "ID token: no ID token of a form that is read")
    unsigned = encoded(b'{"alg":"none"}') + "." + encoded(b"{}")
    issuer.more = {"id_token": f"{unsigned}."}
    refused(at, issuer, caplog, "ID token: no ID token of a form that is read")
    issuer.more = {"id_token": None}
    refused(at, issuer, caplog, "ID token: no ID token,")


def test_a_wrong_secret_at_the_issuer_is_told_without_it(
    world: Connected, clerk: Clerk, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = {**SECRETS, "SIGN_IN_SECRET": "canary-that-is-wrong"}
    refused(
        Connection(world, clerk, SIGN_IN.format(issuer=issuer.clerk.url) + HEADER, **wrong),
        issuer,
        caplog,
        "token endpoint: 401",
    )


def test_a_state_is_good_once_and_for_her_alone(at: Connection, issuer: Issuer) -> None:
    alice, mallory = at.person(), at.person("mallory")
    issuer.asked = query_of(mallory.leaves())
    assert alice.comes_back(issuer.asked["state"]).status == 404, "Mallory's address, opened by Alice, links nobody"
    assert alice.link is None
    assert mallory.comes_back(issuer.asked["state"]).status == 303
    mallory.unlinks()
    assert mallory.comes_back(issuer.asked["state"]).status == 409
    assert mallory.link is None


def test_an_answer_of_another_issuer_is_refused(at: Connection, issuer: Issuer) -> None:
    alice = at.person()
    assert issuer.signs_in(alice, iss="https://mallory.example").status == 400
    assert alice.link is None and not issuer.clerk.of("/token")
    assert alice.comes_back(issuer.asked["state"], iss=issuer.clerk.url).status == 303


def test_who_says_no_there_is_linked_with_nothing(at: Connection, issuer: Issuer) -> None:
    alice = at.person()
    page = issuer.signs_in(alice, error="access_denied")
    assert page.status == 200 and b"You chose not to link" in page.body and alice.link is None


def test_two_people_are_each_the_customer_they_signed_in_as(at: Connection, clerk: Clerk, issuer: Issuer) -> None:
    alice, bob = at.person(), at.person("bob")
    issuer.signs_in(alice)
    issuer.customer = "HB-2"
    issuer.signs_in(bob)
    assert alice.shares().reads().status == bob.shares().reads().status == 200
    assert [sent.headers["x-customer"] for sent in clerk.data[-2:]] == ["HB-1", "HB-2"]


def test_the_gateways_key_proves_it_to_the_issuer(world: Connected, clerk: Clerk, issuer: Issuer) -> None:
    text = SIGN_IN.format(issuer=issuer.clerk.url).replace(
        'client_secret = { env = "SIGN_IN_SECRET" }', 'auth = "private_key_jwt"'
    )
    at = Connection(world, clerk, text + HEADER, SECRET="s")
    given = issuer.token

    def token(sent: Sent) -> Said:
        read = jose.read(sent.form["client_assertion"], 4096, jose.TokenKind(("jwt",), ("ES256",)))
        assert jose.verified(read, world.house.keys.jwks()["keys"])
        assert read.unverified["aud"] == f"{issuer.clerk.url}/token"
        pair = f"aval:{SECRETS['SIGN_IN_SECRET']}"  # which the issuer of these tests wants to see
        sent.headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return given(sent)

    issuer.clerk.also["/token"] = token
    assert issuer.signs_in(at.person()).status == 303


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('scope = "openid customer"', 'scope = "customer"', "connection.sign_in.scope: is not right"),
        ('claim = "customer_number"', 'claim = "a b"', "connection.sign_in.claim: is not right"),
        ('"/authorize"', '"javascript:alert(1)"', "connection.sign_in.authorize: is not right"),
        ('"/jwks"', '"http://mallory.example/jwks"', "connection.sign_in.jwks: "),
        ('match = "sign_in"', 'match = "number"', "connection.sign_in: does not belong to kind = 'api_key' with match"),
    ],
)
def test_faults_of_a_sign_in_are_told(
    world: Connected, clerk: Clerk, issuer: Issuer, old: str, new: str, fault: str
) -> None:
    with pytest.raises(DeclarationError) as error:
        Connection(world, clerk, SIGN_IN.format(issuer=issuer.clerk.url).replace(old, new) + HEADER, **SECRETS)
    assert fault in str(error.value)


# ---- by an OAuth linking, whose tokens are of no further use


def test_an_oauth_linking_may_say_who_she_is_and_its_tokens_are_revoked(world: Connected, clerk: Clerk) -> None:
    revoked: list[str] = []

    def revoke(sent: Sent) -> Said:
        revoked.append(sent.form["token"])
        return 200, {}

    given = {
        "access_token": "a",
        "refresh_token": "r",
        "token_type": "Bearer",
        "resourceURI": "https://x/customers/HB-1",
    }
    clerk.also |= {"/token": lambda sent: (200, given), "/revoke": revoke}
    clerk.proof = basic("aval", "s")
    at = Connection(world, clerk, OAUTH + HEADER, SECRET="s", OAUTH_SECRET="o")
    alice = at.person()
    assert alice.comes_back(query_of(alice.leaves())["state"]).status == 303
    assert revoked == ["r", "a"]
    assert alice.link and (alice.link.kind, alice.link.customer) == (links.DECLARED, "HB-1")
    assert alice.shares().reads().status == 200 and alice.downloads().status == 200
    given.pop("resourceURI")
    bob = at.person("bob")
    assert bob.comes_back(query_of(bob.leaves())["state"]).status == 502 and bob.link is None
