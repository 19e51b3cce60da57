"""Reading all pages of a call, one after the other: the same for every sector, whatever its pages look like."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from gateway.formats.model import Fetch, UnknownShape, Upstream

Page = TypeVar("Page")
Read = Callable[[Upstream, bytes], tuple[Page, Upstream | None]]  # one page, and the call for the next


def walk(fetch: Fetch, first: Upstream, read: Read[Page], link: str, most: int) -> Iterator[Page]:
    """Every page, and no more than so many. `link`: the member that leads on, named by UnknownShape, which is raised
    where the links go round in a circle."""
    sent: Upstream | None = first
    seen: set[object] = set()
    while sent is not None:
        if sent.query in seen or len(seen) == most:
            raise UnknownShape(link)
        seen.add(sent.query)
        _, body = fetch(sent)
        page, sent = read(sent, body)
        yield page
