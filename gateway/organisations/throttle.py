"""Limits on what costs somebody else: messages to a customer, tries of a code, calls to an organisation.

They count per person and, where a customer number is given, also per number: opening many accounts here gives no more
tries at one customer's code. A number counts the same whether or not the organisation knows it, and however it is
spelled. Each message allows five tries (`linking.TRIES`) of a million codes, so that an attacker who tries every day
succeeds on at most one day in ten thousand. All that a stranger can achieve is that the customer has to wait for a day.
"""

import threading
from weakref import WeakKeyDictionary

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from gateway.errors import TooMany
from gateway.ground.keys import KeyRing
from gateway.ground.store import Store

# what is counted → all limits that apply
LIMITS: dict[str, tuple[RateLimitItem, ...]] = {
    "link": (RateLimitItemPerMinute(5), RateLimitItemPerHour(20)),  # each may send a message to a stranger's phone
    "link_of_number": (RateLimitItemPerHour(10), RateLimitItemPerDay(20)),
    "code": (RateLimitItemPerMinute(10), RateLimitItemPerHour(40)),
    "code_of_number": (RateLimitItemPerHour(50), RateLimitItemPerDay(100)),
    "refresh": (RateLimitItemPerMinute(6), RateLimitItemPerHour(60)),
    "download": (RateLimitItemPerMinute(3), RateLimitItemPerHour(20)),
}

_limiters: WeakKeyDictionary[Store, MovingWindowRateLimiter] = WeakKeyDictionary()  # one per store, under _lock
_lock = threading.Lock()


def once_more(store: Store, what: str, whom: str) -> None:
    """Count one try. Raises TooMany above the limit; counted per person over all organisations."""
    with _lock:
        limiter = _limiters.setdefault(store, MovingWindowRateLimiter(MemoryStorage()))
        for limit in LIMITS[what]:
            if not limiter.hit(limit, what, whom):
                raise TooMany(what, retry_after=limit.get_expiry())


def once_more_for(store: Store, keys: KeyRing, what: str, organisation: str, number: str) -> None:
    """Count one try for a customer number. Only a keyed MAC of the number is kept, in memory. Raises TooMany."""
    spelled = "".join(letter for letter in number.upper() if letter.isalnum())
    once_more(store, f"{what}_of_number", keys.mac("tries", organisation, spelled))
