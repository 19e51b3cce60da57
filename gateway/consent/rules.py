"""The life cycle of a consent, as one table.

requested ──► refused
    │
    ▼
  active ◄──► paused
    └────┬─────┘
         ▼
       ended (final)
"""

from enum import StrEnum


class State(StrEnum):
    REQUESTED = "requested"
    REFUSED = "refused"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class Act(StrEnum):
    """What can happen to a consent; also the `type` of its events."""

    REQUESTED = "requested"
    REFUSED = "refused"
    LAPSED = "lapsed"
    CONTINUED = "continued"  # the person lets an earlier agreement go on instead
    AMENDED = "amended"  # the person's yes became a new version of an earlier agreement
    GRANTED = "granted"
    NARROWED = "narrowed"
    EXTENDED = "extended"  # the app asked for more, and the person said yes
    CHANGED = "changed"  # the app asked for something else in its place, and the person said yes
    RENEWED = "renewed"
    PAUSED = "paused"
    RESUMED = "resumed"
    ENDED = "ended"
    ERASURE_ASKED = "erasure_asked"  # after the end; does not change the state


# What an app may ask to be done with grants (Grant Management §5.3). "": a new agreement replaces those of its purpose.
CREATE, MERGE, REPLACE = "create", "merge", "replace"
KEPT = "kept"  # beside the keys of DURATIONS, where something is added to a running sharing: its end stays


class EndReason(StrEnum):
    WITHDRAWN = "withdrawn"  # by the person
    BY_APP = "by_app"
    EXPIRED = "expired"
    USED_UP = "used_up"
    REPLACED = "replaced"
    INVALIDATED = "invalidated"  # by operator or organisation
    LAPSED = "lapsed"  # asked, never answered
    TAKEN_BACK = "taken_back"  # asked, and not wanted any more by the app
    CONTINUED = "continued"  # the app asked again for what was agreed before; the earlier agreement goes on
    UNCLAIMED = "unclaimed"  # agreed to, but the app never fetched its tokens
    AMENDED = "amended"  # the app asked to change an earlier agreement, which has changed


NEXT: dict[tuple[State, Act], State] = {
    (State.REQUESTED, Act.REFUSED): State.REFUSED,
    (State.REQUESTED, Act.GRANTED): State.ACTIVE,
    (State.REQUESTED, Act.LAPSED): State.ENDED,
    (State.REQUESTED, Act.CONTINUED): State.ENDED,
    (State.REQUESTED, Act.AMENDED): State.ENDED,
    (State.ACTIVE, Act.NARROWED): State.ACTIVE,
    (State.ACTIVE, Act.EXTENDED): State.ACTIVE,
    (State.ACTIVE, Act.CHANGED): State.ACTIVE,
    (State.ACTIVE, Act.RENEWED): State.ACTIVE,
    (State.ACTIVE, Act.PAUSED): State.PAUSED,
    (State.ACTIVE, Act.ENDED): State.ENDED,
    (State.PAUSED, Act.NARROWED): State.PAUSED,
    (State.PAUSED, Act.RESUMED): State.ACTIVE,  # also before its app's request changes it: she is told that it goes on
    (State.PAUSED, Act.ENDED): State.ENDED,
}


class ImpossibleAct(Exception):
    """This act is not possible in the consent's state: it has ended, or the act was done already."""

    def __init__(self, state: State, act: Act) -> None:
        super().__init__(f"{act} on {state}")
        self.state, self.act = state, act


# How requests end that never became a sharing. The list of sharings does not show them.
NEVER_A_SHARING = frozenset({EndReason.LAPSED, EndReason.TAKEN_BACK, EndReason.CONTINUED, EndReason.AMENDED})

# Acts that make a version of the terms.
VERSIONS = frozenset({Act.GRANTED, Act.NARROWED, Act.EXTENDED, Act.CHANGED, Act.RENEWED})


def advance(state: str, act: Act) -> State:
    try:
        return NEXT[State(state), act]
    except KeyError:
        raise ImpossibleAct(State(state), act) from None


# The lengths of a sharing that a person may choose from, shortest first: (key, days; None: for one use).
DURATIONS: tuple[tuple[str, int | None], ...] = (("once", None), ("d30", 30), ("d90", 90), ("d180", 180), ("d365", 365))
ONCE_HOURS = 24  # a sharing for one use ends after this long even if unused
OFFERED_DURATIONS = 4  # most choices on one screen, "once" always among them
