"""Limits on what costs somebody else: messages to a customer, tries of a code, calls to an organisation.

They count per person and, where a customer number is given, also per number: opening many accounts here gives no more
tries at one customer's code. A number counts the same whether or not the organisation knows it, and however it is
spelled. Each message allows five tries (`link_attempts.TRIES`) of a million codes, so that an attacker who tries every
day succeeds on at most one day in ten thousand. All that a stranger can achieve is that the customer has to wait for a
day. They count for all processes that serve one database, and over a restart.
"""

from gateway.errors import TooMany
from gateway.ground.keys import KeyRing
from gateway.ground.store import Store
from gateway.ground.store.together import AtMost, Tries

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600

# what is counted → all limits that apply
LIMITS: dict[str, tuple[AtMost, ...]] = {
    "link": (AtMost(5, MINUTE), AtMost(20, HOUR)),  # each may send a message to a stranger's phone
    "link_of_number": (AtMost(10, HOUR), AtMost(20, DAY)),
    "code": (AtMost(10, MINUTE), AtMost(40, HOUR)),
    "code_of_number": (AtMost(50, HOUR), AtMost(100, DAY)),
    "refresh": (AtMost(6, MINUTE), AtMost(60, HOUR)),
    "download": (AtMost(3, MINUTE), AtMost(20, HOUR)),
}


def once_more(store: Store, what: str, whom: str) -> None:
    """Count one try. Raises TooMany above the limit; counted per person over all organisations.

    It writes in a transaction of its own: call it in none. `whom` is kept: an id of ours or a MAC.
    """
    wait = Tries(store).hit(LIMITS[what], f"{what} {whom}")
    if wait:
        raise TooMany(what, retry_after=wait)


def once_more_for(store: Store, keys: KeyRing, what: str, organisation: str, number: str) -> None:
    """Count one try for a customer number. Only a keyed MAC of the number is kept. Raises TooMany."""
    spelled = "".join(letter for letter in number.upper() if letter.isalnum())
    once_more(store, f"{what}_of_number", keys.mac("tries", organisation, spelled))
