"""Limits on tries: per account and per network, counted in the memory of this one process.

All tries at an account are counted together, even if there is no such account. So that an attacker cannot keep the
person out, a browser that has signed in to the account before has a cookie that says so, and is counted separately.
No account is ever locked: the counts expire.
"""

import threading
import time
from weakref import WeakKeyDictionary

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from gateway.errors import TooMany
from gateway.ground.keys import KeyRing, same
from gateway.ground.store import Store

_LIMITS = {
    "account": "10 per 5 minute",  # password tries at one account, from anywhere
    "code": "10 per 5 minute",  # tries of a second factor; at any time three of a million codes are right
    "network": "50 per 10 minute",  # failed tries from one network, at all accounts together
    "register": "60 per hour",  # accounts opened from one network
}
_REMEMBERED = 24 * 3600  # seconds for which failed tries are remembered, to tell the person at the next sign-in


class Throttle:
    def __init__(self, limits: dict[str, str] | None = None) -> None:
        self._storage = MemoryStorage()
        self._window = MovingWindowRateLimiter(self._storage)
        told = {**_LIMITS, **(limits or {})}
        self._limits: dict[str, RateLimitItem] = {name: parse(text) for name, text in told.items()}

    def spend(self, what: str, who: str) -> None:
        """Count one try. Raises TooMany."""
        if not self._window.hit(self._limits[what], what, who):
            raise TooMany(what, retry_after=self._wait(what, who))

    def check(self, what: str, who: str) -> None:
        """Raise TooMany if no try is left. Does not count."""
        if not self._window.test(self._limits[what], what, who):
            raise TooMany(what, retry_after=self._wait(what, who))

    def count(self, what: str, who: str) -> None:
        """Count one try, without a limit: its answer is already made."""
        self._window.hit(self._limits[what], what, who)

    def forgive(self, what: str, who: str) -> None:
        self._window.clear(self._limits[what], what, who)

    def _wait(self, what: str, who: str) -> int:
        """Seconds until the oldest try no longer counts."""
        reset = self._window.get_window_stats(self._limits[what], what, who).reset_time
        return max(1, int(reset - time.time()) + 1)

    # ---- failed tries, to be told at the next sign-in

    def failed(self, account: str) -> None:
        self._storage.incr(f"failed/{account}", _REMEMBERED)

    def take_failed(self, account: str) -> int:
        """Return how many tries failed since the last sign-in, and forget them."""
        count = self._storage.get(f"failed/{account}")
        self._storage.clear(f"failed/{account}")
        return count


_LOCK = threading.Lock()
_BY_STORE: WeakKeyDictionary[Store, Throttle] = WeakKeyDictionary()


def of(store: Store) -> Throttle:
    """This process's counters for the gateway with this store."""
    with _LOCK:
        if store not in _BY_STORE:
            _BY_STORE[store] = Throttle()
        return _BY_STORE[store]


# ---- browsers that have signed in to an account before


def known_mark(keys: KeyRing, person: str, nonce: str) -> str:
    """The value of the cookie. `nonce`: fresh; this browser's tries are counted by it."""
    return f"{nonce}.{keys.mac('known-browser', person, nonce)}"


def who_tries(keys: KeyRing, mark: str, email: str, person: str | None) -> str:
    """What a try is counted by: this browser if it has signed in to this account before, otherwise the account."""
    nonce, _, mac = mark.partition(".")
    if person is not None and mac and same(mac, keys.mac("known-browser", person, nonce)):
        return f"browser {nonce}"
    return f"account {keys.mac('throttle', email)}"
