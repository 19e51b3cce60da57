"""One grant at an organisation that answers in JSON of its own: what is left of an answer.

read the answer ── each record: inside the period? of an account? without what is withheld ── write it anew
"""

from collections.abc import Mapping
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any

from msgspec import UNSET, Raw

from gateway.catalogue.formats import Format, FormatCall, Member
from gateway.formats.answering import Answering
from gateway.formats.json_around import Around, Rewriting
from gateway.formats.json_coarser import changed
from gateway.formats.json_lines import LinesCutter
from gateway.formats.json_reading import JsonReading, reading
from gateway.formats.media import expect
from gateway.formats.model import Counts, Cut, Cutter, NotThere, UnknownShape, Upstream
from gateway.formats.paging import Unusable
from gateway.formats.paths import remember
from gateway.formats.shapes import encode, withheld_members, within_limit
from gateway.formats.table_plan import AT_ANY_TIME, NO_PERIOD, UNUSABLE, PageRows, TablePart, TablePlan
from gateway.ground.calendar.instants import Span, Window

AROUND_HELD = 8192  # bytes around the records that are found again rather than read


Held = tuple[bytes, bytes, str, str]  # before and behind the records, following page, notice


class JsonView:
    """One call of one granted dataset."""

    def __init__(self, form: Format, part: TablePart, call: FormatCall) -> None:
        self.part, self.call = part, call
        self.owned_around = not form.says_whose(call)
        given, withheld, coarse = part.read, part.unread, part.coarse
        if call.answer is not None:  # read for the answer, and never given
            given = frozenset(form.read_for(call))
            withheld, coarse = frozenset(withheld_members(form.shapes, part.governed, given)), {}
        self.reading: JsonReading = reading(form, call.name, part.governed, given, withheld, coarse)
        # beside the records nothing is made of a value, so what is not given exactly stays out there
        self.around = Around(form, call.envelope, self.reading.at, self.reading.beside, withheld.union(coarse))
        self.made = [
            changed(coarse[member], part.makers.get(member), _otherwise(form, member)) for member in self.reading.coarse
        ]
        steps = self.reading.attributes
        self.beside = [attrgetter(".".join((*steps[:depth], name))) for depth, _, _, name in self.around.beside]
        self.held: dict[tuple[Any, ...], Held] = {}
        self.last: tuple[tuple[Any, ...], Held] | None = None  # of `held`, found without a hash


def _otherwise(form: Format, member: Member) -> Any:
    """In place of a value of which nothing can be made: an exception where the format requires one."""
    if member in form.instead:
        return Raw(encode(form.instead[member]))
    return UnknownShape("/".join(member)) if member in form.required else UNSET


