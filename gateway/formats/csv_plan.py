"""One grant at an organisation that answers in CSV: what is left of an answer, whole or as a stream (`csv_cut`)."""

from gateway.formats.answering import Answering
from gateway.formats.csv_cut import TableCutter
from gateway.formats.media import CHARSETS, expect
from gateway.formats.model import Cut, Cutter, NotThere, UnknownShape, Upstream
from gateway.formats.paging import Unusable
from gateway.formats.table_plan import NO_PERIOD, UNUSABLE, PageRows, TablePlan
from gateway.formats.totals import Row
from gateway.ground.calendar.instants import Window


class CsvPlan(TablePlan):
    def compile(self) -> None:
        self._one_of_several = {item.dataset for item in self.granted if len(item.accounts) + len(item.others) > 1}

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window, link: str = "") -> Cut:
        if sent.over_records:
            return Answering(self, sent, window).alone(sent, media_type, body, link)
        cutter = self._cutter(sent, media_type, window)
        text = cutter.feed(body) + cutter.close()
        counts = cutter.counts()
        if self._single(sent, cutter) and not counts.records:
            raise NotThere
        following = notice = ""
        part = self.parts[sent.dataset]
        try:
            token = self.following(part, sent, self.leads_on(sent, "", link, cutter.records))
            following = self.address(part, sent, token) if token else ""
        except Unusable:
            notice = UNUSABLE
        return Cut(text, cutter.media_type, counts, following, notice)

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        if self.form.single(self.form.calls[sent.operation]) or not self.may_stream(sent):
            return None
        return self._cutter(sent, media_type, window)

    def _single(self, sent: Upstream, cutter: TableCutter) -> bool:
        """Whether there is one record and no list. Raises UnknownShape where there are more."""
        single = self.form.single(self.form.calls[sent.operation])
        if single and cutter.records > 1:
            raise UnknownShape("[1]")
        return single

    def page_rows(self, sent: Upstream, media_type: str, body: bytes, window: Window, period: Window) -> PageRows:
        rows: list[Row] = []
        cutter = self._cutter(sent, media_type, period, rows)
        cutter.feed(body)
        cutter.close()
        self._single(sent, cutter)
        timed = self.form.records[self.form.calls[sent.operation].records].time.how not in ("none", "state")
        return PageRows(rows, cutter.records, "", timed)

    def _cutter(self, sent: Upstream, media_type: str, window: Window, rows: list[Row] | None = None) -> TableCutter:
        form, part = self.form, self.parts[sent.dataset]
        if rows is None:
            window = self.judged_by(sent, self.inside(sent, window)) or NO_PERIOD
        expect(media_type, form.media_types, CHARSETS[form.encoding])
        call = form.calls[sent.operation]
        if not form.says_whose(call) and sent.dataset in self._one_of_several:
            raise UnknownShape("account")  # nothing says which of them it is about
        context = ("id", self.source.organisation, part.pair)
        seal = self.source.sealer.seal

        def pair(text: str) -> str:
            return seal(text, *context)

        return TableCutter(form, call, part, part.refs(sent), window, self.source.zone, pair, rows)
