"""What apps are told, of whom, and who is not told (SSF 1.0, CAEP 1.0)."""

import json

import pytest
from signals_world import (
    CHANGED,
    CREDENTIAL,
    ENDED,
    HOME,
    PAUSED,
    PUSH,
    RESUMED,
    SESSION,
    TOKENS_ENDED,
)

from gateway.app import build_house
from gateway.apps import dynamic
from gateway.apps.tables import App
from gateway.authorization import unclaimed
from gateway.consent import deciding, expiry
from gateway.consent.actors import OPERATOR, SYSTEM
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from gateway.people import accounts
from gateway.people.tables import Person
from gateway.signals import streams
from gateway.signals.tables import SignalEvent, SignalSilence, SignalStream
from tests.tokens import claims


def when(world, **more):
    return {"event_timestamp": int(world.clock.now.timestamp()), **more}


def end(world, consent, actor, reason):
    with world.house.store.write() as session:
        row = session.get_one(Consent, consent)
        assert deciding.end(session, world.house.log, row, actor, reason, world.clock.now)


# ---- consents


def test_alice_pauses_resumes_and_ends_and_the_app_is_told_in_that_order(world):
    stream = world.shop.opens()
    alice, consent = world.shares("alice")
    for act in ("pause", "resume", "pause", "stop"):
        world.stops(alice, consent, act)
    mine = {"grant_id": consent, **when(world, initiating_entity="user")}
    assert world.shop.hears(stream) == [
        (PAUSED, mine),
        (RESUMED, mine),
        (PAUSED, mine),
        (ENDED, {**mine, "reason": "withdrawn"}),
    ]


def test_an_end_by_its_date_is_told_when_it_is_recorded(world):
    stream = world.shop.opens()
    _, consent = world.shares("alice")
    world.clock.passes(days=400)
    expiry.write_due(world.house, world.clock())
    ((kind, event),) = world.shop.hears(stream)
    assert kind == ENDED and (event["grant_id"], event["reason"]) == (consent, "expired")
    assert event["initiating_entity"] == "system"


def test_an_end_by_the_app_itself_is_told_as_well(world):
    stream = world.shop.opens()
    _, consent = world.shares("alice")
    token = world.shop.token("grant_management_revoke")
    assert world.shop.calls("DELETE", f"/grants/{consent}", token=token).status_code == 204
    assert world.shop.hears(stream) == [(ENDED, {"grant_id": consent, "reason": "by_app", **when(world)})]


@pytest.mark.parametrize(
    ("actor", "reason", "initiator"),
    [(OPERATOR, EndReason.INVALIDATED, "admin"), (SYSTEM, EndReason.USED_UP, "system")],
)
def test_an_end_by_somebody_else_says_who_began_it(world, actor, reason, initiator):
    stream = world.shop.opens()
    _, consent = world.shares("alice")
    end(world, consent, actor, reason)
    event = {"grant_id": consent, "reason": str(reason), **when(world, initiating_entity=initiator)}
    assert world.shop.hears(stream) == [(ENDED, event)]


def test_a_pause_of_everything_by_the_operator_reaches_each_app(world):
    streams = world.shop.opens(), world.rival.opens()
    _, consent = world.shares("alice")
    _, other = world.shares("bob", "rival")
    assert deciding.pause_all(world.house.store, world.house.log, OPERATOR, "", world.clock.now) == 2
    said = when(world, initiating_entity="admin")
    assert world.shop.hears(streams[0]) == [(PAUSED, {"grant_id": consent, **said})]
    assert world.rival.hears(streams[1]) == [(PAUSED, {"grant_id": other, **said})]


def test_what_a_command_of_the_operator_does_is_heard_as_what_a_page_does(world):
    """`aval log restart` pauses everything so, in a process of its own."""
    stream = world.shop.opens()
    _, consent = world.shares("alice")
    house = build_house(world.house.settings)
    try:
        assert deciding.pause_all(house.store, house.log, OPERATOR, "restored", world.clock.now) == 1
    finally:
        house.store.close()
    said = {"grant_id": consent, "reason": "restored", **when(world, initiating_entity="admin")}
    assert world.shop.hears(stream) == [(PAUSED, said)]


def test_what_is_replaced_by_a_new_agreement_is_told_as_ended(world):
    stream = world.shop.opens()
    alice, old = world.shares("alice")
    new = alice.tokens("shop", prompt="consent")["grant_id"]
    assert new != old
    ((kind, event),) = world.shop.hears(stream)
    assert (kind, event["grant_id"], event["reason"]) == (ENDED, old, "replaced")


