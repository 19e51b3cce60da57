"""How often one person may start what costs somebody else: messages to a customer, calls to an organisation."""

import threading
from weakref import WeakKeyDictionary

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from gateway.errors import TooMany
from gateway.house import House
from gateway.store import Store

# what → every limit that binds
LIMITS: dict[str, tuple[RateLimitItem, ...]] = {
    "link": (RateLimitItemPerMinute(5), RateLimitItemPerHour(20)),  # each may send a message to a stranger's phone
    "code": (RateLimitItemPerMinute(10), RateLimitItemPerHour(40)),
    "refresh": (RateLimitItemPerMinute(6), RateLimitItemPerHour(60)),
    "download": (RateLimitItemPerMinute(3), RateLimitItemPerHour(20)),
}

_limiters: WeakKeyDictionary[Store, MovingWindowRateLimiter] = WeakKeyDictionary()  # one per store, under _lock
_lock = threading.Lock()


def once_more(house: House, what: str, person: str) -> None:
    """Count one try. Raises TooMany above the limit; counted per person over all organisations."""
    with _lock:
        limiter = _limiters.setdefault(house.store, MovingWindowRateLimiter(MemoryStorage()))
        for limit in LIMITS[what]:
            if not limiter.hit(limit, what, person):
                raise TooMany(what, retry_after=limit.get_expiry())
