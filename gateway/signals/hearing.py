"""What happens becomes events in streams, in the transaction in which it happens.

`HEARS` is handed to the log by the composition root: so whatever ends a consent is heard, in whichever process it runs
and whoever did it, since nothing ends without an entry. A gateway without streams only looks into an empty table.

It is written on bare connections, because the data plane ends a consent for one use on one of its own.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlmodel import Session

from gateway.authorization import families, id_tokens, logout
from gateway.consent import deciding
from gateway.consent.rules import NEVER_A_SHARING
from gateway.ground.keys import KeyRing, fresh
from gateway.ground.store import Connection, raw, stored
from gateway.log import Event
from gateway.log.record import Hear
from gateway.signals import rules
from gateway.signals.rules import Status

_STREAM = "SELECT id, requested FROM signalstream WHERE client_id = ? AND status <> ?"
_STREAMS = "SELECT client_id, id, requested FROM signalstream WHERE status <> ?"
_PUT = "INSERT INTO signalevent (jti, stream_id, person_id, session, type, about, at) VALUES (?, ?, ?, ?, ?, ?, ?)"


def put(
    connection: Connection,
    stream: str,
    kind: str,
    about: Mapping[str, object],
    at: datetime,
    person: str = "",
    session: str = "",
) -> None:
    """Let an event of this type wait in the stream. `person`: whom it is about; "": the stream itself."""
    text = json.dumps(dict(about), ensure_ascii=False, sort_keys=True)
    connection.execute(_PUT, (fresh(16), stream, person, session, kind, text, stored(at)))


def _consent(connection: Connection, event: Event) -> None:
    """To the one app whose consent it is."""
    kind, more = rules.CONSENTS[event.kind]
    facts = event.facts
    if facts.get("reason") in NEVER_A_SHARING:  # there is no grant that the app could know
        return
    stream = _wanting(connection, str(facts["client"]), kind)
    if stream:
        reason = {"reason": str(facts["reason"])} if facts.get("reason") else {}
        about = {"grant_id": str(facts["consent"]), **reason, **more, **_when(event)}
        put(connection, stream, kind, about, event.at, event.person)


def _credential(connection: Connection, event: Event) -> None:
    """To apps to which she signs in with her account here, for as long as her agreement to that runs."""
    wanting = dict(_all_wanting(connection, rules.CREDENTIAL_CHANGE))
    if not wanting:
        return
    signed_in = families.signing_in(connection, event.person)
    concerned = [(client, consent) for client, consent in signed_in if client in wanting]
    running = deciding.running(connection, {consent for _, consent in concerned}, event.at)
    about = {**rules.CREDENTIALS[event.kind], **_when(event)}
    for client in sorted({client for client, consent in concerned if consent in running}):
        put(connection, wanting[client], rules.CREDENTIAL_CHANGE, about, event.at, event.person)


HEARS: Mapping[str, Hear] = {
    **dict.fromkeys(rules.CONSENTS, _consent),
    **dict.fromkeys(rules.CREDENTIALS, _credential),
}


def sign_ins_ended(keys: KeyRing, session: Session, person: str, series: list[str], now: datetime) -> None:
    """Implements people.sign_ins.SignInsEnded: to apps that got an ID token of one of these series of sign-ins. Only
    they know of it, as `sid`; tokens for data do not end with it."""
    connection = raw(session)
    wanting: dict[str, str] | None = None
    for client, one in logout.told_of(session, series):
        if wanting is None:
            wanting = dict(_all_wanting(connection, rules.SESSION_REVOKED))
        if client in wanting:
            sid = id_tokens.sid(keys, one, client)
            about = {"event_timestamp": int(now.timestamp())}
            put(connection, wanting[client], rules.SESSION_REVOKED, about, now, person, sid)


def _wanting(connection: Connection, client: str, kind: str) -> str:
    """The stream of this app, if it takes such events; "": it has none, or does not."""
    found = connection.execute(_STREAM, (client, Status.DISABLED)).fetchone()
    return str(found[0]) if found and kind in json.loads(found[1]) else ""


def _all_wanting(connection: Connection, kind: str) -> Iterator[tuple[str, str]]:
    """(app, stream) of every app that takes such events."""
    for client, stream, requested in connection.execute(_STREAMS, (Status.DISABLED,)).fetchall():
        if kind in json.loads(requested):
            yield client, stream


def _when(event: Event) -> dict[str, object]:
    """When it was, and who began it (CAEP 1.0 §2)."""
    initiator = rules.INITIATORS.get(event.actor)
    return {
        "event_timestamp": int(event.at.timestamp()),
        **({"initiating_entity": initiator} if initiator else {}),
    }
