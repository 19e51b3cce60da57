"""One grant at an organisation that answers in XML of its own: what is left of an answer, whole or as a stream.

xml_table     the table as elements and attributes, for one set of given members
xml_cutter    the way through an answer          xml_plain     plain records as bytes
xml_judging   time and account of a record       xml_writing   a record written anew
xml_around    what stands around the records     xml_parsing   Expat, hardened
"""

from collections.abc import Iterable, Mapping

from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import Format
from gateway.formats import xml_table
from gateway.formats.model import LIMIT, Cut, Granted, Source, TooLarge, Upstream
from gateway.formats.table_plan import TablePlan
from gateway.formats.xml_cutter import XmlCutter
from gateway.formats.xml_parsing import expected
from gateway.ground.calendar.instants import Window


class XmlPlan(TablePlan):
    def __init__(
        self,
        form: Format,
        source: Source,
        granted: Iterable[Granted],
        datasets: Mapping[str, Dataset],
        governed: frozenset[str],
    ) -> None:
        super().__init__(form, source, granted, datasets, governed)
        self._tables = {
            call.name: xml_table.table(
                form, call.name, self.parts[call.dataset].given, self.parts[call.dataset].withheld
            )
            for call in form.calls.values()
            if call.dataset in self.parts
        }

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window, link: str = "") -> Cut:
        if len(body) > LIMIT:
            raise TooLarge(f"{len(body)} bytes")
        cutter = self._cutter(sent, media_type, window, link)
        text = cutter.feed(body) + cutter.close()
        return Cut(text, self.form.accept, cutter.counts(), cutter.following, cutter.notice)

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> XmlCutter:
        return self._cutter(sent, media_type, window)

    def _cutter(self, sent: Upstream, media_type: str, window: Window, link: str = "") -> XmlCutter:
        expected(media_type, self.form.media_types, self.form.encoding)
        part = self.parts[self.form.calls[sent.operation].dataset]
        return XmlCutter(self, self._tables[sent.operation], part, sent, self.inside(sent, window), link)
