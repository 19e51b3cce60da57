"""From the declaration to the download, for each kind by which the gateway proves itself on a call."""

import base64
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import DeclarationError
from gateway.ground.http.connector import ConnectorError
from gateway.ground.keys import fresh, jose
from gateway.organisations import calls, proofs
from tests.databases import everything
from tests.proxy.clerk import BASE, Clerk, Said, Sent, api_key, basic, signature
from tests.proxy.connected_world import HEADER, NUMBER, Connected, Connection, Person, view_of
from tests.proxy.connection_texts import BASIC, BY_KEY, EXCHANGED, KEY, OWN, SECRET, SIGNED


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    with Connected(tmp_path_factory.mktemp("aval")).serving() as serving:
        assert isinstance(serving, Connected)
        yield serving


@pytest.fixture
def connected(world: Connected, clerk: Clerk) -> Callable[..., Connection]:
    return lambda text, **secrets: Connection(world, clerk, text, **{"SECRET": SECRET, **secrets})


Connect = Callable[..., Connection]


def reads_all(alice: Person) -> None:
    """She links, an app reads, she downloads: each of it works."""
    assert alice.links_by_number().status == 303
    answer = alice.shares().reads()
    assert answer.status == 200, answer.body
    assert [row["AccountId"] for row in answer.json["Data"]["Transaction"]] == [alice.ref]
    download = alice.downloads()
    assert download.status == 200 and b"HB-1" not in answer.body


# ---- API key and HTTP Basic


@pytest.mark.parametrize(
    ("text", "proof"), [(KEY, api_key("x-api-key", SECRET)), (BASIC, basic("aval", SECRET))], ids=["key", "basic"]
)
def test_a_secret_of_the_gateway_proves_every_call(
    connected: Connect, clerk: Clerk, text: str, proof: Callable[[Sent], bool]
) -> None:
    clerk.proof = proof
    alice = connected(text + NUMBER + HEADER).person()
    reads_all(alice)
    assert {sent.headers.get("x-customer") for sent in clerk.data} == {"HB-1"}
    assert all(proof(sent) for sent in clerk.seen), "calls for linking too"
    assert alice.unlinks().status == 200
    assert clerk.of("/link/end")[-1].json == {"customer_number": "HB-1"}


