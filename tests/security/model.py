"""What the terms allow, worked out once more and as plainly as possible: the oracle of the state machine."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Paris")
LIMITS = (("hour", 3), ("day", 12), ("month", 200))  # what the app asks, and the caps of the purpose beside it
GRACE = timedelta(seconds=30)  # in which a lost answer to a refresh is given again
LENGTH = {"once": timedelta(hours=24), "d30": timedelta(days=30), "d90": timedelta(days=90)}


def window(per: str, now: datetime) -> str:
    """The calendar window of an instant, as a person would name it."""
    form = {"hour": "%Y-%m-%d %H", "day": "%Y-%m-%d", "month": "%Y-%m"}
    return now.astimezone(ZONE).strftime(form[per])


@dataclass
class Family:
    """What descends from one code."""

    refresh: str
    lives: bool = True
    spent: list[str] = field(default_factory=list)
    spent_at: datetime | None = None  # the last of them

    def goes_on(self, successor: str, now: datetime) -> None:
        self.spent.append(self.refresh)
        self.refresh, self.spent_at = successor, now

    def gives_again(self, token: str, now: datetime) -> bool:
        """The last spent token, while its successor is unused and the grace runs."""
        return self.spent_at is not None and token == self.spent[-1] and now < self.spent_at + GRACE


@dataclass
class Token:
    text: str
    expires: datetime
    family: Family


@dataclass
class Agreement:
    id: str
    granted: set[str]
    accounts: list[str]
    until: datetime
    once: bool
    state: str = "active"
    reason: str = ""
    used: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    families: list[Family] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)

    def is_over(self, now: datetime) -> bool:
        return now >= self.until

    # ---- what people do

    def ends(self, reason: str, now: datetime) -> bool:
        if self.state not in ("active", "paused"):
            return False
        self.state, self.reason = "ended", "expired" if self.is_over(now) else reason
        return True

    def toggles(self, needed: str, state: str, now: datetime) -> None:
        if self.state == needed and not self.is_over(now):
            self.state = state

    def keeps(self, kept: set[str], now: datetime) -> None:
        if self.state not in ("active", "paused") or self.is_over(now):
            return
        if not self.granted & kept:
            self.ends("withdrawn", now)
        else:
            self.granted &= kept

    # ---- what apps get

    def read(self, token: Token, dataset: str, account: str | None, now: datetime) -> tuple[int, str]:
        """(status, reason). Changes nothing."""
        if now >= token.expires or not token.family.lives:
            return 401, ""
        if self.state == "paused":
            return 403, "paused"
        if self.state == "ended":
            return 403, "max_uses" if self.reason == "used_up" else "ended"
        if self.is_over(now):
            return 403, "ended"
        if dataset not in self.granted:
            return 403, "dataset"
        if account is not None and account not in self.accounts:
            return 403, "account"
        if any(self.used[dataset, per, window(per, now)] >= times for per, times in LIMITS):
            return 429, "frequency"
        return 200, ""

    def has_read(self, dataset: str, now: datetime) -> None:
        for per, _ in LIMITS:
            self.used[dataset, per, window(per, now)] += 1
        if self.once:
            self.state, self.reason = "ended", "used_up"

    def refreshes(self, family: Family, token: str, now: datetime) -> int:
        """The status a refresh gets. A token used before ends its family, unless its answer is given again."""
        if self.is_over(now) or not family.lives or self.state not in ("active", "paused"):
            return 400
        if self.state == "paused":
            return 403
        if token in family.spent and not family.gives_again(token, now):
            family.lives = False
            return 400
        return 200
