"""A receiver's stream: found, made, read, changed, stopped, deleted (SSF 1.0 §7 and §8.1)."""

import re

import pytest
from signals_world import (
    ALL,
    CREDENTIAL,
    ENDED,
    HOME,
    MANAGE,
    PAUSED,
    POLL,
    PUSH,
    READ,
    UPDATED,
    VERIFICATION,
)

from gateway.ground.store import pruning
from gateway.retention import LEAVING
from gateway.signals import rules, streams
from gateway.signals.tables import SignalEvent, SignalStream
from tests.databases import everything
from tests.tokens import claims

OTHER = "https://schemas.openid.net/secevent/risc/event-type/account-purged"
NEEDS_MANAGE = [
    ("POST", "/ssf/streams", {}),
    ("PATCH", "/ssf/streams", {}),
    ("PUT", "/ssf/streams", {}),
    ("DELETE", "/ssf/streams", None),
    ("POST", "/ssf/status", {"status": "paused"}),
    ("POST", "/ssf/subjects/add", {"subject": {"format": "email", "email": "x@example.org"}}),
    ("POST", "/ssf/subjects/remove", {"subject": {"format": "email", "email": "x@example.org"}}),
    ("POST", "/ssf/verify", {}),
]
NEEDS_READ = [("GET", "/ssf/streams", None), ("GET", "/ssf/status", None), ("POST", "/ssf/poll/{stream}", {})]
DOORS = [*NEEDS_MANAGE, *NEEDS_READ]


def call(receiver, door, stream, **more):
    """At this door, about this stream."""
    method, path, body = door
    query = {"stream_id": stream} if body is None else {}
    named = body if body is None else {"stream_id": stream, **body}
    return receiver.calls(method, path.format(stream=stream), named, **query, **more)


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["error"]


def get(receiver, stream):
    answer = receiver.calls("GET", "/ssf/streams", stream_id=stream)
    assert answer.status_code == 200
    return answer.json()


# ---- what there is


def test_the_configuration_stands_where_receivers_look(world):
    answer = world.shop.http.get("/.well-known/ssf-configuration")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert said == {
        "spec_version": "1_0",
        "issuer": HOME,
        "jwks_uri": f"{HOME}/jwks.json",
        "delivery_methods_supported": [PUSH, POLL],
        "configuration_endpoint": f"{HOME}/ssf/streams",
        "status_endpoint": f"{HOME}/ssf/status",
        "add_subject_endpoint": f"{HOME}/ssf/subjects/add",
        "remove_subject_endpoint": f"{HOME}/ssf/subjects/remove",
        "verification_endpoint": f"{HOME}/ssf/verify",
        "critical_subject_members": ["user", "session"],
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
        "default_subjects": "ALL",
    }
    for name in [name for name in said if name.endswith("_endpoint")]:
        path = said[name].removeprefix(HOME)
        assert world.shop.calls("POST", path, {}, token="").status_code == 401, "it is there, and closed"


# ---- who may


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
def test_without_a_token_of_the_app_no_door_opens(world, door):
    stream = world.shop.opens()
    hers = world.browser(person="alice").tokens("shop")["access_token"]
    for token in ("", "nonsense", hers):
        answer = call(world.shop, door, stream, token=token)
        assert error(answer, 401) == "invalid_token" and "WWW-Authenticate" in answer.headers


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
def test_a_token_for_something_else_opens_none(world, door):
    stream = world.shop.opens()
    token = world.shop.token("grant_management_query")
    assert error(call(world.shop, door, stream, token=token), 403) == "insufficient_scope"


@pytest.mark.parametrize("door", NEEDS_MANAGE, ids=lambda door: f"{door[0]} {door[1]}")
def test_whoever_may_only_read_changes_nothing(world, door):
    stream = world.shop.opens()
    before = get(world.shop, stream)
    assert error(call(world.shop, door, stream, token=world.shop.token(READ)), 403) == "insufficient_scope"
    assert get(world.shop, stream) == before


