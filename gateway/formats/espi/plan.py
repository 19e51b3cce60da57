"""One consent version at one energy supplier, compiled: which calls it may make and what is left of the answers."""

from collections.abc import Iterable

from gateway.formats.espi import feed
from gateway.formats.espi.calls import CALLS, MEDIA_TYPE, MEDIA_TYPES, recognised, upstream
from gateway.formats.espi.cutting import Cutting
from gateway.formats.espi.skipped import report
from gateway.formats.espi.stream import EnergyStream
from gateway.formats.espi.terms import EnergyTerms
from gateway.formats.media import expect
from gateway.formats.model import LIMIT, Asked, Cut, Cutter, Denied, Granted, Source, TooLarge, Upstream
from gateway.formats.paths import declared
from gateway.ground.calendar.instants import Window

NEEDED: dict[str, list[tuple[str, str]]] = {}  # times and links are read from the feed itself, whatever is given of it


class EnergyPlan:
    def __init__(self, source: Source, granted: Iterable[Granted]) -> None:
        self.terms = EnergyTerms(source, granted)

    def request(self, asked: Asked, window: Window) -> Upstream | Denied:
        terms = self.terms
        found = recognised(terms.source, asked.path)
        if found is None:
            return Denied("dataset", "path", allowed=" ".join(terms.granted))
        operation, words = found
        wanted = CALLS[operation].datasets
        fitting = [n for n in wanted if n in terms.granted and declared(terms.source, n, asked.path)]
        if not fitting:
            return Denied("dataset", "datasets", asked=" ".join(wanted), allowed=" ".join(terms.granted))
        ref = words.get("account")
        if ref is not None:
            native = terms.names.native.get(ref)
            fitting = [name for name in fitting if native in terms.accounts[name]]
            if not fitting:
                allowed = " ".join(a.ref for a in terms.names.accounts)
                return Denied("account", "accounts", asked=ref, allowed=allowed)
        return upstream(terms, operation, fitting, words, asked, window)

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window, link: str = "") -> Cut:
        expect(media_type, MEDIA_TYPES)
        if len(body) > LIMIT:
            raise TooLarge(f"{len(body)} bytes")
        document = feed.read(body)
        cutting = Cutting(self.terms, sent, window)
        for entry in document.entries:
            cutting.learn(entry)
        text = cutting.document(document)
        report(self.terms.source.seen(sent.dataset), document.skipped)
        return Cut(text, MEDIA_TYPE, cutting.counts(), cutting.following, cutting.notice)

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        expect(media_type, MEDIA_TYPES)
        return EnergyStream(Cutting(self.terms, sent, window))


def plan(source: Source, granted: Iterable[Granted]) -> EnergyPlan:
    return EnergyPlan(source, granted)