@pytest.mark.parametrize("text", [KEY, BASIC, OWN], ids=["key", "basic", "own"])
def test_a_wrong_secret_gets_nothing_and_stands_in_no_line(
    connected: Connect, clerk: Clerk, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    clerk.also["/token"] = lambda sent: (200, {"access_token": "t", "token_type": "Bearer", "expires_in": 300})
    at = connected(text + NUMBER + HEADER)
    alice = at.person()
    reads_all(alice)
    clerk.proof, clerk.echoes = (lambda sent: False), True
    clerk.also["/token"] = lambda sent: (400, {"error": "invalid_client", "error_description": repr(sent)})
    answer = alice.reads()
    assert (answer.status, answer.reason) == (502, "organisation_refused")
    page = alice.downloads()
    assert page.status == 502
    for said in (answer.body.decode(), page.body.decode(), caplog.text):
        assert SECRET not in said and "HB-1" not in said
        assert base64.b64encode(f"aval:{SECRET}".encode()).decode() not in said
    assert SECRET.encode() not in everything(at.world.house.store)
    assert b"HB-1" not in everything(at.world.house.store)


def test_a_changed_secret_is_used_from_the_next_call_on(connected: Connect, clerk: Clerk) -> None:
    at = connected(KEY + NUMBER + HEADER)
    alice = at.person()
    reads_all(alice)
    clerk.proof = api_key("x-api-key", "the next one")
    assert alice.reads().reason == "organisation_refused"
    at.secrets["SECRET"] = "the next one"
    assert at.declare(KEY + NUMBER + HEADER) == "changed"
    assert alice.reads().status == 200 and alice.downloads().status == 200


def test_one_proof_may_take_the_place_of_another_and_links_stay(connected: Connect, clerk: Clerk) -> None:
    at = connected(KEY + NUMBER + HEADER)
    alice = at.person()
    reads_all(alice)
    clerk.proof = basic("aval", SECRET)
    assert at.declare(BASIC + NUMBER + HEADER) == "changed"
    assert alice.reads().status == 200
    with pytest.raises(DeclarationError, match="connection.kind: was 'one that names the customer'"):
        at.declare('kind = "assertion"\n' + NUMBER)


def test_the_customer_is_the_links_and_never_the_apps(connected: Connect, clerk: Clerk) -> None:
    clerk.proof = api_key("x-api-key", SECRET)
    at = connected(KEY + NUMBER + HEADER)
    alice, mallory = at.person(), at.person("mallory")
    assert alice.links_by_number("HB-1").status == mallory.links_by_number("HB-2").status == 303
    alice.shares()
    mallory.shares()
    assert mallory.reads(X_Customer="HB-1", X_Api_Key="hers").status == 200
    assert clerk.data[-1].headers["x-customer"] == "HB-2"
    mallory.ref = alice.ref
    assert mallory.reads().reason == "account"
    eve = at.person("eve")
    assert eve.links_by_number("HB-1", code="000000").status == 400 and eve.link is None


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ('query = "customer"', lambda sent: sent.query.get("customer", "")),
        ('path = "/customers/{customer}"', lambda sent: sent.path.split("/")[2]),
    ],
    ids=["query", "path"],
)
def test_the_customer_stands_where_the_declaration_says(
    connected: Connect, clerk: Clerk, place: str, where: Callable[[Sent], str]
) -> None:
    clerk.proof, clerk.customer = api_key("x-api-key", SECRET), where
    reads_all(connected(KEY + NUMBER + f"[connection.person]\n{place}\n").person())
    assert {where(sent) for sent in clerk.data} == {"HB-1"}


VERSION = '[connection.headers]\n"X-Api-Version" = "3"\nAccept-Version = "2"\n'


def test_fields_that_are_always_the_same_stand_on_every_call(connected: Connect, clerk: Clerk) -> None:
    clerk.proof = api_key("x-api-key", SECRET)
    reads_all(connected(KEY + VERSION + NUMBER + HEADER).person())
    assert len(clerk.seen) > 3
    assert {(sent.headers["x-api-version"], sent.headers["accept-version"]) for sent in clerk.seen} == {("3", "2")}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('"X-Api-Key" = "s"', "X-Api-Key: a secret never stands in this file"),
        ('Authorization = "Bearer x"', "Authorization: a secret never stands"),
        ('Host = "elsewhere"', "Host: the gateway writes this field itself"),
        ('X-A = "a\\r\\nX-B: c"', "X-A: write 1 to 200 characters of visible ASCII"),
        ("X-A = 3", "X-A: write 1 to 200"),
        ('x-customer = "HB-2"', "has a field that another table writes"),
    ],
)
def test_a_field_that_would_say_something_else_is_told(connected: Connect, text: str, told: str) -> None:
    with pytest.raises(DeclarationError) as wrong:
        connected(KEY + f"[connection.headers]\n{text}\n" + NUMBER + HEADER)
    assert "connection.headers" in str(wrong.value) and told in str(wrong.value)


# ---- the gateway's own tokens


class Tokens:
    """A token endpoint: gives a new one each time, and knows those that are good."""

    def __init__(self, clerk: Clerk, **members: Any) -> None:
        self.given: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.members = {"token_type": "Bearer", "expires_in": 300, **members}
        self.refuses: Callable[[Sent], bool] = lambda sent: False
        self.revoked: set[str] = set()
        clerk.also["/token"] = self
        clerk.proof = lambda sent: sent.bearer in self.given and sent.bearer not in self.revoked

    def __call__(self, sent: Sent) -> Said:
        if self.refuses(sent):
            return 401, {"error": "invalid_client"}
        self.forms.append(sent.form)
        self.given.append(f"token-{len(self.given)}")
        return 200, {"access_token": self.given[-1], **self.members}


