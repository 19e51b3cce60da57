"""Limits on tries: per account and per network, counted for all processes that serve one database.

All tries at an account are counted together, even if there is no such account. So that an attacker cannot keep the
person out, a browser that has signed in to the account before has a cookie that says so, and is counted separately.
Of a network only tries that fail are counted. While one is looked at others may fail: so it is counted, or checked once
more, before its answer is told, and no more than the limit are told anything, however many come at once.
No account is ever locked: the counts expire. What a try is counted by is kept as a keyed MAC.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlmodel import Session

from gateway.errors import TooMany
from gateway.ground.keys import KeyRing, same
from gateway.ground.store.together import AtMost, Tries

if TYPE_CHECKING:
    from gateway.house import House

_LIMITS = {
    "account": AtMost(10, 5 * 60),  # password tries at one account, from anywhere
    "code": AtMost(10, 5 * 60),  # tries of a second factor; at any time three of a million codes are right
    "network": AtMost(50, 10 * 60),  # failed tries from one network, at all accounts together
    "register": AtMost(60, 3600),  # accounts opened from one network
}
_REMEMBERED = 24 * 3600  # seconds for which failed tries are remembered, to tell the person at the next sign-in


class Throttle:
    """Hand over the session of an open transaction, where there is one (`Tries`)."""

    def __init__(self, tries: Tries, keys: KeyRing, limits: Mapping[str, AtMost] | None = None) -> None:
        self._tries, self._keys = tries, keys
        self._limits = {**_LIMITS, **(limits or {})}

    def spend(self, what: str, who: str, session: Session | None = None) -> None:
        """Count one try. Raises TooMany."""
        wait = self._tries.hit((self._limits[what],), self._key(what, who), session)
        if wait:
            raise TooMany(what, retry_after=wait)

    def check(self, what: str, who: str, session: Session | None = None) -> None:
        """Raise TooMany if no try is left. Does not count."""
        wait = self._tries.wait((self._limits[what],), self._key(what, who), session)
        if wait:
            raise TooMany(what, retry_after=wait)

    def check_last(self, what: str, who: str, session: Session) -> None:
        """The same before a try that succeeded is told: as many as may fail may have failed since it began."""
        self._tries.alone(self._key(what, who), session)
        self.check(what, who, session)

    def forgive(self, what: str, who: str, session: Session | None = None) -> None:
        self._tries.take(self._key(what, who), session)

    # ---- failed tries, to be told at the next sign-in

    def failed(self, account: str, session: Session | None = None) -> None:
        self._tries.add(self._key("failed", account), _REMEMBERED, session)

    def take_failed(self, account: str, session: Session | None = None) -> int:
        """Return how many tries failed since the last sign-in, and forget them."""
        return self._tries.take(self._key("failed", account), session)

    def _key(self, what: str, who: str) -> str:
        return self._keys.mac("tries", what, who)


def of(house: "House") -> Throttle:
    return Throttle(Tries(house.store), house.keys)


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
