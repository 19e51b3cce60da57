"""One-time codes (RFC 6238: SHA-1, six digits, 30 seconds) and recovery codes.

The secret is stored encrypted. A code is spent by one conditional UPDATE of the last time step used, so that neither
this code nor an older one works afterwards (ASVS 6.5).
"""

import base64
from datetime import datetime
from urllib.parse import quote, urlencode

import pyotp
import segno
from sqlalchemy import delete, update
from sqlmodel import Session, col

from gateway.ground.keys import KeyRing, same
from gateway.log import Event, Log
from gateway.people.tables import Person, RecoveryCode

_STEP = 30  # seconds
_DRIFT = 1  # steps that the phone's clock may be slow or fast
RECOVERY_CODES = 10
_CODE_BYTES = 10  # 80 bits: cannot be guessed online, nor offline without the root secret


def encoded(secret: bytes) -> str:
    """The secret in base32, as authenticator apps read it. `secret`: 20 random bytes (RFC 4226 §4 R6)."""
    return base64.b32encode(secret).decode()


def address(secret: str, email: str, issuer: str) -> str:
    """The otpauth: address in the QR code."""
    query = urlencode({"secret": secret, "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer)}:{quote(email)}?{query}"


def picture(address: str) -> str:
    """The QR code as a data: URL for an <img>. On white also in the dark theme, because scanners need it."""
    return str(segno.make(address, error="m").svg_data_uri(scale=4, border=2, dark="#000", light="#fff"))


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step of this code, if the code is right now; otherwise None."""
    digits = "".join(code.split())
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    current = int(now.timestamp()) // _STEP
    steps = range(current - _DRIFT, current + _DRIFT + 1)
    totp = pyotp.TOTP(secret)
    right = [step for step in steps if same(totp.at(step * _STEP), digits)]
    return right[-1] if right else None


def spend(session: Session, keys: KeyRing, person: Person, code: str, now: datetime) -> bool:
    """Spend a code. False: it is wrong or was used before."""
    if person.totp_sealed is None:
        return False
    secret = keys.open(person.totp_sealed, f"person.totp:{person.id}").decode()
    step = step_of(secret, code, now)
    if step is None:
        return False
    unused = (col(Person.id) == person.id, col(Person.totp_last_step) < step)
    spent = session.execute(update(Person).where(*unused).values(totp_last_step=step))
    return bool(spent.rowcount)  # type: ignore[attr-defined]


def spend_recovery(session: Session, keys: KeyRing, person: Person, code: str, now: datetime) -> bool:
    unused = (
        col(RecoveryCode.id) == _recovery_id(keys, person, code),
        col(RecoveryCode.person_id) == person.id,
        col(RecoveryCode.spent_at).is_(None),
    )
    spent = session.execute(update(RecoveryCode).where(*unused).values(spent_at=now))
    return bool(spent.rowcount)  # type: ignore[attr-defined]


def switch_on(
    session: Session,
    keys: KeyRing,
    log: Log,
    person: Person,
    secret: str,
    step: int,
    chance: list[bytes],
    now: datetime,
) -> list[str]:
    """Require codes from now on. Returns the recovery codes, which cannot be shown again.

    `step`: the time step of the code that showed that the app is set up; this code is spent. `chance`: RECOVERY_CODES
    times 10 random bytes.
    """
    person.totp_sealed = keys.seal(secret.encode(), f"person.totp:{person.id}")
    person.totp_last_step = step
    session.add(person)
    session.execute(delete(RecoveryCode).where(col(RecoveryCode.person_id) == person.id))
    codes = [_spelled(part[:_CODE_BYTES]) for part in chance]
    session.add_all(RecoveryCode(id=_recovery_id(keys, person, code), person_id=person.id) for code in codes)
    log.record(session, Event("totp_on", person.id, now))
    return codes


def switch_off(session: Session, log: Log, person: Person, now: datetime) -> None:
    if person.totp_sealed is None:
        return
    person.totp_sealed = None
    session.add(person)
    session.execute(delete(RecoveryCode).where(col(RecoveryCode.person_id) == person.id))
    log.record(session, Event("totp_off", person.id, now))


def _spelled(chance: bytes) -> str:
    """ "abcd-efgh-ijkl-mnop", in base32, which has no 0, 1, 8 or 9 that look like letters."""
    text = base64.b32encode(chance).decode().lower()
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def _recovery_id(keys: KeyRing, person: Person, code: str) -> str:
    return keys.mac("recovery-code", person.id, "".join(char for char in code.lower() if char.isalnum()))
