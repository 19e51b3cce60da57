"""How many tries: per account, per network, counted in the memory of this one process.

Tries at an account are counted whoever makes them, known account or not. So that an attacker cannot keep the
person out, a browser that has signed in to the account before carries a cookie that says so, and is
counted on its own. Nothing is ever locked: every count fades.
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
    "code": "10 per 5 minute",  # tries of a second factor: three of a million codes are right at a time
    "network": "50 per 10 minute",  # failed tries from one network, at whatever accounts
    "register": "60 per hour",  # accounts opened from one network
}
_REMEMBERED = 24 * 3600  # seconds for which failed tries are told to the person at her next sign-in


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
        """Raise TooMany when no try is left; counts nothing."""
        if not self._window.test(self._limits[what], what, who):
            raise TooMany(what, retry_after=self._wait(what, who))

    def count(self, what: str, who: str) -> None:
        """Count one try that is already answered."""
        self._window.hit(self._limits[what], what, who)

    def forgive(self, what: str, who: str) -> None:
        self._window.clear(self._limits[what], what, who)

    def _wait(self, what: str, who: str) -> int:
        """Seconds until the oldest try fades."""
        reset = self._window.get_window_stats(self._limits[what], what, who).reset_time
        return max(1, int(reset - time.time()) + 1)

    # ---- failed tries, to be told at the next sign-in

    def failed(self, account: str) -> None:
        self._storage.incr(f"failed/{account}", _REMEMBERED)

    def take_failed(self, account: str) -> int:
        """How many tries failed since the last sign-in, and forget them."""
        count = self._storage.get(f"failed/{account}")
        self._storage.clear(f"failed/{account}")
        return count


_LOCK = threading.Lock()
_BY_STORE: WeakKeyDictionary[Store, Throttle] = WeakKeyDictionary()


def of(store: Store) -> Throttle:
    """The counters of this process for the gateway on `store`."""
    with _LOCK:
        if store not in _BY_STORE:
            _BY_STORE[store] = Throttle()
        return _BY_STORE[store]


# ---- browsers that have signed in to an account before


def known_mark(keys: KeyRing, person: str, nonce: str) -> str:
    """The cookie's value. `nonce`: fresh; it is what this browser is counted under."""
    return f"{nonce}.{keys.mac('known-browser', person, nonce)}"


def who_tries(keys: KeyRing, mark: str, email: str, person: str | None) -> str:
    """Under which name a try counts: this browser, when it has signed in to this account; else the account."""
    nonce, _, mac = mark.partition(".")
    if person is not None and mac and same(mac, keys.mac("known-browser", person, nonce)):
        return f"browser {nonce}"
    return f"account {keys.mac('throttle', email)}"
