"""One grant at an organisation that answers in JSON of its own: what is left of an answer.

read the answer ── each record: inside the period? of an account? without what is withheld ── write it anew
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET, Raw

from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import Format, Member
from gateway.formats.json_around import Around
from gateway.formats.json_reading import JsonReading, reading
from gateway.formats.media import expect
from gateway.formats.model import Counts, Cut, Cutter, Granted, NotThere, Source, Upstream
from gateway.formats.paging import Unusable, of_address
from gateway.formats.paths import remember
from gateway.formats.shapes import encode, within_limit
from gateway.formats.table_plan import TablePart, TablePlan
from gateway.ground.calendar.instants import Span, Window

UNUSABLE = "next-page-unusable"


class JsonView:
    """One call of one granted dataset."""

    def __init__(self, form: Format, part: TablePart, call: str) -> None:
        self.part = part
        self.reading: JsonReading = reading(form, call, part.governed, part.given, part.withheld)
        self.around = Around(form, form.calls[call].envelope, self.reading.at, self.reading.beside, part.withheld)
        self.held: dict[tuple[Any, ...], tuple[bytes, bytes, str, str]] = {}


class JsonPlan(TablePlan):
    def __init__(
        self,
        form: Format,
        source: Source,
        granted: Iterable[Granted],
        datasets: Mapping[str, Dataset],
        governed: frozenset[str],
    ) -> None:
        super().__init__(form, source, granted, datasets, governed)
        self._counted = form.pages is not None and form.pages.by in ("page", "offset")
        self._views = {
            call.name: JsonView(form, self.parts[call.dataset], call.name)
            for call in form.calls.values()
            if call.dataset in self.parts
        }

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window, link: str = "") -> Cut:
        expect(media_type, self.form.media_types)
        view = self._views[sent.operation]
        part, how = view.part, view.reading
        answer, found, inside = how.answer(within_limit(body), part.seen)
        kept: list[Any] = []
        spans: list[Span] = []
        most = len(found) if part.records_max is None else part.records_max
        refs = part.refs(sent)
        zone = self.source.zone
        fields = how.cut(found, inside, window.start, window.end, refs, most, zone, kept, spans)
        if how.pairwise is not None:
            self._make_pairwise(how, part, kept)
        if how.single and not kept:
            raise NotThere
        text = encode(kept[0] if how.single else kept)
        if how.lines:
            text = b"".join(encode(record) + b"\n" for record in kept)
        text = part.names.outward_bytes(text, how.formal, part.numbers)
        before, behind, following, notice = self._around(view, sent, answer, len(found), window, link)
        first, last = (min(spans)[0], max(end for _, end in spans)) if spans else (None, None)
        counts = Counts(len(kept), len(found) - len(kept), fields, first, last)
        return Cut(before + text + behind, self.form.accept, counts, following, notice)

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        return None

    def _make_pairwise(self, how: JsonReading, part: TablePart, kept: list[Any]) -> None:
        """Identifiers of the organisation's become the app's own; `Calls` opens them where they come back in a path."""
        context = ("id", self.source.organisation, part.pair)
        seal = self.source.sealer.seal

        def pair(value: Any) -> str:
            return seal(str(value), *context)

        for record in kept:
            how.pairwise(record, pair)  # type: ignore[misc]  # asked before

    def _around(
        self, view: JsonView, sent: Upstream, answer: Any, count: int, window: Window, link: str
    ) -> tuple[bytes, bytes, str, str]:
        """What stands around the records, the next page and a notice. They are the same when a page is read again."""
        found = [_beside(answer, each, view.reading) for each in view.around.beside]
        key = (sent.path, sent.query, link, count if self._counted else 0, *found, window.start, window.end)
        held = view.held.get(key)
        return held or remember(view.held, key, self._made_around(view, sent, found, count, window, link))

    def _made_around(
        self, view: JsonView, sent: Upstream, found: list[bytes | None], count: int, window: Window, link: str
    ) -> tuple[bytes, bytes, str, str]:
        part, around, pages = view.part, view.around, self.form.pages
        texts: dict[Member, Raw] = {
            (kind, member): Raw(text)
            for (_, kind, member, _), text in zip(around.beside, found, strict=True)
            if text is not None
        }
        token = notice = ""
        try:
            led = "" if pages is None else around.led(texts, pages.at)
            token = self.following(part, sent, self.leads_on(sent, led, link, count))
        except Unusable:
            notice = UNUSABLE
        following = self.address(part, sent, token) if token else ""
        addresses = {"next": following}
        if pages is not None:
            addresses["next"] = token if pages.by == "cursor" else following
            addresses["start"] = self.address(part, sent, "")
            addresses["own"] = self.address(part, sent, self._own_token(part, sent))
            addresses["before"] = self._before(part, sent, around.led(texts, pages.before))
        before, behind = around.written(texts, window, self.source.zone, part.refs(sent), addresses)
        return before, behind, following, notice

    def _before(self, part: TablePart, sent: Upstream, led: str) -> str:
        """The address of the page before, where the organisation links to it."""
        try:
            step = of_address(self.source, sent, led) if led else None
        except Unusable:
            return ""
        token = self.following(part, sent, step)
        return self.address(part, sent, token) if token else ""

    def _own_token(self, part: TablePart, sent: Upstream) -> str:
        """The address of a page itself: the first has one without a token."""
        call = self.form.calls[sent.operation]
        return self.calls.token(call, part.names, sent, ("", sent.page)) if sent.continues else ""


def _beside(answer: Any, place: tuple[int, str, str, str], how: JsonReading) -> bytes | None:
    for attribute in how.attributes[: place[0]]:
        answer = getattr(answer, attribute)
    text = getattr(answer, place[3])
    return None if text is UNSET else bytes(text)
