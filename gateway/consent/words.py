"""Terms in words: periods, frequencies, lengths, states, in the language of a page.

In one place, so that screen, list, detail and receipt use the same words.
Names of data and purposes come from the catalogue; here are the words around them.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from gettext import NullTranslations
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from babel.dates import format_time
from babel.lists import format_list

from gateway.catalogue import Words
from gateway.ground.calendar.durations import parse as parse_duration
from gateway.ground.calendar.instants import last_day
from gateway.ground.web.languages import locale, written_day, written_moment
from gateway.ground.web.marks import N2_, N_

if TYPE_CHECKING:
    from gateway.ground.web.context import Context


# The same label for a state on every page.
STATES = {
    "requested": N_("Requested"),
    "active": N_("Active"),
    "paused": N_("Paused"),
    "refused": N_("Refused"),
    "ended": N_("Ended"),
}
REASONS = {
    "withdrawn": N_("stopped by you"),
    "by_app": N_("ended by the app"),
    "expired": N_("end date reached"),
    "used_up": N_("used once, as agreed"),
    "replaced": N_("replaced"),
    "invalidated": N_("ended by the service"),
    "lapsed": N_("not answered in time"),
    "taken_back": N_("the app took its request back"),
    "continued": N_("an earlier sharing goes on"),
    "amended": N_("an earlier sharing was changed"),
    "unclaimed": N_("the app did not take it up"),
}
SUSPENDED = {
    "service": N_("suspended by the service"),
    "organisation": N_("suspended by the organisation"),
}
DURATIONS = {
    "once": N_("once only"),
    "d30": N_("30 days"),
    "d90": N_("90 days"),
    "d180": N_("180 days"),
    "d365": N_("12 months"),
}
_HISTORY = {
    "year": N2_("the last year", "the last %(n)d years"),
    "month": N2_("the last month", "the last %(n)d months"),
    "day": N2_("the last day", "the last %(n)d days"),
}
_AND_TO_COME = {
    "year": N2_("the last year, and from now on", "the last %(n)d years, and from now on"),
    "month": N2_("the last month, and from now on", "the last %(n)d months, and from now on"),
    "day": N2_("the last day, and from now on", "the last %(n)d days, and from now on"),
}
_SPAN = {
    "year": N2_("%(n)d year", "%(n)d years"),
    "month": N2_("%(n)d month", "%(n)d months"),
    "day": N2_("%(n)d day", "%(n)d days"),
}
_OFTEN = {
    "hour": N2_("once an hour", "%(n)d times an hour"),
    "day": N2_("once a day", "%(n)d times a day"),
    "week": N2_("once a week", "%(n)d times a week"),
    "month": N2_("once a month", "%(n)d times a month"),
    "year": N2_("once a year", "%(n)d times a year"),
}
# The history on the page of one consent. Keys: (type of event, actor); "*" is any actor.
HISTORY = {
    ("requested", "*"): N_("The app asked."),
    ("refused", "guardian"): N_("The guardian refused."),
    ("refused", "system"): N_("The service refused: its rules do not allow it."),
    ("refused", "*"): N_("You refused."),
    ("lapsed", "*"): N_("It was not answered. Nothing was shared."),
    ("continued", "guardian"): N_("The guardian let the app go on with what was agreed before."),
    ("continued", "*"): N_("You let the app go on with what you agreed to before."),
    ("granted", "guardian"): N_("The guardian agreed."),
    ("granted", "*"): N_("You agreed."),
    ("narrowed", "guardian"): N_("The guardian removed some data."),
    ("narrowed", "*"): N_("You removed some data."),
    ("amended", "guardian"): N_("The guardian agreed. An earlier sharing was changed."),
    ("amended", "*"): N_("You agreed. An earlier sharing was changed."),
    ("extended", "guardian"): N_("The guardian agreed to share more."),
    ("extended", "*"): N_("You agreed to share more."),
    ("changed", "guardian"): N_("The guardian agreed to other data in its place."),
    ("changed", "*"): N_("You agreed to other data in its place."),
    ("renewed", "guardian"): N_("The guardian renewed the sharing."),
    ("renewed", "*"): N_("You renewed the sharing."),
    ("paused", "guardian"): N_("The guardian paused the sharing."),
    ("paused", "*"): N_("You paused the sharing."),
    ("resumed", "guardian"): N_("The guardian resumed the sharing."),
    ("resumed", "*"): N_("You resumed the sharing."),
    ("ended", "guardian"): N_("The guardian stopped the sharing."),
    ("ended", "person"): N_("You stopped the sharing."),
    ("ended", "app"): N_("The app ended the sharing."),
    ("ended", "*"): N_("The sharing ended."),
    ("erasure_asked", "guardian"): N_("The guardian asked for deletion."),
    ("erasure_asked", "*"): N_("You asked for deletion."),
}
# Ends that nobody chose as such, even if a click caused them. Keys: rules.EndReason.
ENDINGS = {
    "replaced": N_("It was replaced by a newer agreement."),
    "expired": N_("It reached its end date."),
    "used_up": N_("It was for one use and has been used."),
    "unclaimed": N_("The app did not take it up in time. Nothing was shared."),
}


class Wording:
    """Words in one language. Dates are in the gateway's time zone."""

    def __init__(self, language: str, translations: NullTranslations, zone: str) -> None:
        self.language = language
        self._locale = locale(language)
        self._texts = translations
        self._zone = ZoneInfo(zone)

    def __call__(self, text: str, **values: object) -> str:
        return self._texts.gettext(text) % values if values else self._texts.gettext(text)

    def _count(self, texts: tuple[str, str], n: int) -> str:
        return self._texts.ngettext(*texts, n) % {"n": n}

    def of(self, words: Words) -> str:
        return words[self.language]

    def date(self, at: str | date | datetime | None) -> str:
        """A day, written out. `at` as a string is ISO 8601."""
        if not at:
            return ""
        if isinstance(at, str):
            at = date.fromisoformat(at) if len(at) == 10 else datetime.fromisoformat(at)
        return written_day(at.astimezone(self._zone) if isinstance(at, datetime) else at, "long", self.language)

    def day(self, at: str) -> str:
        """A day with the month's name abbreviated, for a line of choices."""
        return written_day(date.fromisoformat(at), "medium", self.language)

    def moment(self, at: str | datetime | None) -> str:
        if not at:
            return ""
        at = datetime.fromisoformat(at) if isinstance(at, str) else at
        return written_moment(at.astimezone(self._zone), self.language)

    def hour(self, at: str | datetime) -> str:
        at = datetime.fromisoformat(at) if isinstance(at, str) else at
        return format_time(at.astimezone(self._zone), "short", tzinfo=self._zone, locale=self._locale)

    def all_of(self, names: Sequence[str]) -> str:
        return format_list(list(names), locale=self._locale) if names else ""

    def duration(self, key: str) -> str:
        return self(DURATIONS[key])

    def state(self, state: str) -> str:
        return self(STATES[state])

    def reason(self, reason: str) -> str:
        return self(REASONS[reason]) if reason in REASONS else ""

    def span(self, duration: str) -> str:
        """A length of time: "13 months"."""
        return self.all_of([self._count(_SPAN[unit], n) for n, unit in _units(duration)])

    def period(self, period: Mapping[str, Any]) -> str:
        """The period the data comes from. `period`: history, or from and to; future."""
        if period["history"] is None:
            first, after = datetime.fromisoformat(period["from"]), datetime.fromisoformat(period["to"])
            start, end = self.date(first), self.date(last_day(first, after, self._zone.key))
            if start == end:
                return self(N_("on %(day)s"), day=start)
            return self(N_("from %(start)s to %(end)s"), start=start, end=end)
        units = _units(period["history"])
        if len(units) == 1:
            n, unit = units[0]
            return self._count((_AND_TO_COME if period["future"] else _HISTORY)[unit], n)
        back = N_("the last %(span)s, and from now on") if period["future"] else N_("the last %(span)s")
        return self(back, span=self.span(period["history"]))

    def often(self, limits: Sequence[Mapping[str, Any]]) -> str:
        """All limits apply, so of two for the same unit only the lower is told."""
        if not limits:
            return self(N_("as often as the app asks"))
        lowest: dict[str, int] = {}
        for limit in limits:
            lowest[limit["per"]] = min(int(limit["times"]), lowest.get(limit["per"], int(limit["times"])))
        if not lowest:
            return self(N_("as often as the app asks"))
        parts = [self._count(_OFTEN[unit], lowest[unit]) for unit in _OFTEN if unit in lowest]
        return self(N_("at most %(limits)s"), limits=self.all_of(parts))

    def event(self, type_: str, actor: str, reason: str = "") -> str:
        """`reason`: why it ended. An end that nobody chose as such is not told as somebody's act."""
        why = ENDINGS.get(reason) if type_ == "ended" else None
        return self(why or HISTORY.get((type_, actor)) or HISTORY[type_, "*"])


def wording(ctx: "Context") -> Wording:
    """The words for the page that answers `ctx`."""
    return Wording(ctx.language, ctx.house.translations.of(ctx.language), ctx.house.settings.zone)


def _units(duration: str) -> list[tuple[int, str]]:
    """`P13M` → 13 months; `P36M` → 3 years: whole years from two on, because people say "the last 12 months"."""
    parsed = parse_duration(duration)
    units = []
    if parsed.months:
        whole = parsed.months >= 24 and parsed.months % 12 == 0
        units.append((parsed.months // 12, "year") if whole else (parsed.months, "month"))
    if parsed.days:
        units.append((parsed.days, "day"))
    return units
