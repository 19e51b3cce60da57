"""All that an organisation has about a person, page after page: for her accounts, and for her own copy.

Read by the gateway itself, for her and never for an app, so nothing is taken out. Unknown members do not matter here:
only declared ones are read, and files are the organisation's own bytes.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import Raw

from gateway.catalogue.formats import AccountsTable, Format, FormatCall, Path
from gateway.formats import csv_everything, json_values, paging, xml_everything
from gateway.formats.calls import Calls
from gateway.formats.csv_everything import TableRow
from gateway.formats.model import Account, Fetch, FoundAccount, NotThere, Source, UnknownShape, Upstream
from gateway.formats.names import nameless
from gateway.formats.paging import Following, Leading, Step, Unusable
from gateway.formats.shapes import within_limit
from gateway.formats.stamps import text_of
from gateway.formats.xml_everything import XmlRecord
from gateway.ground.calendar.instants import Window

Record = Raw | TableRow | XmlRecord  # as the organisation wrote it
ALWAYS = Window(None, None)
HISTORY = timedelta(days=3 * 366)  # of calls that must name a period
PAGES = 4000  # more than anybody has, in case the organisation's links go round in a circle
ALONE = "self"  # the one account where the organisation has none of its own


def first(form: Format, source: Source, call: FormatCall, native: str | None) -> Upstream:
    """The first page of a call for all data, which only the person may make, never an app. Where a call may be for some
    days only, the first part of the last years."""
    whose = (Account(native, native),) if native is not None else ()
    now = source.clock()
    period = Window(now - HISTORY, now) if call.days else ALWAYS
    return Calls(form, source).made(call, whose, native, period)


def pages(
    form: Format, source: Source, fetch: Fetch, call: FormatCall, native: str | None = None
) -> Iterator[list[Any]]:
    """The records of every page (each a `Record`). Raises UnknownShape for a page of another shape, and where
    the links go round in a circle or lead nowhere."""
    calls = Calls(form, source)
    sent: Upstream | None = first(form, source, call, native)
    seen: set[object] = set()
    before: tuple[object, bytes] | None = None
    while sent is not None:
        key = (sent.path, sent.query, sent.body)
        if key in seen or len(seen) == PAGES:
            raise UnknownShape(".".join(form.pages.at) if form.pages is not None else "next page")
        seen.add(key)
        try:
            answer = fetch(sent)
        except NotThere:
            if sent.part is None:
                raise
            answer = ("", b"")  # there was nothing of her yet in these days
        numbered = form.pages is not None and form.pages.by in ("page", "offset")
        if numbered and answer[1] and before == (sent.part, answer[1]):  # it has one page, whatever number is asked for
            return
        before = sent.part, answer[1]
        found, led = _read(form, call, answer[1]) if answer[1] or sent.part is None else ([], None)
        yield found
        step = _next(form, source, call, sent, led, len(found), answer[2] if len(answer) > 2 else "")
        on = calls.after(sent) if step is None else Leading(step)
        if on is None:
            return
        following = Following(on.step, on.period or sent.period or ALWAYS, paging.listing(sent))
        sent = calls.made(call, sent.accounts, native, following.period, following=following)


def _read(form: Format, call: FormatCall, body: bytes) -> tuple[list[Any], Any]:
    """The records of a page, and what it says of the next one."""
    at = form.pages.at if form.pages is not None else ()
    if form.driver == "xml":
        page = xml_everything.page(form, call, body)
        return page.records, xml_everything.said(form, call, page, at) if at else None
    if form.driver == "csv":
        return csv_everything.rows(form, body), None
    body = within_limit(body)
    found = records(form, call, body)
    led = _inside(body, at) if at else None
    return found, None if led is None else _leading(led, ".".join(at))


def records(form: Format, call: FormatCall, body: bytes) -> list[Raw]:
    """Raises UnknownShape if they are not where they should be."""
    if form.driver == "ndjson":
        return [_decoded(line, Raw, "a line") for line in body.splitlines() if line.strip()]
    place = form.place(call)
    found = _inside(body, place, must=place[:-1])
    if found is None:
        return []
    if form.single(call):
        return [found]
    return _decoded(found, list[Raw], ".".join(place))  # type: ignore[no-any-return]


def _inside(body: bytes | Raw, path: Path, must: Path = ()) -> Raw | None:
    """What stands at a path; None: nothing, or null. Raises UnknownShape where one of `must` is missing."""
    found = _decoded(body, Raw, "")
    for depth, name in enumerate(path):
        below = _decoded(found, dict[str, Raw], ".".join(path[:depth]))
        if name not in below:
            if depth < len(must):
                raise UnknownShape(".".join(path[: depth + 1]))
            return None
        found = below[name]
    return None if bytes(found) == b"null" else found


def _decoded(text: bytes | Raw, kind: Any, where: str) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise UnknownShape(where) from None


def _value(text: Raw, where: str) -> Any:
    try:
        return json_values.value(text)
    except ValueError:
        raise UnknownShape(where) from None


def _leading(text: Raw, where: str) -> Any:
    """What leads to another page, which no fraction does."""
    found = _value(text, where)
    if isinstance(found, float):
        raise UnknownShape(where)
    return found


def _next(
    form: Format, source: Source, call: FormatCall, sent: Upstream, led: Any, count: int, link: str
) -> Step | None:
    how = form.pages
    if how is None or not call.pages:
        return None
    if how.by in ("page", "offset"):
        after = paging.by_number(how, sent, count, "" if led is None else str(led))
        return None if after is None else ("", after)
    if how.by == "link-header":
        led = paging.of_header(link)
    if not led:  # null and "" both mean that there is no next page
        return None
    if how.by == "cursor":
        return "", paging.instead(sent, how.parameter, str(led))
    try:
        return paging.of_address(source, sent, str(led))
    except Unusable:
        raise UnknownShape(".".join(how.at)) from None


def value(record: Record) -> Any:
    """A record as Python values."""
    if isinstance(record, TableRow):
        return record.record
    return _value(record.value if isinstance(record, XmlRecord) else record, "")


# ---- the person's accounts


def accounts(form: Format, source: Source, fetch: Fetch) -> list[FoundAccount]:
    """As the organisation lists them; one without a name where it has none."""
    table = form.accounts
    if table is None:
        return [FoundAccount(native=ALONE, label="", kind="")]
    call = form.calls[table.call]
    return [
        _account(table, value(record), form.place(call)) for page in pages(form, source, fetch, call) for record in page
    ]


def _account(table: AccountsTable, record: Any, place: Path) -> FoundAccount:
    native = text(record, table.native)
    if not native:
        raise UnknownShape(".".join((*place, *table.native)))
    closed = any(text(record, path) in values for path, values in table.closed.items())
    return FoundAccount(
        native=native,
        label=_label(text(record, table.label), text(record, table.number), native),
        kind=text(record, table.kind),
        available=not closed,
        why_not="closed" if closed else "",
    )


def _label(name: str, number: str, native: str) -> str:
    """Without words of any language: it is stored when linking and shown on pages in every language."""
    marked = nameless(number) if number else "" if name else nameless(native)
    return f"{marked} ({name})" if marked and name else marked or name


def text(record: Any, path: Path) -> str:
    """What stands at a path, of a list the first; "": nothing that is a text or a number."""
    for name in path:
        record = record[0] if isinstance(record, list) and record else record
        record = record.get(name) if isinstance(record, dict) else None
    try:
        return "" if record is None else text_of(record)
    except ValueError:
        return ""
