"""How often one may start what costs somebody else: messages to a customer, tries at her code, calls.

Counted per person and, where a customer number is given, per number too: whoever opens many accounts has no more
tries at one customer's code than with one. A number counts the same whether the organisation knows it or not, and
however it is spelled. Five codes are tried per message (`linking.TRIES`) out of a million: at most one day in ten
thousand is a lucky one. What a stranger can do with it is make her wait for a day.
"""

import threading
from weakref import WeakKeyDictionary

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from gateway.errors import TooMany
from gateway.ground.store import Store
from gateway.house import House

# what → every limit that binds
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


def once_more_for(house: House, what: str, organisation: str, number: str) -> None:
    """The same for a customer number, of which nothing but a keyed mac is kept, and that in memory only."""
    spelled = "".join(letter for letter in number.upper() if letter.isalnum())
    once_more(house.store, f"{what}_of_number", house.keys.mac("tries", organisation, spelled))