@pytest.mark.parametrize("door", NEEDS_READ, ids=lambda door: f"{door[0]} {door[1]}")
@pytest.mark.parametrize("scope", [READ, MANAGE])
def test_whoever_may_read_or_manage_reads(world, door, scope):
    assert call(world.shop, door, world.shop.opens(), token=world.shop.token(scope)).status_code == 200


@pytest.mark.parametrize("door", DOORS[1:], ids=lambda door: f"{door[0]} {door[1]}")
def test_the_stream_of_another_app_is_as_unknown_as_one_that_never_was(world, door):
    stream = world.shop.opens()
    before = get(world.shop, stream)
    for named in (stream, "never-was"):
        assert error(call(world.rival, door, named), 404) == "not_found"
    world.rival.opens()
    assert error(call(world.rival, door, stream), 404) == "not_found"
    assert get(world.shop, stream) == before


@pytest.mark.parametrize("door", DOORS[1:-3] + DOORS[-2:-1], ids=lambda door: f"{door[0]} {door[1]}")
def test_which_stream_is_meant_has_to_be_said(world, door):
    world.shop.opens()
    method, path, body = door
    assert error(world.shop.calls(method, path, body)) == "invalid_request"


def test_a_suspended_app_has_no_say(world):
    stream, token = world.shop.opens(), world.shop.token()
    world.suspends("shop")
    assert call(world.shop, NEEDS_READ[0], stream, token=token).status_code == 401


# ---- a stream is made


def test_a_stream_is_made_as_the_app_wants_it(world):
    wanted = {"events_requested": [ENDED, OTHER, CREDENTIAL, ENDED], "description": "Ours"}
    answer = world.shop.calls("POST", "/ssf/streams", wanted)
    assert answer.status_code == 201
    said = answer.json()
    stream = said["stream_id"]
    assert re.fullmatch(r"[A-Za-z0-9._~-]{20,}", stream)
    assert said == {
        "stream_id": stream,
        "iss": HOME,
        "aud": "shop",
        "events_supported": ALL,
        "events_requested": [ENDED, OTHER, CREDENTIAL],
        "events_delivered": [ENDED, CREDENTIAL],
        "delivery": {"method": POLL, "endpoint_url": f"{HOME}/ssf/poll/{stream}"},
        "min_verification_interval": 60,
        "inactivity_timeout": 30 * 24 * 3600,
        "description": "Ours",
    }
    assert get(world.shop, stream) == said


def test_an_app_has_one_stream(world):
    stream = world.shop.opens()
    assert error(world.shop.calls("POST", "/ssf/streams", {"events_requested": ALL}), 409) == "invalid_request"
    assert world.rival.opens() != stream, "another app has its own"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no",
        "[]",
        '"x"',
        '{"description": "a", "description": "b"}',
        "[" * 50,
        {"delivery": None},
        {"delivery": {}},
        {"delivery": {"method": "https://schemas.openid.net/secevent/risc/delivery-method/push"}},
        {"delivery": {"method": PUSH}},
        {"delivery": {"method": PUSH, "endpoint_url": 5}},
        {"delivery": {"method": PUSH, "endpoint_url": "ftp://site.example/x"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://u:p@site.example/x"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://site.example/x#y"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://site.example/\r\nx: y"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://site.example/", "authorization_header": "a\r\nb: c"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://site.example/", "authorization_header": "é"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://site.example/", "authorization_header": 5}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://site.example/", "authorization_header": "x" * 4097}},
        {"delivery": {"method": POLL, "authorization_header": "x"}},
        {"delivery": {"method": POLL, "endpoint_url": "https://elsewhere.example/poll"}},
        {"events_requested": ENDED},
        {"events_requested": [5]},
        {"events_requested": ["x" * 1001]},
        {"events_requested": [f"urn:{at}" for at in range(101)]},
        {"description": 5},
        {"description": "x" * 1001},
        {"description": "\0"},
        {"aud": "rival"},
        {"iss": "https://elsewhere.example"},
        {"min_verification_interval": 1},
        {"events_supported": []},
    ],
)
def test_what_is_not_right_makes_no_stream_and_changes_none(world, body):
    assert error(world.shop.calls("POST", "/ssf/streams", body)) == "invalid_request"
    assert world.shop.calls("GET", "/ssf/streams").json() == []
    stream = world.shop.opens(description="kept")
    before = get(world.shop, stream)
    named = {"stream_id": stream, **body} if isinstance(body, dict) else body
    for method in ("PATCH", "PUT"):
        assert error(world.shop.calls(method, "/ssf/streams", named)) == "invalid_request"
    assert get(world.shop, stream) == before