def test_one_token_serves_every_call_until_shortly_before_its_end(connected: Connect, clerk: Clerk) -> None:
    tokens = Tokens(clerk)
    tokens.refuses = lambda sent: not basic("aval", SECRET)(sent)
    at = connected(OWN + NUMBER + HEADER)
    alice, bob = at.person(), at.person("bob")
    reads_all(alice)
    reads_all(bob)
    assert tokens.forms == [{"grant_type": "client_credentials", "scope": "accounts"}]
    before = at.world.clock
    at.world.passes(seconds=280)
    try:
        assert alice.shares().reads().status == 200
        assert (len(tokens.given), clerk.data[-1].bearer) == (2, "token-1")
    finally:
        at.world.clock = before


def test_a_token_that_is_refused_is_renewed_once(connected: Connect, clerk: Clerk) -> None:
    tokens = Tokens(clerk)
    alice = connected(OWN + NUMBER + HEADER).person()
    reads_all(alice)
    tokens.revoked = set(tokens.given)
    assert alice.reads().status == 200 and len(tokens.given) == 2
    tokens.revoked = set(tokens.given)
    assert alice.downloads().status == 200 and len(tokens.given) == 3
    clerk.proof = lambda sent: False
    assert alice.reads().reason == "organisation_refused"
    assert len(tokens.given) == 4, "once, and not for ever"


def test_another_secret_means_another_token(connected: Connect, clerk: Clerk) -> None:
    tokens = Tokens(clerk)
    at = connected(OWN + NUMBER + HEADER)
    alice = at.person()
    reads_all(alice)
    at.secrets["SECRET"] = "the next one"
    at.declare(OWN + NUMBER + HEADER)
    tokens.refuses = lambda sent: not basic("aval", "the+next+one")(sent)
    assert alice.reads().status == 200 and len(tokens.given) == 2


def test_the_gateways_key_proves_it_at_the_token_endpoint(connected: Connect, clerk: Clerk) -> None:
    tokens = Tokens(clerk)
    at = connected(BY_KEY + NUMBER + HEADER)
    keys = at.world.house.keys

    def refuses(sent: Sent) -> bool:
        token = jose.read(sent.form["client_assertion"], 4096, jose.TokenKind(("jwt",), ("ES256",)))
        claims = token.unverified
        assert (claims["iss"], claims["sub"], claims["aud"]) == ("aval", "aval", f"{clerk.url}/token")
        assert claims["exp"] - claims["iat"] <= 60 and claims["jti"]
        return not jose.verified(token, keys.jwks()["keys"])

    tokens.refuses = refuses
    reads_all(at.person())
    assert len(tokens.given) == 1


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"token_type": "mac"}, "organisation_answer_invalid"),
        ({"access_token": "two words"}, "organisation_answer_invalid"),
        ({"access_token": "split\r\nX-Customer: HB-2"}, "organisation_answer_invalid"),
        ({"access_token": None}, "organisation_answer_invalid"),
    ],
)
def test_an_odd_token_is_not_used(connected: Connect, clerk: Clerk, members: dict[str, Any], reason: str) -> None:
    tokens = Tokens(clerk)
    alice = connected(OWN + NUMBER + HEADER).person()
    reads_all(alice)
    tokens.revoked = set(tokens.given)
    tokens.members |= members
    assert alice.reads().reason == reason


