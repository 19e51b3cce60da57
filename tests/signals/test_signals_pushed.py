"""Events that are pushed to an app (RFC 8935)."""

import pytest
from signals_world import ENDED, PAUSED, PUSH, RESUMED, UPDATED, VERIFICATION

from gateway.signals import streams
from tests.databases import everything
from tests.worlds.websites import until

SECRET = "Bearer of-the-receiver 123"


@pytest.fixture
def pushed(world):
    """(site, stream): shop is told at a server of its own."""
    site = world.website(202)
    return site, world.shop.opens(delivery=delivery(site))


def delivery(site, **more):
    return {"method": PUSH, "endpoint_url": site.address, **more}


def shares(world, person="alice", receiver=None):
    browser = world.browser(person=person)
    return browser, browser.tokens((receiver or world.shop).app)["grant_id"]


def told(world, site, receiver=None):
    """(type, event, sub_id) of each push, in the order in which they came."""
    said = [(receiver or world.shop).reads(one["body"]) for one in site.got]
    return [(*next(iter(one["events"].items())), one["sub_id"]) for one in said]


def test_an_event_is_pushed_as_it_happens_and_once_when_the_app_takes_it(world, pushed):
    site, _ = pushed
    alice, consent = shares(world)
    world.stops(alice, consent)
    until(lambda: site.got)
    ((kind, event, _),) = told(world, site)
    assert kind == ENDED and event["grant_id"] == consent
    assert site.got[0]["media"] == "application/secevent+jwt" and site.got[0]["path"] == "/told?of=logout"
    world.settle()
    assert len(site.got) == 1


def test_the_apps_own_secret_goes_with_every_push_and_is_nowhere_else(world, capsys):
    site = world.website(202)
    shown = delivery(site, authorization_header=SECRET)
    answer = world.shop.calls("POST", "/ssf/streams", {"delivery": shown, "events_requested": [ENDED]})
    stream = answer.json()["stream_id"]
    read = world.shop.calls("GET", "/ssf/streams", stream_id=stream)
    alice, consent = shares(world)
    world.stops(alice, consent)
    until(lambda: site.got)
    assert site.got[0]["authorization"] == SECRET
    assert SECRET not in answer.text + read.text
    assert SECRET.encode() not in everything(world.house.store)
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err and site.address not in said.out + said.err
    world.shop.calls("PATCH", "/ssf/streams", {"stream_id": stream, "description": "kept"})
    again, other = shares(world)
    world.stops(again, other)
    until(lambda: len(site.got) == 2)
    assert site.got[1]["authorization"] == SECRET, "what is not named stays"
    world.shop.calls("PUT", "/ssf/streams", {"stream_id": stream, "delivery": delivery(site),
                                             "events_requested": [ENDED]})  # fmt: skip
    again, other = shares(world)
    world.stops(again, other)
    until(lambda: len(site.got) == 3)
    assert site.got[2]["authorization"] is None, "a replacement takes out what it does not name"


@pytest.mark.parametrize("status", [500, 401, 404, 200, 302, 307])
def test_what_the_app_does_not_take_comes_again_and_nothing_overtakes_it(world, status):
    elsewhere = world.website(202)
    site = world.website(status, location=elsewhere.address)
    world.shop.opens(delivery=delivery(site))
    alice, consent = shares(world)
    world.stops(alice, consent, "pause")
    until(lambda: site.got)
    world.stops(alice, consent, "resume")
    world.stops(alice, consent)
    world.settle()
    assert {kind for kind, *_ in told(world, site)} == {PAUSED} and not elsewhere.got
    site.answers, before = (202, {}), len(site.got)
    world.clock.passes(hours=2)
    until(lambda: len(site.got) >= before + 3)
    assert [kind for kind, *_ in told(world, site)[before:]] == [PAUSED, RESUMED, ENDED]
    assert len({one["body"].split(".")[1] for one in site.got[: before + 1]}) == 1, "the same event each time"