def test_an_agreement_that_the_app_never_came_for_is_told(world):
    stream = world.shop.opens()
    world.browser(person="alice").code("shop")
    world.clock.passes(days=2)
    unclaimed.end_due(world.house, world.clock())
    ((kind, event),) = world.shop.hears(stream)
    assert (kind, event["reason"]) == (ENDED, "unclaimed")


def test_what_nobody_answered_is_not_told(world):
    stream = world.shop.opens()
    world.browser(person="alice").asked("shop")
    world.clock.passes(days=2)
    assert expiry.write_due(world.house, world.clock()) == 1
    assert world.events("alice")[-1] == "consent_ended" and world.shop.polls(stream) == {}


def test_a_change_says_which_kind_it_is(world):
    stream = world.shop.opens()
    alice, consent = world.shares("alice")
    alice.tokens("shop", scope="openid email", grant_management_action="merge", grant_id=consent)
    ((kind, event),) = world.shop.hears(stream)
    assert kind == CHANGED
    assert event == {"grant_id": consent, "change": "extended", **when(world, initiating_entity="user")}


def test_a_code_used_twice_ends_its_tokens_and_the_app_is_told(world):
    stream = world.shop.opens()
    code = world.browser(person="alice").code("shop")
    grant = world.redeem(code, "shop").json()["grant_id"]
    assert world.redeem(code, "shop").status_code == 400
    assert world.shop.hears(stream) == [(TOKENS_ENDED, {"grant_id": grant, "reason": "replayed", **when(world)})]


def test_a_deleted_app_leaves_nothing_that_could_be_sent(world):
    site = world.website(202)
    stream = world.shop.opens(delivery={"method": PUSH, "endpoint_url": site.address})
    _, _, sub = world.signs_in("alice")
    named = {"stream_id": stream, "subject": {"format": "iss_sub", "iss": HOME, "sub": sub}}
    assert world.shop.calls("POST", "/ssf/subjects/remove", named).status_code == 204
    world.shares("bob")
    with world.house.store.write() as session:
        dynamic.delete(session, world.house.log, session.get_one(App, "shop"), world.clock.now)
    world.settle()
    assert not site.got
    streams.look_after(world.house.store, world.clock())
    assert not [*world.rows(SignalStream), *world.rows(SignalSilence), *world.rows(SignalEvent)]


# ---- sign-ins and credentials


def test_an_app_is_told_that_the_sign_in_it_knows_has_ended(world):
    stream = world.shop.opens()
    alice = world.browser(person="alice")
    hers = claims(alice.tokens("shop")["id_token"])
    other = world.browser(person="alice")
    other.tokens("shop")
    alice.submit(alice.get("/account"), "/sign-out")
    (set_,) = world.shop.polls(stream).values()
    said = world.shop.reads(set_)
    assert said["sub_id"] == {
        "format": "complex",
        "user": {"format": "iss_sub", "iss": HOME, "sub": hers["sub"]},
        "session": {"format": "opaque", "id": hers["sid"]},
    }
    assert said["events"] == {SESSION: when(world)}
    assert other.is_signed_in(), "and of the one that has not ended nothing is said"


def test_an_app_that_signs_her_in_is_told_that_a_credential_has_changed(world):
    stream, elsewhere = world.shop.opens(), world.rival.opens()
    world.shares("alice")
    world.shares("bob", "rival")
    changes_password(world, "alice")
    (set_,) = world.shop.polls(stream).values()
    said = world.shop.reads(set_)
    event = when(world, initiating_entity="user", credential_type="password", change_type="update")
    assert said["events"] == {CREDENTIAL: event} and said["sub_id"]["format"] == "iss_sub"
    assert world.rival.polls(elsewhere) == {}, "Bob's app does not know Alice"


def test_an_app_that_signs_her_in_no_more_is_not_told(world):
    stream = world.shop.opens(events_requested=[CREDENTIAL])
    alice, consent = world.shares("alice")
    world.stops(alice, consent)
    changes_password(world, "alice")
    assert world.shop.polls(stream) == {}


def test_an_agreement_past_its_date_counts_no_more_even_if_that_is_not_recorded_yet(world):
    stream = world.shop.opens(events_requested=[CREDENTIAL])
    world.shares("alice")
    world.clock.passes(days=400)
    changes_password(world, "alice")
    assert world.shop.polls(stream) == {}


