"""Every kind of event: its badge, the facts it may carry, and how it is told to the person.

Three badges, as people know them: *agreement* (a sharing agreed to, changed or ended), *access* (data
given out), *refusal* (refused, or worth a look). Other events, such as a sign-in or an app's
request, have no badge. Texts are whole English sentences; French
is in the room's catalogue. A kind has several wordings; the first whose `when` and `needs` hold is used.

Facts are identifiers, names of terms, counts and instants: never a value of the person's data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.ground.web.marks import N_

Badge = Literal["agreement", "access", "refusal", ""]


@dataclass(frozen=True, slots=True)
class EventWording:
    text: str
    when: Mapping[str, str] = field(default_factory=dict)  # facts (and `actor`) that must have these values
    needs: tuple[str, ...] = ()  # placeholders that must have something to say


@dataclass(frozen=True, slots=True)
class EventKind:
    badge: Badge
    wordings: tuple[EventWording, ...]
    members: frozenset[str] = frozenset()  # facts beside COMMON
    plain: Mapping[str, str] = field(default_factory=dict)  # facts with which it has no badge

    def badge_of(self, facts: Mapping[str, object]) -> Badge:
        return "" if any(facts.get(name) == value for name, value in self.plain.items()) else self.badge


# Facts any kind may carry. `client_name`, `organisation_name`: as they were then, so that an entry
# can be read when the app or organisation has since changed its name or gone. `processor`: the app that acts in the
# place of `client`, with a token that it exchanged.
COMMON = frozenset(
    """consent version generation client client_name organisation organisation_name organisations datasets fields
    purpose accounts until reason request_id on_behalf_of guardian guardian_name actor_name processor
    processor_name""".split()
)
# Written by the log itself.
OWN = frozenset(("v", "event", "time", "actor", "user_seq", "user_prev"))

_READ = frozenset(
    """resource operation outcome status records records_withheld values_withheld fields_delivered fields_withheld
    period_from period_to bytes present token""".split()
)
_REFUSED = frozenset(
    """resource operation term asked allowed status outcome present token fields_delivered fields_withheld more
    reasons""".split()
)
_TERMS = frozenset("added removed accounts_removed evidence terms_sha256 history frequency once renews of_age".split())
_ACCOUNT = frozenset("method methods name tries network".split())


def _W(text: str, *needs: str, **when: str) -> EventWording:
    return EventWording(text, when, needs)


EVENTS: Mapping[str, EventKind] = {
    # ---- the account
    "registered": EventKind("", (_W(N_("You opened your account.")),), _ACCOUNT),
    "sign_in": EventKind("", (_W(N_("You signed in.")),), _ACCOUNT),
    "signed_out": EventKind("", (_W(N_("You signed out.")),), _ACCOUNT),
    "sign_in_failed": EventKind(
        "refusal", (_W(N_("Somebody tried to sign in to your account and failed.")),), _ACCOUNT
    ),
    "password_changed": EventKind("refusal", (_W(N_("The password of your account was changed.")),), _ACCOUNT),
    "passkey_added": EventKind("refusal", (_W(N_("A passkey was added to your account.")),), _ACCOUNT),
    "passkey_removed": EventKind("refusal", (_W(N_("A passkey was removed from your account.")),), _ACCOUNT),
    "totp_on": EventKind("", (_W(N_("You switched on the one-time codes for signing in.")),), _ACCOUNT),
    "totp_off": EventKind("refusal", (_W(N_("The one-time codes for signing in were switched off.")),), _ACCOUNT),
    # ---- links with organisations
    "linked": EventKind(
        "",
        (
            _W(N_("{guardian} linked your account at {organisation}."), actor="guardian"),
            _W(N_("You linked your account at {organisation}.")),
        ),
    ),
    "unlinked": EventKind(
        "",
        (
            _W(N_("{organisation} ended the link with your account."), "organisation", actor="organisation"),
            _W(N_("The link with your account at {organisation} was ended by the service."), actor="system"),
            _W(
                N_("{guardian} unlinked your account at {organisation}."),
                actor="guardian",
            ),
            _W(N_("You unlinked your account at {organisation}.")),
        ),
    ),
    # ---- consents
    "consent_asked": EventKind(
        "",
        (
            _W(N_("{app} asks to read your data at {organisation} ({data})."), "data", "organisation"),
            _W(N_("{app} asks to read data about you.")),
        ),
        _TERMS,
    ),
    "consent_given": EventKind(
        "agreement",
        (
            _W(
                N_("{guardian} agreed that {app} reads your data at {organisation} ({data}), until {until}."),
                "data",
                "organisation",
                "until",
                actor="guardian",
            ),
            _W(N_("{guardian} agreed to a sharing with {app}."), actor="guardian"),
            _W(
                N_("You agreed that {app} reads your data at {organisation} ({data}), until {until}."),
                "data",
                "organisation",
                "until",
            ),
            _W(N_("You agreed that {app} reads your data at {organisation} ({data})."), "data", "organisation"),
            _W(N_("You agreed to a sharing with {app}.")),
        ),
        _TERMS,
    ),
    "consent_refused": EventKind(
        "refusal",
        (
            _W(N_("{guardian} refused what {app} asked for."), actor="guardian"),
            _W(
                N_("The service did not accept an agreement to what {app} asked for: {why}."),
                "why",
                actor="system",
            ),
            _W(N_("The service refused what {app} asked for: its rules do not allow it."), actor="system"),
            _W(N_("You refused to share with {app} your data at {organisation} ({data})."), "data", "organisation"),
            _W(N_("You refused what {app} asked for.")),
        ),
        _TERMS,
    ),
    "consent_narrowed": EventKind(
        "agreement",
        (
            _W(
                N_("{guardian} removed from the sharing with {app}: {removed}, and the data of {accounts_removed}."),
                "removed",
                "accounts_removed",
                actor="guardian",
            ),
            _W(
                N_("{guardian} removed from the sharing with {app}: {removed}."),
                "removed",
                actor="guardian",
            ),
            _W(
                N_("{guardian} removed from the sharing with {app} the data of {accounts_removed}."),
                "accounts_removed",
                actor="guardian",
            ),
            _W(
                N_("You removed from the sharing with {app}: {removed}, and the data of {accounts_removed}."),
                "removed",
                "accounts_removed",
            ),
            _W(N_("You removed from the sharing with {app}: {removed}."), "removed"),
            _W(N_("You removed from the sharing with {app} the data of {accounts_removed}."), "accounts_removed"),
            _W(N_("{organisation} reduced what {app} may read."), "organisation", actor="organisation"),
            _W(N_("You reduced what {app} may read.")),
        ),
        _TERMS,
    ),
    "consent_extended": EventKind(
        "agreement",
        (
            _W(N_("{guardian} agreed that {app} reads more: {added}."), "added", actor="guardian"),
            _W(N_("{guardian} agreed that {app} reads more."), actor="guardian"),
            _W(N_("You agreed that {app} reads more: {added}."), "added"),
            _W(N_("You agreed that {app} reads more.")),
        ),
        _TERMS,
    ),
    "consent_changed": EventKind(
        "agreement",
        (
            _W(
                N_("{guardian} changed what {app} may read: from now on {data} at {organisation}, until {until}."),
                "data",
                "organisation",
                "until",
                actor="guardian",
            ),
            _W(N_("{guardian} changed what {app} may read."), actor="guardian"),
            _W(
                N_("You changed what {app} may read: from now on {data} at {organisation}, until {until}."),
                "data",
                "organisation",
                "until",
            ),
            _W(N_("You changed what {app} may read.")),
        ),
        _TERMS,
    ),
    "consent_paused": EventKind(
        "agreement",
        (
            _W(N_("{guardian} paused the sharing with {app}."), actor="guardian"),
            _W(
                N_(
                    "The operator of this service paused your sharing with {app}, because an earlier copy of our "
                    "records had to be put back: what you did after that copy may be missing. It stays paused until "
                    "you resume it."
                ),
                actor="operator",
            ),
            _W(N_("You paused the sharing with {app}.")),
        ),
    ),
    "consent_resumed": EventKind(
        "agreement",
        (
            _W(N_("{guardian} resumed the sharing with {app}."), actor="guardian"),
            _W(N_("The pause of the sharing with {app} reached its end date."), actor="system"),
            _W(N_("You resumed the sharing with {app}.")),
        ),
    ),
    "consent_continued": EventKind(
        "agreement",
        (
            _W(N_("{guardian} let {app} go on with what was agreed before."), actor="guardian"),
            _W(N_("You let {app} go on with what you agreed to before.")),
        ),
    ),
    "consent_renewed": EventKind(
        "agreement",
        (
            _W(N_("{guardian} renewed the sharing with {app}."), actor="guardian"),
            _W(N_("You renewed the sharing with {app}, until {until}."), "until"),
            _W(N_("You renewed the sharing with {app}.")),
        ),
        _TERMS,
    ),
    "consent_ended": EventKind(
        "agreement",
        (
            _W(N_("The sharing with {app} has ended: you are old enough to decide about it yourself."), "of_age"),
            _W(N_("The sharing with {app} reached its end date."), reason="expired"),
            _W(N_("The sharing with {app} was for one use and has been used."), reason="used_up"),
            _W(N_("The sharing with {app} was replaced by a new one."), reason="replaced"),
            _W(
                N_("{app} did not take up the sharing in time. It has ended; nothing was shared."),
                reason="unclaimed",
            ),
            _W(N_("What {app} asked for was not answered. Nothing new is shared."), reason="lapsed"),
            _W(N_("{app} ended the sharing."), reason="by_app"),
            _W(N_("{app} ended the sharing."), actor="app"),
            _W(N_("{organisation} ended the sharing with {app}."), "organisation", actor="organisation"),
            _W(N_("The service ended the sharing with {app}."), reason="invalidated"),
            _W(N_("The service ended the sharing with {app}."), actor="operator"),
            _W(N_("{guardian} stopped the sharing with {app}."), actor="guardian"),
            _W(N_("You stopped the sharing with {app}. From then on we refuse every request of it.")),
        ),
        _TERMS | {"last_access"},
        plain={"reason": "lapsed"},
    ),
    "erasure_asked": EventKind(
        "",
        (
            _W(N_("{guardian} asked for {app} to delete what it has received."), actor="guardian"),
            _W(N_("You asked for {app} to delete what it has received.")),
        ),
    ),
    "asking_changed": EventKind(
        "",
        (
            _W(N_("{guardian} keeps {app} from asking by itself until {until}."), "until", actor="guardian"),
            _W(N_("{guardian} lets {app} ask again."), actor="guardian"),
            _W(N_("You keep {app} from asking by itself until {until}."), "until"),
            _W(N_("You let {app} ask again.")),
        ),
    ),
    # ---- the app's access
    "token_issued": EventKind(
        "",
        (_W(N_("{app} was given access to what you agreed to.")),),
        frozenset("family expires token grant_type".split()),
    ),
    "token_replay": EventKind(
        "refusal",
        (_W(N_("A used key of {app} was presented again. All keys of this connection were withdrawn to be safe.")),),
        frozenset("family token what".split()),
    ),
    "tokens_ended": EventKind(
        "refusal",
        (
            _W(
                N_(
                    "The operator of this service replaced the keys that it signs with, to be safe. What apps held to "
                    "read your data was withdrawn with them. Your agreements stay as they were; an app that you still "
                    "use may ask you to sign in here again."
                )
            ),
        ),
        frozenset("family what".split()),
    ),
    "app_disconnected": EventKind(
        "",
        (_W(N_("Disconnected by the app: {app} gave its key back. Your agreement stays as it was.")),),
        frozenset(("family",)),
    ),
    "access": EventKind(
        "access",
        (
            _W(
                N_("{guardian} looked, in {app}, at your data at {organisation} ({data}), {period}: {records}."),
                "organisation",
                "data",
                "period",
                "records",
                actor="guardian",
            ),
            _W(
                N_("{guardian} looked, in {app}, at your data at {organisation} ({data}): {records}."),
                "organisation",
                "data",
                "records",
                actor="guardian",
            ),
            _W(N_("{guardian} looked, in {app}, at data about you."), actor="guardian"),
            _W(
                N_("{app} read your data at {organisation} ({data}), {period}: {records}."),
                "organisation",
                "data",
                "period",
                "records",
            ),
            _W(N_("{app} read your data at {organisation} ({data}): {records}."), "organisation", "data", "records"),
            _W(N_("{app} read your data at {organisation} ({data})."), "organisation", "data"),
            _W(N_("{app} read data about you: {records}."), "records"),
            _W(N_("{app} read data about you.")),
        ),
        _READ,
    ),
    "access_outcome": EventKind(
        "access",
        (
            _W(N_("The answer to {app} was cut off on its way; part of it may have arrived."), outcome="cut"),
            _W(N_("The answer to {app} was stopped on its way because the sharing changed."), outcome="stopped"),
            _W(
                N_("It is not known whether the answer reached {app}: the service stopped in between."),
                outcome="unknown",
            ),
            _W(N_("The whole answer was sent to {app}.")),
        ),
        _READ,
    ),
    "denied": EventKind(
        "refusal",
        (
            _W(N_("In the same minute, {app} made {more}. Nothing was given: {reasons}."), "app", "more", "reasons"),
            _W(N_("In the same minute, {app} made {more}. Nothing was given."), "app", "more"),
            _W(
                N_("{app} asked for your data at {organisation} ({data}). Nothing was given: {why}."),
                "app",
                "data",
                "organisation",
                "why",
            ),
            _W(N_("{app} asked for data at {organisation}. Nothing was given: {why}."), "app", "organisation", "why"),
            _W(N_("{app} asked for data about you. Nothing was given: {why}."), "why"),
            _W(N_("A request for data about you was refused.")),
        ),
        _REFUSED,
    ),
    "log_restarted": EventKind(
        "refusal",
        (_W(N_("The access log of this service was ended and begun anew.")),),
        frozenset("ended size root marked_size marked_root held cause paused".split()),
    ),
    "clock_back": EventKind(
        "refusal", (_W(N_("The clock of this service was set back.")),), frozenset(("clock_before",))
    ),
    "log_read": EventKind("access", (_W(N_("The operator of this service read your access log.")),)),
    "download": EventKind(
        "access",
        (
            _W(
                N_("You downloaded your data from {organisation} ({data}): {records}."),
                "organisation",
                "data",
                "records",
            ),
            _W(N_("You downloaded your data from {organisation}."), "organisation"),
            _W(N_("You downloaded your data.")),
        ),
        _READ | {"files"},
    ),
}

# A refusal, in the person's words. Keys: errors.REASONS. Read after a colon, so lower case and no full stop.
WHY: Mapping[str, str] = {
    "no_consent": N_("there is no agreement of yours for it"),
    "ended": N_("the sharing has ended"),
    "paused": N_("the sharing is paused"),
    "suspended": N_("the app or the organisation is suspended"),
    "not_yet_valid": N_("the sharing has not begun yet"),
    "dataset": N_("this type of data is not part of what you agreed to"),
    "account": N_("this account is not part of what you agreed to"),
    "field": N_("it asked for details that you did not agree to"),
    "period": N_("it asked for a time outside the period you agreed to"),
    "frequency": N_("it asked more often than you agreed to"),
    "too_many_calls": N_("there were too many requests in a short time"),
    "max_uses": N_("the sharing was for one use and has been used"),
    "purpose": N_("the app may not ask for this purpose"),
    "app_not_allowed": N_("the app is not allowed to do this"),
    "policy": N_("the rules of this service forbid it"),
    "strong_sign_in_needed": N_("you have to sign in again first"),
    "sign_in_too_weak": N_("for this data you have to sign in in a surer way"),
    "sign_in_too_old": N_("you signed in too long ago for this data"),
    "not_linked": N_("your account at the organisation is not linked"),
    "no_data": N_("there is no data of this type at the moment"),
    "not_there": N_("there is nothing of this within what you agreed to"),
    "organisation_unavailable": N_("the organisation did not answer"),
    "organisation_slow": N_("the organisation did not answer in time"),
    "organisation_refused": N_("the organisation refused"),
    "organisation_answer_invalid": N_("the organisation's answer was not as it should be, so we did not pass it on"),
    "filter_failed": N_("the answer could not be cut down to what you agreed to"),
    "too_large": N_("the answer was larger than this service carries"),
    "busy": N_("there were too many requests at once"),
    "log_frozen": N_("our records were being checked after a fault"),
}

# Terms by name, for "what was asked" and "what was agreed" on an entry's page.
TERMS: Mapping[str, str] = {
    "dataset": N_("type of data"),
    "datatypes": N_("type of data"),
    "account": N_("account"),
    "accounts": N_("account"),
    "field": N_("details"),
    "fields": N_("details"),
    "period": N_("period of the data"),
    "frequency": N_("how often"),
    "rate": N_("how often"),
    "max_uses": N_("number of uses"),
    "purpose": N_("purpose"),
    "actions": N_("what may be done"),
    "locations": N_("organisation"),
    "organisation": N_("organisation"),
    "valid_for": N_("how long"),
    "retention": N_("how long it is kept"),
    "records": N_("number of records"),
}


_MEMBERS = {name: COMMON | kind.members for name, kind in EVENTS.items()}


def members(kind: str) -> frozenset[str]:
    """The facts an event of this kind may carry. Raises KeyError for an unknown kind."""
    return _MEMBERS[kind]