def test_a_body_of_another_kind_is_none(world):
    token = world.shop.token()
    sent = world.shop.http.post("/ssf/streams", data={"description": "x"}, headers={"authorization": f"Bearer {token}"})
    assert error(sent) == "invalid_request"


# ---- … read, changed, deleted


def test_streams_are_read_by_their_id_or_all(world):
    assert world.shop.calls("GET", "/ssf/streams").json() == []
    stream = world.shop.opens()
    assert world.shop.calls("GET", "/ssf/streams").json() == [get(world.shop, stream)]
    assert world.rival.calls("GET", "/ssf/streams").json() == []


def test_a_patch_changes_what_it_names_and_a_replacement_takes_out_what_it_does_not(world):
    stream = world.shop.opens(description="Ours")
    before = get(world.shop, stream)
    push = {"method": PUSH, "endpoint_url": "https://shop.example/told"}
    patched = world.shop.calls("PATCH", "/ssf/streams", {"stream_id": stream, "delivery": push})
    assert patched.status_code == 200 and patched.json() == {**before, "delivery": push} == get(world.shop, stream)
    put = world.shop.calls("PUT", "/ssf/streams", {"stream_id": stream, "events_requested": [ENDED]})
    replaced = {**before, "events_requested": [ENDED], "events_delivered": [ENDED]}
    replaced.pop("description")
    assert put.status_code == 200 and put.json() == replaced == get(world.shop, stream)


def test_what_was_read_may_be_sent_back_with_changes(world):
    stream = world.shop.opens(description="Ours")
    said = get(world.shop, stream)
    for method in ("PATCH", "PUT"):
        changed = world.shop.calls(method, "/ssf/streams", {**said, "aud": ["shop"], "description": method})
        assert changed.status_code == 200 and changed.json() == {**said, "description": method}


def test_a_deleted_stream_is_gone_with_what_waited(world):
    stream = world.shop.opens()
    world.shop.calls("POST", "/ssf/verify", {"stream_id": stream})
    answer = world.shop.calls("DELETE", "/ssf/streams", stream_id=stream)
    assert answer.status_code == 204 and answer.content == b""
    assert error(world.shop.calls("DELETE", "/ssf/streams", stream_id=stream), 404) == "not_found"
    assert world.shop.polls(world.shop.opens()) == {}
    assert not world.rows(SignalEvent)


# ---- its status


def test_a_stream_is_paused_disabled_and_enabled(world):
    stream = world.shop.opens()
    named = {"stream_id": stream}
    assert world.shop.calls("GET", "/ssf/status", **named).json() == {**named, "status": "enabled"}
    for status in ("paused", "disabled", "enabled"):
        wanted = {**named, "status": status, "reason": "Because"}
        set_ = world.shop.calls("POST", "/ssf/status", wanted)
        assert set_.status_code == 200 and set_.json() == wanted
        assert world.shop.calls("GET", "/ssf/status", **named).json() == wanted


@pytest.mark.parametrize(
    "more",
    [
        *({"status": status} for status in ("", "on", None, ["paused"], "ENABLED")),
        *({"status": "paused", "reason": reason} for reason in (5, "x" * 1001)),
        {},
    ],
)
def test_a_status_that_is_none_changes_nothing(world, more):
    stream = world.shop.opens()
    assert error(world.shop.calls("POST", "/ssf/status", {"stream_id": stream, **more})) == "invalid_request"
    assert world.shop.calls("GET", "/ssf/status", stream_id=stream).json()["status"] == "enabled"


