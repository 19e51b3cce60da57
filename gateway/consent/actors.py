"""Who brings something about: one value for events, terms, policies and the log."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["person", "guardian", "app", "organisation", "operator", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """`person`: the id of whoever acted, "" when nobody did. `capacity`: "self", or the role in which she acts for
    the person whose consent it is, such as "guardian"."""

    kind: Kind
    person: str = ""
    capacity: str = ""

    @property
    def for_another(self) -> bool:
        return self.capacity not in ("", "self")

    @property
    def named(self) -> dict[str, str]:
        """Whom the log names with an act: somebody who acted for her."""
        return {self.capacity: self.person} if self.for_another else {}


APP = Actor("app")
OPERATOR = Actor("operator")
SYSTEM = Actor("system")


def herself(person: str) -> Actor:
    return Actor("person", person, "self")


def acting(caller: str, owner: str) -> Actor:
    """The signed-in `caller` on what is `owner`'s: she herself, or her guardian.

    Whether the caller may is asked elsewhere (`PersonFacts.decided_by`).
    """
    return herself(caller) if caller == owner else Actor("guardian", caller, "guardian")
