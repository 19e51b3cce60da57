"""Each kind of proof goes with each way of matching; and many calls at once need one token."""

import threading
from collections.abc import Iterator

import pytest

from gateway.consent.rules import Act
from tests.proxy.bank import Answer
from tests.proxy.clerk import Clerk, Said, Sent
from tests.proxy.connected_world import HEADER, NUMBER, Connected, Connection, query_of
from tests.proxy.connection_texts import BASIC, EXCHANGED, KEY, OAUTH, OWN, SIGN_IN, SIGNED
from tests.proxy.issuer import SECRETS, Issuer

KINDS = {
    "assertion": 'kind = "assertion"\nmatch = "number"\n',
    "api_key": KEY,
    "basic": BASIC,
    "client_credentials": OWN,
    "token_exchange": EXCHANGED,
    "signed": SIGNED,
}
MATCHES = {
    "number": NUMBER,
    "oauth": OAUTH[OAUTH.index("[connection.oauth]") :],
    "sign_in": SIGN_IN[SIGN_IN.index("[connection.sign_in]") :],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    with Connected(tmp_path_factory.mktemp("aval")).serving() as serving:
        assert isinstance(serving, Connected)
        yield serving


def token(sent: Sent) -> Said:
    """For the gateway itself, for the subject of an assertion, or for a code."""
    exchanged = {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
    whose = {"resourceURI": "https://bank.example/customers/HB-1"}
    return 200, {"access_token": "t", "token_type": "Bearer", "expires_in": 300, **exchanged, **whose}


@pytest.mark.parametrize("match", list(MATCHES))
@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_goes_with_each_match(world: Connected, clerk: Clerk, kind: str, match: str) -> None:
    clerk.also |= {"/token": token, "/revoke": lambda sent: (200, {})}
    with Clerk().running() as elsewhere:
        issuer = Issuer(elsewhere)
        matching = MATCHES[match].replace("{{", "{").replace("}}", "}").replace("{issuer}", elsewhere.url)
        text = KINDS[kind].replace('match = "number"', f'match = "{match}"') + matching + HEADER
        at = Connection(world, clerk, text, OAUTH_SECRET="o", **SECRETS)
        alice, bob = at.person(), at.person("bob")
        if match == "number":
            linked = alice.links_by_number()
        elif match == "oauth":
            linked = alice.comes_back(query_of(alice.leaves())["state"])
        else:
            linked = issuer.signs_in(alice)
    assert (linked.status, linked.headers["location"]) == (303, "/organisations"), linked.body
    assert alice.shares().reads().status == 200 and alice.downloads().status == 200
    assert {sent.headers["x-customer"] for sent in clerk.data} == {"HB-1"}
    assert bob.link is None
    assert alice.unlinks().status == 200 and alice.reads().reason == "not_linked"


def test_a_sharing_that_stops_while_a_token_is_awaited_stops_the_call(world: Connected, clerk: Clerk) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def slow(sent: Sent) -> Said:
        begun.set()
        goes_on.wait(10)
        return token(sent)

    at = Connection(world, clerk, OWN + NUMBER + HEADER, SECRET="s")
    clerk.also["/token"] = token
    alice = at.person()
    assert alice.links_by_number().status == 303
    alice.shares()
    clerk.also["/token"], clerk.seen[:] = slow, []
    at.secrets["SECRET"] = "another, so that no token is kept for it"
    at.declare(OWN + NUMBER + HEADER)
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(alice.reads()))
    thread.start()
    assert begun.wait(10)
    world.change(alice.consent, Act.ENDED)
    goes_on.set()
    thread.join(20)
    assert answers[0].reason == "ended" and not clerk.data


def test_calls_at_once_wait_for_one_token(world: Connected, clerk: Clerk) -> None:
    asked: list[Sent] = []
    begun, goes_on = threading.Event(), threading.Event()

    def slow(sent: Sent) -> Said:
        asked.append(sent)
        begun.set()
        goes_on.wait(10)
        return token(sent)

    at = Connection(world, clerk, OWN + NUMBER + HEADER, SECRET="s")
    clerk.also["/token"] = token
    people = [at.person(f"person-{number}") for number in range(6)]
    for person in people:
        assert person.links_by_number().status == 303
        person.shares()
    at.secrets["SECRET"] = "another, so that no token is kept for it"
    at.declare(OWN + NUMBER + HEADER)
    clerk.also["/token"] = slow
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda one=one: statuses.append(one.reads().status)) for one in people]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    goes_on.set()
    for thread in threads:
        thread.join(30)
    assert statuses == [200] * 6
    assert len(asked) == 1
