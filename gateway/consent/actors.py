"""Who did something: one value for events, terms, policies and the log."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["person", "guardian", "app", "organisation", "operator", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """`person`: the id of the person who acted, "" when no person did. `capacity`: "self", or the role in which this
    person acts for the owner of the consent, such as "guardian"."""

    kind: Kind
    person: str = ""
    capacity: str = ""

    @property
    def for_another(self) -> bool:
        return self.capacity not in ("", "self")

    @property
    def named(self) -> dict[str, str]:
        """What the log entry says of the actor: id and role, but only of somebody who acted for another person."""
        return {self.capacity: self.person} if self.for_another else {}


APP = Actor("app")
OPERATOR = Actor("operator")
SYSTEM = Actor("system")


def herself(person: str) -> Actor:
    return Actor("person", person, "self")


def acting(caller: str, owner: str) -> Actor:
    """The signed-in `caller` acting on a consent of `owner`: the owner, or the owner's guardian.

    This does not check whether the caller may act: `PersonFacts.decided_by` does.
    """
    return herself(caller) if caller == owner else Actor("guardian", caller, "guardian")
