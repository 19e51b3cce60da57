"""The fourth step where an organisation has no API: what its files have of this customer, as if it had answered."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from gateway.ground.http.connector import Answer, ConnectorError, GoesOn, Headers, Withdrawn
from gateway.ground.pools import Full
from gateway.house import House
from gateway.organisations import files
from gateway.organisations.views import OrganisationView
from gateway.proxy.admit import Permit


@dataclass
class FileAnswer:
    """An `Answer` that is there already."""

    media_type: str
    body: bytes
    status: int = 200
    headers: Headers = field(default_factory=list)

    def __post_init__(self) -> None:
        length = b"%d" % len(self.body)
        self.headers = [(b"content-type", self.media_type.encode("latin-1")), (b"content-length", length)]

    async def read(self, limit: int) -> bytes:
        if len(self.body) > limit:
            raise ConnectorError("too_large", "of a file")
        return self.body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def abort(self) -> None:
        pass


async def of_files(
    house: House, permit: Permit, organisation: OrganisationView, whose: str, now: datetime, goes_on: GoesOn
) -> Answer:
    """Raises ConnectorError, and Withdrawn where what allowed the call has ended meanwhile."""
    work = partial(files.asked, house, organisation, whose, permit.route.upstream, now)
    try:
        media_type, body = await house.pools.run("files", organisation.id, work)
    except Full:
        raise ConnectorError("busy", "too many readings of files") from None
    if not await goes_on():
        raise Withdrawn
    return FileAnswer(media_type, body)
