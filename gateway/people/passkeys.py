"""Passkeys (WebAuthn level 3). A person adds one while signed in, and can then sign in with it alone.

User verification is required and checked, so a passkey counts as two factors. Credentials are discoverable, so no
address has to be typed. Every ceremony answers a challenge made here. The challenge travels in the form with a MAC
that binds it to the purpose and the browser, so that making one writes nothing. A valid answer spends the challenge by
one INSERT, in the same transaction as what it is used for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import webauthn
from sqlmodel import Session, select
from webauthn.helpers import options_to_json, parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gateway.ground.keys import KeyRing, same
from gateway.ground.keys.jose import decoded, encoded
from gateway.ground.keys.strict import is_text
from gateway.ground.store import insert
from gateway.log import Event, Log
from gateway.people.tables import Passkey, Person, SpentChallenge
from gateway.settings import Settings

MINUTES = 5  # how long a challenge is valid
_LONGEST = 16 * 1024  # characters of a browser's answer
_LONGEST_ID = 1023  # bytes of a credential's id (WebAuthn §4)


def _relying_party(settings: Settings) -> str:
    return str(urlsplit(settings.public_url).hostname)


def handle(keys: KeyRing, person: str) -> bytes:
    """The user handle for the authenticator. Derived from the person's id, because the id never leaves the gateway."""
    return keys.pairwise(person, "passkeys").encode()


@dataclass(frozen=True, slots=True)
class PasskeyChallenge:
    """A challenge to answer. `sealed` is sent in the form, `options` (JSON) to the browser's dialogue."""

    sealed: str
    options: str


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a challenge may be used for. `bound`: a secret of this browser's pages, so that no other browser can use
    the challenge."""

    keys: KeyRing
    settings: Settings
    purpose: str  # register | sign_in
    bound: str

    def sealed(self, chance: bytes, now: datetime) -> str:
        challenge, until = encoded(chance), str(int(now.timestamp()) + MINUTES * 60)
        return f"{challenge}.{until}.{self._mac(challenge, until)}"

    def challenge(self, sealed: str, now: datetime) -> bytes | None:
        """The challenge in `sealed`, if it was made for this ceremony and is still valid; otherwise None."""
        challenge, _, rest = sealed.partition(".")
        until, _, mac = rest.partition(".")
        if not same(mac, self._mac(challenge, until)) or int(until) <= now.timestamp():
            return None
        return decoded(challenge)

    def _mac(self, challenge: str, until: str) -> str:
        return self.keys.mac("passkey-challenge", self.purpose, self.bound, challenge, until)


def _spend(session: Session, challenge: bytes, now: datetime) -> bool:
    """Spend a challenge. False: it was answered before. The row is kept until the challenge would have expired."""
    row = insert(session, SpentChallenge).values(id=encoded(challenge), expires_at=now + timedelta(minutes=MINUTES))
    return bool(session.execute(row.on_conflict_do_nothing()).rowcount)  # type: ignore[attr-defined]


# ---- adding one


def begin_adding(
    session: Session, ceremony: Ceremony, person: Person, chance: bytes, now: datetime
) -> PasskeyChallenge:
    """`chance`: 32 random bytes."""
    settings, keys = ceremony.settings, ceremony.keys
    options = webauthn.generate_registration_options(
        rp_id=_relying_party(settings),
        rp_name=settings.operator_name,
        user_id=handle(keys, person.id),
        user_name=person.email,
        user_display_name=person.name,
        challenge=chance,
        timeout=MINUTES * 60_000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=decoded(passkey.credential_id))
            for passkey in of_person(session, person.id)
        ],
    )
    return PasskeyChallenge(ceremony.sealed(chance, now), options_to_json(options))


def add(
    session: Session, log: Log, ceremony: Ceremony, person: Person, sealed: str, answer: str, name: str, now: datetime
) -> bool:
    """Store the passkey that the browser made. False: the answer is not valid, or not to our challenge."""
    challenge, settings = ceremony.challenge(sealed, now), ceremony.settings
    if challenge is None or len(answer) > _LONGEST:
        return False
    try:
        made = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=_relying_party(settings),
            expected_origin=settings.public_url,
            require_user_verification=True,
        )
    except _UNSOUND:
        return False
    if len(made.credential_id) > _LONGEST_ID or not _spend(session, challenge, now):
        return False
    key = insert(session, Passkey).values(
        credential_id=encoded(made.credential_id),
        person_id=person.id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        name=name,
        created_at=now,
    )
    if not session.execute(key.on_conflict_do_nothing()).rowcount:  # type: ignore[attr-defined]
        return False
    log.record(session, Event("passkey_added", person.id, now))
    return True


def remove(session: Session, log: Log, person: str, credential: str, now: datetime) -> bool:
    row = session.get(Passkey, credential)
    if row is None or row.person_id != person:
        return False
    session.delete(row)
    log.record(session, Event("passkey_removed", person, now))
    return True


def of_person(session: Session, person: str) -> list[Passkey]:
    return sorted(session.exec(select(Passkey).where(Passkey.person_id == person)), key=lambda row: row.created_at)


# ---- signing in with one


def begin_sign_in(ceremony: Ceremony, chance: bytes, now: datetime) -> PasskeyChallenge:
    """Make a challenge without naming a passkey: the browser lets the person choose. `chance`: 32 random bytes."""
    options = webauthn.generate_authentication_options(
        rp_id=_relying_party(ceremony.settings),
        challenge=chance,
        timeout=MINUTES * 60_000,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return PasskeyChallenge(ceremony.sealed(chance, now), options_to_json(options))


def recognise(session: Session, log: Log, ceremony: Ceremony, sealed: str, answer: str, now: datetime) -> Person | None:
    """The person whose passkey has validly answered our challenge, in her turn; otherwise None."""
    challenge, settings = ceremony.challenge(sealed, now), ceremony.settings
    if challenge is None or len(answer) > _LONGEST:
        return None
    try:
        given = parse_authentication_credential_json(answer)
        row = _known(session, log, given.id.rstrip("="))
        person = session.get(Person, row.person_id) if row else None
        if row is None or person is None or person.closed_at is not None:
            return None
        verified = webauthn.verify_authentication_response(
            credential=given,
            expected_challenge=challenge,
            expected_rp_id=_relying_party(settings),
            expected_origin=settings.public_url,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=True,
        )
    except _UNSOUND:
        return None
    told: Any = given.response.user_handle
    if told is not None and not same(told, handle(ceremony.keys, person.id)):
        return None
    if not _spend(session, challenge, now):
        return None
    row.sign_count, row.used_at = verified.new_sign_count, now
    session.add(row)
    return person


def _known(session: Session, log: Log, credential: str) -> Passkey | None:
    row = session.get(Passkey, credential) if is_text(credential) else None
    if row is not None:
        log.turn(session, row.person_id)
        row = session.get(Passkey, credential)  # she may have removed it before the turn came
    return row


# An answer can be any JSON, so besides the library's own errors these are raised for malformed ones.
_UNSOUND = (WebAuthnException, ValueError, KeyError, TypeError)