class JsonPlan(TablePlan):
    def compile(self) -> None:
        form = self.form
        self._counted = form.pages is not None and form.pages.by in ("page", "offset")
        self._views = {
            call.name: JsonView(form, self.parts[call.dataset], call)
            for call in form.calls.values()
            if call.dataset in self.parts
        }

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window, link: str = "") -> Cut:
        view = self._views[sent.operation]
        if sent.over_records:
            return Answering(self, sent, window).alone(sent, media_type, body, link)
        expect(media_type, self.form.media_types)
        window = self.inside(sent, window)
        answer, found, inside = view.reading.answer(within_limit(body), view.part.seen)
        text, counts = self._given(view, sent, window, found, inside, view.part.records_max)
        before, behind, following, notice = self._around(view, sent, answer, len(found), window, link)
        return Cut(before + text + behind, self.form.accept, counts, following, notice)

    def _given(
        self, view: JsonView, sent: Upstream, window: Window, found: list[Any], inside: list[int], limit: int | None
    ) -> tuple[bytes, Counts]:
        """The records that are given, written anew. `limit`: no more than so many. Raises UnknownShape, NotThere."""
        part, how = view.part, view.reading
        window = self.judged_by(sent, window) or NO_PERIOD
        kept: list[Any] = []
        spans: list[Span] = []
        most = len(found) if limit is None else limit
        refs = part.refs(sent)
        zone = self.source.zone
        fields = how.cut(found, inside, window.start, window.end, refs, most, zone, kept, spans)
        if how.pairwise is not None:
            self._make_pairwise(how, part, kept)
        if how.coarsen is not None:
            fields += sum(how.coarsen(record, view.made) for record in kept)
        if how.single and not kept:
            raise NotThere
        text = encode(kept[0] if how.single else kept)
        if how.lines:
            text = b"".join(encode(record) + b"\n" for record in kept)
        text = part.names.outward_bytes(text, how.formal, part.numbers, also_numbers=True)
        first, last = (min(map(_START, spans)), max(map(_END, spans))) if spans else (None, None)
        return text, Counts(len(kept), len(found) - len(kept), fields, first, last)

    def page_rows(self, sent: Upstream, media_type: str, body: bytes, window: Window, period: Window) -> PageRows:
        expect(media_type, self.form.media_types)
        view = self._views[sent.operation]
        part, how = view.part, view.reading
        answer, found, inside = how.answer(within_limit(body), part.seen)
        texts = self._texts(view, [_text(get(answer)) for get in view.beside])
        view.around.written(texts, self._rewriting(view, sent, window, {}))
        led = view.around.led(texts, self.form.pages.at) if self.form.pages is not None else ""
        kept: list[Any] = []
        spans: list[Span] = []
        how.cut(found, inside, period.start, period.end, part.refs(sent), len(found), self.source.zone, kept, spans)
        rows = [
            (start, end, how.value(record))
            for record, (start, end) in zip(kept, spans or [AT_ANY_TIME] * len(kept), strict=True)
        ]
        return PageRows(rows, len(found), led, bool(spans))

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        view = self._views[sent.operation]
        if not view.reading.lines or view.reading.single or not self.may_stream(sent):
            return None
        expect(media_type, self.form.media_types)
        window = self.inside(sent, window)

        def cut(lines: bytes, most: int | None) -> tuple[bytes, Counts]:
            _, found, inside = view.reading.answer(within_limit(lines), view.part.seen)
            return self._given(view, sent, window, found, inside, most)

        return LinesCutter(cut, view.part.records_max)

    def _make_pairwise(self, how: JsonReading, part: TablePart, kept: list[Any]) -> None:
        """Identifiers of the organisation's become the app's own; `Calls` opens them where they come back in a path."""
        pair = self.pair(part)
        for record in kept:
            how.pairwise(record, pair)  # type: ignore[misc]  # asked before

    def _around(
        self, view: JsonView, sent: Upstream, answer: Any, count: int, window: Window, link: str
    ) -> tuple[bytes, bytes, str, str]:
        """What stands around the records, the next page and a notice. They are the same when a page is read again."""
        found = [_text(get(answer)) for get in view.beside]
        on = sent.part is not None and self.calls.after(sent) is not None  # which changes with the clock
        key = (sent, link, count if self._counted else 0, *found, window, on)
        last = view.last  # mostly of the same call, within the same window: then its parts are the same objects
        if last is not None and last[0] == key:
            return last[1]
        held = view.held.get(key)
        if held is None:
            held = self._made_around(view, sent, found, count, window, link)
            if len(link) + sum(len(text) for text in found if text is not None) > AROUND_HELD:
                return held
            remember(view.held, key, held)
        view.last = key, held
        return held

    def _made_around(
        self, view: JsonView, sent: Upstream, found: list[bytes | None], count: int, window: Window, link: str
    ) -> tuple[bytes, bytes, str, str]:
        part, around, pages = view.part, view.around, self.form.pages
        texts = self._texts(view, found)
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
            addresses["own"] = self.address(part, sent, self.own_token(part, sent))
            addresses["before"] = self.before(part, sent, around.led(texts, pages.before))
        before, behind = around.written(texts, self._rewriting(view, sent, window, addresses))
        return before, behind, following, notice

    def _texts(self, view: JsonView, found: list[bytes | None]) -> dict[Member, Raw]:
        """What was found beside the records, by member."""
        beside = zip(view.around.beside, found, strict=True)
        return {(kind, member): Raw(text) for (_, kind, member, _), text in beside if text is not None}

    def _rewriting(self, view: JsonView, sent: Upstream, window: Window, addresses: Mapping[str, str]) -> Rewriting:
        part = view.part
        shown = partial(part.names.outward_bytes, formal=view.reading.formal, also_numbers=True)
        return Rewriting(window, self.source.zone, part.refs(sent), addresses, shown, view.owned_around)


_START, _END = itemgetter(0), itemgetter(1)


def _text(value: Any) -> bytes | None:
    return None if value is UNSET else bytes(value)
