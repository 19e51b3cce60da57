"""How long rows are kept that are of no use any more, in one table: what leaves, and when.

It stands beside the composition root, above all rooms. What is not named here stays: consents that were answered,
their terms, events and evidence, the access log, accounts, links, declarations. Each row names the reason for
keeping it longer than it counts.
"""

from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlmodel import col

from gateway.authorization.tables import (
    AuthorizationRequest,
    FailedAuthentication,
    RefreshToken,
    SpentAssertion,
    TokenFamily,
)
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent, ConsentEvent, Use
from gateway.ground.store.pruning import Leaving
from gateway.organisations.tables import LinkAttempt
from gateway.people.tables import SignIn, SpentChallenge

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
# For this long a code or refresh token shown a second time still ends its family, and the person is told. After it
# the token is merely unknown, which gives as little.
REPLAY = 30 * DAY
UNANSWERED = 90 * DAY
SIGN_INS = 30 * DAY
USES = 400 * DAY  # the longest window that is counted is a year

_lapsed = select(col(Consent.id)).where(col(Consent.reason) == EndReason.LAPSED)

LEAVING = (
    # pushed, never opened: one day, so that whoever comes back to it is told that it has expired
    Leaving(
        AuthorizationRequest,
        lambda now: col(AuthorizationRequest.opened_by).is_(None) & (col(AuthorizationRequest.expires_at) < now - DAY),
    ),
    # opened, with its code: the witness of replays
    Leaving(
        AuthorizationRequest,
        lambda now: (
            col(AuthorizationRequest.opened_by).is_not(None) & (col(AuthorizationRequest.expires_at) < now - REPLAY)
        ),
    ),
    Leaving(RefreshToken, lambda now: col(RefreshToken.spent_at) < now - REPLAY),
    Leaving(RefreshToken, lambda now: col(RefreshToken.expires_at) < now - REPLAY),
    # its last refresh token has left before it
    Leaving(
        TokenFamily,
        lambda now: (
            (col(TokenFamily.expires_at) < now - REPLAY)
            & ~exists().where(col(RefreshToken.family_id) == col(TokenFamily.id))
        ),
    ),
    Leaving(SpentAssertion, lambda now: col(SpentAssertion.expires_at) < now),
    # a count holds for its own minute
    Leaving(FailedAuthentication, lambda now: col(FailedAuthentication.minute) < _minute(now - MINUTE)),
    Leaving(SpentChallenge, lambda now: col(SpentChallenge.expires_at) < now),
    # one day, so that her browser's late answer is told apart from somebody else's
    Leaving(LinkAttempt, lambda now: col(LinkAttempt.expires_at) < now - DAY),
    Leaving(SignIn, lambda now: col(SignIn.ends_at) < now - SIGN_INS),
    # what an app asked and nobody answered: the log keeps that it was asked
    Leaving(
        ConsentEvent,
        lambda now: col(ConsentEvent.consent_id).in_(_lapsed.where(col(Consent.ended_at) < now - UNANSWERED)),
        together="consent_id",  # a chain leaves whole
    ),
    Leaving(
        Consent,
        lambda now: (
            (col(Consent.reason) == EndReason.LAPSED)
            & (col(Consent.ended_at) < now - UNANSWERED)
            & ~exists().where(col(ConsentEvent.consent_id) == col(Consent.id))
        ),
    ),
    # 0: a count for ever
    Leaving(Use, lambda now: col(Use.start).between(1, int((now - USES).timestamp()))),
)


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60