def test_the_assertion_about_her_is_exchanged_for_a_token_of_hers(connected: Connect, clerk: Clerk) -> None:
    tokens = Tokens(clerk, issued_token_type="urn:ietf:params:oauth:token-type:access_token")
    at = connected(EXCHANGED + NUMBER)
    keys = at.world.house.keys
    subjects: dict[str, str] = {}

    def subject(token: str, audience: str) -> str:
        read = jose.read(token, 4096, jose.TokenKind(("aval-assertion+jwt",), ("ES256",)))
        assert jose.verified(read, keys.jwks()["keys"]) and read.unverified["aud"] == audience
        return str(read.unverified["sub"])

    def exchange(sent: Sent) -> Said:
        form = sent.form
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
        assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:jwt"
        assert (form["client_id"], form["client_secret"], form["audience"]) == ("aval", SECRET, "the-bank")
        said = tokens(sent)
        subjects[tokens.given[-1]] = subject(form["subject_token"], f"{clerk.url}/token")
        return said

    def proof(sent: Sent) -> bool:
        return bool(subject(sent.bearer, clerk.url)) if sent.path.startswith("/link/") else sent.bearer in subjects

    alice, bob = at.person(), at.person("bob")
    known = {keys.pairwise(alice.id, at.id): "HB-1", keys.pairwise(bob.id, at.id): "HB-1"}
    clerk.also["/token"], clerk.proof = exchange, proof
    clerk.customer = lambda sent: known[subjects[sent.bearer]]
    reads_all(alice)
    assert alice.reads().status == 200 and len(tokens.given) == 1
    reads_all(bob)
    assert len(tokens.given) == 2, "nobody's token is another's"
    assert "x-customer" not in clerk.data[-1].headers


@pytest.mark.parametrize("kind", [None, "urn:ietf:params:oauth:token-type:saml2"])
def test_an_exchange_that_gives_something_else_is_refused(connected: Connect, clerk: Clerk, kind: str | None) -> None:
    Tokens(clerk, issued_token_type=kind)
    clerk.proof = lambda sent: True
    page = connected(EXCHANGED + NUMBER).person().links_by_number()
    assert b"could not be read yet" in page.body


# ---- signed requests


@pytest.mark.parametrize("table", ["", '[connection.signed]\naddress = "parts"\n'], ids=["whole", "parts"])
def test_requests_are_signed_with_the_published_key(connected: Connect, clerk: Clerk, table: str) -> None:
    at = connected(SIGNED + table + NUMBER + HEADER)
    check = clerk.proof = signature(at.world.house.keys, lambda sent: clerk.url + sent.target)
    reads_all(at.person())
    for sent in clerk.data:
        assert '"x-customer"' in sent.headers["signature-input"]
        for name, value in (("x-customer", "HB-2"), ("signature-input", sent.headers["signature-input"] + "x")):
            assert not check(Sent(sent.method, sent.target, {**sent.headers, name: value}, sent.body))
        assert not check(Sent("POST", sent.target, sent.headers, sent.body))
        assert not check(Sent(sent.method, f"{BASE}/accounts/1?x=2", sent.headers, sent.body))
    posted = clerk.of("/link/confirm")[0]
    assert not check(Sent("POST", posted.target, posted.headers, posted.body.replace(b"HB-1", b"HB-2")))
    nonces = [sent.headers["signature-input"].partition("nonce=")[2] for sent in clerk.seen]
    assert len(set(nonces)) == len(nonces)


# ---- what a declaration may say


