"""Client authentication: an app authenticates by the one method it registered (RFC 6749 §2.3, RFC 7523).

Wrong credentials are counted per app and network. After too many in a minute this pair has to wait; the app itself,
calling from another network, is not locked out. However many calls come at once, no more tries than that are answered
by whether they were right: who was wrong has the turn of the pair alone, and who was right has it beside others who
were, so that an app's own calls do not wait for one another.

Authorization requests that come without authentication are counted in the same way, because each is stored and anyone
could fill the disk with them.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_plus

from sqlalchemy import case, or_
from sqlmodel import Session, col

from gateway.apps import certificates, registration
from gateway.apps.profiles import BY_CERTIFICATE, BY_SECRET
from gateway.apps.registration import Registration
from gateway.apps.tables import App
from gateway.authorization import assertions, rules
from gateway.authorization.rules import Refused
from gateway.authorization.tables import FailedAuthentication
from gateway.errors import TooMany
from gateway.ground.http.client_certificates import ClientCertificate
from gateway.ground.keys import hashed, same
from gateway.ground.keys.strict import is_text
from gateway.ground.store import Row, insert, row_of, turn, turn_beside

# Asked at every call.
_FAILED = "SELECT count FROM failedauthentication WHERE id = ? AND minute = ?"
_NOBODY = "0" * 64  # compared with when the app is unknown, so that it takes as long as a wrong secret


@dataclass(frozen=True, slots=True)
class Presented:
    """What a call contains that may authenticate the client."""

    form: Mapping[str, str]
    authorization: tuple[str, ...]  # every Authorization header
    network: str  # where the call comes from; only a trusted reverse proxy can name another address
    path: str = "/token"  # of the endpoint that is called
    certificate: ClientCertificate | None = None  # that the TLS connection has shown


@dataclass(frozen=True, slots=True)
class ShownCredentials:
    method: str
    client_id: str
    proof: str = ""


def authenticate(session: Session, presented: Presented, public_url: str, now: datetime) -> Registration:
    """The app that makes the call. Raises Refused (invalid_client, invalid_request, unauthorized_client) or TooMany."""
    shown, row = credentials(presented), row_of(session)
    client = registered(row, shown.client_id)
    key, minute = guesses(client, presented.network), int(now.timestamp()) // 60
    too_many = TooMany("client authentication", retry_after=60 - int(now.timestamp()) % 60)
    if used_up(row, key, minute):
        raise too_many
    if not _proved(session, client, shown, presented, public_url, now) or client is None:
        turn(session, f"client {key}")
        if not _counted(session, key, minute, rules.FAILURES_A_MINUTE):
            raise too_many
        raise Refused("invalid_client", status=401)
    if shown.method != "none" and turn_beside(session, f"client {key}") and used_up(row, key, minute):
        raise too_many
    claimed = presented.form.get("client_id")
    if claimed is not None and claimed != client.client_id:
        raise Refused("invalid_client", "client_id names another client.", status=401)
    if not client.active:
        raise Refused("unauthorized_client", "This client is suspended.", reason="suspended")
    return client


def find(session: Session, client_id: str) -> App | None:
    """The app of this client_id. None: there is none, or none any more."""
    row = session.get(App, client_id) if _may_be_one(client_id) else None
    return row if row and row.status != "deleted" else None


def registered(row: Row, client_id: str) -> Registration | None:
    """The same, as it is registered."""
    client = registration.found(row, client_id) if _may_be_one(client_id) else None
    return client if client and client.status != "deleted" else None


def _may_be_one(client_id: str) -> bool:
    """Whether it is worth to be looked for: what anybody may send is remembered where it is."""
    return len(client_id) <= registration.ID_LENGTH and is_text(client_id)


def guesses(client: Registration | None, network: str) -> str:
    """Under which wrong credentials are counted."""
    return hashed(f"{client.client_id if client else ''}\n{network}")


def used_up(row: Row, key: str, minute: int) -> bool:
    failed = row(_FAILED, (key, minute))
    return failed is not None and failed[0] >= rules.FAILURES_A_MINUTE


def is_its_secret(client: Registration | None, shown: ShownCredentials) -> bool:
    """Whether the client proves itself by a secret, in this way, and it is the right one."""
    kept = client.secret_sha256 if client else None
    return same(hashed(shown.proof), kept or _NOBODY) and client is not None and client.auth_method == shown.method


def _proved(
    session: Session,
    client: Registration | None,
    shown: ShownCredentials,
    presented: Presented,
    public_url: str,
    now: datetime,
) -> bool:
    if shown.method in BY_SECRET:
        return is_its_secret(client, shown)
    if client is not None and shown.method == "none" and client.auth_method in BY_CERTIFICATE:
        return certificates.prove(session.get_one(App, client.client_id), presented.certificate)
    if client is None or client.auth_method != shown.method:
        return False
    if shown.method == "private_key_jwt":
        return assertions.proves(session, shown.proof, client, public_url, presented.path, now)
    return shown.method == "none"


def credentials(presented: Presented) -> ShownCredentials:
    """The credentials of the call. Two methods at once are refused (RFC 6749 §2.3)."""
    form, headers = presented.form, presented.authorization
    if len(headers) > 1:
        raise Refused("invalid_request", "One Authorization header, please.")
    asserted = "client_assertion" in form or "client_assertion_type" in form
    if (len(headers) + asserted + ("client_secret" in form)) > 1:
        raise Refused("invalid_request", "More than one method of client authentication.")
    if headers:
        return _basic(headers[0])
    if asserted:
        if form.get("client_assertion_type") != rules.ASSERTION_TYPE:
            raise Refused("invalid_client", "Unknown client_assertion_type.", status=401)
        assertion = form.get("client_assertion", "")
        return ShownCredentials("private_key_jwt", assertions.subject(assertion) or "", assertion)
    if not form.get("client_id"):
        raise Refused("invalid_client", "No client authentication.", status=401)
    if "client_secret" in form:
        return ShownCredentials("client_secret_post", form["client_id"], form["client_secret"])
    return ShownCredentials("none", form["client_id"])


def _basic(header: str) -> ShownCredentials:
    """HTTP Basic (RFC 7617), in which both parts are form-encoded first (RFC 6749 §2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    wrong = Refused("invalid_client", "Not HTTP Basic.", status=401)
    if scheme.lower() != "basic" or not re.fullmatch(r" *[A-Za-z0-9+/]+={0,2} *", encoded):
        raise wrong
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise wrong from None
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise wrong
    return ShownCredentials("client_secret_basic", unquote_plus(client_id), unquote_plus(secret))


def count_request(session: Session, client_id: str, network: str, now: datetime) -> None:
    """Count an authorization request that names this app but is not authenticated. Raises TooMany."""
    key, minute = hashed(f"request\n{client_id}\n{network}"), int(now.timestamp()) // 60
    if not _counted(session, key, minute, rules.REQUESTS_A_MINUTE):
        raise TooMany("authorization requests", retry_after=60 - int(now.timestamp()) % 60)


def _counted(session: Session, key: str, minute: int, most: int) -> bool:
    """Count one more in this minute. False: there were as many as may be."""
    row = insert(session, FailedAuthentication).values(id=key, minute=minute, count=1)
    counted = row.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "minute": minute,
            "count": case((col(FailedAuthentication.minute) == minute, col(FailedAuthentication.count)), else_=0) + 1,
        },
        where=or_(col(FailedAuthentication.minute) != minute, col(FailedAuthentication.count) < most),
    )
    return bool(session.execute(counted).rowcount)  # type: ignore[attr-defined]
