"""Apps whose client_id is the https address of a document about themselves (OAuth Client ID Metadata Document).

Nobody registers them: the document is read when the app first turns up, and again when it is old, and is kept like a
registration of a client without a secret. Whoever changes it is asked about again, like whoever changes a declaration.
Only who controls the address can be the app; what the document says is not checked by anybody, and the screen says so.
"""

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.apps import dynamic, members, signing, verbs
from gateway.apps.members import Registrable
from gateway.apps.tables import App
from gateway.errors import DeclarationError, Fault, TooMany
from gateway.ground.http import fetching
from gateway.ground.http.connector import ConnectorError, Headers
from gateway.ground.keys import strict
from gateway.ground.ops.logs import logger
from gateway.ground.store.together import AtMost, Tries, one_at_a_time

if TYPE_CHECKING:
    from gateway.house import House

LIMIT = 5 * 1024  # bytes, as the draft advises (§6.6)
DEPTH = 8
LONGEST = 500  # characters of a client_id
SHORTLY, USUALLY, AT_MOST = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)  # until it is read again
AGAIN = timedelta(minutes=1)  # one that could not be read again is tried so often
LASTS = timedelta(days=1)  # … and for so long the app goes on as it was
READS = AtMost(30, 600)  # documents that one network makes us read
_NEVER = ("client_secret", "client_secret_expires_at")
_PASSED_OVER = ("sector_identifier_uri", "logo_uri")
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?([0-9]{1,9})")


def is_one(client_id: str) -> bool:
    return client_id.startswith("https://")


def wanted(row: App | None, now: datetime) -> bool:
    """Whether the document is to be read before the call is answered."""
    if row is None or row.document_until is None:
        return True
    return row.document_until <= now and (row.document_tried_at is None or row.document_tried_at + AGAIN <= now)


def holds(row: App | None, now: datetime) -> bool:
    """Whether what was read may still be used."""
    return row is not None and row.document_until is not None and now < row.document_until + LASTS


def read(house: "House", client_id: str, network: str, offered: Registrable, asked_at: datetime) -> None:
    """Read the document and keep what it says, unless another call has done so since. In a thread of a pool.

    `network`: of who makes us read it. Raises TooMany.
    """
    if not _may_be(client_id) or fetching.fault(client_id, house.settings):
        return
    wait = Tries(house.store, house.clock).hit((READS,), house.keys.mac("tries", "document", network))
    if wait:
        raise TooMany("client id documents", retry_after=wait)
    with one_at_a_time(house.store, f"document {client_id}"):
        with house.store.read() as session:
            row = session.get(App, client_id)
        if row is not None and row.document_tried_at is not None and row.document_tried_at >= asked_at:
            return
        try:
            fields, body = fetching.fetched(house.connector, house.settings, client_id, LIMIT)
            _keep(house, client_id, fields, body, offered)
        except (ConnectorError, strict.Malformed) as error:
            _failed(house, client_id, type(error).__name__)
        except DeclarationError as error:
            _failed(house, client_id, error.faults[0].key)


def _may_be(client_id: str) -> bool:
    """The draft's §3, and no query, which it advises against."""
    parts = urlsplit(client_id)
    dots = any(segment in (".", "..") for segment in re.sub("%2e", ".", parts.path, flags=re.IGNORECASE).split("/"))
    plain = re.fullmatch(r"https://[a-z0-9.-]+/[A-Za-z0-9\-._~%/@:!$&'()*+,;=]*", client_id)
    return len(client_id) <= LONGEST and plain is not None and not dots


def _keep(house: "House", client_id: str, fields: Headers, body: bytes, offered: Registrable) -> None:
    """Raises Malformed, DeclarationError."""
    media_type = _field(fields, b"content-type").split(";")[0].strip().lower()
    found = strict.loads(body, depth=DEPTH)
    if not isinstance(found, dict) or not re.fullmatch(r"application/([a-z0-9.-]+\+)?json", media_type):
        raise DeclarationError(client_id, [Fault("document", "is not a JSON object")])
    if found.get("client_id") != client_id:  # whoever copies a document is not the app
        raise DeclarationError(client_id, [Fault("client_id", "is not the address of the document")])
    if any(name in found for name in _NEVER):
        raise DeclarationError(client_id, [Fault("client_secret", "has no place in a public document")])
    said = members.document({**found, **dict.fromkeys(_PASSED_OVER)}, client_id, offered)
    declared, now = members.declaration(said, None, "document"), house.clock()
    with house.store.write() as session:
        dynamic.check_names(session, declared)
        row, _ = verbs.register(session, house.catalogue, house.settings, declared, now)
        row.document_tried_at, row.document_until = now, now + _fresh_for(_field(fields, b"cache-control"))
        session.add(row)
    signing.make_missing(house, now)


def _failed(house: "House", client_id: str, why: str) -> None:
    logger().info("client id document", client=client_id, why=why)
    with house.store.write() as session:
        row = session.get(App, client_id)
        if row is not None and row.came_by == "document":
            row.document_tried_at = house.clock()
            session.add(row)


def _field(fields: Headers, name: bytes) -> str:
    return ", ".join(value.decode("latin-1") for key, value in fields if key == name)


def _fresh_for(cache_control: str) -> timedelta:
    """By its own word (RFC 9111 §5.2.2), within our bounds."""
    said = cache_control.lower()
    if "no-store" in said or "no-cache" in said:
        return SHORTLY
    found = _MAX_AGE.search(said)
    return min(max(timedelta(seconds=int(found[1])), SHORTLY), AT_MOST) if found else USUALLY
