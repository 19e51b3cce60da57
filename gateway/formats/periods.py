"""The period of a call: as an app asks for it, in parts where a call may not be for all of it, and as it is written.

the app's from and to ──► inside the window ──► whole units of what is coarser ──► a part ──► the organisation's way
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from gateway.catalogue.formats import Format, FormatCall
from gateway.formats import units
from gateway.formats.model import Denied, Source, Upstream
from gateway.formats.stamps import read_edge, write_edge
from gateway.ground.calendar.instants import Window, local_day, midnight, narrowed, window_text
from gateway.ground.http.connector import Pairs


def with_use(form: Format, call: FormatCall, *uses: str) -> list[str]:
    """The parameters of a call with one of these uses, also those that only stand in what is sent."""
    names = (*call.query, *sorted(call.placed - set(call.query)))
    return [name for name in names if name in form.parameters and form.parameters[name].use in uses]


class Periods:
    """Of the calls of one format at one organisation."""

    def __init__(self, form: Format, source: Source) -> None:
        self._form, self._source = form, source

    def asked(self, query: dict[str, str], window: Window, unit: str) -> Window | Denied:
        """What of the window was asked for; the parameters of the period are taken out of `query`. `unit`: of time,
        that it may not cut."""
        edges: dict[str, Any] = {"from": None, "to": None}
        for name in [name for name in query if self._form.parameters[name].use in edges]:
            known, text = self._form.parameters[name], query.pop(name)
            try:
                zone = known.zone or self._source.zone
                edges[known.use] = read_edge(text, known.written, zone, included=known.included)
                self.whole(Window(edges["from"], edges["to"]), unit)
            except (ValueError, OverflowError):
                return Denied("period", name, asked="malformed", allowed=window_text(window))
        return self.within(window, Window(edges["from"], edges["to"]), unit)

    def whole(self, wanted: Window, unit: str) -> Window:
        """With the units that it cuts. Raises OverflowError at the ends of the calendar."""
        return units.outward(wanted, unit, self._source.zone) if unit else wanted

    def within(self, window: Window, wanted: Window, unit: str) -> Window | Denied:
        """What of the window is wanted, in whole units."""
        try:
            whole = self.whole(wanted, unit)
        except OverflowError:
            whole = wanted
        kept = narrowed(window, whole.start, whole.end)
        return kept or Denied("period", "period", asked=window_text(wanted), allowed=window_text(window))

    def part(self, call: FormatCall, period: Window) -> Window | None:
        """The first of the parts that a period is asked for in; None: it is asked for at once."""
        if not call.days or period.start is None or self._source.filed:  # of a file everything is there at once
            return None
        return Window(period.start, min(self._until(call, period.start), self._over(call, period)))

    def after(self, call: FormatCall, period: Window | None, part: Window | None) -> Window | None:
        """What of a period comes behind a part; None: nothing."""
        if part is None or part.end is None or period is None or part.end >= self._over(call, period):
            return None
        return Window(part.end, period.end)

    def _until(self, call: FormatCall, start: datetime) -> datetime:
        zone = self._source.zone
        try:
            return midnight(local_day(start, zone) + timedelta(days=call.days), zone)
        except OverflowError:
            return start

    def _over(self, call: FormatCall, period: Window) -> datetime:
        """Where the last part ends: with the period, and no later than now unless it is the first."""
        assert period.start is not None, "only such a period has parts"
        now = max(self._source.clock(), self._until(call, period.start))
        return now if period.end is None else min(now, period.end)

    def edges(self, call: FormatCall, period: Window) -> Pairs:
        """The period, in the parameters that this call has for it."""
        return tuple(self._edges(call, period))

    def _edges(self, call: FormatCall, period: Window) -> Iterator[tuple[str, str]]:
        for name in with_use(self._form, call, "from", "to"):
            known = self._form.parameters[name]
            is_end = known.use == "to"
            edge = period.end if is_end else period.start
            if edge is not None:
                zone = known.zone or self._source.zone
                yield name, write_edge(edge, known.written, zone, is_end=is_end, included=known.included)


def period_of(sent: Upstream) -> Window:
    return sent.period or Window(None, None)
