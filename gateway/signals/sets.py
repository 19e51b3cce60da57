"""An event as a signed statement: a Security Event Token (RFC 8417, as SSF profiles it).

It is made anew each time it is sent, and always says the same: what it says stands in the row. `sub_id` alone names the
person, by the `sub` under which this app knows her and nobody else does. No `sub` and no `exp`, so that it cannot be
taken for an ID token (RFC 8417 §4.5).
"""

import json
from typing import Any

from gateway.apps.registration import Registration
from gateway.authorization.subjects import subject
from gateway.ground.keys import KeyRing
from gateway.signals.tables import SignalEvent, SignalStream

TYPE = "secevent+jwt"
MEDIA_TYPE = "application/secevent+jwt"


def sub(keys: KeyRing, client: Registration, event: SignalEvent) -> str:
    """By which `sub` the app knows the person of this event; "": it is about the stream."""
    return subject(keys, event.person_id, client) if event.person_id else ""


def signed(keys: KeyRing, issuer: str, client: Registration, stream: SignalStream, event: SignalEvent) -> str:
    """Raises Unavailable where there is no key of the algorithm that the app registered for what it is told."""
    claims = {
        "iss": issuer,
        "aud": stream.client_id,
        "iat": int(event.at.timestamp()),
        "jti": event.jti,
        "txn": event.jti,  # of each app its own: two of them cannot find out that theirs have one cause
        "sub_id": _sub_id(issuer, sub(keys, client, event), stream, event),
        "events": {event.type: json.loads(event.about)},
    }
    return keys.sign(claims, typ=TYPE, algorithm=client.id_token_alg)


def _sub_id(issuer: str, sub: str, stream: SignalStream, event: SignalEvent) -> dict[str, Any]:
    """RFC 9493. Of one sign-in of several: `complex` (SSF §3), since the others of the person have not ended."""
    if not sub:
        return {"format": "opaque", "id": stream.id}
    person = {"format": "iss_sub", "iss": issuer, "sub": sub}
    if not event.session:
        return person
    return {"format": "complex", "user": person, "session": {"format": "opaque", "id": event.session}}
