"""Which rows are deleted, and when, in one table.

This file lies beside the composition root, above all rooms. Rows not listed here are kept: answered consents with
their terms, events and evidence, the access log, accounts, links, declarations. A comment says why a row is kept
longer than it is valid.
"""

from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlmodel import col

from gateway.authorization.tables import (
    AuthorizationRequest,
    FailedAuthentication,
    RefreshSuccessor,
    RefreshToken,
    SpentOnce,
    TokenFamily,
)
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent, ConsentEvent, Silence, Use
from gateway.ground.store import signing_keys
from gateway.ground.store.pruning import Leaving
from gateway.ground.store.tables import Lease, Process, SigningKeyRow, Try
from gateway.ledger.tables import Listing, SpentProof
from gateway.log.tables import LogTally
from gateway.log.tally import KEPT_DAYS
from gateway.notices.tables import AppNotice
from gateway.organisations.tables import FileCode, FileImport, FilePart, LinkAttempt, Undeclared
from gateway.people.tables import SignIn, SpentChallenge
from gateway.signals import rules as signals
from gateway.signals.tables import SignalEvent

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
# For this long a second use of a code or refresh token is noticed: its family ends and the person is told. Later the
# token is simply unknown and refused as well.
REPLAY = 30 * DAY
UNANSWERED = 90 * DAY
SIGN_INS = 30 * DAY
NOTICES = 7 * DAY  # in which an operator may look for what became of one
USES = 400 * DAY  # the longest window that is counted is a year

_past = select(col(FileImport.id))
_NEVER_ANSWERED = (EndReason.LAPSED, EndReason.TAKEN_BACK)
_lapsed = select(col(Consent.id)).where(col(Consent.reason).in_(_NEVER_ANSWERED))

LEAVING = (
    # Pushed but never opened. Kept for a day, so that a person who opens it late is told that it has expired.
    Leaving(
        AuthorizationRequest,
        lambda now: col(AuthorizationRequest.opened_by).is_(None) & (col(AuthorizationRequest.expires_at) < now - DAY),
    ),
    # Opened. Kept with its code, so that a second use of the code is noticed.
    Leaving(
        AuthorizationRequest,
        lambda now: (
            col(AuthorizationRequest.opened_by).is_not(None) & (col(AuthorizationRequest.expires_at) < now - REPLAY)
        ),
    ),
    # a token that is not only hashed stays no longer than it may be given again
    Leaving(RefreshSuccessor, lambda now: col(RefreshSuccessor.expires_at) <= now),
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
    Leaving(SpentOnce, lambda now: col(SpentOnce.expires_at) < now),
    # a count holds for its own minute
    Leaving(FailedAuthentication, lambda now: col(FailedAuthentication.minute) < _minute(now - MINUTE)),
    Leaving(SpentChallenge, lambda now: col(SpentChallenge.expires_at) < now),
    # one day, so that her browser's late answer is told apart from somebody else's
    Leaving(LinkAttempt, lambda now: col(LinkAttempt.expires_at) < now - DAY),
    # not sent any more
    Leaving(Undeclared, lambda now: col(Undeclared.last_at) < now - UNANSWERED),
    # of files that are over, kept for as long as declared, or broken off on their way in
    Leaving(FilePart, lambda now: col(FilePart.import_id).in_(_past.where(col(FileImport.until) <= now))),
    Leaving(
        FileImport,
        lambda now: (col(FileImport.until) <= now) & ~exists().where(col(FilePart.import_id) == col(FileImport.id)),
    ),
    Leaving(FileCode, lambda now: col(FileCode.until) <= now),
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
            col(Consent.reason).in_(_NEVER_ANSWERED)
            & (col(Consent.ended_at) < now - UNANSWERED)
            & ~exists().where(col(ConsentEvent.consent_id) == col(Consent.id))
        ),
    ),
    Leaving(Silence, lambda now: col(Silence.until) <= now),
    Leaving(AppNotice, lambda now: col(AppNotice.done_at) < now - NOTICES),
    # a day later than a stream is stopped in which they wait
    Leaving(SignalEvent, lambda now: col(SignalEvent.at) < now - signals.KEPT - DAY),
    Leaving(SpentProof, lambda now: col(SpentProof.expires_at) < now),
    Leaving(Listing, lambda now: col(Listing.expires_at) < now),
    # the clocks of two processes may be apart
    Leaving(Try, lambda now: col(Try.until) < now - MINUTE),
    Leaving(Lease, lambda now: col(Lease.until) < now - MINUTE),
    # for as long as somebody may check a receipt that it signed
    Leaving(SigningKeyRow, lambda now: col(SigningKeyRow.accepted_until) < now - signing_keys.KEPT),
    Leaving(SigningKeyRow, lambda now: col(SigningKeyRow.ended_at) < now - signing_keys.KEPT),
    # of processes that ended without a word
    Leaving(Process, lambda now: col(Process.seen_at) < now - DAY),
    # 0: a count for ever
    Leaving(Use, lambda now: col(Use.start).between(1, int((now - USES).timestamp()))),
    # no page counts accesses from before
    Leaving(LogTally, lambda now: col(LogTally.day) < (now - KEPT_DAYS * DAY).date().isoformat()),
)


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60
