"""openid-client, Node's certified OpenID client: what works today, and what it must refuse."""

import pytest
from clients_world import Robot, World
from play import Plays, Stumble
from stories import check_granted, check_read, check_whole

APPS = ["public", "basic", "posted", "signed", "signed-ps256", "signed-ed25519"]


@pytest.mark.parametrize("name", APPS)
def test_an_app_asks_reads_renews_and_gives_back(world: World, plays: Plays, alice: Robot, name: str) -> None:
    seen = plays("openid_client_code.mjs", world.app(name), introspects=name != "public")
    check_whole(world, seen, public=name == "public")
    [screen] = alice.seen
    assert "To see when you use electricity." in screen and name.title() in screen


def test_an_app_that_need_not_push_sends_its_request_in_the_address(world: World, plays: Plays) -> None:
    seen = plays("openid_client_unpushed.mjs", world.app("unpushed"))
    check_granted(world, seen["tokens"])
    check_read(seen["data"])


def test_an_app_that_must_push_is_refused_a_request_in_the_address(world: World, plays: Plays) -> None:
    with pytest.raises(Stumble) as stumble:
        plays("openid_client_unpushed.mjs", world.app("public"))
    assert stumble.value.error["error"] == "invalid_request"


def test_she_refuses_and_the_app_is_told(world: World, plays: Plays, alice: Robot) -> None:
    alice.decision = "refuse"
    with pytest.raises(Stumble) as stumble:
        plays("openid_client_code.mjs", world.app("basic"), introspects=True)
    assert stumble.value.error["error"] == "access_denied"


def test_she_stops_and_the_next_call_says_so(world: World, plays: Plays, alice: Robot) -> None:
    def visits(address: str) -> str:
        if not address.startswith("stop:"):
            return alice.visits(address)
        alice.stops(address.removeprefix("stop:"))
        return world.gateway

    seen = plays("openid_client_reads.mjs", world.app("basic"), visits=visits, meanwhile="stop:")
    check_read(seen["before"])
    assert seen["after"]["status"] == 403 and '"reason":"ended"' in seen["after"]["body"].replace(" ", "")
    assert seen["renewal"]["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("parameter", "value"), [("iss", "https://mallory.example"), ("iss", ""), ("state", "mallory")]
)
def test_an_answer_that_mallory_mixed_up_is_refused_by_the_client(
    world: World, plays: Plays, alice: Robot, parameter: str, value: str
) -> None:
    """RFC 9207 and state: the answer carries both, so that a client can tell."""
    visits = alice.mixed_up(parameter, value)
    with pytest.raises(Stumble) as stumble:
        plays("openid_client_code.mjs", world.app("basic"), visits=visits, introspects=True)
    assert stumble.value.error["code"] == "OAUTH_INVALID_RESPONSE" and parameter in stumble.value.why


def test_mallory_with_the_name_of_an_app_and_not_its_secret_gets_nothing(world: World, plays: Plays) -> None:
    mallory = world.imposter("basic")
    with pytest.raises(Stumble) as stumble:
        plays("openid_client_code.mjs", mallory, introspects=True)
    assert stumble.value.steps[-1]["status"] == 401 and "invalid_client" in stumble.value.steps[-1]["answer"]


def test_mallory_with_a_key_of_her_own_gets_nothing(world: World, plays: Plays) -> None:
    with pytest.raises(Stumble) as stumble:
        plays("openid_client_code.mjs", world.imposter("signed"), introspects=True)
    assert stumble.value.steps[-1]["status"] == 401 and "invalid_client" in stumble.value.steps[-1]["answer"]