def test_paused_events_wait_in_their_order_and_disabled_there_are_none(world):
    stream = world.shop.opens()
    alice, consent = world.shares("alice")
    world.shop.sets(stream, "paused")
    world.stops(alice, consent, "pause")
    world.stops(alice, consent, "resume")
    assert world.shop.polls(stream) == {}
    world.shop.sets(stream, "enabled")
    assert [kind for kind, _ in world.shop.hears(stream)] == [PAUSED, "urn:aval:event:consent-resumed"]
    world.stops(alice, consent, "pause")
    world.shop.sets(stream, "disabled")
    world.stops(alice, consent, "resume")
    world.shop.sets(stream, "enabled")
    assert world.shop.polls(stream) == {}
    world.stops(alice, consent)
    assert [kind for kind, _ in world.shop.hears(stream)] == [ENDED]


# ---- verification


def test_a_receiver_has_its_stream_verified(world):
    stream = world.shop.opens()
    answer = world.shop.calls("POST", "/ssf/verify", {"stream_id": stream, "state": "what I sent"})
    assert answer.status_code == 204 and answer.content == b""
    (set_,) = world.shop.polls(stream).values()
    said = world.shop.reads(set_)
    assert said["sub_id"] == {"format": "opaque", "id": stream}
    assert said["events"] == {VERIFICATION: {"state": "what I sent"}}
    again = world.shop.calls("POST", "/ssf/verify", {"stream_id": stream})
    assert again.status_code == 429 and 0 < int(again.headers["retry-after"]) <= 61
    world.clock.passes(seconds=60)
    world.shop.polls(stream, ack=[said["jti"]])
    assert world.shop.calls("POST", "/ssf/verify", {"stream_id": stream}).status_code == 204
    assert world.shop.hears(stream) == [(VERIFICATION, {})]


@pytest.mark.parametrize("state", [5, {}, "x" * 1001])
def test_a_state_is_a_text(world, state):
    stream = world.shop.opens()
    assert error(world.shop.calls("POST", "/ssf/verify", {"stream_id": stream, "state": state})) == "invalid_request"
    assert world.shop.polls(stream) == {}


def test_of_a_disabled_stream_there_is_nothing_to_verify(world):
    stream = world.shop.opens()
    world.shop.sets(stream, "disabled")
    assert error(world.shop.calls("POST", "/ssf/verify", {"stream_id": stream})) == "invalid_request"


# ---- we stop it ourselves


def test_a_stream_from_which_nobody_takes_is_stopped_and_the_app_reads_why(world):
    stream, other = world.shop.opens(), world.rival.opens()
    alice, consent = world.shares("alice")
    world.stops(alice, consent)
    world.clock.passes(days=29)
    streams.look_after(world.house.store, world.clock())
    assert world.shop.status(stream) == "enabled" and world.shop.polls(stream)
    world.clock.passes(days=2)
    streams.look_after(world.house.store, world.clock())
    assert world.shop.status(stream) == "disabled" and world.rival.status(other) == "enabled"
    said = {"status": "disabled", "reason": "Events have waited for too long."}
    assert world.shop.hears(stream) == [(UPDATED, said)], (
        "what waited is gone, and that is said although it is disabled"
    )
    streams.look_after(world.house.store, world.clock())
    assert world.shop.polls(stream) == {}, "it is said once"


def test_nothing_waits_for_ever(world):
    stream = world.shop.opens()
    world.shop.calls("POST", "/ssf/verify", {"stream_id": stream})
    world.clock.passes(days=32)
    pruning.prune(world.house.store, LEAVING, world.clock())
    assert world.shop.polls(stream) == {} and not world.rows(SignalEvent)


# ---- people


def subject(sub, iss=HOME):
    return {"format": "iss_sub", "iss": iss, "sub": sub}


def person(world, stream, what, subject, receiver=None):
    return (receiver or world.shop).calls("POST", f"/ssf/subjects/{what}", {"stream_id": stream, "subject": subject})


