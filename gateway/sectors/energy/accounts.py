"""The usage points of a person's subscription."""

from gateway.sectors.energy import feed
from gateway.sectors.energy.calls import CALLS, MEDIA_TYPE, USAGE, base
from gateway.sectors.energy.shapes import ESPI
from gateway.sectors.model import LIMIT, Fetch, FoundAccount, Source, TooLarge, Upstream

KINDS = {"0": "electricity", "1": "gas", "2": "water", "4": "heat"}  # ESPI ServiceKind


def call(source: Source, operation: str) -> Upstream:
    """A call for all there is; the connector knows the subscription."""
    return Upstream(USAGE, base(source) + CALLS[operation].path, (), MEDIA_TYPE, (), operation=operation)


def accounts(source: Source, fetch: Fetch) -> list[FoundAccount]:
    """Usage points with the title the supplier gave them, for her own eyes."""
    _, body = fetch(call(source, "points"))
    if len(body) > LIMIT:
        raise TooLarge(f"{len(body)} bytes")
    return [
        FoundAccount(native=entry.name, label=entry.title or f"Usage point {entry.name}", kind=_kind(entry))
        for entry in feed.read(body).entries
        if entry.kind == "UsagePoint"
    ]


def _kind(entry: feed.Entry) -> str:
    kind = entry.content.findtext(f"{{{ESPI}}}ServiceCategory/{{{ESPI}}}kind", "")
    return KINDS.get(kind.strip(), "other")
