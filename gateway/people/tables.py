"""Rows of people: accounts, their passkeys, their sign-ins, throttling counters."""

from datetime import date, datetime

from sqlmodel import Field, SQLModel

from gateway.ground.store.tables import BIG


class Person(SQLModel, table=True):
    id: str = Field(primary_key=True)  # opaque; never leaves the gateway (apps and organisations get pairwise ones)
    email: str = Field(unique=True, index=True)  # lower case
    name: str
    password_hash: str | None = None  # argon2id; None: passkeys only
    totp_sealed: bytes | None = None
    totp_last_step: int = 0  # the 30 s step of the last code used, so that a code works once (ASVS 6.5)
    language: str = "en"
    birth_date: date | None = None
    guardian_id: str | None = Field(default=None, foreign_key="person.id", index=True)
    created_at: datetime
    closed_at: datetime | None = None


class Passkey(SQLModel, table=True):
    credential_id: str = Field(primary_key=True)  # base64url
    person_id: str = Field(foreign_key="person.id", index=True)
    public_key: bytes
    sign_count: int = Field(default=0, sa_type=BIG)  # of 32 bits without a sign
    name: str = ""
    created_at: datetime
    used_at: datetime | None = None


class RecoveryCode(SQLModel, table=True):
    """A code to sign in with when the phone with the one-time codes is lost. Works once."""

    id: str = Field(primary_key=True)  # HMAC of the code under the gateway's root secret
    person_id: str = Field(foreign_key="person.id", index=True)
    spent_at: datetime | None = None


class SignIn(SQLModel, table=True):
    """A server-side sign-in; the cookie holds the secret, this row its hash."""

    id: str = Field(primary_key=True)  # SHA-256 of the cookie's secret
    person_id: str = Field(foreign_key="person.id", index=True)
    at: datetime  # auth_time
    methods: str  # amr, space separated: "pwd", "pwd otp", "hwk user"
    series: str = ""  # id of the first sign-in that this one goes on from, in the same browser; "": it is the first
    complete: bool = True  # False: the second factor is missing, so the person is not signed in
    browser: str = ""  # "Firefox on Linux": helps the person to recognise the sign-in
    idle_minutes: int = 60  # the sign-in ends when no page was opened for this long
    seen_at: datetime
    ends_at: datetime = Field(index=True)
    ended_at: datetime | None = None


class SpentChallenge(SQLModel, table=True):
    """A WebAuthn challenge that was answered, kept until it would have expired. Unanswered ones are not stored."""

    id: str = Field(primary_key=True)
    expires_at: datetime = Field(index=True)