@pytest.mark.parametrize("form", ["iss_sub", "complex", "aliases"])
def test_an_app_does_without_somebody_and_hears_of_her_again(world, form):
    stream = world.shop.opens()
    alice, consent, hers = world.signs_in("alice")
    bob, his_consent, _ = world.signs_in("bob")
    named = {
        "iss_sub": subject(hers),
        "complex": {"format": "complex", "user": subject(hers), "device": {"format": "opaque", "id": "x"}},
        "aliases": {"format": "aliases", "identifiers": [{"format": "email", "email": "a@b.c"}, subject(hers)]},
    }[form]
    removed = person(world, stream, "remove", named)
    assert removed.status_code == 204 and removed.content == b""
    world.stops(alice, consent, "pause")
    world.stops(bob, his_consent, "pause")
    assert [event["grant_id"] for _, event in world.shop.hears(stream)] == [his_consent]
    added = person(world, stream, "add", named)
    assert added.status_code == 200 and added.content == b""
    world.stops(alice, consent, "resume")
    assert [event["grant_id"] for _, event in world.shop.hears(stream)] == [consent]


@pytest.mark.parametrize(
    "named",
    [
        subject("nobody"),
        subject("x", "https://elsewhere.example"),
        {"format": "email", "email": "alice@example.org"},
        {"format": "opaque", "id": "x"},
        {"format": "account", "uri": "acct:alice@example.org"},
        {"format": "phone_number", "phone_number": "+33123456789"},
        {"format": "did", "url": "did:example:1"},
        {"format": "uri", "uri": "https://example.org/alice"},
        {"format": "complex", "tenant": {"format": "opaque", "id": "x"}},
    ],
)
def test_the_answer_does_not_tell_who_is_known_here(world, named):
    stream = world.shop.opens()
    alice, consent, sub = world.signs_in("alice")
    known, unknown = person(world, stream, "add", subject(sub)), person(world, stream, "add", named)
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (200, b"")
    assert person(world, stream, "remove", named).status_code == 204
    world.stops(alice, consent)
    assert len(world.shop.hears(stream)) == 1, "her address means nobody: an app knows her by its own sub"


def test_the_sub_of_another_app_means_nobody(world):
    stream = world.shop.opens()
    alice, consent, _ = world.signs_in("alice")
    _, _, elsewhere = world.signs_in("alice", "rival")
    assert person(world, stream, "remove", subject(elsewhere)).status_code == 204
    world.stops(alice, consent)
    assert len(world.shop.hears(stream)) == 1


@pytest.mark.parametrize(
    "named",
    [None, "x", [], {}, {"format": "name", "name": "x"}, {"format": "iss_sub", "iss": HOME}, {"format": ["email"]},
     {"format": "email", "email": 5}, {"format": "aliases", "identifiers": []}, {"format": "complex"},
     {"format": "aliases", "identifiers": ["x"]}, {"format": "complex", "user": "x"},
     {"format": "email", "email": "x" * 1001}],
)  # fmt: skip
def test_what_is_no_subject_is_refused(world, named):
    stream = world.shop.opens()
    for what in ("add", "remove"):
        assert error(person(world, stream, what, named)) == "invalid_request"


def test_an_app_does_without_so_many_people_and_no_more(world, monkeypatch):
    monkeypatch.setattr(rules, "SILENCES", 2)
    stream = world.shop.opens()
    assert [person(world, stream, "remove", subject(sub)).status_code for sub in "abc"] == [204, 204, 429]


# ---- what is kept


def test_what_is_kept_of_an_app_and_its_people_is_what_this_needs(world):
    world.shop.opens(delivery={"method": PUSH, "endpoint_url": "https://shop.example/told",
                               "authorization_header": "Bearer hush"})  # fmt: skip
    (row,) = world.rows(SignalStream)
    assert row.authorization_sealed and b"hush" not in row.authorization_sealed
    assert b"Bearer hush" not in everything(world.house.store)


def test_the_scopes_are_in_the_metadata(world):
    said = world.shop.http.get("/.well-known/oauth-authorization-server").json()
    assert {MANAGE, READ} <= set(said["scopes_supported"])
    assert claims(world.shop.token(READ))["scope"] == READ