def told(connected: Connect, text: str) -> str:
    with pytest.raises(DeclarationError) as error:
        connected(text)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (KEY.replace('match = "number"', ""), "connection.match: is missing; one of number, oauth, sign_in"),
        (KEY.replace('"number"', '"nubmer"'), "connection.match: 'nubmer' is not known; did you mean number?"),
        (KEY + NUMBER, "connection.person: is missing; say where a call names the customer"),
        (KEY + HEADER, "connection.link: is missing; match = 'number' needs it"),
        (KEY.replace("X-Api-Key", "Host"), "connection.api_key.header: is not right; the gateway writes this field"),
        (KEY.replace("X-Api-Key", "X\\r\\nY"), "connection.api_key.header: is not right"),
        (KEY.replace('{ env = "SECRET" }', '"hunter2"'), "connection.api_key.secret: is not right; never in this file"),
        (KEY.replace("SECRET", "NONE"), "connection.api_key.secret: the variable NONE is not set"),
        (KEY + NUMBER + HEADER.replace("X-Customer", "x-api-key"), "is the field of the gateway's own proof"),
        (BASIC + NUMBER + HEADER.replace("X-Customer", "Authorization"), "is the field of the gateway's own proof"),
        (BASIC + NUMBER + HEADER + 'query = "c"', "connection.person: is not right; write one of header, query"),
        (BASIC + NUMBER + '[connection.person]\npath = "/a/../{customer}"', "connection.person.path: is not right"),
        (BASIC + NUMBER + HEADER + '[connection.signed]\naddress = "parts"', "connection.signed: does not belong to"),
        (OWN.replace('client_secret = { env = "SECRET" }', ""), "client_secret: is missing; auth = 'client_secret_b"),
        (BY_KEY + 'client_secret = { env = "SECRET" }', "client_secret: does not belong to auth = 'private_key_jwt'"),
        (OWN.replace("/token", "http://10.1.2.3/token"), "connection.client_credentials.token: http is only for"),
        (OWN + 'auth = "tls_client_auth"', "connection.client_credentials.auth: is not right"),
        ('kind = "oauth"\nmatch = "number"' + NUMBER, "connection.match: is not right; kind = 'oauth' sends the token"),
        (KEY + '[connection.tls]\ncertificate = "/a"\nkey = "b"', "connection.tls.key: is not right; write the whole"),
        (KEY + '[connection.tls]\ncertificate = "/a"\nkey = "/b"', "connection.tls: is of no use"),
    ],
)
def test_faults_of_a_connection_are_told(connected: Connect, text: str, fault: str) -> None:
    found = told(connected, text)
    assert fault in found, found
    assert "hunter2" not in found and SECRET not in found


def test_a_secret_that_no_field_can_carry_is_told_and_not_repeated(world: Connected, clerk: Clerk) -> None:
    with pytest.raises(DeclarationError, match="has characters that a header field cannot carry") as error:
        Connection(world, clerk, KEY + NUMBER + HEADER, SECRET="canary\nX-Other: 1")
    assert "canary" not in str(error.value)


def test_no_value_of_the_engine_shows_a_secret(connected: Connect, clerk: Clerk) -> None:
    at = connected(KEY + NUMBER + HEADER)
    alice = at.person()
    reads_all(alice)
    proof = calls.proof_of(at.world.house, view_of(at))
    assert isinstance(proof, proofs.Proof) and proof.secret == SECRET and alice.link
    line = calls.Line(at.world.house, view_of(at), alice.link, fresh(16))
    for value in (proof, alice.link, at.world.house.lasting, line):
        assert SECRET not in repr(value) and "HB-1" not in repr(value)
    assert json.dumps(at.world.row("SELECT declaration FROM organisation WHERE id = ?", at.id)[0]).count(SECRET) == 0


def test_a_file_may_hold_a_secret(world: Connected, clerk: Clerk, tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text(f"{SECRET}\n")
    clerk.proof = api_key("x-api-key", SECRET)
    text = KEY.replace('{ env = "SECRET" }', f'{{ file = "{tmp_path}/key.txt" }}')
    reads_all(Connection(world, clerk, text + NUMBER + HEADER).person())


def test_a_secret_for_the_new_address_never_goes_to_the_old(connected: Connect, clerk: Clerk) -> None:
    at = connected(KEY + NUMBER + HEADER)
    alice = at.person()
    reads_all(alice)
    assert alice.link
    before, house = view_of(at), at.world.house
    line = calls.Line(house, before, alice.link, fresh(16))
    with Clerk().running() as other:
        at.clerk, at.secrets["SECRET"] = other, "for the new address"
        assert at.declare(KEY + NUMBER + HEADER) == "changed"
        clerk.seen.clear()
        with pytest.raises(ConnectorError, match="organisation_unavailable"):
            calls.post(house, before, "/link/start", alice.link.subject, {"customer_number": "HB-1"}, house.clock())
        with pytest.raises(ConnectorError, match="organisation_unavailable"):
            calls.read_accounts(line)
        assert alice.reads().status == 200
        assert not clerk.seen and {sent.headers["x-api-key"] for sent in other.seen} == {"for the new address"}