@pytest.mark.parametrize("body", ['{"err": "invalid_audience", "description": "no"}'])
def test_what_the_app_refuses_by_an_error_of_the_standard_is_done_with(world, body, capsys):
    site = world.website(400)
    site.body = body
    world.shop.opens(delivery=delivery(site))
    alice, consent = shares(world)
    world.stops(alice, consent, "pause")
    until(lambda: site.got)
    world.stops(alice, consent, "resume")
    until(lambda: len(site.got) == 2)
    assert [kind for kind, *_ in told(world, site)] == [PAUSED, RESUMED]
    said = capsys.readouterr()
    assert "invalid_audience" in said.out + said.err


@pytest.mark.parametrize("body", ["", "no", "[]", '{"err": "of-my-own"}', '{"err": 1}'])
def test_a_400_that_does_not_say_what_is_wrong_is_no_last_word(world, body, capsys):
    site = world.website(400)
    site.body = body
    world.shop.opens(delivery=delivery(site))
    alice, consent = shares(world)
    world.stops(alice, consent)
    until(lambda: site.got)
    world.settle()
    site.answers = (202, {})
    world.clock.passes(hours=2)
    until(lambda: len(site.got) >= 2)
    said = capsys.readouterr()
    assert "of-my-own" not in said.out + said.err


def test_paused_it_waits_disabled_it_is_dropped(world, pushed):
    site, stream = pushed
    alice, consent = shares(world)
    world.shop.calls("POST", "/ssf/status", {"stream_id": stream, "status": "paused"})
    world.stops(alice, consent, "pause")
    world.settle()
    assert not site.got
    world.shop.calls("POST", "/ssf/status", {"stream_id": stream, "status": "enabled"})
    until(lambda: site.got)
    world.shop.calls("POST", "/ssf/status", {"stream_id": stream, "status": "disabled"})
    world.stops(alice, consent, "resume")
    world.shop.calls("POST", "/ssf/status", {"stream_id": stream, "status": "enabled"})
    world.stops(alice, consent)
    until(lambda: len(site.got) == 2)
    assert [kind for kind, *_ in told(world, site)] == [PAUSED, ENDED]


def test_what_waits_goes_the_new_way_when_the_app_changes_it(world, pushed):
    site, stream = pushed
    site.answers = (500, {})
    alice, consent = shares(world)
    world.stops(alice, consent)
    until(lambda: site.got)
    new = world.website(202)
    world.shop.calls("PATCH", "/ssf/streams", {"stream_id": stream, "delivery": delivery(new)})
    until(lambda: new.got)
    assert [kind for kind, *_ in told(world, new)] == [ENDED]


def test_a_suspended_app_is_told_nothing_until_it_may_again(world, pushed):
    site, _ = pushed
    alice, consent = shares(world)
    world.suspends("shop")
    world.stops(alice, consent)
    world.settle()
    assert not site.got
    world.resumes("shop")
    until(lambda: site.got)


def test_a_verification_is_pushed_as_well(world, pushed):
    site, stream = pushed
    assert world.shop.calls("POST", "/ssf/verify", {"stream_id": stream, "state": "seen"}).status_code == 204
    until(lambda: site.got)
    assert told(world, site) == [(VERIFICATION, {"state": "seen"}, {"format": "opaque", "id": stream})]


def test_that_we_stopped_a_stream_is_pushed_although_it_is_disabled(world, pushed):
    site, stream = pushed
    site.answers = (500, {})
    alice, consent = shares(world)
    world.stops(alice, consent)
    until(lambda: site.got)
    world.settle()
    world.clock.passes(days=31)
    streams.look_after(world.house.store, world.clock())
    assert world.shop.status(stream) == "disabled"
    site.got.clear()
    site.answers = (202, {})
    world.settle()
    said = {"status": "disabled", "reason": "Events have waited for too long."}
    about = {"format": "opaque", "id": stream}
    assert told(world, site) == [(UPDATED, said, about)]