@pytest.mark.parametrize(
    ("kind", "credential", "change"),
    [
        ("passkey_added", "passkey", "create"),
        ("passkey_removed", "passkey", "delete"),
        ("totp_on", "app", "create"),
        ("totp_off", "app", "delete"),
    ],
)
def test_each_credential_is_named(world, kind, credential, change):
    stream = world.shop.opens()
    world.shares("alice")
    world.records("alice", kind)
    ((_, event),) = world.shop.hears(stream)
    assert (event["credential_type"], event["change_type"]) == (credential, change)


def changes_password(world, person):
    with world.house.store.write() as session:
        row = session.get_one(Person, world.people[person])
        accounts.change_password(session, world.house.log, row, "another", world.clock.now)


# ---- who hears of whom


def test_an_app_hears_nothing_of_another_apps_people_and_consents(world):
    shop, rival = world.shop.opens(), world.rival.opens()
    alice, consent = world.shares("alice")
    alice.tokens("rival")
    world.stops(alice, consent, "pause")
    world.stops(alice, consent)
    assert [event["grant_id"] for _, event in world.shop.hears(shop)] == [consent, consent]
    assert world.rival.polls(rival) == {}


def test_two_apps_cannot_compare_what_they_are_told_of_one_person(world):
    streams = world.shop.opens(), world.rival.opens()
    alice, _ = world.shares("alice")
    alice.tokens("rival")
    changes_password(world, "alice")
    (one,), (other,) = (world.shop.polls(streams[0]).values(), world.rival.polls(streams[1]).values())
    one, other = world.shop.reads(one), world.rival.reads(other)
    assert one["sub_id"]["sub"] != other["sub_id"]["sub"]
    assert not {one["jti"], one["txn"]} & {other["jti"], other["txn"]}


def test_an_app_gets_only_the_types_that_it_asked_for(world):
    stream = world.shop.opens(events_requested=[ENDED])
    alice, consent = world.shares("alice")
    world.records("alice", "passkey_added")
    world.stops(alice, consent, "pause")
    world.stops(alice, consent)
    assert [kind for kind, _ in world.shop.hears(stream)] == [ENDED]
    assert world.shop.calls("GET", "/ssf/streams").json()[0]["events_delivered"] == [ENDED]
    world.shop.calls("PUT", "/ssf/streams", {"stream_id": stream})
    world.stops(*world.shares("alice"))
    assert world.shop.polls(stream) == {}, "who asks for nothing gets nothing"


def test_without_a_stream_nothing_is_kept_of_anybody(world):
    alice, consent = world.shares("alice")
    changes_password(world, "alice")
    world.stops(alice, consent)
    alice.submit(alice.get("/account"), "/sign-out")
    assert not world.rows(SignalEvent)


def test_what_waits_holds_no_data_of_the_person(world):
    world.shop.opens()
    alice, consent = world.shares("alice")
    changes_password(world, "alice")
    world.stops(alice, consent)
    alice.submit(alice.get("/account"), "/sign-out")
    allowed = {"grant_id", "reason", "change", "event_timestamp", "initiating_entity", "credential_type", "change_type"}
    for row in world.rows(SignalEvent):
        assert json.loads(row.about).keys() <= allowed
        assert "alice" not in row.about.lower()


# ---- with its cause, or not at all


def test_an_end_that_is_undone_is_not_told(world):
    stream = world.shop.opens()
    _, consent = world.shares("alice")

    class Undone(Exception):
        pass

    with pytest.raises(Undone), world.house.store.write() as session:
        row = session.get_one(Consent, consent)
        deciding.end(session, world.house.log, row, OPERATOR, EndReason.INVALIDATED, world.clock.now)
        raise Undone
    assert world.shop.polls(stream) == {} and not world.rows(SignalEvent)
    end(world, consent, OPERATOR, EndReason.INVALIDATED)
    assert len(world.shop.polls(stream)) == 1


def test_an_end_that_happens_twice_is_told_once(world):
    stream = world.shop.opens()
    alice, consent = world.shares("alice")
    page = alice.get(f"/sharings/{consent}/stop")
    for _ in range(2):
        alice.submit(page, f"/sharings/{consent}/stop")
    assert len(world.shop.polls(stream)) == 1
