"""Events that an app fetches (RFC 8936)."""

import pytest
from signals_world import ENDED, HOME, PAUSED, RESUMED

from gateway.app import Application, build_house
from tests.callers import TestClient
from tests.worlds.websites import until


def test_an_app_is_told_that_alice_has_ended_what_she_shared_with_it(world):
    stream = world.shop.opens()
    alice, consent, sub = world.signs_in("alice")
    assert world.shop.polls(stream) == {}
    world.stops(alice, consent)
    ((jti, set_),) = world.shop.polls(stream).items()
    said = world.shop.reads(set_)
    now = int(world.clock.now.timestamp())
    event = {"grant_id": consent, "reason": "withdrawn", "event_timestamp": now, "initiating_entity": "user"}
    assert said.keys().isdisjoint(("sub", "exp")), "it is taken for no ID token"
    assert said == {
        "iss": HOME,
        "aud": "shop",
        "iat": now,
        "jti": jti,
        "txn": said["txn"],
        "sub_id": {"format": "iss_sub", "iss": HOME, "sub": sub},
        "events": {ENDED: event},
    }


def test_an_event_opens_nothing_and_proves_nothing(world):
    """RFC 8725 §3.11: a token of one kind is none of another."""
    stream = world.shop.opens()
    alice, consent, _ = world.signs_in("alice")
    world.stops(alice, consent)
    (event,) = world.shop.polls(stream).values()
    bearer, http = {"authorization": f"Bearer {event}"}, world.browser().http
    for path in ("/userinfo", "/grants/x", "/data/anything/at/all", "/ssf/streams"):
        assert http.get(path, headers=bearer).status_code == 401, path
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": event}
    assert http.post("/token", data=form).json()["error"] == "invalid_client"
    hinted = world.post("/bc-authorize", "shop", scope="openid", id_token_hint=event)
    assert hinted.status_code == 400
    assert world.post("/introspect", "shop", token=event).json() == {"active": False}


def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(world):
    stream = world.shop.opens()
    alice, consent = world.shares("alice")
    world.stops(alice, consent, "pause")
    world.stops(alice, consent, "resume")
    first = world.shop.polls(stream)
    assert len(first) == 2 and read(first) == read(world.shop.polls(stream, returnImmediately=True))
    kept, gone = list(first)
    assert list(world.shop.polls(stream, ack=[gone])) == [kept]
    assert world.shop.polls(stream, ack=[kept, gone, "unknown"]) == {}


def read(sets):
    """What they say, whatever they are signed by."""
    return {jti: one.split(".")[1] for jti, one in sets.items()}


def test_events_come_in_their_order_so_many_at_once(world):
    stream = world.shop.opens()
    alice, consent = world.shares("alice")
    for act in ("pause", "resume", "pause"):
        world.stops(alice, consent, act)
    seen = []
    for more in (True, True, False):
        answer = world.shop.calls("POST", f"/ssf/poll/{stream}", {"maxEvents": 1, "ack": seen[-1:]}).json()
        ((jti, set_),) = answer["sets"].items()
        assert answer.get("moreAvailable", False) is more
        seen.append(jti)
        kind = PAUSED if len(seen) != 2 else RESUMED
        assert list(world.shop.reads(set_)["events"]) == [kind]
    assert world.shop.polls(stream, maxEvents=0, ack=seen) == {}
    assert world.shop.polls(stream) == {}


def test_with_no_events_wanted_it_only_acknowledges(world):
    stream = world.shop.opens()
    alice, consent = world.shares("alice")
    world.stops(alice, consent)
    (jti,) = world.shop.polls(stream)
    assert world.shop.polls(stream, maxEvents=0) == {}
    assert list(world.shop.polls(stream)) == [jti], "it was not acknowledged"


def test_what_the_app_refuses_does_not_come_again_and_the_operator_reads_why(world, capsys):
    stream = world.shop.opens()
    alice, consent = world.shares("alice")
    world.stops(alice, consent, "pause")
    world.stops(alice, consent, "resume")
    one, other = world.shop.polls(stream)
    errors = {one: {"err": "invalid_key", "description": "no"}, other: {"err": "secret-words", "description": "hush"}}
    assert world.shop.polls(stream, setErrs=errors) == {}
    said = capsys.readouterr()
    said = said.out + said.err
    assert "invalid_key" in said and "secret-words" not in said and "hush" not in said


def test_an_app_cannot_acknowledge_what_another_is_to_be_told(world):
    stream, mallorys = world.shop.opens(), world.rival.opens()
    alice, consent = world.shares("alice")
    world.stops(alice, consent)
    (jti,) = world.shop.polls(stream)
    assert world.rival.polls(mallorys, ack=[jti]) == {}
    assert list(world.shop.polls(stream)) == [jti]


def test_a_stream_that_is_pushed_is_not_polled(world):
    site = world.website(500)
    stream = world.shop.opens(delivery={"method": "urn:ietf:rfc:8935", "endpoint_url": site.address})
    alice, consent = world.shares("alice")
    world.stops(alice, consent)
    until(lambda: site.got)
    assert world.shop.calls("POST", f"/ssf/poll/{stream}", {}).status_code == 404
    polled = {"stream_id": stream, "delivery": {"method": "urn:ietf:rfc:8936"}}
    assert world.shop.calls("PATCH", "/ssf/streams", polled).status_code == 200
    assert len(world.shop.polls(stream)) == 1, "what waited is fetched now"


@pytest.mark.parametrize(
    "body",
    ["", "[]", {"maxEvents": -1}, {"maxEvents": "1"}, {"maxEvents": True}, {"maxEvents": 1.5}, {"ack": "x"},
     {"ack": [5]}, {"ack": ["\0"]}, {"ack": ["x"] * 1001}, {"setErrs": []}, {"setErrs": {"x": "y"}},
     {"setErrs": {"x": {"err": 5}}}, {"returnImmediately": "yes"}],
)  # fmt: skip
def test_a_poll_of_another_form_is_refused(world, body):
    stream = world.shop.opens()
    answer = world.shop.calls("POST", f"/ssf/poll/{stream}", body)
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_request"


def test_what_waits_outlives_the_process(world):
    stream = world.shop.opens()
    alice, consent = world.shares("alice")
    world.stops(alice, consent)
    before, token = world.shop.polls(stream), world.shop.token()
    house = build_house(world.house.settings)
    try:
        another = TestClient(Application(house), base_url=HOME)  # as the gateway is after a restart, or a second one
        headers = {"authorization": f"Bearer {token}"}
        after = another.post(f"/ssf/poll/{stream}", json={}, headers=headers).json()["sets"]
    finally:
        house.store.close()
    assert before and read(after) == read(before)
