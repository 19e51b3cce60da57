"""Rows of the authorization server. Whether a token is valid is read each time: token → family → consent."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from gateway.ground.store.tables import BIG, where


class AuthorizationRequest(SQLModel, table=True):
    """A pushed (or plain) authorization request, until its code is spent and after."""

    __table_args__ = (  # for finding rows: to delete, granted or not (gateway/retention.py); whose sign-in ended
        Index("ix_authorizationrequest_unopened", "expires_at", **where("opened_by IS NULL")),
        Index("ix_authorizationrequest_opened", "expires_at", **where("opened_by IS NOT NULL")),
        Index("ix_authorizationrequest_sign_in", "sign_in", **where("redeemed_at IS NULL")),
    )
    id: str = Field(primary_key=True)  # SHA-256 of the request_uri's secret
    client_id: str = Field(foreign_key="app.client_id", index=True)
    redirect_uri: str
    state: str | None = None
    scope: str = ""
    claims: str = ""  # that are wanted in the ID token (OpenID Connect Core §5.5), space separated
    code_challenge: str  # always S256; "" where the client's profile does without
    nonce: str | None = None
    resource: str = ""  # addresses of organisations, space separated (RFC 8707); "": no choice among those agreed to
    dpop_jkt: str = ""  # thumbprint of the key to which the code is bound (RFC 9449 §10)
    response_mode: str = ""  # rules.RESPONSE_MODES
    ui_locales: str = ""
    prompt: str = ""
    max_age: int | None = None
    grant_management_action: str = ""
    grant_id: str = ""  # of the grant that a merge or replace is to change
    ask: str  # JSON: what is asked for, as validated (consent.request.Ask)
    created_at: datetime
    expires_at: datetime  # set again when the request is first opened
    opened_at: datetime | None = None
    opened_by: str | None = None  # id of the person
    consent_id: str | None = None
    outcome: str = ""  # "" | granted | refused | later (she decides) | taken_back (by the app)
    deferrable: bool = False  # the app can wait for tokens until she has decided (deferring.py)
    kind: str = "code"  # how the app gets its answer: by a redirect, or one of polling.KINDS
    notify: bytes | None = None  # sealed: the token to show where the app is told that there is an answer (asked.py)
    polled_at: datetime | None = None
    interval: int = 0  # seconds between two polls
    auth_time: int | None = Field(default=None, sa_type=BIG)  # epoch seconds of the sign-in behind the outcome
    amr: str = ""  # its methods
    sign_in: str = ""  # its series (`Caller.in_series`)
    code_sha256: str | None = Field(default=None, unique=True)  # of the code, or of what the app polls with
    code_expires_at: datetime | None = None
    redeemed_at: datetime | None = None  # set once, by the conditional UPDATE that spends the code
    family_id: str | None = None


class TokenFamily(SQLModel, table=True):
    """All tokens that come from one redeemed code. Ending this row ends them all."""

    __table_args__ = (Index("ix_tokenfamily_living", "person_id", **where("ended_at IS NULL")),)
    id: str = Field(primary_key=True)
    consent_id: str = Field(foreign_key="consent.id", index=True)
    client_id: str
    person_id: str
    auth_time: int = Field(sa_type=BIG)  # epoch seconds of the sign-in behind it
    version: int = 0  # of the terms when it started (consent.tables.Consent.tokens_from)
    amr: str = ""  # methods of that sign-in
    sign_in: str = Field(default="", index=True)  # its series
    scope: str = "data_access"
    claims: str = ""  # as in the request
    resource: str = ""  # to which its tokens are limited, as in the request
    jkt: str = ""  # of a public client: the key or certificate by which alone it may refresh (`Binding.holder`)
    started_at: datetime
    expires_at: datetime | None = Field(default=None, index=True)  # when its last refresh token expires
    ended_at: datetime | None = None
    ended_reason: str = ""  # revoked_by_app | code_replayed | refresh_replayed | keys_ended


class RefreshToken(SQLModel, table=True):
    id: str = Field(primary_key=True)  # SHA-256
    family_id: str = Field(foreign_key="tokenfamily.id", index=True)
    client_id: str
    issued_at: datetime
    expires_at: datetime = Field(index=True)  # end of the consent: no refresh token lasts longer
    spent_at: datetime | None = Field(
        default=None, index=True
    )  # only where tokens rotate; set once, by the conditional UPDATE that spends the token


class RefreshSuccessor(SQLModel, table=True):
    """What a spent refresh token was exchanged for: to be given again to a client that lost the answer."""

    id: str = Field(primary_key=True)  # SHA-256 of the spent token
    sealed: bytes  # the successor itself: of all refresh tokens this one must be told a second time
    expires_at: datetime = Field(index=True)  # end of the grace


class SpentOnce(SQLModel, table=True):
    """What was used and may not be used again: the jti of an assertion, a DPoP proof. Kept until it expires anyhow."""

    __tablename__ = "spentassertion"  # of which it held the first
    id: str = Field(primary_key=True)  # SHA-256 of what it is
    expires_at: datetime = Field(index=True)


class FailedAuthentication(SQLModel, table=True):
    """How often in one minute, from one network, an app's credentials were wrong or a request came without any; or how
    often /userinfo refused one sharing."""

    id: str = Field(primary_key=True)  # SHA-256 of what is counted
    minute: int = Field(index=True)  # epoch minutes
    count: int = 0
