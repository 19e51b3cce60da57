"""The usage points of a person's subscription."""

from collections.abc import Iterator
from functools import partial

from gateway.formats.espi import feed
from gateway.formats.espi.calls import CALLS, MEDIA_TYPE, USAGE, base, next_page
from gateway.formats.espi.shapes import ESPI
from gateway.formats.model import LIMIT, Fetch, FoundAccount, Source, TooLarge, Upstream
from gateway.formats.names import nameless
from gateway.formats.walking import walk

PAGES = 1000  # more than anybody has, in case the organisation's links go round in a circle
KINDS = {"0": "electricity", "1": "gas", "2": "water", "4": "heat"}  # ESPI ServiceKind


def call(source: Source, operation: str) -> Upstream:
    """A call for all there is; the connector knows the subscription."""
    return Upstream(USAGE, base(source) + CALLS[operation].path, (), MEDIA_TYPE, (), operation=operation)


def pages(fetch: Fetch, first: Upstream, most: int = LIMIT) -> Iterator[tuple[bytes, feed.Feed]]:
    """Every page of a call, each of at most so many bytes. Raises UnknownShape, TooLarge."""
    return walk(fetch, first, partial(_page, most), "feed/link[next]", PAGES)


def _page(most: int, sent: Upstream, body: bytes) -> tuple[tuple[bytes, feed.Feed], Upstream | None]:
    if len(body) > most:
        raise TooLarge(f"{len(body)} bytes")
    page = feed.read(body)
    following = page.head.pages.get("next")
    return (body, page), next_page(sent, following) if following is not None else None


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
