"""Passkeys (WebAuthn level 3): registered while signed in, and a whole sign-in by themselves.

User verification is asked for and checked, so a passkey is two factors in one gesture. Credentials are
discoverable: nobody types an address. Every ceremony answers a challenge made here, which is spent by one
conditional UPDATE before the answer is even looked at.
"""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import update
from sqlmodel import Session, col, select
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    options_to_json,
    parse_authentication_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from gateway.keys import KeyRing, same
from gateway.log import Event, Log
from gateway.people.tables import Challenge, Passkey, Person
from gateway.settings import Settings

MINUTES = 5  # life of a challenge
_LONGEST = 16 * 1024  # characters of a browser's answer


def _relying_party(settings: Settings) -> str:
    return str(urlsplit(settings.public_url).hostname)


def handle(keys: KeyRing, person: str) -> bytes:
    """The user handle on the authenticator: not the person's id, which never leaves the gateway."""
    return keys.pairwise(person, "passkeys").encode()


def _begin(session: Session, purpose: str, person: str | None, chance: bytes, now: datetime) -> str:
    """Keep a challenge. Returns its id. `chance`: 32 random bytes."""
    text = bytes_to_base64url(chance)
    expires = now + timedelta(minutes=MINUTES)
    session.add(Challenge(id=text, challenge=text, person_id=person, purpose=purpose, expires_at=expires))
    return text


def _spend(session: Session, id: str, purpose: str, person: str | None, now: datetime) -> bytes | None:
    row = session.get(Challenge, id)
    if row is None or row.purpose != purpose or row.person_id != person or row.expires_at <= now:
        return None
    unspent = (col(Challenge.id) == id, col(Challenge.spent_at).is_(None))
    spent = session.execute(update(Challenge).where(*unspent).values(spent_at=now))
    return base64url_to_bytes(row.challenge) if spent.rowcount else None  # type: ignore[attr-defined]


# ---- adding one


def begin_adding(
    session: Session, keys: KeyRing, settings: Settings, person: Person, chance: bytes, now: datetime
) -> tuple[str, str]:
    """(challenge id, options as JSON for the browser)."""
    id = _begin(session, "register", person.id, chance, now)
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
            PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey.credential_id))
            for passkey in of_person(session, person.id)
        ],
    )
    return id, options_to_json(options)


def add(
    session: Session, log: Log, settings: Settings, person: Person, id: str, answer: str, name: str, now: datetime
) -> bool:
    """Keep the passkey the browser made. False when the answer is not to our challenge, or not sound."""
    challenge = _spend(session, id, "register", person.id, now)
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
    credential = bytes_to_base64url(made.credential_id)
    if session.get(Passkey, credential) is not None:
        return False
    key = Passkey(
        credential_id=credential,
        person_id=person.id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        name=name,
        created_at=now,
    )
    session.add(key)
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


def begin_sign_in(session: Session, settings: Settings, chance: bytes, now: datetime) -> tuple[str, str]:
    """(challenge id, options as JSON). The browser asks the person which passkey; we name none."""
    id = _begin(session, "sign_in", None, chance, now)
    options = webauthn.generate_authentication_options(
        rp_id=_relying_party(settings),
        challenge=chance,
        timeout=MINUTES * 60_000,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return id, options_to_json(options)


def recognise(
    session: Session, keys: KeyRing, settings: Settings, id: str, answer: str, now: datetime
) -> Person | None:
    """Whose passkey answered our challenge."""
    challenge = _spend(session, id, "sign_in", None, now)
    if challenge is None or len(answer) > _LONGEST:
        return None
    try:
        given = parse_authentication_credential_json(answer)
        row = session.get(Passkey, given.id.rstrip("="))
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
    if told is not None and not same(told, handle(keys, person.id)):
        return None
    row.sign_count, row.used_at = verified.new_sign_count, now
    session.add(row)
    return person


# Answers come from a browser's script: besides the library's own errors, anything JSON can be wrong in.
_UNSOUND = (WebAuthnException, ValueError, KeyError, TypeError)
