"""An answer over records: of one call, page by page, until the organisation says that there is no further one.

    the first page ──► rows, and the token of the next ──► … ──► the last ──► the answer (JSON, whatever they came in)

How a page is read is the driver's; everything else is the same for all. Nothing of a page leaves, not even its token:
whoever makes the calls asks for the next page with it, as an app would for a following page of records.
"""

import hashlib
from collections import Counter
from datetime import datetime

from msgspec import Raw

from gateway.catalogue.formats import Format
from gateway.formats.model import Counts, Cut, NotThere, UnknownShape, Upstream
from gateway.formats.paging import Unusable
from gateway.formats.shapes import encode
from gateway.formats.table_plan import ALWAYS, NO_PERIOD, PageRows, TablePlan
from gateway.formats.totals import Cell, Row, Totals, Value
from gateway.ground.calendar.instants import Span, Window

MEDIA_TYPE = "application/json"


class Answering:
    """One answer on its way."""

    def __init__(self, plan: TablePlan, sent: Upstream, window: Window) -> None:
        self._plan, self._window = plan, plan.inside(sent, window)
        self._call = plan.form.calls[sent.operation]
        assert self._call.answer is not None, "only asked of a call that gives one"
        self._how, self._part = self._call.answer, plan.parts[self._call.dataset]
        self._happened = plan.form.records[self._call.records].time.how not in ("none", "state")
        self._period = plan.counted(sent, plan.judged_by(sent, self._window))
        # a record counts where it begins: it may last beyond what was asked for, and not beyond what was agreed
        self._judged = (window if self._happened and self._period is not None else self._period) or NO_PERIOD
        self._totals = Totals(self._how, plan.source.zone, ".".join(plan.form.place(self._call)))
        self._pages: set[bytes] = set()  # of this part, as they came
        self._asked: Window | None = None  # the part
        self._lasting = Counter[Row]()  # rows that counted, and last until the end of their part or longer
        self._before = Counter[Row]()  # those of earlier parts that may come again in this one
        self._found = self._counted = 0
        self._reach: Span | None = None

    def page(self, sent: Upstream, media_type: str, body: bytes, link: str = "") -> str:
        """Take what counts of a page. Returns the token of the next; "": there is none.

        Raises UnknownShape, TooLarge.
        """
        rows, found, led, timed = self.counting(sent, media_type, body)
        self._once(sent, body, found)
        if sent.part is not None:
            rows = self._of_part(sent.part, rows)
        self._totals.add(rows)
        self._found += found
        self._counted += len(rows)
        if rows and timed:
            self._reaches(min(start for start, _, _ in rows), max(end for _, end, _ in rows))
        try:
            return self._plan.following(self._part, sent, self._plan.leads_on(sent, led, link, found))
        except Unusable:
            raise UnknownShape(leading(self._plan.form)) from None

    def counting(self, sent: Upstream, media_type: str, body: bytes) -> PageRows:
        """What counts of a page, wherever in the period it lies. Raises UnknownShape, TooLarge."""
        page = self._plan.page_rows(sent, media_type, body, self._window, self._judged)
        if not self._happened or self._period is None:
            return page
        return page._replace(rows=_beginning_in(self._period, page.rows))

    def _once(self, sent: Upstream, body: bytes, found: int) -> None:
        """Raises UnknownShape where a page comes again: its records would count twice."""
        if sent.part != self._asked:
            self._asked, self._pages = sent.part, set()
            start = None if sent.part is None else sent.part.start
            self._lasting = Counter({row: n for row, n in self._lasting.items() if start is None or row[1] >= start})
            self._before = self._lasting.copy()
        digest = hashlib.blake2b(body).digest()
        if found and digest in self._pages:
            raise UnknownShape(leading(self._plan.form))
        self._pages.add(digest)

    def _of_part(self, part: Window, rows: list[Row]) -> list[Row]:
        """The rows that are of a part of the period. One that lies at its edge, or lasts for several, counts once."""
        assert part.start is not None and part.end is not None, "a part has two ends"
        kept = []
        for row in rows:
            if row[0] > part.end or row[1] < part.start:
                continue
            if self._before[row] > 0:
                self._before[row] -= 1
                continue
            kept.append(row)
            if row[1] >= part.end:
                self._lasting[row] += 1
        return kept

    def _reaches(self, first: datetime, last: datetime) -> None:
        low, high = self._reach or (first, last)
        self._reach = min(low, first), max(high, last)

    def cut(self) -> Cut:
        """The answer over what was taken. Raises NotThere where it may not be given."""
        timed = self._plan.form.records[self._call.records].time.how != "none"
        told = self._totals.told(self._period if self._period is not None and timed else ALWAYS)
        if self._period is None and self._how.per != "all":
            told = []
        given = [dict(map(_member, row)) for row in self._cells_of(told)]
        single = self._how.per == "all"
        if single and not given:
            raise NotThere
        first, last = self._reach or (None, None)
        counts = Counts(len(given), self._found - self._counted, 0, first, last)
        return Cut(encode(given[0] if single else given), MEDIA_TYPE, counts)

    def _cells_of(self, told: list[dict[str, Value]]) -> list[list[Cell]]:
        return [self._plan.cells(self._part, self._how.kind, each) for each in told[: self._part.answers_max]]

    def alone(self, sent: Upstream, media_type: str, body: bytes, link: str = "") -> Cut:
        """The answer over one page. Raises UnknownShape where it leads to another: it would be of this page alone."""
        if self.page(sent, media_type, body, link):
            raise UnknownShape(leading(self._plan.form))
        return self.cut()


def _beginning_in(period: Window, rows: list[Row]) -> list[Row]:
    low, high = period.start, period.end
    return [row for row in rows if (low is None or row[0] >= low) and (high is None or row[0] < high)]


def _member(cell: Cell) -> tuple[str, Raw | str | bool]:
    name, value, is_number = cell
    return name, Raw(value.encode()) if is_number and isinstance(value, str) else value


def leading(form: Format) -> str:
    """The place that leads to a further page."""
    return (".".join(form.pages.at) if form.pages is not None else "") or "further page"
