"""The period of a call: as an app asks for it, in parts where a call may not be for all of it, and as it is written.

the app's from and to ──► inside the window ──► whole units of what is coarser ──► a part ──► the organisation's way
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.catalogue.formats import Format, FormatCall
from gateway.formats import units
from gateway.formats.model import Denied, Source, Upstream
from gateway.formats.stamps import read_edge, write_edge
from gateway.ground.calendar.instants import Window, local_day, midnight, narrowed, window_text
from gateway.ground.http.connector import Pairs

FIRST, LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


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
                edges = _reasonable(edges)
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

    def part(self, call: FormatCall, period: Window, *, ahead: bool) -> Window | None:
        """The first of the parts that a period is asked for in; None: it is asked for at once."""
        if not call.days or period.start is None or self._source.filed:  # of a file everything is there at once
            return None
        last = self._last(call, period, ahead=ahead)
        until = self._until(call, period.start, call.days)
        if until == period.end and call.days > 1 and self._stamped_at_end(call):
            until = self._until(call, period.start, call.days - 1)  # the last has room for a moment more
        return Window(period.start, min(until, last))

    def after(self, call: FormatCall, sent: Upstream) -> Window | None:
        """What of the period comes behind the part of it that was asked for; None: nothing."""
        part, period = sent.part, sent.period
        if part is None or part.end is None or period is None:
            return None
        return Window(part.end, period.end) if part.end < self._last(call, period, ahead=sent.ahead) else None

    def _until(self, call: FormatCall, start: datetime, days: int) -> datetime:
        zone = self._source.zone
        return midnight(local_day(start, zone) + timedelta(days=days), zone)

    def _last(self, call: FormatCall, period: Window, *, ahead: bool) -> datetime:
        """Where the last part ends: with the period. Where nobody named its end (`ahead`), no later than now, unless
        that is in the first part."""
        assert period.start is not None, "only such a period has parts"
        if ahead and period.end is not None:
            return period.end
        now = max(self._source.clock(), self._until(call, period.start, call.days))
        return now if period.end is None else min(now, period.end)

    def _stamped_at_end(self, call: FormatCall) -> bool:
        return self._form.records[call.records].time.ends

    def edges(self, call: FormatCall, period: Window, part: Window | None) -> Pairs:
        """The period, or the part of it that is asked for, in the parameters that this call has for it.

        Of records that are stamped with their end the last one has the end of the period for its stamp, which an
        organisation may not count any more: so a moment more is asked for, and cut off here.
        """
        asked = part or period
        end = asked.end
        whole = part is None or (call.days > 1 and end == period.end)
        if end is not None and whole and self._stamped_at_end(call):
            asked = Window(asked.start, end + timedelta(seconds=1))
        return tuple(self._edges(call, asked))

    def _edges(self, call: FormatCall, period: Window) -> Iterator[tuple[str, str]]:
        for name in with_use(self._form, call, "from", "to"):
            known = self._form.parameters[name]
            is_end = known.use == "to"
            edge = period.end if is_end else period.start
            if edge is not None:
                zone = known.zone or self._source.zone
                yield name, write_edge(edge, known.written, zone, is_end=is_end, included=known.included)


def _reasonable(edges: dict[str, Any]) -> dict[str, Any]:
    """A period that begins or ends where nobody's records do is open there, since the calendar ends soon behind it.
    Raises ValueError for one that lies there."""
    start, end = edges["from"], edges["to"]
    if (start is not None and start > LAST) or (end is not None and end < FIRST):
        raise ValueError
    return {"from": None if start is None or start < FIRST else start, "to": None if end is None or end > LAST else end}


def period_of(sent: Upstream) -> Window:
    return sent.period or Window(None, None)
