"""One grant at an organisation that answers in XML of its own: what is left of an answer, whole or as a stream.

xml_table     the table as elements and attributes, for one set of given members
xml_cutter    the way through an answer          xml_plain     plain records as bytes
xml_judging   time and account of a record       xml_writing   a record written anew
xml_around    what stands around the records     xml_parsing   Expat, hardened
"""

from gateway.catalogue.formats import Format, FormatCall
from gateway.formats import xml_table
from gateway.formats.answering import Answering
from gateway.formats.model import LIMIT, Cut, TooLarge, Upstream
from gateway.formats.shapes import withheld_members
from gateway.formats.table_plan import NO_PERIOD, PageRows, TablePart, TablePlan
from gateway.formats.totals import Row
from gateway.formats.xml_cutter import JudgedPeriods, XmlCutter
from gateway.formats.xml_parsing import expected
from gateway.formats.xml_table import XmlTable
from gateway.ground.calendar.instants import Window


class XmlPlan(TablePlan):
    def compile(self) -> None:
        self._tables = {
            call.name: _table(self.form, call, self.parts[call.dataset])
            for call in self.form.calls.values()
            if call.dataset in self.parts
        }

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window, link: str = "") -> Cut:
        if sent.over_records:
            return Answering(self, sent, window).alone(sent, media_type, body, link)
        if len(body) > LIMIT:
            raise TooLarge(f"{len(body)} bytes")
        cutter = self._cutter(sent, media_type, self._period(sent, window), link)
        text = cutter.feed(body) + cutter.close()
        return Cut(text, self.form.accept, cutter.counts(), cutter.following, cutter.notice)

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> XmlCutter | None:
        return None if not self.may_stream(sent) else self._cutter(sent, media_type, self._period(sent, window))

    def page_rows(self, sent: Upstream, media_type: str, body: bytes, window: Window, period: Window) -> PageRows:
        if len(body) > LIMIT:
            raise TooLarge(f"{len(body)} bytes")
        rows: list[Row] = []
        cutter = self._cutter(sent, media_type, JudgedPeriods(window, period), rows=rows)
        cutter.feed(body)
        cutter.close()
        return PageRows(rows, cutter.records.found, cutter.led, cutter.records.first is not None)

    def _period(self, sent: Upstream, window: Window) -> JudgedPeriods:
        window = self.inside(sent, window)
        return JudgedPeriods(window, self.judged_by(sent, window) or NO_PERIOD)

    def _cutter(
        self, sent: Upstream, media_type: str, periods: JudgedPeriods, link: str = "", rows: list[Row] | None = None
    ) -> XmlCutter:
        expected(media_type, self.form.media_types, self.form.encoding)
        part = self.parts[self.form.calls[sent.operation].dataset]
        return XmlCutter(self, self._tables[sent.operation], part, sent, periods, link, rows)


def _table(form: Format, call: FormatCall, part: TablePart) -> XmlTable:
    if call.answer is None:
        return xml_table.table(form, call.name, part.read, part.unread, part.coarse)
    given = frozenset(form.read_for(call))  # for the answer, and never given
    return xml_table.table(form, call.name, given, frozenset(withheld_members(form.shapes, part.governed, given)))
