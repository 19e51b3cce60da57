"""What all formats that tables describe have in common: one grant at one organisation, whatever its answers look like.

request   the same for all (`calls`)          cut   by `json_plan`, `csv_plan`, `xml_plan`
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import CUSTOMER, PLACED, Format, FormatCall, Member, along
from gateway.catalogue.made import UNITS, Made
from gateway.catalogue.shapes import inner, members
from gateway.formats import paging, units
from gateway.formats.calls import Calls, Selection
from gateway.formats.coarser import Make, maker, stays_number
from gateway.formats.drift import Seen
from gateway.formats.model import Asked, Denied, Granted, Source, Upstream
from gateway.formats.names import AccountNames
from gateway.formats.paging import TOKEN, TOKEN_FORM, Leading, Step
from gateway.formats.paths import declared
from gateway.formats.shapes import withheld_members
from gateway.formats.totals import Cell, Row, Value
from gateway.ground.calendar.instants import Window, narrowed

UNUSABLE = "next-page-unusable"
ALWAYS = Window(None, None)
_FIRST = datetime.min.replace(tzinfo=UTC)
NO_PERIOD = Window(_FIRST, _FIRST)  # no record lies in it
AT_ANY_TIME = (_FIRST, _FIRST)  # of records without a time of their own
MAKEABLE = ("s", "x", "i", "n", "d", "v", "p")  # words of shapes whose values have one exact text


class TablePart:
    """One granted dataset."""

    def __init__(
        self, form: Format, granted: Granted, dataset: Dataset, governed: frozenset[str], seen: Seen | None
    ) -> None:
        self.dataset, self.pair = granted.dataset, granted.pair
        self.names = AccountNames(granted.accounts, others=granted.others)
        self.fields = frozenset(dataset.given(granted.fields))
        self.governed = governed.intersection(form.shapes)  # with `&` of its keys it would be no frozenset
        self.coarse, never = _coarse(form, dataset.coarse(granted.fields), self.governed)
        self.given = frozenset(dataset.members(granted.fields) - never - self.coarse.keys())  # exactly
        self.withheld = frozenset(withheld_members(form.shapes, self.governed, self.given))
        # with what is made coarser before it leaves
        self.read = self.given.union(self.coarse)
        self.unread = self.withheld.difference(self.coarse)
        self.makers: Mapping[Member, Make] = {}
        self.numbers = tuple(f'"{name}":'.encode() for kind, name in form.numbers if (kind, name) in self.given)
        self.answers_max = 0 if dataset.drops_records(granted.fields) else granted.records_max
        dropped = dataset.drops_records(granted.fields) or self._lacks(form, "drop_record")
        self.records_max = 0 if dropped else granted.records_max
        self.refused = self._lacks(form, "refuse")
        self.seen = seen

    def _lacks(self, form: Format, way: str) -> bool:
        """Whether a member is withheld without which this happens."""
        return any(kept == way and member in self.unread for member, kept in form.required.items())

    def unit(self, form: Format, call: FormatCall) -> str:
        """The unit of time that no period of the call may cut, of `made.UNITS`; "": none."""
        time = form.records[call.records].time
        if call.answer is not None:
            return call.answer.unit if time.how != "none" else ""
        steps = (along(form.shapes, call.records, path) for path in time.paths)
        made = [self.coarse.get(found[-1]) for found in steps if found]
        return max((how.by for how in made if how is not None and how.word == "date"), key=UNITS.index, default="")

    def selection(self, form: Format, call: FormatCall) -> Selection:
        """Of the members that stand directly in a record."""
        kind, known = call.records, members(form.shapes, call.records)
        needed = {name for of, name in form.read_for(call) if of == kind}
        needed |= {each.member for (of, _), each in form.only.items() if of == kind}
        # that it is not there can only be told where it was asked for
        needed |= {name for (of, name), how in self.coarse.items() if of == kind and how.word == "yes"}
        some = tuple(name for name in known if name in needed) or tuple(known)[:1]
        given = tuple(name for name in known if (kind, name) in self.read)
        return Selection(() if call.answer is not None else given, some)

    def refs(self, sent: Upstream) -> Mapping[str, str]:
        """The organisation's account number → the app's reference, for the accounts that this call may return."""
        if len(sent.accounts) == len(self.names.accounts):
            return self.names.ref
        return {account.native: self.names.ref[account.native] for account in sent.accounts}


def _coarse(
    form: Format, made: Mapping[Member, Made], governed: frozenset[str]
) -> tuple[dict[Member, Made], set[Member]]:
    """What is made of the given members, and those of which nothing can be: they are not given. A member that holds a
    governed type only leads to what is inside it."""
    found: dict[Member, Made] = {}
    never: set[Member] = set()
    for (kind, name), how in made.items():
        word = members(form.shapes, kind)[name]
        if how.word == "yes" or word in MAKEABLE:
            found[kind, name] = how
        elif inner(word) not in governed:
            never.add((kind, name))
    return found, never


class PageRows(NamedTuple):
    """What counts of one page. `timed`: whether its rows have a time of their own."""

    rows: list[Row]
    found: int  # records there were
    led: str  # what the document says of the next page; "": nothing
    timed: bool


class TablePlan(ABC):
    """Of one format. The classes below add how an answer is cut."""

    def __init__(
        self,
        form: Format,
        source: Source,
        granted: Iterable[Granted],
        datasets: Mapping[str, Dataset],
        governed: frozenset[str],
    ) -> None:
        self.form, self.source, self.granted = form, source, tuple(granted)
        self.calls = Calls(form, source)
        self.parts = {
            item.dataset: TablePart(form, item, datasets[item.dataset], governed, source.seen(item.dataset))
            for item in self.granted
            if item.dataset in datasets
        }
        for part in self.parts.values():
            part.makers = self._makers(part)
        calls = (call for call in form.calls.values() if call.dataset in self.parts)
        self._units = {call.name: self.parts[call.dataset].unit(form, call) for call in calls}
        made = ((name, form.calls[name]) for name in self._units)
        self._selections = {name: self.parts[call.dataset].selection(form, call) for name, call in made}

        self.compile()

    @abstractmethod
    def compile(self) -> None:
        """Whatever of the parts above a driver makes ready for all calls."""

    def request(self, asked: Asked, window: Window) -> Upstream | Denied:
        found = self.calls.recognised(asked.path)
        if found is None:
            return Denied("dataset", "path", allowed=" ".join(self.parts))
        dataset = found.call.dataset
        part = self.parts.get(dataset)
        if part is None or not declared(self.source, dataset, asked.path):
            return Denied("dataset", "datasets", asked=dataset, allowed=" ".join(self.parts))
        if part.refused and found.call.answer is None:
            return Denied("field", "fields", asked=dataset, allowed=" ".join(sorted(part.fields)))
        unit = self._units[found.call.name]
        whole = units.inward(window, unit, self.source.zone) if unit else window
        if whole is None:
            return Denied("period", "period", allowed=f"whole {unit}s")
        selection = self._selections[found.call.name]
        return self.calls.upstream(found, part.names, asked, whole, part.fields, selection, unit)

    def judged_by(self, sent: Upstream, window: Window) -> Window | None:
        """The period in which a record must lie; None: no record does."""
        unit = self._units[sent.operation]
        return units.inward(window, unit, self.source.zone) if unit else window

    def counted(self, sent: Upstream, agreed: Window | None) -> Window | None:
        """The period in which a record must begin to count for an answer; None: none does.

        Answers are of what is over: a total that grows with each new record would give the records one by one.
        """
        unit, asked = self._units[sent.operation], sent.period or ALWAYS
        if agreed is None or not unit:
            return agreed
        over = units.begin(self.source.clock(), unit, self.source.zone)
        return narrowed(agreed, asked.start, over if asked.end is None else min(asked.end, over))

    def _makers(self, part: TablePart) -> dict[Member, Make]:
        """The function for each member of which something else is given."""
        found = {}
        for (kind, name), how in part.coarse.items():
            if how.word != "yes":
                word = members(self.form.shapes, kind)[name]
                stamped = self._stamped((kind, name))
                found[kind, name] = maker(how, word, stamped, self.source, part.names, part.pair)
        return found

    def _stamped(self, member: Member) -> str:
        """How the time is written that stands at a member."""
        for records in self.form.records.values():
            for path in records.time.paths:
                if (along(self.form.shapes, records.kind, path) or [])[-1:] == [member]:
                    return records.time.written
        return "iso"

    @abstractmethod
    def page_rows(self, sent: Upstream, media_type: str, body: bytes, window: Window, period: Window) -> PageRows:
        """What counts for an answer over records, on one page. `period`: in which a record counts. What stands around
        the records is judged, and nothing of it leaves. Raises UnknownShape, TooLarge."""

    def cells(self, part: TablePart, kind: str, told: Mapping[str, Value]) -> list[Cell]:
        """The members that are given of an answer over records."""
        cells: list[Cell] = []
        for name, word in members(self.form.shapes, kind).items():
            member, value = (kind, name), told.get(name)
            if member not in part.read or value is None:
                continue
            number = word in ("n", "i")
            if member in part.coarse:
                make = part.makers.get(member)
                value = None if make is None or isinstance(value, bool) else make(str(value))
                number = number and stays_number(part.coarse[member])
            if value is not None:
                cells.append((name, value if isinstance(value, bool) else str(value), number))
        return cells

    def inside(self, sent: Upstream, window: Window) -> Window:
        """The period to cut to. An organisation that answers has heard of the one that the app asked for; in a file
        there is more."""
        return sent.period if self.source.filed and sent.period is not None else window

    def leads_on(self, sent: Upstream, led: str, link: str, count: int) -> Leading | None:
        """What leads to the next page; None: there is none. `led`: what the member says that leads on. Raises
        Unusable."""
        step = self._step(sent, led, link, count)
        return self.calls.after(sent) if step is None else Leading(step)

    def _step(self, sent: Upstream, led: str, link: str, count: int) -> Step | None:
        pages = self.form.pages
        if pages is None or not self.form.calls[sent.operation].pages:
            return None
        if pages.by == "link-header":
            led = paging.of_header(link)
        if pages.by in ("link-header", "link"):
            step = paging.of_address(self.source, sent, led) if led else None
            if step is not None and step[0] and self._told_by_path(sent):
                raise paging.Unusable
            return self._unless_back(sent, step)
        if pages.by == "cursor":
            if len(led) > paging.LONGEST:
                raise paging.Unusable
            return self._unless_back(sent, ("", paging.instead(sent, pages.parameter, led)) if led else None)
        after = paging.by_number(pages, sent, count, led)
        return None if after is None else ("", after)

    def _unless_back(self, sent: Upstream, step: Step | None) -> Step | None:
        """None where the organisation leads back to this page: of records it is the last, of an answer it is none."""
        if sent.over_records or step is None:
            return step
        call, (path, pairs) = self.form.calls[sent.operation], step
        same = set(self.calls.own(call, pairs)) == set(self.calls.own(call, sent.page))
        return None if same and path in ("", sent.path) else step

    def _told_by_path(self, sent: Upstream) -> bool:
        """Whether only the call says whose the records are: another path could be that of another account."""
        call = self.form.calls[sent.operation]
        if CUSTOMER in PLACED.findall((call.asks or call.path).partition("?")[0]):
            return True
        return call.names_account and not self.form.records[call.records].account

    def following(self, part: TablePart, sent: Upstream, leading: Leading | None) -> str:
        """The token of the next page; "": there is none. Raises Unusable."""
        if leading is None:
            return ""
        call = self.form.calls[sent.operation]
        token = self.calls.token(call, part.names, sent, leading.step, leading.period)
        if not TOKEN_FORM.fullmatch(token):  # too long for an address
            raise paging.Unusable
        return token

    def may_stream(self, sent: Upstream) -> bool:
        """Whether an answer may leave before its end is read: not where only that tells whether a page follows."""
        call, pages = self.form.calls[sent.operation], self.form.pages
        if sent.over_records:
            return False
        if pages is None or not call.pages or pages.by == "link-header":
            return True
        return pages.by in ("link", "cursor") and self.calls.after(sent) is None

    def ahead(self, sent: Upstream, link: str) -> tuple[str, str]:
        """Of an answer that may leave so: the address of the next page, and a notice."""
        part = self.parts[sent.dataset]
        try:
            token = self.following(part, sent, self.leads_on(sent, "", link, 0))
        except paging.Unusable:
            return "", UNUSABLE
        return (self.address(part, sent, token) if token else ""), ""

    def address(self, part: TablePart, sent: Upstream, token: str) -> str:
        """Of the page with this token at the gateway."""
        query = ((TOKEN, token),) if token else ()
        return self.calls.address(self.form.calls[sent.operation], part.names, sent, query)

    def own_token(self, part: TablePart, sent: Upstream) -> str:
        """Of the address of a page itself: the first has one without a token."""
        call = self.form.calls[sent.operation]
        return self.calls.token(call, part.names, sent, ("", sent.page)) if sent.continues else ""

    def before(self, part: TablePart, sent: Upstream, led: str) -> str:
        """The address of the page before, where the organisation links to it."""
        try:
            step = paging.of_address(self.source, sent, led) if led else None
            step = self._unless_back(sent, step)
            return self.address(part, sent, self.following(part, sent, Leading(step))) if step is not None else ""
        except paging.Unusable:
            return ""

    def pair(self, part: TablePart) -> Callable[[Any], str]:
        """A function that makes the app's own identifier of the organisation's."""
        context = ("id", self.source.organisation, part.pair)
        seal = self.source.sealer.seal
        return lambda value: seal(str(value), *context)
