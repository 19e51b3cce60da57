"""What was ended on a frozen log is done again before anything is given, however the log is found whole."""

import logging
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlmodel import Session

from gateway.app import Application
from gateway.apps.tables import App
from gateway.consent import deciding, meanwhile
from gateway.consent.actors import herself
from gateway.consent.meanwhile import Done
from gateway.consent.tables import Consent
from gateway.log import Event, Log
from gateway.log.sequencer import Sequencer
from gateway.people.tables import Person
from tests.callers import TestClient

AGO = timedelta(hours=1)


@pytest.fixture(autouse=True)
def shares(application: Application) -> None:
    """Alice shares with an app, and stopped that an hour ago in a copy of this database that is gone."""
    house = application.house
    now = house.clock()
    declared = {"metadata_": {}, "metadata_sha256": "", "auth_method": "none"}
    with house.store.write() as session:
        session.add(Person(id="alice", email="alice@example.org", name="Alice", language="en", created_at=now))
        session.add(App(client_id="app", registered_at=now, changed_at=now, **declared))
        session.flush()
        agrees(session, "first", now - 3 * AGO)
        house.log.record(session, Event("sign_in", "alice", now))
    application.sequencer.integrate_once()
    keep(house.log, stopped(now - AGO))


def keep(log: Log, done: Done) -> None:
    log.frozen = "as a test says"
    meanwhile.keep(log, done)
    log.frozen = ""


def agrees(session: Session, consent: str, at: datetime, **more: Any) -> None:
    values = {"state": "active", "asked": "{}", "until": at + timedelta(days=9)} | more
    row = Consent(id=consent, person_id="alice", app_id="app", purpose="p", created_at=at, granted_at=at, **values)
    session.add(row)
    session.flush()


def stopped(at: datetime, act: str = "ended") -> Done:
    return Done("consent", "first", act, herself("alice"), "withdrawn" if act == "ended" else "", at)


def state(application: Application, consent: str = "first") -> str:
    with application.house.store.read() as session:
        return session.get_one(Consent, consent).state


def served(application: Application) -> TestClient:
    return TestClient(application, base_url=application.house.settings.public_url)


def test_a_start_on_a_whole_log_does_it_again_once(application: Application) -> None:
    with served(application):
        assert state(application) == "ended"
        assert meanwhile.kept(application.house.log) == []


def test_a_frozen_log_that_is_found_whole_while_it_serves_does_it_again_before_it_thaws(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = application.house.settings
    away = settings.mark.with_name("away")
    settings.mark.rename(away)
    with served(application):
        assert application.house.log.frozen and state(application) == "active"
        away.rename(settings.mark)
        with monkeypatch.context() as patched:
            patched.setattr(meanwhile, "forget", lambda _log: (_ for _ in ()).throw(OSError(5, "input/output")))
            application.sequencer._beat()
            assert application.house.log.frozen, "while it cannot be done, nothing is given"
        application.sequencer._beat()
        assert not application.house.log.frozen and state(application) == "ended"


def test_what_only_could_not_be_looked_at_for_a_moment_is_no_exception(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(sequencer: Sequencer) -> None:
        application.house.log.frozen = "cannot be looked at: RuntimeError"

    monkeypatch.setattr(Sequencer, "_check", check)
    with served(application):
        application.sequencer._beat()
        assert not application.house.log.frozen and state(application) == "ended"


@pytest.mark.parametrize(("since", "then"), [(2 * AGO, "ended"), (AGO / 2, "active")])
def test_a_stop_is_of_what_has_replaced_it_before_and_of_nothing_that_came_after(
    application: Application, since: timedelta, then: str
) -> None:
    now = application.house.clock()
    with application.house.store.write() as session:
        first = session.get_one(Consent, "first")
        first.state, first.reason, first.ended_at = "ended", "replaced", now - since
        agrees(session, "second", now - since, replaces="first")
    with served(application):
        assert state(application, "second") == then


def test_what_she_resumed_since_is_not_paused_by_the_same_list_once_more(application: Application) -> None:
    house = application.house
    meanwhile.forget(house.log)
    for expected in ("paused", "active"):
        keep(house.log, stopped(house.clock() - AGO, "paused"))
        with served(Application(house)):
            assert state(application) == expected
        with house.store.write() as session:
            deciding.resume(session, house.log, session.get_one(Consent, "first"), herself("alice"), house.clock())


@pytest.mark.parametrize("change", [{"reason": "no such reason"}, {"at": "no time"}, {"what": "nothing"}, {"id": 7}])
def test_a_line_of_another_form_is_told_and_takes_no_other_with_it(
    application: Application, caplog: pytest.LogCaptureFixture, change: dict[str, object]
) -> None:
    file = meanwhile.path(application.house.log)
    line = msgspec.to_builtins(stopped(application.house.clock())) | change
    file.write_bytes(b"\n" + msgspec.json.encode(line) + b"\n" + file.read_bytes())
    with caplog.at_level(logging.ERROR, "aval.consent"), served(application):
        assert state(application) == "ended"
    assert "one line is not of its form" in caplog.text
