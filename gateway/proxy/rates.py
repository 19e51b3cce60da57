"""How often calls may come, whoever agreed to whatever: three limits, each a table of token buckets in memory.

    one app                      so that a loop in it does not take the gateway from the others
    one app for one person       so that one person's data is not fetched over and over
    one organisation             what it is protected from, all apps together

A bucket holds one minute's worth and fills evenly. It is kept as one number, the time at which it will be
full again; one that is full again is as good as forgotten, so a table holds no more than what was called in
the last two minutes. The keys are of a verified token and of our own directory: no spelling of a request,
no header and no new token makes another bucket.

They protect capacity alone, so each process that serves the database has its part of a limit (`share`), and need not
ask the others about a call.
"""

from collections.abc import Hashable

from gateway.errors import Refusal
from gateway.proxy.tokens import Token
from gateway.settings import Settings

MINUTE = 60.0
HELD = 20_000  # buckets of each of a table's two halves: some 8 MB in all


class Buckets:
    """`per_minute` calls for each key. Of the event loop; no clock of its own: `now` is in seconds."""

    __slots__ = ("per_minute", "here", "_step", "_slack", "_full_at", "_before", "_turned")

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.share(1)
        self._full_at: dict[Hashable, float] = {}
        self._before: dict[Hashable, float] = {}  # the half that is not written any more
        self._turned = 0.0

    def share(self, processes: int) -> None:
        """From now on as many serve the database: each lets its part through, at least one call."""
        self.here = max(1, self.per_minute // processes)  # of them, in this process
        self._step = MINUTE / self.here  # one call
        self._slack = MINUTE - self._step  # how far ahead `full_at` may be for one more call to fit

    def wait(self, key: Hashable, now: float) -> float:
        """Seconds until a call of `key` fits; 0.0: it fits now. Takes nothing."""
        full_at = self._full_at.get(key)
        if full_at is None:
            full_at = self._before.get(key, 0.0)
        ahead = full_at - now - self._slack
        # More than a whole bucket ahead: the clock was put back, which is no fault of the caller's.
        if ahead <= 0.0 or ahead > self._step + 1e-6:
            return 0.0
        self._full_at[key] = full_at  # whoever goes on calling is not among the idlest
        return ahead

    def take(self, key: Hashable, now: float) -> None:
        full_at = self._full_at.get(key)
        if full_at is None:
            full_at = self._before.get(key, 0.0)
            if now - self._turned > MINUTE or now < self._turned or len(self._full_at) >= HELD:
                self._turn(now)
        self._full_at[key] = (full_at if now < full_at <= now + MINUTE else now) + self._step

    def _turn(self, now: float) -> None:
        """What is a minute old is full again. A table that fills sooner forgets its idlest half."""
        self._before, self._full_at, self._turned = self._full_at, {}, now

    def __len__(self) -> int:
        return len(self._full_at) + len(self._before)


class Rates:
    """The three limits of the settings; a limit of 0 is off and costs nothing."""

    def __init__(self, settings: Settings) -> None:
        self._limits = [
            (Buckets(per_minute), which, words)
            for per_minute, which, words in (
                (settings.app_calls_per_minute, 0, "app"),
                (settings.person_calls_per_minute, 1, "app and person"),
                (settings.organisation_calls_per_minute, 2, "organisation"),
            )
            if per_minute
        ]

    def share(self, processes: int) -> None:
        for buckets, _, _ in self._limits:
            buckets.share(processes)

    def refusal(self, token: Token, person: str, organisation: str, now: float) -> Refusal | None:
        """None: the call was counted by every limit. A refused call is counted by none."""
        known = organisation if organisation in token.organisations else ""  # else anybody could make up buckets
        keys = token.client, (token.client, person), known
        for buckets, which, words in self._limits:
            wait = buckets.wait(keys[which], now)
            if wait:
                allowed = f"{buckets.per_minute} per minute per {words}"
                if buckets.here < buckets.per_minute:
                    allowed += f", {buckets.here} of them by the process that answered: use more than one connection"
                return Refusal("too_many_calls", "rate", allowed=allowed, retry_after=int(wait) + 1)
        for buckets, which, _ in self._limits:
            buckets.take(keys[which], now)
        return None
