"""What an app keeps at an address of its own and we read: its keys (`jwks_uri`), its logo, the list of its sector.

Nothing here is called in a transaction or in a thread of the doors: `ground.http.fetching` has the rules of the call.
What is read is checked like what stands in a registration.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gateway.apps import logos
from gateway.apps.profiles import DEFAULT, PROFILES
from gateway.apps.tables import App
from gateway.errors import Fault
from gateway.ground.http import fetching
from gateway.ground.http.connector import ConnectorError
from gateway.ground.keys import keysets, strict
from gateway.ground.store.together import one_at_a_time

if TYPE_CHECKING:
    from gateway.house import House

JWKS_LIMIT = 64 * 1024  # bytes
SECTOR_LIMIT = 64 * 1024
DEPTH = 8

AGAIN = timedelta(seconds=10)  # so often keys are read again at most, however many signatures do not fit
OLD = timedelta(days=1)  # older keys are read again before they are used …
OLD_AGAIN = timedelta(minutes=10)  # … or, if that fails, tried again so often
LASTS = timedelta(days=7)  # for so long keys that were read are used although they cannot be read again


@dataclass(frozen=True, slots=True)
class Read:
    """What stood at the addresses in a registration."""

    jwks: Mapping[str, Any] | None = None
    logo: Mapping[str, str] | None = None


def addresses(document: Mapping[str, Any]) -> list[str]:
    return [document[key] for key in ("jwks_uri", "logo_uri", "sector_identifier_uri") if document.get(key)]


def read(house: "House", document: Mapping[str, Any]) -> tuple[Read, list[Fault]]:
    """Read all of them, and what is wrong with it. The faults do not say what was found, or why nothing was."""
    faults, jwks, shown = [], None, None
    if uri := document.get("jwks_uri"):
        jwks = _jwks(house, uri, _signs(document))
        if jwks is None:
            faults.append(Fault("jwks_uri", "does not lead to public keys", "serve a JWK set there"))
    if uri := document.get("sector_identifier_uri"):
        listed = _json(house, uri, SECTOR_LIMIT)
        if not isinstance(listed, list) or not set(document["redirect_uris"]) <= {one for one in listed if _text(one)}:
            right = "serve a JSON list of all redirect_uris there"
            faults.append(Fault("sector_identifier_uri", "does not list all redirect_uris", right))
    if uri := document.get("logo_uri"):
        shown = logo(house, uri)
        if shown is None:
            faults.append(Fault("logo_uri", "does not lead to a logo", "serve a small PNG, or an SVG of still shapes"))
    return Read(jwks, shown), faults


def _text(value: object) -> bool:
    return isinstance(value, str)


def _signs(document: Mapping[str, Any]) -> Sequence[str]:
    return PROFILES[document.get("profile", DEFAULT)].signs


def _json(house: "House", uri: str, limit: int) -> object:
    try:
        return strict.loads(fetching.fetch(house.connector, house.settings, uri, limit), depth=DEPTH)
    except (ConnectorError, strict.Malformed):
        return None


def _jwks(house: "House", uri: str, signs: Sequence[str]) -> dict[str, Any] | None:
    """The keys there that can be used for signatures; None: none. Others beside them, for encryption or of kinds that
    are not accepted, are passed over: one set may be for several servers."""
    found = _json(house, uri, JWKS_LIMIT)
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list):
        return None
    fine = [key for key in keys if isinstance(key, dict) and keysets.fault(key, signs) is None][: keysets.MAX_KEYS]
    return {"keys": fine} if fine else None


def logo(house: "House", uri: str) -> dict[str, str] | None:
    """The picture there, as it is kept; None: none that may be shown."""
    try:
        accept = "image/png, image/svg+xml"
        content = fetching.fetch(house.connector, house.settings, uri, logos.MAX_BYTES, accept)
    except ConnectorError:
        return None
    suffix = next((one for one in logos.MEDIA_TYPES if logos.fault(one, content) is None), None)
    return {"media_type": logos.MEDIA_TYPES[suffix], "base64": base64.b64encode(content).decode()} if suffix else None


# ---- keys, again and again


def keys_wanted(row: App, fits: bool, now: datetime) -> bool:
    """Whether the keys are to be read before the call is answered. `fits`: what the caller signed is by a key that was
    read before. (A new key works at once, and whoever sends what fits no key causes a call in ten seconds at most.)"""
    if not row.metadata_.get("jwks_uri"):
        return False
    tried = row.jwks_tried_at
    if row.jwks_read_at is None or not fits:
        return tried is None or tried + AGAIN <= now
    return row.jwks_read_at + OLD <= now and (tried is None or tried + OLD_AGAIN <= now)


def read_keys(house: "House", client_id: str, asked_at: datetime) -> None:
    """Read the app's keys again, unless another call has done so since `asked_at`. In a thread of a pool."""
    with one_at_a_time(house.store, f"jwks {client_id}"):
        with house.store.read() as session:
            row = session.get(App, client_id)
            uri = row.metadata_.get("jwks_uri") if row else None
            signs = _signs(row.metadata_) if row else ()
            if not row or not uri or (row.jwks_tried_at is not None and row.jwks_tried_at >= asked_at):
                return
        found, now = _jwks(house, uri, signs), house.clock()
        with house.store.write() as session:
            row = session.get(App, client_id)
            if row is not None and row.metadata_.get("jwks_uri") == uri:
                keep_keys(row, found, now)
                session.add(row)


def keep_keys(row: App, jwks: Mapping[str, Any] | None, now: datetime) -> None:
    """`jwks`: as they were read; None: they could not be, and the last ones hold for a while."""
    row.jwks_tried_at = now
    if jwks is not None:
        row.jwks_read, row.jwks_read_at = dict(jwks), now
    elif row.jwks_read_at is not None and row.jwks_read_at + LASTS <= now:
        row.jwks_read = row.jwks_read_at = None
