"""Links that end, or seem to: by the organisation, by her, and by somebody with the same customer number."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.errors import DeclarationError
from gateway.organisations import linking, telling
from tests.proxy.clerk import Clerk, Said, Sent
from tests.proxy.connected_world import HEADER, NUMBER, Connected, Connection, query_of
from tests.proxy.connection_texts import EXCHANGED, KEY, OAUTH

TOKENS = 'kind = "oauth"\n' + OAUTH[OAUTH.index("[connection.oauth]") :]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    with Connected(tmp_path_factory.mktemp("aval")).serving() as serving:
        assert isinstance(serving, Connected)
        yield serving


# ---- a token of one customer


def test_a_token_that_was_exchanged_for_one_customer_reads_nothing_of_another(world: Connected, clerk: Clerk) -> None:
    """Whoever is linked again has the same subject, and is another customer of the organisation."""
    customer, of = "HB-1", dict[str, str]()

    def exchange(sent: Sent) -> Said:
        token = f"token-{len(of)}"
        of[token] = customer
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 300, "issued_token_type": kind}

    clerk.also["/token"] = exchange
    clerk.customer = lambda sent: of.get(sent.bearer, "")
    at = Connection(world, clerk, EXCHANGED + NUMBER, SECRET="s")
    alice = at.person()
    assert alice.links_by_number("HB-1").status == 303
    assert alice.shares().reads().status == 200
    alice.unlinks()
    customer = "HB-2"
    assert alice.links_by_number("HB-2").status == 303
    assert alice.shares().reads().status == 200
    assert {of[sent.bearer] for sent in clerk.data[-2:]} == {"HB-2"}


# ---- what an organisation's OAuth server leaves out


def granting(**members: Any) -> Callable[[Sent], Said]:
    return lambda sent: (200, {"access_token": "t", "token_type": "Bearer", **members})


@pytest.mark.parametrize("lasts", [{}, {"expires_in": 0}, {"expires_in": -1}, {"expires_in": 60}])
def test_a_token_that_cannot_be_renewed_is_used_until_it_is_refused_and_ends_no_link(
    world: Connected, clerk: Clerk, lasts: dict[str, int]
) -> None:
    clerk.also |= {"/token": granting(**lasts), "/revoke": lambda sent: (200, {})}
    clerk.customer = lambda sent: "HB-1" if sent.bearer == "t" else ""
    at = Connection(world, clerk, TOKENS, OAUTH_SECRET="o")
    alice, before = at.person(), world.clock
    assert alice.comes_back(query_of(alice.leaves())["state"]).status == 303
    try:
        world.passes(minutes=8)
        assert alice.shares().reads().status == 200 and alice.downloads().status == 200
        clerk.proof = lambda sent: False
        assert alice.reads().reason == "organisation_refused" and alice.downloads().status != 200
        clerk.proof = lambda sent: True
        assert alice.reads().status == 200 and alice.link is not None
    finally:
        world.clock = before


def test_a_token_said_to_last_no_time_is_renewed_now_and_then_and_not_for_every_call(
    world: Connected, clerk: Clerk
) -> None:
    clerk.also["/token"] = granting(expires_in=0, refresh_token="r")
    clerk.customer = lambda sent: "HB-1"
    at = Connection(world, clerk, TOKENS, OAUTH_SECRET="o")
    alice = at.person()
    assert alice.comes_back(query_of(alice.leaves())["state"]).status == 303
    assert [alice.shares().reads().status for _ in range(3)] == [200] * 3
    assert len(clerk.of("/token")) == 1


# ---- being told


def ended(clerk: Clerk) -> list[Any]:
    return [sent.json["customer_number"] for sent in clerk.of("/link/end")]


def test_who_has_the_same_number_keeps_her_link(world: Connected, clerk: Clerk) -> None:
    at = Connection(world, clerk, KEY + NUMBER + HEADER, SECRET="s")
    alice, bob = at.person(), at.person("bob")
    assert [alice.links_by_number().status, bob.links_by_number().status] == [303, 303]
    page = alice.unlinks()
    assert ended(clerk) == [] and alice.link is None
    assert b"has been told" not in page.body and b"could not be reached" not in page.body
    assert bob.shares().reads().status == 200
    bob.unlinks()
    assert ended(clerk) == ["HB-1"]


def test_it_is_told_of_the_customer_she_was_though_she_is_another_by_now(world: Connected, clerk: Clerk) -> None:
    at = Connection(world, clerk, KEY + NUMBER + HEADER, SECRET="s")
    alice = at.person()
    assert alice.links_by_number("HB-1").status == 303
    clerk.also["/link/end"] = lambda sent: (503, {})
    alice.unlinks()
    assert alice.links_by_number("HB-2").status == 303
    del clerk.also["/link/end"]
    clerk.seen.clear()
    telling.tell_pending(world.house, world.clock())
    assert ended(clerk) == ["HB-1"] and alice.shares().reads().status == 200


def test_nothing_is_told_while_she_is_linking_there_again(world: Connected, clerk: Clerk) -> None:
    at = Connection(world, clerk, KEY + NUMBER + HEADER, SECRET="s")
    alice = at.person()
    assert alice.links_by_number().status == 303
    with linking.her_turn(world.house.store, alice.id, at.id):
        alice.unlinks()
        assert ended(clerk) == []
    telling.tell_pending(world.house, world.clock())
    assert ended(clerk) == ["HB-1"]


def test_one_who_is_linking_again_keeps_nobody_elses_end_from_being_told(
    world: Connected, clerk: Clerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = Connection(world, clerk, KEY + NUMBER + HEADER, SECRET="s")
    alice, bob = at.person(), at.person("bob")
    assert (alice.links_by_number("HB-1").status, bob.links_by_number("HB-2").status) == (303, 303)
    clerk.also["/link/end"] = lambda sent: (503, {})
    alice.unlinks()
    bob.unlinks()
    del clerk.also["/link/end"]
    clerk.seen.clear()
    turn = linking.her_turn

    def busy(store: Any, person: str, organisation: str) -> Any:
        return contextlib.nullcontext(False) if person == alice.id else turn(store, person, organisation)

    with monkeypatch.context() as patched:
        patched.setattr(linking, "her_turn", busy)
        telling.tell_pending(world.house, world.clock())
    assert ended(clerk) == ["HB-2"]
    telling.tell_pending(world.house, world.clock())
    assert ended(clerk) == ["HB-2", "HB-1"]


def test_a_number_is_not_ended_while_somebody_links_with_it(world: Connected, clerk: Clerk) -> None:
    at = Connection(world, clerk, KEY + NUMBER + HEADER, SECRET="s")
    alice, bob = at.person(), at.person("bob")
    assert alice.links_by_number("HB-1").status == 303
    with linking.number_turn(world.house, at.id, "hb-1"):
        alice.unlinks()
        assert ended(clerk) == []
    assert bob.links_by_number("HB-1").status == 303
    telling.tell_pending(world.house, world.clock())
    assert ended(clerk) == [] and bob.shares().reads().status == 200


# ---- an OAuth server of its own


def elsewhere(text: str, server: Clerk, *names: str) -> str:
    for name in names:
        text = text.replace(f'{name} = "/{name}"', f'{name} = "{server.url}/{name}"')
    return text


def test_the_oauth_server_may_be_another_and_need_have_no_end_for_revoking(world: Connected, clerk: Clerk) -> None:
    clerk.customer = lambda sent: "HB-1" if sent.bearer == "t" else ""
    with Clerk().running() as server:
        server.also["/token"] = granting(expires_in=300)
        text = elsewhere(TOKENS, server, "authorize", "token").replace('revoke = "/revoke"\n', "")
        alice = Connection(world, clerk, text, OAUTH_SECRET="o").person()
        address = alice.leaves()
        assert address.startswith(f"{server.url}/authorize?")
        assert alice.comes_back(query_of(address)["state"]).status == 303
        assert alice.shares().reads().status == 200
        assert len(server.of("/token")) == 1 and not clerk.of("/token")
        asked = alice.asks("GET", f"/organisations/{alice.at.id}/unlink")
        ended = alice.unlinks()
        assert ended.status == 200 and b"has been told" not in ended.body
        for page in (asked, ended):
            assert b"end that access on its own pages" in page.body and b"there is nothing to end" not in page.body
        assert {sent.path for sent in server.seen} == {"/token"} and not clerk.of("/revoke")
        assert alice.reads().reason == "not_linked"


@pytest.mark.parametrize("name", ["token", "revoke"])
def test_peoples_tokens_go_to_no_other_server_because_a_file_says_so(world: Connected, clerk: Clerk, name: str) -> None:
    clerk.also |= {"/token": granting(expires_in=300, refresh_token="r"), "/revoke": lambda sent: (200, {})}
    clerk.customer = lambda sent: "HB-1"
    with Clerk().running() as server:
        at = Connection(world, clerk, TOKENS, OAUTH_SECRET="o")
        at.declare(elsewhere(TOKENS, server, name), moved=None)  # nobody is linked yet
        at.declare(TOKENS, moved=None)
        alice = at.person()
        assert alice.comes_back(query_of(alice.leaves())["state"]).status == 303
        with pytest.raises(DeclarationError, match="leads to another server"):
            at.declare(elsewhere(TOKENS, server, name), moved=None)
        at.declare(elsewhere(TOKENS, clerk, "token", "revoke"), moved=None)  # written whole, it is the same one
        at.declare(elsewhere(TOKENS, server, "authorize"), moved=None)  # where she signs in gets none of them
        assert alice.shares().reads().status == 200 and not server.seen
        at.declare(elsewhere(TOKENS, server, name), moved=False)
        assert alice.link is None and not server.seen and alice.reads().reason == "not_linked"


def test_an_end_that_is_no_address_is_told(world: Connected, clerk: Clerk) -> None:
    for text in ("ftp://x.example/token", "http://x.example/token", "https://x.example/token?a=1", "token"):
        with pytest.raises(DeclarationError, match=r"connection\.oauth\.token"):
            Connection(world, clerk, TOKENS.replace('token = "/token"', f'token = "{text}"'), OAUTH_SECRET="o")
