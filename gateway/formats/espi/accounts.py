"""The usage points of a person's subscription."""

from collections.abc import Iterator
from functools import partial

from gateway.formats.espi import feed
from gateway.formats.espi.calls import CALLS, MEDIA_TYPE, USAGE, base, leads_on
from gateway.formats.espi.shapes import ESPI
from gateway.formats.model import LIMIT, Fetch, FoundAccount, Source, TooLarge, UnknownShape, Upstream
from gateway.formats.names import nameless
from gateway.formats.paging import Unusable
from gateway.formats.walking import walk

PAGES = 1000  # more than anybody has, in case the organisation's links go round in a circle
NEXT = "feed/link[next]"
KINDS = {"0": "electricity", "1": "gas", "2": "water", "4": "heat"}  # ESPI ServiceKind


def call(source: Source, operation: str) -> Upstream:
    """A call for all there is; the connector knows the subscription."""
    return Upstream(USAGE, base(source) + CALLS[operation].path, (), MEDIA_TYPE, (), operation=operation)


def pages(fetch: Fetch, first: Upstream, most: int = LIMIT) -> Iterator[tuple[bytes, feed.Feed]]:
    """Every page of a call, each of at most so many bytes. Raises UnknownShape, TooLarge."""
    return walk(fetch, first, partial(_page, most), NEXT, PAGES)


def _page(most: int, sent: Upstream, body: bytes) -> tuple[tuple[bytes, feed.Feed], Upstream | None]:
    if len(body) > most:
        raise TooLarge(f"{len(body)} bytes")
    page = feed.read(body)
    return (body, page), _following(sent, page.head.pages["next"]) if "next" in page.head.pages else None


def _following(sent: Upstream, address: str) -> Upstream:
    """Raises UnknownShape: without its next page this one would pass for the last."""
    try:
        following = leads_on(sent, address)
    except Unusable:
        following = None
    if following is None:
        raise UnknownShape(NEXT)
    return following


def accounts(source: Source, fetch: Fetch) -> list[FoundAccount]:
    """Usage points with the title the supplier gave them, for her own eyes."""
    return [
        FoundAccount(native=entry.name, label=entry.title or nameless(entry.name), kind=_kind(entry))
        for _, page in pages(fetch, call(source, "points"))
        for entry in page.entries
        if entry.kind == "UsagePoint"
    ]


def _kind(entry: feed.FeedEntry) -> str:
    kind = entry.content.findtext(f"{{{ESPI}}}ServiceCategory/{{{ESPI}}}kind", "")
    return KINDS.get(kind.strip(), "other")
