"""The errors that a caller can get.

    GatewayError              has public words (safe to show) and a private detail (for the log)
    ├── BadRequest 400        malformed, or not what this door accepts
    │   └── WrongMethod 405   the address of a form, opened like a page
    ├── NotSignedIn 401
    ├── Forbidden 403
    │   └── OldForm           a form of a sign-in or visit that is over
    ├── NotFound 404          also: exists, but is not yours
    ├── TooMany 429
    └── Unavailable 503       store, log or keys cannot do it now; nothing happened, but for
        ├── NotKnownYet       it may have happened: the database has not said
        └── LogFrozen         the log is known to be incomplete: nothing new is agreed, no token issued, no data given

A refusal to give data is not an exception: it is a `Refusal` value with a `reason`
of the closed list below, the same in API problems and in the access log.
"""

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import ClassVar

# reason → (HTTP status, plain sentence for the app's developer). Shared by log, API problems and screens.
REASONS: dict[str, tuple[int, str]] = {
    "no_consent": (403, "No consent stands behind this token."),
    "ended": (403, "The sharing has ended. Ask the person again if you still need the data."),
    "paused": (403, "The person paused the sharing. It works again when she resumes it."),
    "suspended": (403, "The operator or the organisation suspended this app or organisation."),
    "not_yet_valid": (403, "The sharing has not begun yet."),
    "dataset": (403, "This type of data is not part of the sharing."),
    "account": (403, "This account is not part of the sharing."),
    "field": (403, "The call asks for a field, or uses a parameter, that is not part of the sharing."),
    "period": (403, "The call asks for a time outside the agreed period."),
    "frequency": (429, "The agreed number of calls in this time is used up."),
    "too_many_calls": (429, "Too many calls in a short time. Try again after the seconds in Retry-After."),
    "max_uses": (403, "The sharing was for one use and has been used."),
    "purpose": (403, "The app is not registered for this purpose."),
    "app_not_allowed": (403, "This app may not do this."),
    "policy": (403, "A policy of the gateway forbids it."),
    "strong_sign_in_needed": (403, "The person has to sign in again first."),
    "sign_in_too_weak": (401, "For this data the person has to sign in in a surer way."),
    "sign_in_too_old": (401, "For this data the person has to have signed in more lately."),
    "not_linked": (403, "The person has no live link with this organisation."),
    "no_data": (404, "The organisation gives its data in files, and none of this type is kept at the moment."),
    "not_there": (404, "There is no such record, or none within what the person agreed to."),
    "organisation_unavailable": (502, "The organisation did not answer."),
    "organisation_slow": (504, "The organisation did not answer in time."),
    "organisation_refused": (502, "The organisation refused the call."),
    "organisation_answer_invalid": (502, "The organisation's answer is not of the form it declared."),
    "filter_failed": (502, "The answer could not be cut to what was agreed."),
    "too_large": (502, "The organisation's answer is larger than the gateway carries."),
    "busy": (503, "Too many calls to this organisation at once."),
    "log_frozen": (503, "The access log does not agree with what was signed before. Nothing is given until it does."),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call or a request is not permitted. `asked` and `allowed` name terms, never data."""

    reason: str
    term: str = ""
    asked: str = ""
    allowed: str = ""
    retry_after: int | None = None  # seconds
    challenge: Mapping[str, str] = field(default_factory=dict)  # what WWW-Authenticate says of it (RFC 9110 §11.6.1)

    @property
    def status(self) -> int:
        return REASONS[self.reason][0]


class GatewayError(Exception):
    """`public` may be shown to anyone; `detail` goes to the operator's log only."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "server_error"
    public: ClassVar[str] = "Something went wrong here. Nothing was changed."

    def __init__(self, detail: str = "", *, say: str | None = None) -> None:
        super().__init__(detail or self.public)
        self.detail = detail
        self.say = say or self.public


class BadRequest(GatewayError):
    status, code = 400, "invalid_request"
    public = "The request is not of the form this address takes."


class WrongMethod(BadRequest):
    """Happens when a person types or bookmarks the address of a form."""

    status = 405
    public = "This address cannot be opened like a page."


class NotSignedIn(GatewayError):
    status, code = 401, "not_signed_in"
    public = "Sign in first."


class Forbidden(GatewayError):
    status, code = 403, "forbidden"
    public = "You may not do this."


class OldForm(Forbidden):
    """The form belongs to another sign-in or an earlier visit, or is not ours. To reload the answer would send the same
    form again, so the person is told to go back first."""

    public = "This form is too old or is not ours. Go back, load the page again and send the form from there."


class NotFound(GatewayError):
    status, code = 404, "not_found"
    public = "There is nothing at this address."


class TooMany(GatewayError):
    status, code = 429, "too_many"
    public = "Too many tries. Wait a little and try again."

    def __init__(self, detail: str = "", *, say: str | None = None, retry_after: int = 60) -> None:
        super().__init__(detail, say=say)
        self.retry_after = retry_after


class Unavailable(GatewayError):
    status, code = 503, "temporarily_unavailable"
    public = "The gateway cannot do this right now. Nothing was changed; try again in a moment."
    retry_after: ClassVar[int] = 5  # seconds


class NotKnownYet(Unavailable):
    """The commit was not answered, or not by all whose answer counts. It may be done, and may still be."""

    code = "not_known_yet"
    public = (
        "It is not known yet whether this was done: the database has not answered. Look again in a moment, before you "
        "repeat it."
    )


class LogFrozen(Unavailable):
    """A copy of the database was put back: what was stopped since then may be running again in it."""

    code = "log_frozen"
    public = (
        "Our records are being checked after a fault. Nothing is shared and nothing new can be agreed until then. "
        "You can stop and pause as usual. Try again later."
    )
    retry_after = 600  # until an operator has looked


def kinds(kind: type[GatewayError] = GatewayError) -> list[type[GatewayError]]:
    """The whole tree, each before those below it."""
    return [kind, *(each for below in kind.__subclasses__() for each in kinds(below))]


# ---- declarations: the files by which operators add apps and organisations


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a file: the key, what is wrong, and what would be right."""

    key: str
    wrong: str
    right: str = ""

    def __str__(self) -> str:
        return f"{self.key}: {self.wrong}" + (f"; {self.right}" if self.right else "")


class DeclarationError(Exception):
    """A file is wrong. The message lists all its faults."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(f"{file}: {fault}" for fault in faults))
        self.file, self.faults = file, list(faults)


def where(error: BaseException) -> str:
    """Class and place of an exception, without its message, which may contain personal data."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, {PurePath(frame.filename).name}:{frame.lineno}"
